"""How the lesions of a record are outlined, by a mask or by boxes around them; OUTLINES table.

Either way they are read as a mask: uint8 `[S, S, 1]`, 255 at lesions and 0 elsewhere.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from tfrecords_tools.example import BOXES_FEATURE, MASK_FEATURE
from tfrecords_tools.foundation.metadata import BOXES, MASKS


@dataclass(frozen=True)
class Outline:
    """A way of outlining lesions.

    Attributes:
      feature: of a record, that holds the outlines.
      specification: how the feature is parsed; where it is missing it is empty.
      counted_in: the attribute of shards that counts the images of each class that have it.
      draw: makes a mask of what was parsed, for images of so many pixels a side.
    """

    feature: str
    specification: Any
    counted_in: str
    draw: Callable[[tf.Tensor, int], tf.Tensor]

    def is_in(self, record: tf.Tensor) -> tf.Tensor:
        """Returns whether a serialized record has such outlines, bool `[]`."""
        value = tf.io.parse_single_example(record, {self.feature: self.specification})[self.feature]
        return tf.size(value) > 0 if value.dtype != tf.string else tf.strings.length(value) > 0


def _decoded(png: tf.Tensor, side: int) -> tf.Tensor:
    """Returns a stored mask, with lesion where at least half of a pixel is."""
    stored = tf.ensure_shape(tf.io.decode_png(png, channels=1), (None, None, 1))
    return _black_and_white(tf.image.resize(stored, (side, side), method="area") >= 127.5)


def _filled(boxes: tf.Tensor, side: int) -> tf.Tensor:
    """Returns boxes `[M, 4]` as a mask, with lesion where the middle of a pixel lies in a box."""
    middles = (tf.range(side, dtype=boxes.dtype) + 0.5) / side
    x_min, y_min, x_max, y_max = (corner[:, None] for corner in tf.unstack(boxes, axis=1))
    rows, columns = (y_min <= middles) & (middles < y_max), (x_min <= middles) & (middles < x_max)
    return _black_and_white(tf.reduce_any(rows[:, :, None] & columns[:, None, :], axis=0)[..., None])


def _black_and_white(is_lesion: tf.Tensor) -> tf.Tensor:
    return tf.where(is_lesion, tf.constant(255, tf.uint8), tf.constant(0, tf.uint8))


OUTLINES: dict[str, Outline] = {
    MASKS: Outline(
        MASK_FEATURE, tf.io.FixedLenFeature([], tf.string, default_value=""), "masked_counts", draw=_decoded
    ),
    BOXES: Outline(
        BOXES_FEATURE,
        tf.io.FixedLenSequenceFeature([4], tf.float32, allow_missing=True),
        "boxed_counts",
        draw=_filled,
    ),
}
