"""On real cells, every metric that should catch a corruption tells it from real images that were held out."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageFilter
from sklearn.linear_model import LogisticRegression

from melgan.metrics import METRICS
from melgan.metrics.comparison import Comparison
from melgan.metrics.dihedral import NUM_VIEWS
from melgan.metrics.extractors import pixels
from melgan.metrics.samples import Samples

CLASSES = ("ring", "trophozoite")
COUNT = 60  # of a class in a set
POOL = 140  # of a class, from which half are left out
LABELS = np.repeat(np.arange(len(CLASSES)), COUNT)
SIDE = 64


def read_cells(folder, label):
    """Cells of a class in an order at random: those with near numbers look alike."""
    paths = [path for path in sorted((folder / "cells" / "train").glob("*.txt")) if path.read_text().strip() == label]
    rows = np.random.default_rng(0).permutation(len(paths))[: 2 * COUNT + POOL]
    return np.stack([read_image(paths[row].with_suffix(".png")) for row in rows])


def read_image(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX))


def describe(images):
    """Means, deviations and gradients of every channel at four scales `[N, 36]`, equal however a cell is turned."""
    described, levels = [], images.astype(np.float64)
    for _ in range(4):
        down, right = np.abs(np.diff(levels, axis=1)), np.abs(np.diff(levels, axis=2))
        described += [
            levels.mean(axis=(1, 2)),
            levels.std(axis=(1, 2)),
            down.mean(axis=(1, 2)) + right.mean(axis=(1, 2)),
        ]
        count, side = levels.shape[:2]
        levels = levels.reshape(count, side // 2, 2, side // 2, 2, 3).mean(axis=(2, 4))
    return np.concatenate(described, axis=1)


def noisy(images):
    noise = np.random.default_rng(0).normal(0, 12, images.shape)
    return np.clip(images + noise, 0, 255).astype(np.uint8)


def blurred(images):
    return np.stack([np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(1.5))) for image in images])


def turned(images):
    return np.ascontiguousarray(np.rot90(images, axes=(1, 2)))


def with_dark_corners(images):
    y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    return (images * (np.hypot(x, y) < 0.55 * SIDE)[..., None]).astype(np.uint8)


def main_half(images):
    """The half of some images that lies on one side along the direction in which they differ most."""
    features = describe(images)
    features = (features - features.mean(axis=0)) / features.std(axis=0)
    direction = np.linalg.svd(features, full_matrices=False)[2][0]
    return images[np.argsort(features @ direction)[: len(images) // 2]]


@pytest.fixture(scope="module")
def comparisons(real_data):
    """Comparisons of real and of corrupted cells with held-out ones, by name."""
    pools = [read_cells(real_data, label) for label in CLASSES]
    training, held_out, real = (
        np.concatenate([pool[start : start + COUNT] for pool in pools]) for start in (0, COUNT, 2 * COUNT)
    )
    described = describe(training)
    mean, deviation = described.mean(axis=0), described.std(axis=0)
    classifier = LogisticRegression(max_iter=2000).fit((described - mean) / deviation, LABELS)

    def samples(images):
        features = (describe(images) - mean) / deviation
        views = np.repeat(features[:, None], NUM_VIEWS, axis=1)
        rows = np.arange(len(images))
        return Samples(images, LABELS, rows, rows.astype(str), features, classifier.predict_proba(features), views)

    rows = np.arange(2 * COUNT)
    sets = {
        "held out": held_out,
        "real": real,
        "noise": noisy(real),
        "blurred": blurred(real),
        "half of each class": np.concatenate([main_half(pool[2 * COUNT :])[:COUNT] for pool in pools]),
        "six images of each class": real[rows // COUNT * COUNT + rows % 6],
        "copies": turned(training),
        "classes exchanged": real[::-1],
        "dark corners": with_dark_corners(real),
    }
    reference, seen = samples(held_out), samples(training)
    return {name: Comparison(samples(images), reference, training=seen) for name, images in sets.items()}


def estimate(comparisons, images, metric, name):
    return comparisons[images].once(metric, lambda: METRICS[metric].estimate(comparisons[images]))[name]


def is_worse(comparisons, corruption, metric, name):
    """Whether a metric lies outside the interval of real images, on the side that is worse."""
    found, real, held_out = (estimate(comparisons, images, metric, name) for images in (corruption, "real", "held out"))
    if METRICS[metric].better == "near real":
        reach = max(abs(real.low - held_out.value), abs(real.high - held_out.value))
        return abs(found.value - held_out.value) > reach
    return found.value > real.high if METRICS[metric].better == "lower" else found.value < real.low


CAUGHT = {
    ("kid", "kid"): ("noise", "blurred", "half of each class", "dark corners"),
    ("fid", "fid"): ("noise", "blurred", "half of each class", "dark corners"),
    ("fid_infinity", "fid_infinity"): ("noise", "blurred", "half of each class", "dark corners"),
    ("prdc", "precision"): ("noise", "blurred", "dark corners"),
    ("prdc", "density"): ("noise", "blurred", "dark corners"),
    ("prdc", "recall"): ("noise", "blurred", "six images of each class"),
    ("prdc", "coverage"): ("noise", "blurred", "half of each class", "six images of each class"),
    ("inception_score", "inception_score"): ("noise",),
    ("ms_ssim", "ms_ssim"): ("half of each class", "six images of each class"),
    ("accuracy_score", "accuracy_score"): ("noise", "half of each class", "classes exchanged"),
    ("accuracy_reverse", "accuracy_reverse"): ("noise", "classes exchanged"),
    ("memorisation", "copies_features"): ("copies",),
    ("memorisation_pixels", "copies_pixels"): ("copies",),
    ("attributes", "brightness_drift"): ("dark corners",),
    ("attributes", "saturation_drift"): ("noise",),
    ("attributes", "dark_corners_drift"): ("dark corners",),
}
# What a metric does not see, which is why there is more than one.
MISSED = {
    ("kid", "kid"): ("copies", "classes exchanged"),
    ("fid", "fid"): ("copies", "classes exchanged"),
    ("prdc", "precision"): ("half of each class", "copies", "classes exchanged"),
    ("prdc", "recall"): ("copies", "classes exchanged"),
    ("prdc", "coverage"): ("copies", "classes exchanged"),
    ("accuracy_score", "accuracy_score"): ("copies",),
    ("memorisation", "copies_features"): ("noise", "half of each class", "six images of each class"),
    ("memorisation_pixels", "copies_pixels"): ("noise", "half of each class", "six images of each class"),
    ("attributes", "brightness_drift"): ("noise", "blurred", "copies"),
}


def cases(table):
    return [(corruption, *metric) for metric, corruptions in table.items() for corruption in corruptions]


@pytest.mark.parametrize(("corruption", "metric", "name"), cases(CAUGHT))
def test_corruption_is_caught(corruption, metric, name, comparisons):
    assert is_worse(comparisons, corruption, metric, name)


@pytest.mark.parametrize(("corruption", "metric", "name"), cases(MISSED))
def test_corruption_is_left_to_other_metrics(corruption, metric, name, comparisons):
    assert not is_worse(comparisons, corruption, metric, name)


def test_every_metric_catches_something():
    assert {metric for metric, _ in CAUGHT} == set(METRICS)


@pytest.mark.parametrize(("metric", "name"), [*CAUGHT, ("attributes", "redness_drift")])
def test_real_images_raise_no_alarm(metric, name, comparisons):
    found = estimate(comparisons, "real", metric, name)
    if metric in ("kid", "fid_infinity", "attributes"):
        assert found.low < 0 < found.high
    elif metric.startswith("memorisation"):
        assert found.low < 0.05 < found.high
        assert estimate(comparisons, "real", metric, f"{name}_p").value > 0.05
    elif name == "density":
        assert found.low < 1 < found.high
    elif metric == "prdc":
        assert found.value > 0.9


def test_exchanged_classes_are_caught_class_by_class(comparisons):
    for label in range(len(CLASSES)):
        exchanged, real = (
            METRICS["kid"].estimate(comparisons[name].of_class(label))["kid"] for name in ("classes exchanged", "real")
        )
        assert exchanged.value > real.high


def test_through_the_extractor_of_pixels_coarse_corruptions_are_caught_and_fine_ones_are_not(comparisons):
    """Why a first look at pixels is a first look only."""

    def distance(name):
        sides = (comparisons[name].evaluated, comparisons[name].reference)
        evaluated, reference = (replace(side, features=pixels("").extract(side.images)[0]) for side in sides)
        return METRICS["kid"].estimate(Comparison(evaluated, reference))["kid"]

    real = distance("real")
    assert real.low < 0 < real.high
    for name in ("dark corners", "six images of each class"):
        assert distance(name).low > real.high
    for name in ("noise", "blurred", "classes exchanged"):
        assert distance(name).low < real.high
