"""The head of a projection discriminator. Miyato and Koyama 2018, "cGANs with projection discriminator", eq. 3."""

import keras
from keras import layers


def projection_head(
    num_features: int, embedding: keras.layers.Layer, linear: keras.layers.Layer | None = None
) -> keras.Model:
    """Returns a model of [features `[N, F]`, labels `[N]`] to logits `[N]`: features times embedded labels, summed.

    Arguments:
      num_features: F.
      embedding: maps labels to `[N, F]`.
      linear: maps features to `[N, 1]`, which is added whatever the class; None: nothing is.
    """
    features = keras.Input((num_features,), name="features")
    labels = keras.Input((), dtype="int32", name="labels")
    logits = layers.Dot(axes=1, name="projection")([features, embedding(labels)])
    if linear is not None:
        logits = layers.Add()([linear(features), logits])
    return keras.Model([features, labels], layers.Reshape(())(logits), name="head")
