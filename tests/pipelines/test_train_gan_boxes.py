"""METHOD=cpggan from end to end: boxes of the shards reach the generator, and a user's reach the synthetic shards."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from melgan.sampling import first_requests
from pipelines.artefacts.generator_run import load_generator
from pipelines.contract.shared_settings import SamplingSettings
from pipelines.synthesis.boxes import BY_GENERATOR, place
from pipelines.synthesis.opened import OpenedSampler
from pipelines.synthesis.samplers import open_sampler
from tests.pipelines.conftest import GAN, only_error, records_of, succeed
from tfrecords_tools.foundation.errors import CommandError, DataError
from tfrecords_tools.manifest import read_manifest
from tfrecords_tools.provenance import LesionsOrigin

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
def boxed_gan(line, boxed_shards, launch) -> Path:
    succeed(launch("train_gan", shards=boxed_shards, workdir=line.boxed_gan, **BOXED_GAN))
    return line.boxed_gan


def table_of(gan: Path) -> np.ndarray:
    return load_generator(str(gan), "gan").box_table.table.numpy()


def opened(gan: Path) -> OpenedSampler:
    return open_sampler(str(gan), "gan", SamplingSettings())


def test_shards_without_boxes_are_refused_with_the_remedy(shards, launch, tmp_path):
    error = only_error(launch("train_gan", shards=shards, workdir=tmp_path / "gan", **BOXED_GAN))
    assert error.startswith(f"error: {shards}: ")
    assert "--boxes=FILE.csv" in error
    assert "--boxes=auto" in error
    assert not (tmp_path / "gan").exists()


@pytest.mark.slow
def test_the_generator_has_the_boxes_of_the_training_images_of_each_class(boxed_shards, boxed_gan):
    table = table_of(boxed_gan)
    for label in range(2):
        real = {tuple(row["boxes"]) for row in records_of(boxed_shards, "train") if row["target"] == [label]}
        assert len(real) > 5
        assert {tuple(box) for box in table[label, :, 0].tolist()} == real
    assert not table[:, :, 1:].any()


@pytest.mark.slow
def test_lesions_are_placed_in_the_boxes_of_a_table_in_turn(boxed_gan, launch, tmp_path):
    path = tmp_path / "where.csv"
    path.write_text("x_min,y_min,x_max,y_max\n" + "".join(f"{','.join(map(str, box))}\n" for box in (LEFT, RIGHT)))
    settings = {"gan": boxed_gan, "output": tmp_path / "out", "label": "malignant", "count": 5, "shard_size": 3}
    succeed(launch("synthesize", boxes=path, **settings))
    found = {row["index"][0]: row["boxes"] for row in records_of(tmp_path / "out", "synthetic")}
    assert found == {0: LEFT, 1: RIGHT, 2: LEFT, 3: RIGHT, 4: LEFT}
    manifest = read_manifest(tmp_path / "out")
    origin = LesionsOrigin(origin="where.csv", sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    assert manifest.boxes == manifest.provenance.boxes == origin
    assert sum(sum(shard.boxed_counts) for shard in manifest.shards) == 5


@pytest.mark.slow
def test_without_a_table_images_carry_the_boxes_that_the_generator_chose(boxed_gan, launch, tmp_path):
    succeed(launch("synthesize", gan=boxed_gan, output=tmp_path / "out", label="benign", count=4))
    table = table_of(boxed_gan)
    rows = records_of(tmp_path / "out", "synthetic")
    assert len({tuple(row["boxes"]) for row in rows}) > 1
    assert {tuple(row["boxes"]) for row in rows} <= {tuple(box) for box in table[0, :, 0].tolist()}
    assert json.loads((tmp_path / "out" / "report.json").read_text())["provenance"]["boxes"] == {"from": "generator"}
    assert read_manifest(tmp_path / "out").boxes == BY_GENERATOR


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "where.csv: .*--boxes .*x_min, y_min, x_max, y_max"),
        ("x_min,y_min,x_max\n0,0,1\n", "where.csv: .*y_max; --boxes "),
        ("x_min,y_min,x_max,y_max\n", "where.csv: .*--boxes "),
        ("x_min,y_min,x_max,y_max\n0,0,1,1\n0,0,1,32\n", r"where.csv line 3 .*\(0, 0, 1, 32\)"),
        ("x_min,y_min,x_max,y_max\n0,0,x,1\n", r"where.csv line 2 .*\(0, 0, nan, 1\)"),
    ],
)
def test_a_table_that_cannot_be_meant_is_refused_in_one_line(boxed_gan, tmp_path, text, message):
    path = tmp_path / "where.csv"
    if text is not None:
        path.write_text(text)
    with pytest.raises((CommandError, DataError), match=message) as refusal:
        place(opened(boxed_gan), str(path))
    assert "\n" not in str(refusal.value)


@pytest.mark.slow
def test_a_generator_without_boxes_cannot_be_told_of_any(gan):
    with pytest.raises(CommandError, match="--boxes=where.csv: .*METHOD=bagan_gp .*METHOD=cpggan"):
        place(opened(gan), "where.csv")
    placement = place(opened(gan), "")
    assert (placement.given, placement.origin) == (None, None)
    requests = first_requests(0, 2)
    assert placement.placed(requests) is requests
    assert opened(gan).sampler.draw(requests).boxes is None
