"""The report of make_shards."""

from dataclasses import dataclass

from tfrecords_tools.foundation.documents import stored
from tfrecords_tools.manifest import DuplicateCounts

BLANK_FILE, VALUES_FILE = "blank.csv", "values.csv"


@dataclass(frozen=True, kw_only=True)
class MarkedImages:
    """The origin of boxes or masks of lesions, and how many training images of each class have any."""

    origin: str = stored("from")
    sha256: str = stored(default="", omit_default=True)
    class_counts: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class ShardsReport:
    """Counts of a set of shards; `shards` and `records` are counted by split."""

    source: str
    source_fingerprint: str
    classes: tuple[str, ...]
    class_counts: tuple[int, ...]
    shards: dict[str, int]
    records: dict[str, int]
    rejected: int
    boxes: MarkedImages | None = stored(default=None, omit_default=True)
    masks: MarkedImages | None = stored(default=None, omit_default=True)
    duplicates: DuplicateCounts
    manifest_sha256: str
