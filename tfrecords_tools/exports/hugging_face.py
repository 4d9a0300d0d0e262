"""A Hugging Face image folder: a folder per split, with folders of classes and a metadata.csv, which `datasets` loads.

https://huggingface.co/docs/datasets/image_dataset
"""

from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

from tfrecords_tools.exports.image_folder import write_images
from tfrecords_tools.exports.images import ExportedImage

_SPLITS = {"synthetic": "train"}  # by which name it knows a split of ours, if by another


def write(folder: Path, images: Iterable[ExportedImage]) -> None:
    """Writes FOLDER/<split>/<class>/<image>.jpg and FOLDER/<split>/metadata.csv; splits follow each other."""
    for split, own in groupby(images, lambda image: image.facts["split"]):
        write_images(folder / _SPLITS.get(split, split), own, first_column="file_name")
