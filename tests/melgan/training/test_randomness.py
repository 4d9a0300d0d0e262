from enum import IntEnum

import numpy as np
import pytest
import tensorflow as tf

from melgan.training.randomness import Draws, draws_of_step

SEED = tf.constant([7, 8])


@pytest.mark.parametrize("num_replicas", [2, 4, 8])
@pytest.mark.parametrize("shape", [(), (3,), (1, 1, 1)])
@pytest.mark.parametrize("kind", ["normal", "uniform"])
def test_numbers_do_not_depend_on_the_number_of_replicas(num_replicas, shape, kind):
    whole = getattr(Draws(SEED, 0, 8, 1).fold(5), kind)(*shape)
    size = 8 // num_replicas
    parts = [getattr(Draws(SEED, replica, size, num_replicas).fold(5), kind)(*shape) for replica in range(num_replicas)]
    assert whole.shape == (8, *shape)
    np.testing.assert_array_equal(tf.concat(parts, axis=0), whole)


def test_numbers_depend_on_seed_step_and_use_alone():
    draws = Draws(SEED, 0, 4, 1)
    same = Draws(SEED, 0, 4, 1).fold(1).fold(2).normal(3)
    different = [
        draws.fold(1).normal(3),
        draws.fold(2).fold(1).normal(3),
        draws.fold(1).fold(3).normal(3),
        Draws(SEED + 1, 0, 4, 1).fold(1).fold(2).normal(3),
    ]
    np.testing.assert_array_equal(draws.fold(1).fold(2).normal(3), same)
    assert not any(np.isin(other, same).any() for other in different)


class Use(IntEnum):
    LATENTS = 2


def test_a_named_use_is_its_number():
    draws = Draws(SEED, 0, 4, 1)
    np.testing.assert_array_equal(draws.fold(Use.LATENTS).normal(3), draws.fold(2).normal(3))


def test_numbers_of_a_step_are_the_replicas_of_a_seed_folded_with_the_step_as_int64():
    of_step = draws_of_step(SEED, 5, global_batch_size=8, num_replicas=2)
    assert (of_step.replica_id, of_step.batch_size, of_step.num_replicas) == (0, 4, 2)
    expected = Draws(SEED, 0, 4, 2).fold(tf.constant(5, tf.int64)).normal(3)
    np.testing.assert_array_equal(of_step.normal(3), expected)
    of_tensor = draws_of_step(SEED, tf.constant(5, tf.int32), global_batch_size=8, num_replicas=2)
    np.testing.assert_array_equal(of_tensor.normal(3), expected)


def test_distributions():
    draws = Draws(SEED, 0, 40000, 1)
    normal, uniform = draws.normal().numpy(), draws.uniform().numpy()
    assert abs(normal.mean()) < 0.02
    assert abs(normal.std() - 1) < 0.02
    assert 0 <= uniform.min() < uniform.max() < 1
    np.testing.assert_allclose(np.histogram(uniform, 10, (0, 1))[0] / 40000, 0.1, atol=0.006)  # 4 standard errors
