"""A network from outlines to images as a sampler: the outlines of one real image, the skin of another, any class.

Shin et al. 2018 (arXiv 1807.10225).
"""

from collections.abc import Collection, Sequence
from enum import IntEnum

import keras
import numpy as np
import tensorflow as tf

from melgan.images import to_signed_float, to_uint8
from melgan.layers.dropout import apply_network
from melgan.sampling import Requests, SampledImages, require_known_conditions
from melgan.sources import Sources
from melgan.translation.box_outlines import boxes_of_spots, mask_of_boxes
from melgan.translation.conditions import condition_map, skin_colours
from melgan.translation.mask_edits import TRANSPLANT, edited, require_known_edits
from tfrecords_tools.foundation.errors import DataError
from tfrecords_tools.foundation.metadata import BOXES, MASKS
from tfrecords_tools.foundation.settings import require

_HALF = 128  # of the levels of a mask: from it on, a pixel is lesion


class _Use(IntEnum):
    """Uses of random numbers of a seed."""

    ORDER = 0
    SKIN = 1
    EDITS = 2


class MaskSampler:
    """A `Sampler` of images whose lesions have given forms, or lie in given boxes.

    The index of a request decides whose mask an image has, by a permutation of the donors; how it is edited; and, with
    the edit `transplant`, on whose skin it lies. Its class is the one that is asked for, whatever that of the donors:
    requests that differ in it alone are images of one mask in several classes. Masks, or boxes, may be given, too, and
    are not edited. For a network that draws from boxes masks are filled boxes; of an edited one, the boxes around its
    spots are filled.

    Arguments:
      generator: maps conditions (`condition_map`), and noise if it has dropout, to images in [-1, 1]; it draws with the
        weights that it has at the moment.
      donors: real images with masks, as large as the generator's.
      classes: names of the classes.
      seed: of everything random.
      edits: names of `EDITS`, or `transplant`; none: images are drawn from the masks as they are.
      edit_strength: of the edits; 0 or greater.
      dropout: whether features are dropped as in training, if the generator drops any: the noise of pix2pix, Isola et
        al. 2017, section 3.
      skin_colour: whether the generator was told of the colour of the skin; if not, no skin is given.
      outlined_by: what the generator learned to draw from, masks or boxes.

    Raises:
      ConfigError: for an edit that there is not or cannot be, or a strength that cannot be.
      DataError: if the donors have no masks, no lesion, or another size, or are too few to be transplanted.
    """

    def __init__(
        self,
        generator: keras.Model,
        donors: Sources,
        classes: Sequence[str],
        *,
        seed: int,
        edits: Collection[str] = (),
        edit_strength: float = 1.0,
        dropout: bool = True,
        skin_colour: bool = True,
        outlined_by: str = MASKS,
    ) -> None:
        require_known_edits(edits)
        require(edit_strength >= 0, "edit_strength", edit_strength, "0 or greater")
        require(skin_colour or TRANSPLANT not in edits, "edits", list(edits), f"without {TRANSPLANT}: no skin is given")
        self.classes, self.image_size = tuple(classes), generator.output_shape[1]
        self._generator, self._donors, self._seed = generator, donors, seed
        self._edits, self._edit_strength = tuple(edits), edit_strength
        self._dropout, self._skin_colour = dropout, skin_colour
        self._draws_from_boxes = outlined_by == BOXES
        self.conditions = frozenset({"boxes" if self._draws_from_boxes else "mask"})
        self._require_donors()
        self._order = self._rng(_Use.ORDER).permutation(np.flatnonzero(donors.masks.any(axis=(1, 2))))
        if not len(self._order):
            raise DataError(f"none of the {outlined_by} of {len(donors)} images has a lesion; give others")

    def capacity(self, label: int) -> int | None:
        """Returns how many donors there are; None with edits: their masks and skins mix without end."""
        del label
        return None if self._edits else len(self._order)

    def draw(self, requests: Requests) -> SampledImages:
        """Returns the images that are asked for, made from the donor of the mask, if it was not given, and of the skin.

        Equal seed, index, label and given mask or boxes give an equal image.

        Raises:
          ValueError: for a condition that it does not take, or masks of another size.
        """
        require_known_conditions(requests, self.conditions)
        size = self.image_size
        images = [np.zeros((0, size, size, 3), np.uint8)]  # where none are asked for
        masks = [np.zeros((0, size, size), np.uint8)]
        boxes: list[np.ndarray] = []
        names: list[tuple[str, ...]] = []
        for batch in requests.in_batches():
            own_masks, own_boxes = self._outlines(batch)
            images.append(self._draw(batch, own_masks))
            masks.append(own_masks)
            boxes.append(own_boxes)
            names += self._made_from(batch)
        return SampledImages(
            images=np.concatenate(images),
            boxes=np.concatenate(boxes) if boxes and self._draws_from_boxes else None,
            made_from=tuple(names),
            masks=None if self._draws_from_boxes else np.concatenate(masks),
        )

    def interpolate(self, label: int, steps: int) -> None:
        """Returns None: there is no way from one mask to another."""
        del label, steps

    def _require_donors(self) -> None:
        donors, size = self._donors, self.image_size
        if donors.masks is None:
            raise DataError(
                "the real images have no outlines of lesions to draw from; make their shards with masks or boxes"
            )
        if donors.images.shape[1:] != (size, size, 3) or donors.masks.shape[1:] != (size, size):
            raise DataError(
                f"the generator draws {size} x {size} px, and its donors are images of {donors.images.shape[1:]} with "
                f"masks of {donors.masks.shape[1:]}; give donors of its size"
            )
        if TRANSPLANT in self._edits and len(donors) < 2:
            raise DataError(f"edits has {TRANSPLANT}, which takes 2 real images at least; there is {len(donors)}")

    def _rng(self, use: _Use, *numbers: int) -> np.random.Generator:
        return np.random.default_rng([self._seed, use, *numbers])

    def _mask_donors(self, indices: np.ndarray) -> np.ndarray:
        """Returns the rows of the donors of masks `[N]`."""
        return self._order[indices % len(self._order)]

    def _skin_donors(self, indices: np.ndarray) -> np.ndarray:
        """Returns the rows of the donors of skins `[N]`: those of the masks, or any others."""
        own = self._mask_donors(indices)
        if TRANSPLANT not in self._edits:
            return own
        others = np.array([self._rng(_Use.SKIN, index).integers(len(self._donors) - 1) for index in indices])
        return others + (others >= own)

    def _outlines(self, requests: Requests) -> tuple[np.ndarray, np.ndarray]:
        """Returns the masks `[N, H, W]` that images are drawn from, and the boxes `[N, M, 4]` around their spots."""
        if requests.boxes is not None:
            boxes = requests.boxes
        else:
            masks = self._edited(requests.index) if requests.mask is None else self._given(requests.mask)
            boxes = np.stack([boxes_of_spots(mask) for mask in masks])
            if not self._draws_from_boxes:
                return masks, boxes
        return np.stack([mask_of_boxes(each, self.image_size) for each in boxes]), boxes

    def _edited(self, indices: np.ndarray) -> np.ndarray:
        """Returns the edited masks of donors, `[N, H, W]`."""
        masks = np.where(self._donors.masks[self._mask_donors(indices)] >= _HALF, 255, 0).astype(np.uint8)
        pairs = zip(masks, indices, strict=True)
        return np.stack(
            [edited(mask, self._edits, self._rng(_Use.EDITS, index), self._edit_strength) for mask, index in pairs]
        )

    def _given(self, masks: np.ndarray) -> np.ndarray:
        """Returns given masks, uint8 up to 255 or others up to 1, as 0 or 255."""
        size = self.image_size
        if masks.shape[1:] != (size, size):
            raise ValueError(f"masks are {masks.shape[1:]}; the generator draws {size} x {size} px")
        return np.where(masks >= (_HALF if masks.dtype == np.uint8 else 0.5), 255, 0).astype(np.uint8)

    def _draw(self, requests: Requests, masks: np.ndarray) -> np.ndarray:
        """Returns images uint8 `[N, H, W, 3]`."""
        labels, colours = tf.constant(requests.label, tf.int32), self._skin_colours(requests.index)
        conditions = condition_map(tf.constant(masks[..., None]), colours, labels, len(self.classes))
        shapes = [noise.shape[1:] for noise in self._generator.inputs[1:]]
        if not (shapes and self._dropout):
            return to_uint8(apply_network(self._generator, conditions, None)).numpy()
        noises = noises_at(self._seed, requests.index, shapes)
        return to_uint8(self._generator([conditions, *noises], training=True)).numpy()

    def _skin_colours(self, indices: np.ndarray) -> tf.Tensor:
        """Returns the colours `[N, 3]` of the donors' skins; 0, as in training, if the generator knows none."""
        if not self._skin_colour:
            return tf.zeros([len(indices), 3])
        rows = self._skin_donors(indices)
        images = to_signed_float(tf.constant(self._donors.images[rows]))
        return skin_colours(images, tf.constant(self._donors.masks[rows, ..., None]))

    def _made_from(self, requests: Requests) -> list[tuple[str, ...]]:
        """Returns the names of the donors of each image, that of the mask first; one that gave both is named once."""
        rows = [] if requests.conditions else [self._mask_donors(requests.index)]
        rows += [self._skin_donors(requests.index)] if self._skin_colour else []
        donors = ([str(self._donors.names[row[number]]) for row in rows] for number in range(len(requests)))
        return [tuple(dict.fromkeys(names)) for names in donors]


def noises_at(seed: int, indices: Sequence[int], shapes: Sequence[Sequence[int]]) -> list[tf.Tensor]:
    """Returns numbers uniform in [0, 1), `[N, *shape]` for each shape, each image's a function of (seed, index)."""

    def of_index(index: tf.Tensor) -> list[tf.Tensor]:
        own = tf.stack([tf.constant(seed, tf.int64), index])
        seeds = [tf.random.experimental.stateless_fold_in(own, number) for number in range(len(shapes))]
        return [
            tf.random.stateless_uniform(shape, each, dtype=keras.config.floatx())
            for shape, each in zip(shapes, seeds, strict=True)
        ]

    signature = [tf.TensorSpec(shape, keras.config.floatx()) for shape in shapes]
    return tf.map_fn(of_index, tf.constant(indices, tf.int64), fn_output_signature=signature)
