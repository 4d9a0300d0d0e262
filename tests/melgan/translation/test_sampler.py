import keras
import numpy as np
import pytest

from melgan.sampling import Requests, Sampler, first_requests
from melgan.sources import Sources
from melgan.translation.sampler import TranslationSampler

SIDE, COUNT = 8, 70
CLASSES = ("benign", "malignant", "other")
TARGET = 1


def negative():
    """A generator that makes of every image its negative."""
    inputs = keras.Input((SIDE, SIDE, 3))
    return keras.Model(inputs, keras.layers.Rescaling(-1.0)(inputs))


def sources(*, with_masks=True):
    rng = np.random.default_rng(0)
    return Sources(
        names=np.array([f"image {number}" for number in range(COUNT)]),
        images=rng.integers(0, 256, (COUNT, SIDE, SIDE, 3)).astype(np.uint8),
        masks=(255 * rng.integers(0, 2, (COUNT, SIDE, SIDE))).astype(np.uint8) if with_masks else None,
        labels=np.zeros(COUNT, np.int32),
    )


def sampler(seed=3, **settings):
    return TranslationSampler(negative(), sources(**settings), CLASSES, TARGET, seed=seed)


def requests(index, label=TARGET, **conditions):
    return Requests(index=np.asarray(index), label=np.full(len(index), label, np.int32), **conditions)


def rows(drawn):
    """Returns the sources that images were made from, each one."""
    return np.array([int(name.split()[1]) for (name,) in drawn.made_from])


def test_it_has_as_many_images_of_the_target_as_sources():
    found: Sampler = sampler()
    assert [found.capacity(label) for label in range(3)] == [0, COUNT, 0]
    assert (found.classes, found.image_size, found.conditions) == (CLASSES, SIDE, {"source"})
    assert found.interpolate(TARGET, 5) is None


def test_every_source_comes_once_and_is_named_beside_its_translation_and_mask():
    drawn, known = sampler().draw(first_requests(TARGET, COUNT)), sources()
    np.testing.assert_array_equal(np.sort(rows(drawn)), np.arange(COUNT))
    np.testing.assert_array_equal(drawn.images, 255 - known.images[rows(drawn)])
    np.testing.assert_array_equal(drawn.masks, known.masks[rows(drawn)])
    assert drawn.boxes is None


def test_the_order_is_that_of_the_seed():
    whole, again, other = (rows(sampler(seed).draw(first_requests(TARGET, COUNT))) for seed in (3, 3, 4))
    np.testing.assert_array_equal(again, whole)
    assert not np.array_equal(other, whole)
    assert not np.array_equal(whole, np.arange(COUNT))
    np.testing.assert_array_equal(rows(sampler().draw(requests([7, 2, 2]))), whole[[7, 2, 2]])


def test_named_sources_are_translated_whatever_the_index():
    drawn = sampler().draw(requests([0, 999], source=np.array(["image 5", "image 2"])))
    assert drawn.made_from == (("image 5",), ("image 2",))
    np.testing.assert_array_equal(drawn.images, 255 - sources().images[[5, 2]])


def test_without_masks_none_are_known():
    assert sampler(with_masks=False).draw(requests([0])).masks is None


def test_none_asked_for_none_drawn():
    drawn = sampler().draw(requests([]))
    assert (drawn.images.shape, drawn.images.dtype, drawn.made_from) == ((0, SIDE, SIDE, 3), np.uint8, ())


@pytest.mark.parametrize(
    ("request_of", "message"),
    [
        (requests([0], label=0), "class 0"),
        (requests([0, COUNT]), f"index {COUNT}.*{COUNT} sources"),
        (requests([-1]), "index -1"),
        (requests([0], source=np.array(["unknown"])), "source unknown"),
        (requests([0], mask=np.zeros((1, SIDE, SIDE))), "mask"),
    ],
)
def test_what_it_does_not_have_is_refused(request_of, message):
    with pytest.raises(ValueError, match=message):
        sampler().draw(request_of)
