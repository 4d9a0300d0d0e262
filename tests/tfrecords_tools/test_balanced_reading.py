"""Batches balanced over the classes: exact fractions, and the order of any worker and after any resume."""

import numpy as np
import pytest

from tests.tfrecords_tools.tiny_shards import encoded, plain
from tfrecords_tools.example import Example
from tfrecords_tools.reading import training_batches
from tfrecords_tools.shards import write_examples
from tfrecords_tools.streams import ShardSet, Stream

SIDE = 8
LABELS = [0, 0, 1, 0, 0, 3, 0, 0, 1, 0, 3, 0, 1, 0]  # by number; there is none of class 2
COUNTS = (9, 3, 0, 2)


def write_shards(folder, labels, first=0) -> ShardSet:
    """Writes records in two shards; the age of each is its number."""
    folder.mkdir()
    examples = [
        Example(image=encoded(plain(90, (SIDE, SIDE))), image_name="", target=label, metadata={"age_approx": number})
        for number, label in enumerate(labels, start=first)
    ]
    parts = (examples[::2], examples[1::2])
    entries = [write_examples(folder, "train", index, part, num_classes=4) for index, part in enumerate(parts)]
    return ShardSet(tuple(str(folder / entry.file) for entry in entries), len(examples), SIDE)


@pytest.fixture(scope="module")
def shards(tmp_path_factory) -> ShardSet:
    return write_shards(tmp_path_factory.mktemp("balanced") / "real", LABELS)


def read(shards, steps, class_counts=COUNTS, others=(), **settings):
    """Returns labels and numbers of every batch, each `[steps, B]`."""
    fraction = 1 - sum(stream.fraction for stream in others)
    streams = [Stream(shards=shards, fraction=fraction, class_counts=class_counts), *others]
    settings = {"num_classes": 4, "image_size": SIDE, "global_batch_size": 4, "seed": 0, **settings}
    batches = list(training_batches(streams, **settings).take(steps).as_numpy_iterator())
    return [np.stack([batch[name] for batch in batches]) for name in ("label", "age_approx")]


@pytest.mark.parametrize("batch_size", [3, 4, 8])
def test_classes_have_equal_fractions_of_every_batch_to_within_one(shards, batch_size):
    labels, _ = read(shards, 9, global_batch_size=batch_size)
    counts = np.array([[np.sum(batch == label) for label in (0, 1, 3)] for batch in labels])
    assert counts.sum(axis=1).tolist() == [batch_size] * 9
    assert np.ptp(counts, axis=1).max() <= 1
    for start in (0, 3, 6):
        assert counts[start : start + 3].sum(axis=0).tolist() == [batch_size] * 3


def test_every_epoch_of_a_class_shows_each_image_once_in_an_order_of_its_own(shards):
    labels, numbers = (values.ravel() for values in read(shards, 27))
    for label in (0, 1, 3):
        own = [number for number, other in enumerate(LABELS) if other == label]
        drawn = numbers[labels == label][: 36 // len(own) * len(own)].reshape(-1, len(own))
        assert (np.sort(drawn, axis=1) == own).all()
        assert len({tuple(epoch) for epoch in drawn}) > 1


def test_fractions_without_counts_are_the_real_ones(shards):
    labels, _ = read(shards, 7, class_counts=None)
    assert np.bincount(labels.ravel(), minlength=4).tolist() == [18, 6, 0, 4]


def test_a_resumed_stream_is_the_undisturbed_one_from_there(shards):
    undisturbed = read(shards, 16)
    for step in (1, 4, 5, 13):
        for ours, theirs in zip(read(shards, 16 - step, start_step=step), undisturbed, strict=True):
            np.testing.assert_array_equal(ours, theirs[step:])


def test_two_workers_together_see_what_one_sees(shards):
    whole = read(shards, 6)
    slices = [read(shards, 6, num_workers=2, worker=worker, num_replicas=2) for worker in range(2)]
    for one, first, second in zip(whole, *slices, strict=True):
        np.testing.assert_array_equal(np.concatenate([first, second], axis=1), one)


def test_the_seed_decides_the_order(shards):
    orders = [read(shards, 6, seed=seed)[1].tolist() for seed in (0, 0, 1)]
    assert orders[0] == orders[1] != orders[2]


def test_real_images_among_synthetic_ones_are_balanced(shards, tmp_path):
    synthetic = write_shards(tmp_path / "synthetic", [2] * 6, first=100)
    labels, numbers = read(shards, 12, others=[Stream(shards=synthetic, fraction=0.25)])
    assert ((numbers >= 100).sum(axis=1) == 1).all()
    assert np.bincount(labels[numbers < 100]).tolist() == [12, 12, 0, 12]
