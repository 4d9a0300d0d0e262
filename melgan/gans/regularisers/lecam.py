"""LeCam: logits of real images are drawn to those that fakes have had so far, and the other way round.

Tseng et al. 2021, "Regularizing generative adversarial networks under limited data", eq. 4, with the rectifiers of the
authors' code (github.com/google/lecam-gan), which takes the logits only back over that line, not beyond it.
https://arxiv.org/abs/2104.03310

Here each class has averages of its own: the optimum of a logit is log p(y) / q(y) higher for a frequent class than for
a rare one, where labels of fakes are balanced.
"""

import tensorflow as tf

from melgan.gans.regularisers.class_averages import ClassAverages, of_labels
from melgan.gans.regularisers.interface import DiscriminatorPass, Regulariser, Subject, Sums, Term
from melgan.training.randomness import Draws

_DECAY = 0.99


def lecam(subject: Subject) -> Regulariser:
    """Returns max(0, D(real) - a_fake)^2 + max(0, a_real - D(fake))^2, a the averages of the class of an image."""
    real, fake = (
        ClassAverages(subject.num_classes, 1, decay=_DECAY, name=f"lecam_{kind}") for kind in ("real", "fake")
    )

    def term(seen: DiscriminatorPass, draws: Draws) -> Term:
        del draws
        shown = seen.shown
        of_real = _excess(seen.real_logits, fake, shown.real_labels, sign=1.0)
        of_fake = _excess(seen.fake_logits, real, shown.fake_labels, sign=-1.0)
        found = {
            "real": real.sums_of(shown.real_labels, seen.real_logits[:, None]),
            "fake": fake.sums_of(shown.fake_labels, seen.fake_logits[:, None]),
        }
        return Term(of_real + of_fake, found)

    def learn(found: Sums) -> None:
        real.add(found["real"])
        fake.add(found["fake"])

    return Regulariser(discriminator=term, memory=(real.sums, fake.sums), learn=learn)


def _excess(logits: tf.Tensor, averages: ClassAverages, labels: tf.Tensor, *, sign: float) -> tf.Tensor:
    """Returns max(0, sign (logit - average))^2 `[N]`; 0 for a class without an average yet."""
    distance = sign * (logits - of_labels(averages.means[:, 0], labels))
    return tf.where(of_labels(averages.counts, labels) > 0, tf.square(tf.nn.relu(distance)), 0.0)
