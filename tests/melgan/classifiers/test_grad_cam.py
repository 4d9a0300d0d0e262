"""Class activation maps: equal to what they are by hand, and of every backbone."""

import keras
import numpy as np
import pytest
from keras import layers

from melgan.classifiers.config import ClassifierConfig
from melgan.classifiers.grad_cam import class_activation_maps, explaining_map
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


@pytest.mark.parametrize(
    ("name", "image_size", "side", "channels"),
    [
        ("small_cnn", 64, 8, 48),  # the finest of three scales that are pooled
        ("small_cnn", 224, 7, 160),  # the coarsest
        ("efficientnet_lite0", 128, 8, 672),
        ("efficientnet_lite0", 224, 7, 1280),
    ],
)
def test_the_last_map_with_seven_places_a_side_explains(name, image_size, side, channels):
    model = build_classifier(ClassifierConfig(backbone=name, image_size=image_size, weights="none"), 2)
    assert explaining_map(model).shape[1:] == (side, side, channels)


def test_of_three_scales_the_finest_speaks_with_its_own_weights_and_through_the_others():
    """At 64 px: weights of all scales count."""
    model = build_classifier(ClassifierConfig(backbone="small_cnn", image_size=64, weights="none"), 2)
    images = np.random.default_rng(1).uniform(0, 255, (1, 64, 64, 3)).astype(np.float32)
    before = class_activation_maps(model, images, np.zeros(1, int))
    kernel = model.get_layer("logits").kernel
    for scale in (slice(0, 48), slice(48, 144), slice(144, None)):
        changed = kernel.numpy()
        changed[scale] = np.random.default_rng(2).normal(size=changed[scale].shape)
        kernel.assign(changed)
        after = class_activation_maps(model, images, np.zeros(1, int))
        assert np.abs(after - before).max() > 1e-3
        before = after


def test_a_network_without_a_map_is_refused():
    images = keras.Input((8, 8, 3))
    model = keras.Model(images, [layers.Dense(2)(layers.Flatten()(images))], name="flat")
    with pytest.raises(ConfigError, match="flat"):
        class_activation_maps(model, IMAGES, np.zeros(3, int))
