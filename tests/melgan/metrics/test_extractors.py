import keras
import numpy as np
import pytest

from melgan.classifiers.config import ClassifierConfig
from melgan.classifiers.network import build_classifier, feature_network
from melgan.metrics import extractors
from melgan.metrics.extractors import EXTRACTORS, inception, of_classifier, pixel_vectors, pixels, random, resize
from tfrecords_tools.foundation.errors import ConfigError

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 48, 48, 3), dtype=np.uint8)
NOT_DOWNLOADED = "URL fetch failure on https://storage.googleapis.com/weights.h5: None -- [Errno -2] Name not known"


@pytest.fixture(scope="module")
def random_inception():
    return random("")


@pytest.fixture(scope="module")
def classifier():
    keras.utils.set_random_seed(0)
    return build_classifier(ClassifierConfig(backbone="small_cnn", image_size=32), 4)


def striped(side, *columns):
    """Images whose columns have grey values that repeat."""
    row = np.resize(np.array(columns, np.uint8), side)
    return np.broadcast_to(row[None, None, :, None], (1, side, side, 3))


def test_pixels_of_images_of_32_px_are_their_values_row_by_row():
    image = np.arange(32 * 32 * 3).reshape(1, 32, 32, 3).astype(np.uint8)
    np.testing.assert_allclose(pixel_vectors(image), image.reshape(1, -1) / 255, rtol=1e-6)


def test_pixels_of_larger_images_by_hand():
    """A new pixel at half the size weighs four columns with 1, 3, 3, 1: here 0, 80, 160, 240 and so on, in turns."""
    found = pixel_vectors(striped(64, 0, 80, 160, 240)).reshape(32, 32, 3)
    first, second = (240 + 3 * 0 + 3 * 80 + 160) / 8, (80 + 3 * 160 + 3 * 240 + 0) / 8
    np.testing.assert_allclose(found[:, 1:-1:2], second / 255, rtol=1e-6)
    np.testing.assert_allclose(found[:, 2:-1:2], first / 255, rtol=1e-6)


def test_resizing_is_antialiased():
    """Without antialiasing, a quarter of the size takes the two columns in the middle of four, here the white ones."""
    found = resize(striped(128, 0, 255, 255, 0), 32).numpy()
    np.testing.assert_allclose(found[:, :, 2:-2], 127.5, atol=1e-3)


@pytest.mark.parametrize("side", [16, 32, 57, 256])
def test_plain_images_stay_plain_at_every_size(side):
    image = np.full((1, side, side, 3), (10, 100, 255), np.uint8)
    expected = np.tile(np.array([10, 100, 255]) / 255, 32 * 32)
    np.testing.assert_allclose(pixel_vectors(image), [expected], atol=1e-6)


def test_pixels_know_no_classes_and_have_no_weights():
    extractor = pixels("")
    features, probabilities = extractor.extract(IMAGES)
    assert features.shape == (3, 3072)
    assert features.dtype == np.float32
    assert probabilities is None
    assert (extractor.name, extractor.identity) == ("pixels, 32 px antialiased", "pixels")


WITHOUT_DOWNLOAD = [name for name in EXTRACTORS if name != "inception"]


@pytest.mark.parametrize("name", WITHOUT_DOWNLOAD)
def test_every_extractor_tells_images_apart_and_is_the_same_at_every_call(name):
    first = EXTRACTORS[name]("")
    keras.utils.set_random_seed(123)
    again = EXTRACTORS[name]("")
    features, probabilities = first.extract(IMAGES)
    assert features.dtype == np.float32
    assert features.shape[0] == 3
    assert np.isfinite(features).all()
    assert min(np.abs(features[one] - features[other]).max() for one, other in ((0, 1), (0, 2), (1, 2))) > 0.01
    assert probabilities is None or np.allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    assert (first.name, first.identity) == (again.name, again.identity)
    np.testing.assert_array_equal(again.extract(IMAGES)[0], features)


@pytest.mark.parametrize("name", WITHOUT_DOWNLOAD)
def test_weights_are_refused_where_there_are_none(name):
    with pytest.raises(ConfigError, match=f"weights.*`{name}`.*`inception`"):
        EXTRACTORS[name]("weights.h5")


