"""Tables of predictions: read as written, and refused by their name when damaged."""

import numpy as np
import pandas as pd
import pytest

from pipelines.artefacts.predictions import (
    KEY_COLUMNS,
    evaluate_predictions,
    kaggle_table,
    probability_columns,
    read_predictions,
    scores,
)
from tfrecords_tools.csv_tables import write_table
from tfrecords_tools.foundation.errors import DataError

TABLE = (
    "image_name,patient_id,fold,label,probability benign,probability malignant\nNA,3,0,1,0.25,0.75\n007,4,0,0,0.5,0.5\n"
)


def test_names_stay_as_they_are(tmp_path):
    """An image may be called NA, or like a number."""
    (tmp_path / "oof.csv").write_text(TABLE)
    table = read_predictions(tmp_path / "oof.csv", ("benign", "malignant"))
    assert table["image_name"].tolist() == ["NA", "007"]
    assert table["probability malignant"].tolist() == [0.75, 0.5]


def test_a_table_of_an_earlier_version_is_read(tmp_path):
    """Its columns had the names of the classes alone."""
    (tmp_path / "new.csv").write_text(TABLE)
    (tmp_path / "old.csv").write_text(TABLE.replace("probability ", ""))
    new, old = (read_predictions(tmp_path / name, ("benign", "malignant")) for name in ("new.csv", "old.csv"))
    pd.testing.assert_frame_equal(old, new)


def test_classes_may_be_called_like_columns(tmp_path):
    classes = ("label", "fold", "image_name", "probability fold", "1", "1.0", "=1+1")
    keys = [["=1/NA.png", 3, 0, 6], ["NA", 4, 1, 0]]
    values = [[0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6], [0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.0]]
    rows = [key + value for key, value in zip(keys, values, strict=True)]
    write_table(tmp_path / "oof.csv", pd.DataFrame(rows, columns=[*KEY_COLUMNS, *probability_columns(classes)]))
    table = read_predictions(tmp_path / "oof.csv", classes)
    labels, probabilities = scores(table)
    assert table["image_name"].tolist() == ["=1/NA.png", "NA"]
    assert labels.tolist() == [6, 0]
    assert probabilities.tolist() == values


@pytest.mark.parametrize("text", ["", "image_name,fold\na,0\n", '"', TABLE + "a,b,c,d,e,f,g,h,i\n"])
def test_a_damaged_table_is_refused_by_its_name(tmp_path, text):
    (tmp_path / "oof.csv").write_text(text)
    with pytest.raises(DataError, match=f"^{tmp_path}/oof.csv: "):
        read_predictions(tmp_path / "oof.csv", ("benign", "malignant"))


def test_intervals_hold_their_values_also_where_repeated_images_would_bias_a_metric():
    """A bootstrap takes the calibration error of a calibrated model for larger than it is."""
    rng = np.random.default_rng(0)
    malignant = rng.random(400)
    keys = {"image_name": [str(n) for n in range(400)], "patient_id": -1, "fold": np.arange(400) % 2}
    table = pd.DataFrame(keys | {"label": (rng.random(400) < malignant).astype(int)})
    table[probability_columns(("benign", "malignant"))] = np.stack([1 - malignant, malignant], axis=1)
    intervals = evaluate_predictions(table, ("benign", "malignant"), seed=0)
    assert all(interval.low <= interval.value <= interval.high for interval in intervals.values())
    # Each of 15 bins of 13 images is off by about 0.8 x the standard error of its fraction.
    assert intervals["calibration_error"].value == pytest.approx(0.8 * np.sqrt(1 / 6 / 13), abs=0.03)
    shuffled = evaluate_predictions(table.sample(frac=1, random_state=1), ("benign", "malignant"), seed=0)
    for name, interval in intervals.items():
        assert shuffled[name].value == pytest.approx(interval.value), name


def test_public_notebooks_find_the_columns_that_they_know(tmp_path):
    (tmp_path / "oof.csv").write_text(TABLE)
    classes = ("benign", "malignant")
    table = kaggle_table(read_predictions(tmp_path / "oof.csv", classes), classes, "malignant")
    assert table.to_dict("list") == {"image_name": ["NA", "007"], "target": [1, 0], "pred": [0.75, 0.5], "fold": [0, 0]}
    other = kaggle_table(read_predictions(tmp_path / "oof.csv", classes), classes, "benign")
    assert (other["target"].tolist(), other["pred"].tolist()) == ([0, 1], [0.25, 0.5])


def test_images_of_one_patient_have_values_but_no_interval_of_their_calibration():
    keys = {"image_name": list("abcd"), "patient_id": 7, "fold": 0, "label": [0, 1, 0, 1]}
    table = pd.DataFrame(
        keys | {"probability benign": [0.9, 0.1, 0.8, 0.4], "probability malignant": [0.1, 0.9, 0.2, 0.6]}
    )
    intervals = evaluate_predictions(table, ("benign", "malignant"), seed=0)
    assert intervals["mean_auc"].value == 1.0
    assert intervals["calibration_error"].value == pytest.approx((0.1 + 0.1 + 0.2 + 0.4) / 4)
    assert np.isnan(intervals["calibration_error"].low)


def test_no_error_is_below_nothing():
    malignant = np.tile([0.25, 0.75], 40)
    keys = {"image_name": [str(n) for n in range(80)], "patient_id": -1, "fold": 0}
    table = pd.DataFrame(keys | {"label": np.tile([0, 1, 0, 1, 1, 0, 0, 1], 10)})
    table[probability_columns(("benign", "malignant"))] = np.stack([1 - malignant, malignant], axis=1)
    interval = evaluate_predictions(table, ("benign", "malignant"), seed=0)["calibration_error"]
    assert (interval.value, interval.low) == (pytest.approx(0.0), 0.0)
