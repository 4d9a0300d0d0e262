"""What holds for every augmentation."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from melgan.gans.augmentations import AUGMENTATIONS
from melgan.training.randomness import Draws

BATCH, SIZE = 64, 16


@pytest.fixture
def draws():
    return Draws(tf.constant([1, 2]), 0, BATCH, 1)


@pytest.fixture
def images():
    return tf.constant(np.random.default_rng(0).uniform(-1, 1, (BATCH, SIZE, SIZE, 3)), tf.float32)


@pytest.fixture(params=AUGMENTATIONS)
def augment(request):
    return lambda images, draws: AUGMENTATIONS[request.param].augment(images, draws, tf.constant(1.0))


def test_none_is_the_identity(images, draws):
    assert AUGMENTATIONS["none"].augment(images, draws, tf.constant(1.0)) is images


def test_adaptive_ones_change_nothing_at_first(images, draws):
    adaptive = [augmentation for augmentation in AUGMENTATIONS.values() if augmentation.adaptive]
    assert adaptive
    for augmentation in adaptive:
        np.testing.assert_allclose(augmentation.augment(images, draws, tf.constant(0.0)), images, atol=1e-6)


def test_every_image_is_changed_alone(augment, images, draws):
    once = augment(images, draws).numpy()
    assert once.shape == images.shape
    np.testing.assert_array_equal(augment(images, draws), once)
    changed = augment(tf.concat([images[:1] * 0.5, images[1:]], 0), draws).numpy()
    np.testing.assert_array_equal(changed[1:], once[1:])


@pytest.mark.parametrize("name", [name for name in AUGMENTATIONS if name != "none"])
def test_every_image_is_changed_differently(name, images, draws):
    augment = AUGMENTATIONS[name].augment
    once = augment(images, draws, tf.constant(1.0))
    same = augment(tf.repeat(images[:1], BATCH, 0), draws, tf.constant(1.0)).numpy()
    assert len({image.tobytes() for image in same}) == BATCH
    assert not np.array_equal(augment(images, replace(draws, seed=tf.constant([1, 3])), tf.constant(1.0)), once)


def test_gradients_flow_to_the_images(augment, draws):
    """An augmentation that is linear in the images: the change along a direction is the gradient times it."""
    rng = np.random.default_rng(1)
    images = tf.constant(rng.uniform(-1, 1, (BATCH, SIZE, SIZE, 3)), tf.float32)
    weights = tf.constant(rng.normal(size=images.shape), tf.float32)
    direction = tf.constant(rng.normal(size=images.shape), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(images)
        value = tf.reduce_sum(weights * augment(images, draws))
    along = tf.reduce_sum(tape.gradient(value, images) * direction)
    moved = tf.reduce_sum(weights * (augment(images + direction, draws) - augment(images, draws)))
    assert float(along) == pytest.approx(float(moved), rel=1e-3)
    assert abs(float(along)) > 1
