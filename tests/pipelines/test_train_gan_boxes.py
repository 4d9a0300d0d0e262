"""METHOD=cpggan from end to end: boxes of the shards reach the generator, and a user's reach the synthetic shards."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from melgan.gans.boxes import table_of
from pipelines.artefacts.generator_run import load_generator
from pipelines.synthesis.boxes import place
from tests.pipelines.conftest import GAN, only_error, succeed
from tfrecords_tools import example
from tfrecords_tools.foundation.errors import CommandError, DataError
from tfrecords_tools.manifest import read_manifest
from tfrecords_tools.records import read_records

BOXED_GAN = {
    **GAN,
    "method": "cpggan",
    "autoencoder_epochs": 0,
    "width": 0.02,
    "phase_epochs": 0.0,
    "disc_steps": 1,
    "num_folds": 0,
    "total_steps": 2,
    "checkpoint_every": 2,
}
LEFT, RIGHT = [0.125, 0.25, 0.375, 0.5], [0.625, 0.25, 0.875, 0.5]


@pytest.fixture(scope="session")
def boxed_gan(line, boxed_shards, run_stage) -> Path:
    succeed(run_stage("train_gan", shards=boxed_shards, workdir=line.boxed_gan, **BOXED_GAN))
    return line.boxed_gan


def records(folder: Path, split: str) -> list[dict]:
    return [
        example.parse(record)
        for shard in read_manifest(folder).split(split)
        for record in read_records(folder / shard.file)
    ]


def test_shards_without_boxes_are_refused_with_the_remedy(shards, run_stage, tmp_path):
    error = only_error(run_stage("train_gan", shards=shards, workdir=tmp_path / "gan", **BOXED_GAN))
    assert "no training image has a box" in error
    assert "make the shards anew with --boxes=FILE.csv, or with --boxes=auto" in error


@pytest.mark.slow
def test_the_generator_has_the_boxes_of_the_training_images_of_each_class(boxed_shards, boxed_gan):
    table = table_of(load_generator(str(boxed_gan), "gan").network).table.numpy()
    for label in range(2):
        real = {tuple(row["boxes"]) for row in records(boxed_shards, "train") if row["target"] == [label]}
        assert len(real) > 5
        assert {tuple(box) for box in table[label, :, 0].tolist()} == real
    assert not table[:, :, 1:].any()


@pytest.mark.slow
def test_lesions_are_placed_in_the_boxes_of_a_table_in_turn(boxed_gan, run_stage, tmp_path):
    path = tmp_path / "where.csv"
    path.write_text("x_min,y_min,x_max,y_max\n" + "".join(f"{','.join(map(str, box))}\n" for box in (LEFT, RIGHT)))
    settings = {"gan": boxed_gan, "output": tmp_path / "out", "label": "malignant", "count": 5, "shard_size": 3}
    succeed(run_stage("synthesize", boxes=path, **settings))
    found = {row["index"][0]: row["boxes"] for row in records(tmp_path / "out", "synthetic")}
    assert found == {0: LEFT, 1: RIGHT, 2: LEFT, 3: RIGHT, 4: LEFT}
    manifest = read_manifest(tmp_path / "out")
    source = {"from": "where.csv", "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    assert manifest.boxes == manifest.provenance["boxes"] == source
    assert sum(sum(shard.boxed_counts) for shard in manifest.shards) == 5


@pytest.mark.slow
def test_without_a_table_images_carry_the_boxes_that_the_generator_chose(boxed_gan, run_stage, tmp_path):
    succeed(run_stage("synthesize", gan=boxed_gan, output=tmp_path / "out", label="benign", count=4))
    table = table_of(load_generator(str(boxed_gan), "gan").network).table.numpy()
    rows = records(tmp_path / "out", "synthetic")
    assert len({tuple(row["boxes"]) for row in rows}) > 1
    assert {tuple(row["boxes"]) for row in rows} <= {tuple(box) for box in table[0, :, 0].tolist()}
    assert json.loads((tmp_path / "out" / "report.json").read_text())["provenance"]["boxes"] == {"from": "generator"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "where.csv: no such file; --boxes takes a CSV with the columns x_min, y_min, x_max, y_max"),
        ("x_min,y_min,x_max\n0,0,1\n", "where.csv: no column y_max; --boxes takes"),
        ("x_min,y_min,x_max,y_max\n", "where.csv: no row; --boxes of synthesize takes"),
        ("x_min,y_min,x_max,y_max\n0,0,1,1\n0,0,1,32\n", r"where.csv line 3 holds the box \(0, 0, 1, 32\), which is"),
        ("x_min,y_min,x_max,y_max\n0,0,x,1\n", r"where.csv line 2 holds the box \(0, 0, nan, 1\), which is"),
    ],
)
def test_a_table_that_cannot_be_meant_is_refused_in_one_line(boxed_gan, tmp_path, text, message):
    path = tmp_path / "where.csv"
    if text is not None:
        path.write_text(text)
    with pytest.raises((CommandError, DataError), match=message) as refusal:
        place(load_generator(str(boxed_gan), "gan"), str(path))
    assert "\n" not in str(refusal.value)


@pytest.mark.slow
def test_a_generator_without_boxes_cannot_be_told_of_any(gan):
    generator = load_generator(str(gan), "gan")
    with pytest.raises(CommandError, match="a generator of METHOD=bagan_gp cannot be told where lesions lie; leave"):
        place(generator, "where.csv")
    placing = place(generator, "")
    assert placing.source == {}
    assert placing.boxes(np.array([0, 1]), 0, np.array([0, 1])) is None
