"""Class activation maps: equal to what they are by hand, and of every backbone."""

import keras
import numpy as np
import pytest
from keras import layers

from melgan.classifiers.config import ClassifierConfig
from melgan.classifiers.grad_cam import class_activation_maps
from melgan.classifiers.network import build_classifier
from tfrecords_tools.foundation.errors import ConfigError

IMAGES = np.random.default_rng(0).uniform(0, 255, (3, 8, 8, 3)).astype(np.float32)


def network(strides: int = 1, frozen: bool = False) -> tuple[keras.Model, keras.Model]:
    """A convolution, a global average pooling and a dense layer; and the convolution alone."""
    keras.utils.set_random_seed(3)
    images = keras.Input((8, 8, 3))
    features = layers.Conv2D(5, 3, strides, padding="same", activation="relu")(images)
    logits = layers.Dense(4, name="logits")(layers.GlobalAveragePooling2D()(features))
    model = keras.Model(images, [logits, layers.Dense(2)(layers.GlobalAveragePooling2D()(features))])
    for layer in model.layers:
        layer.trainable = not frozen
    return model, keras.Model(images, features)


@pytest.mark.parametrize("frozen", [False, True])
def test_of_a_dense_layer_on_pooled_features_it_is_the_sum_of_maps_by_their_weights(frozen):
    """CAM, Zhou et al. 2016: ReLU(sum_k w_k A_k), up to scale."""
    model, features = network(frozen=frozen)
    classes = np.array([2, 0, 3])
    weights = model.get_layer("logits").kernel.numpy()[:, classes]
    expected = np.maximum(np.einsum("nhwk,kn->nhw", features(IMAGES).numpy(), weights), 0)
    highest = expected.max(axis=(1, 2), keepdims=True)
    assert (highest > 0).sum() >= 2
    expected = np.divide(expected, highest, out=np.zeros_like(expected), where=highest > 0)
    np.testing.assert_allclose(class_activation_maps(model, IMAGES, classes), expected, atol=1e-5)


def test_a_class_that_nothing_speaks_for_has_an_empty_map():
    model, _ = network()
    model.get_layer("logits").kernel.assign(-np.ones((5, 4), np.float32))
    np.testing.assert_array_equal(class_activation_maps(model, IMAGES, np.zeros(3, int)), np.zeros((3, 8, 8)))


def test_maps_are_resized_to_the_image_and_reach_one():
    model, features = network(strides=2)
    model.get_layer("logits").kernel.assign(np.ones((5, 4), np.float32))
    maps = class_activation_maps(model, IMAGES, np.zeros(3, int))
    assert features.output_shape[1:3] == (4, 4)
    assert maps.shape == (3, 8, 8)
    np.testing.assert_allclose(maps.max(axis=(1, 2)), 1)


@pytest.mark.parametrize("name", ["small_cnn", "efficientnet_lite0", "efficientnet_b0", "efficientnet_v2_b0"])
def test_every_kind_of_backbone_has_maps_that_depend_on_image_and_class(name):
    keras.utils.set_random_seed(0)
    model = build_classifier(ClassifierConfig(backbone=name, image_size=64, weights="none", train_layers="all"), 3)
    images = np.random.default_rng(1).uniform(0, 255, (2, 64, 64, 3)).astype(np.float32)
    maps = np.stack([class_activation_maps(model, images, np.full(2, label)) for label in range(3)])
    assert maps.shape == (3, 2, 64, 64)
    assert np.isfinite(maps).all()
    assert maps.min() >= 0
    assert maps.max() <= 1
    assert np.abs(maps[0] - maps[1]).max() > 0.01
    alone = class_activation_maps(model, images[1:], np.zeros(1, int))
    np.testing.assert_allclose(alone[0], maps[0, 1], atol=1e-3)


def test_small_cnn_shows_the_coarsest_of_its_three_scales():
    """A change of the head's weights for the two finer ones changes nothing."""
    model = build_classifier(ClassifierConfig(backbone="small_cnn", image_size=64, weights="none"), 2)
    images = np.random.default_rng(1).uniform(0, 255, (1, 64, 64, 3)).astype(np.float32)
    before = class_activation_maps(model, images, np.zeros(1, int))
    kernel = model.get_layer("logits").kernel
    changed = kernel.numpy()
    changed[: 48 + 96] = 7
    kernel.assign(changed)
    np.testing.assert_allclose(class_activation_maps(model, images, np.zeros(1, int)), before, atol=1e-5)


def test_a_network_without_a_map_is_refused():
    images = keras.Input((8, 8, 3))
    model = keras.Model(images, [layers.Dense(2)(layers.Flatten()(images))], name="flat")
    with pytest.raises(ConfigError, match="flat"):
        class_activation_maps(model, IMAGES, np.zeros(3, int))
