"""(generator, labels, seed) -> images; an image depends on its own index only, not on its neighbours."""

from collections.abc import Iterator, Sequence

import keras
import numpy as np
import tensorflow as tf

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
    batch_size: int = 64,
) -> Iterator[np.ndarray]:
    """Yields one image a label, uint8 `[H, W, 3]`.

    Arguments:
      generator: maps [latents, labels] to images in [-1, 1].
      labels: classes to draw, `[N]`.
      seed: of the latents.
      indices: index of every image `[N]`, by default 0 to N - 1; equal seed, index and label give an equal image.
      batch_size: images generated at a time.
    """
    latent_dim = generator.input_shape[0][-1]
    labels = np.asarray(labels, np.int32)
    indices = np.arange(len(labels)) if indices is None else np.asarray(indices)
    for start in range(0, len(labels), batch_size):
        chunk = slice(start, start + batch_size)
        images = generator([latents_at(seed, indices[chunk], latent_dim), tf.constant(labels[chunk])], training=False)
        yield from to_uint8(images).numpy()
