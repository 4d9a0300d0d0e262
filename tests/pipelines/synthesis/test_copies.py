"""Drawing without copies: which images are suspected, and what stands in their place."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest

from pipelines.artefacts.generator_run import load_generator
from pipelines.artefacts.image_sets import ImageSet, read_images
from pipelines.artefacts.seen import split_seen
from pipelines.artefacts.shards import open_shards
from pipelines.synthesis.copies import copy_finder, draw_without_copies
from tfrecords_tools.foundation.errors import CommandError


@pytest.fixture(scope="module")
def generator():
    """A stand-in of two classes that draws its latents as grey levels, 32 px."""
    latents, labels = keras.Input((1,)), keras.Input((), dtype="int32")
    grey = keras.layers.Reshape((1, 1, 1))(keras.layers.Activation("tanh")(latents))
    images = keras.layers.UpSampling2D(32)(keras.layers.Concatenate()([grey] * 3))
    network = keras.Model([latents, labels], images)
    return SimpleNamespace(network=network, sha256="", report={"classes": ["a", "b"]})


def brightness(images: ImageSet) -> np.ndarray:
    return images.images.mean(axis=(1, 2, 3))


def test_suspected_images_are_replaced_by_the_next_ones(generator):
    labels = np.array([0, 0, 0, 1, 1])
    seen = []

    def bright(images: ImageSet) -> np.ndarray:
        seen.extend(zip(images.labels, brightness(images) > 128, strict=True))
        return brightness(images) > 128

    drawn = draw_without_copies(generator, labels, 0, bright)
    rejected = [label for label, found in seen if found]
    assert rejected  # else this test says nothing
    assert drawn.rejected.tolist() == [rejected.count(0), rejected.count(1)]
    assert len(set(drawn.indices)) == len(labels)
    assert max(drawn.indices) < len(seen)
    kept = [index for index in range(5) if index in drawn.indices]
    assert kept == [index for index in range(5) if not seen[index][1]]  # what is no copy stays where it was
    np.testing.assert_array_equal(drawn.labels, labels)


def test_without_copies_nothing_changes(generator):
    drawn = draw_without_copies(generator, np.array([1, 0, 1]), 0, lambda images: np.zeros(len(images.labels), bool))
    assert drawn.indices.tolist() == [0, 1, 2]
    assert drawn.rejected.tolist() == [0, 0]


def test_a_generator_of_nothing_but_copies_is_given_up(generator):
    with pytest.raises(CommandError, match="40 of 40 images lie suspiciously near to a training image"):
        draw_without_copies(generator, np.zeros(4, int), 0, lambda images: np.ones(len(images.labels), bool))


@pytest.mark.slow
def test_training_images_are_suspected_turned_or_not_and_held_out_ones_hardly(gan, shards, tmp_path):
    loaded = load_generator(str(gan), "gan")
    find = copy_finder(
        loaded,
        np.array([0, 1]),
        shards_path=str(shards),
        features="pixels",
        weights="",
        cache_dir="",
        feature_dir=tmp_path,
    )
    seen, held_out = split_seen(open_shards(str(shards), "shards"), loaded.report["trained_on"], "shards")
    training, others = (read_images(open_shards(str(shards), "shards"), entries, 32) for entries in (seen, held_out))
    turned = ImageSet(np.rot90(training.images, axes=(1, 2)), training.labels, training.groups, training.names, "")
    assert find(training).all()
    assert find(turned).all()
    assert find(others).mean() <= 0.05
