"""The whole line end to end on a small phantom set: each command's artefacts, kills in the middle, refusals."""

import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.metrics import roc_auc_score

from pipelines import synthesize
from pipelines.artefacts.metrics_file import read_metrics
from pipelines.artefacts.synthetic_run import SynthesizeConfig
from tests.command_server import Command
from tests.conftest import ROOT, command_line
from tests.pipelines.conftest import (
    CLASSIFIER,
    EVALUATED_GAN,
    GAN,
    PHANTOM,
    only_error,
    records_of,
    start_command,
    succeed,
)
from tfrecords_tools import example
from tfrecords_tools.foundation.errors import UserError
from tfrecords_tools.foundation.files import file_sha256
from tfrecords_tools.manifest import read_manifest
from tfrecords_tools.records import read_records

pytestmark = pytest.mark.slow


def _end_when(process: Command, condition: Callable[[], bool], number: signal.Signals) -> int:
    """Sends a command a signal as soon as the condition holds, and returns its exit code."""
    deadline = time.monotonic() + 240
    while process.poll() is None and not condition():
        assert time.monotonic() < deadline, "the condition for the kill never held"
        time.sleep(0.02)
    process.send_signal(number)
    return process.wait()


def test_gan_run_leaves_generator_samples_metrics_and_checkpoints(gan: Path):
    assert (
        file_sha256(gan / "generator.weights.h5") == json.loads((gan / "report.json").read_text())["generator_sha256"]
    )
    assert sorted(path.name for path in (gan / "samples").iterdir()) == ["0000004.png", "0000008.png", "0000012.png"]
    with Image.open(gan / "samples" / "0000012.png") as grid:
        assert grid.width > 9 * 64
        assert grid.height > 2 * 64
    assert [line.step for line in read_metrics(gan, "gan")] == [2, 4, 6, 8, 10, 12]
    assert list((gan / "tensorboard" / "gan").glob("events*"))
    assert (gan / "checkpoints" / "gan" / "checkpoint").is_file()


def test_gan_does_not_read_the_shards_of_its_fold(gan: Path):
    trained_on = json.loads((gan / "report.json").read_text())["trained_on"]
    assert trained_on["indices"] == [1, 3, 5]


def test_a_gan_run_that_was_asked_to_stop_ends_as_an_undisturbed_one(gan: Path, shards: Path, launch, tmp_path):
    settings = {**EVALUATED_GAN, "shards": shards}
    killed = tmp_path / "killed"
    first_checkpoint = killed / "samples" / "0000004.png"
    run = start_command("train_gan", tmp_path / "log", workdir=killed, **settings)
    code = _end_when(run, first_checkpoint.exists, signal.SIGTERM)
    assert code == 128 + signal.SIGTERM
    assert not (killed / "COMPLETED").exists()
    succeed(launch("train_gan", workdir=killed, **settings))
    reports = [json.loads((folder / "report.json").read_text()) for folder in (gan, killed)]
    assert reports[0]["last_metrics"] == reports[1]["last_metrics"]
    assert [report["best"]["step"] for report in reports] == [reports[0]["best"]["step"]] * 2
    assert [report["best"]["kid"] for report in reports] == [reports[0]["best"]["kid"]] * 2
    assert read_metrics(gan) == read_metrics(killed)
    sheets = [np.asarray(Image.open(folder / "samples" / "0000012.png")) for folder in (gan, killed)]
    np.testing.assert_array_equal(*sheets)


def test_synthetic_images_carry_their_provenance(synthetic: Path, gan: Path):
    manifest = read_manifest(synthetic)
    assert [(shard.index, shard.records) for shard in manifest.shards] == [(0, 15), (1, 15)]
    rows = records_of(synthetic, "synthetic")
    generator = json.loads((gan / "report.json").read_text())["generator_sha256"].encode()
    assert {row["generator"][0] for row in rows} == {generator}
    assert {row["method"][0] for row in rows} == {b"bagan_gp"}
    assert sorted(row["index"][0] for row in rows) == list(range(30))
    assert {row["target"][0] for row in rows} == {1}
    assert manifest.provenance.trained_on.indices == (1, 3, 5)
    told = json.loads((synthetic / "report.json").read_text())["provenance"]
    assert told == json.loads((synthetic / "manifest.json").read_text())["provenance"]
    names = "generator gan method seed boxes rejected_copies trained_on selected_on ancestors"
    assert list(told) == names.split()
    assert (synthetic / "grid.png").is_file()


def test_balance_brings_every_class_to_the_largest(gan: Path, launch, tmp_path):
    succeed(launch("synthesize", gan=gan, output=tmp_path / "out", balance=True))
    benign, malignant = json.loads((gan / "report.json").read_text())["class_counts"]
    assert read_manifest(tmp_path / "out").class_counts("synthetic") == (0, benign - malignant)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({}, "--balance.*--label.*--count"),
        ({"label": "malignant"}, "^--count "),
        ({"label": "melanoma", "count": 3}, "^--label='melanoma' .*benign, malignant"),
    ],
)
def test_synthesize_says_what_it_needs(gan: Path, tmp_path, asked, told):
    with pytest.raises(UserError, match=told):
        synthesize.run(SynthesizeConfig(gan=str(gan), output=str(tmp_path / "out"), **asked))
    assert not (tmp_path / "out").exists()


