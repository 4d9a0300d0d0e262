"""Manifests: read as written, here and in a bucket, and refused when damaged."""

import json
from dataclasses import replace

import pytest

from tfrecords_tools.foundation.errors import DataError
from tfrecords_tools.foundation.files import as_path, list_files, read_bytes, write_atomically
from tfrecords_tools.manifest import (
    MANIFEST_FILE,
    DuplicateCounts,
    Manifest,
    ShardEntry,
    describe_shard,
    read_manifest,
    require_images,
    shard_file_name,
    write_manifest,
)
from tfrecords_tools.provenance import LesionsOrigin, ShardsUsed, SyntheticProvenance


def entry(split: str, index: int, class_counts: tuple[int, ...]) -> ShardEntry:
    records = sum(class_counts) or 5
    return ShardEntry(
        file=shard_file_name(split, index, records),
        split=split,
        index=index,
        records=records,
        class_counts=class_counts,
        bytes=1000,
        crc32c="e3069283",
    )


MANIFEST = Manifest(
    source="siim_isic",
    source_fingerprint="0a",
    folds_fingerprint="0b",
    classes=("benign", "malignant"),
    image_size=256,
    encoder={"format": "JPEG", "quality": 95},
    shards=(entry("train", 1, (7, 1)), entry("train", 0, (9, 0)), entry("test", 0, ())),
    codes={"sex": {"male": 0, "female": 1}},
    rejected=3,
    balance=(
        {"shard": 0, "rows": 9, "benign": 9, "malignant": 0},
        {"shard": 1, "rows": 8, "benign": 7, "malignant": 1},
    ),
    duplicates=DuplicateCounts(groups=1, images=2, dropped=0, groups_of_several_classes=0, groups_of_both_splits=0),
    boxes=LesionsOrigin(origin="boxes.csv", sha256="0c"),
    provenance=SyntheticProvenance(
        generator="0d",
        gan="runs/gan",
        method="bagan_gp",
        seed=3,
        boxes=LesionsOrigin(origin="generator"),
        trained_on=ShardsUsed(folds_fingerprint="0b", shards=("train00-9.tfrec",), indices=(0,)),
    ),
)


@pytest.fixture(params=["here", "bucket"])
def folder(request, tmp_path):
    return as_path(str(tmp_path) if request.param == "here" else request.getfixturevalue("bucket"))


def test_a_manifest_is_read_as_it_was_written(folder):
    write_manifest(folder, MANIFEST)
    assert read_manifest(folder) == MANIFEST
    assert [file.name for file in list_files(folder)] == [MANIFEST_FILE]


def test_equal_manifests_are_equal_bytes(folder):
    write_manifest(folder, MANIFEST)
    first = read_bytes(folder / MANIFEST_FILE)
    write_manifest(folder, read_manifest(folder))
    assert read_bytes(folder / MANIFEST_FILE) == first


def test_a_split_is_in_order_of_index_and_its_classes_are_counted():
    assert [shard.file for shard in MANIFEST.split("train")] == ["train00-9.tfrec", "train01-8.tfrec"]
    assert MANIFEST.class_counts() == (16, 1)
    assert MANIFEST.split("synthetic") == ()
    assert MANIFEST.class_counts("synthetic") == (0, 0)


def test_a_folder_without_a_manifest_is_named(folder):
    with pytest.raises(DataError, match=rf"{folder}: no manifest\.json.*make_shards"):
        read_manifest(folder)


def test_images_with_boxes_are_counted_over_the_training_shards_that_have_any():
    with_boxes = (replace(MANIFEST.shards[0], boxed_counts=(3, 1)), *MANIFEST.shards[1:])
    assert replace(MANIFEST, shards=with_boxes).boxed_counts() == (3, 1)
    assert MANIFEST.boxed_counts() == (0, 0)


def test_images_with_masks_are_counted_and_the_file_has_nothing_of_masks_where_there_are_none(tmp_path):
    first = replace(MANIFEST.shards[0], masked_counts=(3, 1), made_from=(4, 7))
    masked = replace(MANIFEST, shards=(first, *MANIFEST.shards[1:]), masks=LesionsOrigin(origin="auto"))
    assert (masked.masked_counts(), MANIFEST.masked_counts()) == ((3, 1), (0, 0))
    write_manifest(tmp_path, masked)
    assert read_manifest(tmp_path) == masked
    values = json.loads((tmp_path / MANIFEST_FILE).read_text())
    assert values["masks"] == {"from": "auto"}
    told = [(shard.get("masked_counts"), shard.get("made_from")) for shard in values["shards"]]
    assert told == [([3, 1], [4, 7]), (None, None), (None, None)]
    write_manifest(tmp_path, MANIFEST)
    assert "masks" not in json.loads((tmp_path / MANIFEST_FILE).read_text())


