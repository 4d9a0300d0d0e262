"""Named methods: each is a choice of architecture, objective, penalty and sampling with its published settings."""

from dataclasses import fields, replace

from melgan.gans.config import GanConfig
from tfrecords_tools.foundation.errors import look_up

_PROGAN = {
    "architecture": "progan",
    "objective": "wasserstein_drift",
    "penalty": "gradient_penalty",
    "penalty_weight": 10.0,
    "wrong_labels": False,
    "label_sampling": "real",
    "disc_steps": 1,
    "fresh_batches": True,
    "learning_rate": 1e-3,
    "beta_1": 0.0,
    "beta_2": 0.99,
    "autoencoder_epochs": 0,
    "latent_dim": 512,
}

_CDRAGAN = {
    "architecture": "bagan_gp",
    "objective": "sigmoid_cross_entropy",
    "penalty": "dragan",
    "penalty_weight": 10.0,
    "wrong_labels": False,
    "label_sampling": "real",
    "disc_steps": 5,
    "fresh_batches": False,
    "learning_rate": 2e-4,
    "beta_1": 0.5,
    "beta_2": 0.9,
    "autoencoder_epochs": 0,
    "latent_dim": 128,
}

# A row leaves out what its method does not have, such as schedules, or a learning rate of the discriminator's own.
METHODS: dict[str, dict] = {
    # Goodfellow et al. 2014, "Generative adversarial nets", with the non-saturating loss of its section 3;
    # networks and settings: Radford et al. 2016, "Unsupervised representation learning with DCGAN", section 4;
    # conditional as Mirza and Osindero 2014. https://arxiv.org/abs/1406.2661 1511.06434 1411.1784
    "gan": {
        "architecture": "dcgan",
        "objective": "sigmoid_cross_entropy",
        "penalty": "none",
        "penalty_weight": 0.0,
        "wrong_labels": False,
        "label_sampling": "real",
        "disc_steps": 1,
        "fresh_batches": True,
        "learning_rate": 2e-4,
        "beta_1": 0.5,
        "beta_2": 0.999,
        "autoencoder_epochs": 0,
        "latent_dim": 100,
    },
    # Gulrajani et al. 2017, "Improved training of Wasserstein GANs", algorithm 1 and section 4.
    # https://arxiv.org/abs/1704.00028
    "wgan_gp": {
        "architecture": "dcgan_layer_norm",
        "objective": "wasserstein",
        "penalty": "gradient_penalty",
        "penalty_weight": 10.0,
        "wrong_labels": False,
        "label_sampling": "real",
        "disc_steps": 5,
        "fresh_batches": True,
        "learning_rate": 1e-4,
        "beta_1": 0.0,
        "beta_2": 0.9,
        "autoencoder_epochs": 0,
        "latent_dim": 128,
    },
    # Kodali et al. 2017, "On convergence and stability of GANs", conditional as the rival in Huang and Jafari 2021:
    # their networks and loop, with the labels of real images for the fakes and no wrong labels.
    # https://arxiv.org/abs/1705.07215 2011.00189
    "cdragan": _CDRAGAN,
    # Shahbazi et al. 2022, "Collapse by conditioning: training class-conditional GANs with limited data", section 4, in
    # the networks and the loop of `cdragan` (there StyleGAN2's); passes over the images as in the authors' commands.
    # https://arxiv.org/abs/2201.06578
    "transitional": _CDRAGAN
    | {
        "conditioning": "concatenated",
        "unconditional_weight": 1.0,
        "conditional_from_epochs": 1000.0,
        "conditional_until_epochs": 2000.0,
    },
    # Khorram et al. 2024, "Taming the tail in class-conditional GANs: knowledge sharing via unconditional training at
    # lower resolutions", in the networks and the loop of `cdragan` (there StyleGAN2's).
    # https://arxiv.org/abs/2402.17065
    "utlo": _CDRAGAN | {"conditioning": "concatenated", "unconditional_weight": 1.0, "shared_until": 8},
    # Huang and Jafari 2021, "Enhanced balancing GAN: minority-class image generation", version 3 (supervised
    # autoencoder). https://doi.org/10.1007/s00521-021-06163-8
    # Version 1: label_sampling real, autoencoder_epochs 0. Version 2: autoencoder_epochs 0.
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
    # Zhang et al. 2018, "Self-attention generative adversarial networks", sections 3 and 4.
    # https://arxiv.org/abs/1805.08318
    "sagan": {
        "architecture": "sagan",
        "objective": "hinge",
        "penalty": "none",
        "penalty_weight": 0.0,
        "wrong_labels": False,
        "label_sampling": "real",
        "disc_steps": 1,
        "fresh_batches": True,
        "learning_rate": 1e-4,
        "discriminator_learning_rate": 4e-4,
        "beta_1": 0.0,
        "beta_2": 0.9,
        "autoencoder_epochs": 0,
        "latent_dim": 128,
    },
    # Karras et al. 2018, "Progressive growing of GANs for improved quality, stability, and variation", appendix A.1.
    # https://arxiv.org/abs/1710.10196
    "progan": _PROGAN,
    # Mariani et al. 2018, "BAGAN: Data augmentation with balancing GAN", with the settings of the authors'
    # code (github.com/IBM/BAGAN: balancing_gan.py, run.sh). https://arxiv.org/abs/1803.09655
    # There the fakes are one class among several of a batch, while real images come as they are: batch_sampling real.
    "bagan": {
        "architecture": "bagan",
        "objective": "softmax_cross_entropy",
        "penalty": "none",
        "penalty_weight": 0.0,
        "wrong_labels": False,
        "label_sampling": "balanced",
        "batch_sampling": "balanced",
        "disc_steps": 1,
        "fresh_batches": True,
        "learning_rate": 5e-5,
        "beta_1": 0.5,
        "beta_2": 0.999,
        "autoencoder_epochs": 150,
        "latent_dim": 100,
    },
    # Huang et al. 2024, "The GAN is dead; long live the GAN! A modern GAN baseline", sections 2 and 3; settings of the
    # authors' code (github.com/brownvc/R3GAN) for CIFAR-10 and FFHQ. There the burn-in is 20 million images, 400 passes
    # over CIFAR-10: as passes it suits small data sets too. The penalty depends on the size: see PRESETS_OF_SIZE.
    # https://arxiv.org/abs/2501.05441
    "r3gan": {
        "architecture": "r3gan",
        "objective": "relativistic",
        "penalty": "r1_r2",
        "wrong_labels": False,
        "label_sampling": "paired",
        "disc_steps": 1,
        "fresh_batches": True,
        "learning_rate": 2e-4,
        "final_learning_rate": 5e-5,
        "beta_1": 0.0,
        "beta_2": 0.9,
        "final_beta_2": 0.99,
        "burn_in_epochs": 400.0,
        "autoencoder_epochs": 0,
        "latent_dim": 64,
    },
    # Han et al. 2019, "Learning more with less: conditional PGGAN-based data augmentation for brain metastases
    # detection using highly-rough annotation on MR images", with the settings of `progan`. One number of the latents
    # chooses the boxes.
    # https://arxiv.org/abs/1902.09856
    "cpggan": _PROGAN | {"architecture": "cpggan", "latent_dim": 513},
}

