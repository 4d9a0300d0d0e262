"""make_shards: splits, names, the manifest, and what goes wrong with the input."""

import csv
import hashlib
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.pipelines.conftest import FOLDER, PHANTOM, artefacts, draw_folder, jpeg, only_error, parsed, picture, succeed
from tfrecords_tools import example
from tfrecords_tools.csv_tables import read_table
from tfrecords_tools.manifest import read_manifest
from tfrecords_tools.provenance import LesionsOrigin
from tfrecords_tools.records import read_records


@pytest.fixture(scope="module")
def images(shards: Path) -> Path:
    return shards.with_name("shards_images")


def test_every_row_of_the_tables_is_in_one_shard(shards: Path, images: Path):
    for split in ("train", "test"):
        names = [row["image_name"][0].decode() for row in parsed(shards, split)]
        assert sorted(names) == sorted(pd.read_csv(images / f"{split}.csv")["image_name"])


def test_shards_are_named_as_the_public_ones_with_their_record_count(shards: Path):
    for path in shards.glob("*.tfrec"):
        assert re.fullmatch(r"(train|test)\d\d-\d+\.tfrec", path.name)
        assert int(re.search(r"-([0-9]*)\.", path.name)[1]) == sum(1 for _ in read_records(path))


def test_metadata_and_target_are_those_of_the_table(shards: Path, images: Path):
    table = pd.read_csv(images / "train.csv").set_index("image_name")
    for row in parsed(shards, "train"):
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


def test_equal_settings_give_equal_bytes_with_any_number_of_workers(shards: Path, images: Path, launch, tmp_path):
    for workers in (1, 3):
        output = tmp_path / str(workers)
        succeed(launch("make_shards", output=output, input=images, workers=workers, **PHANTOM))
        assert artefacts(output) == artefacts(shards)


def test_done_work_is_recognised_and_other_settings_are_refused(shards: Path, launch):
    before = {path.name: path.stat().st_mtime_ns for path in shards.iterdir()}
    again = launch("make_shards", output=shards, **PHANTOM)
    succeed(again)
    assert str(shards) in again.stderr
    assert "image_size was 32, now 64" in only_error(
        launch("make_shards", output=shards, **{**PHANTOM, "image_size": 64})
    )
    assert {path.name: path.stat().st_mtime_ns for path in shards.iterdir()} == before


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


def test_images_that_cannot_be_read_are_listed_with_the_reason(broken_images: Path, launch, tmp_path):
    settings = {**PHANTOM, "source": "siim_isic", "input": broken_images, "output": tmp_path / "out"}
    result = launch("make_shards", **settings)
    succeed(result)
    assert re.search(f" 4 images .*{tmp_path}/out/rejected.csv", result.stderr)
    with open(tmp_path / "out" / "rejected.csv", encoding="utf-8") as file:
        reasons = [row["reason"] for row in csv.DictReader(file)]
    for expected in ("empty", "damaged", "No such file", "not an image"):
        assert sum(expected in reason for reason in reasons) == 1, reasons
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["rejected"] == 4
    rows = len(pd.read_csv(broken_images / "train.csv"))
    assert sum(shard["records"] for shard in manifest["shards"] if shard["split"] == "train") == rows - 4


def rows_of(path: Path) -> list[list[str]]:
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def test_images_of_one_colour_are_stored_counted_and_named(launch, tmp_path):
    folder = draw_folder(tmp_path / "images", count=9)
    Image.new("RGB", (40, 30), (7, 7, 7)).save(folder / "a" / "black.png")
    Image.fromarray(np.full((32, 32), 3, np.float32)).save(folder / "b" / "flat.tif")
    result = launch("make_shards", input=folder, output=tmp_path / "out", **FOLDER)
    succeed(result)
    assert f"2 images are of one colour: see {tmp_path}/out/blank.csv" in result.stderr
    header, *rows = rows_of(tmp_path / "out" / "blank.csv")
    assert header == ["image_name", "file"]
    assert sorted(Path(file).name for _, file in rows) == ["black.png", "flat.tif"]
    manifest = read_manifest(tmp_path / "out")
    assert manifest.blank == 2
    assert sum(shard.records for shard in manifest.shards) == 12  # 9 drawn, a copy of one, and these


