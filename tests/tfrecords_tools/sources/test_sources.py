"""Sources: each lists its images in one kind of table, and names the file or column that is wrong."""

import shutil
import unicodedata
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.tfrecords_tools.sources.test_tfrecords import write as write_records
from tfrecords_tools.foundation.errors import DataError
from tfrecords_tools.foundation.files import AnyPath, as_path, file_size, list_files, write_atomically
from tfrecords_tools.foundation.metadata import METADATA
from tfrecords_tools.source_files import read_source_file
from tfrecords_tools.sources import SOURCES, SourceOptions
from tfrecords_tools.sources.table import COLUMNS, SHARD

OPTIONS = SourceOptions(num_images=200, seed=0)

TRAIN_CSV = """image_name,patient_id,sex,age_approx,anatom_site_general_challenge,target
ISIC_3,IP_1,male,45.0,torso,0
ISIC_1,IP_1,,,,1
ISIC_2,,female,50.0,head/neck,0
"""
TEST_CSV = """image_name,patient_id,sex,age_approx,anatom_site_general_challenge
ISIC_9,IP_7,male,70.0,
"""
ISIC_2019_TRUTH = """image,MEL,NV,BCC,AK,BKL,DF,VASC,SCC,UNK
ISIC_0000000,0.0,1.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0
ISIC_0000002_downsampled,1.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0
ISIC_0000004,0.0,0.0,0.0,0.0,0.0,0.0,0.0,1.0,0.0
"""
ISIC_2019_METADATA = """image,age_approx,anatom_site_general,lesion_id,sex
ISIC_0000004,80.0,posterior torso,BCN_0000003,male
ISIC_0000000,55.0,anterior torso,,female
ISIC_0000002_downsampled,,,MSK4_0000001,
"""
ISIC_2018_TRUTH = """image,MEL,NV,BCC,AKIEC,BKL,DF,VASC
ISIC_0024306,0.0,1.0,0.0,0.0,0.0,0.0,0.0
ISIC_0024313,1.0,0.0,0.0,0.0,0.0,0.0,0.0
ISIC_0024329,0.0,0.0,0.0,1.0,0.0,0.0,0.0
"""
ISIC_2018_LESIONS = """image,lesion_id,diagnosis confirm type
ISIC_0024329,HAM_0002954,histopathology
ISIC_0024306,HAM_0000550,serial imaging showing no change
ISIC_0024313,HAM_0000550,single image expert consensus
"""


