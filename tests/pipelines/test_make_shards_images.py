"""make_shards of images of every kind: what their shards hold, and which are refused."""

import csv
import io
import shutil
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.pipelines.conftest import FOLDER, draw_folder, jpeg, parsed, picture, succeed

SIDE = 64
GREY_16_BIT = np.repeat(np.array([[40 * 257, 200 * 257]], np.uint16), SIDE // 2, axis=1).repeat(SIDE, axis=0)
LEFT_BLACK = np.repeat(np.array([[0, 255]], np.uint8), SIDE // 2, axis=1).repeat(SIDE, axis=0)


def plain(mode: str, colour: object) -> Image.Image:
    return Image.new(mode, (SIDE, SIDE), colour)


def png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def rotated_by_tag() -> bytes:
    """Black on the left; orientation 6 asks for a quarter turn clockwise, which brings the left side to the top."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return jpeg(Image.fromarray(LEFT_BLACK).convert("RGB"), exif=exif)


def half_transparent() -> Image.Image:
    """Half covering on the left, transparent on the right."""
    image = plain("RGBA", (200, 100, 50, 128))
    image.paste((255, 255, 255, 0), (SIDE // 2, 0, SIDE, SIDE))
    return image


def bomb() -> bytes:
    """A PNG of 20,000 x 20,000 pixels, one bit each, all black."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 20_000, 20_000, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes(20_000 * (1 + 20_000 // 8)), 9)  # a filter byte, then the bits
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


# File -> its bytes, and the colours that its shard must hold: left and right, or above and below.
HANDLED = {
    # Cyan 0, magenta and yellow full, black 51 of 255: red at 204.
    "cmyk.jpg": (jpeg(plain("CMYK", (0, 255, 255, 51)), quality=95), "sides", (204, 0, 0), (204, 0, 0)),
    "16 bit.png": (png(Image.fromarray(GREY_16_BIT)), "sides", (40, 40, 40), (200, 200, 200)),
    # 128 / 255 of the colour over black.
    "alpha.png": (png(half_transparent()), "sides", (100, 50, 25), (0, 0, 0)),
    "grey.jpg": (jpeg(plain("L", 90)), "sides", (90, 90, 90), (90, 90, 90)),
    "grey.png": (png(plain("L", 130)), "sides", (130, 130, 130), (130, 130, 130)),
    "turned.jpg": (rotated_by_tag(), "heights", (0, 0, 0), (255, 255, 255)),
    "progressive.jpg": (
        jpeg(plain("RGB", (20, 120, 220)), progressive=True, subsampling=0),
        "sides",
        (20, 120, 220),
        (20, 120, 220),
    ),
    "UPPER.JPG": (jpeg(plain("RGB", (60, 60, 200)), subsampling=0), "sides", (60, 60, 200), (60, 60, 200)),
    "UPPER.PNG": (png(plain("RGB", (9, 200, 9))), "sides", (9, 200, 9), (9, 200, 9)),
    "größe 皮膚.jpeg": (jpeg(plain("RGB", (200, 150, 100)), subsampling=0), "sides", (200, 150, 100), (200, 150, 100)),
}
REFUSED = {
    "zero.jpg": (b"", "empty"),
    "cut.jpg": (jpeg(picture(1))[:-600], "damaged"),
    "cut.png": (png(picture(2))[:-600], "damaged"),
    "text.jpg": (b"no picture", "not an image"),
    "bomb.png": (bomb(), "too many pixels"),
}


@pytest.fixture(scope="module")
def hard_cases(tmp_path_factory: pytest.TempPathFactory, launch) -> Path:
    """The shards of a folder in which every file is a hard case of its own."""
    root = tmp_path_factory.mktemp("hard")
    (root / "images" / "handled").mkdir(parents=True)
    (root / "images" / "refused").mkdir()
    for name, (data, *_) in HANDLED.items():
        (root / "images" / "handled" / name).write_bytes(data)
    for name, (data, _) in REFUSED.items():
        (root / "images" / "refused" / name).write_bytes(data)
    (root / "images" / "refused" / "whole.jpg").write_bytes(jpeg(picture(4)))  # a class needs an image
    (root / "outside.jpg").write_bytes(jpeg(picture(3)))
    (root / "images" / "refused" / "link.jpg").symlink_to(root / "outside.jpg")
    succeed(launch("make_shards", input=root / "images", output=root / "shards", **{**FOLDER, "num_shards": 2}))
    return root / "shards"


def test_the_hard_cases_are_what_they_claim_to_be():
    for name, modes in (("cmyk.jpg", "CMYK"), ("16 bit.png", "I;16"), ("alpha.png", "RGBA"), ("grey.jpg", "L")):
        assert Image.open(io.BytesIO(HANDLED[name][0])).mode == modes
    assert b"\xff\xc2" in HANDLED["progressive.jpg"][0]  # SOF2
    assert len(REFUSED["bomb.png"][0]) < 50_000


@pytest.mark.parametrize("name", HANDLED)
def test_images_of_every_kind_become_what_they_show(name: str, hard_cases: Path):
    _, halves, first, second = HANDLED[name]
    rows = {row["image_name"][0].decode(): row for row in parsed(hard_cases, "train")}
    image = np.asarray(Image.open(io.BytesIO(rows[f"handled/{name}"]["image"][0])))
    assert image.shape == (32, 32, 3)
    if halves == "heights":
        image = image.transpose(1, 0, 2)
    np.testing.assert_allclose(image[:, :12].reshape(-1, 3), np.tile(first, (32 * 12, 1)), atol=4)
    np.testing.assert_allclose(image[:, -12:].reshape(-1, 3), np.tile(second, (32 * 12, 1)), atol=4)


def test_what_is_no_whole_image_of_the_folder_is_refused_and_listed_with_the_reason(hard_cases: Path):
    images = hard_cases.with_name("images")
    with open(hard_cases / "rejected.csv", encoding="utf-8") as file:
        reasons = {row["file"]: row["reason"] for row in csv.DictReader(file)}
    expected = {name: reason for name, (_, reason) in REFUSED.items()}
    expected["link.jpg"] = str(images)
    assert sorted(reasons) == sorted(str(images / "refused" / name) for name in expected)
    for name, reason in expected.items():
        assert reason in reasons[str(images / "refused" / name)]
    assert len(parsed(hard_cases, "train")) == len(HANDLED) + 1


def test_a_zip_file_of_images_makes_the_same_shards_as_the_folder(tmp_path, launch):
    images = draw_folder(tmp_path / "images")
    packed = shutil.make_archive(str(tmp_path / "packed"), "zip", images)
    for name, source in (("zip", packed), ("folder", images)):
        succeed(launch("make_shards", input=source, output=tmp_path / name, **{**FOLDER, "workers": 2}))
    shards = [
        {path.name: path.read_bytes() for path in (tmp_path / name).glob("*.tfrec")} for name in ("zip", "folder")
    ]
    assert shards[0] == shards[1]
    assert len(shards[0]) == 4
