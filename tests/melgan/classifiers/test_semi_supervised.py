"""What methods for images without labels are made of, by hand."""

import numpy as np
import pytest
import tensorflow as tf

from melgan.classifiers.balanced_head import class_ratios, labelled_weights, unlabelled_weights
from melgan.classifiers.semi_supervised import (
    SEMI_SUPERVISED,
    align,
    augment_strongly,
    confident,
    cross_entropies,
    ramp_up,
    sharpen,
    squared_errors,
)
from melgan.training.randomness import draws_of_step
from tests.melgan.classifiers.tiny_classifier import tiny_config
from tfrecords_tools.foundation.errors import ConfigError

GUESSES = tf.constant([[0.8, 0.2], [0.5, 0.5], [0.1, 0.9]])


def test_sharpened_guesses_by_hand():
    np.testing.assert_allclose(sharpen(GUESSES, 1.0), GUESSES, rtol=1e-6)
    np.testing.assert_allclose(sharpen(GUESSES, 0.5)[:2], [[16 / 17, 1 / 17], [0.5, 0.5]], rtol=1e-5)
    np.testing.assert_array_equal(sharpen(GUESSES, 0.0), [[1, 0], [1, 0], [0, 1]])
    np.testing.assert_allclose(sharpen(tf.constant([[1.0, 0.0]]), 0.5), [[1, 0]])


def test_aligned_guesses_by_hand_keep_their_order():
    even, wanted = tf.constant([0.5, 0.5]), tf.constant([0.98, 0.02])
    np.testing.assert_allclose(align(GUESSES, wanted, wanted), GUESSES, rtol=1e-5)
    np.testing.assert_allclose(align(GUESSES, wanted, even)[1], [0.98, 0.02], rtol=1e-4)
    np.testing.assert_allclose(tf.reduce_sum(align(GUESSES, wanted, even), axis=1), 1, rtol=1e-6)
    many = tf.random.uniform([50], seed=1)
    aligned = align(tf.stack([1 - many, many], axis=1), wanted, even)[:, 1]
    assert np.argsort(aligned).tolist() == np.argsort(many).tolist()


def test_the_weight_rises_from_0_to_1_at_its_fraction_of_the_steps():
    found = [float(ramp_up(tf.constant(step), 100, 0.5)) for step in (0, 25, 50, 99)]
    assert found == [0, 0.5, 1, 1]
    assert float(ramp_up(tf.constant(0), 100, 0.0)) == 1


def test_a_guess_counts_if_it_exceeds_the_confidence():
    assert confident(GUESSES, 0.8).numpy().tolist() == [0, 0, 1]
    assert confident(GUESSES, 0.0).numpy().tolist() == [1, 1, 1]
    assert confident(tf.constant([[1.0, 0.0]]), 1.0).numpy().tolist() == [0]


def test_losses_of_guesses_by_hand():
    logits = tf.constant([[np.log(3.0), 0.0]], tf.float32)
    targets = tf.constant([[1.0, 0.0]])
    np.testing.assert_allclose(squared_errors(logits, targets), [0.0625], rtol=1e-5)  # mean over classes of 1/16 twice
    np.testing.assert_allclose(cross_entropies(logits, targets), [-np.log(0.75)], rtol=1e-5)


def test_the_weight_of_a_mean_over_classes_is_for_their_number():
    assert SEMI_SUPERVISED["mixmatch"].weight(10) == 75
    assert SEMI_SUPERVISED["mixmatch"].weight(2) == 15
    assert tiny_config(semi_supervised="mixmatch", lambda_u=20.0).semi_supervision.weight(2) == 20
    assert SEMI_SUPERVISED["fixmatch"].weight(2) == SEMI_SUPERVISED["fixmatch"].weight(9) == 1


def test_settings_that_are_given_take_the_place_of_published_ones():
    method = tiny_config(semi_supervised="fixmatch", confidence=0.7, align_distribution="labels").semi_supervision
    assert (method.confidence, method.alignment, method.temperature, method.is_strong) == (0.7, "labels", 0.0, True)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"semi_supervised": "fixmatch", "augmentation": "none"}, "augmentation"),
        ({"lambda_u": 3.0}, "lambda_u"),
        ({"align_distribution": "labels"}, "align_distribution"),
        ({"semi_supervised": "mixmatch", "mixing": "mixup"}, "mixing"),
        ({"semi_supervised": "mixmatch", "accumulation": 2}, "accumulation"),
        ({"semi_supervised": "mixmatch", "unlabelled_fraction": 0.0}, "unlabelled_fraction"),
        ({"semi_supervised": "mixmatch", "num_guesses": 0}, "num_guesses"),
        ({"semi_supervised": "mixmatch", "distillation_weight": 0.5}, "distillation_weight"),
        ({"semi_supervised": "mixmatch", "confidence": 1.5}, "confidence"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(settings, named):
    with pytest.raises(ConfigError, match=f"^{named} is "):
        tiny_config(**settings)


def test_classes_of_the_balanced_head_weigh_the_same_by_hand():
    """98 : 2; an image of the frequent class counts 2/98, so that both classes together weigh 2."""
    ratios = class_ratios((98, 2, 0))
    np.testing.assert_allclose(ratios, [2 / 98, 1, 0])
    found = labelled_weights(tf.constant([[1.0, 0, 0], [0, 1, 0], [0.5, 0.5, 0]]), ratios)
    np.testing.assert_allclose(found, [2 / 98, 1, 50 / 98], rtol=1e-6)


def test_unlabelled_images_come_to_weigh_as_labelled_ones_if_they_are_sure():
    guesses, ratios = tf.constant([[0.99, 0.01], [0.9, 0.1], [0.02, 0.98]]), np.array([0.25, 1], np.float32)
    for progress, expected in ((0.0, [1, 0, 1]), (0.5, [0.625, 0, 1]), (1.0, [0.25, 0, 1])):
        np.testing.assert_allclose(unlabelled_weights(guesses, ratios, tf.constant(progress)), expected, rtol=1e-6)


def test_strong_augmentation_cuts_a_grey_square_and_changes_each_image_by_itself():
    images = tf.constant(np.random.default_rng(0).uniform(60, 200, (8, 32, 32, 3)), tf.float32)
    found = augment_strongly(images, draws_of_step(tf.constant([0, 0]), 3, global_batch_size=8, num_replicas=1)).numpy()
    assert (found >= 0).all()
    assert (found <= 255).all()
    is_cut = (found == 127.5).all(axis=3)
    assert (is_cut.sum(axis=(1, 2)) <= 12 * 12).all()  # 0.375 of 32
    assert is_cut.any(axis=(1, 2)).all()
    assert len({round(float(each), 3) for each in found.mean(axis=(1, 2, 3))}) == 8
