from dataclasses import replace

import numpy as np
import pytest

from melgan.metrics.attributes import ATTRIBUTES, brightness, dark_corners, estimate, redness, saturation
from melgan.metrics.comparison import Comparison
from tests.melgan.metrics.made_up_samples import made_up


def plain(red, green, blue, side=16):
    return np.full((1, side, side, 3), (red, green, blue), np.uint8)


def with_corners(value, side=16, rim=2, middle=200):
    """An image whose corners of an eighth of the sides have another grey value."""
    image = plain(middle, middle, middle, side)
    for y in (slice(rim), slice(-rim, None)):
        for x in (slice(rim), slice(-rim, None)):
            image[:, y, x] = value
    return image


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (plain(80, 80, 80), (80, 0, 0)),
        (plain(200, 0, 0), (59.8, 200, 200 - 200 / 3)),
        (plain(0, 100, 0), (58.7, 100, -100 / 3)),
        (plain(10, 20, 60), (2.99 + 11.74 + 6.84, 50, -20)),
        (plain(255, 255, 255), (255, 0, 0)),
    ],
    ids=["grey", "red", "green", "mixed", "white"],
)
def test_attributes_of_plain_colours_by_hand(image, expected):
    found = [attribute(image) for attribute in (brightness, saturation, redness)]
    np.testing.assert_allclose(found, np.array(expected)[:, None], atol=1e-9)


def test_attributes_are_means_over_pixels_of_each_image():
    half = np.concatenate([plain(200, 0, 0), plain(80, 80, 80)], axis=2)
    images = np.concatenate([half, np.zeros_like(half)])
    np.testing.assert_allclose(brightness(images), [(59.8 + 80) / 2, 0])
    np.testing.assert_allclose(saturation(images), [100, 0])
    np.testing.assert_allclose(redness(images), [(200 - 200 / 3) / 2, 0])


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (with_corners(0), True),
        (with_corners(99), True),
        (with_corners(101), False),
        (with_corners(255), False),
        (plain(0, 0, 0), False),
        (plain(120, 90, 80), False),
    ],
    ids=["black", "just less than half", "just more than half", "light", "a black image", "plain"],
)
def test_corners_are_dark_below_half_of_the_middle(image, expected):
    np.testing.assert_array_equal(dark_corners(image), [expected])


def test_corners_count_on_average():
    """Two black corners and two as light as the middle are half as light; two black and two darker ones are less."""
    image = with_corners(0)
    image[:, -2:] = 200
    assert not dark_corners(image)
    image[:, -2:] = 190
    assert dark_corners(image)


@pytest.mark.parametrize("side", [4, 7, 20, 64])
def test_corners_of_every_size(side):
    rim = max(1, side // 8)
    images = np.concatenate([with_corners(0, side, rim), with_corners(200, side, rim)])
    np.testing.assert_array_equal(dark_corners(images), [True, False])


def test_a_dark_lesion_in_the_middle_does_not_make_corners_dark():
    image = plain(200, 200, 200)
    image[:, 6:10, 6:10] = 0
    assert not dark_corners(image)


def test_drift_by_hand_is_in_standard_deviations_of_real_images():
    evaluated = replace(
        made_up(4), images=np.concatenate([plain(value, value, value) for value in (90, 110, 130, 150)])
    )
    real = replace(made_up(4), images=np.concatenate([plain(value, value, value) for value in (80, 120, 80, 120)]))
    drifts = estimate(Comparison(evaluated, real))
    assert set(drifts) == {f"{name}_drift" for name in (*ATTRIBUTES, "dark_corners")}
    assert drifts["brightness_drift"].value == pytest.approx((120 - 100) / 20)
    assert drifts["brightness_drift"].low < 1 < drifts["brightness_drift"].high
    assert drifts["saturation_drift"].value == 0
    assert drifts["redness_drift"].value == pytest.approx(0, abs=1e-9)
    assert drifts["dark_corners_drift"].value == 0


def test_dark_corners_drift_by_the_difference_of_fractions():
    images = np.concatenate([with_corners(0)] * 15 + [with_corners(200)] * 5)
    real = np.concatenate([with_corners(0)] * 4 + [with_corners(200)] * 16)
    drift = estimate(Comparison(replace(made_up(20), images=images), replace(made_up(20), images=real)))
    assert drift["dark_corners_drift"].value == pytest.approx(15 / 20 - 4 / 20)
    assert drift["dark_corners_drift"].low > 0


def test_intervals_of_drift_hold_the_truth_for_equal_and_for_shifted_images():
    rng = np.random.default_rng(0)
    levels = rng.integers(100, 150, 80)
    images = np.concatenate([plain(level, level, level, 8) for level in levels])
    evaluated, real = replace(made_up(40), images=images[:40] + np.uint8(30)), replace(made_up(40), images=images[40:])
    shifted = estimate(Comparison(evaluated, real))["brightness_drift"]
    truth = 30 / np.std(levels)
    assert shifted.low < truth < shifted.high
    assert shifted.low > 0
