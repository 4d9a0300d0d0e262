"""Streams: any number of them mixed by fractions, with hidden labels, soft targets, and several views of an image."""

import numpy as np
import pytest
import tensorflow as tf

from tests.tfrecords_tools.numbered_shards import BATCH, SIDE, batches_of, noisy, write_set
from tfrecords_tools.streams import Stream

FIRST = (0, 100, 200)  # number of the first record of each set


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    folder = tmp_path_factory.mktemp("streams")
    return [write_set(folder / str(first), "train", first, (5, 4)) for first in FIRST]


def streams_of(sets, *fractions, **settings) -> list[Stream]:
    return [Stream(shards=shards, fraction=f, **settings) for shards, f in zip(sets, fractions, strict=False)]


def taken(streams, steps, **settings) -> dict[str, np.ndarray]:
    """Returns the images of some batches, one after the other, by feature."""
    batches = list(batches_of(streams, **settings).take(steps).as_numpy_iterator())
    return {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}


@pytest.mark.parametrize("fractions", [(1.0,), (0.5, 0.5), (0.75, 0.25), (0.5, 0.25, 0.25), (0.2, 0.5, 0.3)])
def test_each_stream_has_its_fraction_of_every_stretch(sets, fractions):
    found = taken(streams_of(sets, *fractions), 50)
    for number, fraction in enumerate(fractions):
        own = found["stream"] == number
        assert (found["age_approx"][own] // 100 == number).all()
        assert np.abs(np.cumsum(own) - fraction * np.arange(1, 201)).max() < len(fractions)


def test_a_third_stream_leaves_the_order_of_the_first_two_as_it_is(sets):
    two, three = (taken(streams_of(sets, *fractions), 40) for fractions in ((0.5, 0.5), (0.4, 0.4, 0.2)))
    for number in range(2):
        own, again = (found["age_approx"][found["stream"] == number] for found in (two, three))
        length = min(len(own), len(again))
        assert own[:length].tolist() == again[:length].tolist()


@pytest.mark.parametrize("start", [1, 6, 11])
def test_mixed_streams_resume_at_any_step(sets, start):
    streams = streams_of(sets, 0.5, 0.3, 0.2)
    undisturbed, resumed = taken(streams, 15), taken(streams, 15 - start, start_step=start)
    for name, values in resumed.items():
        np.testing.assert_array_equal(values, undisturbed[name][start * BATCH :])


def test_two_workers_together_see_what_one_sees(sets):
    streams = streams_of(sets, 0.5, 0.3, 0.2)
    whole = taken(streams, 10)["age_approx"].reshape(10, 2, BATCH // 2)
    slices = [taken(streams, 10, num_workers=2, worker=worker, num_replicas=2)["age_approx"] for worker in range(2)]
    np.testing.assert_array_equal(np.stack(slices).reshape(2, 10, BATCH // 2).swapaxes(0, 1), whole)


@pytest.mark.parametrize("fractions", [(0.5, 0.4), (0.7, 0.4), (1.0, 0.0), (1.5, -0.5)])
def test_fractions_that_do_not_add_up_to_one_are_refused(sets, fractions):
    with pytest.raises(ValueError, match="fractions"):
        batches_of(streams_of(sets, *fractions))


def test_targets_are_one_for_the_label_and_none_where_it_is_hidden(sets):
    streams = [Stream(shards=sets[0], fraction=0.5), Stream(shards=sets[1], fraction=0.5, is_labelled=False)]
    found = taken(streams, 20)
    hidden, expected = found["stream"] == 1, found["age_approx"] % 2
    assert found["is_labelled"].tolist() == (~hidden).tolist()
    assert found["label"].tolist() == np.where(hidden, -1, expected).tolist()
    assert found["targets"].dtype == np.float32
    np.testing.assert_array_equal(found["targets"], np.where(hidden[:, None], 0, np.eye(2)[expected]))


def test_an_image_that_has_no_label_has_no_target(tmp_path):
    shards = write_set(tmp_path / "test", "test", 0, (4,), labelled=False)
    found = taken([Stream(shards=shards)], 1)
    assert (found["label"] == -1).all()
    assert not found["targets"].any()
    assert found["is_labelled"].all()  # of a stream whose labels may be known, if there are any


def test_one_view_an_image_is_no_views(sets):
    assert "views" not in batches_of(streams_of(sets, 1.0), augment=noisy).element_spec


def test_a_stream_may_give_several_views_each_augmented_by_itself_the_first_being_the_image(sets):
    alone = taken(streams_of(sets, 1.0), 6, augment=noisy)
    found = taken(streams_of(sets, 1.0, num_views=3), 6, augment=noisy)
    assert found["views"].shape == (24, 3, SIDE, SIDE, 3)
    np.testing.assert_array_equal(found["views"][:, 0], alone["image"])
    np.testing.assert_array_equal(found["image"], alone["image"])
    noise = found["views"].astype(int) - found["age_approx"].reshape(-1, 1, 1, 1, 1)
    assert len({view.tobytes() for views in noise for view in views}) == 24 * 3


def test_a_stream_of_fewer_views_repeats_its_last_one(sets):
    streams = [Stream(shards=sets[0], fraction=0.5), Stream(shards=sets[1], fraction=0.5, num_views=2)]
    found = taken(streams, 10, augment=noisy)
    same = (found["views"][:, 0] == found["views"][:, 1]).all(axis=(1, 2, 3))
    assert same.tolist() == (found["stream"] == 0).tolist()


def test_views_are_the_same_after_a_resume(sets):
    streams = streams_of(sets, 0.5, 0.5, num_views=2)
    undisturbed, resumed = taken(streams, 6, augment=noisy), taken(streams, 2, augment=noisy, start_step=4)
    np.testing.assert_array_equal(resumed["views"], undisturbed["views"][4 * BATCH :])


def test_shapes_are_static(sets):
    spec = batches_of(streams_of(sets, 0.5, 0.5, num_views=2), augment=noisy, num_replicas=2).element_spec
    assert spec["views"] == tf.TensorSpec((BATCH // 2, 2, SIDE, SIDE, 3), tf.uint8)
    assert spec["targets"] == tf.TensorSpec((BATCH // 2, 2), tf.float32)
