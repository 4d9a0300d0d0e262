"""Settings of SinGAN."""

from dataclasses import dataclass

from melgan.training.computing import ComputingSettings
from tfrecords_tools.foundation.settings import IMAGE_SIZE, require, setting

RECEPTIVE_FIELD = 11  # of five 3 x 3 convolutions, in pixels


@dataclass(frozen=True, kw_only=True)
class SinganConfig(ComputingSettings):
    """SinGAN with the settings of Shaham et al. 2019 and of the authors' code.

    Batch normalisation, as published, is not offered: over a batch of one image it is instance normalisation in
    training, and would draw with other statistics than it was trained with; in the discriminator it would tie pixels
    together whose gradients the penalty holds one by one.
    """

    image_size: int = setting(IMAGE_SIZE, "side of the images in pixels")
    min_size: int = setting(25, "side of the image at the coarsest scale in pixels")
    max_size: int = setting(250, "the largest image_size allowed; work grows with its square")
    scale_factor: float = setting(
        0.75, "wanted ratio of the sides of two scales, adjusted such that the coarsest has min_size"
    )
    steps_per_scale: int = setting(2000, "steps of every scale")
    disc_steps: int = setting(3, "discriminator steps per step")
    gen_steps: int = setting(3, "generator steps per step")
    width: float = setting(1.0, "factor on the published filters: 32, doubled every four scales, at most 128")
    penalty_weight: float = setting(0.1, "factor of the gradient penalty")
    reconstruction_weight: float = setting(10.0, "factor of the squared error of the reconstruction")
    noise_weight: float = setting(
        0.1, "deviation of a scale's noise over the error of the reconstruction from the scale below"
    )
    learning_rate: float = setting(5e-4, "Adam learning rate of both networks")
    beta_1: float = setting(0.5, "Adam decay of the first moment")
    beta_2: float = setting(0.999, "Adam decay of the second moment")
    decay_at: float = setting(0.8, "fraction of the steps of a scale after which the learning rate falls to a tenth")
    normalization: str = setting("instance", "normalisation in the generators", choices=("instance", "none"))
    padding: str = setting(
        "zero",
        "what surrounds the noise of a scale: zeros, which tell where borders are, or more noise, so that borders vary",
        choices=("zero", "noise"),
    )
    seed: int = setting(0, "seed of everything random")

    def __post_init__(self) -> None:
        super().__post_init__()
        least = RECEPTIVE_FIELD
        require(self.min_size >= least, "min_size", self.min_size, f"at least {least}, what a discriminator looks at")
        fits = self.min_size <= self.image_size <= self.max_size
        allowed = f"from min_size, {self.min_size}, to max_size, {self.max_size}"
        require(fits, "image_size", self.image_size, allowed)
        require(0 < self.scale_factor < 1, "scale_factor", self.scale_factor, "between 0 and 1")
        for name in ("steps_per_scale", "disc_steps", "gen_steps", "width", "learning_rate"):
            require(getattr(self, name) > 0, name, getattr(self, name), "greater than 0")
        for name in ("penalty_weight", "reconstruction_weight", "noise_weight", "seed"):
            require(getattr(self, name) >= 0, name, getattr(self, name), "0 or greater")
        for name in ("beta_1", "beta_2"):
            require(0 <= getattr(self, name) < 1, name, getattr(self, name), "from 0 up to, but not including, 1")
        require(0 <= self.decay_at <= 1, "decay_at", self.decay_at, "from 0 to 1")
        require(self.normalization in ("instance", "none"), "normalization", self.normalization, "instance or none")
        require(self.padding in ("zero", "noise"), "padding", self.padding, "zero or noise")
