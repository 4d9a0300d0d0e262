"""Data sets in zip files and in folders within folders: read as they come."""

import shutil
from pathlib import Path

import pandas as pd
import pytest

from tests.tfrecords_tools.sources.test_sources import (
    OPTIONS,
    assert_files_are_there,
    fill,
    images,
    write_isic_2018,
    write_isic_2019,
    write_siim_isic,
)
from tests.tfrecords_tools.sources.test_sources import WRITERS as SOURCE_WRITERS
from tfrecords_tools.foundation.errors import DataError
from tfrecords_tools.sources import SOURCES


def write_classes(folder: Path) -> None:
    fill(folder, images("nevus/b.jpg", "nevus/a.PNG", "melanoma/more/c.tiff"))


WRITERS = {**SOURCE_WRITERS, "image_folder": write_classes}
IN_ZIP_FILES = sorted(set(WRITERS) - {"tfrecords"})
UNCHANGED = ["image_name", "target", "size", "sex", "lesion_id"]


def load(source: str, folder: Path) -> pd.DataFrame:
    table = SOURCES[source](folder, OPTIONS)
    assert_files_are_there(table.root, table.train)
    return table.train


@pytest.mark.parametrize("source", IN_ZIP_FILES)
@pytest.mark.parametrize("inside", [".", "siim/inner"])
def test_a_data_set_in_one_zip_file_is_the_one_in_the_folder(tmp_path, source, inside):
    WRITERS[source](tmp_path / "packed" / inside)
    WRITERS[source](tmp_path / "plain")
    packed = Path(shutil.make_archive(str(tmp_path / "set"), "zip", tmp_path / "packed"))
    pd.testing.assert_frame_equal(load(source, packed)[UNCHANGED], load(source, tmp_path / "plain")[UNCHANGED])


@pytest.mark.parametrize("source", IN_ZIP_FILES)
def test_folders_within_folders_are_gone_through(tmp_path, source):
    WRITERS[source](tmp_path / "kaggle" / "download" / "set")
    (tmp_path / "kaggle" / "__MACOSX").mkdir()
    WRITERS[source](tmp_path / "plain")
    pd.testing.assert_frame_equal(
        load(source, tmp_path / "kaggle")[UNCHANGED], load(source, tmp_path / "plain")[UNCHANGED]
    )


def pack(folder: Path, *, with_own_name: bool) -> None:
    """Puts a folder, or a file, into a zip file of its name, which takes its place."""
    inside = folder.parent if with_own_name else folder
    shutil.make_archive(str(folder), "zip", inside, folder.name if with_own_name else None)
    shutil.rmtree(folder) if folder.is_dir() else folder.unlink()


@pytest.mark.parametrize("with_own_name", [True, False])
@pytest.mark.parametrize(
    ("source", "write", "parts"),
    [
        ("siim_isic", write_siim_isic, ["jpeg/train", "jpeg/test"]),
        ("siim_isic", write_siim_isic, ["jpeg"]),
        ("isic_archive", write_isic_2019, ["ISIC_2019_Training_Input"]),
        ("isic_archive", write_isic_2018, ["ISIC2018_Task3_Training_Input", "ISIC2018_Task3_Training_GroundTruth"]),
        ("image_folder", WRITERS["image_folder"], ["melanoma", "nevus"]),
    ],
)
def test_parts_of_a_data_set_may_be_zip_files(tmp_path, source, write, parts, with_own_name):
    write(tmp_path / "plain")
    write(tmp_path / "packed")
    for part in parts:
        pack(tmp_path / "packed" / part, with_own_name=with_own_name)
    columns = [name for name in UNCHANGED if name != "image_name" or source != "image_folder"]
    pd.testing.assert_frame_equal(load(source, tmp_path / "packed")[columns], load(source, tmp_path / "plain")[columns])


def test_tables_may_be_zip_files_as_kaggle_sends_them(tmp_path):
    write_siim_isic(tmp_path / "set")
    for name in ("train.csv", "test.csv", "sample_submission.csv"):
        pack(tmp_path / "set" / name, with_own_name=True)
    table = SOURCES["siim_isic"](tmp_path / "set", OPTIONS)
    assert (len(table.train), len(table.test)) == (3, 1)
    assert table.sample_submission.name == "sample_submission.csv"


def test_a_second_copy_of_all_classes_is_left_out(tmp_path, caplog):
    for root in ("", "cell_images/"):
        fill(tmp_path, images(f"{root}Parasitized/a.png", f"{root}Uninfected/b.png"))
    table = SOURCES["image_folder"](tmp_path, OPTIONS)
    assert table.classes == ("Parasitized", "Uninfected")
    assert sorted(table.train["file"]) == ["Parasitized/a.png", "Uninfected/b.png"]
    assert "cell_images" in caplog.text


def test_a_class_whose_images_lie_deeper_stays_a_class(tmp_path):
    fill(tmp_path, images("melanoma/2019/a.png", "melanoma/2019/b.png"))
    assert SOURCES["image_folder"](tmp_path, OPTIONS).classes == ("melanoma",)


def test_tfrecord_files_are_to_be_unpacked_first(tmp_path):
    WRITERS["tfrecords"](tmp_path / "set")
    packed = Path(shutil.make_archive(str(tmp_path / "set"), "zip", tmp_path / "set"))
    with pytest.raises(DataError, match="unpack"):
        SOURCES["tfrecords"](packed, OPTIONS)


@pytest.mark.parametrize("content", ["data/nevus", "nevus", ".", "broken"])
def test_zip_files_beside_folders_of_classes_are_left_out_and_told(tmp_path, caplog, content):
    """They often hold the same once more; and one that is cut short is no reason to stop."""
    write_classes(tmp_path / "set")
    write_classes(tmp_path / "plain")
    if content == "broken":
        (tmp_path / "set" / "data.zip").write_bytes(b"PK and no more")
    else:
        fill(tmp_path / "packed" / content, images("z.jpg"))
        name = "nevus" if content == "." else "data"
        shutil.make_archive(str(tmp_path / "set" / name), "zip", tmp_path / "packed")
    table = SOURCES["image_folder"](tmp_path / "set", OPTIONS)
    assert table.classes == ("melanoma", "nevus")
    assert len(table.train) == len(load("image_folder", tmp_path / "plain"))
    assert ".zip" in caplog.text


def test_zip_files_are_known_by_any_case(tmp_path):
    write_siim_isic(tmp_path / "siim")
    write_classes(tmp_path / "classes")
    for folder in (tmp_path / "siim" / "jpeg", tmp_path / "classes" / "nevus", tmp_path / "classes" / "melanoma"):
        pack(folder, with_own_name=True)
        folder.with_suffix(".zip").rename(folder.with_suffix(".ZIP"))
    assert len(load("siim_isic", tmp_path / "siim")) == 3
    assert SOURCES["image_folder"](tmp_path / "classes", OPTIONS).classes == ("melanoma", "nevus")
