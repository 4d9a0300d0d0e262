"""The classifiers of a train_classifier run, built again from its config.json with the best weights of a fold."""

from dataclasses import fields

import keras

from melgan.classifiers.trainer import build_classifier
from melgan.config import ClassifierConfig
from pipelines import stage
from tfrecords_tools.storage import AnyPath

BEST_WEIGHTS_FILE = "best.weights.h5"


def read_classifier_run(folder: AnyPath) -> tuple[dict, dict]:
    """Returns the settings and the report of a completed run.

    Raises:
      StageError: if the run is not of train_classifier.
    """
    settings, report = stage.read_run(folder)
    if settings["stage"] != "train_classifier":
        raise stage.StageError(f"{folder}: made by {settings['stage']}, not by train_classifier")
    return settings, report


def load_classifier(folder: AnyPath, fold: int) -> tuple[keras.Model, ClassifierConfig]:
    """Returns the network of a fold with its best weights, and its settings; no code is read from the file."""
    settings, report = read_classifier_run(folder)
    config = ClassifierConfig(**{f.name: settings[f.name] for f in fields(ClassifierConfig)} | {"weights": "none"})
    model = build_classifier(config, len(report["classes"]))
    model.load_weights(folder / f"fold{fold}" / BEST_WEIGHTS_FILE)
    return model, config
