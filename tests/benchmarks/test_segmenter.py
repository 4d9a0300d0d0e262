"""The small segmenter of benchmarks."""

import numpy as np
import pytest

from benchmarks.segmenter import Pairs, Segmenter
from tfrecords_tools.sources.phantom import Traits, draw_lesion_and_mask

SIZE = 32


def phantoms(count, seed):
    """Drawn lesions and their true masks, as means of 4 x 4 pixels."""
    drawn = [draw_lesion_and_mask(Traits(0, 0, 0, 0), 0.3, np.random.default_rng([seed, n])) for n in range(count)]
    joint = np.stack([np.concatenate([image, mask[..., None]], axis=-1) for image, mask in drawn])
    small = joint.reshape(count, SIZE, 4, SIZE, 4, 4).mean(axis=(2, 4))
    return Pairs(small[..., :3].astype(np.uint8), np.where(small[..., 3] >= 0.5, 255, 0).astype(np.uint8))


PAIRS, TESTED = phantoms(30, seed=0), phantoms(20, seed=1)


@pytest.fixture(scope="module")
def segmenter():
    return Segmenter(SIZE, width=0.125)


def trained(segmenter, pairs, *, steps=5, seed=0, augmented=False):
    segmenter.start(seed)
    segmenter.train(pairs, steps=steps, seed=seed, augmented=augmented)
    return segmenter


@pytest.mark.parametrize("augmented", [False, True])
def test_it_learns_to_find_phantom_lesions(segmenter, augmented):
    before = trained(segmenter, PAIRS, steps=0).overlaps(TESTED).mean()
    overlaps = trained(segmenter, PAIRS, steps=80, augmented=augmented).overlaps(TESTED)
    assert overlaps.shape == (20,)
    assert overlaps.mean() > 0.8
    assert before < 0.6


def test_masks_are_0_or_255(segmenter):
    found = trained(segmenter, PAIRS).find(np.repeat(TESTED.images, 4, axis=0))
    assert (found.shape, found.dtype) == ((80, SIZE, SIZE), np.uint8)
    assert set(np.unique(found)) <= {0, 255}


@pytest.mark.parametrize("augmented", [False, True])
def test_started_anew_it_is_that_of_its_seed_and_pairs(segmenter, augmented):
    first = trained(segmenter, PAIRS, augmented=augmented).find(TESTED.images)
    np.testing.assert_array_equal(trained(segmenter, PAIRS, augmented=augmented).find(TESTED.images), first)
    assert not np.array_equal(trained(segmenter, PAIRS, seed=1, augmented=augmented).find(TESTED.images), first)
    assert not np.array_equal(trained(segmenter, PAIRS, augmented=not augmented).find(TESTED.images), first)


def test_pairs_are_joined_and_taken_together():
    joined = PAIRS + TESTED
    assert len(joined) == 50
    np.testing.assert_array_equal(joined.images[30:], TESTED.images)
    taken = joined.take(np.array([40, 0, 0]))
    np.testing.assert_array_equal(taken.images, joined.images[[40, 0, 0]])
    np.testing.assert_array_equal(taken.masks, joined.masks[[40, 0, 0]])
