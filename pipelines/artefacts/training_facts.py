"""Facts of a GAN training, for its report."""

from collections.abc import Sequence
from pathlib import Path

from pipelines.artefacts.metrics_file import read_metrics
from pipelines.artefacts.shards import Shards
from pipelines.contract.workdir import digest
from tfrecords_tools.manifest import ShardEntry


def training_facts(shards: Shards, entries: Sequence[ShardEntry]) -> dict:
    """Returns which images a generator was trained on, for its report."""
    return {
        "classes": shards.manifest.classes,
        "class_counts": shards.class_counts(tuple(entries)),
        "trained_on": shards_used(shards, entries),
    }


def shards_used(shards: Shards, entries: Sequence[ShardEntry]) -> dict:
    """Returns what tells later whether an image was in some of the shards."""
    manifest = shards.manifest
    return {
        "source_fingerprint": manifest.source_fingerprint,
        "shards_digest": digest(shards.folder),
        "folds_fingerprint": manifest.folds_fingerprint,
        "shards": [shard.file for shard in entries],
        "indices": [shard.index for shard in entries],
    }


def last_metrics(folder: Path, series: str) -> dict[str, float]:
    """Returns the figures of a series' last line in metrics.jsonl, none if it has no line."""
    lines = [line for line in read_metrics(folder) if line["series"] == series]
    return {name: value for name, value in lines[-1].items() if name not in ("series", "step")} if lines else {}
