"""The settings and the report of evaluate_gan: metrics of synthetic images and, beside them, of real ones."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from melgan.metrics import METRICS
from melgan.metrics.evaluation import ALL_CLASSES, Row
from melgan.metrics.extractors import EXTRACTORS
from pipelines.artefacts.evaluation_curves import Curves
from pipelines.artefacts.feature_store import require_known_features
from pipelines.artefacts.image_sets import MOST_PER_CLASS
from pipelines.contract.shared_settings import (
    CacheSettings,
    ExtractorSettings,
    JpegSettings,
    PageSettings,
    SamplingSettings,
)
from tfrecords_tools.foundation.documents import stored
from tfrecords_tools.foundation.errors import CommandError, look_up
from tfrecords_tools.foundation.settings import require, setting
from tfrecords_tools.images import JPEG_QUALITY

COMMAND = "evaluate_gan"
LEAST_PER_CLASS = 100
_SERVING = ("recall", "coverage", "accuracy_score", "accuracy_reverse")


@dataclass(frozen=True, kw_only=True)
class EvaluateGanConfig(SamplingSettings, JpegSettings, ExtractorSettings, CacheSettings, PageSettings):
    """Settings of evaluate_gan."""

    gan: str = setting(
        "", "folder that train_gan, train_translator or train_singan wrote, to draw from; or --synthetic", is_path=True
    )
    synthetic: str = setting("", "folder that synthesize wrote; or --gan", is_path=True)
    shards: str = setting(help="real shards that the generator was trained on, all folds of them", is_path=True)
    output: str = setting(help="folder of the metrics and pictures", changes_result=False)
    features: str = setting(
        "inception",
        f"what turns images into features: {', '.join(EXTRACTORS)} or classifier:RUN",
        is_path=True,
        words=tuple(EXTRACTORS),
    )
    metrics: tuple[str, ...] = setting((), f"of {', '.join(METRICS)}; all by default")
    images_per_class: int = setting(
        0, f"images to draw of each class; 0: as many as real ones are held out, and {LEAST_PER_CLASS} at least"
    )
    most_per_class: int = setting(
        MOST_PER_CLASS, "held-out or synthetic images read of each class at most; training images are all read"
    )
    feature_dir: str = setting("", "folder of the features (default: features/ in --output)", changes_result=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.images_per_class >= 0, "images_per_class", self.images_per_class, "0 or greater")
        require(self.most_per_class >= 2, "most_per_class", self.most_per_class, "at least 2")
        for name in self.metrics:
            look_up(METRICS, name, "metrics")
        require_known_features(self.features, "features")
        if bool(self.gan) == bool(self.synthetic):
            raise CommandError("say what to evaluate: either --gan, or --synthetic")
        if self.synthetic and (self.checkpoint != "last" or self.images_per_class or self.quality != JPEG_QUALITY):
            raise CommandError(
                "--checkpoint, --images_per_class and --quality tell what is drawn of --gan; the images of --synthetic "
                "are drawn"
            )

    @property
    def metric_names(self) -> tuple[str, ...]:
        """The metrics to compute, each once."""
        return tuple(dict.fromkeys(self.metrics)) or tuple(METRICS)


@dataclass(frozen=True, kw_only=True)
class EvaluationReport:
    """The report of evaluate_gan.

    Attributes:
      generator: SHA-256 of its weights.
      method: that trained it.
      drawn_with: settings of the drawing of its images that are not the defaults, by name; None without any.
      classes: their names.
      image_size: of its images, in pixels.
      features, features_identity: the extractor: its name, and what tells it apart from all others.
      held_out: real shards by which the images are evaluated, none of which the generator has seen.
      selected_by: the held-out shards by whose metrics it was selected among others of its training.
      shards_digest: of the real shards.
      curves: metrics in its training.
      synthetic, real: metrics of synthetic images, and of as many real ones.
    """

    generator: str
    method: str
    drawn_with: dict[str, str] | None = stored(default=None, omit_default=True)
    classes: tuple[str, ...]
    image_size: int
    features: str
    features_identity: str
    held_out: tuple[str, ...]
    selected_by: tuple[str, ...] = stored("chosen_by")
    shards_digest: str
    curves: Curves
    synthetic: tuple[Row, ...]
    real: tuple[Row, ...]

    @property
    def scopes(self) -> tuple[str, ...]:
        """All classes together, then each."""
        return (ALL_CLASSES, *self.classes)


def row_of(rows: Sequence[Row], name: str, scope: str) -> Row | None:
    """Returns the row of a metric for a class or `ALL_CLASSES`, None if there is none."""
    return next((row for row in rows if row.name == name and row.scope == scope), None)


def value_of(rows: Sequence[Row], name: str, scope: str) -> float | None:
    """Returns the value of a metric for a class or `ALL_CLASSES`, None if there is none."""
    row = row_of(rows, name, scope)
    return None if row is None else row.value


@dataclass(frozen=True)
class Served:
    """The worst metric of a class relative to that of real images, 1 at most, and its name; NaN and "" without any."""

    value: float
    metric: str


def served(report: EvaluationReport, label: str) -> Served:
    """Returns how well a generator serves a class: the worst of recall, coverage, accuracy score and reverse."""
    relative = {name: _relative(report, name, label) for name in _SERVING}
    known = {name: value for name, value in relative.items() if not math.isnan(value)}
    worst = min(known, key=known.get, default="")
    return Served(known.get(worst, math.nan), worst)


def _relative(report: EvaluationReport, name: str, label: str) -> float:
    """Returns a metric of synthetic images relative to that of real ones, 1 at most; NaN where either is not known."""
    synthetic, real = value_of(report.synthetic, name, label), value_of(report.real, name, label)
    return min(synthetic / real, 1.0) if synthetic is not None and real else math.nan
