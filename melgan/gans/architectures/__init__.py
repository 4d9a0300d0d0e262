"""Generator and discriminator pairs: one file each; ARCHITECTURES table."""

from functools import partial

import tensorflow as tf

from melgan.gans.architectures import bagan, bagan_gp, cpggan, dcgan, progan, r3gan, sagan
from melgan.gans.architectures.conditioning import CONDITIONINGS
from melgan.gans.architectures.enlarging import UPSAMPLINGS
from melgan.gans.architectures.networks import Architecture, Networks, NetworkShape
from melgan.gans.auxiliaries import AUXILIARIES
from melgan.gans.config import GanConfig
from melgan.layers.class_logits import class_head
from melgan.layers.equalised import EqualisedEmbedding
from melgan.layers.spectral import SpectralEmbedding
from tfrecords_tools.foundation.errors import look_up

_UPSAMPLING = {"upsampling": tuple(UPSAMPLINGS)}

ARCHITECTURES: dict[str, Architecture] = {
    "bagan_gp": Architecture(
        bagan_gp.build,
        has_encoder=True,
        choices={"conditioning": tuple(CONDITIONINGS), "shared_until": bagan_gp.SHARED_UNTIL} | _UPSAMPLING,
    ),
    "cpggan": Architecture(cpggan.build, grows=True, takes_boxes=True, class_rows=EqualisedEmbedding),
    "dcgan": Architecture(dcgan.build, takes_penalty=False, choices=_UPSAMPLING),
    "dcgan_layer_norm": Architecture(dcgan.build_layer_norm, choices=_UPSAMPLING),
    # Minibatch stddev lets images of a group touch one another in one number only, and the authors use the penalty.
    "progan": Architecture(progan.build, grows=True, class_rows=EqualisedEmbedding),
    "sagan": Architecture(sagan.build, normalises_by_class=True, class_rows=SpectralEmbedding),
    "bagan": Architecture(bagan.build, has_encoder=True, reconstruction_error=tf.square, has_fake_class=True),
    "r3gan": Architecture(r3gan.build),
}


def build_networks(config: GanConfig, num_classes: int) -> Networks:
    """Returns the networks of a resolved config.

    Raises:
      ConfigError: for an architecture that is not known, or not in this size.
    """
    architecture = look_up(ARCHITECTURES, config.architecture, "architecture")
    shape = network_shape(config, num_classes)
    networks = architecture.build(shape)
    auxiliary = look_up(AUXILIARIES, shape.auxiliary, "auxiliary")
    head = partial(class_head, networks.discriminator.trunk.output_shape[-1], make_rows=architecture.class_rows)
    return networks.with_heads(
        auxiliary=head(num_classes=num_classes, kinds=auxiliary.kinds) if auxiliary else None,
        unconditional=head(num_classes=1, kinds=("unconditional",)) if shape.has_unconditional_head else None,
    )


def network_shape(config: GanConfig, num_classes: int) -> NetworkShape:
    """Returns the shape of the networks of a resolved config."""
    return NetworkShape(
        image_size=config.image_size,
        num_classes=num_classes,
        latent_dim=config.latent_dim,
        width=config.width,
        conditioning=config.conditioning or NetworkShape.conditioning,
        upsampling=config.upsampling or NetworkShape.upsampling,
        shared_until=config.shared_until,
        auxiliary=config.auxiliary,
        has_transition=config.conditional_until_epochs is not None,
        has_unconditional_head=bool(config.unconditional_weight),
    )
