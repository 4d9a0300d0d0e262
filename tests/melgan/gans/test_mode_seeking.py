"""Mode seeking bounded by the diversity of real images, against numbers worked out by hand."""

import numpy as np
import pytest
import tensorflow as tf

from melgan.gans.regularisers.class_averages import ClassAverages
from melgan.gans.regularisers.interface import GeneratorPass, Subject
from melgan.gans.regularisers.mode_seeking import described, mode_seeking, squared_distance
from melgan.metrics.diversity import relative_diversity
from melgan.training.randomness import Draws
from tests.melgan.gans.tiny_gan import CLASS_COUNTS

SHAPE = (16, 16, 3)
LABELS = tf.constant([0, 0])
STRIPES = np.zeros(SHAPE, np.float32)
STRIPES[:8], STRIPES[8:] = 0.5, -0.5  # no mean colour, and of length 0.5 sqrt(768)


def made_of(first, others, real_images, labels=LABELS):
    """Returns a pass whose fakes are `first` times the stripes, and from other latents `others` times."""

    def images(factors):
        return tf.constant(np.stack([factor * STRIPES for factor in factors]), tf.float32)

    return GeneratorPass(
        generate=lambda latents, labels: images(others),
        latents=tf.zeros([2, 4]),
        fake_labels=labels,
        fake_images=images(first),
        fake_logits=tf.zeros(2),
        real_images=images(real_images),
        real_labels=labels,
    )


@pytest.fixture
def regulariser():
    return mode_seeking(Subject(None, CLASS_COUNTS))


@pytest.fixture
def step(regulariser):
    """Takes a step of the generator; returns the term before it is learnt from."""

    def step(*made):
        values, found = regulariser.generator(made_of(*made), Draws(tf.constant([0, 0]), 0, 2, 1))
        tf.distribute.get_strategy().run(regulariser.learn, (found,))
        return values.numpy()

    return step


def test_images_are_described_as_those_whose_diversity_is_measured():
    """For each class the ratio of mean distances is that of `relative_diversity`."""
    rng = np.random.default_rng(0)
    fakes, real = rng.integers(0, 256, (2, 5, 32, 32, 3)).astype(np.uint8)

    def mean_distance(images):
        vectors = described(tf.constant(images, tf.float32)).numpy()
        return np.mean([np.linalg.norm(a - b) for i, a in enumerate(vectors) for b in vectors[:i]])

    assert mean_distance(fakes) / mean_distance(real) == pytest.approx(relative_diversity(fakes, real), rel=1e-5)


def test_the_mean_squared_distance_of_real_images_is_that_of_all_pairs():
    """Of pairs with themselves, too: those of images that are drawn one after the other."""
    averages, vectors = ClassAverages(2, 4, decay=0.9, name="averages"), np.random.default_rng(0).normal(size=(6, 3))
    columns = np.concatenate([vectors, np.sum(vectors**2, axis=1, keepdims=True)], axis=1).astype(np.float32)
    labels = tf.constant([0, 1, 0, 0, 1, 0])
    tf.distribute.get_strategy().run(averages.add, (averages.sums_of(labels, tf.constant(columns)),))
    for label in range(2):
        own = vectors[labels.numpy() == label]
        by_hand = np.mean([np.sum((a - b) ** 2) for a in own for b in own])
        assert squared_distance(averages)[label].numpy() == pytest.approx(by_hand, rel=1e-5)


def test_half_the_diversity_costs_a_half_and_all_of_it_nothing(step):
    """Real images are plus or minus the stripes: the mean squared distance is 2 |s|^2, its root sqrt(2) |s|."""
    np.testing.assert_array_equal(step([0, 0], [0, 0], [1, -1]), [0, 0])  # nothing is known yet
    half, whole = 0.5 * 2**0.5, 2**0.5
    np.testing.assert_allclose(step([half, 0], [0, -half], [1, -1]), [0.5, 0.5], rtol=1e-5)
    np.testing.assert_allclose(step([whole, 0], [0, 0], [1, -1]), [0.0, 1.0], atol=1e-5)  # one image for two latents


def test_a_class_as_diverse_as_real_images_is_left_alone_though_single_pairs_are_near(step):
    step([2, 2], [-2, -2], [1, -1])  # the distances of fakes are twice those of real images
    np.testing.assert_array_equal(step([0, 0], [0, 0], [1, -1]), [0, 0])


def test_another_class_counts_for_itself(step):
    step([0, 0], [0, 0], [1, -1])
    found = step([0, 0], [0, 0], [1, -1], tf.constant([1, 0]))
    np.testing.assert_allclose(found, [0, 1], rtol=1e-6)  # of class 1 nothing is known


def test_the_gradient_is_as_steep_where_images_have_become_one(regulariser, step):
    """By the distance: minus one over that of real images, however small it is."""
    step([0, 0], [0, 0], [1, -1])
    factor = tf.Variable(1e-4)
    with tf.GradientTape() as tape:
        made = made_of([0, 0], [0, 0], [1, -1])
        made = GeneratorPass(**(vars(made) | {"fake_images": made.fake_images + factor * STRIPES}))
        value = regulariser.generator(made, Draws(tf.constant([0, 0]), 0, 2, 1)).values[0]
    assert tape.gradient(value, factor).numpy() == pytest.approx(-1 / 2**0.5, rel=1e-3)
