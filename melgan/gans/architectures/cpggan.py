"""The networks of CPGGAN: progressive growing, with networks that are told where boxes lie.

Han et al. 2019, "Learning more with less: conditional PGGAN-based data augmentation for brain metastases detection
using highly-rough annotation on MR images". https://arxiv.org/abs/1902.09856

As there, a channel that is 1 in boxes and 0 elsewhere is beside the features at every resolution of both networks: here
before the first convolution of every block, and before that at 4 px. At a coarse resolution it holds the fraction of a
pixel that boxes cover. The class, of which the paper has none, enters as in `progan.py`.
"""

from melgan.gans.architectures import progan
from melgan.gans.architectures.networks import Networks, NetworkShape


def build(shape: NetworkShape) -> Networks:
    """Returns the networks and their levels.

    Raises:
      ConfigError: for an image size that is not 32, 64, 128 or 256, or latents shorter than 2.
    """
    return progan.build(shape, boxes=True)
