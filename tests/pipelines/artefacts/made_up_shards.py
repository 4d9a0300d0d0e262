"""Sets of shards of which only the manifest is there."""

from dataclasses import replace
from pathlib import Path

from pipelines.artefacts.shards import Shards
from tfrecords_tools.manifest import Manifest, ShardEntry
from tfrecords_tools.provenance import ShardsUsed, SyntheticProvenance


def shards_of(fingerprint: str, source: str = "", provenance: SyntheticProvenance | None = None) -> Shards:
    """A set of four shards, of which only the manifest is there."""
    first = ShardEntry(
        file="train00-9.tfrec", split="train", index=0, records=9, class_counts=(5, 4), bytes=1, crc32c=""
    )
    entries = tuple(replace(first, file=f"train{index:02d}-9.tfrec", index=index) for index in range(4))
    manifest = Manifest(
        source="x",
        source_fingerprint=source or f"source of {fingerprint}",
        folds_fingerprint=fingerprint,
        classes=("a", "b"),
        image_size=32,
        encoder={},
        shards=entries,
        provenance=provenance,
    )
    return Shards(Path("/data") / fingerprint, manifest)


def used(shards: Shards, *indices: int) -> ShardsUsed:
    manifest = shards.manifest
    return ShardsUsed(
        folds_fingerprint=manifest.folds_fingerprint,
        source_fingerprint=manifest.source_fingerprint,
        indices=indices,
        shards=tuple(manifest.shards[index].file for index in indices),
    )


SHARDS = shards_of("one")
OTHER_FOLDS = shards_of("two", SHARDS.manifest.source_fingerprint)  # of the same images
OTHER_IMAGES = shards_of("three")
