"""Predictions of a classifier, averaged over views of each image."""

from collections.abc import Iterable

import keras
import numpy as np
import tensorflow as tf

from melgan.classifiers.augmentation import dihedral_view
from melgan.classifiers.metadata import encode_metadata
from melgan.classifiers.network import apply_classifier, takes_metadata


class Predictor:
    """Predicts with a model of `build_classifier`, averaging over the first `views` (1 to 8) dihedral views."""

    def __init__(self, model: keras.Model, views: int) -> None:
        self._model, self._views = model, views

    def predict(self, batches: Iterable[dict[str, tf.Tensor]]) -> np.ndarray:
        """Returns class probabilities `[N, num_classes]`.

        Arguments:
          batches: uint8 images `[B, H, W, 3]` under "image" and, for a network that takes it, the metadata of
            `encode_metadata`.
        """
        return np.concatenate([self._probabilities(batch["image"], self._metadata(batch)).numpy() for batch in batches])

    def _metadata(self, batch: dict[str, tf.Tensor]) -> tf.Tensor | None:
        return encode_metadata(batch) if takes_metadata(self._model) else None

    @tf.function(autograph=False, reduce_retracing=True)
    def _probabilities(self, images: tf.Tensor, metadata: tf.Tensor | None) -> tf.Tensor:
        images = tf.cast(images, tf.float32)
        views = [dihedral_view(images, view) for view in range(self._views)]
        logits = [apply_classifier(self._model, view, metadata, training=False).predicted for view in views]
        return tf.reduce_mean(tf.nn.softmax(tf.stack(logits)), axis=0)
