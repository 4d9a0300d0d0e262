from functools import cache

import numpy as np
import pytest

from melgan.images import to_uint8
from melgan.sampling import Requests, Sampler, first_requests
from melgan.single_image.drawing import draw_samples
from melgan.single_image.sampler import SingleImageSampler, TrainedImage
from tests.melgan.gans.tiny_gan import enlarge_weights
from tests.melgan.single_image.tiny_singan import tiny_stack
from tfrecords_tools.foundation.errors import ConfigError

NAMES, LABELS = ("a", "b", "c"), (1, 0, 1)


@cache
def trained(channels=3):
    """Returns a stack that the tests share, and three images with weights of their own, two of class 1."""
    stack, images = tiny_stack(channels=channels), []
    for name, label in zip(NAMES, LABELS, strict=True):
        enlarge_weights(stack.generators[0], 0.3)
        weights = stack.get_weights()
        images.append(TrainedImage(name=name, label=label, weights=lambda weights=weights: weights))
    return stack, images


def make_sampler(**settings) -> Sampler:
    stack, images = trained()
    return SingleImageSampler(stack, images, ("one", "two", "none"), **({"seed": 3} | settings))


def test_images_of_a_class_take_turns():
    sampler = make_sampler()
    drawn = sampler.draw(first_requests(1, 4))
    assert drawn.made_from == (("a",), ("c",), ("a",), ("c",))
    assert drawn.images.shape == (4, 13, 13, 3)
    assert drawn.images.dtype == np.uint8
    assert drawn.masks is None
    assert drawn.boxes is None
    assert len({image.tobytes() for image in drawn.images}) == 4
    stack, images = trained()
    for row, name in enumerate("acac"):
        stack.set_weights(images[NAMES.index(name)].weights())
        expected = to_uint8(draw_samples(stack, [row], seed=3))[0]
        assert np.abs(drawn.images[row].astype(int) - expected).max() <= 1


def test_an_image_depends_on_its_own_request_only():
    sampler = make_sampler(start_scale=1)
    requests = Requests(index=np.array([0, 7, 3, 70]), label=np.array([1, 0, 1, 1], np.int32))
    whole = sampler.draw(requests)
    for row in range(4):
        alone = sampler.draw(requests.take([row]))
        assert np.abs(alone.images[0].astype(int) - whole.images[row]).max() <= 1
        assert alone.made_from[0] == whole.made_from[row]


def test_source_chooses_the_image():
    requests = Requests(index=np.arange(2), label=np.array([1, 1]), source=np.array(["c", "a"]))
    drawn = make_sampler().draw(requests)
    assert drawn.made_from == (("c",), ("a",))
    other = make_sampler().draw(first_requests(1, 2))
    assert not np.array_equal(drawn.images[0], other.images[0])


@pytest.mark.parametrize(("label", "source"), [(1, "d"), (1, "b"), (2, None)])
def test_what_was_not_trained_is_refused(label, source):
    source = None if source is None else np.array([source])
    with pytest.raises(ValueError, match=source[0] if source is not None else "none"):
        make_sampler().draw(Requests(index=np.zeros(1, int), label=np.array([label]), source=source))


def test_other_conditions_and_scales_are_refused():
    with pytest.raises(ValueError, match="mask"):
        make_sampler().draw(Requests(index=np.zeros(1, int), label=np.zeros(1, int), mask=np.zeros((1, 8, 8))))
    with pytest.raises(ConfigError, match="start_scale is 3"):
        make_sampler(start_scale=3)


def test_facts_of_a_sampler():
    sampler = make_sampler()
    assert [sampler.capacity(label) for label in range(3)] == [None, None, 0]
    assert sampler.interpolate(0, 5) is None
    assert (sampler.classes, sampler.image_size) == (("one", "two", "none"), 13)
    nothing = sampler.draw(first_requests(0, 0))
    assert (nothing.images.shape, nothing.made_from) == ((0, 13, 13, 3), ())


def test_masks_come_with_images_of_four_channels():
    stack, images = trained(channels=4)
    drawn = SingleImageSampler(stack, images, ("one", "two"), seed=3).draw(first_requests(0, 2))
    assert drawn.images.shape == (2, 13, 13, 3)
    assert drawn.masks.shape == (2, 13, 13)
    assert drawn.masks.dtype == np.uint8
    assert set(np.unique(drawn.masks)) == {0, 255}
    stack.set_weights(images[1].weights())
    channel = np.asarray(draw_samples(stack, [0, 1], seed=3))[..., 3]
    clear = np.abs(channel) > 0.02
    np.testing.assert_array_equal(drawn.masks[clear] == 255, channel[clear] > 0)
