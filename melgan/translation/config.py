"""Settings of a translator: a network from images, or from maps of conditions, to images of another class."""

from dataclasses import dataclass

from melgan.gans.architectures.networks import IMAGE_SIZES
from melgan.training.computing import ComputingSettings
from tfrecords_tools.foundation.metadata import BOXES, MASKS
from tfrecords_tools.foundation.settings import IMAGE_SIZE, require, setting

_FEW_BLOCKS, _MANY_BLOCKS, _MANY_FROM = 6, 9, 256  # Zhu et al. 2017, section 7.2


@dataclass(frozen=True, kw_only=True)
class TranslatorConfig(ComputingSettings):
    """A translator. Weights that are None take the value that `melgan/translation/translators.py` lists."""

    method: str = setting(
        "auggan", "named method of melgan/translation/translators.py: its networks, and the weights not given"
    )
    image_size: int = setting(IMAGE_SIZE, "side of the images in pixels: 32, 64, 128 or 256")
    width: float = setting(1.0, "factor on the published number of filters")
    blocks: int = setting(0, "residual blocks of a generator; 0: as published, 6, and 9 from 256 pixels on")
    residual: bool = setting(
        False, "let generators add a change to their inputs, which keeps the tone of the skin; not as published"
    )
    cycle_weight: float | None = setting(None, "factor of what an image loses on the way to the other class and back")
    identity_weight: float | None = setting(None, "factor of what changes in an image that is of the class already")
    nce_weight: float | None = setting(None, "factor of how hard it is to find a patch again among its neighbours")
    nce_temperature: float = setting(0.07, "temperature of the softmax over these patches")
    parsing_weight: float | None = setting(
        None, "factor of the errors in the lesion's mask that is found in the source"
    )
    tying_weight: float | None = setting(None, "factor of how far apart the decoders of image and mask are")
    l1_weight: float | None = setting(None, "factor of the distance to the image that a map of conditions was made of")
    outside_weight: float | None = setting(None, "factor of what changes outside of the lesion's mask")
    dropout: float = setting(0.5, "fraction of features that the U-Net of pix2pix drops")
    condition: str = setting(
        MASKS,
        "what tells pix2pix where lesions lie and in what form: their masks, or boxes around them",
        choices=(MASKS, BOXES),
    )
    skin_colour: bool = setting(True, "tell pix2pix the colour of the skin, which otherwise it invents")
    learning_rate: float = setting(2e-4, "Adam learning rate of all networks")
    decay_from: float = setting(0.5, "fraction of the steps after which the learning rate falls, linearly to 0")
    beta_1: float = setting(0.5, "Adam decay of the first moment")
    beta_2: float = setting(0.999, "Adam decay of the second moment")
    global_batch_size: int = setting(4, "images of each class per step over all replicas")
    ema_decay: float = setting(0.999, "decay of the generators' moving average per step; 0: no averaging")
    seed: int = setting(0, "seed of everything random")

    def __post_init__(self) -> None:
        super().__post_init__()
        sizes = f"one of {', '.join(map(str, IMAGE_SIZES))}"
        require(self.image_size in IMAGE_SIZES, "image_size", self.image_size, sizes)
        for name in ("width", "nce_temperature", "learning_rate"):
            require(getattr(self, name) > 0, name, getattr(self, name), "greater than 0")
        for name in ("blocks", "seed"):
            require(getattr(self, name) >= 0, name, getattr(self, name), "0 or greater")
        for name in ("cycle", "identity", "nce", "parsing", "tying", "l1", "outside"):
            value = getattr(self, f"{name}_weight")
            require(value is None or value >= 0, f"{name}_weight", value, "0 or greater")
        for name in ("dropout", "beta_1", "beta_2", "ema_decay"):
            value = getattr(self, name)
            require(0 <= value < 1, name, value, "from 0 up to, but not including, 1")
        require(0 <= self.decay_from <= 1, "decay_from", self.decay_from, "from 0 to 1")
        require(self.global_batch_size >= 1, "global_batch_size", self.global_batch_size, "at least 1")

    @property
    def num_blocks(self) -> int:
        """The residual blocks of a generator."""
        return self.blocks or (_MANY_BLOCKS if self.image_size >= _MANY_FROM else _FEW_BLOCKS)
