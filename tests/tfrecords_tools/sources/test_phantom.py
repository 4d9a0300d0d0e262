"""The drawn data set: equal seeds draw equal bytes, and it is laid out as SIIM-ISIC."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.ndimage import binary_dilation

from tfrecords_tools.foundation.errors import DataError
from tfrecords_tools.foundation.files import as_path, list_files
from tfrecords_tools.masks import read_mask
from tfrecords_tools.sources import SOURCES, SourceOptions
from tfrecords_tools.sources.box_table import read_boxes
from tfrecords_tools.sources.mask_folder import find_masks
from tfrecords_tools.sources.phantom import (
    BOXES_FILE,
    MASKS_FOLDER,
    Traits,
    box_of,
    draw_counterfactuals,
    draw_lesion,
    write_data_set,
)
from tfrecords_tools.sources.table import COLUMNS

OPTIONS = SourceOptions(num_images=200, seed=0)


@pytest.fixture(scope="module")
def phantom(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("sources") / "phantom"
    write_data_set(folder, OPTIONS)
    return folder


def test_a_drawn_set_has_the_columns_and_files_of_the_others(phantom):
    table = SOURCES["phantom"](phantom, OPTIONS)
    assert tuple(table.train.columns) == (*COLUMNS, "target")
    assert tuple(table.test.columns) == COLUMNS
    listed = {file.name: (file.size, file.version) for file in list_files(phantom, recursive=True)}
    for part in (table.train, table.test):
        assert [listed[file] for file in part["file"]] == list(zip(part["size"], part["version"], strict=True))


def test_phantom_draws_on_this_machine_only():
    with pytest.raises(DataError, match="gs://bucket/images: "):
        SOURCES["phantom"](as_path("gs://bucket/images"), OPTIONS)


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
        with Image.open(phantom / file) as image:
            assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (128, 128))
            dark += max(image.getpixel((0, 0))) < 20
    assert 0.2 < dark / len(files) < 0.4


def test_the_true_boxes_lie_beside_the_images(phantom):
    table = SOURCES["phantom"](phantom, OPTIONS)
    names = {*table.train["image_name"], *table.test["image_name"]}
    boxes = read_boxes(phantom / BOXES_FILE, names)
    assert boxes.keys() == names
    for ((x_min, y_min, x_max, y_max),) in boxes.values():
        assert 0 <= x_min < 64 < x_max <= 128  # every lesion covers the middle
        assert 0 <= y_min < 64 < y_max <= 128


def test_the_true_masks_lie_beside_the_images_and_have_the_true_boxes(phantom):
    table = SOURCES["phantom"](phantom, OPTIONS)
    names = [*table.train["image_name"], *table.test["image_name"]]
    assert table.masks == phantom / MASKS_FOLDER
    masks = find_masks(table.masks, names)
    boxes = read_boxes(phantom / BOXES_FILE, set(names))
    for name in names:
        mask = read_mask((table.masks / masks[name].name).read_bytes(), name, (128, 128))
        assert box_of(mask) == tuple(boxes[name][0])


def test_a_set_that_an_earlier_version_drew_has_no_masks(tmp_path):
    write_data_set(tmp_path / "data", SourceOptions(num_images=24, seed=0))
    shutil.rmtree(tmp_path / "data" / MASKS_FOLDER)
    assert SOURCES["phantom"](tmp_path / "data", SourceOptions(num_images=24, seed=0)).masks is None


def test_counterfactuals_differ_in_the_lesion_and_nothing_else():
    """Measured on 60 pairs: the malignant lesion has 1.42 times the area or more, images differ by 6.6 grey levels."""
    grown, changed = [], []
    for number in range(12):
        pair, again = draw_counterfactuals(0, number), draw_counterfactuals(0, number)
        np.testing.assert_array_equal(pair.malignant, again.malignant)
        grown.append(pair.malignant_mask.sum() / pair.benign_mask.sum())
        difference = np.abs(pair.benign.astype(int) - pair.malignant)
        changed.append(difference.mean())
        rim = np.ones((128, 128), bool)
        rim[8:-8, 8:-8] = False
        far = rim & ~binary_dilation(pair.benign_mask | pair.malignant_mask, iterations=24)
        assert far.any()
        assert difference[far].max() <= 1
    assert 1.3 < min(grown) < max(grown) < 1.7
    assert 4 < np.mean(changed) < 9
    assert not (draw_counterfactuals(1, 0).benign == draw_counterfactuals(0, 0).benign).all()


def test_the_box_of_a_mask_by_hand():
    mask = np.zeros((8, 8))
    mask[2:5, 1:7] = 0.5
    mask[5, 3] = mask[3, 7] = 0.49
    assert box_of(mask) == (1, 2, 7, 5)


def test_a_phantom_set_that_lies_there_is_used_and_not_drawn_again(phantom):
    before = {path: path.stat().st_mtime_ns for path in phantom.rglob("*")}
    SOURCES["phantom"](phantom, OPTIONS)
    assert {path: path.stat().st_mtime_ns for path in phantom.rglob("*")} == before


def test_a_phantom_set_of_another_seed_is_refused(phantom):
    with pytest.raises(DataError, match="--input"):
        SOURCES["phantom"](phantom, SourceOptions(num_images=OPTIONS.num_images, seed=OPTIONS.seed + 1))


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
