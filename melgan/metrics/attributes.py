"""Drift of simple attributes, which generators are known to amplify: brightness, colour, dark corners."""

from collections.abc import Callable

import numpy as np

from melgan.metrics.comparison import Comparison
from melgan.metrics.intervals import Interval, fraction_difference_interval, fraction_interval, jackknife_interval

_LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
_CORNER = 1 / 8
_CENTRE = 1 / 4
_DARKER = 0.5


def brightness(images: np.ndarray) -> np.ndarray:
    """Returns the mean luma of uint8 images `[N, H, W, 3]`, in [0, 255]."""
    return images.mean(axis=(1, 2), dtype=np.float64) @ _LUMA


def saturation(images: np.ndarray) -> np.ndarray:
    """Returns the mean distance between the largest and the smallest channel, in [0, 255]."""
    red, green, blue = (images[..., channel] for channel in range(3))  # ten times as fast as a maximum along an axis
    largest = np.maximum(np.maximum(red, green), blue)
    return (largest - np.minimum(np.minimum(red, green), blue)).mean(axis=(1, 2), dtype=np.float64)


def redness(images: np.ndarray) -> np.ndarray:
    """Returns by how much red is above the mean of the channels, in [-170, 170]."""
    channels = images.mean(axis=(1, 2), dtype=np.float64)
    return channels[:, 0] - channels.mean(axis=1)


def dark_corners(images: np.ndarray) -> np.ndarray:
    """Returns which images have corners that are on average less than half as bright as their middle.

    The black rim that a dermatoscope leaves. A corner has an eighth of the sides, the middle a half.
    """
    height, width = images.shape[1:3]
    rows, columns = max(1, int(height * _CORNER)), max(1, int(width * _CORNER))
    corners = [
        brightness(images[:, y, x])
        for y in (slice(rows), slice(-rows, None))
        for x in (slice(columns), slice(-columns, None))
    ]
    top, left = int(height * _CENTRE), int(width * _CENTRE)
    middle = brightness(images[:, top : height - top, left : width - left])
    return np.mean(corners, axis=0) < _DARKER * middle


ATTRIBUTES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "brightness": brightness,
    "saturation": saturation,
    "redness": redness,
}


def estimate(comparison: Comparison) -> dict[str, Interval]:
    """Returns the mean of every attribute over evaluated images less that over real ones.

    It is in units of the real images' standard deviation; for dark corners it is the difference of their fractions.
    """
    evaluated, reference = comparison.evaluated, comparison.reference
    drifts = {}
    for name, attribute in ATTRIBUTES.items():
        own, real = attribute(evaluated.images), attribute(reference.images)
        unit = float(np.std(real)) or 1.0
        left_out = [np.mean(own[rows]) - np.mean(real[real_rows]) for rows, real_rows in comparison.leaving_parts_out()]
        drift = float(np.mean(own) - np.mean(real))
        drifts[f"{name}_drift"] = jackknife_interval(drift / unit, np.array(left_out) / unit)
    fractions = [fraction_interval(dark_corners(side.images), side.groups) for side in (evaluated, reference)]
    drifts["dark_corners_drift"] = fraction_difference_interval(*fractions)
    return drifts
