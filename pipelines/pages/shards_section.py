"""The section of a page on a set of shards."""

from collections.abc import Sequence
from pathlib import Path

from pipelines.pages import charts
from pipelines.pages.page import Picture, Section, Table, sentences
from tfrecords_tools.manifest import DuplicateCounts, Manifest


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
        _duplicates(manifest.duplicates),
        "A fold is a set of whole shards; neither patients nor groups of duplicates cross shards.",
    )
    return Section(f"Data: {folder.name}", text, (table, Picture(bars, "Images of each class in every training shard")))


def _duplicates(found: DuplicateCounts | None) -> str:
    return "" if found is None else f"{found.images} images were found to be duplicates, in {found.groups} groups."


def _range(counts: Sequence[int]) -> str:
    return f"{min(counts)} to {max(counts)}"
