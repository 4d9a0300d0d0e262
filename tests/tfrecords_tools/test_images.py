"""Images: what is passed through, what is converted and how, and what is refused."""

import contextlib
import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps
from PIL.JpegImagePlugin import get_sampling

from tests.tfrecords_tools.tiny_shards import decoded, encoded, plain
from tfrecords_tools.foundation.errors import DataError
from tfrecords_tools.images import FITS, FORMATS, Encoding, RefusedImage, convert, encode_jpeg, to_jpeg, to_rgb
from tfrecords_tools.record_images import image_header

ORIENTATION = 0x0112
WIDTH = 0x0100
RED, GREEN, BLUE, BLACK = (255, 0, 0), (0, 255, 0), (0, 0, 255), (0, 0, 0)


def with_exif(**tags) -> Image.Exif:
    exif = Image.Exif()
    exif.update({{"orientation": ORIENTATION, "width": WIDTH}[name]: value for name, value in tags.items()})
    return exif


def smooth(size: tuple[int, int], seed: int = 0) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 256, (9, 9, 3), np.uint8)
    return np.asarray(Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC))


def black_png(side: int) -> bytes:
    """A whole PNG of `side * side` black pixels, one bit each: 400 megapixels take 48 KB."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes((1 + -(-side // 8)) * side), level=9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    "settings",
    [{"quality": 30}, {"quality": 95, "subsampling": 0}, {"progressive": True}, {"exif": with_exif(orientation=1)}],
    ids=["low", "high", "progressive", "upright"],
)
def test_a_jpeg_of_the_right_size_is_passed_through_byte_for_byte(settings):
    data = encoded(smooth((32, 32)), **settings)
    assert to_jpeg(data, Encoding(image_size=32)) == data


@pytest.mark.parametrize(
    "data",
    [
        encoded(smooth((32, 32)), "PNG"),
        encoded(smooth((33, 32))),
        encoded(smooth((32, 32))[..., 0]),
        encoded(smooth((32, 32)), exif=with_exif(orientation=3)),
    ],
    ids=["PNG", "size", "greyscale", "upside down"],
)
def test_everything_else_becomes_an_rgb_jpeg_without_subsampling(data):
    converted = to_jpeg(data, Encoding(image_size=32))
    assert converted != data
    with Image.open(io.BytesIO(converted)) as image:
        assert (image.format, image.mode, image.size, get_sampling(image)) == ("JPEG", "RGB", (32, 32), 0)
        assert image.getexif().get(ORIENTATION) is None


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"\x00", "not an image"),
        (b"image_name,target\n", "not an image"),
        (encoded(smooth((64, 64)))[:700], "truncated"),
        (encoded(smooth((64, 64)))[:-2], "truncated"),
        (encoded(smooth((64, 64)), "PNG")[:700], "damaged"),
        (black_png(10_000), "too many pixels"),
        (black_png(20_000), "too many pixels"),
    ],
    ids=["empty", "zero byte", "text", "cut JPEG", "JPEG without its end", "cut PNG", "100 MP", "400 MP"],
)
@pytest.mark.parametrize("image_size", [16, 64])
def test_what_cannot_be_shown_whole_is_refused_with_the_reason(data, reason, image_size):
    with pytest.raises(RefusedImage, match=reason) as refused:
        to_jpeg(data, Encoding(image_size=image_size))
    assert isinstance(refused.value, DataError)


@pytest.mark.parametrize("kind", ["EPS", "PPM", "ICNS", "TGA"])
def test_formats_that_no_camera_writes_are_refused_whatever_the_name_says(kind, monkeypatch):
    """Above all PostScript, for which Pillow starts Ghostscript: no program is started."""
    monkeypatch.setattr("subprocess.Popen", lambda *arguments, **settings: pytest.fail("a program is started"))
    data = encoded(smooth((128, 128)), kind)
    with pytest.raises(RefusedImage, match=", ".join(FORMATS)):
        to_jpeg(data, Encoding(image_size=64))
    assert image_header(data) is None


def test_a_bomb_is_a_small_whole_image():
    assert 45_000 < len(black_png(20_000)) < 50_000
    assert not decoded(to_jpeg(black_png(100), Encoding(image_size=16))).any()


@pytest.mark.parametrize("settings", [{}, {"progressive": True}, {"subsampling": 0}], ids=str)
@pytest.mark.parametrize("image_size", [96, 64, 12], ids=["copied", "decoded whole", "decoded at 1/8"])
def test_a_jpeg_that_is_cut_anywhere_is_refused(settings, image_size):
    data = encoded(smooth((96, 96)), quality=90, **settings)
    assert decoded(to_jpeg(data, Encoding(image_size=image_size))).shape == (image_size, image_size, 3)
    for length in np.linspace(1, len(data) - 1, 20).astype(int):
        with pytest.raises(RefusedImage):
            to_jpeg(data[:length], Encoding(image_size=image_size))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_damaged_bytes_are_converted_or_refused_and_stop_nothing(kind):
    exif = with_exif(orientation=6, width=16)
    data = encoded(smooth((16, 16)), kind, exif=exif)
    start = max(data.find(b"II*\0"), data.find(b"MM\0*"))
    rng = np.random.default_rng(0)
    for _ in range(200):
        damaged = bytearray(data)
        for place in start + rng.integers(0, min(120, len(data) - start), size=2):
            damaged[place] = rng.choice([0, 1, 2, 3, 5, 12, 255])
        with contextlib.suppress(RefusedImage):
            assert decoded(to_jpeg(bytes(damaged), Encoding(image_size=8))).shape == (8, 8, 3)


def test_an_odd_exif_tag_beside_the_orientation_does_not_cost_the_image():
    data = encoded(smooth((32, 16)), exif=with_exif(orientation=6, width=32))
    width_is_a_number, width_is_a_text = b"\x01\x00\x00\x04", b"\x01\x00\x00\x02"
    odd = data.replace(width_is_a_number, width_is_a_text, 1)
    assert odd != data
    assert to_jpeg(odd, Encoding(image_size=16)) == to_jpeg(data, Encoding(image_size=16))


@pytest.mark.parametrize(
    ("data", "side"),
    [
        (encoded(smooth((96, 64))), 32),
        (encoded(smooth((64, 64)), "PNG"), 64),
        (encoded(smooth((64, 64)), quality=95, subsampling=0), 64),
        (encoded(smooth((256, 256)), quality=95, subsampling=0), 256),
    ],
    ids=["decoded", "PNG", "passed through", "passed through and previewed"],
)
def test_the_picture_is_what_the_bytes_show(data, side):
    converted = convert(data, Encoding(image_size=side))
    assert converted.jpeg == to_jpeg(data, Encoding(image_size=side))
    picture = np.asarray(converted.picture)
    assert picture.shape == (min(side, 64), min(side, 64), 3)
    assert np.square(picture - to_square(decoded(converted.jpeg), len(picture))).mean() < 64


def to_square(pixels: np.ndarray, side: int) -> np.ndarray:
    return np.asarray(ImageOps.fit(Image.fromarray(pixels), (side, side), Image.Resampling.LANCZOS), dtype=int)


@pytest.mark.parametrize(
    ("orientation", "upright"),
    [
        (1, lambda stored: stored),
        (2, lambda stored: stored[:, ::-1]),
        (3, lambda stored: stored[::-1, ::-1]),
        (4, lambda stored: stored[::-1]),
        (5, lambda stored: stored.transpose(1, 0, 2)),
        (6, lambda stored: np.rot90(stored, -1)),
        (7, lambda stored: stored.transpose(1, 0, 2)[::-1, ::-1]),
        (8, lambda stored: np.rot90(stored)),
    ],
)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
def test_an_image_is_turned_as_its_exif_tag_says(orientation, upright, kind):
    stored = smooth((32, 48))
    settings = {} if kind == "TIFF" else {"quality": 100, "subsampling": 0}
    data = encoded(stored, kind, exif=with_exif(orientation=orientation), **settings)
    converted = convert(data, Encoding(image_size=32, quality=100, fit="stretch"))
    turned = upright(stored)
    assert converted.source_size == turned.shape[1::-1]  # by which boxes are scaled
    expected = Image.fromarray(np.ascontiguousarray(turned)).resize((32, 32), Image.Resampling.LANCZOS)
    assert np.abs(decoded(converted.jpeg).astype(int) - np.asarray(expected, int)).max() <= 12


def test_sixteen_bit_values_are_scaled_and_not_clipped():
    values = (np.arange(256, dtype=np.uint16) * 257).reshape(16, 16)  # 257 = 65535 / 255
    data = encoded(values, "PNG")
    with Image.open(io.BytesIO(data)) as image:
        rgb = np.asarray(to_rgb(image))
    assert (rgb == np.arange(256).reshape(16, 16, 1)).all()
    shown = decoded(to_jpeg(data, Encoding(image_size=16, quality=100))).astype(int)
    assert np.abs(shown - rgb).max() <= 4


@pytest.mark.parametrize(
    "values",
    [
        lambda grey: grey.astype(np.float32) / 255,
        lambda grey: grey.astype(np.float32),
        lambda grey: grey.astype(np.float32) * 257,
        lambda grey: grey.astype(np.int32),
        lambda grey: grey.astype(np.int32) * 257,
        lambda grey: grey.astype(np.uint16) * 16,
        lambda grey: grey.astype(np.uint16) * 257,
    ],
    ids=["fractions", "float 8", "float 16", "32 of 8 bits", "32 of 16 bits", "16 of 12 bits", "16 bits"],
)
def test_grey_levels_of_more_bits_are_scaled_by_what_the_file_holds(values):
    grey = np.arange(256).reshape(16, 16)
    with Image.open(io.BytesIO(encoded(values(grey), "TIFF"))) as image:
        rgb = np.asarray(to_rgb(image)).astype(int)
    assert np.abs(rgb - grey[..., None]).max() <= 1


@pytest.mark.parametrize("value", [-1.0, 1e6, float("nan"), float("inf")])
def test_values_that_are_no_grey_levels_are_refused(value):
    values = np.full((16, 16), 0.5, np.float32)
    values[3, 4] = value
    with pytest.raises(RefusedImage, match="no grey levels"):
        to_jpeg(encoded(values, "TIFF"), Encoding(image_size=16))


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (Image.new("L", (8, 8), 77), (77, 77, 77)),
        (Image.new("1", (8, 8), 1), (255, 255, 255)),
        (Image.new("CMYK", (8, 8), (0, 255, 255, 0)), RED),
        (Image.new("RGBA", (8, 8), (200, 100, 50, 255)), (200, 100, 50)),
        (Image.new("RGBA", (8, 8), (200, 100, 50, 51)), (40, 20, 10)),  # 51 / 255 = 1 / 5
        (Image.new("RGBA", (8, 8), (200, 100, 50, 0)), BLACK),
        (Image.new("LA", (8, 8), (200, 51)), (40, 40, 40)),
        (Image.new("RGBA", (8, 8), (*BLUE, 0)).quantize(4), BLACK),
        (Image.new("RGB", (8, 8), GREEN).quantize(4), GREEN),
    ],
    ids=["grey", "bits", "CMYK", "opaque", "fifth", "clear", "grey alpha", "clear palette", "palette"],
)
def test_every_mode_becomes_rgb_with_transparency_over_black(image, expected):
    assert (np.asarray(to_rgb(image)) == expected).all()


def test_a_cmyk_jpeg_keeps_its_colours():
    buffer = io.BytesIO()
    Image.new("CMYK", (32, 32), (0, 255, 255, 0)).save(buffer, "JPEG", quality=95)
    shown = decoded(to_jpeg(buffer.getvalue(), Encoding(image_size=32))).astype(int)
    assert np.abs(shown - RED).max() <= 4


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("image_size", [96, 64, 12])
def test_a_grey_image_becomes_an_rgb_image_of_the_same_greys(kind, image_size):
    data = encoded(plain(77, (96, 96))[..., 0], kind)
    assert (decoded(to_jpeg(data, Encoding(image_size=image_size))) == np.full((image_size, image_size, 3), 77)).all()


def test_what_a_png_does_not_cover_is_black():
    pixels = np.zeros((32, 32, 4), np.uint8)
    pixels[:, :16] = 200, 100, 50, 255
    pixels[:, 16:] = 200, 100, 50, 0
    shown = decoded(to_jpeg(encoded(pixels, "PNG"), Encoding(image_size=32))).astype(int)
    assert np.abs(shown[:, :8] - (200, 100, 50)).max() <= 4
    assert shown[:, 24:].max() <= 4


def test_a_progressive_jpeg_shows_what_a_plain_one_shows():
    pixels = smooth((256, 192))
    settings = {"quality": 95, "subsampling": 0}
    for image_size in (192, 64, 16):
        encoding = Encoding(image_size=image_size)
        plain_bytes = to_jpeg(encoded(pixels, **settings), encoding)
        assert to_jpeg(encoded(pixels, progressive=True, **settings), encoding) == plain_bytes


STRIPES = np.concatenate([plain(RED, (48, 48)), plain(GREEN, (48, 48)), plain(BLUE, (48, 48))], axis=1)
# (row, column) of the 48 x 48 result -> colour; in "pad" the content has rows 16 to 31.
SHOWN = {
    "crop": {(4, 4): GREEN, (24, 24): GREEN, (44, 44): GREEN},
    "pad": {(8, 24): BLACK, (40, 24): BLACK, (24, 8): RED, (24, 24): GREEN, (24, 40): BLUE},
    "stretch": {(4, 8): RED, (24, 24): GREEN, (44, 40): BLUE},
}


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("turned", [False, True])
def test_a_fit_decides_what_of_an_oblong_image_is_shown(fit, turned):
    data = encoded(STRIPES.transpose(1, 0, 2) if turned else STRIPES, "PNG")
    shown = decoded(to_jpeg(data, Encoding(image_size=48, fit=fit))).astype(int)
    for place, colour in SHOWN[fit].items():
        assert np.abs(shown[place[::-1] if turned else place] - colour).max() <= 8


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("size", [(100, 30), (30, 100), (5, 7), (64, 64)])
def test_every_fit_gives_the_size_asked_for(fit, size):
    assert decoded(to_jpeg(encoded(smooth(size)), Encoding(image_size=32, fit=fit))).shape == (32, 32, 3)


def area_means(pixels: np.ndarray, side: int) -> np.ndarray:
    """The mean over what each of `side * side` pixels covers of the square in the middle."""

    def overlaps(length: int) -> np.ndarray:
        """How much of each stored pixel `[side, length]` lies in each new one."""
        square = min(pixels.shape[:2])
        edges = (length - square) / 2 + np.arange(side + 1)[:, None] * square / side
        left, right = np.maximum(edges[:-1], np.arange(length)), np.minimum(edges[1:], np.arange(length) + 1)
        return np.maximum(right - left, 0) * side / square

    rows, columns = overlaps(pixels.shape[0]), overlaps(pixels.shape[1])
    return np.einsum("ih,hwc,jw->ijc", rows, pixels.astype(float), columns, optimize=True)


def signal_to_noise(shown: np.ndarray, expected: np.ndarray) -> float:
    return 10 * np.log10(255**2 / np.mean(np.square(shown - expected)))


# 500 / 8 is less than 64: decoding at 1/8 and then enlarging would show about 35 dB.
@pytest.mark.parametrize("size", [(512, 512), (768, 512), (600, 500), (500, 600), (250, 370), (260, 260), (90, 120)])
def test_a_decode_at_reduced_scale_shows_what_a_full_one_would(size):
    coarse = np.random.default_rng(0).normal(0, 10, (size[1] // 5, size[0] // 5)).astype(np.float32)
    texture = np.asarray(Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC))[..., None]
    data = encoded(np.clip(0.6 * smooth(size) + 50 + texture, 0, 255).astype(np.uint8), quality=95, subsampling=0)
    shown = decoded(to_jpeg(data, Encoding(image_size=64, quality=100)))
    full = decoded(data)
    assert max(signal_to_noise(shown, area_means(full, 64)), signal_to_noise(shown, to_square(full, 64))) > 45


def test_small_images_are_enlarged_smoothly():
    shown = decoded(to_jpeg(encoded(smooth((20, 20)), "PNG"), Encoding(image_size=64, quality=100)))
    assert signal_to_noise(shown, to_square(smooth((20, 20)), 64)) > 45


def test_quality_decides_the_size_of_the_file():
    sizes = [len(encode_jpeg(smooth((64, 64)), quality)) for quality in (10, 50, 95)]
    assert sizes == sorted(set(sizes))


def test_a_photograph_of_many_pixels_keeps_45_decibels():
    data = encoded(smooth((3000, 2000)), quality=90)
    shown = decoded(to_jpeg(data, Encoding(image_size=256, quality=100)))
    assert signal_to_noise(shown, area_means(decoded(data), 256)) > 45
