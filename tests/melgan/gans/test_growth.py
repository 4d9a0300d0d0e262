import numpy as np
import pytest
import tensorflow as tf

from melgan.gans.growth import Growth, growth_of, require_grown
from tests.melgan.gans.tiny_gan import CLASS_COUNTS, tiny_config
from tfrecords_tools.foundation.errors import ConfigError

# Phases begin at images 100, 200, 300 and 400, which are in steps 4, 7, 10 and 14.
GROWTH = Growth(num_levels=3, phase_images=100, images_per_step=30)
BY_HAND = {  # step: level, degree
    0: (0, 0.0),
    3: (0, 0.0),
    4: (1, 0.2),
    6: (1, 0.8),
    7: (1, 1.0),
    9: (1, 1.0),
    10: (2, 1.0),
    13: (2, 1.9),
    14: (2, 2.0),
    10**12: (2, 2.0),
}


def degree(growth, step):
    return float(growth.degree(tf.constant(step, tf.int64)))


@pytest.mark.parametrize("step", BY_HAND)
def test_levels_and_degrees_by_hand(step):
    level, by_hand = BY_HAND[step]
    assert GROWTH.level(step) == level
    assert GROWTH.resolution(step) == {0: 4, 1: 8, 2: 16}[level]
    assert degree(GROWTH, step) == pytest.approx(by_hand, abs=1e-6)


def test_phases_begin_at_the_first_step_that_has_their_images():
    assert [step for step in range(50) if GROWTH.begins_phase(step)] == [4, 7, 10, 14]
    assert GROWTH.first_grown_step == 14


def test_every_step_knows_the_first_step_of_the_next_phase():
    expected = [4] * 4 + [7] * 3 + [10] * 3 + [14] * 4 + [None] * 6
    assert [GROWTH.next_phase(step) for step in range(20)] == expected
    assert GROWTH.next_phase(10**12) is None


def test_phases_shorter_than_a_step_are_passed_over():
    """Step 1 has image 30, in the phase from 30 on, which fades in level 2; step 2 is in the last phase."""
    hasty = Growth(num_levels=3, phase_images=10, images_per_step=30)
    assert [hasty.begins_phase(step) for step in range(5)] == [False, True, True, False, False]
    assert [hasty.next_phase(step) for step in range(4)] == [1, 2, None, None]
    assert [(hasty.level(step), degree(hasty, step)) for step in range(3)] == [(0, 0.0), (2, 1.0), (2, 2.0)]


@pytest.mark.parametrize("growth", [Growth(3, 0, 30), Growth(1, 100, 30)])
def test_without_phases_or_levels_there_is_no_growth(growth):
    assert {growth.next_phase(step) for step in range(50)} == {None}
    assert {(growth.level(step), degree(growth, step)) for step in range(30)} == {(growth.num_levels - 1,) * 2}
    assert not any(growth.begins_phase(step) for step in range(30))
    assert growth.first_grown_step == 0


def test_level_and_degree_agree():
    """In every step the degree lies in the level: above the one before it, or just there."""
    for step in range(30):
        level = GROWTH.level(step)
        assert max(level - 1, 0) <= degree(GROWTH, step) <= level


def test_phases_are_as_long_as_so_many_passes_over_the_images():
    config = tiny_config(method="progan", phase_epochs=2.5, disc_steps=3)
    assert growth_of(config, CLASS_COUNTS) == Growth(num_levels=4, phase_images=20, images_per_step=12)
    assert growth_of(tiny_config(method="progan", image_size=256), CLASS_COUNTS).num_levels == 7
    assert growth_of(tiny_config(method="sagan"), CLASS_COUNTS).num_levels == 1


def test_published_phases_of_celeba_hq():
    """30,000 images, 600,000 a phase, batches of 16."""
    config = tiny_config(method="progan", phase_epochs=20.0, global_batch_size=16, image_size=256)
    growth = growth_of(config, (30_000,))
    assert growth.phase_images == 600_000
    np.testing.assert_array_equal(growth.first_grown_step, 12 * 37_500)


def test_training_too_short_to_grow_is_refused():
    """Of 6 phases of 20 images with 4 images a step; with phases a sixth as long, they take 5 of 10 steps."""
    config = tiny_config(method="progan", phase_epochs=2.5)
    with pytest.raises(ConfigError) as refusal:
        require_grown(config, CLASS_COUNTS, 10)
    assert all(part in str(refusal.value) for part in ("total_steps", "10", "32 px", "30", "--phase_epochs=0.42"))
    require_grown(config, CLASS_COUNTS, 31)
    require_grown(tiny_config(method="progan"), CLASS_COUNTS, 1)
    require_grown(tiny_config(method="gan", phase_epochs=2.5), CLASS_COUNTS, 1)
