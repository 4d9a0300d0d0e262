"""Settings of a classifier."""

from dataclasses import dataclass

from melgan.classifiers.freezing import TRAIN_LAYERS
from tfrecords_tools.foundation.settings import IMAGE_SIZE, Settings, require, setting


@dataclass(frozen=True, kw_only=True)
class ClassifierConfig(Settings):
    """A classifier and the recipe that trains it."""

    backbone: str = setting("efficientnet_b0", "network of melgan/classifiers/backbones.py")
    weights: str = setting(
        "none",
        "none, imagenet, or the path of a file: .weights.h5 of the same backbone, or .h5 of EfficientNet from Keras 2",
        is_path=True,
    )
    train_layers: str = setting(
        "all",
        "layers that are trained; the others keep their weights. last_stage: behind the last halving of the resolution",
        choices=tuple(TRAIN_LAYERS),
    )
    image_size: int = setting(IMAGE_SIZE, "side of the input in pixels; stored images are resized to it")
    epochs: int = setting(30, "passes over as many images as there are real ones for training")
    batch_size: int = setting(32, "images per step over all replicas")
    learning_rate: float = setting(2e-3, "peak of the AdamW schedule: linear warm-up, then cosine to zero")
    warmup_fraction: float = setting(0.1, "fraction of the steps in which the learning rate rises")
    weight_decay: float = setting(0.02, "decoupled weight decay of AdamW, on kernels only")
    label_smoothing: float = setting(0.05, "fraction of the target spread evenly over the classes")
    auxiliary_weight: float = setting(
        0.3, "weight of the loss that also predicts metadata, where shards have it; 0: none"
    )
    dropout: float = setting(0.3, "dropout before the last layer")
    ema_decay: float = setting(0.99, "decay of the moving average of the weights, which is evaluated; 0: no averaging")
    augmentation: str = setting("dihedral_colour", "augmentation of melgan/classifiers/augmentation.py")
    test_time_views: int = setting(8, "views averaged when predicting: 1, or up to 8 flips and quarter turns")
    class_balance: float = setting(0.0, "0: loss as the classes come; 1: every class weighs the same; or between")
    seed: int = setting(0, "seed of everything random")

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.epochs >= 1, "epochs", self.epochs, "at least 1")
        require(self.batch_size >= 2, "batch_size", self.batch_size, "at least 2")
        require(self.learning_rate > 0, "learning_rate", self.learning_rate, "greater than 0")
        require(1 <= self.test_time_views <= 8, "test_time_views", self.test_time_views, "from 1 to 8")
        require(0 <= self.class_balance <= 1, "class_balance", self.class_balance, "from 0 to 1")
        require(self.image_size >= 32, "image_size", self.image_size, "at least 32")
        for name in ("weight_decay", "auxiliary_weight", "seed"):
            require(getattr(self, name) >= 0, name, getattr(self, name), "0 or greater")
        for name in ("warmup_fraction", "label_smoothing", "dropout", "ema_decay"):
            require(0 <= getattr(self, name) < 1, name, getattr(self, name), "from 0 up to, but not including, 1")
