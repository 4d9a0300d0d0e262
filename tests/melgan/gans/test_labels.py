import numpy as np
import pytest
import tensorflow as tf

from melgan.gans.labels import LABEL_SAMPLINGS, class_probabilities, labels_of_fakes, sample_labels, wrong_labels
from melgan.training.randomness import Draws

MANY = 40000
DRAWN = [name for name, exponent in LABEL_SAMPLINGS.items() if exponent is not None]


@pytest.fixture
def draws():
    return Draws(tf.constant([1, 2]), 0, MANY, 1)


def assert_frequencies(labels, probabilities):
    frequencies = np.bincount(labels, minlength=len(probabilities)) / len(labels)
    margin = 4 * np.sqrt(np.multiply(probabilities, np.subtract(1, probabilities)) / len(labels))
    assert (np.abs(frequencies - probabilities) <= margin).all(), frequencies


@pytest.mark.parametrize(
    ("label_sampling", "expected"),
    [("balanced", [1 / 3, 1 / 3, 1 / 3]), ("sqrt", [6 / 10, 3 / 10, 1 / 10]), ("real", [36 / 46, 9 / 46, 1 / 46])],
)
def test_probabilities_of_36_9_and_1_images(label_sampling, expected):
    np.testing.assert_allclose(class_probabilities([36, 9, 1], label_sampling), expected)


@pytest.mark.parametrize("label_sampling", DRAWN)
@pytest.mark.parametrize("counts", [(0, 7, 2, 5), (7, 0, 2, 5), (7, 2, 5, 0)])
def test_labels_come_as_often_as_they_should(draws, label_sampling, counts):
    probabilities = class_probabilities(counts, label_sampling)
    labels = sample_labels(draws, probabilities).numpy()
    assert labels.dtype == np.int32
    assert_frequencies(labels, probabilities)


@pytest.mark.parametrize("label_sampling", DRAWN)
def test_a_single_class_is_always_drawn(draws, label_sampling):
    np.testing.assert_array_equal(sample_labels(draws, class_probabilities([5], label_sampling)), np.zeros(MANY))


def test_paired_fakes_have_the_labels_of_the_real_images(draws):
    real_labels = tf.constant([2, 0, 1])
    paired, drawn = (class_probabilities([0, 5, 0], label_sampling) for label_sampling in ("paired", "real"))
    np.testing.assert_array_equal(labels_of_fakes(draws, real_labels, paired), real_labels)
    np.testing.assert_array_equal(labels_of_fakes(draws, real_labels, drawn), np.ones(MANY))


@pytest.mark.parametrize("num_classes", [2, 3, 5])
def test_wrong_labels_are_never_right_and_even_over_the_rest(draws, num_classes):
    labels = np.arange(MANY, dtype=np.int32) % num_classes
    wrong = wrong_labels(draws, tf.constant(labels), num_classes).numpy()
    for label in range(num_classes):
        others = np.full(num_classes, 1 / (num_classes - 1))
        others[label] = 0
        assert_frequencies(wrong[labels == label], others)
