"""The generators of all scales, one upon the other: what each makes of noise and of the image of the scale below.

Shaham et al. 2019, eq. 1 to 3. An image starts as noise at the coarsest scale. Each further scale enlarges it, adds
noise and details.
"""

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from melgan.resizing import resize
from melgan.single_image.config import SinganConfig
from melgan.single_image.networks import MARGIN, build_generator, num_filters
from melgan.single_image.pyramid import pyramid_sizes

COLOURS = 3  # channels of an image; a fourth one is its mask

# (scale, shape) -> standard normal numbers `[N, *shape]`.
MakeNoise = Callable[[int, tuple[int, int, int]], tf.Tensor]


class GeneratorStack:
    """The generators of one image, and how strong the noise of each is; made in the scope of a strategy.

    The noise from which the image itself is reconstructed is a function of the seed, and stays for the whole training:
    the authors' code draws it anew at every step of the coarsest scale, against the paper, so that all noise is pulled
    towards the one image.

    Arguments:
      config: sizes, filters, padding and seed.
      channels: of the images, 3, or 4 where the last is a mask.
    """

    def __init__(self, config: SinganConfig, channels: int) -> None:
        self.sizes = pyramid_sizes(config.image_size, config.min_size, config.scale_factor)
        self.channels = channels
        self.generators = [
            build_generator(size, channels, num_filters(scale, config.width), normalization=config.normalization)
            for scale, size in enumerate(self.sizes)
        ]
        aggregation = tf.VariableAggregation.ONLY_FIRST_REPLICA
        self.amplitudes = [tf.Variable(1.0, trainable=False, aggregation=aggregation) for _ in self.sizes]
        self._noise_margin = MARGIN if config.padding == "noise" else 0
        fixed = np.random.default_rng(config.seed).normal(size=(1, *self.noise_shape(0)))
        self._fixed_noise = fixed.astype(np.float32)

    @property
    def checkpointed(self) -> dict:
        """What of a checkpoint of `SinganTrainer` is needed to draw, by name."""
        return {"generators": self.generators, "amplitudes": self.amplitudes}

    def get_weights(self) -> list[np.ndarray]:
        """Returns all that was learned of an image."""
        weights = [weight for generator in self.generators for weight in generator.get_weights()]
        return weights + [amplitude.numpy() for amplitude in self.amplitudes]

    def set_weights(self, weights: Sequence[np.ndarray]) -> None:
        """Takes what another stack of equal settings returned."""
        rest = list(weights)
        for generator in self.generators:
            count = len(generator.weights)
            generator.set_weights(rest[:count])
            rest = rest[count:]
        for amplitude, value in zip(self.amplitudes, rest, strict=True):
            amplitude.assign(value)

    def noise_shape(self, scale: int) -> tuple[int, int, int]:
        """Returns the shape of the noise of a scale; at the coarsest all channels have the same."""
        side = self.sizes[scale] + 2 * self._noise_margin
        return side, side, self.channels if scale else 1

    def fixed_noise(self, scale: int) -> tf.Tensor:
        """Returns the noise of the reconstruction `[1, *noise_shape]`: none but at the coarsest scale."""
        if scale == 0:
            return tf.constant(self._fixed_noise)
        return tf.zeros([1, *self.noise_shape(scale)])

    def refine(self, scale: int, images: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
        """Returns what the generator of a scale makes of images, float32 `[N, S, S, C]`.

        Arguments:
          scale: counted from the coarsest, 0.
          images: of the scale below, enlarged, `[N, S, S, C]`; zeros at the coarsest scale.
          noise: standard normal, `[N, *noise_shape]`.
        """
        noise = self.amplitudes[scale].read_value() * noise
        noisy = _padded(images, MARGIN) + _padded(noise, MARGIN - self._noise_margin)
        return images + tf.cast(self.generators[scale](noisy, training=True), images.dtype)

    def start(self, count: int) -> tf.Tensor:
        """Returns the images that the coarsest scale starts from: zeros `[count, S, S, C]`."""
        return tf.zeros([count, self.sizes[0], self.sizes[0], self.channels])

    def climb(self, images: tf.Tensor, make_noise: MakeNoise, *, first: int = 0, last: int) -> tf.Tensor:
        """Returns images refined by some scales, as those of the scale after them.

        Arguments:
          images: of the first of these scales, before it refines them, `[N, S, S, C]`.
          make_noise: gives the noise of each.
          first: the first scale.
          last: the scale to climb to, which does not refine them; the number of scales: to the end.
        """
        for scale in range(first, last):
            images = self.refine(scale, images, make_noise(scale, self.noise_shape(scale)))
            if scale + 1 < len(self.sizes):
                images = resize(images, self.sizes[scale + 1])
        return images

    def reconstruction_below(self, scale: int) -> tf.Tensor:
        """Returns the reconstruction of the image by all scales below one, enlarged to it, `[1, S, S, C]`.

        The number of scales stands for the reconstruction by all.
        """
        return self.climb(self.start(1), lambda below, shape: self.fixed_noise(below), last=scale)


def _padded(images: tf.Tensor, margin: int) -> tf.Tensor:
    return tf.pad(images, [[0, 0], [margin, margin], [margin, margin], [0, 0]])
