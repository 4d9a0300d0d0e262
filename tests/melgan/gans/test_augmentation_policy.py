"""Parts of augmentations, each alone as it is among all."""

import numpy as np
import pytest
import tensorflow as tf

from melgan.gans.augmentations import AUGMENTATIONS
from melgan.gans.augmentations.ada import warped
from melgan.gans.combinations import require_possible
from melgan.gans.trainer import GanTrainer
from melgan.training.randomness import Draws
from tests.melgan.gans.tiny_gan import CLASS_COUNTS, tiny_config
from tfrecords_tools.foundation.errors import ConfigError

BATCH, SIZE = 16, 16
PARTS = [(name, part) for name, augmentation in AUGMENTATIONS.items() for part in augmentation.parts]
FULL = tf.constant(1.0)


@pytest.fixture
def images():
    return tf.constant(np.random.default_rng(0).uniform(-1, 1, (BATCH, SIZE, SIZE, 3)), tf.float32)


def augmented(name, images, *policy):
    return AUGMENTATIONS[name].of_parts(policy).augment(images, Draws(tf.constant([1, 2]), 0, BATCH, 1), FULL).numpy()


def test_no_policy_is_all_parts(images):
    assert {name: augmentation.parts for name, augmentation in AUGMENTATIONS.items()} == {
        "none": (),
        "diffaugment": ("colour", "translation", "cutout"),
        "ada": ("blitting", "geometry", "colour"),
    }
    for name, augmentation in AUGMENTATIONS.items():
        np.testing.assert_array_equal(augmented(name, images), augmented(name, images, *augmentation.parts))


def test_parts_of_diffaugment_follow_one_another_as_among_all(images):
    in_turn = images
    for part in ("colour", "translation", "cutout"):
        in_turn = augmented("diffaugment", in_turn, part)
    np.testing.assert_allclose(in_turn, augmented("diffaugment", images), atol=1e-6)


def test_colours_of_ada_follow_its_geometry_as_among_all(images):
    moved = augmented("ada", images, "blitting", "geometry")
    np.testing.assert_allclose(augmented("ada", moved, "colour"), augmented("ada", images), atol=1e-5)


@pytest.mark.parametrize(("name", "part"), PARTS)
def test_only_colour_changes_the_set_of_colours(name, part):
    """Images of one grey stay so: what moves or is cut out takes grey from the middle of the range, or the mirror."""
    grey = tf.zeros([BATCH, SIZE, SIZE, 3])
    assert (np.abs(augmented(name, grey, part)).max() > 0.1) == (part == "colour")


@pytest.mark.parametrize(("name", "part"), PARTS)
def test_only_colour_leaves_pixels_in_their_places(name, part):
    """One white pixel: afterwards either every image has it where it was, or some do not."""
    images = np.zeros((BATCH, SIZE, SIZE, 3), np.float32)
    images[:, 3, 5] = 1.0
    found = augmented(name, tf.constant(images), part)
    away = np.abs(found - np.roll(found, 1, axis=2)).max(axis=3)  # where a pixel differs from its neighbour
    moved = np.delete(away, 3, axis=1).max() > 1e-3 or not np.allclose(away[:, 3, 5], away[:, 3, 6], atol=1e-5)
    lost = np.abs(found[:, 3, 5]).max(axis=1).min() < 1e-6
    assert (moved or lost) == (part != "colour")


def test_blitting_moves_pixels_and_makes_none(images):
    found = augmented("ada", images, "blitting")
    for image, before in zip(found, images.numpy(), strict=True):
        assert np.abs(image[8, 8] - before).max(axis=2).min() < 1e-4  # a pixel in the middle was one before
    assert not np.allclose(found, images)
    unmoved = warped(images, tf.eye(3, batch_shape=[BATCH]))
    np.testing.assert_allclose(unmoved, images, atol=1e-6)


def test_the_trainer_uses_the_policy(one_device):
    config = tiny_config(method="gan", augmentation="diffaugment", augmentation_policy=("cutout",))
    assert GanTrainer(config, CLASS_COUNTS, one_device).step_at().augmentation.parts == ("cutout",)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"augmentation_policy": ("colour",)}, "augmentation_policy.*colour.*none.*--augmentation=diffaugment"),
        (
            {"augmentation": "diffaugment", "augmentation_policy": ("cutout", "geometry")},
            "augmentation_policy.*geometry.*diffaugment.*colour, translation, cutout",
        ),
        ({"augmentation": "ada", "augmentation_policy": ("cutout",)}, "cutout.*ada.*blitting, geometry, colour"),
    ],
)
def test_a_part_that_there_is_not_is_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        require_possible(tiny_config(**settings), CLASS_COUNTS)
