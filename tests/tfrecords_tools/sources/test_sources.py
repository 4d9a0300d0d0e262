"""Sources: each lists its images in one kind of table, and names the file or column that is wrong."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tfrecords_tools.errors import DataError
from tfrecords_tools.folds import group_rows
from tfrecords_tools.sources import SOURCES, SourceOptions
from tfrecords_tools.sources.phantom import Traits, draw_lesion, write_data_set
from tfrecords_tools.sources.table import COLUMNS

OPTIONS = SourceOptions(num_images=200, seed=0)

TRAIN_CSV = """image_name,patient_id,sex,age_approx,anatom_site_general_challenge,target
ISIC_3,IP_1,male,45.0,torso,0
ISIC_1,IP_1,,,,1
ISIC_2,,female,50.0,head/neck,0
"""
TEST_CSV = """image_name,patient_id,sex,age_approx,anatom_site_general_challenge
ISIC_9,IP_7,male,70.0,
"""


def write_siim_isic(folder: Path) -> None:
    for split, table, names in (("train", TRAIN_CSV, (1, 2, 3)), ("test", TEST_CSV, (9,))):
        (folder / "jpeg" / split).mkdir(parents=True)
        (folder / f"{split}.csv").write_text(table)
        for name in names:
            (folder / "jpeg" / split / f"ISIC_{name}.jpg").touch()
    (folder / "sample_submission.csv").write_text("image_name,target\nISIC_9,0\n")


def write_cells(folder: Path) -> None:
    folder.mkdir()
    for number, label in ((10, "ring"), (9, "schizont\n"), (100, "red blood cell"), (2, "trophozoite")):
        (folder / f"cell_{number}.png").touch()
        (folder / f"cell_{number}.txt").write_text(label)


def write_image_folder(folder: Path) -> None:
    for name in ("nevus/b.jpg", "nevus/a.PNG", "melanoma/more/c.tiff", "nevus/notes.txt", ".hidden/d.jpg"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


WRITERS = {
    "siim_isic": write_siim_isic,
    "cells": write_cells,
    "image_folder": write_image_folder,
    "phantom": lambda folder: write_data_set(folder, OPTIONS),
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("sources")
    for source in SOURCES:
        WRITERS[source](root / source)
    return {source: root / source for source in SOURCES}


@pytest.fixture
def phantom(folders) -> Path:
    return folders["phantom"]


def changed(file: str, old: str, new: str):
    def change(folder: Path) -> None:
        text = (folder / file).read_text()
        assert old in text
        (folder / file).write_text(text.replace(old, new))

    return change


def removed(name: str):
    return lambda folder: shutil.rmtree(folder / name) if (folder / name).is_dir() else (folder / name).unlink()


@pytest.mark.parametrize("source", SOURCES)
def test_every_source_returns_the_same_columns_and_existing_files(folders, source):
    table = SOURCES[source](folders[source], OPTIONS)
    assert tuple(table.train.columns) == (*COLUMNS, "target")
    assert set(table.train["target"]) == set(range(len(table.classes)))
    for part in (table.train, table.test):
        if part is not None:
            assert tuple(part.columns[: len(COLUMNS)]) == COLUMNS
            assert part["image_name"].is_unique
            assert all(file.is_file() and file.is_relative_to(table.root) for file in part["file"])


@pytest.mark.parametrize("source", [source for source in SOURCES if source != "phantom"])
def test_a_missing_folder_is_named(tmp_path, source):
    with pytest.raises(DataError, match=f"{tmp_path / 'data'}: no such folder; --input"):
        SOURCES[source](tmp_path / "data", OPTIONS)


@pytest.mark.parametrize(
    ("source", "change", "message"),
    [
        ("siim_isic", removed("train.csv"), r"train\.csv: no such file"),
        ("siim_isic", removed("jpeg/train"), r"jpeg/train: no such folder"),
        ("siim_isic", removed("jpeg/test"), r"jpeg/test: no such folder"),
        (
            "siim_isic",
            changed("train.csv", "sex,age_approx", "gender,age"),
            r"train\.csv: no column sex, age_approx; it has image_name, patient_id, gender, age, "
            r"anatom_site_general_challenge, target$",
        ),
        ("siim_isic", changed("test.csv", "patient_id", "patient"), r"test\.csv: no column patient_id"),
        (
            "siim_isic",
            changed("train.csv", "torso,0", "torso,2"),
            r"train\.csv: target of ISIC_3 is 2; it must be 0 or 1",
        ),
        (
            "siim_isic",
            changed("train.csv", "torso,0", "torso,"),
            r"train\.csv: target of ISIC_3 is nan; it must be 0 or 1",
        ),
        ("siim_isic", changed("train.csv", ",,,,1", ",,,,benign"), r"target of ISIC_1 is benign; it must be 0 or 1"),
        ("siim_isic", changed("train.csv", "ISIC_2", "ISIC_3"), r"train\.csv: image_name ISIC_3 .* more than one row"),
        ("siim_isic", lambda folder: (folder / "train.csv").write_text(""), r"train\.csv: not a CSV table"),
        ("siim_isic", lambda folder: (folder / "train.csv").write_bytes(b"\xff\xfe\0"), r"train\.csv: not a CSV table"),
        ("siim_isic", changed("train.csv", "ISIC_1,", "ISIC_1,,"), r"train\.csv: not a CSV table .*line 3"),
        ("cells", removed("cell_10.txt"), r"cell_10\.txt: no such file"),
        ("cells", changed("cell_10.txt", "ring", "rings"), r"cell_10\.txt: label 'rings' is not one of red blood cell"),
        ("cells", lambda folder: [path.unlink() for path in folder.glob("*.png")], r"data: no cell_N\.png"),
        ("image_folder", removed("nevus"), r"data: 1 class folders, at least two"),
        ("image_folder", removed("melanoma/more/c.tiff"), r"melanoma: no images"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, source, change, message):
    WRITERS[source](tmp_path / "data")
    change(tmp_path / "data")
    with pytest.raises(DataError, match=message):
        SOURCES[source](tmp_path / "data", OPTIONS)


def test_siim_isic_keeps_the_order_and_the_gaps_of_its_tables(tmp_path):
    write_siim_isic(tmp_path / "data")
    table = SOURCES["siim_isic"](tmp_path / "data", OPTIONS)
    assert table.classes == ("benign", "malignant")
    assert table.train["image_name"].tolist() == ["ISIC_3", "ISIC_1", "ISIC_2"]
    assert table.train["target"].tolist() == [0, 1, 0]
    assert table.train["patient_id"].isna().tolist() == [False, False, True]
    assert table.train["diagnosis"].isna().all()
    assert table.test["file"].tolist() == [tmp_path / "data" / "jpeg" / "test" / "ISIC_9.jpg"]
    assert table.sample_submission == tmp_path / "data" / "sample_submission.csv"


def test_siim_isic_needs_no_test_split(tmp_path):
    write_siim_isic(tmp_path / "data")
    for name in ("test.csv", "sample_submission.csv", "jpeg/test"):
        removed(name)(tmp_path / "data")
    table = SOURCES["siim_isic"](tmp_path / "data", OPTIONS)
    assert (len(table.train), table.test, table.sample_submission) == (3, None, None)


@pytest.mark.parametrize("subfolder", ["", "train"])
def test_cells_are_in_order_of_their_number(tmp_path, subfolder):
    write_cells(tmp_path / "data")
    if subfolder:
        (tmp_path / "data").rename(tmp_path / subfolder)
        (tmp_path / "data").mkdir()
        (tmp_path / subfolder).rename(tmp_path / "data" / subfolder)
    table = SOURCES["cells"](tmp_path / "data", OPTIONS)
    assert table.train["image_name"].tolist() == ["cell_2", "cell_9", "cell_10", "cell_100"]
    assert [table.classes[target] for target in table.train["target"]] == [
        "trophozoite",
        "schizont",
        "ring",
        "red blood cell",
    ]


def test_an_image_folder_s_classes_are_its_folders_in_order_of_name(tmp_path):
    write_image_folder(tmp_path / "data")
    table = SOURCES["image_folder"](tmp_path / "data", OPTIONS)
    assert table.classes == ("melanoma", "nevus")
    assert table.train["image_name"].tolist() == ["melanoma/more/c.tiff", "nevus/a.PNG", "nevus/b.jpg"]
    assert table.train["target"].tolist() == [0, 1, 1]


def test_the_real_cells_are_those_of_their_description(real_data):
    table = SOURCES["cells"](real_data / "cells", OPTIONS)
    assert np.bincount(table.train["target"]).tolist() == [1000, 292, 106, 887]


def test_the_real_lesions_are_those_of_their_description(real_data):
    table = SOURCES["siim_isic"](real_data / "isic", OPTIONS)
    assert (len(table.train), table.train["target"].sum(), len(table.test)) == (2176, 433, 400)
    assert all(file.is_file() for file in [*table.train["file"], *table.test["file"]])
    assert table.test["patient_id"].isna().all()
    assert group_rows(table.test).max() + 1 == len({file.read_bytes() for file in table.test["file"]})


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_phantom_set_is_its_seed(tmp_path):
    for name, seed in (("first", 3), ("again", 3), ("other", 4)):
        write_data_set(tmp_path / name, SourceOptions(num_images=24, seed=seed))
    first, again, other = (contents(tmp_path / name) for name in ("first", "again", "other"))
    assert first == again
    assert set(first.values()).isdisjoint(other.values())


def test_a_phantom_set_splits_patients_and_about_a_twentieth_is_malignant(phantom):
    table = SOURCES["phantom"](phantom, OPTIONS)
    assert len(table.train) + len(table.test) == 200
    assert 0.15 < len(table.test) / 200 < 0.35
    assert set(table.train["patient_id"]).isdisjoint(table.test["patient_id"])
    assert table.train["patient_id"].value_counts().between(1, 8).all()
    assert 0.03 < table.train["target"].mean() < 0.07
    assert pd.read_csv(table.sample_submission)["image_name"].tolist() == table.test["image_name"].tolist()


def test_phantom_images_are_square_rgb_and_three_in_ten_have_the_dark_corners_of_a_dermatoscope(phantom):
    files = SOURCES["phantom"](phantom, OPTIONS).train["file"]
    dark = 0
    for file in files:
        with Image.open(file) as image:
            assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (128, 128))
            dark += max(image.getpixel((0, 0))) < 20
    assert 0.2 < dark / len(files) < 0.4


def test_a_phantom_set_that_lies_there_is_used_and_not_drawn_again(phantom):
    before = {path: path.stat().st_mtime_ns for path in phantom.rglob("*")}
    SOURCES["phantom"](phantom, OPTIONS)
    assert {path: path.stat().st_mtime_ns for path in phantom.rglob("*")} == before


def test_a_phantom_set_of_another_seed_is_refused(phantom):
    with pytest.raises(DataError, match="choose another --input"):
        SOURCES["phantom"](phantom, SourceOptions(num_images=OPTIONS.num_images, seed=OPTIONS.seed + 1))


def test_ages_that_are_no_numbers_are_missing(phantom, tmp_path):
    copy = shutil.copytree(phantom, tmp_path / "copy")
    table = pd.read_csv(copy / "train.csv", dtype=str)
    table.loc[0, "age_approx"] = "unknown"
    table.to_csv(copy / "train.csv", index=False)
    ages = SOURCES["siim_isic"](copy, OPTIONS).train["age_approx"]
    assert ages.isna()[0]
    assert ages.dtype == float


def test_what_a_killed_drawing_left_is_not_in_the_next(tmp_path):
    (tmp_path / ".data.tmp" / "jpeg" / "train").mkdir(parents=True)
    (tmp_path / ".data.tmp" / "jpeg" / "train" / "half.jpg").touch()
    write_data_set(tmp_path / "data", SourceOptions(num_images=24, seed=0))
    assert [path.name for path in tmp_path.iterdir()] == ["data"]
    assert "jpeg/train/half.jpg" not in contents(tmp_path / "data")


def test_a_phantom_set_replaces_no_other_files(tmp_path):
    (tmp_path / "mine.txt").touch()
    with pytest.raises(DataError, match="not empty, and nothing that phantom drew"):
        SOURCES["phantom"](tmp_path, OPTIONS)
    assert (tmp_path / "mine.txt").is_file()


@pytest.mark.parametrize("tone", [0.0, 1.0])
def test_a_lesion_of_larger_diameter_covers_more_skin(tone):
    def brightness(diameter: float) -> float:
        traits = Traits(asymmetry=0, border=0, colour=0, diameter=diameter)
        return draw_lesion(traits, tone, np.random.default_rng(1)).mean()

    assert brightness(-2) > brightness(0) > brightness(2)
