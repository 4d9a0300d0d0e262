"""Boxes of the training images, for GANs that are told where lesions lie."""

from collections.abc import Sequence

import numpy as np

from melgan.gans.architectures import ARCHITECTURES
from melgan.gans.boxes import draw_rows
from melgan.gans.config import GanConfig
from melgan.layers.box_map import MAX_BOXES
from melgan.layers.box_table import BoxTable
from pipelines.artefacts.shards import Shards
from tfrecords_tools.foundation.errors import CommandError
from tfrecords_tools.manifest import ShardEntry
from tfrecords_tools.reading import evaluation_batches
from tfrecords_tools.streams import ShardSet

_SMALL, _BATCH = 8, 256  # images are decoded with the boxes: as small as they can be


def boxes_to_read(config: GanConfig) -> int:
    """Returns how many boxes of an image a GAN of a resolved config is told of, 0 if it takes none."""
    return MAX_BOXES if ARCHITECTURES[config.architecture].takes_boxes else 0


def require_boxes(config: GanConfig, shards: Shards, entries: Sequence[ShardEntry]) -> None:
    """Raises CommandError if a GAN is to be told of boxes, and none of the images in some of the shards has any."""
    if boxes_to_read(config) and not any(sum(entry.boxed_counts) for entry in entries):
        raise CommandError(
            f"{shards.folder}: no training image has a box, and the architecture {config.architecture} is told where "
            "lesions lie; make the shards anew with --boxes=FILE.csv, or with --boxes=auto, which looks for them"
        )


def fill_box_table(table: BoxTable, data: ShardSet, num_classes: int, seed: int) -> None:
    """Gives a generator the boxes of the training images to choose from."""
    batches = list(evaluation_batches(data, image_size=_SMALL, batch_size=_BATCH, max_boxes=MAX_BOXES))
    boxes, labels = (np.concatenate([batch[name].numpy() for batch in batches]) for name in ("boxes", "label"))
    table.fill(draw_rows(boxes, labels, num_classes, seed))
