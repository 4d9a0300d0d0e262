"""The diversity of each class at every checkpoint of a GAN, as lines of metrics.jsonl."""

from dataclasses import dataclass
from pathlib import Path

from melgan.metrics.diversity import COLLAPSED_BELOW
from pipelines.artefacts.metrics_file import read_metrics

SERIES = "diversity"
_PREFIX = f"{SERIES}_"


@dataclass(frozen=True)
class Diversity:
    """The relative diversity of classes by name at a step; one of fewer than two different real images is not in it."""

    step: int
    of_class: dict[str, float]

    @property
    def collapsed(self) -> set[str]:
        """The classes below the threshold."""
        return {name for name, value in self.of_class.items() if value < COLLAPSED_BELOW}

    def as_metrics(self) -> dict[str, float]:
        """Returns it as metrics of a step."""
        return {f"{_PREFIX}{name}": value for name, value in self.of_class.items()}


def read_diversity(folder: Path) -> list[Diversity]:
    """Returns the diversity at every checkpoint of a run so far, in order of the steps."""
    return [
        Diversity(line.step, {name.removeprefix(_PREFIX): value for name, value in line.metrics.items()})
        for line in read_metrics(folder, SERIES)
    ]
