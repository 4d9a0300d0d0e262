"""Metrics of images, METRICS table (features -> statistics -> metric), and of classifiers.

A metric of images takes a `Comparison` of evaluated images with real ones, of all classes or of one, and returns its
values by name, each with a 95 % interval. Where the images do not allow it, it raises `MetricUnavailable`.
"""

from collections.abc import Callable
from dataclasses import dataclass

from melgan.metrics import accuracy_score, attributes, fid, inception_score, kid, memorisation, ms_ssim, prdc
from melgan.metrics.comparison import Comparison
from melgan.metrics.intervals import Interval


@dataclass(frozen=True)
class ImageMetric:
    """A metric of images.

    `better` tells which values are better: higher, lower, or near the values of real images;
    `reads_features` whether it needs the extractor, or images alone; `reads_real` whether it compares with real images
    of the same class; `needs_equal_mix` whether over all classes another mix of them would pass for a difference.
    """

    estimate: Callable[[Comparison], dict[str, Interval]]
    better: str
    reads_features: bool = True
    reads_real: bool = True
    needs_equal_mix: bool = True


METRICS: dict[str, ImageMetric] = {
    "kid": ImageMetric(kid.estimate, "lower"),
    "fid": ImageMetric(fid.estimate, "lower"),
    "fid_infinity": ImageMetric(fid.estimate_extrapolated, "lower"),
    "prdc": ImageMetric(prdc.estimate, "higher"),
    "inception_score": ImageMetric(inception_score.estimate, "higher", reads_real=False),
    "ms_ssim": ImageMetric(
        ms_ssim.estimate, "near real", reads_features=False, reads_real=False, needs_equal_mix=False
    ),
    "accuracy_score": ImageMetric(accuracy_score.estimate, "higher", needs_equal_mix=False),
    "accuracy_reverse": ImageMetric(accuracy_score.estimate_reverse, "higher", needs_equal_mix=False),
    "memorisation": ImageMetric(memorisation.estimate, "lower", needs_equal_mix=False),
    "memorisation_pixels": ImageMetric(
        memorisation.estimate_pixels, "lower", reads_features=False, needs_equal_mix=False
    ),
    "attributes": ImageMetric(attributes.estimate, "near real", reads_features=False),
}
