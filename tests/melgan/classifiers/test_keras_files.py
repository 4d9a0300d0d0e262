"""Files of EfficientNet that users fetched elsewhere: of keras.applications, and of the package `efficientnet`.

Neither can be had here. What is written has their names of layers and weights, their shapes, and random numbers.
"""

import hashlib

import h5py
import keras
import numpy as np
import pytest

from melgan.classifiers.config import ClassifierConfig
from melgan.classifiers.network import build_classifier
from tfrecords_tools.foundation.errors import ConfigError

NORMALISATION = {"mean": (3,), "variance": (3,), "count": ()}
# As in the files of keras.applications, in which the deviation stands for the variance.
OF_KERAS = {"mean": [0.485, 0.456, 0.406], "variance": [0.229, 0.224, 0.225], "count": 0}
_OF_KINDS = {
    keras.layers.Conv2D: ("kernel", "bias"),
    keras.layers.DepthwiseConv2D: ("depthwise_kernel",),
    keras.layers.BatchNormalization: ("gamma", "beta", "moving_mean", "moving_variance"),
}


def layers_of(application):
    """Returns the names and shapes of the weights of each layer, as Keras 2 wrote them, but for the input's."""
    network = application(weights=None, include_top=False, input_shape=(32, 32, 3))
    return {
        layer.name: dict(zip(_OF_KINDS[type(layer)], (weight.shape for weight in layer.weights), strict=False))
        for layer in network.layers
        if layer.weights and not isinstance(layer, keras.layers.Normalization)
    }


def numbers(layer, weight, shape):
    return np.random.default_rng(list(f"{layer}/{weight}".encode())).uniform(0.5, 1.5, shape).astype(np.float32)


def write(path, layers, group=None):
    """Writes a file in the layout of Keras 2: a group for each layer, whose attribute names its weights in order."""
    with h5py.File(path, "w") as file:
        top = file.create_group(group) if group else file
        top.attrs["layer_names"] = [name.encode() for name in ("input_1", *layers)]
        top.attrs["backend"], top.attrs["keras_version"] = b"tensorflow", b"2.4.0"
        top.create_group("input_1").attrs["weight_names"] = []
        for layer, weights in layers.items():
            names = [f"{layer}/{weight}:0" for weight in weights]
            top.create_group(layer).attrs["weight_names"] = [name.encode() for name in names]
            for name, (weight, shape) in zip(names, weights.items(), strict=True):
                known = layer.startswith("normalization")
                top[layer][name] = np.float32(OF_KERAS[weight]) if known else numbers(layer, weight, shape)
    return str(path)


@pytest.fixture(scope="module")
def b0():
    return layers_of(keras.applications.EfficientNetB0)


def build(path, backbone="efficientnet_b0"):
    keras.utils.clear_session()  # so that layers are called as in a process of their own
    return build_classifier(ClassifierConfig(backbone=backbone, image_size=32, weights=path), 2)


KERAS_NOTOP = "efficientnetb0_notop.h5", {"normalization": NORMALISATION}, {}
KERAS_OTHER_SESSION = "efficientnetb0_notop.h5", {"normalization_7": NORMALISATION}, {}
KERAS = "efficientnetb0.h5", {"normalization": NORMALISATION}, {"predictions": {"kernel": (1280, 1000), "bias": 1000}}
NOISY_STUDENT_NOTOP = "efficientnet-b0_noisy-student_notop.h5", {}, {}
NOISY_STUDENT = "efficientnet-b0_noisy-student.h5", {}, {"probs": {"kernel": (1280, 1000), "bias": 1000}}


@pytest.mark.parametrize("file", [KERAS_NOTOP, KERAS_OTHER_SESSION, KERAS, NOISY_STUDENT_NOTOP, NOISY_STUDENT])
@pytest.mark.parametrize("group", [None, "model_weights"])
def test_every_layer_gets_the_weights_of_its_name(b0, file, group, tmp_path):
    name, before, after = file
    model = build(write(tmp_path / name, before | b0 | after, group))
    for layer, weights in b0.items():
        expected = [numbers(layer, weight, shape) for weight, shape in weights.items()]
        for found, values in zip(model.get_layer(layer).get_weights(), expected, strict=True):
            np.testing.assert_array_equal(found, values)


