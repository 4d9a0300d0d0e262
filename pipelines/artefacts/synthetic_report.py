"""The report of synthesize."""

from dataclasses import dataclass

from tfrecords_tools.provenance import SyntheticProvenance

GRID_FILE = "grid.png"


@dataclass(frozen=True, kw_only=True)
class SyntheticReport:
    """Counts of a set of synthetic images, and what made them; `rejected_copies` are counted by class."""

    classes: tuple[str, ...]
    class_counts: tuple[int, ...]
    rejected_copies: tuple[int, ...]
    provenance: SyntheticProvenance
