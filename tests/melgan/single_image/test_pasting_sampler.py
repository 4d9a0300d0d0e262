from functools import cache

import numpy as np
import pytest

from melgan.sampling import Requests, first_requests
from melgan.single_image.drawing import blending_weights
from melgan.single_image.pasting import pasted
from melgan.single_image.pasting_sampler import PastingSampler
from melgan.single_image.sampler import TrainedImage
from melgan.sources import Sources
from tests.melgan.single_image.tiny_singan import tiny_image, tiny_stack
from tfrecords_tools.foundation.errors import ConfigError, DataError

SIDE = 13
NAMES, LABELS, GROUPS = np.array(["a", "b", "c", "d"]), np.array([0, 1, 1, 0]), np.array([5, 5, 7, 7])


def masks():
    found = np.zeros((4, SIDE, SIDE), np.uint8)
    for number in range(4):
        found[number, 4 : 6 + number // 2, 4 : 6 + number % 2] = 255
    return found


LESIONS = Sources(NAMES, np.stack([tiny_image(seed=number) for number in range(4)]), masks(), LABELS)


@cache
def trained(channels):
    stack = tiny_stack(channels=channels)
    weights = stack.get_weights()
    return stack, [TrainedImage(name=name, label=1, weights=lambda: weights) for name in ("b", "c")]


def make_sampler(channels=3, real=LESIONS, **settings):
    stack, images = trained(channels)
    given = {"classes": ("zero", "one", "none"), "seed": 3, "scale": 1} | settings
    return PastingSampler(stack, images, real, GROUPS[: len(real)], **given)


@pytest.mark.parametrize("channels", [3, 4])
def test_a_lesion_lies_in_the_skin_of_another_image_of_its_group(channels):
    sampler = make_sampler(channels)
    drawn = sampler.draw(first_requests(0, 4))
    assert drawn.made_from == (("b", "a"), ("c", "d"), ("b", "a"), ("c", "d"))
    assert sampler.sources(first_requests(0, 2)) == ["b", "c"]
    assert (drawn.images.shape, drawn.images.dtype) == ((4, SIDE, SIDE, 3), np.uint8)
    np.testing.assert_array_equal(drawn.masks, LESIONS.masks[[0, 3, 0, 3]])
    for row, (skin, lesion) in enumerate(((1, 0), (2, 3))):
        of_both = [(LESIONS.images[each], LESIONS.masks[each] > 0) for each in (skin, lesion)]
        _, changed = pasted(*of_both[0], *of_both[1])
        untouched = blending_weights(changed[None])[0] == 0
        assert untouched.any()
        difference = np.abs(drawn.images[row].astype(int) - LESIONS.images[skin])
        assert difference[untouched].max() <= 1
        assert difference[LESIONS.masks[lesion] > 0].max() > 20
    assert not np.array_equal(drawn.images[0], drawn.images[2])  # other noise


def test_an_image_depends_on_its_own_request_only():
    sampler = make_sampler()
    whole = sampler.draw(first_requests(0, 5))
    for row in range(5):
        alone = sampler.draw(Requests(index=np.array([row]), label=np.array([0])))
        assert np.abs(alone.images[0].astype(int) - whole.images[row]).max() <= 1


def test_a_class_of_which_no_lesion_fits_has_no_images():
    sampler = make_sampler()
    assert [sampler.capacity(label) for label in range(3)] == [None, 0, 0]  # its own lesion is no other
    with pytest.raises(ValueError, match="one"):
        sampler.draw(first_requests(1, 1))
    assert len(sampler.draw(first_requests(0, 0)).images) == 0


@pytest.mark.parametrize("scale", [0, 3])
def test_scales_that_there_are_not_are_refused(scale):
    with pytest.raises(ConfigError, match="paste_scale"):
        make_sampler(scale=scale)


def test_an_image_without_a_mask_is_refused_by_name():
    with pytest.raises(DataError, match="^c "):
        make_sampler(real=LESIONS.take(np.array([0, 1])))
