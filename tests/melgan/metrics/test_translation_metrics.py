import numpy as np
import pytest

from melgan.metrics.translation import (
    CycleErrors,
    cycle_errors,
    dice,
    distances_apart,
    grey_level_errors,
    near_source,
    outside_changes,
    rim_auc,
    source_distances,
    source_ranks,
    through_jpeg,
)
from tests.melgan.metrics.made_up_samples import made_up


def grey(*levels, size=8):
    """Images of one grey level each."""
    return np.stack([np.full((size, size, 3), level, np.uint8) for level in levels])


def masked(size=8):
    """A mask of the left half, none, and one of everything."""
    masks = np.zeros((3, size, size), np.uint8)
    masks[0, :, : size // 2] = masks[2] = 255
    return masks


def on_a_line(*places):
    """One view each, of one feature."""
    return np.array(places, np.float64)[:, None, None]


def test_errors_are_mean_absolute_grey_levels():
    truths = grey(10, 200, 0)
    truths[2, :4] = 8
    np.testing.assert_array_equal(grey_level_errors(grey(13, 190, 0), truths), [3, 10, 4])


def test_changes_count_outside_of_the_mask_only():
    sources, images = grey(100, 100, 100), grey(100, 90, 250)
    images[0, :, :4] = 0  # inside of the mask
    images[0, 0, 4:] = 108  # an eighth of what is outside
    np.testing.assert_array_equal(outside_changes(images, sources, masked()), [1, 10, np.nan])


def test_overlaps_of_masks_by_hand():
    others = np.zeros((3, 8, 8), np.uint8)
    others[0, :2] = 1  # 16 pixels, 8 of them in the left half of 32
    np.testing.assert_allclose(dice(masked(), others), [2 * 8 / (32 + 16), 1, 0])
    np.testing.assert_array_equal(dice(masked(), masked()), [1, 1, 1])


def test_what_is_hidden_is_lost_in_jpeg():
    """The way back reads the grey level of a source from the lowest bits of an image."""
    sources = grey(*range(3, 67, 8), size=16)
    translated = np.full_like(sources, 128)
    bits = (sources[:, 0, 0, 0][:, None] >> np.arange(8)) & 1
    translated[:, 0, :8, 2] += bits.astype(np.uint8)

    def back(images):
        levels = ((images[:, 0, :8, 2].astype(int) % 2) << np.arange(8)).sum(axis=1)
        return grey(*levels, size=16)

    found = cycle_errors(sources, translated, back)
    np.testing.assert_array_equal(found.plain, np.zeros(8))
    assert found.hidden.mean() > 10
    assert grey_level_errors(through_jpeg(translated, 95), translated).max() < 0.5  # hardly seen


def test_nothing_is_hidden_where_the_way_back_sees_what_is_seen():
    sources = grey(3, 90, 250, size=16)
    found = cycle_errors(sources, sources, lambda images: images + np.uint8(2))
    np.testing.assert_array_equal(found.plain, [2, 2, 2])
    np.testing.assert_allclose(found.hidden, 0, atol=0.5)
    assert found.ratio == pytest.approx(1, abs=0.2)
    assert CycleErrors(np.array([1.0, 3.0]), np.array([2.0, 10.0])).ratio == 3
    np.testing.assert_array_equal(CycleErrors(np.array([1.0, 3.0]), np.array([2.0, 10.0])).hidden, [1, 7])


def test_jpeg_is_coarser_the_lower_its_quality():
    images = made_up(3, seed=1).images
    errors = [grey_level_errors(through_jpeg(images, quality), images).mean() for quality in (100, 95, 50, 5)]
    assert errors == sorted(errors)
    assert errors[0] < 1
    assert through_jpeg(images[:0], 95).shape == images[:0].shape


def skins(count, seed, size=32):
    """Images of skin of other colours with lesions in the middle."""
    rng = np.random.default_rng(seed)
    images = rng.integers(120, 220, (count, 1, 1, 3)) + rng.normal(0, 8, (count, size, size, 3))
    return np.clip(images, 0, 255).astype(np.uint8)


def test_images_and_their_copies_are_not_told_apart_if_both_are_in_one_fold():
    images = skins(40, seed=0)
    groups = np.tile(np.arange(40), 2)
    found = rim_auc(images, images, groups)
    assert (found.value, found.low, found.high) == (0.5, 0.5, 0.5)
    assert rim_auc(images, images).value < 0.4  # of an image, the classifier has learnt the copy with the other label


def test_what_lies_inside_of_the_rim_does_not_count():
    images = skins(40, seed=0)
    others = images.copy()
    others[:, 4:-4, 4:-4] = 0
    assert rim_auc(images, others, np.tile(np.arange(40), 2)).value == 0.5


@pytest.mark.parametrize("change", ["colour", "corners"])
def test_rims_of_another_colour_and_dark_corners_are_told(change):
    images, others = skins(60, seed=0), skins(60, seed=1)
    same = rim_auc(images, others)
    assert same.low < 0.5 < same.high
    if change == "colour":
        others[..., 0] -= 80
    else:
        others[:, :3, :3] = others[:, -3:, -3:] = 20
    told = rim_auc(images, others)
    assert told.value > 0.95
    assert told.low > same.high


def test_ranks_of_sources_by_hand():
    real = np.array([[0.0], [1.0], [3.0], [7.0]])
    views = on_a_line(0.9, 0.9, 0.9, 0.9, 0.5, 7.0)
    np.testing.assert_allclose(
        source_ranks(views, real, np.array([1, 0, 2, 3, 0, 3])), [0, 1 / 3, 2 / 3, 1, 0.5 / 3, 0]
    )


def test_the_nearest_view_counts_for_sources_and_others_alike():
    real = np.array([[0.0], [1.0], [3.0]])
    views = np.array([[[-9.0], [2.9], [0.2]]])
    np.testing.assert_allclose(source_ranks(np.repeat(views, 3, axis=0), real, np.arange(3)), [0.5, 1, 0])


def test_unlinked_images_have_ranks_of_a_half_and_copies_of_zero():
    rng = np.random.default_rng(0)
    real, sources = rng.normal(size=(50, 8)), rng.integers(50, size=1500)
    ranks = source_ranks(rng.normal(size=(1500, 1, 8)), real, sources)
    assert ranks.mean() == pytest.approx(0.5, abs=4 * np.sqrt(1 / 12 / 1500))
    np.testing.assert_array_equal(source_ranks(real[sources][:, None], real, sources), np.zeros(1500))


def test_images_near_to_their_own_source_by_hand():
    """Of 19 held-out images the nearest lies at 1; an image may be nearer to another source than its own."""
    held_out = np.arange(1.0, 20.0)
    sources = np.array([[0.0], [0.0], [5.0], [5.0]])
    distances = source_distances(on_a_line(0.5, 1.5, 5.5, 0.5), sources)
    np.testing.assert_allclose(distances, [0.5, 1.5, 0.5, 4.5])
    found = near_source(distances, held_out, np.arange(4))
    assert found.value == 0.5
    assert found.low < 0.5 < found.high
    same_source = near_source(distances, held_out, np.array([0, 0, 1, 1]))
    assert same_source.low < found.low
    turned = np.array([[[9.0], [0.5]]])
    assert near_source(source_distances(turned, sources[:1]), held_out, np.arange(1)).value == 1


def test_real_images_lie_apart_by_their_nearest_view_and_not_from_themselves():
    real = np.array([[0.0], [3.0], [7.0]])
    views = np.array([[[3.0], [10.0]], [[7.0], [4.0]]])  # of the second and the third, and each turned
    np.testing.assert_allclose(distances_apart(views, real, np.array([1, 2])), [3, 1])
