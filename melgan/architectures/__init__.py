"""Generator and discriminator pairs: one file each; ARCHITECTURES table."""

from melgan.architectures import bagan_gp, dcgan
from melgan.architectures.networks import Architecture

ARCHITECTURES: dict[str, Architecture] = {
    "bagan_gp": Architecture(bagan_gp.build, has_encoder=True),
    "dcgan": Architecture(dcgan.build, judges_alone=False),
    "dcgan_layer_norm": Architecture(dcgan.build_layer_norm),
}
