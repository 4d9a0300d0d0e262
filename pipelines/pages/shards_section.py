"""The section of a page on a set of shards."""

from collections.abc import Sequence
from pathlib import Path

from pipelines.artefacts.shards_report import BLANK_FILE, VALUES_FILE
from pipelines.pages import charts
from pipelines.pages.page import Picture, Section, Table, sentences
from tfrecords_tools.csv_tables import read_table
from tfrecords_tools.manifest import DuplicateCounts, Manifest

_MOST_VALUES = 20


def shards_section(folder: Path, manifest: Manifest) -> Section:
    """Returns counts per class, split and shard."""
    shards = manifest.split("train")
    per_class = {name: [shard.class_counts[i] for shard in shards] for i, name in enumerate(manifest.classes)}
    total = sum(manifest.class_counts())
    rows = tuple(
        (name, str(sum(counts)), f"{sum(counts) / total:.1%}", _range(counts)) for name, counts in per_class.items()
    )
    table = Table(("class", "training images", "fraction", "in each shard"), rows)
    bars = charts.stacked_bars([shard.index for shard in shards], per_class, "training shard")
    test = sum(shard.records for shard in manifest.split("test"))
    text = sentences(
        f"Source {manifest.source}, {manifest.image_size} px, {len(shards)} training shards; {test} test images; "
        f"{manifest.rejected} images left out.",
        f"{manifest.blank} images have one colour only: {BLANK_FILE} names them." if manifest.blank else "",
        _duplicates(manifest.duplicates),
        "A fold is a set of whole shards; neither patients nor groups of duplicates cross shards.",
    )
    picture = Picture(bars, "Images of each class in every training shard")
    return Section("Data", text, (table, picture, *_not_understood(folder)))


def _not_understood(folder: Path) -> list[Table]:
    """Returns the first values of the tables that stand for nothing known, and how many images have each."""
    if not (folder / VALUES_FILE).is_file():
        return []
    header = ("table", "column", "value")
    values = read_table(folder / VALUES_FILE, header).head(_MOST_VALUES)
    rows = tuple(tuple(map(str, row)) for row in values.itertuples(index=False))
    return [Table((*header, "images in which it was not understood"), rows)] if rows else []


def _duplicates(found: DuplicateCounts | None) -> str:
    if found is None:
        return ""
    if not found.images:
        return "No duplicates were found."
    return f"{found.images} images were found to be duplicates, in {found.groups} groups."


def _range(counts: Sequence[int]) -> str:
    return f"{min(counts)} to {max(counts)}"
