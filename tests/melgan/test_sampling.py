from dataclasses import fields

import numpy as np
import pytest

from melgan.sampling import (
    BATCH_SIZE,
    CONDITIONS,
    Requests,
    SampledImages,
    Sampler,
    first_requests,
    require_known_conditions,
)

COUNT = 7


def requests(**conditions):
    return Requests(index=np.arange(10, 10 + COUNT), label=np.arange(COUNT, dtype=np.int32) % 2, **conditions)


def with_every_condition():
    rng = np.random.default_rng(0)
    return requests(
        boxes=rng.uniform(size=(COUNT, 2, 4)),
        mask=rng.uniform(size=(COUNT, 8, 8)),
        source=np.array([f"image {number}" for number in range(COUNT)]),
    )


class Album:
    """A sampler that knows a few images of each class, and cuts them to a mask."""

    classes, image_size, conditions = ("empty", "two", "three"), 8, frozenset({"mask"})

    def capacity(self, label: int) -> int | None:
        return (0, 2, 3)[label]

    def draw(self, requests: Requests) -> SampledImages:
        require_known_conditions(requests, self.conditions)
        images = np.zeros((len(requests), 8, 8, 3), np.uint8)
        images += (100 * requests.label + requests.index).astype(np.uint8)[:, None, None, None]
        if requests.mask is not None:
            images = (images * requests.mask[..., None]).astype(np.uint8)
        names = tuple((f"{label}/{index}",) for label, index in zip(requests.label, requests.index, strict=True))
        return SampledImages(images=images, boxes=None, made_from=names)

    def interpolate(self, label: int, steps: int) -> np.ndarray | None:
        return None


def test_conditions_are_those_that_are_given():
    assert CONDITIONS == ("boxes", "mask", "source")
    assert requests().conditions == frozenset()
    assert requests(mask=np.zeros((COUNT, 4, 4))).conditions == {"mask"}
    assert with_every_condition().conditions == set(CONDITIONS)


@pytest.mark.parametrize("rows", [[4], [6, 0, 0], slice(2, 5), np.arange(COUNT) % 2 == 0], ids=str)
def test_rows_are_taken_with_all_their_conditions(rows):
    taken, whole = with_every_condition().take(rows), with_every_condition()
    for each in fields(Requests):
        np.testing.assert_array_equal(getattr(taken, each.name), getattr(whole, each.name)[rows])
    assert len(taken) == len(whole.index[rows])
    assert requests().take(rows).conditions == frozenset()


@pytest.mark.parametrize(("batch_size", "sizes"), [(1, [1] * 7), (3, [3, 3, 1]), (7, [7]), (100, [7])])
def test_batches_are_all_requests_in_order(batch_size, sizes):
    batches = list(with_every_condition().in_batches(batch_size))
    assert [len(batch) for batch in batches] == sizes
    for each in fields(Requests):
        joined = np.concatenate([getattr(batch, each.name) for batch in batches])
        np.testing.assert_array_equal(joined, getattr(with_every_condition(), each.name))


def test_batches_have_64_requests_unless_told_otherwise():
    assert BATCH_SIZE == 64
    assert [len(batch) for batch in first_requests(0, 130).in_batches()] == [64, 64, 2]
    assert list(first_requests(0, 0).in_batches()) == []


def test_first_requests_of_a_class_count_from_zero():
    first = first_requests(3, 4)
    np.testing.assert_array_equal(first.index, [0, 1, 2, 3])
    np.testing.assert_array_equal(first.label, [3, 3, 3, 3])
    assert first.label.dtype == np.int32
    assert first.conditions == frozenset()


def test_a_condition_that_is_not_taken_is_refused_by_name():
    with pytest.raises(ValueError, match="mask"):
        require_known_conditions(requests(mask=np.zeros((COUNT, 4, 4))), frozenset())
    with pytest.raises(ValueError, match="boxes.*source.*mask"):
        require_known_conditions(with_every_condition(), frozenset({"mask"}))
    require_known_conditions(with_every_condition(), frozenset(CONDITIONS))
    require_known_conditions(requests(), frozenset())


def test_a_sampler_of_a_few_images_answers_requests():
    """Whatever answers requests is a sampler; it need not be a network, nor have images without end."""
    sampler: Sampler = Album()
    assert [sampler.capacity(label) for label in range(3)] == [0, 2, 3]
    whole = first_requests(2, sampler.capacity(2))
    drawn = sampler.draw(whole)
    np.testing.assert_array_equal(drawn.images[:, 0, 0, 0], [200, 201, 202])
    assert drawn.made_from == (("2/0",), ("2/1",), ("2/2",))
    assert drawn.boxes is None
    assert sampler.interpolate(2, 5) is None
    parts = [sampler.draw(batch).images for batch in whole.in_batches(2)]
    np.testing.assert_array_equal(np.concatenate(parts), drawn.images)
    np.testing.assert_array_equal(sampler.draw(whole.take([2, 0])).images, drawn.images[[2, 0]])
    mask = np.zeros((1, 8, 8))
    mask[0, :2] = 1
    cut = sampler.draw(Requests(index=np.array([1]), label=np.array([1]), mask=mask)).images
    np.testing.assert_array_equal(cut[0, :, 0, 0], [101, 101, 0, 0, 0, 0, 0, 0])
    with pytest.raises(ValueError, match="boxes"):
        sampler.draw(Requests(index=np.array([1]), label=np.array([1]), boxes=np.zeros((1, 1, 4))))
