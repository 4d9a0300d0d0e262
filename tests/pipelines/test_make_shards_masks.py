"""make_shards with masks: stored, counted, told in the manifest, and refused in one line before anything is built."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipelines import make_shards
from pipelines.make_shards import MakeShardsConfig
from tests.pipelines.conftest import FOLDER, PHANTOM, draw_folder, only_error, parsed, succeed
from tfrecords_tools.foundation.errors import CommandError, DataError
from tfrecords_tools.manifest import read_manifest
from tfrecords_tools.masks import decode_mask, encode_mask
from tfrecords_tools.provenance import LesionsOrigin

SIDE = PHANTOM["image_size"]


@pytest.fixture(scope="module")
def images(shards: Path) -> Path:
    return shards.with_name("shards_images")


def masks_of(folder: Path) -> dict[str, np.ndarray]:
    return {row["image_name"][0].decode(): decode_mask(row["mask"][0]) for row in parsed(folder, "train")}


def told(folder: Path, name: str) -> dict:
    return json.loads((folder / f"{name}.json").read_text())


def test_the_true_masks_of_phantom_are_stored_with_their_boxes_and_all_else_is_as_without(
    shards: Path, images: Path, launch, tmp_path
):
    result = launch("make_shards", output=tmp_path / "out", input=images, masks="true", **PHANTOM)
    succeed(result)
    for name, mask in masks_of(tmp_path / "out").items():
        with Image.open(images / "masks" / f"{name}_Segmentation.png") as image:
            true = np.asarray(image)
        share = true.reshape(SIDE, 128 // SIDE, SIDE, 128 // SIDE).mean(axis=(1, 3))
        np.testing.assert_array_equal(mask, share >= 0.5)
    boxes = pd.read_csv(images / "boxes.csv").set_index("image_name") / 128
    for row in parsed(tmp_path / "out", "train"):
        np.testing.assert_allclose(row["boxes"], boxes.loc[row["image_name"][0].decode()], atol=1 / SIDE)
    plain, split = parsed(shards, "train"), parsed(tmp_path / "out", "train")
    assert plain == [{name: value for name, value in row.items() if name not in ("mask", "boxes")} for row in split]
    assert parsed(tmp_path / "out", "test") == parsed(shards, "test")
    without, manifest = read_manifest(shards), read_manifest(tmp_path / "out")
    assert manifest.masked_counts() == manifest.boxed_counts() == manifest.class_counts()
    assert (manifest.masks, manifest.boxes) == (LesionsOrigin(origin="true"), LesionsOrigin(origin="masks"))
    assert manifest.folds_fingerprint == without.folds_fingerprint
    counts = list(manifest.masked_counts())
    assert told(tmp_path / "out", "report")["masks"] == {"from": "true", "class_counts": counts}
    assert f"{counts[0]} benign, {counts[1]} malignant" in result.stderr
    assert not {"masks"} & (told(shards, "manifest").keys() | told(shards, "report").keys())
    assert not {"masked_counts", "made_from"} & told(shards, "manifest")["shards"][0].keys()


def disk(side: int = 64) -> np.ndarray:
    rows, columns = np.mgrid[:side, :side] - side // 2
    return np.hypot(rows, columns) < side // 4


@pytest.fixture
def with_masks(tmp_path: Path) -> dict:
    """Settings for a folder of images, some of which have masks."""
    settings = {**FOLDER, "input": draw_folder(tmp_path / "images"), "masks": tmp_path / "masks"}
    for name in ("a/001", "b/003_Segmentation", "b/006_SEGMENTATION"):
        path = tmp_path / "masks" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_mask(disk()))
    return {**settings, "output": tmp_path / "out"}


def test_the_masks_of_a_folder_are_stored_where_there_are_any(with_masks, launch):
    succeed(launch("make_shards", **with_masks))
    rows = {row["image_name"][0].decode(): row for row in parsed(with_masks["output"], "train")}
    masked = {name for name, row in rows.items() if "mask" in row}
    assert masked == {"a/001.jpg", "b/003.jpg", "b/006.jpg"} == {name for name, row in rows.items() if "boxes" in row}
    for name in masked:
        assert rows[name]["boxes"] == pytest.approx([0.25, 0.25, 0.75, 0.75], abs=1 / 32)
    manifest = read_manifest(with_masks["output"])
    assert (manifest.masked_counts(), manifest.masks.origin, len(manifest.masks.sha256)) == ((1, 2), "masks", 64)


def test_a_wrong_mask_ends_in_one_line_before_the_work(with_masks, launch):
    (with_masks["masks"] / "b" / "009.png").write_bytes(encode_mask(disk(32)))
    error = only_error(launch("make_shards", **with_masks))
    assert f"{with_masks['masks']}/b/009.png: " in error
    assert "32 x 32" in error
    assert not with_masks["output"].exists()


def config_of(with_masks: dict, **others: object) -> MakeShardsConfig:
    paths = {name: str(with_masks[name]) for name in ("masks", "output")}
    lists = {name: (str(with_masks[name]),) for name in ("source", "input")}
    return MakeShardsConfig(**{**FOLDER, **paths, **lists, **others})


def test_a_mask_of_no_image_is_refused_before_the_work(with_masks):
    (with_masks["masks"] / "b" / "008.png").write_bytes(encode_mask(disk()))
    with pytest.raises(DataError, match=r"masks/b/008\.png: "):
        make_shards.run(config_of(with_masks))
    assert not with_masks["output"].exists()


def test_true_masks_of_a_source_that_brings_none_are_refused(with_masks):
    with pytest.raises(CommandError, match="--masks=true: "):
        make_shards.run(config_of(with_masks, masks="true"))


def test_masks_are_found_in_real_images(real_data: Path, launch, tmp_path):
    """The rough mask finds a spot in nearly every dermoscopic image."""
    names = pd.read_csv(real_data / "isic" / "train.csv").groupby("target").head(20)
    (tmp_path / "isic" / "jpeg" / "train").mkdir(parents=True)
    names.to_csv(tmp_path / "isic" / "train.csv", index=False)
    for name in names["image_name"]:
        shutil.copy(real_data / "isic" / "jpeg" / "train" / f"{name}.jpg", tmp_path / "isic" / "jpeg" / "train")
    settings = {"source": "siim_isic", "input": tmp_path / "isic", "image_size": 64, "num_shards": 2, "workers": 1}
    succeed(launch("make_shards", output=tmp_path / "out", masks="auto", **settings))
    manifest = read_manifest(tmp_path / "out")
    assert min(manifest.masked_counts()) >= 17
    assert manifest.masks == LesionsOrigin(origin="auto")