def test_values_that_were_not_understood_are_counted_per_column_and_value(images: Path, launch, tmp_path):
    copy = shutil.copytree(images, tmp_path / "images")
    for split, ages in (("train", ["60-65", "60-65", "old"]), ("test", ["-5"])):
        table = pd.read_csv(copy / f"{split}.csv", dtype=str)
        table.loc[: len(ages) - 1, "age_approx"] = ages
        table.to_csv(copy / f"{split}.csv", index=False)
    settings = {**PHANTOM, "source": "siim_isic", "input": copy, "output": tmp_path / "out"}
    succeed(launch("make_shards", **settings))
    table = read_table(tmp_path / "out" / "values.csv", ["table", "column", "value"])
    assert table.values.tolist() == [
        [f"{copy}/train.csv", "age_approx", "60-65", 2],
        [f"{copy}/train.csv", "age_approx", "old", 1],
        [f"{copy}/test.csv", "age_approx", "-5", 1],
    ]


def test_a_class_none_of_whose_images_can_be_read_is_refused_whatever_may_be_left_out(launch, tmp_path):
    folder = draw_folder(tmp_path / "images", count=9)
    for path in (folder / "b").iterdir():
        path.write_text("no picture")
    error = only_error(launch("make_shards", input=folder, output=tmp_path / "out", max_rejected=99, **FOLDER))
    assert f"{tmp_path}/out" in error
    assert " b: " in error
    assert not (tmp_path / "out" / "COMPLETED").exists()


def test_too_many_rejected_images_stop_the_run_naming_one(broken_images: Path, launch, tmp_path):
    settings = {**PHANTOM, "source": "siim_isic", "input": broken_images, "output": tmp_path / "out"}
    error = only_error(launch("make_shards", max_rejected=3, **settings))
    assert str(broken_images) in error
    assert "--max_rejected from 3" in error
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_the_images_that_may_be_rejected_may_be_a_fraction(broken_images: Path, launch, tmp_path):
    images = sum(len(pd.read_csv(broken_images / f"{split}.csv")) for split in ("train", "test"))
    settings = {**PHANTOM, "source": "siim_isic", "input": broken_images, "output": tmp_path / "out"}
    error = only_error(launch("make_shards", max_rejected=f"{3.9 / images:.6f}", **settings))
    assert f"4 of {images} images" in error
    succeed(launch("make_shards", max_rejected=f"{100 * 4.1 / images:.4f}%", **settings))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"source": "siim_isic", "input": "/nonexistent"}, "/nonexistent: "),
        ({"source": "siim_isic"}, "--input names 0"),
        ({"source": "nothing"}, "source is 'nothing'; "),
        ({"source": "phantom", "image_size": 4}, "image_size is 4; "),
        ({"source": "phantom", "max_rejected": "1.5"}, "max_rejected is 1.5; "),
        ({"source": "phantom", "num_shards": 500, "num_images": 100}, "num_shards is 500, "),
    ],
)
def test_what_a_user_can_get_wrong_is_one_clear_line(settings: dict, message: str, launch, tmp_path):
    error = only_error(launch("make_shards", output=tmp_path / "out", **settings))
    assert error.startswith(f"error: {message}")


def test_a_path_that_leaves_the_input_folder_is_refused(images: Path, launch, tmp_path):
    copy = shutil.copytree(images, tmp_path / "images")
    table = pd.read_csv(copy / "train.csv")
    (tmp_path / "secret.jpg").write_bytes((copy / "jpeg" / "train" / f"{table['image_name'][0]}.jpg").read_bytes())
    table.loc[0, "image_name"] = "../../../secret"
    table.to_csv(copy / "train.csv", index=False)
    settings = {**PHANTOM, "source": "siim_isic", "input": copy, "output": tmp_path / "out"}
    assert launch("make_shards", **settings).returncode == 0
    assert "leaves the input folder" in (tmp_path / "out" / "rejected.csv").read_text()


def boxes_of(folder: Path) -> dict[str, list[float]]:
    return {row["image_name"][0].decode(): row.get("boxes", []) for row in parsed(folder, "train")}