def test_images_do_not_depend_on_what_is_extracted_with_them(classifier, monkeypatch):
    """So that real and fake ones, in whatever batches they come, go through the same path."""
    images = np.random.default_rng(1).integers(0, 256, (7, 40, 40, 3), dtype=np.uint8)
    extractor = of_classifier(feature_network(classifier), 32, "classifier", "0")
    whole = [extractor.extract(images), (pixel_vectors(images), None)]
    monkeypatch.setattr(extractors, "_BATCH", 2)
    parts = [extractor.extract(images), (pixel_vectors(images), None)]
    for (features, probabilities), (own, others) in zip(whole, parts, strict=True):
        np.testing.assert_allclose(own, features, atol=1e-5)
        assert probabilities is others is None or np.abs(probabilities - others).max() < 1e-5


def test_features_of_a_classifier_are_its_penultimate_layer(classifier):
    extractor = of_classifier(feature_network(classifier), 32, "classifier", "digest")
    features, probabilities = extractor.extract(IMAGES)
    assert (features.shape, features.dtype) == ((3, 304), np.float32)
    kernel, bias = (weight.numpy() for weight in classifier.get_layer("logits").weights)
    logits = features @ kernel + bias
    np.testing.assert_allclose(logits, classifier(resize(IMAGES, 32), training=False)[0], atol=1e-4)
    exponentials = np.exp(logits)
    np.testing.assert_allclose(probabilities, exponentials / exponentials.sum(axis=1, keepdims=True), atol=1e-5)
    assert (extractor.name, extractor.identity) == ("classifier, 32 px antialiased", "digest")


def test_random_features_tell_images_apart(random_inception):
    features, probabilities = random_inception.extract(IMAGES)
    assert random_inception.name == "inception, random weights, 299 px antialiased"
    assert (features.shape, features.dtype) == ((3, 2048), np.float32)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    assert np.isfinite(features).all()
    assert np.abs(features[0] - features[1]).max() > 0.01


def test_inception_takes_the_weights_of_a_file_and_images_from_minus_one_to_one(monkeypatch):
    asked = []

    def mean_colour(weights):
        asked.append(weights)
        images = keras.Input((299, 299, 3))
        pooled = keras.layers.GlobalAveragePooling2D(name="avg_pool")(images)
        return keras.Model(images, keras.layers.Softmax()(pooled))

    monkeypatch.setattr(keras.applications, "InceptionV3", mean_colour)
    for weights in ("own.weights.h5", ""):
        extractor = inception(weights)
        features, probabilities = extractor.extract(np.full((2, 40, 40, 3), (0, 51, 255), np.uint8))
        np.testing.assert_allclose(features, [[-1, -0.6, 1]] * 2, atol=1e-3)
        expected = np.exp([-1, -0.6, 1]) / np.exp([-1, -0.6, 1]).sum()
        np.testing.assert_allclose(probabilities, [expected] * 2, atol=1e-3)
        assert extractor.name == "inception, ImageNet weights, 299 px antialiased"
    assert asked == ["own.weights.h5", "imagenet"]


def test_identity_tells_weights_apart(monkeypatch):
    monkeypatch.setattr(keras.applications, "InceptionV3", small_network)
    first, again = random(""), random("")
    assert first.identity == again.identity
    monkeypatch.setattr(extractors, "_RANDOM_SEED", 1)
    assert random("").identity != first.identity


def small_network(weights):
    images = keras.Input((299, 299, 3))
    pooled = keras.layers.GlobalAveragePooling2D(name="avg_pool")(keras.layers.Conv2D(2, 9, 9)(images))
    return keras.Model(images, keras.layers.Dense(3)(pooled))


def missing_file(folder):
    return folder / "nowhere.h5"


def text_file(folder):
    (folder / "text.h5").write_text("no weights")
    return folder / "text.h5"


def weights_of_another_network(folder):
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)]).save_weights(folder / "other.weights.h5")
    return folder / "other.weights.h5"


@pytest.mark.filterwarnings("error::UserWarning")
@pytest.mark.parametrize("wrong", [missing_file, text_file, weights_of_another_network])
def test_a_wrong_weights_file_is_named_in_one_line(wrong, tmp_path):
    path = wrong(tmp_path)
    with pytest.raises(ConfigError) as raised:
        inception(str(path))
    message = str(raised.value)
    assert all(part in message for part in ("weights", f"'{path}'", "InceptionV3"))
    assert "\n" not in message
    assert len(message) < 500


def test_without_a_network_the_message_tells_how_to_get_weights(monkeypatch):
    def unreachable(**_):
        raise Exception(NOT_DOWNLOADED)  # as Keras does

    monkeypatch.setattr(keras.applications, "InceptionV3", unreachable)
    with pytest.raises(ConfigError) as raised:
        inception("")
    message = str(raised.value)
    for part in ("weights", "inception_v3_weights", "classifier:RUN", "pixels", NOT_DOWNLOADED):
        assert part in message
    assert "\n" not in message
