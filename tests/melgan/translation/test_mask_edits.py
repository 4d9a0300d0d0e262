import numpy as np
import pytest

from melgan.translation.mask_edits import (
    EDITS,
    LARGEST_SCALE,
    LARGEST_SHIFT,
    TRANSPLANT,
    deformed,
    edited,
    mirrored,
    require_known_edits,
    scaled,
    shifted,
    turned,
)
from tfrecords_tools.foundation.errors import ConfigError
from tfrecords_tools.masks import boxes_of_mask

SIZE = 64
PLACED = [name for name in EDITS if name != "mirror"]  # which must not leave the picture


def disc(row=32, column=32, radius=10.0, size=SIZE):
    rows, columns = np.indices((size, size))
    return np.where(np.hypot(rows - row, columns - column) <= radius, 255, 0).astype(np.uint8)


def lesion():
    """A disc with a bump, not alike from any side."""
    return np.maximum(disc(28, 34, 8), disc(34, 28, 5))


def rng(seed=0):
    return np.random.default_rng(seed)


def box(mask):
    return np.array(boxes_of_mask(mask > 0)[0]) * SIZE


def test_mirrored_twice_is_the_identity():
    once = mirrored(lesion())
    assert not np.array_equal(once, lesion())
    np.testing.assert_array_equal(mirrored(once), lesion())
    np.testing.assert_array_equal(once, lesion()[:, ::-1])


@pytest.mark.parametrize(("rows", "columns"), [(3, 0), (0, -5), (-7, 4)])
def test_shifted_by_pixels_the_box_moves_by_as_many(rows, columns):
    np.testing.assert_array_equal(box(shifted(lesion(), rows, columns)), box(lesion()) + [columns, rows, columns, rows])


@pytest.mark.parametrize("factor", [0.6, 0.8, 1.0, 1.3, 1.6])
def test_scaled_the_area_grows_by_the_square_within_a_rim(factor):
    mask, found = lesion(), scaled(lesion(), factor)
    expected = factor**2 * np.count_nonzero(mask)
    outline = 2 * np.pi * factor * 10  # the lesion's, a little more than a disc's of radius 10
    assert abs(np.count_nonzero(found) - expected) < outline / 2
    np.testing.assert_allclose(box(found)[:2] + box(found)[2:], box(mask)[:2] + box(mask)[2:], atol=1.01)


def test_scaled_by_one_and_turned_by_nothing_is_the_identity():
    np.testing.assert_array_equal(scaled(lesion(), 1.0), lesion())
    np.testing.assert_array_equal(turned(lesion(), 0.0), lesion())


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_turned_by_quarters_around_the_middle_of_the_box(quarters):
    mask = np.zeros((5, 5), np.uint8)
    mask[1:4, 1:4] = [[255, 255, 255], [255, 0, 0], [255, 0, 0]]
    np.testing.assert_array_equal(turned(mask, 90 * quarters), np.rot90(mask, quarters))
    aside = np.pad(mask, ((0, 4), (3, 1)))
    np.testing.assert_array_equal(turned(aside, 90 * quarters), np.pad(np.rot90(mask, quarters), ((0, 4), (3, 1))))


def test_turned_keeps_the_area():
    for degrees in (10, 45, 130):
        assert np.count_nonzero(turned(lesion(), degrees)) == pytest.approx(np.count_nonzero(lesion()), rel=0.05)


def test_deformed_by_the_same_displacement_everywhere_is_shifted():
    displacements = np.stack([np.full((5, 5), 3.0), np.full((5, 5), -2.0)])
    np.testing.assert_array_equal(deformed(lesion(), displacements), shifted(lesion(), 3, -2))
    np.testing.assert_array_equal(deformed(lesion(), np.zeros((2, 5, 5))), lesion())


