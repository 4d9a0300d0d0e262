"""train_classifier in a bucket: killed anywhere, it resumes on another machine, and ends as on a disk."""

import json
from pathlib import Path

import pytest

from pipelines.artefacts.epochs import read_epochs
from pipelines.artefacts.metrics_file import read_metrics
from tests.bucket_server import BucketServer
from tests.pipelines.conftest import CLASSIFIER, only_error, start_command, succeed
from tests.pipelines.test_make_shards_bucket import FaultWhen
from tests.pipelines.test_train_gan_resume import kill, wait_while_running
from tfrecords_tools.foundation.files import AnyPath, as_path, is_file, list_files, read_bytes

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

STEPS = 3  # of an epoch: 96 images in batches of 32


def state(folder: AnyPath) -> dict[str, object]:
    """What a finished run has: predictions, the metrics of every step, and what its report tells but for times."""
    tables = [file.name for file in list_files(folder, recursive=True) if file.name.endswith(".csv")]
    report = json.loads(read_bytes(folder / "report.json"))
    facts = {name: report[name] for name in ("folds", "best_epochs", "fold_auc", "figures")}
    return {name: read_bytes(folder / name) for name in tables} | {"metrics": read_metrics(folder)} | facts


def kill_in_the_upload_after(name: str, run: AnyPath, server: BucketServer, **settings: object) -> None:
    """Starts the command, and kills it while it sends what comes after a file of the bucket."""
    stalled = FaultWhen("stall", "POST", "/upload/", times=1, condition=lambda: is_file(run / name))
    server.faults.append(stalled)
    process = start_command("train_classifier", settings.pop("log"), workdir=run, **settings)
    wait_while_running(process, stalled.reached.is_set, pause=0.05)
    kill(process)
    stalled.released.set()


def test_a_run_killed_in_a_fold_and_between_folds_resumes_elsewhere_with_equal_predictions(
    classifier: Path, shards: Path, bucket: str, bucket_server: BucketServer, launch, tmp_path: Path
):
    run = as_path(f"{bucket}/run")
    settings = {**CLASSIFIER, "shards": shards, "log": tmp_path / "log"}
    first = f"fold0/checkpoints/ckpt-{STEPS}.index"
    kill_in_the_upload_after(first, run, bucket_server, scratch_dir=tmp_path / "first", **settings)
    found = {file.name for file in list_files(run, recursive=True)}
    assert {"config.json", "metrics.jsonl", first, first.replace("index", "data-00000-of-00001")} <= found
    assert [line.step for line in read_metrics(run)] == [STEPS]
    assert read_epochs(run, 0) == []  # it is evaluated by whoever resumes

    kill_in_the_upload_after("fold0/predictions.csv", run, bucket_server, scratch_dir=tmp_path / "second", **settings)
    assert [epoch.step for epoch in read_epochs(run, 0)] == [STEPS, 2 * STEPS]
    assert is_file(run / "fold0" / "best.weights.h5")
    assert not is_file(run / "COMPLETED")

    settings.pop("log")
    succeed(launch("train_classifier", workdir=run, scratch_dir=tmp_path / "third", **settings))
    assert state(run) == state(classifier)
    assert not (tmp_path / "third" / str(run).removeprefix("gs://") / "fold0" / "checkpoints").exists()

    succeed(launch("make_submission", runs=run, output=tmp_path / "submission"))
    succeed(launch("make_submission", runs=classifier, output=tmp_path / "expected"))
    submissions = [(tmp_path / name / "submission.csv").read_bytes() for name in ("submission", "expected")]
    assert submissions[0] == submissions[1]
    succeed(launch("report", runs=f"{run},{shards}", output=tmp_path / "report"))


def test_a_workdir_in_a_bucket_needs_a_folder_to_work_in(shards: Path, bucket: str, launch):
    error = only_error(launch("train_classifier", shards=shards, workdir=bucket, **CLASSIFIER))
    assert error.startswith(f"error: --workdir={bucket}: ")
    assert "--scratch_dir" in error
    assert list_files(as_path(bucket)) == []
