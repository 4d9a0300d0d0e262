"""Predictions of a classifier, averaged over views of each image."""

from collections.abc import Iterable, Sequence

import keras
import numpy as np
import tensorflow as tf

from melgan.classifiers.augmentation import dihedral_view
from melgan.classifiers.metadata import encode_metadata
from melgan.classifiers.network import apply_classifier, takes_metadata


class Predictor:
    """Predicts with a model of `build_classifier`, averaging over the first `views` (1 to 8) dihedral views.

    Arguments:
      model: the network.
      views: how many.
      sizes: sides in pixels at which images shall be shown; that of the network alone by default.
    """

    def __init__(self, model: keras.Model, views: int, sizes: Sequence[int] = ()) -> None:
        self._model, self._views = model, views
        self.sizes = tuple(sizes) or (_side(model),)

    def predict(self, batches: Iterable[dict[str, tf.Tensor]], size: int = 0) -> np.ndarray:
        """Returns class probabilities `[N, num_classes]`.

        Arguments:
          batches: uint8 images `[B, H, W, 3]` under "image" and, for a network that takes it, the metadata of
            `encode_metadata`.
          size: H and W of the images, one of `sizes`; 0 for that of the network.
        """
        model = self._model if size in (0, _side(self._model)) else _at_size(self._model, size)
        return np.concatenate([self._probabilities(model, batch).numpy() for batch in batches])

    def _probabilities(self, model: keras.Model, batch: dict[str, tf.Tensor]) -> tf.Tensor:
        metadata = encode_metadata(batch) if takes_metadata(model) else None
        return self._mean_over_views(model, batch["image"], metadata)

    @tf.function(autograph=False, reduce_retracing=True)
    def _mean_over_views(self, model: keras.Model, images: tf.Tensor, metadata: tf.Tensor | None) -> tf.Tensor:
        images = tf.cast(images, tf.float32)
        views = [dihedral_view(images, view) for view in range(self._views)]
        logits = [apply_classifier(model, view, metadata, training=False).predicted for view in views]
        return tf.reduce_mean(tf.nn.softmax(tf.stack(logits)), axis=0)


def _side(model: keras.Model) -> int:
    return model.inputs[0].shape[1]


def _at_size(model: keras.Model, size: int) -> keras.Model:
    """Returns a network with the same weights for images of another side."""
    others = [keras.Input(each.shape[1:], name=each.name) for each in model.inputs[1:]]
    other = keras.models.clone_model(model, input_tensors=[keras.Input((size, size, 3)), *others])
    other.set_weights(model.get_weights())
    return other
