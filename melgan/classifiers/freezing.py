"""Which layers of a classifier are trained; TRAIN_LAYERS table."""

from collections.abc import Callable

import keras

from tfrecords_tools.foundation.errors import look_up


def all_layers(backbone: keras.Model) -> list[keras.Layer]:
    """Returns no layer: all are trained."""
    del backbone
    return []


def before_last_stage(backbone: keras.Model) -> list[keras.Layer]:
    """Returns the layers up to the last that halves the map; of EfficientNet, blocks 6 and 7 are trained."""
    maps = [(number, layer.output.shape) for number, layer in enumerate(backbone.layers) if _is_map(layer)]
    side = maps[-1][1][1]
    last = max(number for number, shape in maps if shape[1] > side)
    return backbone.layers[: last + 1]


def whole_backbone(backbone: keras.Model) -> list[keras.Layer]:
    """Returns all layers: only the heads behind them are trained."""
    return backbone.layers


# backbone -> layers that keep their weights, and normalise by their moving statistics
TRAIN_LAYERS: dict[str, Callable[[keras.Model], list[keras.Layer]]] = {
    "all": all_layers,
    "last_stage": before_last_stage,
    "head": whole_backbone,
}


def freeze(backbone: keras.Model, train_layers: str) -> None:
    """Lets layers of a backbone keep their weights, and their moving statistics, when it is trained.

    Raises:
      ConfigError: for a name that is not in TRAIN_LAYERS.
    """
    for layer in look_up(TRAIN_LAYERS, train_layers, "train_layers")(backbone):
        layer.trainable = False


def _is_map(layer: keras.Layer) -> bool:
    return len(layer.output.shape) == 4
