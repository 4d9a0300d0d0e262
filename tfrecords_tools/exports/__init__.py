"""Forms that a set of shards is exported in: one file a form. To add one, write its function and list it in EXPORTS."""

from collections.abc import Callable, Iterable
from pathlib import Path

from tfrecords_tools.exports import hugging_face, image_folder, webdataset
from tfrecords_tools.exports.images import ExportedImage

# (folder, images) -> writes the images, whose bytes stay as they are.
EXPORTS: dict[str, Callable[[Path, Iterable[ExportedImage]], None]] = {
    "image_folder": image_folder.write,
    "webdataset": webdataset.write,
    "hugging_face": hugging_face.write,
}
