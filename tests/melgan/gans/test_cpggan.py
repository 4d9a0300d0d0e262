"""PGGAN that is told where boxes lie: they enter both networks, and a fake is shown with its own."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from melgan.gans.architectures import cpggan
from melgan.gans.architectures.networks import NetworkShape
from melgan.gans.fading import grow
from melgan.gans.step import Use
from melgan.gans.trainer import GanTrainer
from melgan.images import to_signed_float
from melgan.layers.box_map import MAX_BOXES, rasterise
from tests.melgan.gans.tiny_gan import (
    CLASS_COUNTS,
    enlarge_weights,
    random_boxes,
    random_table,
    shown_to,
    take_steps,
    tiny_batch,
    tiny_batches,
)
from tests.melgan.gans.tiny_gan import tiny_config as config_of
from tfrecords_tools.foundation.errors import ConfigError

LABELS = tf.constant([1, 0, 1, 1])
LATENTS = tf.constant(np.random.default_rng(0).normal(size=(4, 8)), tf.float32)
IMAGES = np.random.default_rng(1).uniform(-1, 1, (4, 32, 32, 3)).astype(np.float32)
NO_BOX = np.zeros((4, MAX_BOXES, 4), np.float32)
SHAPE = NetworkShape(image_size=32, num_classes=2, latent_dim=8, width=0.02)


def tiny_config(**settings):
    return config_of(method="cpggan", **settings)


def whole_image():
    """One box over all of each image."""
    boxes = NO_BOX.copy()
    boxes[:, 0] = [0, 0, 1, 1]
    return boxes


def make_trainer(strategy, **settings):
    trainer = GanTrainer(tiny_config(width=0.02, **settings), CLASS_COUNTS, strategy)
    trainer.networks.box_table.fill(random_table(len(CLASS_COUNTS)))
    trainer.start_average()
    return trainer


@pytest.fixture(scope="module")
def networks():
    keras.utils.set_random_seed(0)
    networks = cpggan.build(SHAPE)
    enlarge_weights(networks.generator)
    enlarge_weights(networks.discriminator)
    networks.box_table.fill(random_table(2))
    return networks


def with_given_boxes(generator, box_table):
    """Returns a generator as one of latents, labels and boxes."""
    return keras.Model([*generator.inputs, box_table.output], generator.output)


@pytest.fixture(scope="module")
def trainer(one_device):
    return make_trainer(one_device)


@pytest.mark.parametrize("level", range(4))
def test_boxes_enter_both_networks_at_every_level(networks, level):
    grow(tf.constant(float(level)), networks.generator, networks.discriminator.trunk)
    networks_of_level = networks.levels[level]
    draw = with_given_boxes(networks_of_level.generator, networks.box_table)
    nothing, everything = (draw([LATENTS, LABELS, tf.constant(boxes)]).numpy() for boxes in (NO_BOX, whole_image()))
    assert np.abs(nothing - everything).reshape(4, -1).max(axis=1).min() > 0.01
    shown = [np.concatenate([IMAGES, np.full((4, 32, 32, 1), value, np.float32)], axis=-1) for value in (0, 1)]
    logits = [networks_of_level.discriminator(images, LABELS).numpy() for images in shown]
    assert np.abs(logits[0] - logits[1]).min() > 1e-4


def test_a_channel_of_the_map_is_beside_the_features_of_every_resolution(networks):
    """At a width of 0.02 all resolutions of 32 px have 10 filters."""
    generator, trunk = networks.generator, networks.discriminator.trunk

    def inputs(network, name):
        return network.get_layer(name).kernel.shape[2]

    assert [inputs(generator, name) for name in ("innermost", "up_8_1", "up_16_1", "up_32_1")] == [11] * 4
    assert [inputs(trunk, name) for name in ("down_8_1", "down_16_1", "down_32_1")] == [11] * 3
    assert inputs(trunk, "innermost") == 12  # and that of the minibatch
    assert inputs(trunk, "from_images_32") == 3


def test_chosen_boxes_given_give_the_same_image_whatever_chose_them(networks):
    """What draws the image does not see the number that chooses."""
    chosen = networks.box_table(LATENTS, LABELS)
    others = tf.concat([LATENTS[:, :1] + 1.0, LATENTS[:, 1:]], axis=1)
    drawn = networks.generator([LATENTS, LABELS])
    draw = with_given_boxes(networks.generator, networks.box_table)
    np.testing.assert_array_equal(draw([others, LABELS, chosen]), drawn)
    assert not np.array_equal(networks.generator([others, LABELS]), drawn)


def test_real_images_are_shown_with_the_map_of_their_boxes(trainer):
    batch = tiny_batch()
    shown, _ = shown_to(trainer, batch)
    np.testing.assert_array_equal(shown[..., :3], to_signed_float(batch["image"]))
    np.testing.assert_array_equal(shown[..., 3:], rasterise(batch["boxes"], 32))


def test_fakes_are_shown_with_the_map_of_the_boxes_they_were_asked_for(trainer):
    shown, labels, _ = trainer.step_at().generate(LABELS, trainer.draws(0))
    latents = trainer.draws(0).fold(Use.LATENTS).normal(8)
    boxes = trainer.networks.box_table(latents, labels)
    assert np.ptp(np.reshape(boxes, (4, -1)), axis=0).max() > 0.1
    np.testing.assert_array_equal(shown[..., 3:], rasterise(boxes, 32))
    images = with_given_boxes(trainer.networks.generator, trainer.networks.box_table)([latents, labels, boxes])
    np.testing.assert_allclose(shown[..., :3], images, atol=1e-6)


def test_the_gradient_penalty_counts_the_pixels_of_images_only(networks):
    shown = tf.concat([IMAGES, rasterise(random_boxes(4), 32)], axis=-1)
    with tf.GradientTape() as tape:
        tape.watch(shown)
        logits = networks.discriminator(shown, LABELS)
    gradients = tape.gradient(logits, shown)
    assert np.abs(gradients[..., :3]).max() > 1e-4
    assert not np.any(gradients[..., 3:])


def test_the_table_is_in_the_file_of_weights(networks, tmp_path):
    networks.generator.save_weights(tmp_path / "generator.weights.h5")
    other = cpggan.build(SHAPE)
    other.generator.load_weights(tmp_path / "generator.weights.h5")
    np.testing.assert_array_equal(other.box_table.table, random_table(2))
    np.testing.assert_array_equal(other.generator([LATENTS, LABELS]), networks.generator([LATENTS, LABELS]))


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_boxes_are_exact_in_half_precision(one_device, precision):
    trainer = make_trainer(one_device, precision=precision)
    latents = tf.random.stateless_normal([64, 8], [0, 0])
    labels = tf.zeros([64], tf.int32)
    rows = trainer.networks.box_table(latents, labels).numpy()
    assert {box.tobytes() for box in rows} <= {box.tobytes() for box in random_table(2)[0]}
    shown, *_ = trainer.step_at().generate(LABELS, trainer.draws(0))
    assert shown.dtype == tf.float32
    values = take_steps(trainer, tiny_batches(), count=1)
    assert all(np.isfinite(value).all() for value in values.values())


def test_networks_of_other_methods_have_no_table(one_device):
    assert GanTrainer(config_of(), CLASS_COUNTS, one_device).networks.box_table is None


def test_latents_without_room_for_an_image_are_refused():
    with pytest.raises(ConfigError, match="latent_dim.* 1.* 2"):
        cpggan.build(NetworkShape(image_size=32, num_classes=2, latent_dim=1, width=0.02))