def test_the_boxes_of_a_csv_are_stored_and_told_in_the_manifest(shards: Path, images: Path, launch, tmp_path):
    table = pd.read_csv(images / "boxes.csv")
    labels = pd.read_csv(images / "train.csv").set_index("image_name")["target"]
    table = table[table["image_name"] != labels.index[0]]
    table.to_csv(tmp_path / "boxes.csv", index=False)
    settings = {**PHANTOM, "input": images, "boxes": tmp_path / "boxes.csv"}
    result = launch("make_shards", output=tmp_path / "out", **settings)
    succeed(result)
    found = boxes_of(tmp_path / "out")
    expected = {row[0]: [corner / 128 for corner in row[1:]] for row in table.itertuples(index=False)}
    assert found == {name: expected.get(name, []) for name in labels.index}
    assert not any("boxes" in row for row in parsed(tmp_path / "out", "test"))
    manifest = read_manifest(tmp_path / "out")
    sha256 = hashlib.sha256((tmp_path / "boxes.csv").read_bytes()).hexdigest()
    assert manifest.boxes == LesionsOrigin(origin="boxes.csv", sha256=sha256)
    assert sum(manifest.boxed_counts()) == len(labels) - 1
    told, report = (json.loads((tmp_path / "out" / f"{name}.json").read_text()) for name in ("manifest", "report"))
    assert told["boxes"] == {"from": "boxes.csv", "sha256": sha256}
    assert report["boxes"] == told["boxes"] | {"class_counts": list(manifest.boxed_counts())}
    benign, malignant = manifest.boxed_counts()
    assert f"{benign} benign, {malignant} malignant" in result.stderr
    without = read_manifest(shards)
    assert (without.boxes, without.boxed_counts()) == (None, (0, 0))
    assert json.loads((shards / "manifest.json").read_text())["boxes"] == {}
    assert "boxes" not in json.loads((shards / "report.json").read_text())
    assert (without.source_fingerprint, without.folds_fingerprint) == (
        manifest.source_fingerprint,
        manifest.folds_fingerprint,
    )


def test_boxes_are_found_in_the_images(images: Path, launch, tmp_path):
    succeed(launch("make_shards", output=tmp_path / "out", input=images, boxes="auto", **PHANTOM))
    found = boxes_of(tmp_path / "out")
    assert all(len(box) == 4 for box in found.values())
    true = pd.read_csv(images / "boxes.csv").set_index("image_name") / 128
    np.testing.assert_allclose(list(found.values()), true.loc[list(found)], atol=0.15)
    assert read_manifest(tmp_path / "out").boxes == LesionsOrigin(origin="auto")
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["boxes"] == {"from": "auto"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image_name,x_min,y_min,x_max\n", "boxes.csv: no column y_max; --boxes"),
        ("image_name,x_min,y_min,x_max,y_max\nISIC,1,2,3,4\n", "boxes.csv line 2: no image 'ISIC'"),
    ],
)
def test_a_wrong_table_of_boxes_ends_in_one_line_before_the_work(text, message, images: Path, launch, tmp_path):
    (tmp_path / "boxes.csv").write_text(text)
    settings = {**PHANTOM, "input": images, "boxes": tmp_path / "boxes.csv"}
    error = only_error(launch("make_shards", output=tmp_path / "out", **settings))
    assert message in error
    assert not (tmp_path / "out").exists()


def test_a_box_outside_its_image_stops_the_run_which_resumes_when_it_is_corrected(images: Path, launch, tmp_path):
    table = pd.read_csv(images / "boxes.csv")
    name = pd.read_csv(images / "train.csv")["image_name"][3]
    settings = {**PHANTOM, "input": images, "boxes": tmp_path / "boxes.csv", "output": tmp_path / "out"}
    table.assign(x_max=table["x_max"].mask(table["image_name"] == name, 129)).to_csv(settings["boxes"], index=False)
    error = only_error(launch("make_shards", **settings))
    assert f"image {name}: " in error
    assert "128 x 128" in error
    assert "--boxes" in error
    table.to_csv(settings["boxes"], index=False)
    succeed(launch("make_shards", **settings))
    assert sum(map(bool, boxes_of(settings["output"]).values())) == len(boxes_of(settings["output"]))


def test_the_real_cells_become_shards(real_data: Path, launch, tmp_path):
    settings = {"source": "cells", "input": real_data / "cells", "fit": "stretch", "image_size": 32}
    succeed(launch("make_shards", output=tmp_path / "cells", num_shards=5, **settings))
    manifest = read_manifest(tmp_path / "cells")
    counts = dict(zip(manifest.classes, manifest.class_counts(), strict=True))
    assert counts == {"red blood cell": 1000, "ring": 292, "schizont": 106, "trophozoite": 887}