def test_out_of_fold_predictions_are_of_the_held_out_shards(classifier: Path, shards: Path):
    table = pd.read_csv(classifier / "oof.csv")
    for fold, indices in ((0, (0, 2, 4)), (1, (1, 3, 5))):
        held_out = [
            example.parse(record)["image_name"][0].decode()
            for shard in read_manifest(shards).split("train")
            if shard.index in indices
            for record in read_records(shards / shard.file)
        ]
        assert table["image_name"][table["fold"] == fold].tolist() == held_out
    np.testing.assert_allclose(table["probability benign"] + table["probability malignant"], 1, atol=1e-6)


def test_the_best_epoch_is_the_one_kept(classifier: Path):
    report = json.loads((classifier / "report.json").read_text())
    table = pd.read_csv(classifier / "oof.csv")
    for fold in (0, 1):
        lines = [line.metrics for line in read_metrics(classifier, f"fold{fold}")]
        evaluated = {line["epoch"]: line["validation_auc"] for line in lines if "validation_auc" in line}
        assert sorted(evaluated) == [1, 2]
        assert evaluated[report["best_epochs"][str(fold)]] == max(evaluated.values())
        assert report["fold_auc"][str(fold)] == max(evaluated.values())
        own = table[table["fold"] == fold]
        assert roc_auc_score(own["label"], own["probability malignant"]) == pytest.approx(
            max(evaluated.values()), abs=1e-6
        )


def test_a_classifier_run_killed_in_the_middle_ends_as_an_undisturbed_one(
    classifier: Path, shards: Path, launch, tmp_path
):
    settings = {**CLASSIFIER, "shards": shards}
    killed = tmp_path / "killed"
    first_fold = killed / "fold0" / "predictions.csv"

    def first_epoch_of_second_fold_is_evaluated() -> bool:
        return any("validation_auc" in line.metrics for line in read_metrics(killed, "fold1"))

    run = start_command("train_classifier", tmp_path / "log", workdir=killed, **settings)
    _end_when(run, first_epoch_of_second_fold_is_evaluated, signal.SIGKILL)
    assert not (killed / "COMPLETED").exists()
    first_written = first_fold.stat().st_mtime_ns
    succeed(launch("train_classifier", workdir=killed, **settings))
    assert first_fold.stat().st_mtime_ns == first_written
    assert (killed / "oof.csv").read_text() == (classifier / "oof.csv").read_text()


def test_a_synthetic_shard_that_leaks_is_refused_by_name(shards: Path, synthetic: Path, launch, tmp_path):
    settings = {**CLASSIFIER, "synthetic": synthetic, "synthetic_fraction": 0.2, "folds": 1}
    error = only_error(launch("train_classifier", shards=shards, workdir=tmp_path / "out", **settings))
    validation = [shard.file for shard in read_manifest(shards).split("train") if shard.index in (1, 3, 5)]
    assert "synthetic00-15.tfrec" in error
    assert all(name in error for name in validation)
    assert re.search("--num_folds .*--fold", error)
    assert not (tmp_path / "out").exists()


def test_synthetic_shards_of_other_folds_are_refused(synthetic: Path, launch, tmp_path):
    succeed(launch("make_shards", output=tmp_path / "shards", **{**PHANTOM, "seed": 1}))
    settings = {**CLASSIFIER, "synthetic": synthetic, "synthetic_fraction": 0.2}
    error = only_error(launch("train_classifier", shards=tmp_path / "shards", workdir=tmp_path / "out", **settings))
    assert error.startswith(f"error: {synthetic}: ")
    assert f"{tmp_path}/shards" in error
    assert not (tmp_path / "out").exists()


def test_a_shard_cut_short_is_named_before_anything_is_trained(shards: Path, launch, tmp_path):
    copy = shutil.copytree(shards, tmp_path / "shards")
    victim = sorted(copy.glob("train*.tfrec"))[2]
    victim.write_bytes(victim.read_bytes()[:-7])
    assert str(victim) in only_error(launch("train_gan", shards=copy, workdir=tmp_path / "gan", **GAN))
    assert not (tmp_path / "gan").exists()


def test_an_unfinished_input_is_refused(tmp_path, launch):
    (tmp_path / "shards").mkdir()
    error = only_error(launch("train_gan", shards=tmp_path / "shards", workdir=tmp_path / "gan", **GAN))
    assert error.startswith(f"error: --shards={tmp_path}/shards: ")
    assert not (tmp_path / "gan").exists()


def test_a_gan_workdir_of_another_config_is_refused(gan: Path, shards: Path, launch):
    error = only_error(launch("train_gan", shards=shards, workdir=gan, **{**GAN, "learning_rate": 0.1}))
    assert error.startswith(f"error: {gan}: ")
    assert "learning_rate was 0.0002, now 0.1" in error


def test_the_submission_has_the_rows_of_the_sample_in_its_order(submission: Path, shards: Path):
    table = pd.read_csv(submission / "submission.csv")
    wanted = pd.read_csv(shards / "sample_submission.csv")
    assert table.columns.tolist() == ["image_name", "target"]
    assert table["image_name"].tolist() == wanted["image_name"].tolist()
    assert table["target"].between(0, 1).all()
    assert table["target"].nunique() > 10


def test_a_full_disk_ends_in_one_line_and_keeps_the_last_checkpoint(shards: Path, launch, tmp_path):
    """A limit on the size of files stands for the disk: the first files fit, the checkpoint does not."""
    settings = {**GAN, "shards": shards, "workdir": tmp_path / "gan"}
    limited = ["bash", "-c", 'ulimit -f 40; exec "$@"', "limited", *command_line("train_gan", **settings)]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    result = subprocess.run(limited, cwd=ROOT, capture_output=True, text=True, check=False, env=environment)
    assert f"{tmp_path}/gan/checkpoints/" in only_error(result)
    succeed(launch("train_gan", **settings))
