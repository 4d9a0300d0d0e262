"""Samples of a SinGAN run: drawn from the first scales, shown beside their images, and measured."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import tensorflow as tf

from melgan.metrics.patches import PatchDistances, patch_distances
from melgan.resizing import resize
from melgan.sampling import Requests
from melgan.single_image.pyramid import pyramid_sizes
from melgan.single_image.quality import sample_diversity, source_distances
from melgan.sources import Sources
from pipelines.artefacts.singan_run import SAMPLES_FILE, SampleMeasures, SinganRun
from pipelines.pages.grids import GRID_ROWS, Column, write_grid
from pipelines.synthesis.singan_sampler import sampler_of

_START_SCALES = 3
_SAMPLES_PER_IMAGE = 6
_STRIDE = 3  # pixels from one patch that is looked for to the next
_PATCH_SAMPLES, _PATCH_SIDE = 2, 64  # of each image, for patches; larger images are reduced to that side: it takes long


@dataclass(frozen=True)
class SinganSamples:
    """Samples of the first images of a run.

    Attributes:
      run: of train_singan.
      sources: the images that it was trained on.
    """

    run: SinganRun
    sources: Sources

    @property
    def _images(self) -> np.ndarray:
        return self.sources.images[:GRID_ROWS]

    @cached_property
    def _samples(self) -> dict[int, np.ndarray]:
        """Samples by their first scale, uint8 `[images, samples, H, W, 3]`."""
        config, count = self.run.config, len(self._images)
        rows = np.repeat(np.arange(count), _SAMPLES_PER_IMAGE)
        requests = Requests(
            index=np.tile(np.arange(_SAMPLES_PER_IMAGE), count),
            label=self.sources.labels[rows],
            source=self.sources.names[rows],
        )
        found = {}
        for scale in range(
            min(_START_SCALES, len(pyramid_sizes(config.image_size, config.min_size, config.scale_factor)))
        ):
            drawn = sampler_of(self.run, seed=config.seed, start_scale=scale).draw(requests).images
            found[scale] = drawn.reshape(count, _SAMPLES_PER_IMAGE, *drawn.shape[1:])
        return found

    def write_grid(self, folder: Path) -> None:
        """Writes the images, and of each a sample from every scale."""
        columns = [Column(f"scale {scale}", samples[:, 0]) for scale, samples in self._samples.items()]
        write_grid(folder / SAMPLES_FILE, [Column("real", self._images), *columns])

    def measure(self) -> tuple[SampleMeasures, ...]:
        """Returns the measures of the samples of every scale and, of several images, of each by the next."""
        return (*self._of_samples(), *self._of_other_images())

    def _of_samples(self) -> Iterator[SampleMeasures]:
        for scale, samples in self._samples.items():
            pairs = list(zip(samples, self._images, strict=True))
            patches = [_patch_distances(own[:_PATCH_SAMPLES], image) for own, image in pairs]
            diversities = [sample_diversity(own, image) for own, image in pairs]
            yield SampleMeasures(
                start_scale=scale,
                diversity=_mean([each for each in diversities if each is not None]),
                distance=_mean([source_distances(own, image[None]).mean() for own, image in pairs]),
                coherence=_mean([each.coherence.mean() for each in patches]),
                completeness=_mean([each.completeness.mean() for each in patches]),
            )

    def _of_other_images(self) -> Iterator[SampleMeasures]:
        if len(self._images) < 2:
            return
        pairs = zip(np.roll(self._images, 1, axis=0), self._images, strict=True)
        patches = [_patch_distances(other[None], image) for other, image in pairs]
        yield SampleMeasures(
            start_scale=None,
            coherence=_mean([each.coherence.mean() for each in patches]),
            completeness=_mean([each.completeness.mean() for each in patches]),
        )


def _patch_distances(images: np.ndarray, image: np.ndarray) -> PatchDistances:
    side = min(_PATCH_SIDE, len(image))
    small = [resize(tf.constant(each, tf.float32), side) for each in (images, image[None])]
    others, own = (np.clip(np.rint(each), 0, 255).astype(np.uint8) for each in small)
    return patch_distances(others, own[0], stride=_STRIDE)


def _mean(values: list[float]) -> float | None:
    return float(np.mean(values)) if values else None
