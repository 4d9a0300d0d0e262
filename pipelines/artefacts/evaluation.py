"""The report of evaluate_gan: metrics of synthetic images and, beside them, of real ones."""

from collections.abc import Sequence
from dataclasses import dataclass

from melgan.metrics.evaluation import ALL_CLASSES, Row
from pipelines.artefacts.evaluation_curves import Curves
from tfrecords_tools.foundation.documents import stored

COMMAND = "evaluate_gan"


@dataclass(frozen=True, kw_only=True)
class EvaluationReport:
    """The report of evaluate_gan.

    Attributes:
      generator: SHA-256 of its weights.
      method: that trained it.
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
