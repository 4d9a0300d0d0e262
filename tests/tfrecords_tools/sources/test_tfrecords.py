"""TFRecord files of others, written by TensorFlow as the public Kaggle notebooks do."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.tfrecords_tools.tiny_shards import encoded, plain
from tfrecords_tools.foundation.errors import DataError
from tfrecords_tools.source_files import read_source_file
from tfrecords_tools.sources.table import SourceOptions, SourceTable
from tfrecords_tools.sources.tfrecords import load

SIDE = 16
PUBLIC = {"patient_id": 7, "sex": 1, "age_approx": 45, "anatom_site_general_challenge": 0, "source": 2}


def feature(value: object) -> tf.train.Feature:
    if isinstance(value, (bytes, str)):
        data = value if isinstance(value, bytes) else value.encode()
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[data]))
    if isinstance(value, list):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=value))
    if isinstance(value, float):
        return tf.train.Feature(float_list=tf.train.FloatList(value=[value]))
    return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))


def write(path: Path, records: list[dict], compression: str = "") -> list[bytes]:
    """Writes records, each with an image of its own unless it has one; returns the images."""
    records = [
        {"image": encoded(plain(number, (SIDE, SIDE)), "JPEG"), **record} for number, record in enumerate(records)
    ]
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path), compression) as writer:
        for record in records:
            features = {name: feature(value) for name, value in record.items() if value is not None}
            writer.write(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())
    return [record["image"] for record in records]


def read(folder: Path) -> SourceTable:
    return load(folder, SourceOptions(num_images=0, seed=0))


def test_public_shards_are_read_with_their_codes_and_images(tmp_path):
    train = write(
        tmp_path / "train00-2.tfrec",
        [{**PUBLIC, "image_name": "a", "target": 0}, {**PUBLIC, "image_name": "b", "target": 1, "sex": -1}],
    )
    write(tmp_path / "train10-1.tfrec", [{**PUBLIC, "image_name": "c", "target": 0, "patient_id": -1}])
    write(tmp_path / "train2-1.tfrec", [{**PUBLIC, "image_name": "d", "target": 0, "width": 9, "diagnosis": 2}])
    test = write(tmp_path / "test00-1.tfrec", [{**PUBLIC, "image_name": "e"}])
    table = read(tmp_path)
    rows = table.train.set_index("image_name")
    assert table.classes == ("benign", "malignant")
    assert list(rows.index) == ["a", "b", "d", "c"]  # 2 before 10
    assert list(rows["shard"]) == [0, 0, 1, 2]
    assert list(rows["target"]) == [0, 1, 0, 0]
    known = rows.astype(object).where(rows.notna(), None)
    assert list(known["patient_id"]) == [f"{tmp_path} 7"] * 3 + [None]
    assert list(known["sex"]) == ["female", None, "female", "female"]
    assert list(known["diagnosis"]) == [None, None, "melanoma", None]
    assert set(rows["anatom_site_general_challenge"]) == {"head/neck"}
    assert list(rows["age_approx"].astype(float)) == [45.0] * 4
    assert list(table.test["image_name"]) == ["e"]
    assert table.sizes == ((SIDE, SIDE),)
    for data, row in zip([*train, *test], [*table.train.iloc[:2].itertuples(), *table.test.itertuples()], strict=True):
        assert read_source_file(tmp_path, row.file, row.size) == data
        assert row.size == len(data)


def test_files_of_another_making_are_read_by_what_they_hold(tmp_path):
    png = encoded(plain(1, (SIDE, 2 * SIDE)), "PNG")
    records = [{"image": None, "image/encoded": png, "label": name} for name in ("nevus", "melanoma", "nevus")]
    write(tmp_path / "part.tfrecord", records)
    table = read(tmp_path)
    assert table.classes == ("melanoma", "nevus")
    assert list(table.train["target"]) == [1, 0, 1]
    assert list(table.train["image_name"]) == ["part_0", "part_1", "part_2"]
    assert table.sizes == ((2 * SIDE, SIDE),)
    assert table.test is None
    assert read_source_file(tmp_path, table.train["file"][1], 0) == png


def test_more_classes_than_two_are_numbered_and_codes_that_stand_for_nothing_are_told(tmp_path):
    write(tmp_path / "a.tfrec", [{"target": float(label), "sex": 5, "image_name": f"{label}"} for label in (0, 2, 1)])
    table = read(tmp_path)
    assert (table.classes, list(table.train["target"])) == (("0", "1", "2"), [0, 2, 1])
    (told,) = table.not_understood
    assert (told.column, told.value, told.images) == ("sex", "5", 3)
    assert table.train["sex"].isna().all()


def test_what_cannot_be_adopted_is_refused_by_name(tmp_path):
    def refused(match: str, records: list[dict], compression: str = "") -> None:
        path = tmp_path / match.strip(".*") / "x.tfrec"
        write(path, records, compression)
        with pytest.raises(DataError, match=match):
            read(path.parent)

    refused("gzip|compressed", [{"target": 0}], "GZIP")
    refused("target", [{"image_name": "a"}])
    refused("1 of 2", [{"target": 0}, {"image_name": "b"}])
    refused("colour.*image", [{"image": None, "colour": 3, "target": 1}])
    refused("2 values", [{"target": [1, 0]}])
    refused("-3", [{"target": -3}])
    refused("synthetic", [{"target": 1, "generator": "0a", "method": "gan", "seed": 0, "index": 0}])
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no TFRecord files"):
        read(tmp_path / "empty")
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "x.tfrec").write_bytes(b"no record at all, of any kind")
    with pytest.raises(DataError, match="record 0"):
        read(tmp_path / "odd")


def test_a_record_that_is_not_there_any_more_stops_the_run(tmp_path):
    write(tmp_path / "a.tfrec", [{"target": 0}, {"target": 1}])
    table = read(tmp_path)
    data = (tmp_path / "a.tfrec").read_bytes()
    (tmp_path / "a.tfrec").write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError, match="a.tfrec"):
        read_source_file(tmp_path, table.train["file"][1], 0)
    assert np.isfinite(table.train["size"]).all()
