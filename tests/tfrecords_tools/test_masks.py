"""Masks: what a file may be, where it lies in the stored image, and what is stored of it."""

import io

import numpy as np
import pytest
from PIL import Image

from tests.tfrecords_tools.tiny_shards import encoded
from tfrecords_tools.foundation.errors import DataError
from tfrecords_tools.images import FITS, Encoding, convert, upright_size
from tfrecords_tools.masks import (
    boxes_of_mask,
    decode_mask,
    encode_mask,
    mask_in_stored,
    problem_of_mask,
    read_mask,
)

MASK = np.zeros((6, 9), bool)
MASK[2:4, 3:7] = True
GREY = MASK * np.uint8(255)


def png(image: Image.Image, **settings) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", **settings)
    return buffer.getvalue()


def coloured(lesion: tuple, rest: tuple, mode: str = "RGB") -> Image.Image:
    return Image.fromarray(np.where(MASK[..., None], lesion, rest).astype(np.uint8), mode)


@pytest.mark.parametrize(
    "image",
    [
        Image.fromarray(GREY),
        Image.fromarray(MASK),
        Image.fromarray(MASK.astype(np.uint8)),
        Image.fromarray(MASK * np.uint16(65535)),
        coloured((255, 0, 0), (0, 0, 0)),
        coloured((255, 0, 0), (0, 0, 0)).quantize(2),
        coloured((200, 200, 200, 255), (200, 200, 200, 0), "RGBA"),
    ],
    ids=["grey", "one bit", "0 and 1", "16 bits", "colour", "palette", "transparent"],
)
def test_any_png_with_two_grey_levels_is_a_mask_of_the_brighter_one(image):
    np.testing.assert_array_equal(read_mask(png(image), "x.png", (9, 6)), MASK)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (png(Image.fromarray(GREY[:, :8])), "8 x 6 .* 9 x 6 "),
        (png(Image.fromarray(np.zeros((6, 9), np.uint8))), "empty"),
        (png(Image.fromarray(np.full((6, 9), 255, np.uint8))), "full"),
        (png(Image.fromarray(np.arange(54, dtype=np.uint8).reshape(6, 9))), "54 grey levels"),
        (encoded(np.repeat(GREY[..., None], 3, 2)), "JPEG"),
        (png(Image.fromarray(GREY))[:60], "cannot be read"),
        (b"", "cannot be read"),
        (b"no picture", "cannot be read"),
    ],
    ids=["size", "empty", "full", "levels", "jpeg", "cut", "nothing", "text"],
)
def test_what_is_no_mask_is_named_with_what_is_wrong(data, message):
    with pytest.raises(DataError, match=rf"^folder/x\.png: .*{message}") as refused:
        read_mask(data, "folder/x.png", (9, 6))
    assert type(refused.value) is DataError  # no image is left out for its mask


def test_a_bomb_is_refused_before_it_is_decoded(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)
    with pytest.raises(DataError, match="too many pixels"):
        read_mask(png(Image.fromarray(GREY)), "x.png")


@pytest.mark.parametrize(
    ("fit", "expected"),
    [
        ("crop", (slice(0, 6), slice(1, 5))),  # columns 1.5 to 7.5 remain; between two pixels the right one counts
        ("pad", (slice(1, 5), slice(2, 5))),  # a row above, and at 2 to 4.7
        ("stretch", (slice(0, 6), slice(2, 5))),
    ],
)
def test_places_by_hand(fit, expected):
    """Columns 3 to 7 of 9, on 6 pixels: one that is lesion in part counts if at least half of it is."""
    wide, stored = np.zeros((6, 9), bool), np.zeros((6, 6), bool)
    wide[:, 3:7] = stored[expected] = True
    np.testing.assert_array_equal(mask_in_stored(wide, Encoding(image_size=6, fit=fit)), stored)


def test_of_a_lesion_that_a_crop_cuts_away_or_that_is_too_small_nothing_is_left():
    mask = np.zeros((40, 80), bool)
    mask[:, :20] = True
    assert mask_in_stored(mask, Encoding(image_size=8)) is None
    assert mask_in_stored(mask, Encoding(image_size=8, fit="stretch")).sum() == 16
    speck = np.zeros((40, 40), bool)
    speck[7, 9] = True
    assert mask_in_stored(speck, Encoding(image_size=8)) is None


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
@pytest.mark.parametrize("size", [(90, 60), (601, 403)])
def test_a_mask_lies_where_the_stored_picture_shows_what_was_outlined(fit, orientation, size):
    """A white disk on black, in an image that is stored turned, and upright by its EXIF tag."""
    rows, columns = np.mgrid[: size[1], : size[0]]
    mask = np.hypot(rows - 0.45 * size[1], columns - 0.55 * size[0]) < 0.3 * min(size)
    upright = np.repeat(mask[..., None] * np.uint8(255), 3, axis=2)
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned = np.ascontiguousarray(np.rot90(upright, {1: 0, 3: 2, 6: 1, 8: 3}[orientation]))
    data = encoded(turned, quality=95, exif=exif)
    assert upright_size(io.BytesIO(data)) == size
    encoding = Encoding(image_size=64, fit=fit)
    shown = np.asarray(convert(data, encoding).picture.convert("L")) > 127
    stored = mask_in_stored(mask, encoding)
    assert (shown & stored).sum() / (shown | stored).sum() > 0.96


def test_a_mask_is_stored_in_one_bit_a_pixel_and_read_as_it_was():
    data = encode_mask(MASK)
    assert data == encode_mask(MASK.copy())
    with Image.open(io.BytesIO(data)) as image:
        assert (image.format, image.mode, image.size) == ("PNG", "1", (9, 6))
    np.testing.assert_array_equal(decode_mask(data), MASK)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (encode_mask(np.eye(6, dtype=bool)), None),
        (encode_mask(np.ones((6, 6), bool)), None),  # a lesion larger than what a crop leaves
        (encode_mask(MASK), "has 9 x 6 pixels"),
        (encode_mask(np.zeros((6, 6), bool)), "shows no lesion"),
        (png(Image.fromarray(GREY)), "does not decode"),
        (b"", "does not decode"),
    ],
)
def test_stored_bytes_that_are_no_mask_are_named(data, problem):
    found = problem_of_mask(data, 6)
    assert found is None if problem is None else found.startswith(problem)


def test_the_boxes_of_a_mask_lie_around_its_connected_parts_the_largest_first():
    mask = np.zeros((8, 8), bool)
    mask[0, 0] = True
    mask[2:6, 4:8] = True
    mask[6, 3] = True  # touches the square at a corner
    assert boxes_of_mask(mask) == ((3 / 8, 2 / 8, 1, 7 / 8), (0, 0, 1 / 8, 1 / 8))
    assert boxes_of_mask(np.zeros((8, 8), bool)) == ()
    assert boxes_of_mask(np.ones((8, 8), bool)) == ((0, 0, 1, 1),)


def test_of_many_spots_the_largest_comes_first():
    mask = np.zeros((32, 32), bool)
    mask[::2, ::2] = True
    mask[20:24, 20:24] = True
    first, *others = boxes_of_mask(mask)
    np.testing.assert_array_equal(first, np.array([20, 20, 25, 25]) / 32)
    assert len(others) == 16 * 16 - 9  # less those that the square holds or touches
