"""The settings and the report of a study."""

import math
import statistics
from dataclasses import dataclass, field

from melgan.gans.methods import METHODS
from melgan.metrics.extractors import EXTRACTORS
from melgan.studies.arms import AGAINST_IMITATION, SYNTHETIC
from melgan.studies.differences import Difference
from melgan.translation.translators import TRANSLATORS
from pipelines.artefacts import adopted_run, singan_run
from pipelines.contract.shared_settings import CacheSettings, EngineSettings, ExtractorSettings, TrustSettings
from tfrecords_tools.engines import LOCAL
from tfrecords_tools.foundation.errors import ConfigError, look_up
from tfrecords_tools.foundation.settings import require, setting

COMMAND = "study"
ARMS_TABLE, DIFFERENCES_TABLE, VARIANCE_TABLE = "arms.csv", "differences.csv", "variance.csv"
POWER_TABLE, RATIO_TABLE, GENERATORS_TABLE, SCORES_TABLE = "power.csv", "ratio.csv", "generators.csv", "scores.csv"
MADE_FROM_IMAGES = (*TRANSLATORS, singan_run.METHOD)  # whose images are made from real ones
GENERATORS = dict.fromkeys((*METHODS, *MADE_FROM_IMAGES, adopted_run.METHOD))
GENERATOR_SETTINGS = ("gan_settings", "translator_settings", "singan_settings", "adopted_settings")
EVALUATION_SETTINGS = "evaluation_settings"
LATEX_TABLE, METHODS_TEXT = "differences.tex", "methods.txt"
TABLES = (
    *(ARMS_TABLE, DIFFERENCES_TABLE, VARIANCE_TABLE, POWER_TABLE, RATIO_TABLE, GENERATORS_TABLE, SCORES_TABLE),
    LATEX_TABLE,
)
AUC, SENSITIVITY = "auc", "sensitivity"
LINEAR, NETWORK = "linear", "network"


