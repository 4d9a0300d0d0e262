"""Mixing of images in pairs: coefficients, partners, and the two ways to mix, by hand."""

import numpy as np
import pytest
import tensorflow as tf

from melgan.classifiers.mixing import (
    MIXINGS,
    block_size,
    cutmix,
    draw_coefficients,
    draw_partners,
    mix,
    mixup,
    unmixed,
)
from melgan.training.randomness import Draws

BATCH = 16
IMAGES = tf.constant(np.random.default_rng(0).uniform(0, 255, (BATCH, 8, 8, 3)), tf.float32)
TARGETS = {"targets": tf.one_hot(tf.range(BATCH) % 2, 2)}


def draws_of(step: int = 0, batch: int = BATCH, replica: int = 0, replicas: int = 1) -> Draws:
    return Draws(tf.constant([3, step]), replica, batch, replicas)


def test_mixup_by_hand():
    images = tf.reshape(tf.constant([10.0, 20.0]), (2, 1, 1, 1))
    mixed, fractions = mixup(images, tf.constant([1, 0]), tf.constant([0.7, 0.4]), draws_of())
    np.testing.assert_allclose(np.ravel(mixed), [0.7 * 10 + 0.3 * 20, 0.4 * 20 + 0.6 * 10], rtol=1e-6)
    np.testing.assert_allclose(fractions, [0.7, 0.4])


def test_targets_are_mixed_by_the_fractions_of_the_images():
    """[1, 0] and [0, 1] with 0.7 make [0.7, 0.3]."""
    batch = {"targets": tf.constant([[1.0, 0.0], [0.0, 1.0]])}
    mixture = mix(IMAGES[:2], batch, lambda images, *_: (images, tf.constant([0.7, 0.4])), 1.0, draws_of(batch=2))
    first = mixture.losses(lambda part: part["targets"][:, 0])
    np.testing.assert_allclose(first, [0.7, 0.6], rtol=1e-6)


def test_cutmix_pastes_one_rectangle_and_counts_its_pixels():
    coefficients = tf.fill([BATCH], 0.75)  # half of either side
    partners = draw_partners(draws_of())
    mixed, fractions = cutmix(IMAGES, partners, coefficients, draws_of())
    theirs = tf.gather(IMAGES, partners)
    pasted = np.all(mixed == theirs, axis=-1)
    np.testing.assert_array_equal(mixed, np.where(pasted[..., None], theirs, IMAGES))
    np.testing.assert_allclose(fractions, 1 - pasted.mean(axis=(1, 2)), atol=1e-6)
    for each in pasted:
        rows, columns = np.flatnonzero(each.any(axis=1)), np.flatnonzero(each.any(axis=0))
        assert each[np.ix_(rows, columns)].all()
        assert len(rows) <= 4
        assert len(columns) <= 4
        assert np.all(np.diff(rows) == 1)
        assert np.all(np.diff(columns) == 1)
    assert len({each.tobytes() for each in pasted}) > BATCH // 2  # places of their own
    assert 0.75 <= np.mean(fractions) < 0.9  # part of some lies beyond the edge


@pytest.mark.parametrize("mixing", MIXINGS)
def test_alpha_0_leaves_images_and_losses_as_they_are_bit_for_bit(mixing):
    mixture = mix(IMAGES, TARGETS, MIXINGS[mixing], 0.0, draws_of())
    np.testing.assert_array_equal(mixture.images, IMAGES)
    losses = mixture.losses(lambda part: part["targets"][:, 1] / 3)
    np.testing.assert_array_equal(losses, unmixed(IMAGES, TARGETS).losses(lambda part: part["targets"][:, 1] / 3))


@pytest.mark.parametrize("alpha", [0.2, 1.0, 3.0])
def test_coefficients_are_distributed_as_beta(alpha):
    drawn = np.concatenate([draw_coefficients(draws_of(step, 512), alpha) for step in range(20)])
    assert drawn.min() >= 0
    assert drawn.max() <= 1
    assert drawn.mean() == pytest.approx(0.5, abs=0.02)
    assert drawn.var() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.04)
    if alpha == 1.0:
        assert np.maximum(drawn, 1 - drawn).mean() == pytest.approx(0.75, abs=0.005)


def test_every_example_has_a_coefficient_of_its_own():
    assert len(np.unique(draw_coefficients(draws_of(), 1.0))) == BATCH


@pytest.mark.parametrize(("batch", "block"), [(16, 8), (12, 4), (6, 2), (7, 1), (32, 8)])
def test_partners_are_others_of_the_same_block_and_each_is_chosen_once(batch, block):
    assert block_size(batch) == block
    partners = draw_partners(draws_of(batch=batch)).numpy()
    assert sorted(partners) == list(range(batch))
    if block > 1:
        assert (partners != np.arange(batch)).all()
        assert (partners // block == np.arange(batch) // block).all()


def test_partners_and_coefficients_do_not_depend_on_how_replicas_share_the_batch():
    whole, parts = draws_of(), [draws_of(batch=8, replica=replica, replicas=2) for replica in range(2)]
    shared = [draw_partners(part) + 8 * number for number, part in enumerate(parts)]
    np.testing.assert_array_equal(draw_partners(whole), np.concatenate(shared))
    coefficients = np.concatenate([draw_coefficients(part, 0.4) for part in parts])
    np.testing.assert_array_equal(draw_coefficients(whole, 0.4), coefficients)


def test_partners_change_from_step_to_step():
    assert len({draw_partners(draws_of(step)).numpy().tobytes() for step in range(20)}) > 10
