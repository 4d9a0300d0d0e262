from dataclasses import FrozenInstanceError, fields

import pytest

from melgan.translation.config import TranslatorConfig
from tfrecords_tools.foundation.errors import ConfigError
from tfrecords_tools.foundation.settings import declaration

IMPOSSIBLE = {
    "image_size": [16, 48, 512],
    "width": [0.0, -1.0],
    "blocks": [-1],
    "cycle_weight": [-1.0],
    "identity_weight": [-1.0],
    "nce_weight": [-1.0],
    "parsing_weight": [-1.0],
    "tying_weight": [-1.0],
    "l1_weight": [-1.0],
    "outside_weight": [-1.0, float("nan")],
    "nce_temperature": [0.0],
    "dropout": [-0.1, 1.0],
    "learning_rate": [0.0],
    "decay_from": [-0.1, 1.1],
    "beta_1": [1.0],
    "beta_2": [1.0],
    "ema_decay": [1.0],
    "global_batch_size": [0],
    "seed": [-1],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in IMPOSSIBLE.items() for value in values])
def test_impossible_settings_are_refused_by_name(name, value):
    with pytest.raises(ConfigError, match=f"^{name}.*{value}"):
        TranslatorConfig(**{name: value})


def test_limits_are_allowed():
    limits = {"global_batch_size": 1, "ema_decay": 0.0, "decay_from": 1.0, "dropout": 0.0, "cycle_weight": 0.0}
    config = TranslatorConfig(**limits)
    assert {name: getattr(config, name) for name in limits} == limits


def test_settings_have_help_and_cannot_be_changed():
    assert all(declaration(each).help for each in fields(TranslatorConfig))
    with pytest.raises(FrozenInstanceError):
        TranslatorConfig().seed = 1


@pytest.mark.parametrize(("image_size", "blocks", "wanted"), [(64, 0, 6), (128, 0, 6), (256, 0, 9), (256, 2, 2)])
def test_large_images_have_nine_blocks_as_published(image_size, blocks, wanted):
    assert TranslatorConfig(image_size=image_size, blocks=blocks).num_blocks == wanted
