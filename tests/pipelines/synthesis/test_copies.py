"""Drawing without copies: which images are suspected, and what stands in their place."""

from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf

from melgan.gans.config import GanConfig
from melgan.gans.sampler import LabelSampler
from melgan.sampling import Requests, SampledImages
from pipelines import synthesize
from pipelines.artefacts.feature_store import FeatureStore, make_extractor
from pipelines.artefacts.image_sets import ImageSet, Part, SyntheticImages, read_images
from pipelines.artefacts.shards import open_shards
from pipelines.contract.shared_settings import SamplingSettings
from pipelines.synthesis.copies import copy_finder, draw_without_copies, require_comparable
from pipelines.synthesis.samplers import SAMPLERS, open_sampler
from pipelines.synthesize import SynthesizeConfig
from tests.pipelines.conftest import records_of
from tfrecords_tools.foundation.errors import CommandError
from tfrecords_tools.manifest import read_manifest


@pytest.fixture(scope="module")
def images() -> SyntheticImages:
    """Those of a stand-in of two classes that draws its latents as grey levels, 32 px."""
    latents, labels = keras.Input((1,)), keras.Input((), dtype="int32")
    grey = keras.layers.Reshape((1, 1, 1))(keras.layers.Activation("tanh")(latents))
    drawn = keras.layers.UpSampling2D(32)(keras.layers.Concatenate()([grey] * 3))
    config = GanConfig(latent_dim=1, image_size=32)
    sampler = LabelSampler(keras.Model([latents, labels], drawn), config, ("a", "b"), seed=0)
    return SyntheticImages(sampler, ("", 0), quality=95)


def brightness(images: ImageSet) -> np.ndarray:
    return images.images.mean(axis=(1, 2, 3))


def test_suspected_images_are_replaced_by_the_next_ones(images):
    labels = np.array([0, 0, 0, 1, 1])
    seen = []

    def bright(images: ImageSet) -> np.ndarray:
        seen.extend(zip(images.labels, brightness(images) > 128, strict=True))
        return brightness(images) > 128

    drawn = draw_without_copies(images, labels, bright)
    rejected = [label for label, found in seen if found]
    assert rejected  # else this test says nothing
    assert drawn.rejected.tolist() == [rejected.count(0), rejected.count(1)]
    indices = drawn.requests.index
    assert len(set(indices)) == len(labels)
    assert max(indices) < len(seen)
    assert sorted(indices) == [index for index, (_, found) in enumerate(seen) if not found]
    assert [seen[index][0] for index in indices] == labels.tolist()  # class by class, each in one run
    assert all(indices[row] == row for row in range(3) if not seen[row][1])  # what is no copy stays where it was
    np.testing.assert_array_equal(drawn.requests.label, labels)


def test_without_copies_nothing_changes(images):
    drawn = draw_without_copies(images, np.array([0, 1, 1]), lambda images: np.zeros(len(images.labels), bool))
    assert drawn.requests.index.tolist() == [0, 1, 2]
    assert drawn.requests.label.tolist() == [0, 1, 1]
    assert drawn.rejected.tolist() == [0, 0]


def test_a_generator_of_nothing_but_copies_is_given_up(images):
    with pytest.raises(CommandError, match="40 of 40 images"):
        draw_without_copies(images, np.zeros(4, int), lambda images: np.ones(len(images.labels), bool))


@pytest.mark.slow
def test_training_images_are_suspected_turned_or_not_and_held_out_ones_hardly(gan, shards, tmp_path):
    opened = open_shards(str(shards), "shards")
    generator = open_sampler(str(gan), "gan", SamplingSettings())
    real = require_comparable(generator, opened, np.array([0, 1]))
    store = FeatureStore(tmp_path, make_extractor("pixels", "", opened, real.held_out))
    find = copy_finder(real, generator.sampler.image_size, store)
    training, others = (read_images(opened, entries, 32) for entries in (real.seen, real.held_out))
    turned = replace(
        training,
        images=np.rot90(training.images, axes=(1, 2)),
        parts=(Part("turned", len(training.labels)),),
    )
    assert find(training).all()
    assert find(turned).all()
    assert find(others).mean() <= 0.05


class Noise:
    """A sampler of images with so much detail that their JPEGs of two qualities differ."""

    classes, image_size, conditions = ("benign", "malignant"), 32, frozenset()

    def capacity(self, label: int) -> None:
        del label

    def draw(self, requests: Requests) -> SampledImages:
        drawn = [np.random.default_rng(index).integers(0, 256, (32, 32, 3)) for index in requests.index]
        return SampledImages(images=np.stack(drawn).astype(np.uint8), boxes=None, made_from=((),) * len(requests))

    def interpolate(self, label: int, steps: int) -> None:
        del label, steps


@pytest.mark.slow
def test_copies_are_looked_for_in_the_images_as_they_are_stored(gan, tmp_path, monkeypatch):
    """At the quality that is asked for: what is rejected or not is the file, not a better version of it."""
    looked_at: dict[int, np.ndarray] = {}
    kind = SAMPLERS["train_gan"]
    noise = replace(kind, open=lambda *arguments: replace(kind.open(*arguments), sampler=Noise()))
    monkeypatch.setitem(SAMPLERS, "train_gan", noise)

    def find_every_fifth(images: ImageSet) -> np.ndarray:
        indices = [int(name.rpartition(" ")[2]) for name in images.names]
        looked_at.update(zip(indices, images.images, strict=True))
        return np.array(indices) % 5 == 1

    monkeypatch.setattr(synthesize, "copy_finder", lambda *arguments: find_every_fifth)
    settings = {"gan": str(gan), "label": "malignant", "count": 8, "shard_size": 3, "quality": 50}
    synthesize.run(SynthesizeConfig(**settings, output=str(tmp_path), reject_copies=True))
    assert read_manifest(tmp_path).encoder["quality"] == 50
    written = {row["index"][0]: tf.io.decode_jpeg(row["image"][0]) for row in records_of(tmp_path, "synthetic")}
    assert sorted(written) == [0, 2, 3, 4, 5, 7, 8, 9]  # 1 and 6 were rejected
    for index, image in written.items():
        np.testing.assert_array_equal(image, looked_at[index])
    better = SyntheticImages(Noise(), ("", 0), quality=95).draw(Requests(index=np.arange(10), label=np.ones(10, int)))
    assert all((image != looked_at[index]).any() for index, image in enumerate(better.images))
