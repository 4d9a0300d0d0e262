import itertools

import numpy as np
import pytest
import tensorflow as tf

from melgan.classifiers.augmentation import AUGMENTATIONS, NUM_VIEWS, dihedral_view


@pytest.fixture
def image():
    """An image [8, 8, 3] without any symmetry."""
    return np.random.default_rng(0).integers(0, 256, (8, 8, 3)).astype(np.uint8)


def symmetries(image):
    """The eight flips and quarter turns, by numpy."""
    return [np.rot90(side, turns) for side in (image, image[:, ::-1]) for turns in range(4)]


def augmented(image, name, number):
    """Returns the image under `number` seeds, as in a tf.data pipeline."""
    seeds = tf.data.Dataset.range(number).map(lambda index: tf.stack([tf.constant(5, tf.int64), index]))
    batches = seeds.map(lambda seed: AUGMENTATIONS[name](tf.constant(image), seed)).batch(number)
    return next(iter(batches)).numpy()


def test_views_are_the_eight_symmetries(image):
    views = {dihedral_view(tf.constant(image[None]), view)[0].numpy().tobytes() for view in range(NUM_VIEWS)}
    assert len(views) == 8
    assert views == {symmetry.tobytes() for symmetry in symmetries(image)}


def test_first_view_is_the_image_itself(image):
    np.testing.assert_array_equal(dihedral_view(tf.constant(image[None]), 0)[0], image)


def test_a_view_of_a_view_is_a_view(image):
    views = [dihedral_view(tf.constant(image[None]), view) for view in range(NUM_VIEWS)]
    known = {view.numpy().tobytes() for view in views}
    for view, number in itertools.product(views, range(NUM_VIEWS)):
        assert dihedral_view(view, number).numpy().tobytes() in known


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_shape_and_type_stay_and_the_seed_decides(image, name):
    once, again = augmented(image, name, 20), augmented(image, name, 20)
    assert (once.shape, once.dtype) == ((20, 8, 8, 3), np.uint8)
    np.testing.assert_array_equal(once, again)
    assert len(np.unique(once, axis=0)) == {"none": 1, "dihedral": 8}.get(name, 20)


def test_no_augmentation_changes_nothing(image):
    np.testing.assert_array_equal(augmented(image, "none", 1)[0], image)


def test_dihedral_draws_every_symmetry_equally_often(image):
    drawn = augmented(image, "dihedral", 800)
    counts = [(drawn == symmetry).all(axis=(1, 2, 3)).sum() for symmetry in symmetries(image)]
    assert sum(counts) == 800
    assert np.abs(np.subtract(counts, 100)).max() <= 38  # 4 standard deviations


def test_colour_changes_only_the_brightness_of_an_even_grey():
    grey = np.full((8, 8, 3), 100, np.uint8)
    drawn = augmented(grey, "dihedral_colour", 200)
    assert np.ptp(drawn, axis=(1, 2, 3)).max() == 0
    assert 92 <= drawn.min() < 95
    assert 105 < drawn.max() <= 108


def test_colour_stays_close_to_a_symmetry(image):
    for drawn in augmented(image, "dihedral_colour", 20).astype(int):
        assert min(np.abs(drawn - symmetry).mean() for symmetry in symmetries(image)) < 0.15 * 255
