from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf

from melgan.gans.architectures import ARCHITECTURES
from melgan.gans.objectives import OBJECTIVES
from melgan.gans.trainer import GanTrainer
from melgan.gans.transfer import read_discriminator, require_same_networks, transfer_weights
from melgan.training.checkpoints import Checkpoints
from melgan.training.distribution import make_strategy
from tests.melgan.gans.tiny_gan import (
    CLASS_COUNTS,
    enlarge_weights,
    flat,
    random_table,
    take_steps,
    tiny_batches,
    tiny_config,
)
from tests.melgan.without_tracing import without_tracing
from tfrecords_tools.foundation.errors import ConfigError

SOURCE_CLASSES, TARGET_CLASSES = ("benign", "malignant"), ("nevus", "malignant", "benign")
TARGET_COUNTS = (3, 2, 6)
CLASS_TABLES = ("embeddings", "means", "factors", "class_rows", "class_biases", "table")


def train(trainer, num_steps=2):
    with without_tracing():
        return take_steps(trainer, tiny_batches(), count=num_steps)


def transfer(source, target, target_classes=TARGET_CLASSES):
    transfer_weights(
        source.average.generator,
        source.networks.discriminator,
        target,
        source_classes=SOURCE_CLASSES,
        target_classes=target_classes,
    )


def parts(networks):
    return networks.generator, networks.discriminator.trunk, networks.discriminator.head


def rows_of_classes(network):
    """Returns all that a network holds of each class, `[num_classes, n]`."""
    tables = class_tables(network)
    return np.concatenate([np.reshape(table, (table.shape[0], -1)) for table in tables], axis=1)


def class_tables(network):
    return [weight for weight in network.weights if weight.name in CLASS_TABLES]


@pytest.fixture(scope="module", params=ARCHITECTURES)
def source(request, one_device):
    """A GAN of two classes after two steps; its average is behind its generator."""
    objective = "softmax_cross_entropy" if ARCHITECTURES[request.param].has_fake_class else "sigmoid_cross_entropy"
    settings = {"objective": objective, "penalty": "none", "autoencoder_epochs": 0}
    config = tiny_config(architecture=request.param, **settings, wrong_labels=OBJECTIVES[objective].takes_wrong_labels)
    trainer = GanTrainer(config, CLASS_COUNTS, one_device)
    if trainer.networks.box_table is not None:
        trainer.networks.box_table.fill(random_table(len(CLASS_COUNTS)))
    trainer.start_average()
    train(trainer)
    assert not np.array_equal(flat(trainer.networks.generator.weights), flat(trainer.average.generator.weights))
    return trainer


@pytest.fixture(scope="module")
def target(source, one_device):
    """A GAN of other classes, which receives weights in each test that it is in: built once, as it takes seconds."""
    return GanTrainer(replace(source.config, seed=1), TARGET_COUNTS, one_device)


@pytest.fixture
def transferred(source, target):
    transfer(source, target)
    return target


@pytest.fixture(scope="module")
def of_equal_classes(source, one_device):
    return GanTrainer(replace(source.config, seed=1), CLASS_COUNTS, one_device)


def test_weights_without_classes_are_equal(source, transferred):
    olds = (source.average.generator, *parts(source.networks)[1:])
    for old, new in zip(olds, parts(transferred.networks), strict=True):
        copied = [pair for pair in zip(old.weights, new.weights, strict=True) if pair[0].shape == pair[1].shape]
        tables = class_tables(new)
        assert len(new.weights) - len(copied) == len(tables)
        assert bool(tables) == ("trunk" not in new.name)
        for before, after in copied:
            np.testing.assert_array_equal(before, after)


def test_rows_of_classes_go_by_name_and_new_classes_start_at_the_mean(source, transferred):
    pairs = (
        (source.average.generator, transferred.networks.generator),
        (source.networks.discriminator.head, transferred.networks.discriminator.head),
    )
    for old, new in pairs:
        benign, malignant = rows_of_classes(old)
        rows = rows_of_classes(new)
        np.testing.assert_array_equal(rows[1:], [malignant, benign])
        np.testing.assert_allclose(rows[0], (benign + malignant) / 2, rtol=1e-6, atol=1e-9)


def test_same_image_for_the_same_class_whatever_its_number(source, transferred):
    latents = tf.random.stateless_normal([2, source.config.latent_dim], [0, 0])
    old = source.average.generator([latents, tf.constant([0, 1])], training=False)
    new = transferred.networks.generator([latents, tf.constant([2, 1])], training=False)
    np.testing.assert_array_equal(old, new)


def test_average_starts_at_the_generator(transferred):
    average, generator = transferred.average.generator, transferred.networks.generator
    np.testing.assert_array_equal(flat(average.weights), flat(generator.weights))