@pytest.mark.parametrize("file", [KERAS_NOTOP, NOISY_STUDENT_NOTOP])
def test_the_input_is_normalised_as_imagenet_was(b0, file, tmp_path):
    """(x / 255 - mean) / deviation, for files of Keras as for noisy student's."""
    name, before, _ = file
    model = build(write(tmp_path / name, before | b0))
    image = np.random.default_rng(0).uniform(0, 255, (1, 32, 32, 3)).astype(np.float32)
    normalised = keras.Model(model.input, model.get_layer("stem_conv_pad").input)(image)
    expected = (image / 255 - OF_KERAS["mean"]) / OF_KERAS["variance"]
    np.testing.assert_allclose(normalised, expected, rtol=1e-4, atol=1e-4)


def test_networks_of_the_second_version_have_such_files_too(tmp_path):
    layers = layers_of(keras.applications.EfficientNetV2B0)
    path = write(tmp_path / "efficientnetv2-b0_notop.h5", layers)
    model = build(path, "efficientnet_v2_b0")
    np.testing.assert_array_equal(
        model.get_layer("top_conv").kernel, numbers("top_conv", "kernel", layers["top_conv"]["kernel"])
    )


def test_the_file_is_found_without_a_network_in_the_cache_folder_of_keras(b0, tmp_path, monkeypatch):
    path = tmp_path / "models" / "efficientnetb0_notop.h5"
    path.parent.mkdir()
    write(path, {"normalization": NORMALISATION} | b0)
    known = {"b0": ("", hashlib.md5(path.read_bytes()).hexdigest())}
    monkeypatch.setattr("keras.src.applications.efficientnet.WEIGHTS_HASHES", known)
    monkeypatch.setattr("keras.src.utils.file_utils.config.keras_home", lambda: str(tmp_path))  # $KERAS_HOME
    image = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype(np.float32)
    models = build("imagenet"), build(str(path))
    cached, given = (keras.Model(model.input, model.get_layer("dropout").input)(image) for model in models)
    np.testing.assert_allclose(cached, given, rtol=1e-4)


def of_a_deeper_network(b0):
    """B1 has all layers of B0 in the same shapes, and more."""
    return layers_of(keras.applications.EfficientNetB1)


def with_another_shape(b0):
    return b0 | {"top_conv": {"kernel": (1, 1, 320, 1281)}}


def without_a_layer(b0):
    return {name: weights for name, weights in b0.items() if name != "block3b_dwconv"}


def without_a_weight(b0):
    return b0 | {"top_bn": {"gamma": (1280,)}}


def of_something_else(b0):
    return {"dense": {"kernel": (4, 3)}}


@pytest.mark.parametrize(
    "spoil", [of_a_deeper_network, with_another_shape, without_a_layer, without_a_weight, of_something_else]
)
def test_a_file_of_another_network_is_refused_by_its_name(b0, spoil, tmp_path):
    path = write(tmp_path / "efficientnetb0_notop.h5", spoil(b0))
    with pytest.raises(ConfigError, match=f"weights.*{path}"):
        build(path)


@pytest.mark.parametrize("backbone", ["small_cnn", "efficientnet_lite0", "efficientnet_b1", "efficientnet_v2_b0"])
def test_other_networks_refuse_the_file(b0, backbone, tmp_path):
    path = write(tmp_path / "efficientnetb0_notop.h5", b0)
    with pytest.raises(ConfigError, match=f"weights.*{path}"):
        build(path, backbone)


def test_what_is_no_such_file_is_refused(tmp_path):
    path = tmp_path / "efficientnetb0_notop.h5"
    for content in (b"", b"no weights", None):
        path.unlink(missing_ok=True)
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(ConfigError, match=f"weights.*{path}"):
            build(str(path))


def test_a_file_that_reaches_into_another_is_refused(b0, tmp_path):
    path = write(tmp_path / "efficientnetb0_notop.h5", b0)
    write(tmp_path / "secret.h5", b0)
    with h5py.File(path, "a") as file:
        del file["top_bn"]
        file["top_bn"] = h5py.ExternalLink("secret.h5", "/top_bn")
    with pytest.raises(ConfigError, match=f"weights.*{path}"):
        build(path)
