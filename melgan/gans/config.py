"""Settings of a conditional GAN."""

from dataclasses import dataclass

from melgan.training.computing import ComputingSettings
from tfrecords_tools.foundation.settings import IMAGE_SIZE, require, setting


@dataclass(frozen=True, kw_only=True)
class GanConfig(ComputingSettings):
    """A conditional GAN. Fields that are None take the value that `melgan/gans/methods.py` lists for the method."""

    method: str = setting(
        "bagan_gp", "named method of melgan/gans/methods.py; it presets the settings that are not given"
    )
    architecture: str | None = setting(None, "generator and discriminator pair of melgan/gans/architectures")
    conditioning: str | None = setting(
        None, "how the class enters the generator of bagan_gp: CONDITIONINGS; none: as published, multiply"
    )
    upsampling: str | None = setting(
        None, "how the generators of bagan_gp and dcgan enlarge: UPSAMPLINGS; none: as published, transposed"
    )
    shared_until: int | None = setting(
        None,
        "pixels up to which the generator of bagan_gp knows no class, and is taught by the head of "
        "--unconditional_weight; none: the class is there from the first layer",
    )
    objective: str | None = setting(None, "adversarial losses of melgan/gans/objectives.py")
    penalty: str | None = setting(None, "gradient penalty of melgan/gans/penalties.py")
    penalty_weight: float | None = setting(None, "factor of the gradient penalty")
    regulariser: str = setting("none", "further terms of the losses: REGULARISERS of melgan/gans/regularisers")
    regulariser_weight: float = setting(1.0, "factor of these terms")
    auxiliary: str = setting(
        "none", "classifier beside the adversarial loss: AUXILIARIES of melgan/gans/auxiliaries.py"
    )
    auxiliary_weight: float = setting(1.0, "factor of its terms, in the losses of both networks")
    unconditional_weight: float | None = setting(
        None, "factor of the loss of a head of the discriminator that knows no class; none or 0: there is no such head"
    )
    conditional_from_epochs: float | None = setting(
        None, "passes over the real images without classes, from which on they come in; none: from the first step"
    )
    conditional_until_epochs: float | None = setting(
        None, "passes over the real images after which classes count wholly; none: from the first step"
    )
    penalty_interval: int = setting(1, "discriminator steps from one penalty to the next, which counts as many times")
    wrong_labels: bool | None = setting(None, "show the discriminator real images with wrong labels, as fakes")
    label_sampling: str | None = setting(
        None, "labels of fakes: drawn by balanced, sqrt or real frequencies, or paired with the real images"
    )
    batch_sampling: str | None = setting(
        None, "how often real images of each class are shown: balanced, equally often; real, or none: as they come"
    )
    disc_steps: int | None = setting(None, "discriminator steps per generator step")
    fresh_batches: bool | None = setting(None, "give every step that looks at real images some of its own")
    learning_rate: float | None = setting(None, "Adam learning rate of the networks")
    discriminator_learning_rate: float | None = setting(
        None, "learning rate of the discriminator, where it has its own"
    )
    beta_1: float | None = setting(None, "Adam decay of the first moment")
    beta_2: float | None = setting(None, "Adam decay of the second moment")
    burn_in_epochs: float | None = setting(None, "passes over the real images until settings have their final_ values")
    final_learning_rate: float | None = setting(None, "learning rate after the burn-in; none: as before")
    final_beta_2: float | None = setting(None, "beta_2 after the burn-in; none: as before")
    final_penalty_weight: float | None = setting(None, "penalty_weight after the burn-in; none: as before")
    autoencoder_epochs: int | None = setting(None, "epochs of the autoencoder that initialises the generator; 0: none")
    phase_epochs: float = setting(
        20.0, "passes over the images in a phase of growth, where networks grow; 0: no growth"
    )
    latent_dim: int | None = setting(None, "length of the latent vectors")
    image_size: int = setting(IMAGE_SIZE, "side of the generated images in pixels: 32, 64, 128 or 256")
    width: float = setting(1.0, "factor on the published number of filters")
    augmentation: str = setting("none", "what real and fake images go through before the discriminator: AUGMENTATIONS")
    augmentation_policy: tuple[str, ...] = setting(
        (),
        "parts of the augmentation to use; of diffaugment: colour, translation, cutout; of ada: blitting, geometry, "
        "colour; none given: all",
    )
    global_batch_size: int = setting(128, "images per step over all replicas")
    ema_decay: float = setting(0.999, "decay of the generator's moving average per step; 0: no averaging")
    seed: int = setting(0, "seed of everything random")

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.width > 0, "width", self.width, "greater than 0")
        require(self.global_batch_size >= 2, "global_batch_size", self.global_batch_size, "at least 2")
        require(0 <= self.ema_decay < 1, "ema_decay", self.ema_decay, "from 0 up to, but not including, 1")
        require(self.seed >= 0, "seed", self.seed, "0 or greater")
        require(self.phase_epochs >= 0, "phase_epochs", self.phase_epochs, "0 or greater")
        rates = ("learning_rate", "discriminator_learning_rate", "final_learning_rate")
        for name in (*rates, "disc_steps", "latent_dim", "penalty_interval", "burn_in_epochs"):
            value = getattr(self, name)
            require(value is None or value > 0, name, value, "greater than 0")
        for name in (
            "penalty_weight",
            "final_penalty_weight",
            "regulariser_weight",
            "auxiliary_weight",
            "unconditional_weight",
            "conditional_from_epochs",
            "conditional_until_epochs",
            "autoencoder_epochs",
        ):
            value = getattr(self, name)
            require(value is None or value >= 0, name, value, "0 or greater")
        require(
            self.batch_sampling in (None, "balanced", "real"), "batch_sampling", self.batch_sampling, "balanced or real"
        )
        for name in ("beta_1", "beta_2", "final_beta_2"):
            value = getattr(self, name)
            require(value is None or 0 <= value < 1, name, value, "from 0 up to, but not including, 1")

    @property
    def has_balanced_batches(self) -> bool:
        """True if real images of all classes are shown equally often."""
        return self.batch_sampling == "balanced"

    @property
    def has_penalty(self) -> bool:
        """True for a resolved config with a gradient penalty that counts."""
        return self.penalty != "none" and self.penalty_weight > 0
