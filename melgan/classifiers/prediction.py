"""Predictions of a classifier, averaged over views of each image."""

from collections.abc import Iterable

import keras
import numpy as np
import tensorflow as tf

from melgan.classifiers.augmentation import dihedral_view


class Predictor:
    """Predicts with a model of `build_classifier`, averaging over the first `views` (1 to 8) dihedral views."""

    def __init__(self, model: keras.Model, views: int) -> None:
        self._model, self._views = model, views

    def predict(self, batches: Iterable[dict[str, tf.Tensor]]) -> np.ndarray:
        """Returns class probabilities `[N, num_classes]` of batches with uint8 images `[B, H, W, 3]` under "image"."""
        return np.concatenate([self._probabilities(batch["image"]).numpy() for batch in batches])

    @tf.function(autograph=False, reduce_retracing=True)
    def _probabilities(self, images: tf.Tensor) -> tf.Tensor:
        images = tf.cast(images, tf.float32)
        logits = [self._model(dihedral_view(images, view), training=False)[0] for view in range(self._views)]
        return tf.reduce_mean(tf.nn.softmax(tf.stack(logits)), axis=0)
