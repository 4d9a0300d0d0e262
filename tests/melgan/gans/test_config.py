from dataclasses import FrozenInstanceError, fields

import pytest

from melgan.classifiers.config import ClassifierConfig
from melgan.gans.config import GanConfig
from tfrecords_tools.foundation.errors import ConfigError, look_up
from tfrecords_tools.foundation.settings import declaration

IMPOSSIBLE = {
    GanConfig: {
        "width": [0, -1.0],
        "global_batch_size": [1],
        "ema_decay": [-0.1, 1.0],
        "seed": [-1],
        "batch_sampling": ["sqrt"],
        "disc_steps": [0],
        "learning_rate": [0.0, -1e-3, float("nan")],
        "discriminator_learning_rate": [0.0, -1e-3],
        "final_learning_rate": [0.0],
        "burn_in_epochs": [0.0],
        "final_penalty_weight": [-1.0],
        "final_beta_2": [1.0],
        "latent_dim": [0],
        "penalty_weight": [-1.0],
        "auxiliary_weight": [-1.0],
        "unconditional_weight": [-1.0],
        "conditional_from_epochs": [-1.0],
        "conditional_until_epochs": [-1.0],
        "regulariser_weight": [-1.0],
        "autoencoder_epochs": [-1],
        "phase_epochs": [-0.5],
        "beta_1": [-0.5, 1.0],
        "beta_2": [-0.5, 1.0],
    },
    ClassifierConfig: {
        "epochs": [0],
        "batch_size": [1],
        "learning_rate": [0.0],
        "test_time_views": [0, 9],
        "class_balance": [-0.1, 1.1],
        "auxiliary_weight": [-0.1],
        "weight_decay": [-0.1],
        "image_size": [31],
        "seed": [-1],
        "warmup_fraction": [-0.1, 1.0],
        "label_smoothing": [-0.1, 1.0],
        "dropout": [-0.1, 1.0],
        "ema_decay": [-0.1, 1.0],
    },
}
LIMITS = [
    (GanConfig, {"global_batch_size": 2, "ema_decay": 0.0, "penalty_weight": 0.0, "autoencoder_epochs": 0}),
    (ClassifierConfig, {"test_time_views": 1, "class_balance": 1.0, "image_size": 32, "warmup_fraction": 0.0}),
]


@pytest.mark.parametrize(
    ("config", "field", "value"),
    [
        (config, field, value)
        for config, table in IMPOSSIBLE.items()
        for field, values in table.items()
        for value in values
    ],
)
def test_impossible_settings_are_refused_by_name(config, field, value):
    with pytest.raises(ConfigError, match=f"^{field}.*{value}"):
        config(**{field: value})


@pytest.mark.parametrize(("config", "settings"), LIMITS)
def test_limits_are_allowed(config, settings):
    built = config(**settings)
    assert {name: getattr(built, name) for name in settings} == settings


@pytest.mark.parametrize("config", IMPOSSIBLE)
def test_settings_have_help_and_cannot_be_changed(config):
    assert all(declaration(field).help for field in fields(config))
    with pytest.raises(FrozenInstanceError):
        config().seed = 1


def test_unknown_names_are_refused_with_the_known_ones():
    assert look_up({"one": 1, "two": 2}, "two", "number") == 2
    with pytest.raises(ConfigError, match="number.*'three'.*one, two"):
        look_up({"one": 1, "two": 2}, "three", "number")
