"""What the generators of a study are worth, from their evaluations."""

import math
from collections.abc import Sequence

from pipelines.artefacts.diversity_history import read_diversity
from pipelines.artefacts.evaluation import EvaluationReport, served, value_of
from pipelines.artefacts.study import Generator
from pipelines.artefacts.synthetic_run import SyntheticReport
from pipelines.contract.workdir import read_report, require_completed
from pipelines.studying.planned_generator import PlannedGenerator


def read_generators(jobs: Sequence[PlannedGenerator]) -> tuple[Generator, ...]:
    """Returns what the evaluations of complete generators say of the class that they were asked for.

    Raises:
      CommandError: if one is not complete.
      DataError: if one is damaged.
    """
    return tuple(map(_read, jobs))


def _read(job: PlannedGenerator) -> Generator:
    evaluation = read_report(require_completed(str(job.evaluation), "jobs_dir"), EvaluationReport)
    drawn = read_report(require_completed(str(job.synthetic), "jobs_dir"), SyntheticReport)
    serves = served(evaluation, job.label)
    return Generator(
        method=job.method,
        seed=job.seed,
        fold=job.fold,
        sha256=drawn.provenance.generator,
        images=sum(drawn.class_counts),
        rejected=sum(drawn.rejected_copies),
        served=serves.value,
        served_by=serves.metric,
        diversity=_diversity(job),
        **{name: _of_synthetic(evaluation, name, job.label) for name in ("kid", "recall", "coverage")},
    )


def _diversity(job: PlannedGenerator) -> float:
    """Returns the diversity of the class at the last checkpoint, NaN for what is trained without looking at it."""
    history = read_diversity(job.gan)
    return history[-1].of_class.get(job.label, math.nan) if history else math.nan


def _of_synthetic(evaluation: EvaluationReport, name: str, label: str) -> float:
    value = value_of(evaluation.synthetic, name, label)
    return math.nan if value is None else value
