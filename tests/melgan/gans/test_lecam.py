"""LeCam with averages of each class, and the averages themselves, against numbers worked out by hand."""

import numpy as np
import pytest
import tensorflow as tf

from melgan.gans.combinations import require_possible
from melgan.gans.penalties import RealAndFake
from melgan.gans.regularisers.class_averages import ClassAverages
from melgan.gans.regularisers.interface import DiscriminatorPass, Subject
from melgan.gans.regularisers.lecam import lecam
from tests.melgan.gans.tiny_gan import CLASS_COUNTS, tiny_config
from tfrecords_tools.foundation.errors import ConfigError


def in_replica(function, *arguments):
    tf.distribute.get_strategy().run(function, arguments)


def test_averages_of_each_class_by_hand():
    """Decay 0.5. Class 0: 2 and 4, then 8; class 1: nothing, then 1; class 2: nothing."""
    averages = ClassAverages(3, 1, decay=0.5, name="averages")
    np.testing.assert_array_equal(averages.means, np.zeros((3, 1)))
    in_replica(averages.add, averages.sums_of(tf.constant([0, 0]), tf.constant([[2.0], [4.0]])))
    np.testing.assert_allclose(averages.means, [[3.0], [0.0], [0.0]])
    in_replica(averages.add, averages.sums_of(tf.constant([1, 0]), tf.constant([[1.0], [8.0]])))
    # Sums 0.5 * 3 + 0.5 * 8 = 5.5 of 0.5 * 1 + 0.5 * 1 = 1 examples.
    np.testing.assert_allclose(averages.means, [[5.5], [1.0], [0.0]])
    np.testing.assert_allclose(averages.counts, [1.0, 0.5, 0.0])
    in_replica(averages.add, averages.sums_of(tf.constant([2]), tf.constant([[7.0]])))
    np.testing.assert_allclose(averages.means, [[5.5], [1.0], [7.0]])  # what does not occur stays


def test_what_is_not_finite_is_not_learnt():
    averages = ClassAverages(2, 1, decay=0.5, name="averages")
    in_replica(averages.add, averages.sums_of(tf.constant([0]), tf.constant([[2.0]])))
    in_replica(averages.add, averages.sums_of(tf.constant([0]), tf.constant([[np.inf]])))
    np.testing.assert_allclose(averages.means, [[2.0], [0.0]])


def seen(real_logits, fake_logits, labels):
    labels = tf.constant(labels)
    return DiscriminatorPass(
        None, RealAndFake(None, labels, None, labels), *map(tf.constant, (real_logits, fake_logits))
    )


def after(real_logits, fake_logits, labels):
    """Returns LeCam that has learnt from one step."""
    regulariser = lecam(Subject(None, CLASS_COUNTS))
    in_replica(regulariser.learn, regulariser.discriminator(seen(real_logits, fake_logits, labels), None).found)
    return regulariser


def values(regulariser, *step):
    return regulariser.discriminator(seen(*step), None).values.numpy()


def test_nothing_is_held_before_there_is_an_average():
    assert values(lecam(Subject(None, CLASS_COUNTS)), [5.0], [-5.0], [0]) == [0.0]
    assert values(after([1.0], [-1.0], [0]), [5.0], [-5.0], [1]) == [0.0]


def test_the_published_value_by_hand():
    """D(real) = 1 and D(fake) = -1 with averages of the same: (1 + 1)^2 + (1 + 1)^2."""
    assert values(after([1.0], [-1.0], [0]), [1.0], [-1.0], [0]) == pytest.approx([8.0])
    assert values(after([1.0], [-1.0], [0]), [0.5], [0.0], [0]) == pytest.approx([1.5**2 + 1.0**2])


def test_logits_on_the_right_side_of_the_averages_are_left_alone():
    """A real one below the average of fakes, a fake above the average of real ones: nothing to take back."""
    assert values(after([1.0], [-1.0], [0]), [-2.0], [3.0], [0]) == [0.0]


def test_each_class_has_averages_of_its_own():
    """Class 0 at 1 and -1, class 1 at 3 and 2."""
    found = values(after([1.0, 3.0], [-1.0, 2.0], [0, 1]), [1.0, 1.0, 3.0], [-1.0, 0.0, 2.0], [0, 1, 1])
    # Class 1: max(0, 1 - 2)^2 + (3 - 0)^2, and (3 - 2)^2 + (3 - 2)^2.
    np.testing.assert_allclose(found, [8.0, 9.0, 2.0])


def test_gradients_go_through_the_logits_alone():
    regulariser = after([1.0], [-1.0], [0])
    real, fake = tf.constant([1.0]), tf.constant([-1.0])
    with tf.GradientTape() as tape:
        tape.watch([real, fake])
        term = regulariser.discriminator(seen(real, fake, [0]), None).values
    gradients = tape.gradient(term, [real, fake])
    np.testing.assert_allclose(np.concatenate(gradients), [4.0, -4.0])  # 2 (1 + 1), towards each other


@pytest.mark.parametrize("method", ["r3gan", "bagan"])
def test_logits_without_a_level_are_refused(method):
    with pytest.raises(ConfigError, match="lecam.*sigmoid_cross_entropy, .*hinge.*--regulariser=none"):
        require_possible(tiny_config(method=method, regulariser="lecam"), CLASS_COUNTS)
