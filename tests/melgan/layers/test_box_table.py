from statistics import NormalDist

import numpy as np
import pytest
import tensorflow as tf

from melgan.gans.boxes import draw_rows, whole_rows
from melgan.layers.box_map import MAX_BOXES
from melgan.layers.box_table import ROWS, BoxTable
from melgan.training.precision import layers_computing_in
from tests.melgan.gans.tiny_gan import random_boxes, random_table

# A number that chooses row n lies in the middle of the n-th part of the normal distribution.
CHOICES = [NormalDist().inv_cdf((row + 0.5) / ROWS) for row in range(ROWS)]


def latents_of(numbers):
    return tf.stack([tf.constant(numbers, tf.float32), tf.zeros(len(numbers))], axis=1)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_latents_reach_every_row_of_their_class(precision):
    with layers_computing_in(precision):
        table = BoxTable(3)
    table.fill(random_table(3))
    for label in range(3):
        chosen = table(latents_of(CHOICES), tf.fill([ROWS], label))
        np.testing.assert_array_equal(chosen, random_table(3)[label])


def test_the_tails_choose_the_first_and_the_last_row():
    table = BoxTable(1)
    table.fill(random_table(1))
    chosen = table(latents_of([-40.0, 40.0]), tf.constant([0, 0]))
    np.testing.assert_array_equal(chosen, random_table(1)[0, [0, -1]])


def test_a_table_that_was_not_filled_has_no_boxes():
    assert not np.any(BoxTable(2)(latents_of([0.0, 1.0]), tf.constant([0, 1])))


def test_rows_are_boxes_of_the_classes_images_each_equally_often_or_once_more():
    """Of 256 rows three images have 86, 85 and 85; class 1 has more images than rows, class 2 none."""
    labels = np.array([0] * 3 + [1] * 300)
    boxes = random_boxes(len(labels))
    rows = draw_rows(boxes, labels, 3, seed=0)
    assert rows.shape == (3, ROWS, MAX_BOXES, 4)
    known, counts = np.unique(rows[0, :, 0], axis=0, return_counts=True)
    np.testing.assert_array_equal(known, np.unique(boxes[:3, 0], axis=0))
    assert sorted(counts) == [85, 85, 86]
    assert len(np.unique(rows[1, :, 0], axis=0)) == ROWS
    assert {tuple(box) for box in rows[1, :, 0]} < {tuple(box) for box in boxes[3:, 0]}
    assert not rows[2].any()
    np.testing.assert_array_equal(draw_rows(boxes, labels, 3, seed=0), rows)
    assert not np.array_equal(draw_rows(boxes, labels, 3, seed=1), rows)


def test_one_box_an_image_is_filled_up_with_zeros():
    rows = whole_rows([[0.0, 0.25, 0.5, 1.0], [0.5, 0.5, 0.75, 0.75]])
    assert (rows.shape, rows.dtype) == ((2, MAX_BOXES, 4), np.float32)
    np.testing.assert_array_equal(rows[:, 0], [[0.0, 0.25, 0.5, 1.0], [0.5, 0.5, 0.75, 0.75]])
    assert not rows[:, 1:].any()


def test_the_table_is_no_trained_weight():
    table = BoxTable(2)
    assert table.trainable_weights == []
    assert [weight.shape for weight in table.weights] == [(2, ROWS, MAX_BOXES, 4)]
