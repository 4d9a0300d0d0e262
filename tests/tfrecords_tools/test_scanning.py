"""Scans: what was found lies there for the next run, which reads a file again only if it may have changed."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.tfrecords_tools.made_up_tables import drawn_lesion
from tests.tfrecords_tools.tiny_shards import encoded
from tfrecords_tools.foundation.errors import DataError
from tfrecords_tools.foundation.files import (
    MISSING_SIZE,
    AnyPath,
    ListedFile,
    as_path,
    crc32c,
    list_files,
    read_text,
    write_atomically,
)
from tfrecords_tools.hashing import perceptual_hash
from tfrecords_tools.scanning import ScanJob, scan_files

IMAGES = {f"{number}.jpg": encoded(drawn_lesion(number), quality=90) for number in range(3)}


@pytest.fixture(params=["here", "bucket"])
def folder(request, tmp_path):
    return as_path(str(tmp_path) if request.param == "here" else request.getfixturevalue("bucket"))


def scan_job(folder: AnyPath, *, look_alikes: bool = True) -> ScanJob:
    """Writes the images and returns a job that looks into them."""
    for name, data in IMAGES.items():
        write_atomically(folder / "images" / name, data)
    return listed(
        ScanJob(name="scan0", folder=str(folder / "parts"), root="", files=(), look_alikes=look_alikes), folder
    )


def listed(job: ScanJob, folder: AnyPath) -> ScanJob:
    return replace(job, root=str(folder / "images"), files=tuple(list_files(folder / "images")))


def test_every_file_has_its_checksum_and_the_hash_of_its_picture(folder):
    result = scan_files(scan_job(folder))
    assert result.name == "scan0"
    assert [scanned.file.name for scanned in result.scanned] == list(IMAGES)
    assert [scanned.crc32c for scanned in result.scanned] == [crc32c(data) for data in IMAGES.values()]
    assert [bytes.fromhex(scanned.picture) for scanned in result.scanned] == list(map(perceptual_hash, IMAGES.values()))


def test_pictures_are_not_decoded_where_bytes_are_enough(folder):
    result = scan_files(scan_job(folder, look_alikes=False))
    assert [scanned.picture for scanned in result.scanned] == [None] * 3
    assert all(scanned.crc32c for scanned in result.scanned)


def test_what_was_found_is_used_again_without_reading(folder):
    job = scan_job(folder)
    first = scan_files(job)
    for name in IMAGES:
        (folder / "images" / name).unlink()
    assert scan_files(job) == first


def test_only_files_that_may_have_changed_are_read_again(tmp_path):
    job = scan_job(tmp_path)
    first = scan_files(job)
    path = tmp_path / "parts" / "scan0.json"
    known = json.loads(read_text(path))
    for scanned in known:
        scanned["picture"] = "00"
    path.write_text(json.dumps(known))
    write_atomically(tmp_path / "images" / "1.jpg", IMAGES["1.jpg"])  # the same bytes, written anew
    touched = listed(job, tmp_path)
    again = scan_files(touched)
    assert [scanned.picture for scanned in again.scanned] == ["00", first.scanned[1].picture, "00"]
    assert scan_files(touched) == again


def test_a_file_that_changed_is_named(folder):
    job = scan_job(folder)
    scan_files(job)
    write_atomically(folder / "images" / "1.jpg", IMAGES["2.jpg"])
    old, new = crc32c(IMAGES["1.jpg"]), crc32c(IMAGES["2.jpg"])
    message = rf"{folder}/images/1\.jpg: .*{old}.*{new}"
    with pytest.raises(DataError, match=message):
        scan_files(listed(job, folder))


def test_what_cannot_be_read_is_left_to_its_shard(folder):
    job = scan_job(folder)
    write_atomically(folder / "images" / "1.jpg", b"no picture")
    outside = ListedFile("../secret.jpg", 3, 1)
    write_atomically(folder / "secret.jpg", b"123")
    never_there = ListedFile("3.jpg", MISSING_SIZE, 0)
    result = scan_files(replace(job, files=(*job.files[:2], never_there, outside)))
    assert [scanned.crc32c for scanned in result.scanned] == [
        crc32c(IMAGES["0.jpg"]),
        crc32c(b"no picture"),
        None,
        None,
    ]
    assert [scanned.picture is None for scanned in result.scanned] == [False, True, True, True]


def test_a_file_that_was_listed_and_is_gone_ends_the_scan(folder):
    job = scan_job(folder)
    (folder / "images" / "1.jpg").unlink()
    with pytest.raises(DataError, match=f"{folder}/images/1.jpg: "):
        scan_files(job)


def test_a_bucket_that_sends_damaged_bytes_ends_the_scan_rather_than_hide_a_duplicate(bucket, bucket_server):
    job = scan_job(as_path(bucket))
    bucket_server.inject("corrupt", "GET", "alt=media")
    with pytest.raises(DataError, match=f"{bucket}/images/0.jpg: "):
        scan_files(job)
    bucket_server.faults.clear()
    assert all(scanned.crc32c for scanned in scan_files(job).scanned)


def test_findings_do_not_depend_on_what_was_known(folder, tmp_path):
    job = scan_job(folder)
    scan_files(replace(job, files=job.files[:1]))
    assert scan_files(job) == scan_files(replace(job, folder=str(tmp_path / "elsewhere")))
    assert len(json.loads(read_text(as_path(job.folder) / "scan0.json"))) == 3
    assert Path(tmp_path / "elsewhere" / "scan0.json").is_file()
