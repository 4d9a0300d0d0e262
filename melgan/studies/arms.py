"""The arms of a study: what each adds to the real images that a classifier learns from.

CONTROLS are arms without a generator. Those of `IMITATIONS` add as many images of the class as a generator would, by
which it can be told whether synthetic images do more than change how often the class is seen.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from melgan.metrics.dihedral import NUM_VIEWS

NONE, REPEATED, MORE_REAL, HALF, SHUFFLED = "none", "none, other seeds", "more real", "half real", "shuffled labels"
UNAUGMENTED = "not augmented"
# Families of comparisons: arms without a generator; what generators make, against the baseline, and against as many
# repeated real images.
CONTROL, SYNTHETIC, AGAINST_IMITATION = "controls", "synthetic", "synthetic against repeated"
OVERSAMPLED, DUPLICATES, AUGMENTED = "oversampled", "duplicates", "augmented"


@dataclass(frozen=True)
class TrainingImages:
    """The real training images of a fold: which are of the class, bool, and the patient of each, `[N]`."""

    positive: np.ndarray
    groups: np.ndarray

    @property
    def of_class(self) -> np.ndarray:
        """The numbers of the images of the class `[P]`."""
        return np.flatnonzero(self.positive)


@dataclass(frozen=True)
class Selection:
    """The images that a classifier learns from.

    Attributes:
      rows: numbers of real images `[M]`, of repeated ones several times.
      labelled_as: numbers of the real images whose labels they have `[M]`.
      views: numbers of images of the class that are turned or mirrored, of `P x (NUM_VIEWS - 1)` `[V]`.
      synthetic: how many images of a generator, the first that it drew.
    """

    rows: np.ndarray
    labelled_as: np.ndarray
    views: np.ndarray = field(default_factory=lambda: np.zeros(0, int))
    synthetic: int = 0

    @property
    def num_images(self) -> int:
        """How many they are."""
        return len(self.rows) + len(self.views) + self.synthetic

    def prior(self, positive: np.ndarray) -> float:
        """Returns the fraction of the class; `positive`: which of the real images are of it `[N]`."""
        of_class = positive[self.labelled_as].sum() + len(self.views) + self.synthetic
        return float(of_class / self.num_images)


def count_added(num_real: int, ratio: float) -> int:
    """Returns how many images of the class an arm adds at a ratio to the real ones of it."""
    return round(ratio * num_real)


def _count(real: TrainingImages, ratio: float) -> int:
    return count_added(len(real.of_class), ratio)


def _as_they_come(real: TrainingImages, ratio: float, rng: np.random.Generator) -> Selection:
    rows = np.arange(len(real.positive))
    return Selection(rows, rows)


def _with_repeated(real: TrainingImages, repeated: np.ndarray) -> Selection:
    rows = np.concatenate([np.arange(len(real.positive)), repeated])
    return Selection(rows, rows)


def _oversampled(real: TrainingImages, ratio: float, rng: np.random.Generator) -> Selection:
    """Every image of the class again and again, all equally often up to one."""
    return _with_repeated(real, np.resize(rng.permutation(real.of_class), _count(real, ratio)))


def _duplicates(real: TrainingImages, ratio: float, rng: np.random.Generator) -> Selection:
    """Copies of images of the class that are drawn at random, as of a generator that knows them by heart."""
    return _with_repeated(real, rng.choice(real.of_class, _count(real, ratio)))


def _augmented(real: TrainingImages, ratio: float, rng: np.random.Generator) -> Selection:
    """Images of the class, turned and mirrored, each view once before any comes again."""
    rows, views = np.arange(len(real.positive)), rng.permutation(len(real.of_class) * (NUM_VIEWS - 1))
    return Selection(rows, rows, views=np.resize(views, _count(real, ratio)))


def _half_hidden(real: TrainingImages, ratio: float, rng: np.random.Generator) -> Selection:
    """Without half of the patients who have the class."""
    patients = rng.permutation(np.unique(real.groups[real.positive]))
    rows = np.flatnonzero(~np.isin(real.groups, patients[: len(patients) // 2]))
    return Selection(rows, rows)


def _shuffled(real: TrainingImages, ratio: float, rng: np.random.Generator) -> Selection:
    """With labels that say nothing."""
    rows = np.arange(len(real.positive))
    return Selection(rows, rng.permutation(rows))


# (real images, ratio, generator of random numbers) -> selection
Select = Callable[[TrainingImages, float, np.random.Generator], Selection]


@dataclass(frozen=True)
class Control:
    """An arm without a generator.

    Attributes:
      select: the images that it learns from.
      purpose: what it is, for the page.
      baseline: the arm that it is compared with; empty for a baseline.
      family: of comparisons that hold together. A control whose labels or images are drawn anew for every seed differs
        from all others in its luck, and is a family of its own.
      has_other_seeds: whether its classifiers have seeds of their own, and not those that all arms share.
      trained_as: the control whose classifiers are its own too; empty where it has others.
      recipe: settings of `ClassifierConfig` that it changes.
      is_for_linear, is_for_networks: the classifiers that it makes sense for.
    """

    select: Select
    purpose: str
    baseline: str = NONE
    family: str = CONTROL
    has_other_seeds: bool = False
    trained_as: str = ""
    recipe: Mapping[str, object] = field(default_factory=dict)
    is_for_linear: bool = True
    is_for_networks: bool = True


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
        trained_as=NONE,
    ),
    REPEATED: Control(
        _as_they_come, "the baseline again, with other seeds: shows what luck alone changes", has_other_seeds=True
    ),
    SHUFFLED: Control(_shuffled, "labels that say nothing: must harm", family=SHUFFLED),
    UNAUGMENTED: Control(
        _as_they_come,
        "the baseline with images as they are: what it costs not to augment them",
        family=UNAUGMENTED,
        recipe={"augmentation": "none"},
        is_for_linear=False,
    ),
}
# Those that add as many images as a generator. A network turns and mirrors all of its images in any case.
IMITATIONS: dict[str, Control] = {
    OVERSAMPLED: Control(_oversampled, "real images of the class are repeated, all equally often"),
    DUPLICATES: Control(_duplicates, "copies of real images of the class, drawn at random"),
    AUGMENTED: Control(_augmented, "real images of the class, turned and mirrored", is_for_networks=False),
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
    def trained_as(self) -> str:
        """The name of the arm whose classifiers it has: another one, or itself."""
        return self.name if self.control is None else self.control.trained_as or self.name

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

    def select(self, real: TrainingImages, rng: np.random.Generator) -> Selection:
        """Returns the images that a classifier learns from."""
        if self.control is not None:
            return self.control.select(real, self.ratio, rng)
        rows = np.arange(len(real.positive))
        return Selection(rows, rows, synthetic=_count(real, self.ratio))


def all_arms(methods: Sequence[str], ratios: Sequence[float], *, networks: bool = False) -> list[Arm]:
    """Returns the arms of a study, controls first; `networks`: of networks, and not of linear classifiers."""

    def suits(control: Control) -> bool:
        return control.is_for_networks if networks else control.is_for_linear

    controls = [Arm(kind, control=control) for kind, control in CONTROLS.items() if suits(control)]
    imitations = [
        Arm(kind, ratio, control) for kind, control in IMITATIONS.items() if suits(control) for ratio in ratios
    ]
    return controls + imitations + [Arm(method, ratio) for method in methods for ratio in ratios]
