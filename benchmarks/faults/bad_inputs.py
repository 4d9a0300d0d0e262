"""Images and tables that are not as they should be: left out, or refused in one line."""

import io
import os
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.faults.trial import Trial, not_made, not_refused, run

_SIZE = 48
_COUNT = 24


def _image(seed: int, kind: str = "JPEG") -> bytes:
    buffer = io.BytesIO()
    colours = np.random.default_rng([7, seed]).integers(0, 256, (12, 12, 3)).astype(np.uint8)
    Image.fromarray(colours).resize((_SIZE, _SIZE)).save(buffer, kind)
    return buffer.getvalue()


def _folders(root: Path) -> dict:
    """Writes a folder of images for each of two classes."""
    for number in range(_COUNT):
        path = root / ("rare" if number % 4 == 0 else "usual") / f"{number:03d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_image(number))
    return {"source": "image_folder", "input": root}


def _tables(root: Path, encoding: str = "utf-8", change: Callable[[list[str]], list[str]] = list) -> dict:
    """Writes images and a train.csv as Kaggle ships them."""
    images = root / "jpeg" / "train"
    images.mkdir(parents=True)
    lines = ["image_name,patient_id,sex,age_approx,anatom_site_general_challenge,diagnosis,benign_malignant,target"]
    for number in range(_COUNT):
        (images / f"ISIC_{number:07d}.jpg").write_bytes(_image(number))
        word, target = ("malignant", 1) if number % 4 == 0 else ("benign", 0)
        lines.append(f"ISIC_{number:07d},IP_{number // 2},female,45.0,torso,unknown,{word},{target}")
    (root / "train.csv").write_bytes(("\n".join(change(lines)) + "\n").encode(encoding))
    return {"source": "siim_isic", "input": root}


def _with_file(name: str, data: bytes) -> Callable[[Path], dict]:
    """Returns what writes the folders of two classes with one more file."""

    def write(root: Path) -> dict:
        settings = _folders(root)
        (root / os.path.dirname(name)).mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
        return settings

    return write


def _with_table(change: Callable[[list[str]], list[str]], encoding: str = "utf-8") -> Callable[[Path], dict]:
    return lambda root: _tables(root, encoding, change)


def _without_images(root: Path) -> dict:
    (root / "usual").mkdir(parents=True)
    (root / "rare").mkdir()
    return {"source": "image_folder", "input": root}


def _with_an_empty_class(root: Path) -> dict:
    settings = _folders(root)
    (root / "nothing").mkdir()
    return settings


def _linked_outside(root: Path) -> dict:
    outside = root.with_name("outside")
    outside.mkdir()
    (outside / "secret.jpg").write_bytes(_image(99))
    settings = _folders(root)
    (root / "usual" / "link.jpg").symlink_to(outside / "secret.jpg")
    (root / "usual" / "loop.jpg").symlink_to(root / "usual" / "loop.jpg")
    return settings


def _with_hole(data: bytes) -> bytes:
    return data[:500] + bytes(200) + data[700:]


def _bomb() -> bytes:
    """A PNG of a few bytes whose header claims 900 million pixels."""
    data = bytearray(_image(95, "PNG"))
    data[16:24] = struct.pack(">II", 30_000, 30_000)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    return bytes(data)


# What can be left out, or understood: the set is made.
MADE: dict[str, Callable[[Path], dict]] = {
    "nothing wrong with folders": _folders,
    "nothing wrong with tables": _tables,
    "a text called .jpg": _with_file("usual/text.jpg", b"no picture"),
    "an empty file called .jpg": _with_file("usual/empty.jpg", b""),
    "half a JPEG": _with_file("usual/half.jpg", _image(98)[:600]),
    "a JPEG with its middle overwritten": _with_file("usual/hole.jpg", _with_hole(_image(97))),
    "PostScript called .jpg": _with_file("usual/script.jpg", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"),
    "an image of 900 million pixels": _with_file("usual/bomb.png", _bomb()),
    "hidden and system files": _with_file("__MACOSX/usual/._000.jpg", b"\x00\x05\x16\x07"),
    "a file name that is no UTF-8": _with_file(os.fsdecode(b"usual/caf\xe9.jpg"), _image(96)),
    "links out of the folder and in a circle": _linked_outside,
    "names with endings and spaces": _with_table(
        lambda lines: [lines[0], *(f" {x}".replace(",", ".jpg ,", 1) for x in lines[1:])]
    ),
    "columns in capitals": _with_table(lambda lines: [lines[0].upper(), *lines[1:]]),
    "a trailing comma in every row": _with_table(lambda lines: [f"{line}," for line in lines]),
    "a byte-order mark": _with_table(list, "utf-8-sig"),
}
# What cannot: one line tells what is wrong.
REFUSED: dict[str, Callable[[Path], dict]] = {
    "no such folder": lambda root: {"source": "image_folder", "input": root / "away"},
    "an empty folder": lambda root: root.mkdir() or {"source": "image_folder", "input": root},
    "folders without images": _without_images,
    "a class without an image": _with_an_empty_class,
    "a folder as a table": lambda root: _folders(root) | {"source": "siim_isic"},
    "a table without rows": _with_table(lambda lines: lines[:1]),
    "an empty table": _with_table(lambda lines: []),
    "a table without the column target": _with_table(lambda lines: [line.rpartition(",")[0] for line in lines]),
    "a target that is no number": _with_table(lambda lines: [*lines[:3], lines[3][:-1] + "perhaps", *lines[4:]]),
    "a target of 7": _with_table(lambda lines: [*lines[:3], lines[3][:-1] + "7", *lines[4:]]),
    "a name that occurs twice": _with_table(lambda lines: [*lines, lines[-1]]),
    "names of other images": _with_table(lambda lines: [line.replace("ISIC_", "PHOTO_") for line in lines]),
    "one class only": _with_table(lambda lines: [line for line in lines if not line.endswith(",1")]),
    "a table in UTF-16": _with_table(list, "utf-16"),
    "a table in Latin-1": _with_table(lambda lines: [line.replace("torso", "Rücken") for line in lines], "latin-1"),
    "semicolons in place of commas": _with_table(lambda lines: [line.replace(",", ";") for line in lines]),
    "a row with too many values": _with_table(lambda lines: [*lines[:3], lines[3] + ",1,2,3", *lines[4:]]),
    "an open quotation mark": _with_table(lambda lines: [*lines[:3], '"' + lines[3], *lines[4:]]),
}


def bad_inputs() -> Iterator[Trial]:
    """Yields a trial for every input."""
    for name, write in MADE.items():
        yield Trial("odd input", name, lambda folder, w=write: not_made(_make_shards(folder, w)))
    for name, write in REFUSED.items():
        yield Trial("bad input", name, lambda folder, w=write: not_refused(_make_shards(folder, w)))


def _make_shards(folder: Path, write: Callable[[Path], dict]):
    settings = {"image_size": 32, "num_shards": 2, "workers": 1, "output": folder / "out"}
    return run("make_shards", settings | write(folder / "in"))
