"""Folders of masks: found by the names of the images, and the first that fits none, or not one alone, is named."""

import pytest

from tfrecords_tools.foundation.errors import DataError
from tfrecords_tools.foundation.files import as_path, write_atomically
from tfrecords_tools.sources.mask_folder import find_masks

NAMES = ("ISIC_1", "ISIC_2", "a/näevus.jpg", "a/two.jpg", "a/two.png")


def found(folder, *files: str) -> dict[str, str]:
    for name in files:
        write_atomically(folder / name, b"1")
    return {name: file.name for name, file in find_masks(folder, NAMES).items()}


@pytest.mark.parametrize("kind", ["here", "bucket"])
def test_masks_are_found_by_name_in_any_case_and_with_either_ending(kind, tmp_path, request):
    folder = as_path(str(tmp_path) if kind == "here" else request.getfixturevalue("bucket"))
    files = ("ISIC_1_Segmentation.png", "isic_2.PNG", "a/näevus_segmentation.png", "a/two.jpg_Segmentation.png")
    assert found(folder, *files) == dict(zip(NAMES, files, strict=False))


def test_files_of_the_system_and_others_are_no_masks(tmp_path):
    assert found(tmp_path, "ISIC_1.png", "._ISIC_1.png", "__MACOSX/ISIC_1.png", "LICENSE.txt") == {
        "ISIC_1": "ISIC_1.png"
    }


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (("ISIC_1.png", "ISIC_3_Segmentation.png"), "ISIC_3_Segmentation.png: no image"),
        (("more/ISIC_1.png",), "more/ISIC_1.png: no image"),
        (("ISIC_1.png", "isic_1_segmentation.png"), r"isic_1_segmentation.png: .*ISIC_1 has another mask, ISIC_1\.png"),
        (("a/two_Segmentation.png",), "a/two_Segmentation.png: .*a/two.jpg or of a/two.png"),
        ((), "no mask"),
        (("ISIC_1.jpg",), "no mask"),
    ],
)
def test_what_fits_no_image_or_not_one_alone_is_named(tmp_path, files, message):
    with pytest.raises(DataError, match=message):
        found(tmp_path, *files)


def test_a_folder_that_is_not_there_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    for name in ("nowhere", "file"):
        with pytest.raises(DataError, match=f"{tmp_path}/{name}: no such folder; --masks"):
            find_masks(tmp_path / name, NAMES)