def fill(folder: Path, files: dict[str, str]) -> None:
    """Writes text files; the text of an image is its name, so that all have bytes of their own."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


def images(*names: str) -> dict[str, str]:
    return {name: name for name in names}


def write_siim_isic(folder: Path) -> None:
    train = images(*(f"jpeg/train/ISIC_{number}.jpg" for number in (1, 2, 3)))
    tables = {"train.csv": TRAIN_CSV, "test.csv": TEST_CSV, "sample_submission.csv": "image_name,target\nISIC_9,0\n"}
    fill(folder, {**train, **images("jpeg/test/ISIC_9.jpg"), **tables})


def write_isic_2019(folder: Path) -> None:
    names = ("ISIC_0000000", "ISIC_0000002_downsampled", "ISIC_0000004")
    fill(folder, images(*(f"ISIC_2019_Training_Input/{name}.jpg" for name in names)))
    fill(
        folder,
        {"ISIC_2019_Training_Input/LICENSE.txt": "CC-BY-NC", "ISIC_2019_Training_GroundTruth.csv": ISIC_2019_TRUTH},
    )
    fill(folder, {"ISIC_2019_Training_Metadata.csv": ISIC_2019_METADATA})


def write_isic_2018(folder: Path) -> None:
    names = ("ISIC_0024306", "ISIC_0024313", "ISIC_0024329")
    fill(folder, images(*(f"ISIC2018_Task3_Training_Input/{name}.jpg" for name in names)))
    truth = "ISIC2018_Task3_Training_GroundTruth/ISIC2018_Task3_Training_GroundTruth.csv"  # so it is unpacked
    fill(folder, {truth: ISIC_2018_TRUTH, "ISIC2018_Task3_Training_LesionGroupings.csv": ISIC_2018_LESIONS})


def write_cells(folder: Path) -> None:
    labels = {10: "ring", 9: "schizont\n", 100: "red blood cell", 2: "trophozoite"}
    fill(folder, images(*(f"cell_{number}.png" for number in labels)))
    fill(folder, {f"cell_{number}.txt": label for number, label in labels.items()})


def write_image_folder(folder: Path) -> None:
    fill(folder, images("nevus/b.jpg", "nevus/a.PNG", "melanoma/more/c.tiff", "nevus/notes.txt", ".hidden/d.jpg"))
    fill(folder, images("README.jpg"))


def write_tfrecords(folder: Path) -> None:
    write_records(folder / "train00-2.tfrec", [{"image_name": "a", "target": 0}, {"image_name": "b", "target": 1}])
    write_records(folder / "test00-1.tfrec", [{"image_name": "c"}])


WRITERS = {
    "siim_isic": write_siim_isic,
    "isic_archive": write_isic_2019,
    "cells": write_cells,
    "image_folder": write_image_folder,
    "tfrecords": write_tfrecords,
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("sources")
    for source, write in WRITERS.items():
        write(root / source)
    return {source: root / source for source in WRITERS}


@pytest.fixture(params=["here", "bucket"])
def place(request):
    """Where a data set lies: returns the folder itself, or a copy of it in a bucket."""
    if request.param == "here":
        return as_path

    def copied(folder: str) -> AnyPath:
        there = as_path(request.getfixturevalue("bucket"))
        for file in list_files(Path(folder), recursive=True):
            write_atomically(there / file.name, (Path(folder) / file.name).read_bytes())
        return there

    return copied


def changed(file: str, old: str, new: str):
    def change(folder: Path) -> None:
        text = (folder / file).read_text()
        assert old in text
        (folder / file).write_text(text.replace(old, new))

    return change


def removed(name: str):
    return lambda folder: shutil.rmtree(folder / name) if (folder / name).is_dir() else (folder / name).unlink()


def assert_files_are_there(root: AnyPath, part: pd.DataFrame) -> None:
    """Whether each file or record lies under the root with the size, and each file with the version, of the table."""
    listed = {file.name: file for file in list_files(root, recursive=True)}
    for file, size, version in zip(part["file"], part["size"], part["version"], strict=True):
        assert len(read_source_file(root, file, size)) == size > 0
        if file in listed:
            assert (listed[file].size, listed[file].version) == (size, version)
            assert file_size(root / file) == size


@pytest.mark.parametrize("source", [source for source in SOURCES if source != "phantom"])
def test_every_source_returns_the_same_columns_and_existing_files_here_and_in_a_bucket(folders, source, place):
    root = place(str(folders[source]))
    table = SOURCES[source](root, OPTIONS)
    assert table.root == root
    assert tuple(column for column in table.train.columns if column != SHARD) == (*COLUMNS, "target")
    assert set(table.train["target"]) == set(range(len(table.classes)))
    for part in (table.train, table.test):
        if part is not None:
            assert tuple(part.columns[: len(COLUMNS)]) == COLUMNS
            assert part["image_name"].is_unique
            assert_files_are_there(root, part)


@pytest.mark.parametrize("source", [source for source in SOURCES if source != "phantom"])
def test_a_missing_folder_is_named(tmp_path, source, place):
    root = place(str(tmp_path / "data"))
    with pytest.raises(DataError, match=f"{root}: .*--input"):
        SOURCES[source](root, OPTIONS)


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
        ("siim_isic", changed("train.csv", "ISIC_2", "ISIC_3"), r"train\.csv: image ISIC_3 .* more than one row"),
        ("siim_isic", lambda folder: (folder / "train.csv").write_text(""), r"train\.csv: not a CSV table"),
        ("siim_isic", lambda folder: (folder / "train.csv").write_bytes(b"\xff\xfe\0"), r"train\.csv: .*UTF-16.*UTF-8"),
        ("siim_isic", changed("train.csv", "ISIC_2", ""), r"train\.csv: no image_name in line 4"),
        (
            "siim_isic",
            lambda folder: (folder / "sample_submission.csv").write_text("image_name\nISIC_9\n", "utf-16"),
            r"sample_submission\.csv: .*UTF-16.*UTF-8",
        ),
        (
            "siim_isic",
            lambda folder: (folder / "sample_submission.csv").write_text("id\nISIC_9\n"),
            r"sample_submission\.csv: no column image_name; it has id$",
        ),
        ("siim_isic", changed("train.csv", "ISIC_1,", "ISIC_1,,"), r"train\.csv: not a CSV table .*line 3"),
        ("cells", removed("cell_10.txt"), r"cell_10\.txt: no such file"),
        ("cells", changed("cell_10.txt", "ring", "rings"), r"cell_10\.txt: label 'rings' is not one of red blood cell"),
        ("cells", lambda folder: [path.unlink() for path in folder.glob("*.png")], r"data: no cell_N\.png"),
        ("image_folder", lambda folder: [removed(name)(folder) for name in ("nevus", "melanoma")], r"data: no class"),
        ("image_folder", removed("melanoma/more/c.tiff"), r"melanoma: no images"),
        ("image_folder", lambda folder: fill(folder, {"a\x1b/d.png": ""}), r"data: .*'a\\x1b', holds control"),
        ("isic_archive", removed("ISIC_2019_Training_GroundTruth.csv"), r"data: 0 files \*_GroundTruth\.csv"),
        ("isic_archive", removed("ISIC_2019_Training_Input"), r"data: 0 folders \*_Input, exactly one"),
        ("isic_archive", write_isic_2018, r"data: 2 folders \*_Input, exactly one"),
        (
            "isic_archive",
            lambda folder: fill(folder, {"ISIC_2019_Test_GroundTruth.csv": ISIC_2019_TRUTH}),
            r"data: 2 files \*_GroundTruth\.csv, exactly one is needed; one challenge a folder",
        ),
        (
            "isic_archive",
            changed("ISIC_2019_Training_GroundTruth.csv", "image,MEL", "image,melanoma"),
            r"GroundTruth\.csv: no column MEL; it has image, melanoma, NV",
        ),
        (
            "isic_archive",
            changed("ISIC_2019_Training_GroundTruth.csv", "downsampled,1.0", "downsampled,0.0"),
            r"GroundTruth\.csv: ISIC_0000002_downsampled .*MEL, NV, .*0\.0, 0\.0, ",
        ),
        (
            "isic_archive",
            changed("ISIC_2019_Training_GroundTruth.csv", "0000004,0.0", "0000004,1.0"),
            r"GroundTruth\.csv: ISIC_0000004 .*MEL, NV",
        ),
        (
            "isic_archive",
            changed("ISIC_2019_Training_GroundTruth.csv", "0000004,0.0", "0000004,no"),
            r"GroundTruth\.csv: ISIC_0000004 .*MEL, NV, .* no, ",
        ),
        (
            "isic_archive",
            changed("ISIC_2019_Training_GroundTruth.csv", "0000000,0.0,1.0,0.0", "0000000,0.0,0.5,0.5"),
            r"GroundTruth\.csv: ISIC_0000000 .*MEL, NV",
        ),
        (
            "isic_archive",
            changed("ISIC_2019_Training_GroundTruth.csv", "ISIC_0000004", "ISIC_0000000"),
            r"GroundTruth\.csv: .*ISIC_0000000",
        ),
        (
            "isic_archive",
            changed("ISIC_2019_Training_Metadata.csv", "image,", "name,"),
            r"Metadata\.csv: .*image; .*name, age_approx",
        ),
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
    assert table.test["file"].tolist() == ["jpeg/test/ISIC_9.jpg"]
    assert table.sample_submission == tmp_path / "data" / "sample_submission.csv"


def test_siim_isic_needs_no_test_split(tmp_path):
    write_siim_isic(tmp_path / "data")
    for name in ("test.csv", "sample_submission.csv", "jpeg/test"):
        removed(name)(tmp_path / "data")
    table = SOURCES["siim_isic"](tmp_path / "data", OPTIONS)
    assert (len(table.train), table.test, table.sample_submission) == (3, None, None)


def test_a_missing_image_has_no_size_and_is_left_to_its_shard(tmp_path, place):
    write_siim_isic(tmp_path / "data")
    (tmp_path / "data" / "jpeg" / "train" / "ISIC_1.jpg").unlink()
    table = SOURCES["siim_isic"](place(str(tmp_path / "data")), OPTIONS)
    assert table.train["file"].tolist() == [f"jpeg/train/ISIC_{number}.jpg" for number in (3, 1, 2)]
    assert table.train["size"].tolist() == [len("jpeg/train/ISIC_3.jpg"), -1, len("jpeg/train/ISIC_3.jpg")]
    assert table.train["version"][1] == 0


def test_images_are_found_with_any_extension_in_any_case_and_names_of_any_letters(tmp_path, place):
    fill(tmp_path / "data", images("jpeg/train/ISIC_1.JPG", "jpeg/train/ISIC_3.PNG", "jpeg/train/näevus_病変.jpeg"))
    fill(tmp_path / "data", {"train.csv": TRAIN_CSV.replace("ISIC_2", "näevus_病変")})
    root = place(str(tmp_path / "data"))
    table = SOURCES["siim_isic"](root, OPTIONS)
    expected = ["jpeg/train/ISIC_3.PNG", "jpeg/train/ISIC_1.JPG", "jpeg/train/näevus_病変.jpeg"]
    assert table.train["file"].tolist() == expected
    assert_files_are_there(root, table.train)


def test_a_letter_and_its_accent_may_be_one_sign_or_two(tmp_path):
    composed, apart = (unicodedata.normalize(form, "nævus_é") for form in ("NFC", "NFD"))
    assert composed != apart
    fill(tmp_path, {**images(f"jpeg/train/{apart}.jpg"), "train.csv": TRAIN_CSV.replace("ISIC_2", composed)})
    assert SOURCES["siim_isic"](tmp_path, OPTIONS).train["file"][2] == f"jpeg/train/{apart}.jpg"


def test_isic_2019_is_melanoma_or_not_with_its_lesions_and_metadata(tmp_path):
    write_isic_2019(tmp_path)
    table = SOURCES["isic_archive"](tmp_path, OPTIONS)
    assert table.classes == ("benign", "malignant")
    assert (table.test, table.sample_submission) == (None, None)
    train = table.train
    assert train["file"].tolist() == [f"ISIC_2019_Training_Input/{name}.jpg" for name in train["image_name"]]
    assert train["target"].tolist() == [0, 1, 0]
    assert train["diagnosis"].tolist() == ["NV", "MEL", "SCC"]
    assert train["lesion_id"].fillna("").tolist() == ["", "MSK4_0000001", "BCN_0000003"]
    assert train["age_approx"].fillna(0).tolist() == [55, 0, 80]
    assert train["sex"].fillna("").tolist() == ["female", "", "male"]
    assert train["anatom_site_general_challenge"].fillna("").tolist() == ["anterior torso", "", "posterior torso"]
    assert train["patient_id"].isna().all()


def test_the_files_that_a_mac_adds_to_an_archive_are_no_tables(tmp_path):
    write_isic_2019(tmp_path)
    for name in ("ISIC_2019_Training_GroundTruth.csv", "ISIC_2019_Training_Metadata.csv"):
        (tmp_path / f"._{name}").write_bytes(b"\0\x05\x16\x07\0")
    assert SOURCES["isic_archive"](tmp_path, OPTIONS).train["lesion_id"].notna().sum() == 2


@pytest.mark.parametrize("unpacked", [True, False])
def test_isic_2018_is_melanoma_or_not_with_its_lesions(tmp_path, unpacked):
    write_isic_2018(tmp_path)
    if not unpacked:
        truth = tmp_path / "ISIC2018_Task3_Training_GroundTruth"
        (truth / f"{truth.name}.csv").rename(tmp_path / f"{truth.name}.csv")
    train = SOURCES["isic_archive"](tmp_path, OPTIONS).train
    assert train["image_name"].tolist() == ["ISIC_0024306", "ISIC_0024313", "ISIC_0024329"]
    assert train["target"].tolist() == [0, 1, 0]
    assert train["diagnosis"].tolist() == ["NV", "MEL", "AKIEC"]
    assert train["lesion_id"].tolist() == ["HAM_0000550", "HAM_0000550", "HAM_0002954"]
    assert train[[column for column in METADATA if column != "diagnosis"]].isna().all(axis=None)


def test_columns_of_an_isic_table_that_are_no_diagnoses_do_not_matter(tmp_path):
    write_isic_2019(tmp_path)
    truth = tmp_path / "ISIC_2019_Training_GroundTruth.csv"
    lines = truth.read_text().splitlines()
    truth.write_text("\n".join([f"{lines[0]},score_weight", *(f"{line},1.0" for line in lines[1:])]))
    assert SOURCES["isic_archive"](tmp_path, OPTIONS).train["diagnosis"].tolist() == ["NV", "MEL", "SCC"]


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


def test_an_image_folder_of_one_class_is_read_and_told(tmp_path, caplog):
    write_image_folder(tmp_path / "data")
    shutil.rmtree(tmp_path / "data" / "nevus")
    table = SOURCES["image_folder"](tmp_path / "data", OPTIONS)
    assert table.classes == ("melanoma",)
    assert set(table.train["target"]) == {0}
    assert "melanoma" in caplog.text


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
    for part in (table.train, table.test):
        assert_files_are_there(table.root, part)
    assert table.test["patient_id"].isna().all()


def test_ages_that_are_no_numbers_are_missing(tmp_path):
    write_siim_isic(tmp_path)
    changed("train.csv", "male,45.0", "male,unknown")(tmp_path)
    ages = SOURCES["siim_isic"](tmp_path, OPTIONS).train["age_approx"]
    assert ages.isna().tolist() == [True, True, False]
    assert ages.dtype == float
