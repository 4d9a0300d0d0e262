"""Classification networks: a backbone and its heads."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from melgan.classifiers.auxiliary import NUM_OUTPUTS
from melgan.classifiers.backbones import BACKBONES, begin_as_identity, prepare_normalization
from melgan.classifiers.config import GAN_WEIGHTS, IMAGENET_WEIGHTS, NO_WEIGHTS, ClassifierConfig
from melgan.classifiers.efficientnet import load_keras_file
from melgan.classifiers.freezing import freeze
from melgan.classifiers.metadata import METADATA, NUM_INPUTS, missing_metadata
from melgan.training.weights import load_weights
from tfrecords_tools.foundation.errors import ConfigError, DataError, look_up

_HEADS = ("logits", "auxiliary", "balanced", "metadata")  # names of layers behind the backbone begin so


MakeBackbone = Callable[[], keras.Model]


def build_classifier(
    config: ClassifierConfig, num_classes: int, make_backbone: MakeBackbone | None = None
) -> keras.Model:
    """Returns a network from images `[N, H, W, 3]` in [0, 255] to [class logits, auxiliary logits].

    With metadata as an input it takes [images, what `encode_metadata` returns], with a balanced head it has logits of
    that too: see `apply_classifier`. Logits are of full precision, whatever the layers compute in.

    Arguments:
      config: its settings.
      num_classes: of the logits.
      make_backbone: makes a backbone that is not in BACKBONES, such as that of `discriminator_features`.

    Raises:
      ConfigError: for an unknown backbone, or weights that cannot be had or do not fit.
    """
    if make_backbone is None:
        backbone = look_up(BACKBONES, config.backbone, "backbone")(config.image_size, config.first_weights)
    else:
        backbone = make_backbone()
    prepare_normalization(backbone)
    if config.zero_gamma:
        begin_as_identity(backbone)
    is_file = config.first_weights not in (NO_WEIGHTS, IMAGENET_WEIGHTS, GAN_WEIGHTS)
    if is_file and _is_of_keras_2(config.first_weights):
        _load(backbone, config.first_weights, load_keras_file)
    dropped = layers.Dropout(config.dropout, name="dropout")(backbone.output)
    inputs, features, fuse = backbone.input, dropped, METADATA[config.metadata].fuse
    if fuse is not None:
        metadata = keras.Input((NUM_INPUTS,), name="metadata")
        inputs, features = [backbone.input, metadata], fuse(dropped, metadata)
    logits = _head(num_classes, "logits", features)
    auxiliary = _head(NUM_OUTPUTS, "auxiliary", dropped)
    balanced = [_head(num_classes, "balanced", features)] if config.balanced_head else []
    model = keras.Model(inputs, [logits, auxiliary, *balanced], name=config.backbone.partition(":")[0])
    if is_file and not _is_of_keras_2(config.first_weights):
        _load(model, config.first_weights, _load_backbone)
    freeze(backbone, config.train_layers)
    return model


def _head(size: int, name: str, features: keras.KerasTensor) -> keras.KerasTensor:
    return layers.Dense(size, name=name, dtype=keras.config.floatx())(features)


@dataclass(frozen=True)
class Outputs:
    """The outputs of a network: logits of the classes `[N, C]`, auxiliary ones, and those of the balanced head."""

    logits: tf.Tensor
    auxiliary: tf.Tensor
    balanced: tf.Tensor | None = None

    @property
    def predicted(self) -> tf.Tensor:
        """The logits by which classes are predicted: of the balanced head, if there is one."""
        return self.logits if self.balanced is None else self.balanced


def takes_metadata(model: keras.Model) -> bool:
    """Returns whether a network of `build_classifier` has metadata as an input."""
    return len(model.inputs) > 1


def apply_classifier(model: keras.Model, images: tf.Tensor, metadata: tf.Tensor | None, *, training: bool) -> Outputs:
    """Returns the outputs of a network of `build_classifier`.

    Arguments:
      model: the network.
      images: float `[N, H, W, 3]` in [0, 255].
      metadata: `[N, NUM_INPUTS]`; only looked at by networks that take it.
      training: whether dropout drops and normalisation is by the batch.
    """
    return Outputs(*model([images, metadata] if takes_metadata(model) else images, training=training))


def feature_network(model: keras.Model) -> Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]:
    """Returns what maps images `[N, H, W, 3]` to the features of the backbone and the probabilities of the classes.

    To a network that takes metadata, all of it is missing.
    """
    features, predicted = model.get_layer("dropout").input, Outputs(*model.outputs).predicted
    both = keras.Model(model.inputs, [features, keras.ops.softmax(predicted)])

    def extract(images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        inputs = [images, missing_metadata(len(images))] if takes_metadata(model) else [images]
        return tuple(both(inputs, training=False))

    return extract


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
    layers_of_backbone = [layer for layer in model.layers if not layer.name.startswith(_HEADS)]
    backbone = [v for layer in layers_of_backbone for v in layer.weights if v.dtype == "float32"]
    for variable in backbone:
        variable.assign(tf.fill(variable.shape, np.nan))  # stays where the file has nothing that fits
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what is skipped, Keras prints every number
        load_weights(model, path, skip_mismatch=True)
    if not all(np.isfinite(variable.numpy()).all() for variable in backbone):
        raise DataError(f"{path} does not hold the weights of {model.name}")
