"""The terms of a translator's losses, per example; the trainer averages them. TERMS table.

Each takes the `Passes` of a direction and returns `[B]`. What a term does not ask for is not made.
"""

from collections.abc import Callable

import tensorflow as tf

from melgan.translation.passes import Passes
from melgan.translation.patch_nce import patch_nce

_FEATHER = 3  # pixels over which what lies outside of a lesion comes to count wholly
_LEAST_COSINE = 0.1


def adversarial(passes: Passes) -> tf.Tensor:
    """The generator's loss on the translated images, the mean over their patches."""
    return _mean(passes.objective.generator(passes.logits(passes.translated.images), None))


def cycle(passes: Passes) -> tf.Tensor:
    """|F(G(x)) - x|, the mean over pixels and channels. Zhu et al. 2017, eq. 2."""
    return _mean(tf.abs(passes.returned - passes.shown))


def identity(passes: Passes) -> tf.Tensor:
    """|G(y) - y| of an image y that is of the right class already, likewise. Zhu et al. 2017, section 5.2."""
    return _mean(tf.abs(passes.kept.images - passes.real_images))


def nce(passes: Passes) -> tf.Tensor:
    """PatchNCE, the mean over the taps and, where these are looked at, the kept images. Park et al. 2020, eq. 5."""
    losses = [patch_nce(queries, keys, passes.temperature) for queries, keys in passes.contrasts]
    return tf.add_n(losses) / len(losses)


def parsing(passes: Passes) -> tf.Tensor:
    """Cross-entropy of the mask that is found in the source, the mean over pixels. Huang et al. 2018, section 3.3."""
    logits = passes.translated.parsing
    return _mean(tf.nn.sigmoid_cross_entropy_with_logits(labels=passes.shown_masks, logits=logits))


def tying(passes: Passes) -> tf.Tensor:
    """-log cos of the angle between the tied weights of both decoders, equal for all examples. Lin et al. 2020.

    Below a cosine of 0.1 it goes on along its tangent, which is finite and leads out even where weights are opposed.
    """
    ones, others = zip(*passes.direction.generator.tied, strict=True)
    lengths = tf.sqrt(_products(ones, ones) * _products(others, others))
    angle = minus_log_cosine(_products(ones, others) / lengths)
    return angle * tf.ones_like(passes.inputs[:, 0, 0, 0])


def l1(passes: Passes) -> tf.Tensor:
    """|G(c) - y| of the image y that the conditions c were made of, likewise. Isola et al. 2017, eq. 3."""
    return _mean(tf.abs(passes.translated.images - passes.real_images))


def outside(passes: Passes) -> tf.Tensor:
    """|G(x) - x| outside of the lesion's mask, over all pixels; it comes to count over 3 pixels from the mask on."""
    weights = 1.0 - feathered(passes.shown_masks)
    return _mean(weights * tf.abs(passes.translated.images - passes.shown))


TERMS: dict[str, Callable[[Passes], tf.Tensor]] = {
    "adversarial": adversarial,
    "cycle": cycle,
    "identity": identity,
    "nce": nce,
    "parsing": parsing,
    "tying": tying,
    "l1": l1,
    "outside": outside,
}


def discriminator_losses(passes: Passes) -> tf.Tensor:
    """Returns the discriminator's losses `[B]`, the mean over patches, halved as in the code of all these methods."""
    real, fake = passes.logits(passes.real_images), passes.logits(tf.stop_gradient(passes.translated.images))
    return 0.5 * _mean(passes.objective.discriminator(real, fake, None))


def minus_log_cosine(cosine: tf.Tensor) -> tf.Tensor:
    """Returns -log of a cosine `[]`, below 0.1 its tangent there."""
    clear = tf.maximum(cosine, _LEAST_COSINE)
    return -tf.math.log(clear) + (clear - cosine) / _LEAST_COSINE


def feathered(masks: tf.Tensor) -> tf.Tensor:
    """Returns masks `[B, H, W, 1]` of 0 and 1 that fall from 1, in them, by a quarter with each pixel of distance."""
    widened = [tf.nn.max_pool2d(masks, 2 * radius + 1, strides=1, padding="SAME") for radius in range(_FEATHER + 1)]
    return tf.add_n(widened) / len(widened)


def _mean(values: tf.Tensor) -> tf.Tensor:
    """Returns the mean `[B]` over all but the first axis."""
    return tf.reduce_mean(values, axis=list(range(1, values.shape.rank)))


def _products(ones: tuple, others: tuple) -> tf.Tensor:
    """Returns the inner product `[]` of weights, all of them one vector."""
    return tf.add_n([tf.reduce_sum(one.value * other.value) for one, other in zip(ones, others, strict=True)])
