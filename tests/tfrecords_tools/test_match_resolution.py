"""Images stored in several sizes, brought through the same: neither sharpness nor traces of JPEG tell them apart."""

import numpy as np
import pytest
import scipy.fft

from melgan.metrics.classification import auc
from tests.tfrecords_tools.numbered_shards import batches_of
from tests.tfrecords_tools.tiny_shards import encoded
from tfrecords_tools.example import Example
from tfrecords_tools.images import JPEG_QUALITY, encode_jpeg
from tfrecords_tools.reading import evaluation_batches
from tfrecords_tools.shards import write_examples
from tfrecords_tools.sources.phantom import IMAGE_SIZE, Traits, draw_lesion
from tfrecords_tools.streams import ShardSet, Stream, join

COUNT, SMALL = 64, IMAGE_SIZE // 2


def write(folder, images: list[bytes], stored_size: int, quality: int = JPEG_QUALITY) -> ShardSet:
    folder.mkdir()
    examples = [Example(image=image, image_name="", target=0) for image in images]
    entry = write_examples(folder, "train", 0, examples, num_classes=1)
    return ShardSet((str(folder / entry.file),), len(images), stored_size, quality)


def lesions(first: int) -> list[np.ndarray]:
    rngs = [np.random.default_rng([first, number]) for number in range(COUNT)]
    return [draw_lesion(Traits(*rng.normal(size=4)), rng.random(), rng) for rng in rngs]


@pytest.fixture(scope="module")
def real(tmp_path_factory) -> ShardSet:
    images = [encode_jpeg(image, JPEG_QUALITY) for image in lesions(0)]
    return write(tmp_path_factory.mktemp("real") / "shards", images, IMAGE_SIZE)


@pytest.fixture(scope="module")
def synthetic(tmp_path_factory) -> ShardSet:
    """The images of a perfect generator of half the size: others of the same kind, as it would have seen them."""
    folder = tmp_path_factory.mktemp("synthetic")
    large = write(folder / "large", [encode_jpeg(image, JPEG_QUALITY) for image in lesions(1)], IMAGE_SIZE)
    (batch,) = evaluation_batches(large, image_size=SMALL, batch_size=COUNT).as_numpy_iterator()
    return write(folder / "shards", [encode_jpeg(image, JPEG_QUALITY) for image in batch["image"]], SMALL)


def sharpness(images: np.ndarray) -> np.ndarray:
    """The mean absolute Laplacian of each image `[N]`."""
    grey = images.astype(float).mean(axis=3)
    inner = grey[:, 1:-1, 1:-1]
    around = grey[:, :-2, 1:-1] + grey[:, 2:, 1:-1] + grey[:, 1:-1, :-2] + grey[:, 1:-1, 2:]
    return np.abs(around - 4 * inner).mean(axis=(1, 2))


def finest_detail(images: np.ndarray) -> np.ndarray:
    """The median difference of neighbours in each image `[N]`: 0 where pixels are doubled."""
    return np.median(np.abs(np.diff(images.astype(float).mean(axis=3), axis=2)), axis=(1, 2))


def traces_of_jpeg(images: np.ndarray) -> np.ndarray:
    """How far the finest coefficients of blocks of 8 x 8 lie from multiples of what they were quantised by `[N]`."""
    grey = images.astype(float) @ [0.299, 0.587, 0.114] - 128
    count, side = len(grey), grey.shape[1] // 8
    blocks = grey.reshape(count, side, 8, side, 8).transpose(0, 1, 3, 2, 4)
    finest = scipy.fft.dctn(blocks, axes=(3, 4), norm="ortho")[..., 5:, 5:] / 10
    return np.abs(finest - np.round(finest)).mean(axis=(1, 2, 3, 4))


CLUES = {"sharpness": sharpness, "finest detail": finest_detail, "traces of JPEG": traces_of_jpeg}


def told_apart(clue: str, real: ShardSet, synthetic: ShardSet, **settings) -> float:
    """How well a clue alone tells the streams apart: 1 always, 0.5 not at all."""
    streams = [Stream(shards=real, fraction=0.5), Stream(shards=synthetic, fraction=0.5)]
    batches = batches_of(streams, num_classes=1, global_batch_size=2 * COUNT, **settings)
    (batch,) = batches.take(1).as_numpy_iterator()
    area = auc(batch["stream"] == 0, CLUES[clue](batch["image"]))
    return max(area, 1 - area)


@pytest.mark.parametrize(("clue", "image_size"), [("finest detail", IMAGE_SIZE), ("traces of JPEG", SMALL)])
def test_images_of_two_sizes_can_be_told_apart(real, synthetic, clue, image_size):
    assert told_apart(clue, real, synthetic, image_size=image_size) > 0.95


@pytest.mark.parametrize(
    ("clue", "image_size"),
    [(clue, SMALL) for clue in CLUES] + [("sharpness", IMAGE_SIZE), ("finest detail", IMAGE_SIZE)],
)
def test_matched_they_cannot(real, synthetic, clue, image_size):
    assert told_apart(clue, real, synthetic, image_size=image_size, match_resolution=SMALL) < 0.65


def test_images_are_reduced_compressed_and_enlarged_alike(real, synthetic):
    """Pixels of 2 x 2 have the mean of one of the reduced image, but for compression and the bends of the cubic."""
    (small,) = evaluation_batches(real, image_size=SMALL, batch_size=COUNT).as_numpy_iterator()
    (large,) = evaluation_batches(
        real, image_size=IMAGE_SIZE, batch_size=COUNT, match_resolution=SMALL
    ).as_numpy_iterator()
    grown = large["image"].reshape(COUNT, SMALL, 2, SMALL, 2, 3).mean(axis=(2, 4))
    assert np.abs(grown - small["image"]).mean() < 2.5
    assert sharpness(large["image"]).mean() < 0.6 * sharpness(small["image"]).mean()


@pytest.mark.parametrize("quality", [20, 95])
def test_they_are_compressed_with_the_quality_of_the_shards(tmp_path, quality):
    image = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    shards = write(tmp_path / "shards", [encoded(image, "PNG")], 16, quality)
    (batch,) = evaluation_batches(shards, image_size=16, batch_size=1, match_resolution=16).as_numpy_iterator()
    error = np.abs(batch["image"][0].astype(int) - image).mean()
    assert (error > 15) if quality == 20 else (error < 8)


def test_sets_of_several_sizes_are_each_decoded_at_the_scale_that_fits(real, synthetic):
    """As the generator saw the large ones: decoded small, not decoded whole and then shrunk."""
    (small,) = evaluation_batches(real, image_size=SMALL, batch_size=COUNT).as_numpy_iterator()
    (joined,) = evaluation_batches(join([real, synthetic]), image_size=SMALL, batch_size=2 * COUNT).as_numpy_iterator()
    np.testing.assert_array_equal(joined["image"][:COUNT], small["image"])
