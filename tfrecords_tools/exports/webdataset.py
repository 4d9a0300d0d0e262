"""WebDataset: a tar file a shard, in which the files of an image share their name.

https://github.com/webdataset/webdataset
"""

import io
import json
import tarfile
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path, PurePosixPath

from tfrecords_tools.exports.images import ExportedImage
from tfrecords_tools.foundation.files import written_whole
from tfrecords_tools.foundation.metadata import MISSING


def write(folder: Path, images: Iterable[ExportedImage]) -> None:
    """Writes FOLDER/<shard>.tar: of every image .jpg, .json with what is known, .cls with the class, and .mask.png."""
    for shard, own in groupby(images, lambda image: image.facts["shard"]):
        with written_whole(folder / f"{PurePosixPath(shard).stem}.tar") as path, tarfile.open(path, "w") as tar:
            for image in own:
                for ending, data in _files(image):
                    member = tarfile.TarInfo(
                        f"{image.name}.{ending}"
                    )  # of no owner and no time, so that bytes are equal
                    member.size = len(data)
                    tar.addfile(member, io.BytesIO(data))


def _files(image: ExportedImage) -> Iterator[tuple[str, bytes]]:
    yield "jpg", image.jpeg
    yield "json", json.dumps(dict(image.facts), ensure_ascii=False).encode()
    if image.target != MISSING:
        yield "cls", str(image.target).encode()
    if image.mask:
        yield "mask.png", image.mask
