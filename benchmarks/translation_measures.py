"""What is measured of translated images, and the table of it. Values with 95 % intervals over images."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from sklearn.linear_model import SGDClassifier

from benchmarks.markdown import markdown_table
from benchmarks.translation_domains import Domains
from melgan.classifiers.linear import LinearTraining, scaling_of, train_linear
from melgan.metrics import kid
from melgan.metrics.classification import auc
from melgan.metrics.comparison import Comparison
from melgan.metrics.extractors import EXTRACTORS, Extractor
from melgan.metrics.intervals import Interval, bootstrap_interval, fraction_interval
from melgan.metrics.samples import Samples
from melgan.metrics.translation import cycle_errors, dice, grey_level_errors, outside_changes, rim_auc
from tfrecords_tools.lesion_mask import find_mask

# A row's measures by name: three numbers are a value and its interval.
Measures = dict[str, float | list[float]]

HEADINGS = {
    "kid": "KID x 1,000",
    "taken": "taken for the target",
    "outside": "change outside",
    "dice": "lesion kept (Dice)",
    "rim": "rim AUC",
    "cycle": "cycle error",
    "jpeg": "through JPEG",
    "truth": "error to the truth",
    "gain": "AUC with less without",
    "steps": "steps",
    "seconds_per_step": "seconds a step",
}
ROWS_BESIDE = ("none", "real")
_SEED = 0
_SPECIFICITY = 0.9
_PASSES, _WEIGHT_DECAY = 20, 1e-3  # of the linear classifiers


class Judge:
    """Features of ImageNet of some images, and a linear classifier that learned from those of the training images.

    An image is taken for one of the target class if it passes what one in ten of the held-out sources pass.

    Arguments:
      domains: the images.
      extractor: of the features; EfficientNet-Lite0 by default.
    """

    def __init__(self, domains: Domains, extractor: Extractor | None = None) -> None:
        self._extractor = extractor or EXTRACTORS["lite0"]("")
        self.targets, self.held_out_targets = map(
            self.samples_of, (domains.targets.images, domains.held_out_targets.images)
        )
        self._held_out_sources = self.samples_of(domains.held_out_sources.images)
        sides = [self.samples_of(domains.sources.images).features, self.targets.features]
        self._scaling = scaling_of(np.concatenate(sides))
        self._features = self._scaling(np.concatenate(sides))
        self._positive = np.repeat([False, True], [len(side) for side in sides])
        self._classifier = _trained(self._features, self._positive, len(self._features))
        self._threshold = np.quantile(self._scores(self._held_out_sources), _SPECIFICITY)

    def samples_of(self, images: np.ndarray) -> Samples:
        """Returns uint8 images `[N, H, W, 3]` of one class with their features."""
        rows = np.arange(len(images))
        features, _ = self._extractor.extract(images)
        return Samples(images=images, labels=np.zeros(len(rows), int), groups=rows, names=rows, features=features)

    def distance(self, samples: Samples) -> Interval:
        """Returns how far images lie from the held-out ones of the target class: 1,000 times the kernel distance."""
        found = kid.estimate(Comparison(samples, self.held_out_targets, seed=_SEED))["kid"]
        return Interval(1000 * found.value, 1000 * found.low, 1000 * found.high)

    def taken(self, samples: Samples) -> Interval:
        """Returns which fraction of images is taken for the target class."""
        return fraction_interval(self._scores(samples) > self._threshold, samples.groups)

    def gain(self, added: np.ndarray) -> Interval:
        """Returns by how much the AUC on held-out images rises with images that are added as the target class.

        Both classifiers see as many images, so that neither is trained longer.

        Arguments:
          added: uint8 `[N, H, W, 3]`.
        """
        features = np.concatenate([self._features, self._scaling(self.samples_of(added).features)])
        positive = np.concatenate([self._positive, np.ones(len(added), bool)])
        sides = (self._held_out_sources, self.held_out_targets)
        held_out = self._scaling(np.concatenate([side.features for side in sides]))
        truth = np.repeat([False, True], [len(side) for side in sides])
        with_added, without = (
            _trained(*data, len(features)).decision_function(held_out)
            for data in ((features, positive), (self._features, self._positive))
        )
        return bootstrap_interval(
            lambda rows: auc(truth[rows], with_added[rows]) - auc(truth[rows], without[rows]),
            np.arange(len(truth)),
            _SEED,
        )

    def _scores(self, samples: Samples) -> np.ndarray:
        return self._classifier.decision_function(self._scaling(samples.features))


def measures_of(
    made: np.ndarray,
    domains: Domains,
    judge: Judge,
    *,
    added: np.ndarray,
    back: Callable[[np.ndarray], np.ndarray] | None = None,
) -> Measures:
    """Returns the measures of images that were made from the held-out sources.

    Arguments:
      made: uint8 `[N, H, W, 3]`, of each source one.
      domains: what they were made from.
      judge: of the same images.
      added: what was made of the sources that were trained on, for a classifier to learn from.
      back: translates images back to the class of the sources, where a method can.
    """
    sources, rows, samples = domains.held_out_sources, np.arange(len(made)), judge.samples_of(made)
    outside = outside_changes(made, sources.images, sources.masks)
    found = np.stack([_found_mask(image) for image in made])
    measures = {
        "kid": judge.distance(samples),
        "taken": judge.taken(samples),
        "outside": _mean(outside[np.isfinite(outside)]),
        "dice": _mean(dice(found, sources.masks)),
        "rim": rim_auc(made, sources.images, np.concatenate([rows, rows]), seed=_SEED),
        "gain": judge.gain(added),
    }
    if back is not None:
        errors = cycle_errors(sources.images, made, back)
        measures |= {"cycle": _mean(errors.plain), "jpeg": _mean(errors.through_jpeg)}
    if domains.truths is not None:
        measures["truth"] = _mean(grey_level_errors(made, domains.truths))
    return _as_numbers(measures)


def measures_beside(domains: Domains, judge: Judge) -> dict[str, Measures]:
    """Returns the measures of the rows that every method is compared with: untouched sources, and real images."""
    none = measures_of(domains.held_out_sources.images, domains, judge, added=domains.sources.images)
    real = {
        "kid": judge.distance(judge.targets),
        "taken": judge.taken(judge.held_out_targets),
        "rim": rim_auc(domains.held_out_targets.images, domains.held_out_sources.images, seed=_SEED),
    }
    return dict(zip(ROWS_BESIDE, (none, _as_numbers(real)), strict=True))


def table(rows: Mapping[str, Sequence[Measures]]) -> str:
    """Returns the table in Markdown: a row for every seed of a method, those beside first."""
    order = [*ROWS_BESIDE, *sorted(set(rows) - set(ROWS_BESIDE))]
    cells = [
        [name, *(_cell(measures.get(measure)) for measure in HEADINGS)]
        for name in order
        for measures in rows.get(name, ())
    ]
    return markdown_table(["method", *HEADINGS.values()], cells)


def _trained(features: np.ndarray, positive: np.ndarray, images_a_pass: int) -> SGDClassifier:
    return train_linear(features, positive, LinearTraining(_PASSES * images_a_pass, _WEIGHT_DECAY), _SEED)


def _found_mask(image: np.ndarray) -> np.ndarray:
    """Returns the mask of the lesion that is found in an image, empty if none is."""
    found = find_mask(image, len(image))
    return np.zeros(image.shape[:2], bool) if found is None else found


def _mean(values: np.ndarray) -> Interval:
    return bootstrap_interval(lambda rows: float(values[rows].mean()), np.arange(len(values)), _SEED)


def _as_numbers(measures: Mapping[str, Interval]) -> Measures:
    return {name: [each.value, each.low, each.high] for name, each in measures.items()}


def _cell(value: float | Sequence[float] | None) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.3g}"
    middle, low, high = (f"{each:.3g}" for each in value)
    return f"{middle} ({low} to {high})"
