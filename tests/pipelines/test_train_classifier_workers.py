"""train_classifier on two workers: one run, whose chief writes what one process would."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipelines.local_workers import _environments
from tests.conftest import ROOT, command_line
from tests.pipelines.conftest import CLASSIFIER
from tfrecords_tools.csv_tables import read_table

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

SETTINGS = {**CLASSIFIER, "epochs": 1, "dropout": 0.0, "mixing": "mixup", "deterministic": False}


def run_workers(shards: Path, workdir: Path) -> subprocess.CompletedProcess:
    own = {**SETTINGS, "shards": shards, "workdir": workdir}
    runner = [sys.executable, "-m", "pipelines.local_workers", "--workers=2", "--command=train_classifier", "--"]
    command = [*runner, *(f"--{name}={value}" for name, value in own.items())]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def predictions(folder: Path) -> pd.DataFrame:
    return read_table(folder / "oof.csv", ["image_name"])


def test_workers_that_would_not_do_the_same_all_end_before_they_train(shards: Path, tmp_path: Path):
    """Of one, fold 0 is trained already in a folder of its own."""
    folders = [tmp_path / "a", tmp_path / "b"]
    (folders[1] / "fold0").mkdir(parents=True)
    (folders[1] / "fold0" / "predictions.csv").write_text("")
    processes = []
    for folder, environment in zip(folders, _environments(2), strict=True):
        settings = {**SETTINGS, "shards": shards, "workdir": folder, "strategy": "multi_worker"}
        command = command_line("train_classifier", **settings)
        pipe = subprocess.PIPE
        processes.append(subprocess.Popen(command, cwd=ROOT, env=environment, stdout=pipe, stderr=pipe, text=True))
    errors = [process.communicate(timeout=300)[1] for process in processes]
    assert [process.returncode for process in processes] == [1, 1], errors
    assert all("--workdir that they share" in error for error in errors), errors


def test_two_workers_train_the_classifiers_of_one_process(shards: Path, launch, tmp_path: Path):
    """Each has half of every batch; what differs is rounding, and what grows from it in the steps of an epoch."""
    done = run_workers(shards, tmp_path / "two")
    assert done.returncode == 0, done.stdout
    alone = launch("train_classifier", shards=shards, workdir=tmp_path / "one", **SETTINGS)
    assert alone.returncode == 0, alone.stderr
    two, one = predictions(tmp_path / "two"), predictions(tmp_path / "one")
    assert two["image_name"].tolist() == one["image_name"].tolist()
    columns = [name for name in one if name.startswith("probability ")]
    np.testing.assert_allclose(two[columns], one[columns], atol=0.02)
    reports = [json.loads((tmp_path / name / "report.json").read_text()) for name in ("one", "two")]
    assert reports[0]["best_epochs"] == reports[1]["best_epochs"]
    again = run_workers(shards, tmp_path / "two")
    assert again.returncode == 0, again.stdout
    assert predictions(tmp_path / "two").equals(two)
