"""What is known of a patient beside the image, as inputs of a classifier; METADATA table.

What is missing is a value of its own. All that is known of an image is hidden at times, so that a classifier does
without; and never more often of one class than of another, or else the gap itself would tell the class.
"""

from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from melgan.classifiers.auxiliary import scaled_age
from tfrecords_tools.foundation.metadata import AGE, CATEGORIES, MISSING, PATIENT_IMAGES

_CATEGORIES = {name: category for name, category in CATEGORIES.items() if category.in_test_split}
_MOST_IMAGES = 100.0  # of a patient, which is 1 in the input
_WIDTHS = (128, 32)
# Of inputs and outputs of the network of the metadata, which begins from random weights: with the learning rate of a
# pretrained backbone it would be learned too late, after the images are known by heart.
_GAIN = 8.0

INPUTS = (AGE, PATIENT_IMAGES, *_CATEGORIES)
NUM_INPUTS = 4 + sum(len(category.codes) + 1 for category in _CATEGORIES.values())


def encode_metadata(batch: dict[str, tf.Tensor]) -> tf.Tensor:
    """Returns metadata as numbers in [0, 1], float `[B, NUM_INPUTS]`.

    The age and the logarithm of the number of the patient's images, each followed by whether it is missing; then each
    category as one of its codes or missing.
    """
    images = tf.cast(batch[PATIENT_IMAGES], tf.float32)
    scaled_images = tf.math.log1p(tf.maximum(images, 0.0)) / tf.math.log1p(_MOST_IMAGES)
    columns = []
    for name, values in ((AGE, scaled_age(batch[AGE])), (PATIENT_IMAGES, tf.minimum(scaled_images, 1.0))):
        is_missing = tf.cast(batch[name] < 0, tf.float32)
        columns += [(values * (1 - is_missing))[:, None], is_missing[:, None]]
    for name, category in _CATEGORIES.items():
        depth = len(category.codes)
        columns.append(tf.one_hot(tf.where(batch[name] < 0, depth, batch[name]), depth + 1))
    return tf.concat(columns, axis=1)


def missing_metadata(count: int) -> tf.Tensor:
    """Returns what `encode_metadata` makes of images of which nothing is known, `[count, NUM_INPUTS]`."""
    return encode_metadata({name: tf.fill([count], MISSING) for name in INPUTS})


def hide_metadata(batch: dict[str, tf.Tensor], is_hidden: tf.Tensor) -> dict[str, tf.Tensor]:
    """Returns the inputs of a batch by name, missing where they are hidden, bool `[B]`."""
    return {name: tf.where(is_hidden, MISSING, batch[name]) for name in INPUTS}


def hiding_probabilities(shown: np.ndarray, without: np.ndarray, least: float) -> np.ndarray:
    """Returns how often images of each class that have metadata are hidden, so that of every class as many have none.

    Arguments:
      shown: images of each class that are shown in training `[C]`, in any unit.
      without: those of them that have no metadata at all `[C]`, such as synthetic ones.
      least: the fraction of each class to be without, unless it must be more for all classes to be alike.
    """
    fractions = np.divide(without, shown, out=np.zeros(len(shown)), where=shown > 0)
    wanted = max(least, fractions.max(initial=0.0))
    return np.divide(wanted - fractions, 1 - fractions, out=np.zeros(len(shown)), where=fractions < 1)


def concatenated(features: keras.KerasTensor, metadata: keras.KerasTensor) -> keras.KerasTensor:
    """Features `[N, F]` beside those of a small network of the metadata, as the winners of SIIM-ISIC 2020 had it."""
    return layers.Concatenate(name="metadata_concatenated")([features, _network(metadata)])


def modulated(features: keras.KerasTensor, metadata: keras.KerasTensor) -> keras.KerasTensor:
    """Features `[N, F]` scaled and shifted by the metadata, at first not at all. Perez et al. 2018, "FiLM", eq. 2."""
    hidden, width = _network(metadata), features.shape[-1]
    scale, shift = (
        layers.Dense(width, kernel_initializer="zeros", name=f"metadata_{name}")(hidden) for name in ("scale", "shift")
    )
    scaled = layers.Multiply(name="metadata_scaled")([features, scale])
    return layers.Add(name="metadata_modulated")([features, scaled, shift])


def _network(metadata: keras.KerasTensor) -> keras.KerasTensor:
    metadata = layers.Rescaling(_GAIN, name="metadata_enlarged")(metadata)
    for number, width in enumerate(_WIDTHS, start=1):
        metadata = layers.Dense(width, activation="swish", name=f"metadata_{number}")(metadata)
    return layers.Rescaling(_GAIN, name="metadata_features")(metadata)


@dataclass(frozen=True, kw_only=True)
class MetadataUse:
    """What metadata is for: a target of training beside the class, and an input, fused with the image's features."""

    is_target: bool = True
    fuse: Callable[[keras.KerasTensor, keras.KerasTensor], keras.KerasTensor] | None = None


METADATA: dict[str, MetadataUse] = {
    "none": MetadataUse(is_target=False),
    "auxiliary": MetadataUse(),
    "concat": MetadataUse(fuse=concatenated),
    "film": MetadataUse(fuse=modulated),
}
