"""Which images keep their labels."""

import numpy as np
import pytest

from pipelines.training.labelled_images import choose_labelled

PATIENTS = np.repeat(np.arange(100), 3)
LABELS = np.repeat(np.arange(100) < 20, 3).astype(int)  # 20 patients of the rare class


@pytest.mark.parametrize("fraction", [0.1, 0.25, 0.5])
def test_each_class_keeps_its_fraction_of_whole_patients(fraction):
    kept = choose_labelled(LABELS, PATIENTS, fraction, 0)
    by_patient = kept.reshape(100, 3)
    assert (by_patient.all(axis=1) == by_patient.any(axis=1)).all()
    assert by_patient[:20, 0].sum() == 20 * fraction
    assert by_patient[20:, 0].sum() == 80 * fraction


def test_more_labels_hold_those_that_fewer_held_and_another_seed_keeps_others():
    few, more, others = (
        choose_labelled(LABELS, PATIENTS, fraction, seed) for fraction, seed in ((0.1, 0), (0.5, 0), (0.1, 1))
    )
    assert (more | ~few).all()
    assert (few != others).any()


def test_all_labels_are_kept_and_of_a_class_at_least_one():
    assert choose_labelled(LABELS, PATIENTS, 1.0, 0).all()
    rare = np.array([0] * 99 + [1])
    assert choose_labelled(rare, np.full(100, -1), 0.01, 0)[99]


@pytest.mark.parametrize("seed", range(10))
def test_of_classes_of_equal_size_each_keeps_a_label(seed):
    labels = np.repeat([0, 1, 2], 20)
    kept = choose_labelled(labels, np.full(60, -1), 0.05, seed)
    assert np.bincount(labels[kept]).tolist() == [1, 1, 1]


def test_an_image_of_an_unknown_patient_is_a_patient_of_its_own():
    kept = choose_labelled(LABELS, np.full(300, -1), 0.1, 0)
    assert kept.sum() == 30
