"""The generator of AugGAN: what it makes an image of must also tell where the lesion in the source is.

Huang et al. 2018, "AugGAN: Cross domain adaptation with GAN-based data augmentation", section 3: one encoder, and two
decoders, of the image and of the parsing, that are softly tied. The residual blocks between belong to both, as in the
journal version (Lin et al. 2020, IEEE Transactions on Intelligent Transportation Systems). Layers are those of
`resnet.py`. https://doi.org/10.1007/978-3-030-01240-3_44
"""

import keras

from melgan.translation.config import TranslatorConfig
from melgan.translation.networks import Generator
from melgan.translation.resnet import decoded, decoder_kernels, encoded, image_head, parsing_head, residual_block


def build(config: TranslatorConfig, in_channels: int) -> Generator:
    """Returns the generator, with a decoder of masks if the config, resolved, gives the parsing a weight."""
    inputs = keras.Input((config.image_size, config.image_size, in_channels), name="inputs")
    x = encoded(inputs, config.width)[-1]
    for number in range(1, config.num_blocks + 1):
        x = residual_block(x, f"block_{number}")
    images = image_head(decoded(x, config.width, "up"), inputs, config.residual)
    translate = keras.Model(inputs, images, name="generator")
    if not config.parsing_weight:
        return Generator(translate, keras.Model(inputs, {"images": images}, name="whole_generator"))
    parsing = parsing_head(decoded(x, config.width, "parse"))
    whole = keras.Model(inputs, {"images": images, "parsing": parsing}, name="whole_generator")
    tied = zip(decoder_kernels(whole, "up"), decoder_kernels(whole, "parse"), strict=True)
    return Generator(translate, whole, tied=tuple(tied))
