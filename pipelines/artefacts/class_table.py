"""The classes of a classifier: those of the shards, or diagnoses, of which 2, 3, 4 or 9 are told apart."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipelines.artefacts.shards import Shards
from tfrecords_tools.foundation.errors import CommandError
from tfrecords_tools.foundation.metadata import CATEGORIES, MISSING

MELANOMA = "melanoma"
DIAGNOSES = (0, 2, 3, 4, 9)
_DIAGNOSIS = "diagnosis"
_MELANOMA_CLASSES = ("malignant", MELANOMA)  # of shards; of SIIM-ISIC every malignant lesion is one
_KERATOSES = ("seborrheic keratosis", "lichenoid keratosis", "solar lentigo", "lentigo NOS")
_UNKNOWN = ("unknown", "cafe-au-lait macule", "atypical melanocytic proliferation")
# As the winners of SIIM-ISIC 2020 grouped them: nine classes, or four.
_OF_NINE = dict.fromkeys(_KERATOSES, "benign keratosis") | dict.fromkeys(_UNKNOWN, "unknown")
_OF_FOUR = {MELANOMA: MELANOMA, "nevus": "nevus"} | dict.fromkeys(_KERATOSES, "benign keratosis")


@dataclass(frozen=True)
class ClassTable:
    """The classes of a classifier by number, and the number of each training image's class.

    Attributes:
      names: of the classes.
      numbers: of the class of each training image, by its name; None where it is the class in the shards.
    """

    names: tuple[str, ...]
    numbers: pd.Series | None = None

    def labels(self, names: Sequence[str], labels: np.ndarray) -> np.ndarray:
        """Returns the classes of images `[N]`, given their names and those of the shards; `MISSING` for test images."""
        if self.numbers is None:
            return labels
        return self.numbers.reindex(list(names), fill_value=MISSING).to_numpy()

    def default_target(self) -> str:
        """Returns the class that is positive where none was named."""
        return MELANOMA if MELANOMA in self.names else self.names[-1]


def class_table(shards: Shards, diagnoses: int) -> ClassTable:
    """Returns the classes of the shards, or so many groups of diagnoses, without those that no image has.

    Arguments:
      shards: with the training images.
      diagnoses: one of `DIAGNOSES`; 0: the classes of the shards.

    Raises:
      CommandError: if the shards tell no diagnoses, or but one class comes of them.
    """
    if not diagnoses:
        return ClassTable(shards.classes)
    images = shards.images(shards.manifest.split("train"))
    category = CATEGORIES[_DIAGNOSIS]
    known = images[_DIAGNOSIS].map(category.names)
    if (known.isna() | (known == category.unknown)).all():
        raise CommandError(f"--diagnoses={diagnoses}: {shards.folder} tells no diagnoses; leave the setting out")
    melanoma = [label for label, name in enumerate(shards.classes) if name.lower() in _MELANOMA_CLASSES]
    is_unnamed_melanoma = known.isna() & images["target"].isin(melanoma)
    groups = known.where(~is_unnamed_melanoma, MELANOMA).map(lambda name: _group(name, diagnoses))
    # Metrics of two classes look at the second.
    classes = tuple(sorted(groups.unique(), key=lambda name: (diagnoses == 2 and name == MELANOMA, name)))
    if len(classes) < 2:
        raise CommandError(
            f"--diagnoses={diagnoses}: all images of {shards.folder} are {classes[0]}; give another number"
        )
    return ClassTable(classes, groups.map({name: number for number, name in enumerate(classes)}))


def _group(diagnosis: str | float, diagnoses: int) -> str:
    """Returns the group of a diagnosis; NaN stands for a missing one, of which as much is known as of `unknown`."""
    name = "unknown" if isinstance(diagnosis, float) else diagnosis
    if diagnoses == 2:
        return name if name == MELANOMA else "other"
    if diagnoses == 3:
        return name if name in (MELANOMA, "nevus") else "other"
    return _OF_FOUR.get(name, "unknown") if diagnoses == 4 else _OF_NINE.get(name, name)
