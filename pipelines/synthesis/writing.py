"""Synthetic shards: every image with its provenance, and a manifest that tells what its generator has seen."""

import os
from collections.abc import Iterator, Sequence

import numpy as np

from melgan.sampling import Requests, SampledImages
from pipelines.contract.progress import Progress
from pipelines.synthesis.boxes import Placement, without_padding
from pipelines.synthesis.opened import OpenedSampler
from tfrecords_tools.boxes import Box
from tfrecords_tools.example import Example, Provenance
from tfrecords_tools.foundation.files import AnyPath, as_path, is_remote
from tfrecords_tools.images import encode_jpeg
from tfrecords_tools.manifest import Manifest, ShardEntry
from tfrecords_tools.masks import boxes_of_mask, encode_mask
from tfrecords_tools.provenance import LesionsOrigin, SyntheticProvenance
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
      shard_size: images of a shard, where shards are not those of the images that others are made from.
      quality: of the JPEGs.

    Returns:
      All shards.
    """
    rows = rows_of_shards(generator, requests, shard_size)
    done = {index: part for index in rows if (part := read_part(folder, SPLIT, index))}
    remove_leftovers(folder, keep=[part.entry.file for part in done.values()])
    finished = sum(part.entry.records for part in done.values())
    progress = Progress("synthetic images", len(requests), "images", finished)
    entries = []
    for index, own_rows in rows.items():
        if index not in done:
            own = placement.placed(requests.take(own_rows))
            entry = write_examples(folder, SPLIT, index, _examples(generator, own, quality), len(generator.classes))
            done[index] = write_part(folder, ShardResult(entry))
        entries.append(done[index].entry)
        progress.update(sum(entry.records for entry in entries))
    return entries


def rows_of_shards(generator: OpenedSampler, requests: Requests, shard_size: int) -> dict[int, np.ndarray]:
    """Returns which requests are written to which shard, by its index.

    Images of a generator that has seen nothing but what each is made from lie in shards of the same index as that, so
    that they are held out with it. All others are dealt to as many shards as are needed.
    """
    if generator.own_shard_of is not None:
        indices = generator.own_shard_of(requests)
        return {int(index): np.flatnonzero(indices == index) for index in np.unique(indices)}
    num_shards = -(-len(requests) // shard_size)
    return {index: np.arange(index, len(requests), num_shards) for index in range(num_shards)}


def synthetic_manifest(
    generator: OpenedSampler,
    gan: str,
    placement: Placement,
    entries: list[ShardEntry],
    *,
    quality: int,
    rejected_copies: int | None,
    near_source: float | None,
) -> Manifest:
    """Returns the manifest of synthetic shards.

    Arguments:
      generator: that drew the images.
      gan: folder of its run.
      placement: where their lesions lie.
      entries: the shards.
      quality: of the JPEGs.
      rejected_copies: images that were rejected as suspected copies; None where copies were not looked for.
      near_source: see `SyntheticProvenance`.
    """
    masks = LesionsOrigin(origin="generator") if any(entry.masked_counts for entry in entries) else None
    boxes = placement.origin
    if boxes is None and any(entry.boxed_counts for entry in entries):
        boxes = LesionsOrigin(origin="masks")
    provenance = SyntheticProvenance(
        generator=generator.sha256,
        gan=gan if is_remote(as_path(gan)) else os.path.abspath(gan),
        method=generator.method,
        seed=generator.seed,
        boxes=boxes,
        drawn_with=dict(generator.drawn_with) or None,
        rejected_copies=rejected_copies,
        trained_on=generator.seen.trained_on,
        selected_on=generator.seen.selected_on,
        ancestors=generator.seen.ancestors,
        made_from=generator.seen.made_from,
        each_from_its_own_shard=generator.own_shard_of is not None,
        near_source=near_source,
        seen_is=generator.seen_is,
    )
    return manifest_of(
        entries,
        provenance,
        classes=generator.classes,
        image_size=generator.sampler.image_size,
        quality=quality,
        boxes=boxes,
        masks=masks,
    )


def manifest_of(
    entries: Sequence[ShardEntry],
    provenance: SyntheticProvenance,
    *,
    classes: tuple[str, ...],
    image_size: int,
    quality: int,
    boxes: LesionsOrigin | None = None,
    masks: LesionsOrigin | None = None,
) -> Manifest:
    """Returns the manifest of synthetic shards.

    Arguments:
      entries: the shards.
      provenance: of their images.
      classes: names of the classes.
      image_size: side of the images in pixels.
      quality: of the JPEGs.
      boxes, masks: where those of the images come from; None without any.
    """
    return Manifest(
        source=SPLIT,
        source_fingerprint=provenance.generator,
        folds_fingerprint="",
        classes=classes,
        image_size=image_size,
        encoder={"format": "JPEG", "quality": quality, "subsampling": "4:4:4"},
        shards=tuple(entries),
        codes={"target": {name: code for code, name in enumerate(classes)}},
        boxes=boxes,
        masks=masks,
        provenance=provenance,
    )


def _examples(generator: OpenedSampler, requests: Requests, quality: int) -> Iterator[Example]:
    sha256, method, seed = generator.sha256, generator.method, generator.seed
    side, identity = generator.sampler.image_size, generator.identity
    for batch in requests.in_batches():
        sampled = generator.sampler.draw(batch)
        for row, (index, label) in enumerate(zip(batch.index.tolist(), batch.label.tolist(), strict=True)):
            yield Example(
                image=encode_jpeg(sampled.images[row], quality),
                image_name=f"{method}_{identity[:8]}_{seed}_{index:07d}",
                target=label,
                width=side,
                height=side,
                boxes=_boxes(sampled, row),
                mask=_mask(sampled, row),
                provenance=Provenance(
                    generator=sha256,
                    method=method,
                    seed=seed,
                    index=index,
                    made_from=sampled.made_from[row],
                    made_from_shards=tuple(generator.shard_of[name] for name in sampled.made_from[row]),
                ),
            )


def _boxes(sampled: SampledImages, row: int) -> tuple[Box, ...]:
    """Returns where the lesions of an image were placed, or lie by its mask."""
    if sampled.boxes is not None:
        return without_padding(sampled.boxes[row])
    return () if sampled.masks is None else boxes_of_mask(sampled.masks[row] > 0)


def _mask(sampled: SampledImages, row: int) -> bytes:
    """Returns the mask of an image as it is stored; one that shows no lesion is none."""
    if sampled.masks is None or not sampled.masks[row].any():
        return b""
    return encode_mask(sampled.masks[row] > 0)