def test_deformed_by_a_ramp_is_stretched():
    """At the left the mask moves to the left, at the right to the right, by a tenth of the distance from the middle."""
    mask = disc(31.5, 31.5)
    ramp = np.linspace(-3.15, 3.15, 5) * np.ones((5, 1))
    x_min, y_min, x_max, y_max = box(deformed(mask, np.stack([np.zeros((5, 5)), ramp])))
    assert y_max - y_min == 20
    assert x_max - x_min == 22


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_is_a_mask_of_its_random_numbers(name):
    masks = [edited(lesion(), [name], rng(seed), 1.0) for seed in range(8)]
    np.testing.assert_array_equal(masks[3], edited(lesion(), [name], rng(3), 1.0))
    assert len({mask.tobytes() for mask in masks}) == (2 if name == "mirror" else 8)
    for mask in masks:
        assert (mask.shape, mask.dtype) == ((SIZE, SIZE), np.uint8)
        assert set(np.unique(mask)) == {0, 255}


@pytest.mark.parametrize("name", PLACED)
def test_an_edit_without_strength_is_none(name):
    np.testing.assert_array_equal(edited(lesion(), [name], rng(), 0.0), lesion())


def test_edits_reach_as_far_as_told_and_no_further():
    boxes = np.array([box(edited(lesion(), ["shift"], rng(seed), 1.0)) for seed in range(200)]) - box(lesion())
    assert np.abs(boxes).max() == round(LARGEST_SHIFT * SIZE)
    areas = [np.count_nonzero(edited(lesion(), ["scale"], rng(seed), 1.0)) for seed in range(200)]
    factors = np.sqrt(np.array(areas) / np.count_nonzero(lesion()))
    assert factors.min() == pytest.approx(1 / LARGEST_SCALE, rel=0.1)
    assert factors.max() == pytest.approx(LARGEST_SCALE, rel=0.1)
    halved = [np.count_nonzero(edited(lesion(), ["scale"], rng(seed), 0.5)) for seed in range(100)]
    assert np.sqrt(max(halved) / np.count_nonzero(lesion())) == pytest.approx(LARGEST_SCALE**0.5, rel=0.1)


@pytest.mark.parametrize("name", PLACED)
@pytest.mark.parametrize(
    "mask",
    [disc(12, 50, 9), disc(radius=28), disc(32, 32, 3), np.maximum(disc(10, 10, 5), disc(50, 52, 6))],
    ids=["near a corner", "large", "tiny", "two"],
)
def test_a_lesion_neither_leaves_the_picture_nor_vanishes(name, mask):
    for seed in range(10):
        found = edited(mask, [name], rng(seed), 2.0)
        assert not found[[0, -1]].any()
        assert not found[:, [0, -1]].any()
        assert np.count_nonzero(found) >= min(np.count_nonzero(mask), 0.004 * SIZE**2)
        assert len(boxes_of_mask(found > 0)) >= len(boxes_of_mask(mask > 0))


@pytest.mark.parametrize("name", PLACED)
def test_a_lesion_that_the_picture_cuts_stays_where_it_is(name):
    for mask in (disc(0, 30), disc(30, 60), np.full((SIZE, SIZE), 255, np.uint8)):
        np.testing.assert_array_equal(edited(mask, [name], rng(), 1.0), mask)


@pytest.mark.parametrize("name", EDITS)
def test_a_mask_without_lesion_stays_empty(name):
    assert not edited(np.zeros((SIZE, SIZE), np.uint8), [name], rng(), 1.0).any()


def test_edits_come_in_the_order_of_the_table():
    found = edited(lesion(), ["shift", "scale"], rng(4), 1.0)
    random = rng(4)
    by_hand = EDITS["shift"](EDITS["scale"](lesion(), random, 1.0), random, 1.0)
    np.testing.assert_array_equal(found, by_hand)
    np.testing.assert_array_equal(edited(lesion(), [TRANSPLANT], rng(), 1.0), lesion())


def test_unknown_edits_are_refused():
    require_known_edits([*EDITS, TRANSPLANT])
    require_known_edits([])
    with pytest.raises(ConfigError, match="stretch.*mirror.*transplant"):
        require_known_edits(["shift", "stretch"])
