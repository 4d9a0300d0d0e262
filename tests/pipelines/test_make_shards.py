"""make_shards: splits, names, the manifest, and what goes wrong with the input."""

import csv
import json
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

from tests.pipelines.conftest import PHANTOM
from tfrecords_tools import example
from tfrecords_tools.manifest import read_manifest
from tfrecords_tools.records import read_records


@pytest.fixture(scope="module")
def images(shards: Path) -> Path:
    return shards.with_name("shards_images")


def _parsed(folder: Path, split: str) -> list[dict]:
    return [
        example.parse(record)
        for shard in read_manifest(folder).split(split)
        for record in read_records(folder / shard.file)
    ]


def test_every_row_of_the_tables_is_in_one_shard(shards: Path, images: Path):
    for split in ("train", "test"):
        names = [row["image_name"][0].decode() for row in _parsed(shards, split)]
        assert sorted(names) == sorted(pd.read_csv(images / f"{split}.csv")["image_name"])


def test_shards_are_named_as_the_public_ones_with_their_record_count(shards: Path):
    for path in shards.glob("*.tfrec"):
        assert re.fullmatch(r"(train|test)\d\d-\d+\.tfrec", path.name)
        assert int(re.search(r"-([0-9]*)\.", path.name)[1]) == sum(1 for _ in read_records(path))


def test_metadata_and_target_are_those_of_the_table(shards: Path, images: Path):
    table = pd.read_csv(images / "train.csv").set_index("image_name")
    for row in _parsed(shards, "train"):
        known = table.loc[row["image_name"][0].decode()]
        assert row["target"] == [known["target"]]
        assert row["age_approx"] == [-1 if pd.isna(known["age_approx"]) else int(known["age_approx"])]
        assert row["sex"] == [{"male": 0, "female": 1}.get(known["sex"], -1)]
        assert row["width"] == row["height"] == [PHANTOM["image_size"]]


def test_no_patient_is_in_two_shards(shards: Path):
    shards_of: dict[int, set] = {}
    for shard in read_manifest(shards).split("train"):
        for record in read_records(shards / shard.file):
            shards_of.setdefault(example.parse(record)["patient_id"][0], set()).add(shard.index)
    assert all(len(indices) == 1 for indices in shards_of.values())


def test_equal_settings_give_equal_bytes_with_any_number_of_workers(shards: Path, images: Path, run_stage, tmp_path):
    for workers in (1, 3):
        output = tmp_path / str(workers)
        assert run_stage("make_shards", output=output, input=images, workers=workers, **PHANTOM).returncode == 0
        for path in shards.glob("*.tfrec"):
            assert (output / path.name).read_bytes() == path.read_bytes()


def test_done_work_is_recognised_and_other_settings_are_refused(shards: Path, run_stage):
    again = run_stage("make_shards", output=shards, **PHANTOM)
    assert again.returncode == 0
    assert "complete already" in again.stderr
    other = run_stage("make_shards", output=shards, **{**PHANTOM, "image_size": 64})
    assert other.returncode == 1
    assert "image_size was 32, now 64" in other.stderr


@pytest.fixture
def broken_images(images: Path, tmp_path: Path) -> Path:
    """A copy of the data set with a zero-byte, a truncated, a missing and a text file among its images."""
    copy = shutil.copytree(images, tmp_path / "broken")
    files = sorted((copy / "jpeg" / "train").iterdir())
    files[0].write_bytes(b"")
    files[1].write_bytes(files[1].read_bytes()[:1500])
    files[2].unlink()
    files[3].write_text("no picture")
    return copy


def test_images_that_cannot_be_read_are_listed_with_the_reason(broken_images: Path, run_stage, tmp_path):
    settings = {**PHANTOM, "source": "siim_isic", "input": broken_images, "output": tmp_path / "out"}
    result = run_stage("make_shards", **settings)
    assert result.returncode == 0, result.stderr
    assert "4 images were left out" in result.stderr
    with open(tmp_path / "out" / "rejected.csv", encoding="utf-8") as file:
        reasons = [row["reason"] for row in csv.DictReader(file)]
    for expected in ("empty", "damaged", "cannot be read: No such file", "not an image"):
        assert sum(expected in reason for reason in reasons) == 1, reasons
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["rejected"] == 4
    rows = len(pd.read_csv(broken_images / "train.csv"))
    assert sum(shard["records"] for shard in manifest["shards"] if shard["split"] == "train") == rows - 4


def test_too_many_rejected_images_stop_the_run_naming_one(broken_images: Path, run_stage, tmp_path):
    settings = {**PHANTOM, "source": "siim_isic", "input": broken_images, "output": tmp_path / "out"}
    result = run_stage("make_shards", max_rejected=3, **settings)
    assert result.returncode == 1
    assert "4 images cannot be read, the first is" in result.stderr
    assert not (tmp_path / "out" / "manifest.json").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"source": "siim_isic", "input": "/nonexistent"}, "/nonexistent: no such folder"),
        ({"source": "siim_isic"}, "--input is required"),
        ({"source": "nothing"}, "source"),
        ({"source": "phantom", "image_size": 4}, "image_size is 4; it must be from 8 to 4096"),
        ({"source": "phantom", "num_shards": 500}, "choose fewer shards"),
    ],
)
def test_what_a_user_can_get_wrong_is_one_clear_line(settings: dict, message: str, run_stage, tmp_path):
    result = run_stage("make_shards", output=tmp_path / "out", **settings)
    assert result.returncode in (1, 2)
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stderr.strip().splitlines()[-1].startswith("error: ")


def test_a_path_that_leaves_the_input_folder_is_refused(images: Path, run_stage, tmp_path):
    copy = shutil.copytree(images, tmp_path / "images")
    table = pd.read_csv(copy / "train.csv")
    (tmp_path / "secret.jpg").write_bytes((copy / "jpeg" / "train" / f"{table['image_name'][0]}.jpg").read_bytes())
    table.loc[0, "image_name"] = "../../../secret"
    table.to_csv(copy / "train.csv", index=False)
    settings = {**PHANTOM, "source": "siim_isic", "input": copy, "output": tmp_path / "out"}
    assert run_stage("make_shards", **settings).returncode == 0
    assert "leaves the input folder" in (tmp_path / "out" / "rejected.csv").read_text()


def test_the_real_cells_become_shards(real_data: Path, run_stage, tmp_path):
    settings = {"source": "cells", "input": real_data / "cells", "fit": "stretch", "image_size": 32}
    result = run_stage("make_shards", output=tmp_path / "cells", num_shards=5, **settings)
    assert result.returncode == 0, result.stderr
    manifest = read_manifest(tmp_path / "cells")
    counts = dict(zip(manifest.classes, manifest.class_counts(), strict=True))
    assert counts == {"red blood cell": 1000, "ring": 292, "schizont": 106, "trophozoite": 887}
