"""What XLA is given for a classifier has static shapes and calls no library: of every backbone, at its size.

One network of each builder is lowered with its gradients. The others are built without weights, which takes no memory:
their layers are of the kinds that were lowered, and nothing but the batch is of unknown size.
"""

from functools import cache

import keras
import pytest
import tensorflow as tf

from melgan.classifiers.backbones import BACKBONES
from melgan.classifiers.trainer import ClassifierTrainer
from tests.melgan.classifiers.tiny_classifier import tiny_batch, tiny_config

# Name -> side of the images that the network was made for. Tan and Le 2019 and 2021; the Lite ones take those of B0 to
# B2 here, and small_cnn the default of all commands.
SIZES = {
    "small_cnn": 128,
    **dict(zip([f"efficientnet_lite{n}" for n in range(3)], (224, 240, 260), strict=True)),
    **dict(zip([f"efficientnet_b{n}" for n in range(8)], (224, 240, 260, 300, 380, 456, 528, 600), strict=True)),
    **dict(zip([f"efficientnet_v2_b{n}" for n in range(4)], (224, 240, 260, 300), strict=True)),
    "efficientnet_v2_s": 384,
    "efficientnet_v2_m": 480,
    "efficientnet_v2_l": 480,
}
# How the names of a builder begin -> the network of it that is lowered.
LOWERED = {
    "small_cnn": "small_cnn",
    "efficientnet_lite": "efficientnet_lite0",
    "efficientnet_b": "efficientnet_b0",
    "efficientnet_v2": "efficientnet_v2_b0",
}
# What of the settings of a layer decides which operations it is made of.
CHOICES = ("strides", "padding", "activation", "dilation_rate", "groups", "data_format", "axis", "pool_size")


def built_without_weights(name: str) -> keras.Model:
    with keras.StatelessScope(initialize_variables=False):
        return BACKBONES[name](SIZES[name], "none")


def kinds(network: keras.Model) -> set[tuple]:
    """The kinds of layers: their classes, with the settings that choose operations."""
    found = set()
    for layer in network.layers:
        config = layer.get_config()
        choices = [config.get(name) for name in CHOICES]
        is_amount = isinstance(layer, keras.layers.ZeroPadding2D)  # whose padding is as many pixels as a size needs
        found.add((type(layer).__name__, *(() if is_amount else map(str, choices))))
    return found


@cache
def kinds_lowered(name: str) -> set[tuple]:
    return kinds(built_without_weights(name))


@pytest.mark.parametrize("name", LOWERED.values())
def test_gradients_are_fit_for_an_accelerator(one_device, name):
    config = tiny_config(backbone=name, image_size=64, dropout=0.3, batch_size=8, mixing="cutmix")
    trainer = ClassifierTrainer(config, (5, 3), 100, one_device)

    @tf.function(autograph=False, jit_compile=True)
    def compiled(batch):
        return trainer.gradients(trainer.examples(batch, tf.constant(0, tf.int64))[0])

    batch = {key: tf.constant(value) for key, value in tiny_batch([0, 1] * 4).items()}
    batch["image"] = tf.image.resize(batch["image"], (64, 64), "nearest")
    program = compiled.experimental_get_compiler_ir(batch)(stage="hlo")
    assert program.count(" convolution(") > 25
    assert "[<=" not in program
    assert "custom-call" not in program


def test_every_backbone_has_its_size():
    assert list(SIZES) == list(BACKBONES)


@pytest.mark.parametrize("name", BACKBONES)
def test_nothing_but_the_batch_is_of_unknown_size_and_every_layer_of_a_kind_that_was_lowered(name):
    network = built_without_weights(name)
    for layer in network.layers:
        for tensor in tf.nest.flatten(layer.output):
            assert None not in tensor.shape[1:], layer.name
    lowered = next(lowered for prefix, lowered in LOWERED.items() if name.startswith(prefix))
    assert kinds(network) <= kinds_lowered(lowered)
