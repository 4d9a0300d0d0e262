"""Masks in batches: moved as their images, in streams of some classes too; images without one are not counted."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from melgan.classifiers.augmentation import AUGMENTATIONS
from tests.tfrecords_tools.numbered_shards import BATCH, SIDE, batches_of
from tests.tfrecords_tools.tiny_shards import encoded, plain
from tfrecords_tools.example import Example
from tfrecords_tools.manifest import Manifest
from tfrecords_tools.masks import encode_mask
from tfrecords_tools.reading import evaluation_batches
from tfrecords_tools.shards import write_examples
from tfrecords_tools.streams import Annotations, ShardSet, Stream, join, shard_set

LABELS = (0, 0, 1, 2, 0, 1, 0, 2, 1, 0)
UNMASKED = (1, 5, 9)


def mask_of(number: int) -> np.ndarray:
    """A corner of its own, which no flip or turn maps on itself."""
    mask = np.zeros((SIDE, SIDE), bool)
    mask[: 1 + number % 3, : 4 + number % 4] = True
    return mask


def image_of(number: int) -> np.ndarray:
    """White where the mask is, and grey elsewhere: a PNG, which TensorFlow decodes as it does a JPEG, without loss."""
    image = plain(number, (SIDE, SIDE))
    image[mask_of(number)] = 255
    return image


@pytest.fixture(scope="module")
def masked(tmp_path_factory) -> ShardSet:
    folder = tmp_path_factory.mktemp("masked")
    examples = [
        Example(
            image=encoded(image_of(number), "PNG"),
            image_name=f"{number}",
            metadata={"age_approx": number},
            target=label,
            mask=b"" if number in UNMASKED else encode_mask(mask_of(number)),
        )
        for number, label in enumerate(LABELS)
    ]
    entries = [write_examples(folder, "train", index, examples[index::2], 3) for index in range(2)]
    manifest = Manifest(
        source="",
        source_fingerprint="",
        folds_fingerprint="",
        classes=("a", "b", "c"),
        image_size=SIDE,
        encoder={},
        shards=tuple(entries),
    )
    return shard_set(folder, manifest, entries)


@pytest.fixture(scope="module")
def boxed(tmp_path_factory) -> ShardSet:
    """Four images: without a box, with one, with two, with one."""
    folder = tmp_path_factory.mktemp("boxed")
    boxes = ((), ((0.0, 0.0, 0.5, 0.25),), ((0.5, 0.5, 1.0, 1.0), (0.0, 0.0, 0.25, 0.25)), ((0.25, 0.0, 1.0, 0.5),))
    examples = [
        Example(image=encoded(plain(number, (SIDE, SIDE)), "JPEG"), image_name=f"{number}", target=0, boxes=own)
        for number, own in enumerate(boxes)
    ]
    entry = write_examples(folder, "train", 0, examples, 1)
    return ShardSet((str(folder / entry.file),), 4, SIDE, class_counts=(4,), boxed_counts=entry.boxed_counts)


def taken(streams: list[Stream], steps: int, **settings) -> dict[str, np.ndarray]:
    """Returns the images of some batches, one after the other, by feature."""
    batches = list(batches_of(streams, num_classes=3, **settings).take(steps).as_numpy_iterator())
    return {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}


def test_images_and_masks_are_counted_by_class(masked):
    assert (masked.num_records, masked.class_counts, masked.masked_counts) == (10, (5, 3, 2), (3, 2, 2))
    joined = join([masked, masked])
    assert (joined.class_counts, joined.masked_counts) == ((10, 6, 4), (6, 4, 4))
    assert join([masked, ShardSet(("x",), 1, SIDE)]).class_counts == ()
    for settings, count in (({}, 10), ({"labels": (0, 2)}, 7), ({"outlined_by": "masks"}, 7)):
        assert Stream(shards=masked, **settings).num_images == count
    assert Stream(shards=masked, labels=(1,), outlined_by="masks").num_images == 2


def test_every_mask_comes_with_its_image_and_images_without_one_never(masked):
    dataset = batches_of([Stream(shards=masked, outlined_by="masks")], num_classes=3)
    assert dataset.element_spec["mask"] == tf.TensorSpec((BATCH, SIDE, SIDE, 1), tf.uint8)
    found = taken([Stream(shards=masked, outlined_by="masks")], 7)
    assert np.bincount(found["age_approx"]).tolist() == [0 if n in UNMASKED else 4 for n in range(9)]
    for number, image, mask in zip(found["age_approx"], found["image"], found["mask"], strict=True):
        np.testing.assert_array_equal(mask[..., 0], 255 * mask_of(number))
        np.testing.assert_array_equal(image, image_of(number))


def test_a_mask_is_flipped_and_turned_as_its_image(masked):
    found = taken([Stream(shards=masked, outlined_by="masks")], 14, augment=AUGMENTATIONS["dihedral"])
    np.testing.assert_array_equal(found["mask"][..., 0] == 255, found["image"][..., 0] == 255)
    of_zero = {mask.tobytes() for number, mask in zip(found["age_approx"], found["mask"], strict=True) if not number}
    assert len(of_zero) > 4  # in eight pictures


def test_a_mask_is_of_the_first_of_several_views(masked):
    settings = {"outlined_by": "masks", "num_views": 2}
    found = taken([Stream(shards=masked, **settings)], 7, augment=AUGMENTATIONS["dihedral"])
    np.testing.assert_array_equal(found["mask"][..., 0] == 255, found["views"][:, 0, ..., 0] == 255)


def test_masks_of_another_size_have_the_pixels_that_are_half_lesion_or_more(masked):
    unscaled = replace(masked, stored_size=SIDE - 1)  # a PNG cannot be decoded at a scale
    small, large = (
        next(evaluation_batches(unscaled, image_size=side, batch_size=7, outlined_by="masks").as_numpy_iterator())
        for side in (SIDE // 2, 2 * SIDE)
    )
    for row, number in enumerate(large["image_name"].astype(int)):
        mask = mask_of(number)
        share = mask.reshape(SIDE // 2, 2, SIDE // 2, 2).mean(axis=(1, 3))
        np.testing.assert_array_equal(small["mask"][row, ..., 0], 255 * (share >= 0.5))
        np.testing.assert_array_equal(large["mask"][row, ..., 0], 255 * mask.repeat(2, 0).repeat(2, 1))


def test_evaluation_reads_masks_where_they_are_asked_for_and_leaves_the_others_out(masked):
    (batch,) = evaluation_batches(masked, image_size=SIDE, batch_size=10, outlined_by="masks").as_numpy_iterator()
    assert batch["image_name"].astype(int).tolist() == [0, 2, 4, 6, 8, 3, 7]
    (batch,) = evaluation_batches(masked, image_size=SIDE, batch_size=10).as_numpy_iterator()
    assert len(batch["image"]) == 10
    assert "mask" not in batch


@pytest.mark.parametrize(("labels", "epoch"), [((1,), [2, 5, 8]), ((0, 2), [0, 1, 3, 4, 6, 7, 9])])
def test_a_stream_of_some_classes_goes_through_their_images_and_no_others(masked, labels, epoch):
    found = taken([Stream(shards=masked, labels=labels)], len(epoch))["age_approx"]
    for start in range(0, len(found), len(epoch)):
        assert sorted(found[start : start + len(epoch)]) == epoch


def test_two_classes_are_mixed_from_one_set_and_resume_at_any_step(masked):
    streams = [Stream(shards=masked, fraction=0.5, labels=(label,), outlined_by="masks") for label in (0, 1)]
    undisturbed = taken(streams, 9)
    assert (undisturbed["label"] == undisturbed["stream"]).all()
    assert np.bincount(undisturbed["label"]).tolist() == [18, 18]
    for start in (1, 4):
        for name, values in taken(streams, 9 - start, start_step=start).items():
            np.testing.assert_array_equal(values, undisturbed[name][start * BATCH :])


def test_classes_take_turns_among_the_images_with_masks(masked):
    found = taken([Stream(shards=masked, class_counts=masked.masked_counts, outlined_by="masks")], 6)
    assert np.bincount(found["label"]).tolist() == [8, 8, 8]
    assert not set(found["age_approx"]) & set(UNMASKED)


def test_what_cannot_be_read_together_is_refused(masked):
    named = Annotations(names=("0",), targets=np.eye(3)[:1])
    wrong = [
        Stream(shards=masked, labels=(0,), class_counts=(5, 3, 2)),
        Stream(shards=masked, labels=(0,), annotations=named),
        Stream(shards=masked, outlined_by="masks", annotations=named),
        Stream(shards=masked, labels=(3,)),
        Stream(shards=ShardSet(masked.paths, 10, SIDE), outlined_by="masks"),
    ]
    for stream in wrong:
        with pytest.raises(ValueError, match="stream"):
            batches_of([stream], num_classes=3)
    with pytest.raises(ValueError, match="outlined_by"):
        batches_of(
            [Stream(shards=masked, fraction=0.5, outlined_by=outlines) for outlines in ("masks", "")], num_classes=3
        )


@pytest.mark.parametrize("side", [SIDE, SIDE // 2])
def test_boxes_are_read_as_masks_and_images_without_are_left_out(boxed, side):
    settings = {"image_size": side, "batch_size": 4, "outlined_by": "boxes"}
    (batch,) = evaluation_batches(boxed, **settings).as_numpy_iterator()
    assert (batch["mask"].shape, batch["mask"].dtype) == ((3, side, side, 1), np.uint8)
    expected = np.zeros((3, side, side), np.uint8)
    half, quarter = side // 2, side // 4
    expected[0, :quarter, :half] = 255
    expected[1, half:, half:] = expected[1, :quarter, :quarter] = 255
    expected[2, :half, quarter:] = 255
    np.testing.assert_array_equal(batch["mask"][..., 0], expected)


def test_boxes_are_moved_as_their_images_are(boxed):
    stream = Stream(shards=boxed, outlined_by="boxes")
    assert stream.num_images == 3
    dataset = batches_of([stream], num_classes=1, augment=AUGMENTATIONS["dihedral"]).take(9)
    masks = np.concatenate([batch["mask"] for batch in dataset.as_numpy_iterator()])
    counts = {int((mask > 0).sum()) for mask in masks}
    assert counts == {SIDE**2 // 8, 5 * SIDE**2 // 16, 3 * SIDE**2 // 8}
    assert len({mask.tobytes() for mask in masks}) > 3
