"""Shards from TFRecord files of others: without encoding anew, in folds made anew or kept."""

from pathlib import Path

import pytest

from pipelines import make_shards
from pipelines.artefacts.shards import open_shards
from pipelines.make_shards import MakeShardsConfig
from tests.tfrecords_tools.sources.test_tfrecords import SIDE, write
from tests.tfrecords_tools.tiny_shards import encoded, plain
from tfrecords_tools.example import parse
from tfrecords_tools.foundation.errors import CommandError
from tfrecords_tools.manifest import read_manifest
from tfrecords_tools.records import read_records

FILES, RECORDS = 3, 8


@pytest.fixture
def foreign(tmp_path) -> Path:
    """Three training files, two of whose patients lie in several, and one of test images."""
    folder, numbers = tmp_path / "foreign", iter(range(1000))
    for file in range(FILES):
        records = [record_of(next(numbers), patient_id=row if row < 2 else 100 * file + row) for row in range(RECORDS)]
        write(folder / f"train{file:02d}-{RECORDS}.tfrec", records)
    unlabelled = [{key: value for key, value in record_of(next(numbers)).items() if key != "target"} for _ in range(4)]
    write(folder / "test00-4.tfrec", unlabelled)
    return folder


def record_of(number: int, **others: object) -> dict:
    image = plain(number, (SIDE, SIDE))
    image[: number % SIDE, number // SIDE :] = 255 - 7 * number % 200
    return {"image": encoded(image, "JPEG"), "image_name": f"ISIC_{number:04d}", "target": number % 2, **others}


def adopt(foreign: Path, output: Path, **settings: object) -> Path:
    given = {"source": ("tfrecords",), "input": (str(foreign),), "duplicates": "bytes", "workers": 1, "num_shards": 4}
    make_shards.run(MakeShardsConfig(output=str(output), **{**given, **settings}))
    return output


def rows(*paths: Path) -> list[dict]:
    return [parse(record) for path in sorted(paths) for record in read_records(path)]


def images_by_name(folder: Path, split: str) -> dict[bytes, bytes]:
    return {row["image_name"][0]: row["image"][0] for row in rows(*folder.glob(f"{split}*.tfrec"))}


def test_kept_folds_have_the_files_as_shards_and_their_bytes_and_leaks_are_told(foreign, tmp_path, caplog):
    folder = adopt(foreign, tmp_path / "out", folds="kept")
    manifest = read_manifest(folder)
    assert [entry.records for entry in manifest.split("train")] == [RECORDS] * FILES
    assert [entry.records for entry in manifest.split("test")] == [4]
    assert (manifest.image_size, manifest.classes, manifest.source) == (SIDE, ("benign", "malignant"), "tfrecords")
    for split in ("train", "test"):
        assert images_by_name(folder, split) == images_by_name(foreign, split)
    names = [row["image_name"][0].decode() for row in rows(*folder.glob("train*.tfrec"))]
    assert names == sorted(names)  # in their order
    assert "2 patients" in caplog.text
    assert open_shards(str(folder), "shards").classes == manifest.classes


def test_folds_made_anew_keep_patients_together_and_the_bytes_of_images(foreign, tmp_path):
    folder = adopt(foreign, tmp_path / "out")
    assert images_by_name(folder, "train") == images_by_name(foreign, "train")
    shards_of: dict[int, set[str]] = {}
    for path in folder.glob("train*.tfrec"):
        for row in rows(path):
            shards_of.setdefault(row["patient_id"][0], set()).add(path.name)
    assert len(read_manifest(folder).split("train")) == 4
    assert all(len(names) == 1 for names in shards_of.values())


def test_images_of_several_sizes_need_one_to_be_given(foreign, tmp_path):
    write(foreign / "train03-1.tfrec", [record_of(99) | {"image": encoded(plain(1, (24, 24)), "JPEG")}])
    with pytest.raises(CommandError, match="16 x 16, 24 x 24.*--image_size"):
        adopt(foreign, tmp_path / "out")
    assert read_manifest(adopt(foreign, tmp_path / "small", image_size=8)).image_size == 8


def test_shards_of_others_are_refused_with_the_way_to_adopt_them(foreign):
    with pytest.raises(CommandError, match="no manifest.json.*--source=tfrecords"):
        open_shards(str(foreign), "shards")


def test_folds_of_images_in_files_cannot_be_kept(tmp_path):
    with pytest.raises(ValueError, match="folds"):
        MakeShardsConfig(source=("phantom",), output=str(tmp_path / "out"), folds="kept")
