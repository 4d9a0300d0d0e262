from dataclasses import fields

import pytest

from melgan.architectures import ARCHITECTURES
from melgan.config import GanConfig
from melgan.errors import ConfigError
from melgan.labels import LABEL_SAMPLINGS
from melgan.methods import METHODS, resolve
from melgan.objectives import OBJECTIVES
from melgan.penalties import PENALTIES

PRESET_FIELDS = {field.name for field in fields(GanConfig) if field.default is None}


@pytest.mark.parametrize("method", METHODS)
def test_presets_fill_every_empty_field_from_the_tables(method):
    assert METHODS[method].keys() == PRESET_FIELDS
    config = resolve(GanConfig(method=method))
    assert {name: getattr(config, name) for name in PRESET_FIELDS} == METHODS[method]
    assert config.architecture in ARCHITECTURES
    assert config.objective in OBJECTIVES
    assert config.penalty in PENALTIES
    assert config.label_sampling in LABEL_SAMPLINGS


@pytest.mark.parametrize("method", METHODS)
def test_given_settings_are_kept_even_if_zero(method):
    given = {"penalty_weight": 0.0, "wrong_labels": False, "autoencoder_epochs": 0, "disc_steps": 7, "seed": 3}
    config = resolve(GanConfig(method=method, **given))
    assert {name: getattr(config, name) for name in given} == given
    assert config.learning_rate == METHODS[method]["learning_rate"]


def test_bagan_gp_is_as_published():
    config = resolve(GanConfig(method="bagan_gp"))
    assert (config.penalty_weight, config.disc_steps, config.latent_dim) == (10.0, 5, 128)
    assert (config.learning_rate, config.beta_1, config.beta_2) == (2e-4, 0.5, 0.9)


def test_unknown_method_is_refused():
    with pytest.raises(ConfigError, match="^method is 'pix2pix'; known are .*bagan_gp"):
        resolve(GanConfig(method="pix2pix"))
