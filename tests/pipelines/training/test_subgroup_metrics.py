"""Subgroups of out-of-fold predictions: which there are, and how they are counted."""

import numpy as np
import pandas as pd

from pipelines.artefacts.predictions import probability_columns
from pipelines.artefacts.subgroups import subgroups_table
from pipelines.training.subgroup_metrics import NOT_KNOWN, evaluate_subgroups, with_sources

CLASSES = ("benign", "malignant")


def made_up(**facts) -> tuple[pd.DataFrame, pd.DataFrame]:
    names = [f"image{number}" for number in range(12)]
    malignant = np.linspace(0, 1, 12)
    keys = {"image_name": names, "patient_id": -1, "fold": np.arange(12) % 2, "label": [0] * 8 + [1] * 4}
    predictions = pd.DataFrame(keys)
    predictions[probability_columns(CLASSES)] = np.stack([1 - malignant, malignant], axis=1)
    known = {"sex": -1, "age_approx": -1, "anatom_site_general_challenge": -1}
    known |= {"source": ["a"] * 6 + ["b"] * 6, **facts}
    return predictions, pd.DataFrame({"image_name": names, **known}).set_index("image_name")


def counts_of(subgroups) -> dict[tuple[str, str], tuple[int, int]]:
    return {(each.property, each.value): (each.images, each.positives) for each in subgroups}


def test_properties_in_which_images_differ_have_subgroups():
    predictions, images = made_up(
        sex=[0] * 5 + [1] * 6 + [-1], age_approx=[20, 29, 30, 44, 45, 59, 60, 74, 75, 90, -1, -1]
    )
    found = evaluate_subgroups(predictions, CLASSES, "malignant", images, seed=0)
    assert counts_of(found) == {
        ("source", "a"): (6, 0),
        ("source", "b"): (6, 4),
        ("sex", "female"): (6, 3),
        ("sex", "male"): (5, 0),
        ("sex", "not known"): (1, 1),
        ("age_approx", "0-29"): (2, 0),
        ("age_approx", "30-44"): (2, 0),
        ("age_approx", "45-59"): (2, 0),
        ("age_approx", "60-74"): (2, 0),
        ("age_approx", "75+"): (2, 2),
        ("age_approx", "not known"): (2, 2),
    }


def test_images_without_any_metadata_have_none():
    predictions, images = made_up(source=NOT_KNOWN)
    found = evaluate_subgroups(predictions, CLASSES, "malignant", images, seed=0)
    assert found == ()
    table = subgroups_table(found)
    assert table.columns.tolist()[:5] == ["property", "value", "images", "positives", "auc"]
    assert len(table) == 0


def test_the_table_has_a_metric_with_its_interval_in_three_columns():
    predictions, images = made_up()
    found = evaluate_subgroups(predictions, CLASSES, "malignant", images, seed=0)
    table = subgroups_table(found).set_index("value")
    assert table.loc["b", ["auc", "auc_low", "auc_high"]].tolist() == [1.0, 1.0, 1.0]
    assert np.isnan(table.loc["a", "auc"])
    assert table.loc["a", "specificity"] == found[0].specificity.value


def test_predictions_tell_the_data_set_of_each_image_beside_its_keys():
    predictions, images = made_up(source=["a", NOT_KNOWN] * 6)
    table = with_sources(predictions, images)
    assert table.columns.tolist() == [
        "image_name",
        "patient_id",
        "fold",
        "label",
        "source",
        *probability_columns(CLASSES),
    ]
    assert table["source"].tolist() == ["a", ""] * 6
    pd.testing.assert_frame_equal(table.drop(columns="source"), predictions)
