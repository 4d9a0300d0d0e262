"""A translator of images as a sampler: as many images of the target class as there are sources."""

from collections.abc import Sequence

import keras
import numpy as np

from melgan.images import to_signed_float, to_uint8
from melgan.sampling import BATCH_SIZE, Requests, SampledImages, require_known_conditions
from melgan.sources import Sources


class TranslationSampler:
    """A `Sampler` of real images translated to one class, each named beside its translation.

    A generator without noise is a function: every source gives one image, which keeps its structure and so its mask.

    Arguments:
      generator: maps images in [-1, 1] to translated ones (`translators.build_generator`); it draws with the weights
        that it has at the moment.
      sources: the real images, of the size of the generator.
      classes: names of all classes.
      target: the class that is translated to.
      seed: of the order in which sources come.
    """

    conditions = frozenset({"source"})

    def __init__(
        self, generator: keras.Model, sources: Sources, classes: Sequence[str], target: int, *, seed: int
    ) -> None:
        self.classes, self.image_size = tuple(classes), generator.input_shape[1]
        self._generator, self._sources, self._target = generator, sources, target
        self._order = np.random.default_rng(seed).permutation(len(sources))
        self._rows = {name: row for row, name in enumerate(sources.names)}

    def capacity(self, label: int) -> int | None:
        """Returns how many sources there are; none for another class than that which is translated to."""
        return len(self._sources) if label == self._target else 0

    def draw(self, requests: Requests) -> SampledImages:
        """Returns the images that are asked for: of the sources that are named, or else of those of their indices.

        Raises:
          ValueError: for another class, an index beyond the capacity, a source that it does not have, or a condition
            that it does not take.
        """
        require_known_conditions(requests, self.conditions)
        rows = self._rows_of(requests)
        images = [np.zeros((0, self.image_size, self.image_size, 3), np.uint8)]  # where none are asked for
        images += [self._translated(rows[start : start + BATCH_SIZE]) for start in range(0, len(rows), BATCH_SIZE)]
        masks = self._sources.masks
        return SampledImages(
            images=np.concatenate(images),
            boxes=None,
            made_from=tuple((str(self._sources.names[row]),) for row in rows),
            masks=None if masks is None else masks[rows],
        )

    def interpolate(self, label: int, steps: int) -> np.ndarray | None:
        """Returns None: there is no way from one source to another."""
        del label, steps

    def _rows_of(self, requests: Requests) -> np.ndarray:
        """Returns which source each request is about."""
        others = set(np.asarray(requests.label).tolist()) - {self._target}
        if others:
            raise ValueError(f"class {others.pop()}: images are translated to {self._target} only")
        if requests.source is not None:
            unknown = set(requests.source) - self._rows.keys()
            if unknown:
                raise ValueError(f"source {unknown.pop()}: not among the {len(self._sources)} sources")
            return np.array([self._rows[name] for name in requests.source], int)
        index = np.asarray(requests.index, int)
        beyond = index[(index < 0) | (index >= len(self._sources))]
        if len(beyond):
            raise ValueError(f"index {beyond[0]}: {len(self._sources)} sources give as many images, counted from 0")
        return self._order[index]

    def _translated(self, rows: np.ndarray) -> np.ndarray:
        return to_uint8(self._generator(to_signed_float(self._sources.images[rows]), training=False)).numpy()
