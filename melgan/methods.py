"""Named methods: each is a choice of architecture, objective, penalty and sampling with its published settings."""

from dataclasses import fields, replace

from melgan.config import GanConfig
from melgan.errors import look_up

METHODS: dict[str, dict] = {
    # Huang and Jafari 2021, "Enhanced balancing GAN: minority-class image generation", version 3 (supervised
    # autoencoder). https://doi.org/10.1007/s00521-021-06163-8
    "bagan_gp": {
        "architecture": "bagan_gp",
        "objective": "sigmoid_cross_entropy",
        "penalty": "gradient_penalty",
        "penalty_weight": 10.0,
        "wrong_labels": True,
        "label_sampling": "balanced",
        "disc_steps": 5,
        "fresh_batches": False,
        "learning_rate": 2e-4,
        "beta_1": 0.5,
        "beta_2": 0.9,
        "autoencoder_epochs": 30,
        "latent_dim": 128,
    },
}


def resolve(config: GanConfig) -> GanConfig:
    """Returns the config with every field that is None filled in from its method.

    Raises:
      ConfigError: for an unknown method.
    """
    preset = look_up(METHODS, config.method, "method")
    missing = {f.name for f in fields(config) if getattr(config, f.name) is None}
    return replace(config, **{name: value for name, value in preset.items() if name in missing})
