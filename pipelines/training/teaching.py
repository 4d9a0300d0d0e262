"""What the classifier of a run thinks of the synthetic images that the same fold of another run learns from."""

from pathlib import Path

import pandas as pd

from melgan.classifiers.synthetic_targets import REQUESTED
from pipelines.artefacts.class_table import ClassTable
from pipelines.artefacts.classifier_run import TEACHER_FILE, TrainClassifierConfig
from pipelines.artefacts.predictions import predictions_table, probability_columns
from pipelines.training.classifier_inputs import ClassifierInputs
from tfrecords_tools.csv_tables import read_table, write_table

_DECIMALS = 6  # workers that compute the same differ by less


def ask_teacher(
    config: TrainClassifierConfig, inputs: ClassifierInputs, fold: int, folder: Path
) -> pd.DataFrame | None:
    """Returns probabilities of the classes by the name of each synthetic image; None where nobody is to be asked.

    Arguments:
      config: what is asked for.
      inputs: of all folds.
      fold: its number.
      folder: of the fold, which may hold the answers already.
    """
    if config.synthetic_targets == REQUESTED:
        return None
    columns = probability_columns(inputs.classes.names)
    sets = inputs.synthetic[fold]
    names = {name for opened in sets for name in opened.image_names(opened.manifest.shards)}
    if (folder / TEACHER_FILE).is_file():
        known = read_table(folder / TEACHER_FILE, ["image_name"]).set_index("image_name")
        if set(known.index) == names:  # of others the folder was begun with other inputs, which will be told
            return known[columns]
    teacher = inputs.teacher
    predictor, classes = teacher.predictor(fold), ClassTable(inputs.classes.names)
    tables = [
        predictions_table(predictor, teacher.config, opened, opened.manifest.shards, classes=classes, fold=fold)
        for opened in sets
    ]
    return pd.concat(tables).set_index("image_name")[columns].round(_DECIMALS)


def write_answers(folder: Path, thought: pd.DataFrame) -> None:
    """Writes what `ask_teacher` returned into the folder of a fold."""
    write_table(folder / TEACHER_FILE, thought.reset_index())
