"""Mode seeking: fakes of one class are to differ from each other as real images of that class do, not more.

Mao et al. 2019, "Mode seeking generative adversarial networks for diverse image synthesis", section 3, have the
generator enlarge the distance between two images of one label without a bound, which pays for noise.
https://arxiv.org/abs/1903.05628

Here the distance is that of `relative_diversity` (melgan/metrics/diversity.py): between images averaged down to 16 px,
without their mean colour, in which noise from pixel to pixel cancels. It counts relative to the distance between real
images of the class, and only while the class is less diverse than these.
"""

import tensorflow as tf

from melgan.gans.regularisers.class_averages import ClassAverages, of_labels
from melgan.gans.regularisers.interface import GeneratorPass, Regulariser, Subject, Sums, Term
from melgan.training.randomness import Draws

_DECAY = 0.99
_SIDE = 16  # px
_CHANNELS = 3


def mode_seeking(subject: Subject) -> Regulariser:
    """Returns 1 - d / r for a fake, or 0 if its class is as diverse as real images.

    d is the distance to a fake of the same label from other latents, r the root of the mean squared distance between
    real images of the class. Both means over a class, of real images and of fakes, are moving averages.
    """
    size = _SIDE * _SIDE * _CHANNELS
    real = ClassAverages(subject.num_classes, size + 1, decay=_DECAY, name="mode_seeking_real")
    fake = ClassAverages(subject.num_classes, 1, decay=_DECAY, name="mode_seeking_fake")

    def term(made: GeneratorPass, draws: Draws) -> Term:
        others = made.generate(draws.normal(made.latents.shape[1]), made.fake_labels)
        squared = tf.reduce_sum(tf.square(described(made.fake_images) - described(others)), axis=1)
        wanted = squared_distance(real)
        real_vectors = described(made.real_images)
        norms = tf.reduce_sum(tf.square(real_vectors), axis=1, keepdims=True)
        found = {
            "real": real.sums_of(made.real_labels, tf.concat([real_vectors, norms], axis=1)),
            "fake": fake.sums_of(made.fake_labels, squared[:, None]),
        }
        lacking = of_labels(tf.cast((fake.means[:, 0] < wanted) & (fake.counts > 0), squared.dtype), made.fake_labels)
        # The small constants keep root and ratio finite where two images, or all real ones so far, are the same.
        ratio = tf.sqrt((squared + 1e-12) / (of_labels(wanted, made.fake_labels) + 1e-12))
        return Term(lacking * (1.0 - ratio), found)

    def learn(found: Sums) -> None:
        real.add(found["real"])
        fake.add(found["fake"])

    return Regulariser(generator=term, memory=(real.sums, fake.sums), learn=learn)


def described(images: tf.Tensor) -> tf.Tensor:
    """Returns images `[N, H, W, C]`, H a multiple of 16, as `[N, 16 * 16 * 3]`: small, without their mean colour."""
    side = images.shape[1] // _SIDE
    small = tf.nn.avg_pool2d(images[..., :_CHANNELS], side, side, "VALID")
    small -= tf.reduce_mean(small, axis=[1, 2], keepdims=True)
    return tf.reshape(small, [-1, _SIDE * _SIDE * _CHANNELS])


def squared_distance(averages: ClassAverages) -> tf.Tensor:
    """Returns the mean squared distance between two examples of each class `[K]`: 2 (E |x|^2 - |E x|^2).

    Arguments:
      averages: of vectors x and, after them, their squared lengths.
    """
    means = averages.means
    return tf.nn.relu(2.0 * (means[:, -1] - tf.reduce_sum(tf.square(means[:, :-1]), axis=1)))
