"""Boxes: where they lie in the stored image, by hand and as drawn pictures show."""

import io

import numpy as np
import pytest
from PIL import Image

from tests.tfrecords_tools.tiny_shards import encoded
from tfrecords_tools.boxes import WINDOWS, boxes_in_stored, first_outside, problem_of_boxes, whole_boxes
from tfrecords_tools.images import FITS, Encoding, convert

WIDE, TALL = (300, 200), (200, 300)
BOX = [100, 50, 150, 150]


@pytest.mark.parametrize(
    ("size", "fit", "box", "expected"),
    [
        (WIDE, "crop", BOX, (0.25, 0.25, 0.5, 0.75)),  # columns 50 to 250 remain
        (WIDE, "pad", BOX, (1 / 3, 1 / 3, 1 / 2, 2 / 3)),  # 50 rows above
        (WIDE, "stretch", BOX, (1 / 3, 1 / 4, 1 / 2, 3 / 4)),
        (TALL, "crop", BOX, (0.5, 0.0, 0.75, 0.5)),  # rows 50 to 250 remain
        (TALL, "pad", BOX, (1 / 2, 1 / 6, 2 / 3, 1 / 2)),
        (WIDE, "crop", [0, 0, 300, 200], (0, 0, 1, 1)),
        (WIDE, "crop", [40.5, 0, 60.5, 200], (0, 0, 10.5 / 200, 1)),
    ],
)
def test_places_by_hand(size, fit, box, expected):
    (stored,) = boxes_in_stored([box], size, fit)
    np.testing.assert_allclose(stored, expected, atol=1e-7)


def test_a_box_that_a_crop_leaves_nothing_of_is_left_out():
    assert boxes_in_stored([[0, 0, 50, 200]], WIDE, "crop") == ()
    assert boxes_in_stored([[250 - 1e-7, 0, 300, 200]], WIDE, "crop") == ()  # nothing in 32 bits
    assert boxes_in_stored([], WIDE, "crop") == ()


def test_the_largest_box_comes_first_as_it_is_stored():
    boxes = [[100, 0, 110, 10], [0, 0, 60, 200], [200, 0, 220, 10]]
    stored = boxes_in_stored(boxes, WIDE, "crop")  # of the second, 10 x 200 pixels remain
    np.testing.assert_allclose([box[0] for box in stored], [0, 0.75, 0.25])


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
@pytest.mark.parametrize("size", [(90, 60), (60, 90), (64, 64), (601, 403), (1000, 640)])
def test_a_box_lies_where_the_stored_picture_shows_what_it_was_drawn_around(fit, orientation, size):
    """A white rectangle on black, in an image that is stored turned, and upright by its EXIF tag."""
    width, height = size
    box = np.round([0.4 * width, 0.3 * height, 0.65 * width, 0.6 * height]).astype(int)
    upright = np.zeros((height, width, 3), np.uint8)
    upright[box[1] : box[3], box[0] : box[2]] = 255
    turns = {1: 0, 3: 2, 6: 1, 8: 3}[orientation]  # counter-clockwise, which the tag undoes
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(np.ascontiguousarray(np.rot90(upright, turns)), quality=95, exif=exif)
    converted = convert(data, Encoding(image_size=64, fit=fit))
    assert converted.source_size == size
    (stored,) = boxes_in_stored([box.tolist()], converted.source_size, fit)
    with Image.open(io.BytesIO(converted.jpeg)) as image:
        white = np.asarray(image)[..., 0] > 127
    rows, columns = np.flatnonzero(white.any(axis=1)), np.flatnonzero(white.any(axis=0))
    shown = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
    assert np.abs(np.multiply(stored, 64) - shown).max() <= 1


def test_every_fit_has_its_window():
    assert WINDOWS.keys() == FITS.keys()


def test_a_box_that_leaves_its_image_is_found():
    assert first_outside([[0, 0, 300, 200], BOX], WIDE) is None
    for outside in ([0, 0, 300.5, 200], [0, 0, 300, 201], [-1, 0, 300, 200], [0, -0.5, 300, 200]):
        assert first_outside([BOX, outside], WIDE) == outside


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ([], None),
        ([0.0, 0.0, 1.0, 1.0, 0.5, 0.25, 0.75, 0.5], None),
        ([0.0, 0.0, 1.0], "holds 3 numbers, and every box has four"),
        ([0.0, 0.0, 1.0, 1.5], "holds the box (0, 0, 1, 1.5), which is inverted or not within 0 and 1"),
        ([-0.5, 0.0, 1.0, 1.0], "holds the box (-0.5, 0, 1, 1), which"),
        ([0.5, 0.0, 0.25, 1.0], "holds the box (0.5, 0, 0.25, 1), which"),
        ([0.0, 0.5, 1.0, 0.5], "holds the box (0, 0.5, 1, 0.5), which"),
        ([0.0, 0.0, 1.0, float("nan")], "holds the box (0, 0, 1, nan), which"),
    ],
)
def test_stored_numbers_that_are_no_boxes_are_named(values, problem):
    found = problem_of_boxes(values)
    assert found is None if problem is None else found.startswith(problem)


def test_whole_boxes_are_taken_from_numbers():
    assert whole_boxes([1, 2, 3, 4, 5, 6, 7, 8, 9]) == ((1, 2, 3, 4), (5, 6, 7, 8))
    assert whole_boxes([1, 2, 3]) == whole_boxes([]) == ()
