import numpy as np
import pytest
import tensorflow as tf

from melgan.training.randomness import Draws
from melgan.translation import resnet
from melgan.translation.patch_nce import build_projector, patch_nce, patches
from tests.melgan.translation.tiny_translator import tiny_config

TEMPERATURE = 0.07


def draws(seed=0, size=2):
    return Draws(tf.constant([0, seed]), 0, size, 1)


def random(*shape, seed=0):
    return tf.constant(np.random.default_rng(seed).normal(size=shape), tf.float32)


def places(height, size=2):
    """Features that tell where they are: row and column `[size, height, height, 2]`."""
    grid = np.stack(np.meshgrid(np.arange(height), np.arange(height), indexing="ij"), axis=-1)
    return tf.constant(np.repeat(grid[None], size, axis=0), tf.float32)


@pytest.mark.parametrize("count", [4, 9])
def test_of_orthogonal_features_only_the_own_key_is_like(count):
    """exp(1 / t) beside count - 1 times exp(0)."""
    points = 3.0 * tf.eye(count)[None]
    by_hand = np.log1p((count - 1) * np.exp(-1 / TEMPERATURE))
    np.testing.assert_allclose(patch_nce(points, points, TEMPERATURE), [by_hand], rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(patch_nce(points, points, 1.0), [np.log1p((count - 1) / np.e)], rtol=1e-5)


def test_of_equal_features_none_is_told_from_another():
    points = tf.ones([2, 16, 5])
    np.testing.assert_allclose(patch_nce(points, points, TEMPERATURE), [np.log(16)] * 2, rtol=1e-5)


def test_is_the_cross_entropy_of_cosines_of_an_image_alone():
    queries, keys = random(2, 6, 3), random(2, 6, 3, seed=1)
    losses = patch_nce(queries, keys, 0.5)
    for number, loss in enumerate(losses):
        one, other = (points[number].numpy().astype(np.float64) for points in (queries, keys))
        one, other = (points / np.linalg.norm(points, axis=1, keepdims=True) for points in (one, other))
        logits = one @ other.T / 0.5
        by_hand = np.mean(np.log(np.exp(logits).sum(axis=1)) - np.diag(logits))
        np.testing.assert_allclose(loss, by_hand, rtol=1e-5)


def test_a_point_in_the_origin_has_a_finite_gradient():
    queries = tf.zeros([1, 4, 3])
    with tf.GradientTape() as tape:
        tape.watch(queries)
        loss = patch_nce(queries, random(1, 4, 3), TEMPERATURE)
    gradient = tape.gradient(loss, queries)
    assert 0 < np.abs(gradient).max() < 1e4


@pytest.mark.parametrize(("height", "side"), [(4, 4), (16, 16), (32, 16), (64, 16)])
def test_patches_lie_on_a_grid_with_an_offset_of_the_image(height, side):
    (found,) = patches([places(height)], draws())
    stride = height // side
    grids = found.numpy().reshape(2, side, side, 2)
    np.testing.assert_array_equal(grids - grids[:, :1, :1], stride * (places(side) - places(side)[:, :1, :1]))
    assert ((grids[:, 0, 0] >= 0) & (grids[:, 0, 0] < stride)).all()


def test_equal_draws_give_equal_places_and_over_draws_every_place_is_taken():
    first, same = (patches([places(64), places(64)], draws(3)) for _ in range(2))
    for one, other in zip(first, same, strict=True):
        np.testing.assert_array_equal(one, other)
    assert not np.array_equal(first[0], first[1])  # every tap has its own
    offsets = [tuple(offset) for seed in range(60) for offset in patches([places(64)], draws(seed))[0][:, 0].numpy()]
    assert len(set(offsets)) == 16


def test_projector_has_a_head_for_every_tap():
    tapped = resnet.build(tiny_config("cut"), 3).tapped
    projector = build_projector(tapped, 0.05)
    assert projector.output_shape == [(None, 256, 13), (None, 256, 13), *[(None, 64, 13)] * 2]
    found = projector(patches(tapped(random(2, 32, 32, 3)), draws()))
    assert [point.dtype for point in found] == [tf.float32] * 4
