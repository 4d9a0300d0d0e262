import keras
import numpy as np
import pytest
import tensorflow as tf

from melgan.layers.box_map import BoxMap, rasterise
from melgan.training.precision import layers_computing_in
from tests.melgan.double_precision import double_precision

NOTHING = [0.0, 0.0, 0.0, 0.0]


def rasterised(boxes, size):
    return rasterise(tf.constant([boxes], tf.float32), size).numpy()[0, ..., 0]


def test_a_box_by_hand():
    """On 4 pixels a side: columns 1 and half of 2, rows from a quarter of 0 on to the end of 1."""
    expected = np.zeros((4, 4))
    expected[0, 1:3] = [0.75, 0.375]
    expected[1, 1:3] = [1, 0.5]
    np.testing.assert_allclose(rasterised([[0.25, 0.0625, 0.625, 0.5]], 4), expected)


def test_a_box_inside_one_pixel_covers_its_area():
    np.testing.assert_allclose(rasterised([[0.5, 0.25, 0.625, 0.375]], 2), [[0, 0.0625], [0, 0]])


def test_a_box_of_all_is_one_and_no_box_is_zero():
    np.testing.assert_array_equal(rasterised([[0, 0, 1, 1]], 8), np.ones((8, 8)))
    np.testing.assert_array_equal(rasterised([NOTHING, NOTHING], 8), np.zeros((8, 8)))


def test_padding_changes_nothing():
    box = [0.1, 0.2, 0.7, 0.9]
    np.testing.assert_array_equal(rasterised([box, NOTHING, NOTHING], 16), rasterised([box], 16))


def test_boxes_that_do_not_overlap_share_a_pixel_exactly_and_overlapping_ones_do_not_exceed_it():
    halves = [[0, 0, 0.25, 1], [0.25, 0, 0.375, 1]]  # of the left pixel, a half and a quarter
    np.testing.assert_allclose(rasterised(halves, 2), [[0.75, 0], [0.75, 0]])
    assert rasterised([[0, 0, 1, 1], [0, 0, 0.5, 0.5]], 4).max() == 1.0


@pytest.mark.parametrize("size", [1, 2, 4, 8, 16])
def test_a_coarse_map_is_the_area_mean_of_a_finer_one(size):
    boxes = [[0.05, 0.11, 0.43, 0.52], [0.44, 0.11, 0.93, 0.3], [0.5, 0.6, 0.57, 0.99]]
    fine = rasterised(boxes, 2 * size).reshape(size, 2, size, 2).mean(axis=(1, 3))
    np.testing.assert_allclose(rasterised(boxes, size), fine, atol=1e-6)


def test_each_image_has_its_own_map():
    boxes = np.random.default_rng(0).uniform(size=(5, 3, 2, 2))
    boxes = np.sort(boxes, axis=2).reshape(5, 3, 4).astype(np.float32)
    maps = rasterise(tf.constant(boxes), 8).numpy()
    assert maps.shape == (5, 8, 8, 1)
    for own, one in zip(boxes, maps, strict=True):
        np.testing.assert_allclose(one[..., 0], rasterised(own, 8), atol=1e-6)


@pytest.mark.parametrize("size", [4, 64])
def test_xla_compiles_it_with_static_shapes(size):
    compiled = tf.function(lambda boxes: rasterise(boxes, size), jit_compile=True)
    boxes = tf.constant([[[0.1, 0.2, 0.7, 0.9], NOTHING]])
    program = compiled.experimental_get_compiler_ir(boxes)(stage="hlo")
    assert "[<=" not in program
    assert "custom-call" not in program
    np.testing.assert_allclose(compiled(boxes), rasterise(boxes, size), atol=1e-6)


@pytest.mark.parametrize("precision", ["float32", "float16", "bfloat16"])
def test_the_layer_gives_the_same_maps_never_in_half_precision(precision):
    boxes = tf.constant([[[0.1, 0.2, 0.7, 0.9], NOTHING], [[0.3, 0.3, 0.4, 0.5], NOTHING]])
    with layers_computing_in(precision):
        inputs = keras.Input((2, 4))
        network = keras.Model(inputs, BoxMap(16)(inputs))
    assert network.output_shape == (None, 16, 16, 1)
    assert network.weights == []
    maps = network(boxes)
    assert maps.dtype == tf.float32
    np.testing.assert_array_equal(maps, rasterise(boxes, 16))


def test_the_map_has_the_float_type_of_keras():
    with double_precision():
        assert rasterise(tf.constant([[[0.0, 0.0, 1.0, 1.0]]], tf.float32), 4).dtype == tf.float64
