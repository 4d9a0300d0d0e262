from dataclasses import replace

import numpy as np
import pytest

from melgan.metrics import memorisation
from melgan.metrics.comparison import Comparison
from melgan.metrics.dihedral import views_of
from melgan.metrics.errors import MetricUnavailable
from melgan.metrics.extractors import pixel_vectors
from melgan.metrics.memorisation import (
    FEATURES,
    PIXELS,
    SUSPICIOUS,
    CopyDetector,
    estimate,
    estimate_pixels,
    nearest_training_image,
    pixel_views,
    threshold,
)
from tests.melgan.metrics.made_up_samples import made_up


def pictures(count, seed):
    """Smooth images of random blots, no two of which are alike."""
    coarse = np.random.default_rng(seed).integers(0, 256, (count, 4, 4, 3), dtype=np.uint8)
    return coarse.repeat(4, axis=1).repeat(4, axis=2)


def samples_of(images, num_classes=1):
    """Samples with features that are a fixed linear map of pixels."""
    to_features = np.random.default_rng(0).normal(size=(3072, 20)) / 50
    views = np.stack([pixel_vectors(view) @ to_features for view in views_of(images)], axis=1)
    samples = made_up(len(images), num_classes=num_classes, features=views[:, 0])
    return replace(samples, images=images, views=views.astype(np.float32))


TRAINING, HELD_OUT = samples_of(pictures(40, seed=0)), samples_of(pictures(40, seed=1))


def copies_in(evaluated, held_out=HELD_OUT, training=TRAINING):
    comparison = Comparison(evaluated, held_out, training=training)
    return estimate(comparison) | estimate_pixels(comparison)


def test_nearest_training_image_of_any_view_by_hand():
    views = np.array([[[0.0, 0.0], [4.0, 4.0]], [[9.0, 1.0], [1.0, 1.0]]])
    found = nearest_training_image(views, np.array([[0.0, 2.0], [4.0, 5.0], [9.0, 1.0]]))
    np.testing.assert_array_equal(found.rows, [1, 2])
    np.testing.assert_array_equal(found.distances, [1, 0])
    np.testing.assert_array_equal(found.views, [1, 0])


@pytest.mark.parametrize(("count", "rank"), [(1, 1), (10, 1), (19, 1), (20, 1), (38, 1), (39, 2), (99, 5), (1000, 50)])
def test_threshold_is_the_distance_of_one_in_twenty(count, rank):
    distances = np.random.default_rng(0).permutation(np.arange(1.0, count + 1))
    assert threshold(distances) == rank


@pytest.mark.parametrize("count", [19, 39, 60, 199])
def test_one_in_twenty_further_images_falls_short_of_the_threshold(count):
    rng = np.random.default_rng(0)
    fractions = [np.mean(rng.exponential(size=400) < threshold(rng.exponential(size=count))) for _ in range(2000)]
    expected = int(SUSPICIOUS * (count + 1)) / (count + 1)
    assert 0.045 < expected <= SUSPICIOUS
    assert np.mean(fractions) == pytest.approx(expected, rel=0.06)


def on_a_line(distances, labels):
    """Samples of one feature, at given distances from a training image at 0."""
    labels, features = np.asarray(labels), np.asarray(distances, float)[:, None]
    samples = made_up(len(labels), labels=labels, features=features, side=4)
    return replace(samples, views=samples.features[:, None])


AT_ZERO = on_a_line([0], [0])


def test_every_class_has_its_own_threshold():
    detector = CopyDetector(FEATURES, on_a_line([3, 30, 5, 20, 4, 10], [0, 1, 0, 1, 0, 1]), AT_ZERO)
    copies = detector.find(on_a_line([9, 9, 2, 3, 10], [0, 1, 0, 0, 1]))
    np.testing.assert_array_equal(copies.thresholds, [3, 10, 3, 3, 10])
    np.testing.assert_array_equal(copies.near.distances, [9, 9, 2, 3, 10])
    np.testing.assert_array_equal(copies.found, [False, True, True, False, False])


