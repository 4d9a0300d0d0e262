"""Synthetic shards: every image with its provenance, and a manifest that tells what its generator has seen."""

import os
from collections.abc import Iterator

from melgan.sampling import Requests
from pipelines.contract.progress import Progress
from pipelines.synthesis.boxes import Placement, without_padding
from pipelines.synthesis.samplers import OpenedSampler
from tfrecords_tools.example import Example, Provenance
from tfrecords_tools.foundation.files import AnyPath, as_path, is_remote
from tfrecords_tools.images import encode_jpeg
from tfrecords_tools.manifest import Manifest, ShardEntry
from tfrecords_tools.provenance import SyntheticProvenance
from tfrecords_tools.shards import ShardResult, read_part, remove_leftovers, write_examples, write_part

SPLIT = "synthetic"


def write_synthetic_shards(
    folder: AnyPath,
    generator: OpenedSampler,
    requests: Requests,
    placement: Placement,
    *,
    shard_size: int,
    quality: int,
) -> list[ShardEntry]:
    """Writes the shards that an earlier run has not finished; classes are spread over the shards.

    Arguments:
      folder: of the shards.
      generator: draws the images.
      requests: of all images.
      placement: where their lesions lie.
      shard_size: images of a shard.
      quality: of the JPEGs.

    Returns:
      All shards.
    """
    num_shards = -(-len(requests) // shard_size)
    done = {index: part for index in range(num_shards) if (part := read_part(folder, SPLIT, index))}
    remove_leftovers(folder, keep=[part.entry.file for part in done.values()])
    finished = sum(part.entry.records for part in done.values())
    progress = Progress("synthetic images", len(requests), "images", finished)
    entries = []
    for index in range(num_shards):
        if index not in done:
            own = placement.placed(requests.take(slice(index, None, num_shards)))
            entry = write_examples(folder, SPLIT, index, _examples(generator, own, quality), len(generator.classes))
            done[index] = write_part(folder, ShardResult(entry))
        entries.append(done[index].entry)
        progress.update(sum(entry.records for entry in entries))
    return entries


def synthetic_manifest(
    generator: OpenedSampler,
    gan: str,
    placement: Placement,
    entries: list[ShardEntry],
    *,
    quality: int,
    rejected_copies: int | None,
) -> Manifest:
    """Returns the manifest of synthetic shards.

    Arguments:
      generator: that drew the images.
      gan: folder of its run.
      placement: where their lesions lie.
      entries: the shards.
      quality: of the JPEGs.
      rejected_copies: images that were rejected as suspected copies; None where copies were not looked for.
    """
    return Manifest(
        source=SPLIT,
        source_fingerprint=generator.sha256,
        folds_fingerprint="",
        classes=generator.classes,
        image_size=generator.sampler.image_size,
        encoder={"format": "JPEG", "quality": quality, "subsampling": "4:4:4"},
        shards=tuple(entries),
        codes={"target": {name: code for code, name in enumerate(generator.classes)}},
        boxes=placement.origin,
        provenance=SyntheticProvenance(
            generator=generator.sha256,
            gan=gan if is_remote(as_path(gan)) else os.path.abspath(gan),
            method=generator.method,
            seed=generator.seed,
            boxes=placement.origin,
            rejected_copies=rejected_copies,
            trained_on=generator.seen.trained_on,
            selected_on=generator.seen.selected_on,
            ancestors=generator.seen.ancestors,
        ),
    )


def _examples(generator: OpenedSampler, requests: Requests, quality: int) -> Iterator[Example]:
    sha256, method, seed = generator.sha256, generator.method, generator.seed
    side = generator.sampler.image_size
    for batch in requests.in_batches():
        sampled = generator.sampler.draw(batch)
        for row, (index, label) in enumerate(zip(batch.index.tolist(), batch.label.tolist(), strict=True)):
            yield Example(
                image=encode_jpeg(sampled.images[row], quality),
                image_name=f"{method}_{sha256[:8]}_{seed}_{index:07d}",
                target=label,
                width=side,
                height=side,
                boxes=() if sampled.boxes is None else without_padding(sampled.boxes[row]),
                provenance=Provenance(generator=sha256, method=method, seed=seed, index=index),
            )
