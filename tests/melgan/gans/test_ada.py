import math

import numpy as np
import pytest
import tensorflow as tf

from melgan.gans.augmentations.ada import (
    adapted,
    random_colours,
    random_geometry,
    recoloured,
    scaling,
    shift,
    turn,
    turned_around,
    warped,
)
from melgan.gans.trainer import GanTrainer
from melgan.training.checkpoints import Checkpoints
from melgan.training.randomness import Draws
from tests.melgan.gans.tiny_gan import CLASS_COUNTS, enlarge_weights, take_steps, tiny_batches, tiny_config

SIZE = 8


@pytest.fixture
def image():
    return tf.constant(np.random.default_rng(0).uniform(-1, 1, (1, SIZE, SIZE, 3)), tf.float32)


def moved(image, matrix):
    return warped(image, matrix).numpy()


def test_flips_and_quarter_turns_only_move_pixels(image):
    flipped = moved(image, scaling(tf.constant([-1.0]), tf.constant([1.0])))
    np.testing.assert_allclose(flipped, image[:, :, ::-1], atol=1e-5)
    for quarters in range(4):
        turned = moved(image, turn(tf.constant([0.5 * math.pi * quarters])))
        np.testing.assert_allclose(turned, np.rot90(image, quarters, axes=(1, 2)), atol=1e-5)


def test_shifts_by_whole_and_half_pixels(image):
    right_and_up = moved(image, shift(tf.constant([[2.0, -1.0]])))
    np.testing.assert_allclose(right_and_up[:, :-1, 2:], image[:, 1:, :-2], atol=1e-5)
    np.testing.assert_allclose(right_and_up[:, :-1, :2], image[:, 1:, 2:0:-1], atol=1e-5)  # the mirror's
    half = moved(image, shift(tf.constant([[0.5, 0.0]])))
    np.testing.assert_allclose(half[:, :, 1:], (image[:, :, 1:] + image[:, :, :-1]) / 2, atol=1e-5)


def test_twice_as_large_shows_the_middle_half(image):
    enlarged = moved(image, scaling(tf.constant([2.0]), tf.constant([2.0])))
    # Pixel 0 comes from place -3.5 / 2 from the middle, which is 1.75, a quarter before the middle of pixel 2.
    expected = 0.25 * image[0, 1, 1] * 0.25 + 0.75 * 0.25 * (image[0, 1, 2] + image[0, 2, 1]) + 0.5625 * image[0, 2, 2]
    np.testing.assert_allclose(enlarged[0, 0, 0], expected, atol=1e-5)


def test_far_outside_the_image_is_mirrored_again_and_again():
    ramp = tf.reshape(tf.repeat(tf.range(4.0), 3), [1, 1, 4, 3]) * tf.ones([1, 4, 1, 1])
    far = moved(ramp, shift(tf.constant([[-9.0, 0.0]])))
    np.testing.assert_allclose(far[0, 0, :, 0], [3, 2, 1, 0], atol=1e-4)  # places 9 to 12 of 0 1 2 3 2 1 0 1 2 3 ...


def test_hue_turned_by_a_third_exchanges_the_channels():
    white = tf.constant([1.0, 1.0, 1.0, 0.0]) / math.sqrt(3)
    matrix = turned_around(white, white[:, None] * white[None, :], tf.constant([[[2 * math.pi / 3]]]))
    pixel = tf.reshape(tf.constant([0.1, 0.5, -0.3]), [1, 1, 1, 3])
    np.testing.assert_allclose(recoloured(pixel, matrix).numpy().ravel(), [-0.3, 0.1, 0.5], atol=1e-6)


def test_colours_of_grey_stay_grey():
    matrices = random_colours(Draws(tf.constant([1, 2]), 0, 200, 1), tf.constant(1.0))
    grey = recoloured(tf.fill([200, 1, 1, 3], 0.4), matrices).numpy().reshape(200, 3)
    np.testing.assert_allclose(grey - grey.mean(axis=1, keepdims=True), 0, atol=1e-5)
    assert grey.std() > 0.2


def test_strength_is_the_probability_of_every_change():
    """Half of the flips do nothing, as does a quarter of the quarter turns, and a shift by less than half a pixel."""
    count = 4000
    matrices = random_geometry(Draws(tf.constant([1, 2]), 0, count, 1), tf.constant(0.2), 4).numpy()
    unchanged = np.isclose(matrices, np.eye(3), atol=1e-6).all(axis=(1, 2)).mean()
    turning = 1 - math.sqrt(0.8)
    # A shift of at most half a pixel of four is rounded to none, or at its very end to one.
    expected = 0.9 * 0.85 * 1.0 * 0.8 * (1 - turning) * 0.8 * (1 - turning) * 0.8
    assert unchanged == pytest.approx(expected, abs=3 * math.sqrt(expected * (1 - expected) / count))


def test_strength_follows_a_made_up_signal():
    strength = tf.constant(0.0)
    history = []
    for real_sign in [1.0] * 100 + [0.6] * 10 + [0.5] * 30 + [-1.0] * 200:
        strength = adapted(strength, tf.constant(real_sign), 500)
        history.append(float(strength))
    assert history[99] == pytest.approx(0.1, rel=1e-4)  # 50,000 of 500,000 images
    assert history[109] == history[99]
    assert history[139] == pytest.approx(0.07, rel=1e-3)
    assert history[-1] == 0.0
    assert float(adapted(tf.constant(0.9999), tf.constant(1.0), 500)) == 1.0


def trainer_of(strategy):
    trainer = GanTrainer(tiny_config(augmentation="ada", disc_steps=3), CLASS_COUNTS, strategy)
    enlarge_weights(trainer.networks.discriminator)
    logit = trainer.networks.discriminator.head.get_layer("logit")
    *others, bias = logit.get_weights()
    logit.set_weights([*(0 * weight for weight in others), bias + 1])  # sure of every image
    return trainer


def test_training_follows_the_discriminator_and_a_checkpoint_holds_the_strength(one_device, tmp_path):
    trainer = trainer_of(one_device)
    measured = take_steps(trainer, tiny_batches(), count=4)
    np.testing.assert_array_equal(measured["real_sign"], 1.0)
    assert float(trainer.strength) == pytest.approx(4 * 3 * 4 / 500_000)
    Checkpoints(tmp_path, trainer, one_device).save(4)
    other = trainer_of(one_device)
    assert Checkpoints(tmp_path, other, one_device).restore() == 4
    assert float(other.strength) == float(trainer.strength)


def test_other_augmentations_have_no_strength(one_device):
    trainer = GanTrainer(tiny_config(augmentation="diffaugment"), CLASS_COUNTS, one_device)
    take_steps(trainer, tiny_batches(), count=2)
    assert float(trainer.strength) == 0.0