def test_classes_in_another_order_are_copied_by_name_though_every_shape_is_equal(source, of_equal_classes):
    transfer(source, of_equal_classes, SOURCE_CLASSES[::-1])
    old = rows_of_classes(source.networks.discriminator.head)
    np.testing.assert_array_equal(rows_of_classes(of_equal_classes.networks.discriminator.head), old[::-1])


def test_training_goes_on_and_new_classes_part(source, target):
    """Two new classes start from one row; the real images that each is shown with tell them apart."""
    transfer(source, target, ("nevus", "keratosis", "benign"))
    head = target.networks.discriminator.head
    np.testing.assert_array_equal(*rows_of_classes(head)[:2])
    losses = train(target, 1)
    assert all(np.isfinite(loss).all() for loss in losses.values())
    assert not np.array_equal(*rows_of_classes(head)[:2])


def test_without_a_discriminator_only_the_generator_is_copied(source, of_equal_classes):
    networks = of_equal_classes.networks
    enlarge_weights(networks.discriminator)
    before = flat(networks.discriminator.trainable_variables)
    classes = {"source_classes": SOURCE_CLASSES, "target_classes": SOURCE_CLASSES}
    transfer_weights(source.average.generator, None, of_equal_classes, **classes)
    np.testing.assert_array_equal(flat(networks.generator.weights), flat(source.average.generator.weights))
    np.testing.assert_array_equal(flat(networks.discriminator.trainable_variables), before)


@pytest.mark.parametrize("source", ["bagan_gp"], indirect=True)
def test_every_replica_receives_the_weights(source):
    trainer = GanTrainer(source.config, TARGET_COUNTS, make_strategy("mirrored"))
    transfer(source, trainer)
    first, received = (
        next(weight for weight in network.weights if weight.name == "kernel")
        for network in (source.average.generator, trainer.networks.generator)
    )
    for copy in received.value.values:
        np.testing.assert_array_equal(copy, first)


def test_discriminator_of_a_checkpoint_is_that_which_was_saved(source, one_device, tmp_path):
    Checkpoints(tmp_path, source, one_device).save(2)
    read = read_discriminator(tf.train.latest_checkpoint(tmp_path), source.config, len(SOURCE_CLASSES))
    for part in ("trunk", "head"):
        saved, restored = (getattr(each, part).weights for each in (source.networks.discriminator, read))
        np.testing.assert_array_equal(flat(saved), flat(restored))


@pytest.mark.parametrize(("damage", "num_classes"), [(True, 2), (False, 3)])
def test_checkpoint_that_does_not_fit_is_refused_by_name(source, one_device, tmp_path, damage, num_classes):
    Checkpoints(tmp_path, source, one_device).save(2)
    newest = tf.train.latest_checkpoint(tmp_path)
    if damage:
        index = tmp_path / "ckpt-2.index"
        index.write_bytes(index.read_bytes()[:-20])
    with pytest.raises(ConfigError, match=f"^{newest}: ") as raised:
        read_discriminator(newest, source.config, num_classes)
    assert "\n" not in str(raised.value)


def test_other_networks_are_refused_with_every_field_that_differs():
    other = tiny_config(width=0.2, image_size=64, learning_rate=0.1, seed=3)
    with pytest.raises(ConfigError) as raised:
        require_same_networks(tiny_config(), other)
    assert all(part in str(raised.value) for part in ("image_size was 32, now 64", "width was 0.1, now 0.2"))
    require_same_networks(tiny_config(), tiny_config(learning_rate=0.1, seed=3, objective="sigmoid_cross_entropy"))


def test_weight_that_mixes_classes_with_other_inputs_is_refused(one_device, monkeypatch):
    """A layer on [latents, one-hot label] has rows for both."""

    def build(shape):
        latents, labels = keras.Input((shape.latent_dim,)), keras.Input((), dtype="int32")
        one_hot = keras.layers.CategoryEncoding(shape.num_classes, output_mode="one_hot")(labels)
        x = keras.layers.Dense(32 * 32 * 3, name="mixing")(keras.layers.Concatenate()([latents, one_hot]))
        return replace(
            original.build(shape), generator=keras.Model([latents, labels], keras.layers.Reshape((32, 32, 3))(x))
        )

    original = ARCHITECTURES["bagan_gp"]
    monkeypatch.setitem(ARCHITECTURES, "mixing", replace(original, build=build))
    config = tiny_config(architecture="mixing")
    source, target = (GanTrainer(config, CLASS_COUNTS, one_device) for _ in range(2))
    with pytest.raises(ConfigError, match=r"mixing/kernel \[10, 3072\]"):
        transfer(source, target, SOURCE_CLASSES)
