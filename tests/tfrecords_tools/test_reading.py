"""Reading: one order for every number of workers and after every resume, exact mixing, static shapes."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.tfrecords_tools.numbered_shards import BATCH, SIDE, batches_of, noisy, numbers, read, write_set
from tests.tfrecords_tools.tiny_shards import encoded, plain
from tfrecords_tools import reading, streams
from tfrecords_tools.example import Example
from tfrecords_tools.reading import evaluation_batches, training_batches
from tfrecords_tools.shards import write_examples
from tfrecords_tools.streams import ShardSet, Stream, join

SYNTHETIC = 100  # synthetic records are numbered from here


@pytest.fixture(scope="module")
def real(tmp_path_factory) -> ShardSet:
    return write_set(tmp_path_factory.mktemp("reading") / "real", "train", 0, (7, 8, 5))


@pytest.fixture(scope="module")
def synthetic(tmp_path_factory) -> ShardSet:
    return write_set(tmp_path_factory.mktemp("reading") / "synthetic", "synthetic", SYNTHETIC, (4, 2))


def mixed_with(synthetic: ShardSet, fraction: float) -> list[Stream]:
    return [Stream(shards=synthetic, fraction=fraction)] if fraction else []


def assert_equal(ours: list[dict], theirs: list[dict]) -> None:
    assert len(ours) == len(theirs)
    for one, other in zip(ours, theirs, strict=True):
        assert one.keys() == other.keys()
        for name in one:
            np.testing.assert_array_equal(one[name], other[name])


@pytest.mark.parametrize("window", [8192, 6])
def test_an_epoch_holds_each_record_once_in_an_order_of_its_own(real, monkeypatch, window):
    monkeypatch.setattr(streams, "SHUFFLE_WINDOW", window)
    order = numbers(read(real, 15))
    epochs = [order[:20], order[20:40], order[40:]]
    assert [sorted(epoch) for epoch in epochs] == [list(range(20))] * 3
    assert len({tuple(epoch) for epoch in [*epochs, range(20)]}) == 4


def test_records_are_shuffled_within_windows_each_in_its_own_way(tmp_path, monkeypatch):
    monkeypatch.setattr(streams, "SHUFFLE_WINDOW", 6)
    order = np.array(numbers(read(write_set(tmp_path / "one", "train", 0, (12,)), 3))).reshape(2, 6)
    assert np.sort(order).tolist() == np.arange(12).reshape(2, 6).tolist()
    assert (order[0] != order[1] - 6).any()


def test_a_batch_holds_image_label_and_metadata_of_its_records(real):
    for batch in read(real, 5):
        assert batch["label"].tolist() == [number % 2 for number in batch["age_approx"]]
        assert (batch["image"] == batch["age_approx"].reshape(BATCH, 1, 1, 1)).all()
        assert (batch["sex"] == -1).all()


@pytest.mark.parametrize("replicas", [1, 2])
def test_shapes_are_static(real, replicas):
    batches = batches_of([Stream(shards=real)], num_replicas=replicas)
    per_replica = BATCH // replicas
    metadata = ("sex", "age_approx", "anatom_site_general_challenge", "diagnosis", "patient_images")
    assert batches.element_spec == {
        "image": tf.TensorSpec((per_replica, SIDE, SIDE, 3), tf.uint8),
        "targets": tf.TensorSpec((per_replica, 2), tf.float32),
        "is_labelled": tf.TensorSpec((per_replica,), tf.bool),
        **{name: tf.TensorSpec((per_replica,), tf.int32) for name in ("label", "stream", *metadata)},
    }


def test_no_thread_tunes_the_batches_whose_sleep_the_end_of_a_training_would_wait_for(real):
    """With TensorFlow 2.21 an end of training took as long again as the training had, up to a minute."""
    training = training_batches(
        [Stream(shards=real, fraction=1.0)], num_classes=2, image_size=SIDE, global_batch_size=4, seed=0
    )
    both = training, evaluation_batches(real, image_size=SIDE, batch_size=6)
    assert [each.options().autotune.enabled for each in both] == [False, False]


def test_the_seed_decides_the_order_and_nothing_else_does(real):
    orders = []
    for global_seed, seed in ((1, 0), (2, 0), (1, 5)):
        tf.random.set_seed(global_seed)
        orders.append(numbers(read(real, 5, seed=seed)))
    assert orders[0] == orders[1] != orders[2]


@pytest.mark.parametrize(("workers", "replicas"), [(1, 2), (2, 2), (2, 4), (4, 4)])
@pytest.mark.parametrize("fraction", [0.0, 0.25])
def test_workers_together_see_what_one_sees(real, synthetic, workers, replicas, fraction):
    others = mixed_with(synthetic, fraction)
    settings = {"num_workers": workers, "num_replicas": replicas, "augment": noisy}
    slices = [read(real, 6 * replicas // workers, *others, worker=worker, **settings) for worker in range(workers)]
    per_worker = replicas // workers
    together = [
        batch
        for step in range(6)
        for worker in range(workers)
        for batch in slices[worker][step * per_worker : (step + 1) * per_worker]
    ]
    for name in ("age_approx", "image"):
        ours = np.concatenate([batch[name] for batch in together])
        theirs = np.concatenate([batch[name] for batch in read(real, 6, *others, augment=noisy)])
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("fraction", [0.0, 0.25, 0.4])
def test_a_resumed_stream_is_the_undisturbed_one_from_there(real, synthetic, fraction):
    others = mixed_with(synthetic, fraction)
    undisturbed = read(real, 14, *others, augment=noisy)
    for step in (1, 5, 12):
        assert_equal(read(real, 14 - step, *others, start_step=step, augment=noisy), undisturbed[step:])


def test_each_image_is_augmented_with_a_seed_of_its_own_in_every_epoch(real):
    noise = [
        (batch["image"].astype(int) - batch["age_approx"].reshape(-1, 1, 1, 1)).tobytes()
        for batch in read(real, 40, global_batch_size=1, augment=noisy)
    ]
    assert len(set(noise)) == 40


def test_an_augmentation_that_changes_the_shape_is_refused(real):
    with pytest.raises(ValueError, match="shape"):
        read(real, 1, augment=lambda image, seed: image[:4])


@pytest.mark.parametrize(("fraction", "expected"), [(0.0, 0), (0.25, 25), (0.5, 50), (0.1, 10), (0.75, 75)])
def test_the_synthetic_fraction_is_exact_and_even(real, synthetic, fraction, expected):
    order = np.array(numbers(read(real, 25, *mixed_with(synthetic, fraction))))
    is_synthetic = order >= SYNTHETIC
    assert is_synthetic.sum() == expected
    assert np.abs(np.cumsum(is_synthetic) - fraction * np.arange(1, 101)).max() < 1


def test_mixing_changes_the_order_of_neither_stream(real, synthetic):
    mixed = numbers(read(real, 20, *mixed_with(synthetic, 0.5)))
    assert [number for number in mixed if number < SYNTHETIC] == numbers(read(real, 10))
    drawn = [number for number in mixed if number >= SYNTHETIC]
    assert [sorted(drawn[start : start + 6]) for start in range(0, 36, 6)] == [list(range(100, 106))] * 6


def test_evaluation_is_in_stored_order_and_complete(real):
    batches = list(evaluation_batches(real, image_size=SIDE, batch_size=6).as_numpy_iterator())
    assert [len(batch["label"]) for batch in batches] == [6, 6, 6, 2]
    whole = {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}
    assert whole["image_name"].tolist() == [f"image {number}".encode() for number in range(20)]
    assert whole["patient_id"].tolist() == [number // 3 for number in range(20)]
    assert whole["label"].tolist() == [0, 1] * 10
    assert whole["image"].shape == (20, SIDE, SIDE, 3)
    assert (whole["image"] == np.arange(20).reshape(20, 1, 1, 1)).all()


BOXES = ((0.0, 0.25, 0.5, 1.0), (0.5, 0.5, 0.75, 0.75), (0.0, 0.0, 0.125, 0.125))


@pytest.fixture(scope="module")
def boxed(tmp_path_factory) -> ShardSet:
    """Four records with 0, 1, 2 and 3 boxes, which their ages tell."""
    folder, image = tmp_path_factory.mktemp("boxed"), encoded(plain(9, (SIDE, SIDE)))
    examples = [
        Example(image=image, image_name="", metadata={"age_approx": count}, target=0, boxes=BOXES[:count])
        for count in range(4)
    ]
    entry = write_examples(folder, "train", 0, examples, 1)
    return ShardSet((str(folder / entry.file),), 4, SIDE)


@pytest.mark.parametrize("max_boxes", [1, 2, 5])
def test_boxes_are_read_where_they_are_asked_for_with_zeros_where_there_are_fewer(boxed, max_boxes):
    expected = np.zeros((4, max_boxes, 4), np.float32)
    for count in range(4):
        kept = BOXES[: min(count, max_boxes)]
        expected[count, : len(kept)] = np.reshape(kept, (-1, 4))
    training = batches_of([Stream(shards=boxed)], max_boxes=max_boxes)
    assert training.element_spec["boxes"] == tf.TensorSpec((BATCH, max_boxes, 4), tf.float32)
    (evaluated,) = evaluation_batches(boxed, image_size=SIDE, batch_size=4, max_boxes=max_boxes).as_numpy_iterator()
    np.testing.assert_array_equal(evaluated["boxes"], expected)
    for batch in read(boxed, 2, max_boxes=max_boxes):
        np.testing.assert_array_equal(batch["boxes"], expected[batch["age_approx"]])


def test_shards_without_boxes_have_none_and_can_be_mixed_with_others(real, boxed):
    assert not any(batch["boxes"].any() for batch in read(real, 2, max_boxes=2))
    mixed = read(real, 4, *mixed_with(boxed, 0.5), max_boxes=1)
    assert sum(batch["boxes"].any(axis=(1, 2)).sum() for batch in mixed) == 6  # of 8 drawn, a quarter has none


def test_without_being_asked_for_boxes_are_not_in_the_batches(boxed):
    assert "boxes" not in read(boxed, 1)[0]


def test_boxes_of_augmented_images_are_refused(boxed):
    with pytest.raises(ValueError, match="max_boxes is 2"):
        read(boxed, 1, max_boxes=2, augment=noisy)


def test_test_shards_have_no_label(tmp_path):
    shards = write_set(tmp_path / "test", "test", 0, (3,), labelled=False)
    (batch,) = evaluation_batches(shards, image_size=SIDE, batch_size=3).as_numpy_iterator()
    assert batch["label"].tolist() == [-1, -1, -1]


PUBLIC_METADATA = {"sex": 1, "age_approx": 45, "anatom_site_general_challenge": 3}


def write_public(path, number: int, **features: int) -> ShardSet:
    """Writes one record as the authors of the public Kaggle shards did."""
    feature = {
        "image": tf.train.Feature(bytes_list=tf.train.BytesList(value=[encoded(plain(90, (SIDE, SIDE)), quality=95)])),
        "image_name": tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"ISIC_0000001"])),
    }
    for name, value in features.items():
        feature[name] = tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))
    with tf.io.TFRecordWriter(str(path)) as writer:
        for _ in range(number):
            writer.write(tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString())
    return ShardSet((str(path),), number, SIDE)


@pytest.mark.parametrize(
    ("extra", "label", "diagnosis"),
    [
        ({"diagnosis": 2, "target": 1, "width": SIDE, "height": SIDE}, 1, 2),
        ({"diagnosis": 2, "target": 1}, 1, 2),
        ({}, -1, -1),
        ({"source": 4, "target": 0}, 0, -1),
        ({"source": 4, "target": 0, "width": 6000, "height": 4000}, 0, -1),
    ],
    ids=["train", "train without size", "test", "source for diagnosis", "size of the original"],
)
def test_the_public_shards_are_read(tmp_path, extra, label, diagnosis):
    shards = write_public(tmp_path / "train00-4.tfrec", 4, patient_id=7, **PUBLIC_METADATA, **extra)
    (batch,) = evaluation_batches(shards, image_size=SIDE, batch_size=4).as_numpy_iterator()
    assert batch["image_name"].tolist() == [b"ISIC_0000001"] * 4
    expected = {"label": label, "diagnosis": diagnosis, "patient_id": 7, **PUBLIC_METADATA}
    assert {name: batch[name].tolist() for name in expected} == {name: [value] * 4 for name, value in expected.items()}
    for images in (batch["image"], read(shards, 1)[0]["image"]):
        assert (images == 90).all()


PUBLIC_TEST = {
    "image": tf.io.FixedLenFeature([], tf.string),
    "image_name": tf.io.FixedLenFeature([], tf.string),
    **{name: tf.io.FixedLenFeature([], tf.int64) for name in ("patient_id", *PUBLIC_METADATA)},
}
PUBLIC_TRAIN = {
    **PUBLIC_TEST,
    **{name: tf.io.FixedLenFeature([], tf.int64) for name in ("diagnosis", "target", "width", "height")},
}


@pytest.mark.parametrize(("split", "features"), [("train", PUBLIC_TRAIN), ("test", PUBLIC_TEST)])
def test_the_readers_of_the_public_notebooks_read_ours(tmp_path, split, features):
    shards = write_set(tmp_path / split, split, 0, (5,), labelled=split == "train")
    records = tf.data.TFRecordDataset(list(shards.paths))
    parsed = [tf.io.parse_single_example(record, features) for record in records]
    assert [example["image_name"].numpy() for example in parsed] == [b"image %d" % number for number in range(5)]
    assert [int(example["patient_id"]) for example in parsed] == [0, 0, 0, 1, 1]
    assert [int(example["age_approx"]) for example in parsed] == [0, 1, 2, 3, 4]
    assert [int(example["sex"]) for example in parsed] == [-1] * 5
    images = [tf.io.decode_jpeg(example["image"], channels=3).numpy() for example in parsed]
    assert [image[0, 0, 0] for image in images] == [0, 1, 2, 3, 4]
    if split == "train":
        assert [int(example["target"]) for example in parsed] == [0, 1, 0, 1, 0]
        assert {(int(example["width"]), int(example["height"])) for example in parsed} == {(SIDE, SIDE)}


def test_records_of_others_need_only_an_image(tmp_path):
    path = str(tmp_path / "theirs.tfrec")
    message = tf.train.Example()
    message.features.feature["image"].bytes_list.value.append(encoded(plain(90, (SIDE, SIDE)), quality=95))
    message.features.feature["colour"].float_list.value.extend([0.5, 0.25])
    with tf.io.TFRecordWriter(path) as writer:
        writer.write(message.SerializeToString())
    shards = ShardSet((path,), num_records=1, stored_size=SIDE)
    (batch,) = evaluation_batches(shards, image_size=SIDE, batch_size=1).as_numpy_iterator()
    assert (batch["image"] == 90).all()
    assert (batch["image_name"], batch["patient_id"], batch["label"], batch["sex"]) == (b"", -1, -1, -1)
    assert (read(shards, 1)[0]["image"] == 90).all()


def chessboard() -> bytes:
    """A JPEG `[32, 32]` of black and light squares of 8 pixels, which its blocks hold without loss."""
    rows, columns = np.mgrid[0:32, 0:32] // 8
    buffer = io.BytesIO()
    Image.fromarray(((rows + columns) % 2 * 200).astype(np.uint8)).convert("RGB").save(buffer, "JPEG", subsampling=0)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("image_size", "expected"),
    [
        (2, np.full((2, 2), 100)),
        (4, np.indices((4, 4)).sum(axis=0) % 2 * 200),
        (64, (np.indices((64, 64)) // 16).sum(axis=0) % 2 * 200),
    ],
)
def test_images_of_another_size_are_resized_by_area_to_a_static_shape(tmp_path, image_size, expected):
    entry = write_examples(tmp_path, "train", 0, [Example(image=chessboard(), image_name="", target=0)] * 4, 1)
    shards = ShardSet((str(tmp_path / entry.file),), num_records=4, stored_size=32)
    training = batches_of([Stream(shards=shards)], num_classes=1, image_size=image_size, global_batch_size=2)
    assert training.element_spec["image"].shape == (2, image_size, image_size, 3)
    for batches in (training, evaluation_batches(shards, image_size=image_size, batch_size=4)):
        image = next(batches.as_numpy_iterator())["image"]
        assert image.dtype == np.uint8
        assert np.abs(image.astype(int) - expected[None, :, :, None]).max() <= 2


@pytest.mark.parametrize(
    ("stored_size", "image_size", "scale"),
    [
        (512, 512, 1),
        (512, 256, 2),
        (512, 257, 1),
        (512, 200, 2),
        (511, 256, 1),
        (512, 128, 4),
        (512, 64, 8),
        (512, 8, 8),
    ]
    + [(128, 256, 1), (0, 256, 1)],
)
def test_images_are_decoded_at_the_smallest_scale_that_leaves_nothing_to_enlarge(stored_size, image_size, scale):
    assert reading._decode_scale(stored_size, image_size) == scale


@pytest.mark.parametrize(("image_size", "stored_size"), [(48, 96), (40, 96), (24, 96), (48, 0), (96, 96), (13, 96)])
def test_a_decode_at_reduced_scale_shows_what_a_full_one_would(tmp_path, image_size, stored_size):
    coarse = np.random.default_rng(0).integers(0, 256, (6, 6, 3), np.uint8)
    pixels = np.asarray(Image.fromarray(coarse).resize((96, 96), Image.Resampling.BICUBIC))
    entry = write_examples(
        tmp_path, "train", 0, [Example(image=encoded(pixels, quality=95, subsampling=0), image_name="")], 1
    )
    shards = ShardSet((str(tmp_path / entry.file),), num_records=1, stored_size=stored_size)
    (batch,) = evaluation_batches(shards, image_size=image_size, batch_size=1).as_numpy_iterator()
    expected = tf.image.resize(pixels, (image_size, image_size), method="area").numpy()
    assert 10 * np.log10(255**2 / np.mean(np.square(batch["image"][0] - expected))) > 35


def test_the_smallest_of_two_streams_decides_the_scale(real, tmp_path):
    entry = write_examples(tmp_path, "synthetic", 0, [Example(image=chessboard(), image_name="", target=0)] * 2, 1)
    large = ShardSet((str(tmp_path / entry.file),), num_records=2, stored_size=32)
    for image_size in (2, 4, SIDE, 16):
        for batch in read(real, 2, *mixed_with(large, 0.5), image_size=image_size):
            assert batch["image"].shape == (BATCH, image_size, image_size, 3)


def test_the_mean_of_an_area_is_rounded(tmp_path):
    pixels = plain(11, (16, 16))
    pixels[:8, :8] = 10  # the mean is 10.75
    entry = write_examples(tmp_path, "train", 0, [Example(image=encoded(pixels, quality=95), image_name="")], 1)
    shards = ShardSet((str(tmp_path / entry.file),), num_records=1, stored_size=16)
    (batch,) = evaluation_batches(shards, image_size=1, batch_size=1).as_numpy_iterator()
    assert batch["image"].tolist() == [[[[11, 11, 11]]]]


def test_a_set_of_shards_counts_its_records_and_knows_their_size(real, synthetic):
    assert [path.rsplit("/", 1)[1] for path in real.paths] == ["train00-7.tfrec", "train01-8.tfrec", "train02-5.tfrec"]
    assert (real.num_records, real.stored_size) == (20, SIDE)
    joined = join([real, synthetic])
    assert (joined.paths, joined.num_records, joined.stored_size) == ((*real.paths, *synthetic.paths), 26, SIDE)
    assert (joined.class_counts, joined.masked_counts) == ((13, 13), (0, 0))


def test_sets_of_mixed_sizes_are_joined_and_resized(real, tmp_path):
    entry = write_examples(tmp_path, "train", 0, [Example(image=chessboard(), image_name="", target=0)], 1)
    joined = join([real, ShardSet((str(tmp_path / entry.file),), 1, 32)])
    assert (joined.num_records, joined.stored_size) == (21, 0)
    (batch,) = evaluation_batches(joined, image_size=SIDE, batch_size=21).as_numpy_iterator()
    assert batch["image"].shape == (21, SIDE, SIDE, 3)