@dataclass(frozen=True, kw_only=True)
class StudyConfig(TrustSettings, CacheSettings, EngineSettings, ExtractorSettings):
    """Settings of study."""

    shards: str = setting(help="real shards", is_path=True)
    workdir: str = setting(help="folder of the page and the tables", changes_result=False)
    jobs_dir: str = setting(
        "",
        "folder of the generators, which several studies may share (default: --workdir with _jobs added)",
        changes_result=False,
    )
    methods: tuple[str, ...] = setting(("bagan_gp",), f"generators to try, of {', '.join(GENERATORS)}")
    ratios: tuple[str, ...] = setting(("0.5", "1", "2"), "synthetic images to real ones of the class")
    label: str = setting("", "class that synthetic images are made of (default: the rarest)")
    num_folds: int = setting(5, "folds of whole shards; each has generators and classifiers of its own")
    seeds: int = setting(5, "classifiers of each arm and fold; a second each")
    generator_seeds: int = setting(1, "generators of each method and fold")
    gan_settings: tuple[str, ...] = setting((), "of train_gan, such as total_steps=2000,width=0.25")
    translator_settings: tuple[str, ...] = setting((), "of train_translator, such as total_steps=2000,width=0.25")
    singan_settings: tuple[str, ...] = setting((), "of train_singan, such as steps_per_scale=500,width=0.5")
    adopted_settings: tuple[str, ...] = setting(
        (),
        "of adopt_synthetic, such as images=stylegan/fold{fold},generator=stylegan3,seen=training; {fold} stands for "
        "the fold's number",
    )
    evaluation_settings: tuple[str, ...] = setting(
        (), "of evaluate_gan, such as most_per_class=1000, with which large sets take less time"
    )
    classifier: str = setting(
        LINEAR,
        "linear: classifiers of --features, under a second each; network: runs of train_classifier, trained end to end",
        choices=(LINEAR, NETWORK),
    )
    classifier_settings: tuple[str, ...] = setting(
        (), "of train_classifier, with --classifier=network, such as backbone=efficientnet_lite0,epochs=10"
    )
    features: str = setting(
        "lite0",
        "features that linear classifiers learn from, and generators are evaluated by",
        choices=tuple(EXTRACTORS),
    )
    passes: int = setting(
        20, "passes of linear classifiers over the real images; every arm sees as many images as these are"
    )
    weight_decay: float = setting(0.3, "of the linear classifiers, whose features have deviation 1")
    specificity: float = setting(0.90, "at which the sensitivity is compared")
    margin: float = setting(0.01, "differences in AUC within it are not relevant")
    resamples: int = setting(2000, "of patients and runs, for the intervals")
    seed: int = setting(0, "seed of the resamples, and the first seed of generators and classifiers")
    jobs: int = setting(1, "trainings at a time", changes_result=False)
    gpus: tuple[str, ...] = setting(
        (),
        "GPUs of this machine, such as 0,1: as many trainings at a time, each with one to itself",
        changes_result=False,
    )
    worker_resources: tuple[str, ...] = setting(
        (), "what a training needs of a worker of --scheduler, such as GPU=1", changes_result=False
    )
    plan: bool = setting(
        False, "print what would be done, how long it takes and what could be seen, and end", changes_result=False
    )
    budget_hours: float = setting(
        0.0, "hours that the study may take, to which it is cut: seeds, ratios, methods; 0: as it is asked for"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in self.methods:
            look_up(GENERATORS, name, "methods")
        require(
            len(set(self.methods)) == len(self.methods) > 0,
            "methods",
            ",".join(self.methods),
            "different methods, or one",
        )
        require(
            len({f"{ratio:g}" for ratio in self.ratio_values}) == len(self.ratios) > 0
            and all(0 < ratio < math.inf for ratio in self.ratio_values),
            "ratios",
            ",".join(self.ratios),
            "different numbers greater than 0",
        )
        require(self.num_folds >= 2, "num_folds", self.num_folds, "at least 2")
        for name in ("seeds", "generator_seeds", "passes", "jobs"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")
        require(0 <= self.budget_hours < math.inf, "budget_hours", self.budget_hours, "0 or greater")
        require(self.weight_decay > 0, "weight_decay", self.weight_decay, "greater than 0")
        require(0 < self.specificity < 1, "specificity", self.specificity, "between 0 and 1")
        require(self.margin > 0, "margin", self.margin, "greater than 0")
        require(self.resamples >= 100, "resamples", self.resamples, "at least 100")
        for name in (*GENERATOR_SETTINGS, EVALUATION_SETTINGS, "classifier_settings", "worker_resources"):
            for each in getattr(self, name):
                require(each.partition("=")[0].isidentifier() and "=" in each, name, each, "name=value")
        if (
            adopted_run.METHOD in self.methods
            and self.seen_by_adopted == adopted_run.UNKNOWN
            and not self.trust_unknown_generators
        ):
            raise ConfigError(
                "adopted_settings has seen=unknown, so generators may have seen the images that classifiers are "
                "evaluated on; say what they have seen, or give --trust_unknown_generators"
            )
        if self.classifier_settings and self.classifier != NETWORK:
            raise ConfigError("classifier_settings are for --classifier=network; give both, or leave them out")
        require(len(set(self.gpus)) == len(self.gpus), "gpus", ",".join(self.gpus), "different ones")
        if self.gpus and self.jobs > 1:
            raise ConfigError(f"jobs is {self.jobs}, beside gpus, of which each trains one at a time; give one of both")
        require(not self.gpus or self.engine == LOCAL, "gpus", ",".join(self.gpus), "given with --engine=local")
        require(
            self.resources_of_a_job == {} or self.engine == "dask",
            "worker_resources",
            ",".join(self.worker_resources),
            "given with --engine=dask",
        )

    @property
    def seen_by_adopted(self) -> str:
        """What the generator of adopted images has seen, as it is declared; empty where it is not."""
        return dict(each.split("=", 1) for each in self.adopted_settings).get("seen", "")

    @property
    def num_at_a_time(self) -> int:
        """How many trainings run at a time."""
        return len(self.gpus) or self.jobs

    @property
    def resources_of_a_job(self) -> dict[str, float]:
        """What a training needs of a worker of a Dask cluster, by name."""
        pairs = [each.split("=", 1) for each in self.worker_resources]
        try:
            return {name: float(amount) for name, amount in pairs}
        except ValueError as error:
            given = ",".join(self.worker_resources)
            raise ConfigError(f"worker_resources is {given}; it must be numbers such as GPU=1") from error

    @property
    def ratio_values(self) -> tuple[float, ...]:
        """The ratios as numbers, ascending."""
        try:
            return tuple(sorted(map(float, self.ratios)))
        except ValueError as error:
            raise ConfigError(f"ratios is {','.join(self.ratios)}; it must be numbers such as 0.5,1,2") from error


@dataclass(frozen=True, kw_only=True)
class ArmResult:
    """The metrics of an arm, mean of its runs.

    `added` is how many images it adds in a fold, and `prior` the fraction of the class in training, both mean of folds.
    """

    name: str
    kind: str
    ratio: float
    is_synthetic: bool
    added: float
    prior: float
    runs: int
    auc: float
    sensitivity: float


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The difference of an arm from its baseline in a metric.

    Attributes:
      arm, baseline: names of the two.
      family: of the comparisons that hold together, see `Arm.family`.
      metric: AUC or SENSITIVITY.
      verdict: of `Difference.verdict`; the margin is one of AUC.
      difference: with its intervals.
      of_folds: the difference in each fold.
      not_inferior: whether it is not worse by the margin; None of a metric that has none.
      p_delong, p_corrected_t: p-values of no difference by DeLong, and by the folds.
    """

    arm: str
    baseline: str
    family: str
    metric: str
    verdict: str
    difference: Difference
    of_folds: tuple[float, ...]
    p_delong: float
    p_corrected_t: float
    not_inferior: bool | None = None


@dataclass(frozen=True, kw_only=True)
class BestRatio:
    """The ratio of a method that either half of the patients chose, and what it is worth by the other half."""

    method: str
    chosen: tuple[float, ...]
    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Generator:
    """A generator of a fold: images drawn, rejected as copies, and its metrics of the class and the worst of them.

    `served` is the smallest of recall, coverage, accuracy score and reverse, each relative to that of real images, and
    `diversity` how much images of the class differ from each other, relative to real ones, at the last checkpoint.
    """

    method: str
    seed: int
    fold: int
    sha256: str
    images: int
    rejected: int
    served: float
    served_by: str
    kid: float
    recall: float
    coverage: float
    diversity: float = math.nan


@dataclass(frozen=True, kw_only=True)
class StudyReport:
    """The report of a study.

    `cut` tells what is less than was asked for, so that the study keeps within its hours; `methods` are those that are
    complete, and `failed` tells why jobs of others are not, by their names.
    """

    label: str
    images: int
    positives: int
    patients: int
    has_patients: bool
    arms: tuple[ArmResult, ...]
    comparisons: tuple[Comparison, ...]
    best_ratios: tuple[BestRatio, ...]
    generators: tuple[Generator, ...]
    methods: tuple[str, ...] = ()
    failed: dict[str, str] = field(default_factory=dict)
    cut: tuple[str, ...] = ()

    @property
    def detectable(self) -> float:
        """The smallest difference in AUC of a synthetic arm that the study finds, median of these arms."""
        return statistics.median(each.difference.detectable for each in self.of_family(SYNTHETIC))

    def of_family(self, family: str, metric: str = AUC) -> list[Comparison]:
        """Returns the comparisons of a family in a metric."""
        return [each for each in self.comparisons if (each.family, each.metric) == (family, metric)]

    @property
    def of_arms(self) -> dict[str, Comparison]:
        """The comparison in AUC of each arm with its own baseline, by its name."""
        own = [each for each in self.comparisons if each.metric == AUC and each.family != AGAINST_IMITATION]
        return {each.arm: each for each in own}
