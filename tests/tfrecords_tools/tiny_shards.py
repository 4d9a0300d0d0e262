"""Small images, folders and shard jobs that the tests of this package share."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

from tfrecords_tools.images import Encoding
from tfrecords_tools.rows import Row, write_rows
from tfrecords_tools.shards import ShardJob, rows_path

SIZE = 16


def encoded(pixels: np.ndarray, kind: str = "JPEG", **settings) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **settings)
    return buffer.getvalue()


def plain(colour: tuple[int, ...] | int, size: tuple[int, int] = (SIZE, SIZE)) -> np.ndarray:
    return np.full((*size, 3), colour, np.uint8)


def decoded(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image)


def shard_jobs(root: Path, output: Path, num_shards: int, rows: int = 2) -> list[ShardJob]:
    """Draws images under `root` and returns jobs that write them to `output`; classes alternate."""
    root.mkdir(exist_ok=True)
    output.mkdir(exist_ok=True)
    return [shard_job(root, output, index, range(index * rows, (index + 1) * rows)) for index in range(num_shards)]


def shard_job(root: Path, output: Path, index: int, numbers: range, split: str = "train") -> ShardJob:
    for number in numbers:
        (root / f"{number}.jpg").write_bytes(encoded(plain(number), quality=95))
    rows = [row(root, f"{number}.jpg", number % 2 if split == "train" else -1) for number in numbers]
    write_rows(rows_path(output, split, index), rows)
    return ShardJob(
        folder=str(output),
        split=split,
        index=index,
        num_classes=2,
        roots=(str(root),),
        encoding=Encoding(image_size=SIZE),
    )


def row(root: Path, file: str, target: int = 0) -> Row:
    path = root / file
    return Row(
        source=0,
        file=file,
        size=path.stat().st_size if path.is_file() else -1,
        version=path.stat().st_mtime_ns if path.exists() else 0,
        crc32c=None,
        fields={"image_name": Path(file).stem, "target": target},
    )
