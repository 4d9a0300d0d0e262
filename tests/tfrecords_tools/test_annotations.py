"""Annotated streams: which images are read, and what they count for, told by their names."""

from dataclasses import replace

import numpy as np
import pytest

from tests.tfrecords_tools.numbered_shards import BATCH, SIDE, batches_of, write_set
from tests.tfrecords_tools.test_streams import taken
from tests.tfrecords_tools.tiny_shards import encoded, plain
from tfrecords_tools.example import Example
from tfrecords_tools.shards import write_examples
from tfrecords_tools.streams import Annotations, ShardSet, Stream

KEPT = (7, 2, 5)
SOFT = np.array([[0.25, 0.75], [1, 0], [0.5, 0.5]], np.float32)


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return write_set(tmp_path_factory.mktemp("annotated") / "set", "train", 0, (5, 4))


def annotated(shards, numbers=KEPT, **settings) -> Stream:
    names = tuple(f"image {number}" for number in numbers)
    metadata = {"sex": np.array(numbers), "patient_images": np.full(len(numbers), 3)}
    return Stream(shards=shards, annotations=Annotations(names=names, targets=SOFT, metadata=metadata), **settings)


def test_only_named_images_are_read_each_once_before_any_comes_again(shards):
    stream = annotated(shards)
    assert stream.num_images == 3
    found = taken([stream], 6)
    for pass_over in found["age_approx"].reshape(8, 3):
        assert sorted(pass_over) == sorted(KEPT)


def test_targets_and_metadata_are_those_of_the_annotations(shards):
    found = taken([annotated(shards)], 6)
    rows = [KEPT.index(age) for age in found["age_approx"]]
    np.testing.assert_array_equal(found["targets"], SOFT[rows])
    assert found["label"].tolist() == SOFT[rows].argmax(axis=1).tolist()
    assert found["sex"].tolist() == found["age_approx"].tolist()
    assert (found["patient_images"] == 3).all()


def test_annotations_of_one_stream_leave_the_others_alone(shards):
    other, own = Stream(shards=shards, fraction=0.5), annotated(shards, fraction=0.5)
    found = taken([other, own], 20)
    alone = taken([other, replace(own, annotations=None)], 20)
    is_other = found["stream"] == 0
    for name in ("age_approx", "targets", "label", "sex", "image"):
        np.testing.assert_array_equal(found[name][is_other], alone[name][is_other])
    assert (found["patient_images"][is_other] == -1).all()


@pytest.mark.parametrize("start", [1, 5])
def test_annotated_streams_resume_at_any_step(shards, start):
    streams = [Stream(shards=shards, fraction=0.5), annotated(shards, fraction=0.5)]
    undisturbed, resumed = taken(streams, 9), taken(streams, 9 - start, start_step=start)
    for name, values in resumed.items():
        np.testing.assert_array_equal(values, undisturbed[name][start * BATCH :])


def test_what_is_annotated_is_hidden_too_where_labels_are(shards):
    found = taken([annotated(shards, is_labelled=False)], 3)
    assert not found["targets"].any()
    assert (found["label"] == -1).all()


def test_of_an_image_without_a_label_only_what_test_images_have_is_told(tmp_path):
    """The diagnosis is as good as the label."""
    image = encoded(plain(3, (SIDE, SIDE)), quality=95)
    example = Example(
        image=image, image_name="one", metadata={"sex": 1, "diagnosis": 2}, target=1, width=SIDE, height=SIDE
    )
    entry = write_examples(tmp_path, "train", 0, [example], num_classes=2)
    shards = ShardSet((str(tmp_path / entry.file),), 1, SIDE)
    for is_labelled in (True, False):
        found = taken([Stream(shards=shards, is_labelled=is_labelled)], 1)
        assert (found["sex"] == 1).all()
        assert (found["diagnosis"] == (2 if is_labelled else -1)).all()


def test_names_that_repeat_and_classes_in_turns_are_refused(shards):
    with pytest.raises(ValueError, match="differ"):
        batches_of([annotated(shards, (2, 2, 5))])
    with pytest.raises(ValueError, match="class_counts"):
        batches_of([annotated(shards, class_counts=(2, 1))])


def test_an_image_is_read_as_often_in_a_pass_as_it_counts(shards):
    once = annotated(shards)
    stream = replace(once, annotations=replace(once.annotations, counts=np.array([1, 3, 2])))
    assert stream.num_images == 6
    found = taken([stream], 6)
    for pass_over in found["age_approx"].reshape(4, 6):
        assert sorted(pass_over) == sorted((7, 2, 2, 2, 5, 5))
    np.testing.assert_array_equal(taken([stream], 4, start_step=2)["age_approx"], found["age_approx"][2 * BATCH :])
