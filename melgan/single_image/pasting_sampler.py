"""The lesions of some images in the skins of others, harmonised by the generators of the latter, as one sampler.

Shaham et al. 2019, section 4, "harmonization": what is pasted takes on the texture of the skin around it.
"""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from melgan.images import to_signed_float, to_uint8
from melgan.sampling import Requests, SampledImages, require_known_conditions
from melgan.single_image.drawing import blend, blending_weights, inject, require_scale
from melgan.single_image.pasting import pasted
from melgan.single_image.sampler import TrainedImage, batches_by_image
from melgan.single_image.stack import COLOURS, GeneratorStack
from melgan.sources import Sources
from tfrecords_tools.foundation.errors import DataError


class PastingSampler:
    """A `Sampler` of the lesions of some real images in the skins of others, on which generators were trained.

    The index of a request chooses the skin, one after the other, and among the lesions of the class one of the same
    group and another image. An image is named in `made_from` with its skin first, and has the mask of its lesion.

    Arguments:
      stack: of the settings with which the images were trained.
      images: those that were trained on.
      real: real images with masks, those that were trained on among them.
      groups: of the real images `[N]`; nothing is made of images of different groups.
      classes: names of the classes.
      seed: of the choices and the noise.
      scale: at which what was pasted is put in, from 1 on; see `inject`.

    Raises:
      ConfigError: for a scale that there is not.
      DataError: for an image that was trained on, but has no mask.
    """

    conditions: frozenset[str] = frozenset()

    def __init__(
        self,
        stack: GeneratorStack,
        images: Sequence[TrainedImage],
        real: Sources,
        groups: np.ndarray,
        classes: Sequence[str],
        *,
        seed: int,
        scale: int,
    ) -> None:
        require_scale(stack, "paste_scale", scale, least=1)
        self.classes, self.image_size = tuple(classes), stack.sizes[-1]
        self._stack, self._images, self._seed, self._scale = stack, tuple(images), seed, scale
        self._real, self._rows = real, _rows_of([image.name for image in images], real)
        fits = (groups[self._rows, None] == groups) & (self._rows[:, None] != np.arange(len(real)))
        self._fits = fits & real.masks.any(axis=(1, 2))

    def capacity(self, label: int) -> int | None:
        """Returns None, as every index has noise of its own; 0 for a class of which no lesion fits a skin."""
        return None if len(self._skins_for(label)) else 0

    def sources(self, requests: Requests) -> list[str]:
        """Returns the name of the skin of each of some images."""
        return [self._images[skin].name for skin, _ in self._chosen(requests)]

    def draw(self, requests: Requests) -> SampledImages:
        """Returns the images that are asked for, of which equal seed, index and label give an equal image.

        Raises:
          ValueError: for a condition, or a class of which no lesion fits a skin.
        """
        require_known_conditions(requests, self.conditions)
        chosen = self._chosen(requests)
        images = np.zeros((len(requests), self.image_size, self.image_size, COLOURS), np.uint8)
        skins, lesions = np.reshape(chosen, (-1, 2)).astype(int).T
        for skin, rows in batches_by_image(self._stack, self._images, skins):
            images[rows] = self._harmonised(skin, lesions[rows], requests.index[rows])
        return SampledImages(
            images=images,
            boxes=None,
            made_from=tuple((self._images[skin].name, str(self._real.names[lesion])) for skin, lesion in chosen),
            masks=self._real.masks[lesions],
        )

    def interpolate(self, label: int, steps: int) -> None:
        """Returns None: two images have nothing between them."""
        del label, steps

    def _harmonised(self, skin: int, lesions: np.ndarray, indices: np.ndarray) -> np.ndarray:
        """Returns lesions in a skin, uint8 `[N, S, S, 3]`."""
        real, row = self._real, self._rows[skin]
        own_image, own_mask, masks = real.images[row], real.masks[row] > 0, real.masks[lesions] > 0
        pairs = zip(real.images[lesions], masks, strict=True)
        images, changed = map(np.stack, zip(*(pasted(own_image, own_mask, *each) for each in pairs), strict=True))
        channels = [images, 255 * masks[..., None].astype(np.uint8)][: self._stack.channels - COLOURS + 1]
        drawn = inject(
            self._stack,
            to_signed_float(tf.constant(np.concatenate(channels, axis=-1))),
            indices,
            scale=self._scale,
            seed=self._seed,
        )
        background = to_signed_float(tf.constant(own_image[None]))
        return to_uint8(blend(drawn[..., :COLOURS], background, blending_weights(changed))).numpy()

    def _skins_for(self, label: int) -> np.ndarray:
        """Returns the numbers of the skins that a lesion of a class fits."""
        return np.flatnonzero(self._fits[:, self._real.labels == label].any(axis=1))

    def _chosen(self, requests: Requests) -> list[tuple[int, int]]:
        """Returns the numbers of the skin and of the lesion of every request."""
        skins = {label: self._skins_for(label) for label in np.unique(requests.label).tolist()}
        return [
            self._pair(skins[label], label, index)
            for label, index in zip(requests.label.tolist(), requests.index.tolist(), strict=True)
        ]

    def _pair(self, skins: np.ndarray, label: int, index: int) -> tuple[int, int]:
        if not len(skins):
            raise ValueError(f"class {self.classes[label]}: no lesion of it fits a skin")
        skin = int(skins[index % len(skins)])
        fitting = np.flatnonzero(self._fits[skin] & (self._real.labels == label))
        return skin, int(fitting[np.random.default_rng([self._seed, index]).integers(len(fitting))])


def _rows_of(names: Sequence[str], real: Sources) -> np.ndarray:
    """Returns the rows of some images, by name, among real ones with masks."""
    row_of = {name: row for row, name in enumerate(real.names.tolist())}
    for name in names:
        if name not in row_of:
            raise DataError(f"{name} has no mask, so its own lesion cannot be taken away; train on images with masks")
    return np.array([row_of[name] for name in names])
