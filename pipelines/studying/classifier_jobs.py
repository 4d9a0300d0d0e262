"""Networks that are trained end to end: a run of train_classifier for every arm, seed and fold."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from melgan.studies.arms import Selection
from pipelines.artefacts import classifier_run
from pipelines.artefacts.classifier_run import PREDICTIONS_FILE, fold_folder
from pipelines.artefacts.predictions import probability_columns, read_predictions
from pipelines.artefacts.shards import open_synthetic
from pipelines.contract.inputs import absolute, absolute_or_none
from pipelines.contract.workdir import require_completed
from pipelines.studying.design import Design
from pipelines.studying.generator_jobs import PlannedGenerator, jobs_folder
from pipelines.studying.jobs import Command, Job, pairs_of
from pipelines.studying.real_images import RealImages
from pipelines.studying.scores import Training, select
from pipelines.training.examples_table import CLASS, COUNT, NAME
from tfrecords_tools.csv_tables import as_csv, write_table
from tfrecords_tools.foundation.errors import CommandError
from tfrecords_tools.foundation.files import read_text
from tfrecords_tools.foundation.texts import as_file_name

_GIVEN_BY = "classifier_settings"
_LAST = {"select": "last"}  # the best epoch by the images that arms are compared on would flatter them
# Settings that the study chooses, or that would take the meaning from what it chooses.
_CHOSEN = ("shards", "workdir", "num_folds", "folds", "seed", "cache_dir", "scratch_dir", "match", "steps_per_epoch")
_CHOSEN += ("synthetic", "synthetic_fraction", "examples", "diagnoses", "labelled_fraction", "unlabelled")
_CHOSEN += ("train_only_source", "trust_unknown_generators")


def classifier_job(design: Design, images: RealImages, training: Training) -> Job:
    """Returns the run of train_classifier for a training.

    Raises:
      CommandError: if the user gave a setting that the study chooses, or that the command does not have or refuses.
    """
    folder, selection = _folder(design, training), select(training, images)
    num_images = len(images.training_rows(training.fold))
    recipe = {} if training.arm.control is None else training.arm.control.recipe
    settings = {
        "shards": absolute(design.config.shards),
        "workdir": run_folder(design, training),
        "num_folds": design.config.num_folds,
        "folds": training.fold,
        "seed": training.seed,
        "cache_dir": absolute_or_none(design.config.cache_dir),
        "trust_unknown_generators": design.config.trust_unknown_generators,
    }
    settings |= _LAST | pairs_of(design.config.classifier_settings, _GIVEN_BY, classifier_run.COMMAND, _CHOSEN)
    settings |= dict(recipe)
    batch_size = Command(classifier_run.COMMAND, settings, _GIVEN_BY).config.batch_size
    settings["steps_per_epoch"] = max(1, round(num_images / batch_size))  # the same for all arms
    if _needs_table(selection, num_images):
        settings["examples"] = _table(folder)
    if selection.synthetic:
        settings["synthetic"] = _generator_of(design, training).synthetic
        settings["synthetic_fraction"] = selection.synthetic / selection.num_images
    command = Command(classifier_run.COMMAND, settings, _GIVEN_BY)
    command.config  # noqa: B018  raises for what is refused
    return Job(_name(training), (command,), folder / "log.txt")


def write_examples(design: Design, images: RealImages, trainings: Sequence[Training]) -> None:
    """Writes the tables of the images that trainings learn from, whose generators are complete.

    Raises:
      CommandError: if another study has written another one there.
    """
    drawn: dict[Path, list[str]] = {}  # names of the images of each generator
    for training in trainings:
        selection, rows = select(training, images), images.training_rows(training.fold)
        if not _needs_table(selection, len(rows)):
            continue
        table = _real_rows(design, images, rows, selection)
        if selection.synthetic:
            folder = _generator_of(design, training).synthetic
            if folder not in drawn:
                opened = open_synthetic(str(folder), "jobs_dir", design.config.cache_dir)
                drawn[folder] = opened.image_names(opened.manifest.shards)
            added = pd.DataFrame({NAME: drawn[folder][: selection.synthetic], COUNT: 1})
            table = pd.concat([table, added], ignore_index=True)
        _write_once(_table(_folder(design, training)), table)


def _write_once(path: Path, table: pd.DataFrame) -> None:
    if path.is_file() and read_text(path) != as_csv(table):
        raise CommandError(f"{path}: not the table of this study; give another --jobs_dir")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_table(path, table)


def read_scores(design: Design, images: RealImages, training: Training) -> np.ndarray:
    """Returns the probability of the class `[M]` by a complete run, of the images that its fold holds out."""
    folder = require_completed(str(run_folder(design, training)), "jobs_dir")
    classes = design.shards.classes
    table = read_predictions(fold_folder(folder, training.fold) / PREDICTIONS_FILE, classes).set_index("image_name")
    names = images.names[images.held_out_rows(training.fold)]
    return table[probability_columns(classes)[design.label]].loc[names].to_numpy()


def run_folder(design: Design, training: Training) -> Path:
    """Returns the folder of the run of a training."""
    return _folder(design, training) / "run"


def _name(training: Training) -> str:
    generator = f", generator {training.generator}" if training.arm.is_synthetic else ""
    return f"{training.arm.name}{generator}, seed {training.seed}, fold {training.fold}"


def _folder(design: Design, training: Training) -> Path:
    runs = f"generator{training.generator}_seed{training.seed}" if training.arm.is_synthetic else f"seed{training.seed}"
    arms = jobs_folder(design.config) / "classifiers" / as_file_name(design.label_name)
    return arms / as_file_name(training.arm.name) / runs / f"fold{training.fold}"


def _table(folder: Path) -> Path:
    return folder / "examples.csv"


def _generator_of(design: Design, training: Training) -> PlannedGenerator:
    """Returns the generator whose images a training learns from."""
    wanted = training.arm.kind, training.generator, training.fold
    return next(each for each in design.generators if (each.method, each.seed, each.fold) == wanted)


def _needs_table(selection: Selection, num_images: int) -> bool:
    """Returns whether others are learned from than all real images, once each and as they are labelled."""
    rows = selection.rows
    is_plain = np.array_equal(rows, np.arange(num_images)) and np.array_equal(rows, selection.labelled_as)
    return bool(selection.synthetic) or not is_plain


def _real_rows(design: Design, images: RealImages, rows: np.ndarray, selection: Selection) -> pd.DataFrame:
    """Returns the rows of the table for real images; `rows`: numbers of the training images among all."""
    found, counts = np.unique(selection.rows, return_counts=True)
    table = pd.DataFrame({NAME: images.names[rows[found]], COUNT: counts})
    if np.array_equal(selection.rows, selection.labelled_as):
        return table
    classes = np.asarray(design.shards.classes)
    return table.assign(**{CLASS: classes[images.labels[rows[selection.labelled_as]]]})
