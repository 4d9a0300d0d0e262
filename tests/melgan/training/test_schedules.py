import numpy as np
import pytest
import tensorflow as tf

from melgan.training.schedules import Schedules, decay_of_half_life, linear_decay, progress

# A quarter of the way, half a cosine has come this far.
QUARTER = 0.5 - 0.5 * 0.5**0.5


@pytest.mark.parametrize(("fraction", "expected"), [(0, 0), (0.25, QUARTER), (0.5, 0.5), (1, 1), (1.5, 1), (100, 1)])
def test_progress_is_half_a_cosine_that_stops_at_its_end(fraction, expected):
    assert float(progress(tf.constant(fraction, tf.float32))) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("step", "rate"), [(0, 2e-4), (25, 2e-4 - 1.5e-4 * QUARTER), (50, 1.25e-4), (100, 5e-5), (9999, 5e-5)]
)
def test_settings_go_from_the_first_to_the_last_value_over_the_images_of_the_burn_in(one_device, step, rate):
    """A hundred steps of 8 images."""
    with one_device.scope():
        schedules = Schedules(800.0, 8)
        falling, rising = schedules.setting(2e-4, 5e-5), schedules.setting(0.9, 0.99)
    schedules.set_for(tf.constant(step, tf.int64))
    np.testing.assert_allclose(falling, rate, rtol=1e-5)
    np.testing.assert_allclose(rising, 0.9 + 0.09 * (2e-4 - rate) / 1.5e-4, rtol=1e-5)


def test_setting_without_a_last_value_is_no_variable():
    assert Schedules(800.0, 8).setting(0.9, None) == 0.9
    assert Schedules(0.0, 8).setting(2.0, None) == 2.0


@pytest.mark.parametrize(("fraction", "decay"), [(1.0, 0.81), (0.5, 0.81**2), (0.25, 0.81**4), (0.0, 0.0)])
def test_half_of_the_half_life_is_the_square_of_the_decay(fraction, decay):
    assert float(decay_of_half_life(0.81, tf.constant(fraction))) == pytest.approx(decay, rel=1e-5)


def test_average_of_no_half_life_forgets_all():
    assert float(decay_of_half_life(0.0, tf.constant(0.5))) == float(decay_of_half_life(0.0, tf.constant(0.0))) == 0


def test_average_follows_the_burn_in_if_there_is_one():
    """Halfway through a hundred steps of 8 images the half-life is half of that of 0.5."""
    step = tf.constant(50, tf.int64)
    assert float(Schedules(800.0, 8).average_decay(0.5, step)) == pytest.approx(0.5**2, rel=1e-5)
    assert float(Schedules(0.0, 8).average_decay(0.5, step)) == 0.5


def test_average_never_outlasts_the_steps_taken_after_a_short_burn_in():
    """0.999 has a half-life of 693 steps, so after 100 steps the average would be that of the first ones."""
    for step, expected in ((100, 101 / 110), (8981, 8982 / 8991), (8999, 0.999)):
        decay = Schedules(800.0, 8).average_decay(0.999, tf.constant(step, tf.int64))
        assert float(decay) == pytest.approx(expected, rel=1e-6)


def test_published_burn_in_is_never_bounded():
    """Huang 2024: 20 million images in batches of 256, a half-life of 500,000 images at their end."""
    schedules, decay = Schedules(20e6, 256), 0.5 ** (256 / 500_000)
    for step in (1_000, 10_000, 78_125, 200_000):
        half_life = -np.log(2) / np.log(float(schedules.average_decay(decay, tf.constant(step, tf.int64))))
        assert half_life == pytest.approx(1953.125 * np.sin(np.pi / 2 * min(1, step / 78_125)) ** 2, rel=0.01)


@pytest.mark.parametrize(
    ("decay_from", "factors"),
    [(0.5, [1, 1, 1, 1, 0.8, 0.4, 0.2]), (0.0, [1, 0.9, 0.8, 0.5, 0.4, 0.2, 0.1]), (1.0, [1] * 7)],
)
def test_rate_falls_linearly_from_a_fraction_of_the_steps_on(decay_from, factors):
    """Of ten steps, the last of which still has a rate."""
    found = [float(linear_decay(tf.constant(step, tf.int64), 10, decay_from)) for step in (0, 1, 2, 5, 6, 8, 9)]
    np.testing.assert_allclose(found, factors, rtol=1e-6)
