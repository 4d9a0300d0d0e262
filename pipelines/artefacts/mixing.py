"""Real and synthetic images in one training: stored alike, or brought through the same size and compression.

A classifier would else tell synthetic images by their sharpness, or by the traces of JPEG, and with them their class.
"""

from collections.abc import Sequence
from itertools import islice

import numpy as np

from melgan.classifiers.targets import balancing_weights
from pipelines.artefacts.shards import Shards
from tfrecords_tools import example
from tfrecords_tools.foundation.errors import CommandError
from tfrecords_tools.images import JPEG_QUALITY, JpegCoding, encode_jpeg, jpeg_coding
from tfrecords_tools.records import read_records

_LOOKED_AT = 16  # images of each shard whose JPEG headers are read


def require_stored_alike(
    real: Shards, synthetic: Sequence[Shards], match_resolution: int, field: str = "synthetic"
) -> None:
    """Does nothing if images of all sets can be mixed without showing by their size or compression whence they are.

    Arguments:
      real: the real images.
      synthetic: what is mixed with them.
      match_resolution: side in pixels that all images are reduced to, and compressed at; 0: none.
      field: the setting that names what is mixed.

    Raises:
      CommandError: if images are smaller than that, or are stored otherwise and not brought through it.
    """
    smallest = min((real, *synthetic), key=lambda opened: opened.manifest.image_size)
    side = smallest.manifest.image_size
    if match_resolution > side:
        raise CommandError(
            f"--match_resolution={match_resolution}: images of {smallest.folder} are stored at {side} px, and would be "
            f"enlarged; give {side} or less"
        )
    for opened in synthetic:
        _require_same_quality(real, opened, field)
        if not match_resolution and (difference := _difference(real, opened)):
            raise CommandError(
                f"--{field}={opened.folder}: {difference}, by which a classifier can tell synthetic images; give "
                f"--match_resolution={side} to this run and to its baseline, which brings all images through that "
                "size and one compression, or make both sets with the same --image_size"
            )


def quality_of(shards: Shards) -> int:
    """Returns the JPEG quality that images of shards are stored with."""
    return shards.manifest.encoder.get("quality", JPEG_QUALITY)


def coding_of(image_size: int, quality: int) -> JpegCoding:
    """Returns the JPEG settings of images that are encoded here."""
    return jpeg_coding(encode_jpeg(np.zeros((image_size, image_size, 3), np.uint8), quality))


def require_stored_as_encoded(real: Shards) -> None:
    """Raises CommandError if real images are not stored as synthetic ones of their size and quality will be."""
    if _codings(real) != {coding_of(real.manifest.image_size, quality_of(real))}:
        raise CommandError(
            f"{real.folder}: images are stored as they came, with another JPEG quality or chroma subsampling than "
            "synthetic ones, by which a classifier can tell them; make shards again with another --image_size"
        )


def trained_fractions(shown: np.ndarray, class_balance: float) -> np.ndarray:
    """Returns which fraction of the loss is of each class `[num_classes]`, from the fractions that are shown."""
    counted = shown * balancing_weights(shown, class_balance)
    return counted / counted.sum()


def _require_same_quality(real: Shards, synthetic: Shards, field: str) -> None:
    wanted, found = quality_of(real), quality_of(synthetic)
    if found != wanted:
        raise CommandError(
            f"--{field}={synthetic.folder}: stored with JPEG quality {found}, {real.folder} with {wanted}; a "
            f"classifier could tell synthetic images by it; synthesize them again with --quality={wanted}"
        )


def _difference(real: Shards, synthetic: Shards) -> str:
    """Returns how two sets are stored otherwise, as text; empty where they are stored alike."""
    sides = [opened.manifest.image_size for opened in (synthetic, real)]
    if sides[0] != sides[1]:
        return f"images of {sides[0]} px, and real ones of {sides[1]} px ({real.folder})"
    if _codings(real) != _codings(synthetic):
        return f"other JPEG quality or chroma subsampling than the real images as they are stored ({real.folder})"
    return ""


def _codings(opened: Shards) -> set[JpegCoding]:
    """Returns the JPEG settings of the first images of every shard: files of the right size are stored as they came."""
    return {
        jpeg_coding(example.parse(record)["image"][0])
        for shard in opened.manifest.shards
        for record in islice(read_records(opened.folder / shard.file), _LOOKED_AT)
    }