def test_a_manifest_from_before_there_were_boxes_is_read(tmp_path):
    write_manifest(tmp_path, MANIFEST)
    path = tmp_path / MANIFEST_FILE
    values = json.loads(path.read_text())
    del values["boxes"]
    for shard in values["shards"]:
        del shard["boxed_counts"]
    path.write_text(json.dumps(values))
    assert read_manifest(tmp_path) == replace(MANIFEST, boxes=None)


def test_what_a_set_does_not_have_is_an_empty_object_in_the_file(tmp_path):
    write_manifest(tmp_path, replace(MANIFEST, duplicates=None, boxes=None, provenance=None))
    values = json.loads((tmp_path / MANIFEST_FILE).read_text())
    assert (values["duplicates"], values["boxes"], values["provenance"]) == ({}, {}, {})
    found = read_manifest(tmp_path)
    assert (found.duplicates, found.boxes, found.provenance) == (None, None, None)


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[: len(data) // 2],
        lambda data: b"[]",
        lambda data: b"null",
        lambda data: data.replace(b"siim", b"\xff\xfe"),
        lambda data: data.replace(b'"classes"', b'"glasses"'),
        lambda data: data.replace(b'"crc32c"', b'"crc"'),
        lambda data: data.replace(b'"balance"', b'"weights"'),
        lambda data: data.replace(b'"schema_version"', b'"version"'),
    ],
    ids=["empty", "cut", "list", "null", "bytes", "classes", "crc32c", "balance", "version"],
)
def test_a_damaged_manifest_is_named(tmp_path, damage):
    write_manifest(tmp_path, MANIFEST)
    path = tmp_path / MANIFEST_FILE
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match=r"manifest\.json: damaged .*make_shards"):
        read_manifest(tmp_path)


def test_another_schema_version_is_refused(tmp_path):
    write_manifest(tmp_path, MANIFEST)
    path = tmp_path / MANIFEST_FILE
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema_version": 1}))
    with pytest.raises(DataError, match=r"manifest\.json: schema_version 1, not 2.*make_shards"):
        read_manifest(tmp_path)


@pytest.mark.parametrize(
    ("split", "index", "records", "name"),
    [("train", 0, 2071, "train00-2071.tfrec"), ("test", 7, 0, "test07-0.tfrec"), ("train", 123, 4, "train123-4.tfrec")],
)
def test_a_shard_is_described_by_its_public_name_and_its_bytes(folder, split, index, records, name):
    assert shard_file_name(split, index, records) == name
    write_atomically(folder / name, b"123456789")
    described = describe_shard(folder / name, (1, 2))
    assert (described.split, described.index, described.records, described.file) == (split, index, records, name)
    assert (described.bytes, described.crc32c, described.class_counts) == (9, "e3069283", (1, 2))


@pytest.mark.parametrize("name", ["train00.tfrec", "00-5.tfrec", "train00-5.tfrecord", "train00-5.tfrec.tmp"])
def test_other_names_are_no_shards(tmp_path, name):
    with pytest.raises(DataError, match=rf"{name}: .*train00-2071"):
        describe_shard(tmp_path / name, ())


@pytest.mark.parametrize(
    "change",
    [
        lambda first, second: [{**first, "file": "../outside.tfrec"}, second],
        lambda first, second: [{**first, "file": f"/tmp/{first['file']}"}, second],
        lambda first, second: [{**first, "index": second["index"]}, {**second, "index": first["index"]}],
        lambda first, second: [first, first],
        lambda first, second: [{**first, "class_counts": [7, 7]}, second],
        lambda first, second: [{**first, "class_counts": [sum(first["class_counts"])]}, second],
        lambda first, second: [{**first, "split": "test"}, second],
    ],
    ids=["outside", "absolute", "swapped", "twice", "counts", "classes", "split"],
)
def test_entries_that_contradict_each_other_or_lead_out_of_the_folder_are_refused(tmp_path, change):
    write_manifest(tmp_path, replace(MANIFEST, shards=(entry("train", 0, (3, 2)), entry("train", 1, (4, 1)))))
    read_manifest(tmp_path)
    values = json.loads((tmp_path / MANIFEST_FILE).read_text())
    values["shards"] = change(*values["shards"])
    (tmp_path / MANIFEST_FILE).write_text(json.dumps(values))
    with pytest.raises(DataError, match=f"^{tmp_path / MANIFEST_FILE}: "):
        read_manifest(tmp_path)


@pytest.mark.parametrize(
    ("counts", "named"), [((3, 0), "malignant"), ((0, 3), "benign"), ((0, 0), "benign, malignant")]
)
def test_real_images_of_which_a_class_has_none_are_refused_by_its_name(counts, named):
    shards = (entry("train", 0, counts), entry("test", 0, ()))
    manifest = replace(MANIFEST, provenance=None, shards=shards)
    with pytest.raises(DataError, match=f"^out: .* {named}: "):
        require_images(manifest, "out")
    require_images(replace(MANIFEST, shards=(entry("train", 0, (1, 0)), entry("train", 1, (0, 1)))), "out")
