"""(generator, labels, seed) -> images; an image depends on its own index only, not on its neighbours."""

from collections.abc import Iterator, Sequence

import keras
import numpy as np
import tensorflow as tf

from melgan.gans.boxes import table_of, with_given_boxes
from melgan.images import to_uint8


def latents_at(seed: int, indices: Sequence[int], latent_dim: int) -> tf.Tensor:
    """Returns standard normal latents `[N, latent_dim]`, each a function of (seed, index)."""
    return tf.map_fn(
        lambda index: tf.random.stateless_normal([latent_dim], tf.stack([tf.constant(seed, tf.int64), index])),
        tf.constant(indices, tf.int64),
        fn_output_signature=tf.float32,
    )


def sample_images(
    generator: keras.Model,
    labels: Sequence[int],
    seed: int,
    *,
    indices: Sequence[int] | None = None,
    boxes: np.ndarray | None = None,
    batch_size: int = 64,
) -> Iterator[np.ndarray]:
    """Yields one image a label, uint8 `[H, W, 3]`.

    Arguments:
      generator: maps [latents, labels] to images in [-1, 1].
      labels: classes to draw, `[N]`.
      seed: of the latents.
      indices: index of every image `[N]`, by default 0 to N - 1; equal seed, index and label give an equal image.
      boxes: where lesions are placed `[N, M, 4]`, for a generator with boxes; by default its latents choose.
      batch_size: images generated at a time.
    """
    latent_dim = generator.input_shape[0][-1]
    given = [] if boxes is None else [np.asarray(boxes, np.float32)]
    network = generator if boxes is None else with_given_boxes(generator)
    labels = np.asarray(labels, np.int32)
    indices = np.arange(len(labels)) if indices is None else np.asarray(indices)
    for start in range(0, len(labels), batch_size):
        chunk = slice(start, start + batch_size)
        latents = latents_at(seed, indices[chunk], latent_dim)
        inputs = [latents, tf.constant(labels[chunk]), *(tf.constant(values[chunk]) for values in given)]
        images = network(inputs, training=False)
        yield from to_uint8(images).numpy()


def chosen_boxes(generator: keras.Model, labels: Sequence[int], seed: int, indices: Sequence[int]) -> np.ndarray | None:
    """Returns the boxes `[N, M, 4]` that `sample_images` draws images with unless others are given.

    None for a generator without boxes. The arguments are those of `sample_images`.
    """
    table = table_of(generator)
    if table is None:
        return None
    latents = latents_at(seed, indices, generator.input_shape[0][-1])
    return table(latents, tf.constant(labels, tf.int32)).numpy()


def interpolate(generator: keras.Model, label: int, seed: int, steps: int) -> np.ndarray:
    """Returns the way from one image of a class to another, uint8 `[steps, H, W, 3]`.

    Latents turn from the first to the second by equal angles, since normal latents lie near a sphere; White 2016.

    Arguments:
      generator: maps [latents, labels] to images in [-1, 1].
      label: the class.
      seed: of the two latents.
      steps: images, both ends included.
    """
    first, second = latents_at(seed, [0, 1], generator.input_shape[0][-1]).numpy().astype(np.float64)
    angle = np.arccos(first @ second / (np.linalg.norm(first) * np.linalg.norm(second)))
    shares = np.linspace(0.0, 1.0, steps)[:, None]
    latents = (np.sin((1 - shares) * angle) * first + np.sin(shares * angle) * second) / np.sin(angle)
    labels = tf.fill([steps], tf.constant(label, tf.int32))
    return to_uint8(generator([tf.constant(latents, tf.float32), labels], training=False)).numpy()