def test_held_out_images_themselves_are_measured_by_the_same_thresholds():
    distances = np.random.default_rng(0).permutation(np.arange(1.0, 79))
    detector = CopyDetector(FEATURES, on_a_line(distances, np.arange(78) // 39), AT_ZERO)
    for label, own in enumerate((distances[:39], distances[39:])):
        copies = detector.find_held_out(label)
        np.testing.assert_array_equal(copies.near.distances, own)
        assert copies.found.sum() == 1  # of 39, the second smallest is the threshold
        assert set(copies.thresholds) == {np.sort(own)[1]}


def test_a_class_that_was_not_held_out_has_no_threshold_and_no_copies():
    copies = CopyDetector(FEATURES, on_a_line([1, 2], [0, 1]), AT_ZERO).find(on_a_line([0.5, 0, 0], [0, 2, 2]))
    np.testing.assert_array_equal(copies.thresholds, [1, np.nan, np.nan])
    np.testing.assert_array_equal(copies.found, [True, False, False])


def test_over_all_classes_those_count_of_which_images_were_held_out():
    found = copies_in(on_a_line([0.5, 3, 0, 0], [0, 0, 2, 2]), on_a_line([1, 2], [0, 1]), AT_ZERO)
    assert found["copies_features"].value == 0.5


def test_pixels_of_views_are_those_of_the_images_turned():
    images = pictures(3, seed=5)
    views = pixel_views(images)
    assert views.shape == (3, 8, 3072)
    turned = np.rot90(images, axes=(1, 2))
    np.testing.assert_allclose(views[:, 1], pixel_vectors(np.ascontiguousarray(turned)), atol=1e-6)


def test_copies_are_looked_for_in_features_and_in_pixels():
    for space in (FEATURES, PIXELS):
        copies = CopyDetector(space, HELD_OUT, TRAINING).find(TRAINING.take(np.array([5, 7])))
        np.testing.assert_array_equal(copies.near.rows, [5, 7])
        np.testing.assert_allclose(copies.near.distances, 0, atol=1e-5)
        assert copies.thresholds.min() > 0.1


def test_copies_turned_and_mirrored_ones_too_are_found():
    copies = np.stack([list(views_of(image[None]))[row % 8][0] for row, image in enumerate(TRAINING.images)])
    found = copies_in(samples_of(copies))
    for name in ("copies_features", "copies_pixels"):
        assert found[name].value == 1.0
        assert found[f"{name}_p"].value < 1e-9
    near = nearest_training_image(pixel_views(copies), pixel_vectors(TRAINING.images))
    np.testing.assert_array_equal(near.rows, np.arange(40))
    back = np.array([0, 3, 2, 1, 4, 5, 6, 7])  # what turns a view back: a mirrored one is its own
    np.testing.assert_array_equal(near.views, back[np.arange(40) % 8])


def test_copies_that_were_encoded_anew_are_found():
    noise = np.random.default_rng(0).normal(0, 4, TRAINING.images.shape)
    copies = np.clip(TRAINING.images + noise, 0, 255).astype(np.uint8)
    assert copies_in(samples_of(copies))["copies_pixels"].value == 1.0


def test_fraction_of_copies_among_fresh_images_is_told():
    mixed = samples_of(np.concatenate([TRAINING.images[:15], pictures(25, seed=2)]))
    found = copies_in(mixed)
    for name in ("copies_features", "copies_pixels"):
        assert found[name].low > SUSPICIOUS
        assert found[name].low < 15 / 40 < found[name].high
        assert found[f"{name}_p"].value < 0.001


def test_fresh_images_are_flagged_at_about_one_in_twenty_and_not_significant():
    fractions, probabilities = [], []
    for seed in range(2, 8):
        found = copies_in(samples_of(pictures(40, seed=seed)))
        fractions += [found["copies_features"].value, found["copies_pixels"].value]
        probabilities += [found["copies_features_p"].value, found["copies_pixels_p"].value]
    assert np.mean(fractions) == pytest.approx(SUSPICIOUS, abs=0.04)
    assert np.mean(np.array(probabilities) < 0.05) <= 1 / 6
    assert np.median(probabilities) > 0.2


@pytest.mark.parametrize("held_out", [[10, 10, 10, 10], [20, 20, 20, 20], [27, 60, 200]], ids=str)
def test_few_held_out_images_of_several_classes_make_fresh_ones_no_more_significant(held_out, monkeypatch):
    """The held-out images that set the thresholds must not pass for images that were evaluated by them."""
    labels = np.repeat(np.arange(len(held_out)), held_out)
    rng = np.random.default_rng(0)
    monkeypatch.setattr(memorisation, "pixel_vectors", lambda images: np.zeros((len(images), 1)))
    probabilities = []
    for _ in range(300):
        evaluated, real = (
            on_a_line(rng.exponential(size=count * len(labels)), np.tile(labels, count)) for count in (3, 1)
        )
        probabilities.append(copies_in(evaluated, real, AT_ZERO)["copies_features_p"].value)
    assert np.mean(np.array(probabilities) < 0.05) < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 300)


def test_probabilities_have_no_interval():
    interval = copies_in(HELD_OUT)["copies_pixels_p"]
    assert 0 < interval.value <= 1
    assert np.isnan([interval.low, interval.high]).all()


def test_unknown_training_images_cannot_be_copied():
    with pytest.raises(MetricUnavailable):
        estimate(Comparison(HELD_OUT, HELD_OUT))


@pytest.mark.parametrize("which", ["training", "evaluated", "real"])
def test_features_that_are_not_finite_are_refused_wherever_they_are(which):
    sides = {name: samples_of(pictures(6, seed)) for seed, name in enumerate(("training", "evaluated", "real"))}
    sides[which].views[3, 7, 0] = sides[which].features[3, 0] = np.nan
    with pytest.raises(MetricUnavailable, match=f"1 of 6 {which}"):
        copies_in(sides["evaluated"], sides["real"], sides["training"])
