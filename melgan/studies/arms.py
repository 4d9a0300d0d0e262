"""The arms of a study: what each adds to the real images that a classifier learns from.

CONTROLS are arms without a generator. Those of `IMITATIONS` add as many images of the class as a generator would, by
which it can be told whether synthetic images do more than change how often the class is seen.
"""

from collections.abc import Callable, Sequence
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


def count_added(num_real: int, ratio: float) -> int:
    """Returns how many images of the class an arm adds at a ratio to the real ones of it."""
    return round(ratio * num_real)


def with_added(real: RealFeatures, added: np.ndarray) -> Examples:
    """Returns the real images and further ones of the class, with features `[A, F]`."""
    positive = np.concatenate([real.positive, np.ones(len(added), bool)])
    return Examples(np.concatenate([real.features, added]), positive)


def _as_they_come(real: RealFeatures, ratio: float, rng: np.random.Generator) -> Examples:
    return Examples(real.features, real.positive)


def _oversampled(real: RealFeatures, ratio: float, rng: np.random.Generator) -> Examples:
    """Every image of the class again and again, all equally often up to one."""
    count, order = count_added(len(real.of_class), ratio), rng.permutation(len(real.of_class))
    return with_added(real, real.of_class[np.resize(order, count)])


def _duplicates(real: RealFeatures, ratio: float, rng: np.random.Generator) -> Examples:
    """Copies of images of the class that are drawn at random, as of a generator that knows them by heart."""
    drawn = rng.integers(0, len(real.of_class), count_added(len(real.of_class), ratio))
    return with_added(real, real.of_class[drawn])


def _augmented(real: RealFeatures, ratio: float, rng: np.random.Generator) -> Examples:
    """Images of the class, turned and mirrored."""
    flat = real.views.reshape(-1, real.views.shape[-1])
    return with_added(real, flat[np.resize(rng.permutation(len(flat)), count_added(len(real.of_class), ratio))])


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


@dataclass(frozen=True)
class Control:
    """An arm without a generator.

    Attributes:
      make: its examples.
      purpose: what it is, for the page.
      baseline: the arm that it is compared with; empty for a baseline.
      family: of comparisons that hold together. A control whose labels or images are drawn anew for every seed differs
        from all others in its luck, and is a family of its own.
      has_other_seeds: whether its classifiers have seeds of their own, and not those that all arms share.
    """

    make: MakeExamples
    purpose: str
    baseline: str = NONE
    family: str = "controls"
    has_other_seeds: bool = False


# Those that are the same at every ratio.
CONTROLS: dict[str, Control] = {
    NONE: Control(_as_they_come, "the baseline: real images as they come", baseline=""),
    HALF: Control(
        _half_hidden, "half of the patients with the class are hidden: the baseline of the next arm", baseline=""
    ),
    MORE_REAL: Control(
        _as_they_come,
        "the hidden half is given back: the yardstick, what as many real images are worth",
        baseline=HALF,
        family=MORE_REAL,
    ),
    REPEATED: Control(
        _as_they_come, "the baseline again, with other seeds: shows what luck alone changes", has_other_seeds=True
    ),
    SHUFFLED: Control(_shuffled, "labels that say nothing: must harm", family=SHUFFLED),
}
# Those that add as many images as a generator.
IMITATIONS: dict[str, Control] = {
    OVERSAMPLED: Control(_oversampled, "real images of the class are repeated, all equally often"),
    DUPLICATES: Control(_duplicates, "copies of real images of the class, drawn at random"),
    AUGMENTED: Control(_augmented, "real images of the class, turned and mirrored"),
}


@dataclass(frozen=True)
class Arm:
    """An arm of a study.

    Attributes:
      kind: the control or method that it is of.
      ratio: of added images to real ones of the class; 0 for controls that have none.
      control: None where a generator makes what it adds.
    """

    kind: str
    ratio: float = 0.0
    control: Control | None = None

    @property
    def is_synthetic(self) -> bool:
        """Whether a generator makes what it adds."""
        return self.control is None

    @property
    def name(self) -> str:
        """What it is called."""
        return f"{self.kind} {self.ratio:g}" if self.ratio else self.kind

    @property
    def baseline(self) -> str:
        """The name of the arm that it is compared with; empty for a baseline."""
        return NONE if self.control is None else self.control.baseline

    @property
    def imitation(self) -> str:
        """The name of the arm that adds as many repeated real images."""
        return Arm(OVERSAMPLED, self.ratio).name

    @property
    def family(self) -> str:
        """The comparisons with which its own holds together."""
        return SYNTHETIC if self.control is None else self.control.family

    @property
    def has_other_seeds(self) -> bool:
        """Whether its classifiers have seeds of their own."""
        return self.control is not None and self.control.has_other_seeds


def all_arms(methods: Sequence[str], ratios: Sequence[float]) -> list[Arm]:
    """Returns the arms of a study, controls first."""
    controls = [Arm(kind, control=control) for kind, control in CONTROLS.items()]
    imitations = [Arm(kind, ratio, control) for kind, control in IMITATIONS.items() for ratio in ratios]
    return controls + imitations + [Arm(method, ratio) for method in methods for ratio in ratios]
