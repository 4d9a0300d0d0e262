"""A conditional generator as a sampler: images of a class from normal latents."""

from collections.abc import Sequence
from functools import cached_property

import keras
import numpy as np
import tensorflow as tf

from melgan.gans.config import GanConfig
from melgan.images import to_uint8
from melgan.layers.box_map import MAX_BOXES
from melgan.layers.box_table import BoxTable
from melgan.sampling import Requests, SampledImages, require_known_conditions


def latents_at(seed: int, indices: Sequence[int], latent_dim: int) -> tf.Tensor:
    """Returns standard normal latents `[N, latent_dim]`, each a function of (seed, index)."""
    return tf.map_fn(
        lambda index: tf.random.stateless_normal([latent_dim], tf.stack([tf.constant(seed, tf.int64), index])),
        tf.constant(indices, tf.int64),
        fn_output_signature=tf.float32,
    )


class LabelSampler:
    """A `Sampler` of images of a class; with a box table also of images whose lesions lie in given boxes.

    Arguments:
      generator: maps [latents, labels] to images in [-1, 1]; it draws with the weights that it has at the moment.
      config: resolved, with which it was built.
      classes: names of the classes.
      seed: of the latents.
      box_table: of a generator that is told of boxes.
    """

    def __init__(
        self,
        generator: keras.Model,
        config: GanConfig,
        classes: Sequence[str],
        *,
        seed: int,
        box_table: BoxTable | None = None,
    ) -> None:
        self.classes, self.image_size = tuple(classes), config.image_size
        self.conditions = frozenset({"boxes"} if box_table is not None else ())
        self._generator, self._box_table = generator, box_table
        self._latent_dim, self._seed = config.latent_dim, seed

    def capacity(self, label: int) -> int | None:
        """Returns None: every index has latents of its own."""
        del label

    def draw(self, requests: Requests) -> SampledImages:
        """Returns the images that are asked for, of which equal seed, index, label and boxes give an equal image.

        Raises:
          ValueError: for a condition that it does not take.
        """
        require_known_conditions(requests, self.conditions)
        images = [np.zeros((0, self.image_size, self.image_size, 3), np.uint8)]  # where none are asked for
        boxes = [np.zeros((0, MAX_BOXES, 4), np.float32)]
        for batch in requests.in_batches():
            own_images, own_boxes = self._draw(batch)
            images.append(own_images)
            boxes.append(own_boxes)
        placed = None if self._box_table is None else np.concatenate(boxes)
        return SampledImages(images=np.concatenate(images), boxes=placed, made_from=((),) * len(requests))

    def interpolate(self, label: int, steps: int) -> np.ndarray:
        """Returns the way from one image of a class to another, uint8 `[steps, H, W, 3]`, both ends included.

        Latents turn from the first to the second by equal angles, since normal latents lie near a sphere; White 2016.
        """
        first, second = latents_at(self._seed, [0, 1], self._latent_dim).numpy().astype(np.float64)
        angle = np.arccos(first @ second / (np.linalg.norm(first) * np.linalg.norm(second)))
        weights = np.linspace(0.0, 1.0, steps)[:, None]
        latents = (np.sin((1 - weights) * angle) * first + np.sin(weights * angle) * second) / np.sin(angle)
        labels = tf.fill([steps], tf.constant(label, tf.int32))
        return to_uint8(self._generator([tf.constant(latents, tf.float32), labels], training=False)).numpy()

    def _draw(self, requests: Requests) -> tuple[np.ndarray, np.ndarray | None]:
        """Returns images and, where it places lesions, their boxes."""
        latents = latents_at(self._seed, requests.index, self._latent_dim)
        labels = tf.constant(requests.label, tf.int32)
        if self._box_table is None:
            return to_uint8(self._generator([latents, labels], training=False)).numpy(), None
        boxes = self._box_table(latents, labels) if requests.boxes is None else tf.constant(requests.boxes, tf.float32)
        return to_uint8(self._with_given_boxes([latents, labels, boxes], training=False)).numpy(), boxes.numpy()

    @cached_property
    def _with_given_boxes(self) -> keras.Model:
        """The generator as a model of [latents, labels, boxes]; the first number of the latents means nothing to it."""
        return keras.Model([*self._generator.inputs, self._box_table.output], self._generator.output)
