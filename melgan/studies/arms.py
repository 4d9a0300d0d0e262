"""The arms of a study: what each adds to the real images that a classifier learns from.

CONTROLS are arms without a generator. Those of `IMITATIONS` add as many images of the class as a generator would, by
which it can be told whether synthetic images do more than change how often the class is seen.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

NONE, REPEATED, MORE_REAL, HALF, SHUFFLED = "none", "none, other seeds", "more real", "half real", "shuffled labels"
# Families of comparisons: what generators make, against the baseline, and against as many repeated real images.
SYNTHETIC, AGAINST_IMITATION = "synthetic", "synthetic against repeated"
OVERSAMPLED, DUPLICATES, AUGMENTED = "oversampled", "duplicates", "augmented"


@dataclass(frozen=True)
class RealFeatures:
    """Features of the real training images of a fold.

    Attributes:
      features: `[N, F]`.
      positive: which images are of the class `[N]`, bool.
      groups: patient of every image `[N]`.
      views: of those of the class, turned and mirrored `[P, V, F]`, without the images as they are.
    """

    features: np.ndarray
    positive: np.ndarray
    groups: np.ndarray
    views: np.ndarray

    @property
    def of_class(self) -> np.ndarray:
        """The features of the images of the class `[P, F]`."""
        return self.features[self.positive]


@dataclass(frozen=True)
class Examples:
    """What a classifier learns from: features `[M, F]`, and which are of the class `[M]`, bool."""

    features: np.ndarray
    positive: np.ndarray

    @property
    def prior(self) -> float:
        """The fraction of the class."""
        return float(self.positive.mean())


def count_added(real: RealFeatures, ratio: float) -> int:
    """Returns how many images of the class an arm adds at a ratio to the real ones of it."""
    return count_in(int(real.positive.sum()), ratio)


def count_in(count: int, ratio: float) -> int:
    """Returns how many images a ratio of so many is."""
    return round(ratio * count)


def with_added(real: RealFeatures, added: np.ndarray) -> Examples:
    """Returns the real images and further ones of the class, with features `[A, F]`."""
    positive = np.concatenate([real.positive, np.ones(len(added), bool)])
    return Examples(np.concatenate([real.features, added]), positive)


def _as_they_come(real: RealFeatures, ratio: float, rng: np.random.Generator) -> Examples:
    return Examples(real.features, real.positive)


def _oversampled(real: RealFeatures, ratio: float, rng: np.random.Generator) -> Examples:
    """Every image of the class again and again, all equally often up to one."""
    count, order = count_added(real, ratio), rng.permutation(len(real.of_class))
    return with_added(real, real.of_class[np.resize(order, count)])


def _duplicates(real: RealFeatures, ratio: float, rng: np.random.Generator) -> Examples:
    """Copies of images of the class that are drawn at random, as of a generator that knows them by heart."""
    drawn = rng.integers(0, len(real.of_class), count_added(real, ratio))
    return with_added(real, real.of_class[drawn])


def _augmented(real: RealFeatures, ratio: float, rng: np.random.Generator) -> Examples:
    """Images of the class, turned and mirrored."""
    flat = real.views.reshape(-1, real.views.shape[-1])
    return with_added(real, flat[np.resize(rng.permutation(len(flat)), count_added(real, ratio))])


def _half_hidden(real: RealFeatures, ratio: float, rng: np.random.Generator) -> Examples:
    """Without half of the patients who have the class."""
    patients = rng.permutation(np.unique(real.groups[real.positive]))
    kept = ~np.isin(real.groups, patients[: len(patients) // 2])
    return Examples(real.features[kept], real.positive[kept])


def _shuffled(real: RealFeatures, ratio: float, rng: np.random.Generator) -> Examples:
    """With labels that say nothing."""
    return Examples(real.features, rng.permutation(real.positive))


# (real images, ratio, generator of random numbers) -> examples
MakeExamples = Callable[[RealFeatures, float, np.random.Generator], Examples]

# Those that are the same at every ratio.
CONTROLS: dict[str, MakeExamples] = {
    NONE: _as_they_come,
    REPEATED: _as_they_come,
    HALF: _half_hidden,
    MORE_REAL: _as_they_come,
    SHUFFLED: _shuffled,
}
# Those that add as many images as a generator.
IMITATIONS: dict[str, MakeExamples] = {
    OVERSAMPLED: _oversampled,
    DUPLICATES: _duplicates,
    AUGMENTED: _augmented,
}


@dataclass(frozen=True)
class Arm:
    """An arm of a study.

    Attributes:
      kind: the control or method that it is of.
      ratio: of added images to real ones of the class; 0 for controls that have none.
      baseline: name of the arm that it is compared with; empty for a baseline.
      is_synthetic: whether a generator makes what it adds.
    """

    kind: str
    ratio: float = 0.0
    baseline: str = NONE
    is_synthetic: bool = False

    @property
    def family(self) -> str:
        """What the arm shares its error rate with: all of its family hold together.

        Arms that are unlike all others, because their labels or half of their images are drawn anew for every seed, are
        families of their own.
        """
        if self.is_synthetic:
            return SYNTHETIC
        return self.kind if self.kind in (MORE_REAL, SHUFFLED) else "controls"

    @property
    def name(self) -> str:
        """What it is called."""
        return f"{self.kind} {self.ratio:g}" if self.ratio else self.kind


def all_arms(methods: tuple[str, ...], ratios: tuple[float, ...]) -> list[Arm]:
    """Returns the arms of a study, baselines first."""
    controls = [
        Arm(NONE, baseline=""),
        Arm(HALF, baseline=""),
        Arm(REPEATED),
        Arm(MORE_REAL, baseline=HALF),
        Arm(SHUFFLED),
    ]
    imitations = [Arm(kind, ratio) for kind in IMITATIONS for ratio in ratios]
    synthetic = [Arm(method, ratio, is_synthetic=True) for method in methods for ratio in ratios]
    return controls + imitations + synthetic
