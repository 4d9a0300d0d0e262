"""The masks of a data set: each is looked into before anything is made of it, and has its checksum."""

import numpy as np
import pandas as pd
import pytest

from tests.tfrecords_tools.tiny_shards import encoded, plain
from tfrecords_tools.foundation.errors import DataError
from tfrecords_tools.foundation.files import AnyPath, as_path, crc32c, list_files, write_atomically
from tfrecords_tools.mask_rows import check_masks, find_mask_rows
from tfrecords_tools.masks import encode_mask
from tfrecords_tools.rows import MaskFile
from tfrecords_tools.sources.merging import MergedTable
from tfrecords_tools.sources.table import image_table

MASK = np.eye(16, 12, dtype=bool)


@pytest.fixture(params=["here", "bucket"])
def folder(request, tmp_path):
    return as_path(str(tmp_path) if request.param == "here" else request.getfixturevalue("bucket"))


def made_table(folder: AnyPath) -> MergedTable:
    """Three images of two sources, 12 pixels wide and 16 high, and one test image."""
    roots = tuple(folder / name for name in ("a", "b", "test"))
    parts = []
    for source, (root, names) in enumerate(zip(roots, (("1", "2"), ("3",), ("4",)), strict=True)):
        for name in names:
            write_atomically(root / f"{name}.png", encoded(plain(9, (16, 12)), "PNG"))
        files = list_files(root)
        parts.append(image_table(files, names, [0] * len(files)).assign(source=source))
    train = pd.concat(parts[:2], ignore_index=True)
    return MergedTable(
        names=("a", "b"), roots=roots, classes=("x",), train=train, test=parts[2], sample_submission=None
    )


def found(folder: AnyPath, table: MergedTable, **masks: bytes) -> dict[str, MaskFile]:
    for name, data in masks.items():
        write_atomically(folder / "masks" / f"{name[1:]}.png", data)
    return find_mask_rows(folder / "masks", table, lambda jobs, work: list(map(work, jobs))[::-1])


def test_masks_of_training_images_of_all_sources_have_their_checksums(folder):
    data = {"_1": encode_mask(MASK), "_3": encode_mask(~MASK), "_4": b"of a test image: not read"}
    assert found(folder, made_table(folder), **data) == {
        name: MaskFile(f"{name}.png", len(data[f"_{name}"]), crc32c(data[f"_{name}"])) for name in ("1", "3")
    }


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (encode_mask(MASK.T), "16 x 12 .* 12 x 16"),
        (encode_mask(np.zeros_like(MASK)), "empty"),
        (b"", "cannot be read"),
    ],
)
def test_the_first_mask_that_is_none_is_named(folder, data, message):
    with pytest.raises(DataError, match=rf"{folder}/masks/3\.png: .*{message}"):
        found(folder, made_table(folder), _1=encode_mask(MASK), _3=data)


def test_the_size_of_an_image_that_cannot_be_read_is_left_to_its_shard(folder):
    table = made_table(folder)
    write_atomically(folder / "a" / "1.png", b"no image")
    (folder / "a" / "2.png").unlink()
    assert found(folder, table, _1=encode_mask(MASK.T), _2=encode_mask(MASK.T)).keys() == {"1", "2"}


def test_a_mask_that_a_link_leads_to_out_of_the_folder_is_refused(tmp_path):
    table = made_table(tmp_path)
    (tmp_path / "secret.png").write_bytes(encode_mask(MASK))
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks" / "1.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(DataError, match=r"masks/1\.png: "):
        found(tmp_path, table)


def test_more_masks_than_a_job_takes_are_looked_into_by_several(tmp_path, monkeypatch):
    monkeypatch.setattr("tfrecords_tools.mask_rows.FILES_PER_SCAN", 1)
    names = []

    def run(jobs, work):
        names.extend(job.name for job in jobs)
        assert work is check_masks
        return list(map(work, jobs))[::-1]

    table, data = made_table(tmp_path), [encode_mask(MASK), encode_mask(~MASK)]
    found(tmp_path, table, _1=data[0], _3=data[1])
    masks = find_mask_rows(tmp_path / "masks", table, run)
    assert len(set(names)) == 2
    assert [masks[name].crc32c for name in ("1", "3")] == list(map(crc32c, data))
