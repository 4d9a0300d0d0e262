"""Classification networks: a backbone and its heads."""

import warnings
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from melgan.classifiers.auxiliary import NUM_OUTPUTS
from melgan.classifiers.backbones import BACKBONES, begin_as_identity, prepare_normalization
from melgan.classifiers.config import ClassifierConfig
from melgan.classifiers.efficientnet import load_keras_file
from melgan.classifiers.freezing import freeze
from melgan.training.weights import load_weights
from tfrecords_tools.foundation.errors import ConfigError, DataError, look_up

_HEADS = ("logits", "auxiliary")


def build_classifier(config: ClassifierConfig, num_classes: int) -> keras.Model:
    """Returns a network from images `[N, H, W, 3]` in [0, 255] to [class logits, auxiliary logits].

    Logits are of full precision, whatever the layers compute in.

    Raises:
      ConfigError: for an unknown backbone, or weights that cannot be had or do not fit.
    """
    backbone = look_up(BACKBONES, config.backbone, "backbone")(config.image_size, config.weights)
    prepare_normalization(backbone)
    if config.zero_gamma:
        begin_as_identity(backbone)
    is_file = config.weights not in ("none", "imagenet")
    if is_file and _is_of_keras_2(config.weights):
        _load(backbone, config.weights, load_keras_file)
    features = layers.Dropout(config.dropout, name="dropout")(backbone.output)
    logits = layers.Dense(num_classes, name="logits", dtype=keras.config.floatx())(features)
    auxiliary = layers.Dense(NUM_OUTPUTS, name="auxiliary", dtype=keras.config.floatx())(features)
    model = keras.Model(backbone.input, [logits, auxiliary], name=config.backbone)
    if is_file and not _is_of_keras_2(config.weights):
        _load(model, config.weights, _load_backbone)
    freeze(backbone, config.train_layers)
    return model


def _is_of_keras_2(path: str) -> bool:
    """Returns whether Keras reads a file in its earlier layout, which it tells by the name."""
    return path.endswith((".h5", ".hdf5")) and not path.endswith(".weights.h5")


def _load(model: keras.Model, path: str, load: Callable[[keras.Model, str], None]) -> None:
    try:
        load(model, path)
    except DataError as error:
        raise ConfigError(f"weights is {path!r}, which cannot be loaded: {error}") from error


def _load_backbone(model: keras.Model, path: str) -> None:
    """Loads the backbone of a file of weights, and the head if it has as many classes; else that starts afresh."""
    backbone = [v for layer in model.layers if layer.name not in _HEADS for v in layer.weights if v.dtype == "float32"]
    for variable in backbone:
        variable.assign(tf.fill(variable.shape, np.nan))  # stays where the file has nothing that fits
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what is skipped, Keras prints every number
        load_weights(model, path, skip_mismatch=True)
    if not all(np.isfinite(variable.numpy()).all() for variable in backbone):
        raise DataError(f"{path} does not hold the weights of {model.name}")
