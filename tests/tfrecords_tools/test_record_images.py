"""Images of records: found by contents, decoded or put together from raw numbers."""

import numpy as np
import pytest

from tests.tfrecords_tools.tiny_shards import decoded, encoded, plain
from tfrecords_tools.foundation.errors import DataError
from tfrecords_tools.images import RefusedImage
from tfrecords_tools.record_images import (
    ImageHeader,
    decode_image,
    find_image_feature,
    image_header,
    raw_image,
    raw_shape,
)

GRADIENT = (np.arange(32)[:, None, None] * 4 + np.arange(32)[None, :, None] + np.array([0, 60, 100])).astype(np.uint8)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP"])
def test_headers_are_read_without_decoding(kind):
    header = image_header(encoded(plain(3, (20, 30)), kind))
    assert (header.format, header.width, header.height) == (kind, 30, 20)


def test_what_is_no_image_has_no_header():
    assert image_header(b"ISIC_0015719") is None
    assert image_header(b"\xff\xd8\xff rubbish") is None
    assert image_header(b"") is None


def test_a_truncated_image_has_a_header_but_does_not_decode():
    data = encoded(GRADIENT, "JPEG")
    assert image_header(data[:-20]) == ImageHeader("JPEG", 32, 32, "RGB")
    with pytest.raises(RefusedImage, match="damaged"):
        decode_image(data[:-20])


def test_encoded_images_come_before_raw_ones():
    examples = [{"pixels": [bytes(64)], "encoded": [encoded(GRADIENT)], "name": [b"x" * 64]}]
    assert find_image_feature(examples) == "encoded"


def test_text_and_embeddings_of_a_square_size_are_no_images():
    assert find_image_feature([{"digest": [b"0123456789abcdef" * 4], "embedding": [0.5] * 1024}]) is None
    assert find_image_feature([{"digest": [b"0" * 64], "image_floats": [0.5] * 784}]) == "image_floats"
    assert find_image_feature([]) is None


def test_several_images_must_be_chosen_from_unless_one_is_named_so():
    raw = GRADIENT.tobytes()
    assert find_image_feature([{"image": [raw], "mask": [raw]}]) == "image"
    with pytest.raises(DataError, match="left, right"):
        find_image_feature([{"left": [raw], "right": [raw]}])


@pytest.mark.parametrize(
    ("example", "shape"),
    [
        ({"x": [bytes(784)]}, (28, 28, 1)),
        ({"x": [bytes(3072)]}, (32, 32, 3)),
        ({"x": [0.0] * 784}, (28, 28, 1)),
        ({"x": [bytes(600)], "height": [10], "width": [20], "depth": [3]}, (10, 20, 3)),
        ({"x": [bytes(600)], "height": [10], "width": [20]}, (10, 20, 3)),
        ({"x": [bytes(200)], "image/height": [10], "image/width": [20]}, (10, 20, 1)),
        ({"x": [bytes(800)], "height": [10], "width": [20], "channels": [4]}, (10, 20, 4)),
        ({"x": [bytes(600)]}, None),
        ({"x": [bytes(16)]}, None),
    ],
)
def test_shapes_of_raw_images(example, shape):
    assert raw_shape(example, "x") == shape


def test_channels_lie_together_or_apart():
    for stored in (GRADIENT, GRADIENT.transpose(2, 0, 1)):
        np.testing.assert_array_equal(raw_image({"x": [stored.tobytes()]}, "x"), GRADIENT)


def test_numbers_are_scaled_from_their_span():
    values = [-0.5] * 63 + [0.5]
    image = raw_image({"x": values}, "x", low=-0.5, high=0.5)
    assert image.shape == (8, 8, 3)
    assert image[0, 0].tolist() == [0, 0, 0]
    assert image[7, 7].tolist() == [255, 255, 255]


def test_a_size_that_fits_no_image_is_refused():
    with pytest.raises(RefusedImage, match="65"):
        raw_image({"x": [bytes(65)]}, "x")


def test_decoding_gives_the_pixels():
    data = encoded(GRADIENT, "PNG")
    np.testing.assert_array_equal(decode_image(data), decoded(data))
