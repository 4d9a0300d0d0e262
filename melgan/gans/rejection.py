"""Rejection of images that are likelier among fakes than among real images of their class.

A generator whose discriminator has the auxiliary classifier `adc` knows log p(image, label) / q(image, label) of real
images over fakes (`auxiliaries.log_ratio`). If a fake is kept with a probability in proportion to p / q, those that are
kept come from p. Azadi et al. 2019, "Discriminator rejection sampling", section 3. https://arxiv.org/abs/1810.06758
"""

from functools import cached_property

import numpy as np
import tensorflow as tf

from melgan.gans.architectures.networks import Discriminator
from melgan.gans.auxiliaries import log_ratio
from melgan.gans.sampler import LabelSampler
from melgan.images import to_signed_float
from melgan.sampling import Requests, SampledImages, first_requests
from tfrecords_tools.foundation.errors import ConfigError

TRIES = 16  # until an image is taken as it is
_MEASURED = 256  # images of each class by which its greatest ratio is estimated
# Fewer are rejected than by the greatest ratio of all, which is that of one image.
_QUANTILE = 0.95


class RejectingSampler:
    """A `Sampler` that draws an image again, up to 16 times, until one is taken for real often enough.

    An image depends on the seed and on its own request only, as those of the sampler do whose images it chooses from.

    Arguments:
      sampler: of the generator; without conditions.
      discriminator: with the head of `adc`, as trained beside it.
      seed: of the choice.

    Raises:
      ConfigError: for a discriminator without such a head, or a generator that is told of boxes.
    """

    def __init__(self, sampler: LabelSampler, discriminator: Discriminator, *, seed: int) -> None:
        if discriminator.auxiliary is None or discriminator.auxiliary.output_shape[-1] != 2 * len(sampler.classes):
            raise ConfigError("rejection needs the auxiliary classifier adc; train with --auxiliary=adc")
        if sampler.conditions:
            raise ConfigError("rejection does not go with boxes, which the discriminator is told of; draw without it")
        self.classes, self.image_size, self.conditions = sampler.classes, sampler.image_size, sampler.conditions
        self.capacity, self.interpolate = sampler.capacity, sampler.interpolate
        self._sampler, self._discriminator, self._seed = sampler, discriminator, seed

    @cached_property
    def limits(self) -> np.ndarray:
        """The log-ratio of each class `[K]` from which on an image is always taken."""
        return np.array([np.quantile(ratios, _QUANTILE) for ratios in self._first_ratios])

    @cached_property
    def acceptance(self) -> np.ndarray:
        """The fraction of images of each class that are taken at once `[K]`: 1 where the classifier tells nothing."""
        pairs = zip(self._first_ratios, self.limits, strict=True)
        return np.array([np.exp(np.minimum(ratios - limit, 0.0)).mean() for ratios, limit in pairs])

    def draw(self, requests: Requests) -> SampledImages:
        """Returns the images that are asked for.

        Raises:
          ValueError: for a condition that is given.
        """
        chosen = self._sampler.draw(self._tried(requests, 0))
        images = chosen.images.copy()
        left = np.arange(len(requests))
        for number in range(TRIES - 1):
            tried = self._tried(requests.take(left), number)
            left = left[~self._takes(tried, images[left])]
            if not len(left):
                break
            images[left] = self._sampler.draw(self._tried(requests.take(left), number + 1)).images
        return SampledImages(images=images, boxes=None, made_from=chosen.made_from)

    @cached_property
    def _first_ratios(self) -> list[np.ndarray]:
        firsts = [first_requests(label, _MEASURED) for label in range(len(self.classes))]
        return [self._ratios(first, self._sampler.draw(first).images) for first in firsts]

    def _tried(self, requests: Requests, number: int) -> Requests:
        """Returns what is asked of the sampler for try `number`: no two requests have a try in common."""
        return Requests(index=requests.index * TRIES + number, label=requests.label, **_given(requests))

    def _takes(self, tried: Requests, images: np.ndarray) -> np.ndarray:
        """Returns which images are taken `[N]`."""
        probabilities = np.exp(np.minimum(self._ratios(tried, images) - self.limits[tried.label], 0.0))
        numbers = [np.random.default_rng([self._seed, label, index]).uniform() for label, index in _pairs(tried)]
        return np.array(numbers) < probabilities

    def _ratios(self, requests: Requests, images: np.ndarray) -> np.ndarray:
        """Returns the log-ratios of images `[N]`."""
        ratios = [np.zeros(0, np.float32)]
        rows = Requests(index=np.arange(len(requests)), label=requests.label)
        for batch in rows.in_batches():
            features = self._discriminator.features(to_signed_float(tf.constant(images[batch.index])))
            logits = self._discriminator.class_logits(features, len(self.classes))
            ratios.append(log_ratio(logits, tf.constant(batch.label, tf.int32)).numpy())
        return np.concatenate(ratios)


def _given(requests: Requests) -> dict[str, np.ndarray]:
    """Returns the conditions of requests, which the sampler then refuses."""
    return {name: getattr(requests, name) for name in requests.conditions}


def _pairs(requests: Requests) -> list[tuple[int, int]]:
    return list(zip(requests.label.tolist(), requests.index.tolist(), strict=True))