@pytest.fixture(scope="module")
def two_sources(tmp_path_factory: pytest.TempPathFactory) -> dict:
    """Settings for a SIIM-ISIC and an ISIC 2019 folder; ISIC_1 of the one is there again, encoded anew and smaller,
    as ISIC_9 of the other."""
    root = tmp_path_factory.mktemp("merge")
    siim, archive = root / "siim", root / "archive"
    for folder in (siim / "jpeg" / "train", archive / "ISIC_2019_Training_Input"):
        folder.mkdir(parents=True)
    for number in range(8):
        (siim / "jpeg" / "train" / f"ISIC_{number}.jpg").write_bytes(jpeg(picture(number)))
    pd.DataFrame(
        {
            "image_name": [f"ISIC_{number}" for number in range(8)],
            "patient_id": [f"IP_{number // 2}" for number in range(8)],
            "sex": "male",
            "age_approx": 45.0,
            "anatom_site_general_challenge": "torso",
            "diagnosis": "unknown",
            "target": [0, 1, 0, 0, 0, 1, 0, 0],
        }
    ).to_csv(siim / "train.csv", index=False)
    again = jpeg(picture(1).resize((48, 48), Image.Resampling.LANCZOS), quality=60)
    for name, data in (("ISIC_9", again), ("ISIC_10", jpeg(picture(10))), ("ISIC_11", jpeg(picture(11)))):
        (archive / "ISIC_2019_Training_Input" / f"{name}.jpg").write_bytes(data)
    truth = {"image": ["ISIC_9", "ISIC_10", "ISIC_11"], "MEL": [1.0, 0.0, 0.0], "NV": [0.0, 1.0, 1.0]}
    pd.DataFrame(truth).to_csv(archive / "ISIC_2019_Training_GroundTruth.csv", index=False)
    return {
        "source": "siim_isic,isic_archive",
        "input": f"{siim},{archive}",
        "image_size": 32,
        "num_shards": 2,
        "workers": 1,
    }


def test_sources_are_merged_and_what_both_hold_is_in_one_shard(two_sources: dict, launch, tmp_path):
    result = launch("make_shards", output=tmp_path / "out", **two_sources)
    succeed(result)
    assert re.search(f" 2 images .*1 group .*{tmp_path}/out/duplicates.csv", result.stderr)
    manifest = read_manifest(tmp_path / "out")
    assert manifest.source == "siim_isic+isic_archive"
    assert manifest.codes["source"] == {"siim_isic": 0, "isic_archive": 1}
    assert (manifest.duplicates.groups, manifest.duplicates.images, manifest.duplicates.dropped) == (1, 2, 0)
    names = [
        {example.parse(record)["image_name"][0].decode() for record in read_records(tmp_path / "out" / shard.file)}
        for shard in manifest.shards
    ]
    assert sum(map(len, names)) == 11
    assert any({"ISIC_0", "ISIC_1", "ISIC_9"} <= shard for shard in names)  # ISIC_0 is of the patient of ISIC_1
    rows = {row["image_name"][0].decode(): row for row in parsed(tmp_path / "out", "train")}
    assert {name: row["source"][0] for name, row in rows.items() if row["source"] != [0]} == dict.fromkeys(
        ("ISIC_9", "ISIC_10", "ISIC_11"), 1
    )
    assert rows["ISIC_9"]["patient_id"] == [-1]
    assert (rows["ISIC_9"]["target"], rows["ISIC_10"]["target"]) == ([1], [0])
    found = pd.read_csv(tmp_path / "out" / "duplicates.csv")
    assert found["image_name"].tolist() == ["ISIC_1", "ISIC_9"]
    assert found["action"].tolist() == ["kept", "kept"]


def test_the_second_of_two_duplicates_can_be_dropped(two_sources: dict, launch, tmp_path):
    result = launch("make_shards", output=tmp_path / "out", duplicates="drop", **two_sources)
    succeed(result)
    assert re.search(f" 2 images .*1 group .*1 dropped.*{tmp_path}/out/duplicates.csv", result.stderr)
    names = {row["image_name"][0].decode() for row in parsed(tmp_path / "out", "train")}
    assert names == {f"ISIC_{number}" for number in (*range(8), 10, 11)}
    found = pd.read_csv(tmp_path / "out" / "duplicates.csv")
    assert dict(zip(found["image_name"], found["action"], strict=True)) == {"ISIC_1": "kept", "ISIC_9": "dropped"}


def test_sources_and_inputs_come_in_pairs_of_the_same_classes(two_sources: dict, launch, tmp_path):
    one_input = {**two_sources, "input": two_sources["input"].split(",")[0]}
    error = only_error(launch("make_shards", output=tmp_path / "out", **one_input))
    assert error.startswith("error: --input names 1 ")
    assert "--source 2" in error
    for number, of_class in enumerate(("handled", "refused")):
        (tmp_path / "images" / of_class).mkdir(parents=True)
        (tmp_path / "images" / of_class / "1.jpg").write_bytes(jpeg(picture(number)))
    other = {**two_sources, "source": "siim_isic,image_folder"}
    other["input"] = f"{two_sources['input'].split(',')[0]},{tmp_path / 'images'}"
    error = only_error(launch("make_shards", output=tmp_path / "out2", **other))
    assert "handled, refused" in error
    assert re.search("siim_isic .*benign, malignant", error)
