"""The classifiers of a train_classifier run, built again from its config.json with the best weights of a fold."""

from dataclasses import fields

import keras

from melgan.classifiers.config import ClassifierConfig
from melgan.classifiers.network import build_classifier
from pipelines.contract.workdir import read_run
from tfrecords_tools.foundation.errors import CommandError
from tfrecords_tools.foundation.files import AnyPath

BEST_WEIGHTS_FILE = "best.weights.h5"


def read_classifier_run(folder: AnyPath) -> tuple[dict, dict]:
    """Returns the settings and the report of a completed run.

    Raises:
      CommandError: if the run is not of train_classifier.
    """
    settings, report = read_run(folder)
    if settings["stage"] != "train_classifier":
        raise CommandError(f"{folder}: made by {settings['stage']}, not by train_classifier")
    return settings, report


def load_classifier(folder: AnyPath, fold: int) -> tuple[keras.Model, ClassifierConfig]:
    """Returns the network of a fold with its best weights, and its settings; no code is read from the file."""
    settings, report = read_classifier_run(folder)
    config = ClassifierConfig(**{f.name: settings[f.name] for f in fields(ClassifierConfig)} | {"weights": "none"})
    model = build_classifier(config, len(report["classes"]))
    model.load_weights(folder / f"fold{fold}" / BEST_WEIGHTS_FILE)
    return model, config
