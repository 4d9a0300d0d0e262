"""A small network that finds lesions: what real and synthetic pairs of images and masks are measured by.

A U-Net of `melgan.translation.unet` with one output, trained by the sum of cross-entropy and soft Dice loss, as Isensee
et al. 2021 (nnU-Net).
"""

from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from melgan.images import scale_contrast, to_signed_float
from melgan.metrics.translation import dice
from melgan.training.precision import make_adam, reset_moments
from melgan.translation.unet import build_unet

_BATCH_SIZE = 8
_LEARNING_RATE = 2e-3
_CONTRAST, _BRIGHTNESS = 0.2, 0.2  # how far usual augmentation changes them, of 1 and of the range [-1, 1]
_EVALUATED_AT_A_TIME = 64


@dataclass(frozen=True)
class Pairs:
    """Images uint8 `[N, H, W, 3]` and the masks of their lesions uint8 `[N, H, W]`, 0 or 255."""

    images: np.ndarray
    masks: np.ndarray

    def __len__(self) -> int:
        return len(self.images)

    def __add__(self, others: "Pairs") -> "Pairs":
        return Pairs(np.concatenate([self.images, others.images]), np.concatenate([self.masks, others.masks]))

    def take(self, rows: np.ndarray) -> "Pairs":
        """Returns the pairs of some row numbers, perhaps with repetitions."""
        return Pairs(self.images[rows], self.masks[rows])


class Segmenter:
    """The network in training. It can be started anew, which costs less than another one.

    Arguments:
      image_size: H and W of the images in pixels.
      width: factor on the filters of pix2pix.
    """

    def __init__(self, image_size: int, width: float) -> None:
        keras.utils.set_random_seed(0)
        self._network = build_unet(image_size, 3, width=width, dropout=0.0, out_channels=1)
        self._untrained = self._network.get_weights()
        self._optimizer = make_adam(
            _LEARNING_RATE, 0.9, 0.999, precision="float32", variables=self._network.trainable_variables
        )
        self._step = tf.function(self._take_step, autograph=False)

    def start(self, seed: int) -> None:
        """Forgets everything; the seed decides which place each of the random weights of a kernel has."""
        rng = np.random.default_rng(seed)
        self._network.set_weights([rng.permuted(own.ravel()).reshape(own.shape) for own in self._untrained])
        reset_moments(self._optimizer)

    def train(self, pairs: Pairs, *, steps: int, seed: int, augmented: bool) -> None:
        """Goes on training.

        Arguments:
          pairs: of which batches are drawn, with repetitions.
          steps: how many batches.
          seed: of the batches and of their augmentation.
          augmented: whether images are turned, mirrored, and changed in contrast and brightness.
        """
        rng = np.random.default_rng(seed)
        for step in range(steps):
            batch = pairs.take(rng.integers(len(pairs), size=_BATCH_SIZE))
            self._step(batch.images, batch.masks[..., None], tf.constant([seed, step]), tf.constant(float(augmented)))

    def find(self, images: np.ndarray) -> np.ndarray:
        """Returns masks uint8 `[N, H, W]`, 0 or 255, of images uint8 `[N, H, W, 3]`."""
        starts = range(0, len(images), _EVALUATED_AT_A_TIME)
        found = [self._network(to_signed_float(images[at : at + _EVALUATED_AT_A_TIME])) for at in starts]
        return np.where(np.concatenate(found)[..., 0] > 0, 255, 0).astype(np.uint8)

    def overlaps(self, pairs: Pairs) -> np.ndarray:
        """Returns the Dice overlap of each found mask with that of the pair `[N]`."""
        return dice(self.find(pairs.images), pairs.masks)

    def _take_step(self, images: tf.Tensor, masks: tf.Tensor, seed: tf.Tensor, strength: tf.Tensor) -> None:
        images, lesions = _augmented(to_signed_float(images), tf.cast(masks, tf.float32) / 255.0, seed, strength)
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(_losses(self._network(images, training=True), lesions))
        weights = self._network.trainable_variables
        self._optimizer.apply(tape.gradient(loss, weights), weights)


def _losses(outputs: tf.Tensor, lesions: tf.Tensor) -> tf.Tensor:
    """Returns the loss of each image `[N]`, of outputs in [-1, 1] and lesions in [0, 1], `[N, H, W, 1]`."""
    found = (outputs + 1.0) / 2.0
    cross_entropy = tf.reduce_mean(keras.losses.binary_crossentropy(lesions, found), axis=[1, 2])
    common, total = (tf.reduce_sum(values, axis=[1, 2, 3]) for values in (found * lesions, found + lesions))
    return cross_entropy + 1.0 - (2.0 * common + 1.0) / (total + 1.0)


def _augmented(
    images: tf.Tensor, lesions: tf.Tensor, seed: tf.Tensor, strength: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns images and lesions `[N, S, S, C]`, each pair one of eight views, in another contrast and brightness.

    At a strength of 0 they are as they were. It is a number, so that both are one program.
    """
    numbers = tf.unstack(tf.random.stateless_uniform([5, tf.shape(images)[0], 1, 1, 1], seed))
    joint = tf.concat([images, lesions], axis=-1)
    joint = tf.where(numbers[0] < 0.5 * strength, tf.reverse(joint, [2]), joint)
    joint = tf.where(numbers[1] < 0.5 * strength, tf.reverse(joint, [1]), joint)
    joint = tf.where(numbers[2] < 0.5 * strength, tf.transpose(joint, [0, 2, 1, 3]), joint)
    images, lesions = joint[..., :3], joint[..., 3:]
    images = scale_contrast(images, 1.0 + strength * _CONTRAST * (2.0 * numbers[3] - 1.0))
    return tf.clip_by_value(images + strength * _BRIGHTNESS * (2.0 * numbers[4] - 1.0), -1.0, 1.0), lesions
