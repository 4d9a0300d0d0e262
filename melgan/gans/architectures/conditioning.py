"""Ways in which the class enters a generator that takes it with the latents; CONDITIONINGS table.

Each takes latents `[N, D]`, labels `[N]` and the number of classes, and returns labelled latents `[N, C]`.
"""

from collections.abc import Callable

import keras
from keras import layers

from melgan.layers.class_fraction import ClassFraction
from melgan.layers.pixel_norm import PixelNorm


def multiply(latents: keras.KerasTensor, labels: keras.KerasTensor, num_classes: int) -> keras.KerasTensor:
    """Latents times the label embedding. Huang and Jafari 2021, figure 3.

    An embedding that shrinks to zero makes all latents of its class one.
    """
    embedded = layers.Embedding(num_classes, latents.shape[-1], name="embedding")(labels)
    return layers.Multiply(name="labelled_latents")([latents, embedded])


def normalised(latents: keras.KerasTensor, labels: keras.KerasTensor, num_classes: int) -> keras.KerasTensor:
    """The same product with a mean square of one, whatever the lengths of latents and embedding.

    The pixel normalisation of Karras et al. 2018, section 4.2.
    """
    return PixelNorm(name="latents_norm")(multiply(latents, labels, num_classes))


def concatenated(
    latents: keras.KerasTensor, labels: keras.KerasTensor, num_classes: int, *, has_transition: bool = False
) -> keras.KerasTensor:
    """The latents and, beside them, an embedding as long, each with a mean square of one. Karras et al. 2020.

    As in StyleGAN2-ADA, "Training generative adversarial networks with limited data", before its mapping network.
    """
    embedding = layers.Embedding(
        num_classes,
        latents.shape[-1],
        embeddings_initializer=keras.initializers.RandomNormal(stddev=1.0),
        name="embedding",
    )
    embedded = PixelNorm(name="embedding_norm")(embedding(labels))
    if has_transition:
        embedded = ClassFraction(name="class_fraction")(embedded)
    return layers.Concatenate(name="labelled_latents")([PixelNorm(name="latents_norm")(latents), embedded])


Conditioning = Callable[[keras.KerasTensor, keras.KerasTensor, int], keras.KerasTensor]

CONDITIONINGS: dict[str, Conditioning] = {
    "multiply": multiply,
    "normalised": normalised,
    "concatenated": concatenated,
}
