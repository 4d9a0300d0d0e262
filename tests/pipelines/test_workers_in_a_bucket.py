"""Two workers whose run lies in a bucket: the chief alone writes there, and all resume from it on other machines."""

from pathlib import Path

import pytest

from melgan.training.checkpoints import whole_steps
from pipelines.artefacts.metrics_file import read_metrics
from pipelines.local_workers import _environments
from tests.bucket_server import BucketServer
from tests.command_server import Command
from tests.pipelines.conftest import CLASSIFIER, start_command
from tests.pipelines.test_make_shards_bucket import FaultWhen
from tests.pipelines.test_train_gan_resume import kill, wait_while_running
from tfrecords_tools.foundation.files import as_path, is_file, list_files

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


def start_workers(command: str, log: Path, **settings: object) -> list[Command]:
    """Starts the chief and another; their messages go to a file."""
    return [
        start_command(command, log, environment=environment, strategy="multi_worker", **settings)
        for environment in _environments(2)
    ]


def test_workers_killed_in_an_upload_resume_elsewhere(
    shards: Path, bucket: str, bucket_server: BucketServer, tmp_path: Path
):
    command, own, checkpoints, steps = (
        "train_classifier",
        {**CLASSIFIER, "folds": 0, "epochs": 3},
        "fold0/checkpoints",
        [3, 6, 9],
    )
    run, settings = as_path(f"{bucket}/run"), {**own, "shards": shards, "workdir": f"{bucket}/run"}
    second = run / checkpoints / f"ckpt-{steps[1]}.data-00000-of-00001"
    stalled = FaultWhen("stall", "POST", "/upload/", times=1, condition=lambda: is_file(second))
    bucket_server.faults.append(stalled)
    workers = start_workers(command, tmp_path / "log", scratch_dir=tmp_path / "first", **settings)
    wait_while_running(workers[0], stalled.reached.is_set, pause=0.05)
    kill(workers[0])
    assert workers[1].wait(timeout=120) == 1  # it has lost its chief
    stalled.released.set()
    before = [line for line in read_metrics(run) if line.step <= steps[0]]

    workers = start_workers(command, tmp_path / "log", scratch_dir=tmp_path / "second", **settings)
    assert [worker.wait(timeout=600) for worker in workers] == [0, 0], (tmp_path / "log").read_text()
    names = [file.name for file in list_files(run, recursive=True)]
    assert "COMPLETED" in names
    assert not any("worker_" in name for name in names)
    assert [line for line in read_metrics(run) if line.step <= steps[0]] == before != []
    in_bucket = str(run).removeprefix("gs://")
    other = tmp_path / "second" / "worker_1" / in_bucket / checkpoints
    assert whole_steps(other) == [steps[0]]  # what it fetched
    assert whole_steps(other / "worker_1")[-1:] == steps[-1:]
