"""Two workers whose run lies in a bucket: the chief alone writes there, and all resume from it on other machines."""

from dataclasses import dataclass
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
from tests.pipelines.test_train_translator import TINY as TRANSLATOR
from tfrecords_tools.foundation.files import as_path, is_file, list_files

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


def start_workers(command: str, log: Path, **settings: object) -> list[Command]:
    """Starts the chief and another; their messages go to a file."""
    return [
        start_command(command, log, environment=environment, strategy="multi_worker", **settings)
        for environment in _environments(2)
    ]


@dataclass(frozen=True)
class Training:
    """A training of nine steps with a checkpoint after every third."""

    command: str
    shards: str
    settings: dict
    checkpoints: str


STEPS = [3, 6, 9]
TRAININGS = (
    Training("train_classifier", "shards", {**CLASSIFIER, "folds": 0, "epochs": 3}, "fold0/checkpoints"),
    Training(
        "train_translator",
        "masked_shards",
        {**TRANSLATOR, "method": "fastcut", "total_steps": 9, "checkpoint_every": 3, "log_every": 3},
        "checkpoints/translator",
    ),
)


@pytest.mark.parametrize("training", TRAININGS, ids=lambda training: training.command)
def test_workers_killed_in_an_upload_resume_elsewhere(
    training: Training, bucket: str, bucket_server: BucketServer, tmp_path: Path, request
):
    command, checkpoints, steps = training.command, training.checkpoints, STEPS
    own = {**training.settings, "shards": request.getfixturevalue(training.shards)}
    run, settings = as_path(f"{bucket}/run"), {**own, "workdir": f"{bucket}/run"}
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
