"""What synthetic images count for."""

import numpy as np
import pytest

from melgan.classifiers.synthetic_targets import SYNTHETIC_TARGETS

REQUESTED = np.eye(2)[[0, 0, 1]]
THOUGHT = np.array([[0.9, 0.1], [0.3, 0.7], [0.2, 0.8]])


@pytest.mark.parametrize(
    ("name", "targets", "kept"),
    [
        ("requested", REQUESTED, [True, True, True]),
        ("soft", THOUGHT, [True, True, True]),
        ("blend", [[0.925, 0.075], [0.475, 0.525], [0.15, 0.85]], [True, True, True]),
        ("agree", REQUESTED, [True, False, True]),
    ],
)
def test_targets_by_hand(name, targets, kept):
    found, is_kept = SYNTHETIC_TARGETS[name](REQUESTED, THOUGHT, 0.25)
    np.testing.assert_allclose(found, targets)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    assert is_kept.tolist() == kept


def test_a_blend_of_the_classes_asked_for_alone_is_those():
    np.testing.assert_array_equal(SYNTHETIC_TARGETS["blend"](REQUESTED, THOUGHT, 1.0)[0], REQUESTED)


def test_of_a_class_that_stands_for_several_any_of_them_agrees():
    """A benign lesion may be of two diagnoses."""
    requested = np.array([[0.7, 0.3, 0.0]] * 3)
    _, is_kept = SYNTHETIC_TARGETS["agree"](requested, np.eye(3), 0.5)
    assert is_kept.tolist() == [True, True, False]
