"""Real images that synthetic ones are made from, read from shards."""

from collections.abc import Collection, Sequence

import numpy as np

from melgan.sources import Sources
from pipelines.artefacts.shards import READ_BATCH, Shards
from tfrecords_tools.foundation.errors import CommandError
from tfrecords_tools.manifest import ShardEntry
from tfrecords_tools.reading import evaluation_batches


def read_sources(
    shards: Shards,
    entries: Sequence[ShardEntry],
    labels: Sequence[int],
    image_size: int,
    *,
    outlined_by: str,
    names: Collection[str] = (),
    at_most: int | None = None,
) -> tuple[Sources, dict[str, int]]:
    """Returns the images of some classes in some shards, with the index of the shard that each is in, by its name.

    Arguments:
      shards: that are read.
      entries: some of them.
      labels: numbers of the classes.
      image_size: side of the images in pixels.
      outlined_by: a name of OUTLINES, by which masks are read too, and images without are left out; empty for none.
      names: of the images; none: all of them.
      at_most: this many of them, the first.

    Raises:
      CommandError: if there is none, or an entry is of the test split: what a generator makes of test images would let
        a classifier learn from them.
    """
    if any(entry.split == "test" for entry in entries):
        raise CommandError(f"{shards.folder}: images of the test split are no sources; give shards of training images")
    found: dict[str, list] = {"names": [], "images": [], "masks": [], "labels": []}
    shard_of: dict[str, int] = {}
    for entry in entries:
        batches = evaluation_batches(
            shards.read([entry]), image_size=image_size, batch_size=READ_BATCH, outlined_by=outlined_by
        )
        for batch in batches:
            of_batch = np.array([name.decode() for name in batch["image_name"].numpy()])
            is_wanted = np.isin(batch["label"].numpy(), labels)
            if names:
                is_wanted &= np.isin(of_batch, list(names))
            rows = np.flatnonzero(is_wanted)
            shard_of |= dict.fromkeys(of_batch[rows].tolist(), entry.index)
            found["names"] += of_batch[rows].tolist()
            found["labels"].append(batch["label"].numpy()[rows])
            found["images"].append(batch["image"].numpy()[rows])
            if outlined_by:
                found["masks"].append(batch["mask"].numpy()[rows, ..., 0])
        if at_most is not None and len(found["names"]) >= at_most:
            break
    if not found["names"]:
        wanted = ", ".join(shards.classes[label] for label in labels)
        wanted += f" called {', '.join(names)}" if names else ""
        what = f"image with {outlined_by}" if outlined_by else "image"
        raise CommandError(f"{shards.folder}: no {what} of {wanted} in these shards to make others from; give others")
    sources = Sources(
        names=np.array(found["names"][:at_most]),
        images=np.concatenate(found["images"])[:at_most],
        masks=np.concatenate(found["masks"])[:at_most] if outlined_by else None,
        labels=np.concatenate(found["labels"])[:at_most],
    )
    return sources, shard_of
