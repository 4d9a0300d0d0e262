from dataclasses import fields
from itertools import pairwise

import pytest

from melgan.gans.architectures import ARCHITECTURES
from melgan.gans.architectures.networks import CHOICES, IMAGE_SIZES
from melgan.gans.combinations import require_possible
from melgan.gans.config import GanConfig
from melgan.gans.labels import LABEL_SAMPLINGS
from melgan.gans.methods import METHODS, preset, resolve
from melgan.gans.objectives import OBJECTIVES
from melgan.gans.penalties import PENALTIES
from tfrecords_tools.foundation.errors import ConfigError

PRESET_FIELDS = {field.name for field in fields(GanConfig) if field.default is None}
# What not every method has.
OPTIONAL_FIELDS = {"discriminator_learning_rate", "batch_sampling", "burn_in_epochs", *CHOICES} | {
    name for name in PRESET_FIELDS if name.startswith(("final_", "conditional_", "unconditional_"))
}


@pytest.mark.parametrize("method", METHODS)
def test_presets_fill_every_empty_field_from_the_tables(method):
    config = resolve(GanConfig(method=method))
    expected = preset(method, config.image_size)
    assert PRESET_FIELDS - OPTIONAL_FIELDS <= expected.keys() <= PRESET_FIELDS
    assert {name: getattr(config, name) for name in PRESET_FIELDS} == dict.fromkeys(PRESET_FIELDS) | expected
    assert config.architecture in ARCHITECTURES
    assert config.objective in OBJECTIVES
    assert config.penalty in PENALTIES
    assert config.label_sampling in LABEL_SAMPLINGS
    for image_size in IMAGE_SIZES:
        require_possible(resolve(GanConfig(method=method, image_size=image_size)), (900, 10))


@pytest.mark.parametrize("method", METHODS)
def test_given_settings_are_kept_even_if_zero(method):
    given = {"penalty_weight": 0.0, "wrong_labels": False, "autoencoder_epochs": 0, "disc_steps": 7, "seed": 3}
    config = resolve(GanConfig(method=method, **given))
    assert {name: getattr(config, name) for name in given} == given
    assert config.learning_rate == METHODS[method]["learning_rate"]


PUBLISHED = {
    # Radford et al. 2016, section 4
    "gan": {"learning_rate": 2e-4, "beta_1": 0.5, "penalty": "none", "latent_dim": 100, "disc_steps": 1},
    # Gulrajani et al. 2017, algorithm 1
    "wgan_gp": {"learning_rate": 1e-4, "beta_1": 0.0, "beta_2": 0.9, "penalty_weight": 10.0, "disc_steps": 5},
    # Kodali et al. 2017, section 2.3, in the loop of Huang and Jafari 2021
    "cdragan": {"penalty": "dragan", "penalty_weight": 10.0, "label_sampling": "real", "wrong_labels": False},
    # Zhang et al. 2018, section 4
    "sagan": {"learning_rate": 1e-4, "discriminator_learning_rate": 4e-4, "beta_1": 0.0, "beta_2": 0.9}
    | {"objective": "hinge", "disc_steps": 1, "penalty": "none", "architecture": "sagan"},
    # Karras et al. 2018, appendix A.1
    "progan": {"learning_rate": 1e-3, "beta_1": 0.0, "beta_2": 0.99, "disc_steps": 1, "latent_dim": 512}
    | {"objective": "wasserstein_drift", "penalty": "gradient_penalty", "penalty_weight": 10.0, "phase_epochs": 20.0},
    # Mariani et al. 2018, section 3 and the authors' code
    "bagan": {"learning_rate": 5e-5, "beta_1": 0.5, "beta_2": 0.999, "latent_dim": 100, "disc_steps": 1}
    | {"autoencoder_epochs": 150, "label_sampling": "balanced", "batch_sampling": "balanced", "penalty": "none"}
    | {"objective": "softmax_cross_entropy", "architecture": "bagan"},
    # Huang et al. 2024, authors' code
    "r3gan": {"objective": "relativistic", "penalty": "r1_r2"}
    | {"learning_rate": 2e-4, "final_learning_rate": 5e-5, "beta_1": 0.0, "beta_2": 0.9, "final_beta_2": 0.99}
    | {"disc_steps": 1, "latent_dim": 64, "label_sampling": "paired", "fresh_batches": True},
    # Han et al. 2019, with the settings of PGGAN, and a number that chooses the boxes
    "cpggan": {"learning_rate": 1e-3, "beta_1": 0.0, "beta_2": 0.99, "disc_steps": 1, "latent_dim": 513}
    | {"objective": "wasserstein_drift", "penalty": "gradient_penalty", "architecture": "cpggan"},
    # Shahbazi et al. 2022, authors' commands for 2,000 images: from 2,000 to 4,000 thousand images
    "transitional": {"conditional_from_epochs": 1000.0, "conditional_until_epochs": 2000.0}
    | {"unconditional_weight": 1.0, "conditioning": "concatenated", "objective": "sigmoid_cross_entropy"},
    # Khorram et al. 2024, authors' code
    "utlo": {"shared_until": 8, "unconditional_weight": 1.0, "conditioning": "concatenated"},
    # Huang and Jafari 2021, authors' code
    "bagan_gp": {"learning_rate": 2e-4, "beta_1": 0.5, "beta_2": 0.9, "penalty_weight": 10.0, "disc_steps": 5}
    | {"latent_dim": 128, "autoencoder_epochs": 30, "label_sampling": "balanced", "wrong_labels": True},
}


@pytest.mark.parametrize("method", METHODS)
def test_presets_are_the_published_settings(method):
    config = resolve(GanConfig(method=method))
    assert {name: getattr(config, name) for name in PUBLISHED[method]} == PUBLISHED[method]


@pytest.mark.parametrize(("image_size", "gamma"), [(32, 0.05), (64, 2.0), (256, 150.0)])  # CIFAR-10, and FFHQ
def test_the_penalty_of_r3gan_is_the_published_one_of_the_size(image_size, gamma):
    config = resolve(GanConfig(method="r3gan", image_size=image_size))
    assert (config.penalty_weight, config.final_penalty_weight) == (gamma, pytest.approx(gamma / 10))


def test_the_penalty_of_r3gan_grows_with_the_size():
    sizes = [resolve(GanConfig(method="r3gan", image_size=image_size)) for image_size in IMAGE_SIZES]
    assert all(small.penalty_weight < large.penalty_weight for small, large in pairwise(sizes))


@pytest.mark.parametrize("settings", [{"label_sampling": "real", "autoencoder_epochs": 0}, {"autoencoder_epochs": 0}])
def test_versions_1_and_2_of_bagan_gp_are_settings(settings):
    config = resolve(GanConfig(method="bagan_gp", **settings))
    require_possible(config, (900, 10))
    assert {name: getattr(config, name) for name in settings} == settings


def test_real_images_come_as_they_are_but_where_balance_is_asked_for():
    asked = [GanConfig(), GanConfig(batch_sampling="balanced"), GanConfig(method="bagan")]
    asked.append(GanConfig(method="bagan", batch_sampling="real"))
    assert [resolve(config).has_balanced_batches for config in asked] == [False, True, True, False]


def test_unknown_method_is_refused():
    with pytest.raises(ConfigError, match="method.*'pix2pix'.*bagan_gp"):
        resolve(GanConfig(method="pix2pix"))
