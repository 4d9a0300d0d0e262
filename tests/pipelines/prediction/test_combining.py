"""Predictions of networks as one table: the mean over folds, then over runs."""

import numpy as np
import pandas as pd

from pipelines.prediction.combining import combine

CLASSES = ("a", "b", "image_name")


def table(*rows: tuple[float, float, float], names=("x", "y")) -> pd.DataFrame:
    columns = ["probability a", "probability b", "probability image_name"]
    return pd.DataFrame(rows, columns=columns).assign(image_name=list(names))[["image_name", *columns]]


FIRST, SECOND = table((0.6, 0.4, 0.0), (0.1, 0.1, 0.8)), table((0.2, 0.8, 0.0), (0.3, 0.3, 0.4))
OTHER = table((0.0, 1.0, 0.0), (0.4, 0.4, 0.2))


def test_runs_count_alike_however_many_networks_they_have():
    combined = combine([[FIRST, SECOND], [OTHER]], CLASSES)
    assert combined["image_name"].tolist() == ["x", "y"]
    np.testing.assert_allclose(combined["probability a"], [0.2, 0.3])
    np.testing.assert_allclose(combined["probability b"], [0.8, 0.3])
    np.testing.assert_allclose(combined["probability image_name"], [0.0, 0.4])
    assert combined["most_probable_class"].tolist() == ["b", "image_name"]


def test_networks_disagree_by_the_standard_deviation_of_the_most_probable_class():
    combined = combine([[FIRST, SECOND], [OTHER]], CLASSES)
    np.testing.assert_allclose(combined["disagreement"], [np.std([0.4, 0.8, 1.0]), np.std([0.8, 0.4, 0.2])])


def test_one_network_disagrees_with_nobody():
    assert "disagreement" not in combine([[FIRST]], CLASSES)


def test_an_image_that_a_run_could_not_read_is_left_out_for_all():
    """Runs may have images stored in several sizes."""
    combined = combine([[FIRST], [table((0.5, 0.5, 0.0), names=("y",))]], CLASSES)
    assert combined["image_name"].tolist() == ["y"]
    np.testing.assert_allclose(combined["probability b"], [0.3])
