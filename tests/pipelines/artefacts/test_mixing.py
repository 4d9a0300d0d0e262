"""What real and synthetic images must have in common to be mixed."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipelines.artefacts.mixing import require_stored_alike, trained_fractions
from pipelines.artefacts.shards import Shards
from tests.tfrecords_tools.tiny_shards import encoded
from tfrecords_tools.example import Example
from tfrecords_tools.foundation.errors import CommandError
from tfrecords_tools.manifest import Manifest
from tfrecords_tools.shards import write_examples


def shards_of(folder: Path, side: int, quality: int = 95, subsamplings: Sequence[int] = (0,), told: int = 95) -> Shards:
    """Shards with one image for each chroma subsampling, in a manifest that tells of a quality."""
    folder.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    examples = [
        Example(image=encoded(pixels, quality=quality, subsampling=subsampling), image_name="", target=0)
        for subsampling in subsamplings
    ]
    entry = write_examples(folder, "train", 0, examples, num_classes=1)
    manifest = Manifest(
        source="x",
        source_fingerprint="",
        folds_fingerprint="",
        classes=("a",),
        image_size=side,
        encoder={"format": "JPEG", "quality": told},
        shards=(entry,),
    )
    return Shards(folder, manifest)


@pytest.fixture
def real(tmp_path) -> Shards:
    return shards_of(tmp_path / "real", 64)


def test_images_of_one_size_and_coding_are_mixed(real, tmp_path):
    require_stored_alike(real, [shards_of(tmp_path / "synthetic", 64)], 0)
    require_stored_alike(real, [], 0)


@pytest.mark.parametrize(
    ("stored", "remedy"),
    [
        ({"side": 32}, "--match_resolution=32"),
        ({"side": 128}, "--match_resolution=64"),
        ({"side": 64, "quality": 80}, "--match_resolution=64"),
        ({"side": 64, "subsamplings": (2,)}, "--match_resolution=64"),
        ({"side": 64, "subsamplings": (0, 2)}, "--match_resolution=64"),
        ({"side": 64, "told": 80}, "--quality=95"),
    ],
    ids=str,
)
def test_images_stored_otherwise_are_refused_with_the_way_out(real, tmp_path, stored, remedy):
    synthetic = shards_of(tmp_path / "synthetic", **stored)
    with pytest.raises(CommandError, match=remedy):
        require_stored_alike(real, [synthetic], 0)
    if "match" in remedy:
        require_stored_alike(real, [synthetic], int(remedy.partition("=")[2]))


def test_nothing_is_enlarged_before_it_is_compared(real, tmp_path):
    with pytest.raises(CommandError, match="give 64 or less"):
        require_stored_alike(real, [], 96)
    with pytest.raises(CommandError, match="give 32 or less"):
        require_stored_alike(real, [shards_of(tmp_path / "synthetic", 32)], 64)


def test_a_quality_that_no_manifest_tells_is_left_to_the_images(real, tmp_path):
    unknown = replace(real, manifest=replace(real.manifest, encoder={}))
    require_stored_alike(unknown, [shards_of(tmp_path / "synthetic", 64)], 0)


def test_weights_of_classes_change_the_mix_of_a_training():
    """3 : 1 with class_balance 1 counts as 1 : 1, with 1/2 as the roots."""
    for balance, expected in ((0.0, [0.75, 0.25]), (1.0, [0.5, 0.5]), (0.5, np.sqrt([0.75, 0.25]) / (0.75**0.5 + 0.5))):
        np.testing.assert_allclose(trained_fractions(np.array([0.75, 0.25]), balance), expected)
