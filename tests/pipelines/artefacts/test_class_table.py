"""Classes that are made from diagnoses."""

import numpy as np
import pandas as pd
import pytest

from pipelines.artefacts.class_table import ClassTable, class_table
from tests.pipelines.artefacts.made_up_shards import SHARDS
from tfrecords_tools.foundation.errors import CommandError

NEVUS, MELANOMA, KERATOSIS, LENTIGO, CAFE, CARCINOMA, UNKNOWN, MISSING = 1, 2, 3, 6, 7, 9, 0, -1


class Known:
    """Shards of which only the table of training images is there."""

    folder, manifest = SHARDS.folder, SHARDS.manifest

    def __init__(self, *diagnoses, classes=("benign", "malignant"), targets=None):
        self.classes = classes
        targets = [int(each == MELANOMA) for each in diagnoses] if targets is None else targets
        names = [f"image {number}" for number in range(len(diagnoses))]
        self.table = pd.DataFrame({"diagnosis": diagnoses, "target": targets}, index=names)

    def images(self, entries):
        assert entries == self.manifest.split("train")
        return self.table


EVERY = Known(NEVUS, MELANOMA, KERATOSIS, LENTIGO, CAFE, CARCINOMA, UNKNOWN, MISSING)


@pytest.mark.parametrize(
    ("diagnoses", "expected"),
    [
        (2, "other melanoma other other other other other other"),
        (3, "nevus melanoma other other other other other other"),
        (4, "nevus melanoma keratosis keratosis unknown unknown unknown unknown"),
        (9, "nevus melanoma keratosis keratosis unknown carcinoma unknown unknown"),
    ],
)
def test_diagnoses_are_grouped_as_the_winners_did(diagnoses, expected):
    table = class_table(EVERY, diagnoses)
    short = {"benign keratosis": "keratosis", "basal cell carcinoma": "carcinoma"}
    found = [table.names[number] for number in table.labels(EVERY.table.index, np.zeros(8))]
    assert " ".join(short.get(name, name) for name in found) == expected
    assert table.names == (("other", "melanoma") if diagnoses == 2 else tuple(sorted(table.names)))
    assert table.default_target() == "melanoma"


def test_a_malignant_lesion_without_a_diagnosis_is_a_melanoma():
    table = class_table(Known(NEVUS, MISSING, MISSING, targets=[0, 1, 0]), 3)
    found = [table.names[number] for number in table.labels(["image 0", "image 1", "image 2"], np.zeros(3))]
    assert found == ["nevus", "melanoma", "other"]


def test_the_classes_of_the_shards_are_theirs_and_the_last_is_positive():
    table = class_table(SHARDS, 0)
    assert table == ClassTable(("a", "b"))
    assert table.labels(["x", "y"], np.array([1, 0])).tolist() == [1, 0]
    assert table.default_target() == "b"


def test_images_without_a_row_have_no_class():
    assert class_table(EVERY, 2).labels(["a test image"], np.array([-1])).tolist() == [-1]


@pytest.mark.parametrize("shards", [Known(MISSING, UNKNOWN), Known(NEVUS, NEVUS)], ids=["none", "one"])
def test_shards_that_tell_no_diagnoses_are_refused(shards):
    with pytest.raises(CommandError, match=f"--diagnoses=3: .*{shards.folder}"):
        class_table(shards, 3)