# Further settings of a method by image size in pixels.
PRESETS_OF_SIZE: dict[str, dict[int, dict]] = {
    # The authors' gamma for CIFAR-10, FFHQ at 64 px and FFHQ at 256 px; at 128 px the geometric mean of its neighbours.
    "r3gan": {
        32: {"penalty_weight": 0.05, "final_penalty_weight": 0.005},
        64: {"penalty_weight": 2.0, "final_penalty_weight": 0.2},
        128: {"penalty_weight": 17.0, "final_penalty_weight": 1.7},
        256: {"penalty_weight": 150.0, "final_penalty_weight": 15.0},
    },
}


def preset(method: str, image_size: int) -> dict:
    """Returns the settings that a method presets for images of a size in pixels.

    Raises:
      ConfigError: for an unknown method.
    """
    return look_up(METHODS, method, "method") | PRESETS_OF_SIZE.get(method, {}).get(image_size, {})


def resolve(config: GanConfig) -> GanConfig:
    """Returns the config with every field that is None filled in from its method.

    What the method does not have stays None.

    Raises:
      ConfigError: for an unknown method.
    """
    missing = {f.name for f in fields(config) if getattr(config, f.name) is None}
    return replace(
        config, **{name: value for name, value in preset(config.method, config.image_size).items() if name in missing}
    )
