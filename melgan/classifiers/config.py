"""Settings of a classifier."""

from dataclasses import dataclass, replace

from melgan.classifiers.backbones import BACKBONES
from melgan.classifiers.discriminator import DISCRIMINATOR_PREFIX
from melgan.classifiers.freezing import TRAIN_LAYERS
from melgan.classifiers.metadata import METADATA
from melgan.classifiers.semi_supervised import ALIGNMENTS, SEMI_SUPERVISED, SemiSupervised
from melgan.training.computing import ComputingSettings
from tfrecords_tools.foundation.settings import IMAGE_SIZE, require, setting

BASE_BATCH_SIZE = 32
_LEAST_SIDE = 32
NO_WEIGHTS, IMAGENET_WEIGHTS, GAN_WEIGHTS = "none", "imagenet", "gan"
# Exponents of the size of the batch: Goyal et al. 2017, section 2.1; Krizhevsky 2014, section 5.
LEARNING_RATE_SCALINGS = {"none": 0.0, "linear": 1.0, "sqrt": 0.5}


@dataclass(frozen=True, kw_only=True)
class ClassifierConfig(ComputingSettings):
    """A classifier and the recipe that trains it."""

    backbone: str = setting(
        "efficientnet_b0",
        f"network of melgan/classifiers/backbones.py, or {DISCRIMINATOR_PREFIX}RUN, that of the discriminator of a GAN "
        "run; {fold} in RUN stands for the fold's number",
        is_path=True,
        words=tuple(BACKBONES),
    )
    weights: str = setting(
        "",
        "first weights: none, imagenet, gan, or the path of a file: .weights.h5 of the same backbone, or .h5 of "
        f"EfficientNet from Keras 2; by default gan with --backbone={DISCRIMINATOR_PREFIX}RUN, else none",
        is_path=True,
        words=(NO_WEIGHTS, IMAGENET_WEIGHTS, GAN_WEIGHTS),
        earlier=NO_WEIGHTS,
    )
    train_layers: str = setting(
        "all",
        "layers that are trained; the others keep their weights. last_stage: behind the last halving of the resolution",
        choices=tuple(TRAIN_LAYERS),
    )
    image_size: int = setting(IMAGE_SIZE, "side of the input in pixels; stored images are resized to it")
    epochs: int = setting(30, "passes over as many images as there are real ones for training")
    batch_size: int = setting(32, "images per step over all replicas")
    accumulation: int = setting(
        1,
        "parts into which a replica divides its batch, computed one after the other to save memory",
    )
    learning_rate: float = setting(2e-3, "peak of the AdamW schedule: linear warm-up, then cosine to zero")
    warmup_fraction: float = setting(0.1, "fraction of the steps in which the learning rate rises")
    weight_decay: float = setting(0.02, "decoupled weight decay of AdamW, on kernels only")
    label_smoothing: float = setting(0.05, "fraction of the target spread evenly over the classes")
    metadata: str = setting(
        "auxiliary",
        "age, sex, site and such, where shards have them: auxiliary targets of training; with concat and film inputs "
        "too, beside the features of the image, or scaling and shifting them; or none",
        choices=tuple(METADATA),
    )
    metadata_dropout: float = setting(
        0.3, "fraction of the images, of each class alike, whose inputs of --metadata are hidden in a step"
    )
    auxiliary_weight: float = setting(
        0.3, "weight of the loss that also predicts metadata, where shards have it; 0: none"
    )
    dropout: float = setting(0.3, "dropout before the last layer")
    ema_decay: float = setting(0.99, "decay of the moving average of the weights, which is evaluated; 0: no averaging")
    learning_rate_scaling: str = setting(
        "none",
        f"how the learning rate, which is for batches of {BASE_BATCH_SIZE}, grows with the batch",
        choices=tuple(LEARNING_RATE_SCALINGS),
    )
    zero_gamma: bool = setting(False, "residual blocks begin as the identity; for training from random weights")
    mixing: str = setting("none", "images mixed in pairs: none, or of melgan/classifiers/mixing.py")
    mixing_alpha: float = setting(0.2, "coefficients of the mixing are distributed as Beta(alpha, alpha)")
    distillation_weight: float = setting(0.0, "weight of what the teacher thinks, against that of the targets")
    distillation_temperature: float = setting(2.0, "temperature by which teacher and student are softened")
    semi_supervised: str = setting(
        "none",
        "how unlabelled images are learned from; settings from --lambda_u to --align_distribution that are not given "
        "are as melgan/classifiers/semi_supervised.py lists them",
        choices=tuple(SEMI_SUPERVISED),
    )
    unlabelled_fraction: float = setting(0.5, "fraction of unlabelled images in every batch")
    lambda_u: float | None = setting(None, "weight of the loss of unlabelled images")
    num_guesses: int | None = setting(None, "augmentations of an unlabelled image whose mean is guessed")
    sharpening_temperature: float | None = setting(None, "temperature of guesses: 1 leaves them, 0 makes them hard")
    confidence: float | None = setting(None, "what the probability of a guess must exceed for it to count")
    rampup_fraction: float | None = setting(None, "fraction of the steps in which the weight of guesses rises from 0")
    align_distribution: str | None = setting(
        None, "bring guesses to the mix of classes of the labels, to equal fractions, or not", choices=ALIGNMENTS
    )
    guess_with: str = setting(
        "average", "weights that guess: their moving average, or those that are trained", choices=("average", "model")
    )
    balanced_head: bool = setting(False, "a second head, for which every class weighs the same, predicts (ABC)")
    augmentation: str = setting("dihedral_colour", "augmentation of melgan/classifiers/augmentation.py")
    test_time_views: int = setting(8, "views averaged when predicting: 1, or up to 8 flips and quarter turns")
    test_time_sizes: tuple[str, ...] = setting(
        (),
        "sides at which images are shown when predicting, and averaged, such as 96,128; --image_size by default",
    )
    class_balance: float = setting(0.0, "0: loss as the classes come; 1: every class weighs the same; or between")
    seed: int = setting(0, "seed of everything random")

    @property
    def gan(self) -> str:
        """The GAN run whose discriminator is the backbone; empty where the backbone is another."""
        is_discriminator = self.backbone.startswith(DISCRIMINATOR_PREFIX)
        return self.backbone.removeprefix(DISCRIMINATOR_PREFIX) if is_discriminator else ""

    @property
    def first_weights(self) -> str:
        """The setting `weights`, or its default for the backbone."""
        return self.weights or (GAN_WEIGHTS if self.gan else NO_WEIGHTS)

    @property
    def peak_learning_rate(self) -> float:
        """The peak of the schedule for the size of the batch."""
        exponent = LEARNING_RATE_SCALINGS[self.learning_rate_scaling]
        return self.learning_rate * (self.batch_size / BASE_BATCH_SIZE) ** exponent

    @property
    def prediction_sizes(self) -> tuple[int, ...]:
        """The sides at which images are shown when predicting."""
        return tuple(map(int, self.test_time_sizes)) or (self.image_size,)

    @property
    def semi_supervision(self) -> SemiSupervised | None:
        """The method that learns from unlabelled images, with the settings that were given."""
        method = SEMI_SUPERVISED[self.semi_supervised]
        if method is None:
            return None
        given = {
            "lambda_u": self.lambda_u,
            "num_guesses": self.num_guesses,
            "temperature": self.sharpening_temperature,
            "confidence": self.confidence,
            "rampup_fraction": self.rampup_fraction,
            "alignment": self.align_distribution,
        }
        if self.lambda_u is not None:
            given["lambda_u_is_for"] = 0  # it is for the classes at hand
        return replace(method, **{name: value for name, value in given.items() if value is not None})

    def num_unlabelled(self, batch_size: int) -> int:
        """Returns how many images of a replica's batch have no label."""
        return round(self.unlabelled_fraction * batch_size) if self.semi_supervision else 0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_suitable_backbone()
        require(self.epochs >= 1, "epochs", self.epochs, "at least 1")
        require(self.batch_size >= 2, "batch_size", self.batch_size, "at least 2")
        require(self.accumulation >= 1, "accumulation", self.accumulation, "at least 1")
        require(self.learning_rate > 0, "learning_rate", self.learning_rate, "greater than 0")
        require(1 <= self.test_time_views <= 8, "test_time_views", self.test_time_views, "from 1 to 8")
        require(0 <= self.class_balance <= 1, "class_balance", self.class_balance, "from 0 to 1")
        require(self.image_size >= _LEAST_SIDE, "image_size", self.image_size, f"at least {_LEAST_SIDE}")
        require(0 <= self.distillation_weight <= 1, "distillation_weight", self.distillation_weight, "from 0 to 1")
        require(
            self.distillation_temperature > 0,
            "distillation_temperature",
            self.distillation_temperature,
            "greater than 0",
        )
        require(
            not self.zero_gamma or self.first_weights == NO_WEIGHTS,
            "zero_gamma",
            self.zero_gamma,
            "false with pretrained weights, which it would undo",
        )
        for name in ("weight_decay", "auxiliary_weight", "mixing_alpha", "seed"):
            require(getattr(self, name) >= 0, name, getattr(self, name), "0 or greater")
        for name in ("warmup_fraction", "label_smoothing", "dropout", "ema_decay", "metadata_dropout"):
            require(0 <= getattr(self, name) < 1, name, getattr(self, name), "from 0 up to, but not including, 1")
        taught_apart = "false with distillation, which teaches the other head"
        require(not (self.balanced_head and self.distillation_weight), "balanced_head", True, taught_apart)
        is_right = all(size.isdecimal() and int(size) >= _LEAST_SIDE for size in self.test_time_sizes)
        require(is_right, "test_time_sizes", ",".join(self.test_time_sizes), f"numbers of {_LEAST_SIDE} or greater")
        self._require_semi_supervision()

    def _require_suitable_backbone(self) -> None:
        is_whole = self.backbone != DISCRIMINATOR_PREFIX
        require(is_whole, "backbone", self.backbone, f"{DISCRIMINATOR_PREFIX}RUN, RUN the folder of a GAN run")
        if not self.gan:
            of_gan = f"none, imagenet or a path: gan is for backbone={DISCRIMINATOR_PREFIX}RUN"
            require(self.weights != GAN_WEIGHTS, "weights", self.weights, of_gan)
            return
        of_discriminator = "gan, none or a path: a discriminator has no weights of ImageNet"
        require(self.weights != IMAGENET_WEIGHTS, "weights", self.weights, of_discriminator)
        with_discriminator = "with a discriminator, whose residual blocks are not normalised"
        require(not self.zero_gamma, "zero_gamma", self.zero_gamma, f"false {with_discriminator}")
        is_own = set(self.test_time_sizes) <= {str(self.image_size)}
        of_size = f"left out with a discriminator, which sees images of {self.image_size} px alone"
        require(is_own, "test_time_sizes", ",".join(self.test_time_sizes), of_size)

    def _require_semi_supervision(self) -> None:
        method = self.semi_supervision
        names = ("lambda_u", "num_guesses", "sharpening_temperature", "confidence", "rampup_fraction")
        if method is None:
            for name in (*names, "align_distribution"):
                require(getattr(self, name) is None, name, getattr(self, name), "left out without semi_supervised")
            return
        require(0 < self.unlabelled_fraction < 1, "unlabelled_fraction", self.unlabelled_fraction, "between 0 and 1")
        require(method.lambda_u >= 0, "lambda_u", self.lambda_u, "0 or greater")
        require(method.num_guesses >= 1, "num_guesses", self.num_guesses, "at least 1")
        require(method.temperature >= 0, "sharpening_temperature", self.sharpening_temperature, "0 or greater")
        require(0 <= method.confidence <= 1, "confidence", self.confidence, "from 0 to 1")
        require(0 <= method.rampup_fraction <= 1, "rampup_fraction", self.rampup_fraction, "from 0 to 1")
        is_augmented = self.augmentation != "none"
        require(is_augmented, "augmentation", self.augmentation, f"other with semi_supervised={self.semi_supervised}")
        require(
            self.mixing == "none", "mixing", self.mixing, "none with semi_supervised, of which some mix by themselves"
        )
        require(self.accumulation == 1, "accumulation", self.accumulation, "1 with semi_supervised")
        require(not self.distillation_weight, "distillation_weight", self.distillation_weight, "0 with semi_supervised")
