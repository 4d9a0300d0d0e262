"""train_gan resumes: whatever ended it, the finished run is bit for bit the one that nothing disturbed."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from melgan.training.checkpoints import whole_steps
from pipelines.artefacts.metrics_file import MetricsLine, read_metrics
from tests.bucket_server import BucketServer
from tests.conftest import ROOT, command_line
from tests.pipelines.conftest import GAN, only_error, start_command, succeed
from tests.pipelines.test_make_shards_bucket import FaultWhen
from tfrecords_tools.foundation.files import as_path, is_file, list_files, read_bytes
from tfrecords_tools.manifest import read_manifest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

# Lines of metrics and checkpoints do not come at the same steps.
SETTINGS = {**GAN, "total_steps": 39, "checkpoint_every": 3, "log_every": 2, "steps_per_call": 2}


@pytest.fixture(scope="module")
def undisturbed(shards: Path, launch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed") / "gan"
    succeed(launch("train_gan", shards=shards, workdir=folder, **SETTINGS))
    return folder


def state(folder: Path) -> dict:
    """All that a finished run has: every tensor of its checkpoints, metrics, grids, and the generator's digest."""
    tensors = {}
    for series in ("autoencoder", "gan"):
        for step in whole_steps(folder / "checkpoints" / series):
            reader = tf.train.load_checkpoint(str(folder / "checkpoints" / series / f"ckpt-{step}"))
            for name in reader.get_variable_to_shape_map():
                tensors[f"{series} {step} {name}"] = np.asarray(reader.get_tensor(name)).tobytes()
    report = json.loads((folder / "report.json").read_text())
    return {
        **tensors,
        "metrics": read_metrics(folder),
        "grids": {path.name: path.read_bytes() for path in (folder / "samples").iterdir()},
        "report": {name: value for name, value in report.items() if name not in ("seconds", "config_sha256")},
    }


def assert_equal(folder: Path, expected: Path) -> None:
    found, wanted = state(folder), state(expected)
    assert found.keys() == wanted.keys()
    assert [name for name in wanted if found[name] != wanted[name]] == []


def test_what_is_compared_is_all_there(undisturbed: Path):
    """TensorFlow keeps the weights that an optimizer trains under the name of the optimizer."""
    found = state(undisturbed)
    of_optimizers = [f"{network}_optimizer" for network in ("generator", "discriminator")]
    kinds = [f"{name}/{kind}" for name in of_optimizers for kind in ("_variables/", "_trainable_variables/")]
    for kind in (*kinds, "generator/", "ema_generator/", "attempt/", "step/"):
        assert any(name.startswith(f"gan 39 {kind}") for name in found), kind
    assert len(found["grids"]) == 13
    assert [line.step for line in found["metrics"] if line.series == "gan"] == [*range(2, 39, 2), 39]


def wait_while_running(run: subprocess.Popen, condition: Callable[[], bool], pause: float) -> None:
    end = time.monotonic() + 300
    while not condition():
        assert run.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(pause)


def kill(run: subprocess.Popen) -> None:
    os.killpg(run.pid, signal.SIGKILL)
    assert run.wait() == -signal.SIGKILL


def kill_at_random(run: subprocess.Popen, folder: Path, series: str, rng: np.random.Generator) -> None:
    """Kills up to a tenth of a second after a new checkpoint, or a new line of metrics."""

    def checkpoints() -> list[int]:
        return whole_steps(folder / "checkpoints" / series)

    def lines() -> list[MetricsLine]:
        return read_metrics(folder, series)

    sign = (checkpoints, lines)[rng.integers(2)]
    newest = sign()[-1:]
    wait_while_running(run, lambda: sign()[-1:] not in ([], newest), pause=0.005)
    time.sleep(rng.uniform(0, 0.1))
    kill(run)


def kill_in_a_checkpoint_write(run: subprocess.Popen, folder: Path, series: str, rng: np.random.Generator) -> None:
    """Stops the run as soon as a checkpoint is begun, and kills it if that is still unfinished; else at the next."""
    unfinished = folder / "checkpoints" / series / "unfinished"

    def written() -> int:
        with contextlib.suppress(FileNotFoundError):
            return unfinished.stat().st_mtime_ns
        return 0

    left_by_an_earlier_kill = written()
    for _ in range(10):
        wait_while_running(run, lambda: written() not in (0, left_by_an_earlier_kill), pause=0.001)
        time.sleep(rng.uniform(0, 0.005))
        os.killpg(run.pid, signal.SIGSTOP)
        if unfinished.is_dir():
            kill(run)
            assert unfinished.is_dir()
            return
        os.killpg(run.pid, signal.SIGCONT)
    pytest.fail("no checkpoint was caught unfinished")


def test_six_kills(undisturbed: Path, shards: Path, launch, tmp_path: Path):
    """Two in the autoencoder's training, four in that of the GAN; every third in the middle of a checkpoint."""
    rng, folder = np.random.default_rng(7), tmp_path / "gan"
    for number in range(6):
        run = start_command("train_gan", tmp_path / "log", shards=shards, workdir=folder, **SETTINGS)
        end = kill_in_a_checkpoint_write if number % 3 == 1 else kill_at_random
        end(run, folder, "autoencoder" if number < 2 else "gan", rng)
    assert not (folder / "COMPLETED").exists()
    succeed(launch("train_gan", shards=shards, workdir=folder, **SETTINGS))
    assert_equal(folder, undisturbed)


def before_the_last_checkpoint(undisturbed: Path, folder: Path, last_step: int = SETTINGS["total_steps"]) -> Path:
    """Makes a copy of a run, as it was before its last checkpoint; a run resumes wherever its folder is moved."""
    shutil.copytree(undisturbed, folder)
    last = folder.glob(f"checkpoints/gan/ckpt-{last_step}.*")
    for path in (*last, folder / "COMPLETED", folder / "report.json", folder / "samples" / f"{last_step:07d}.png"):
        path.unlink()
    return folder


def test_a_full_disk_keeps_the_last_good_checkpoint(undisturbed: Path, shards: Path, launch, tmp_path: Path):
    """A limit on the size of files stands for the disk."""
    folder = before_the_last_checkpoint(undisturbed, tmp_path / "gan")
    command = command_line("train_gan", shards=shards, workdir=folder, **SETTINGS)
    limited = ["bash", "-c", 'ulimit -f 40; exec "$@"', "limited", *command]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    result = subprocess.run(limited, cwd=ROOT, capture_output=True, text=True, check=False, env=environment)
    error = only_error(result)
    assert error.startswith(f"error: {folder}/checkpoints/gan: ")
    assert "step 39" in error
    assert [path.name for path in sorted((folder / "checkpoints" / "gan").iterdir())] == [
        "checkpoint",
        "ckpt-36.data-00000-of-00001",
        "ckpt-36.index",
        "model.json",
    ]
    succeed(launch("train_gan", shards=shards, workdir=folder, **SETTINGS))
    assert_equal(folder, undisturbed)


def test_checkpoints_of_another_class_table_are_refused(undisturbed: Path, shards: Path, launch, tmp_path: Path):
    """Where shards were made anew in the same folder, so that the settings of the run tell no difference."""
    folder = before_the_last_checkpoint(undisturbed, tmp_path / "gan")
    model = folder / "checkpoints" / "gan" / "model.json"
    model.write_text(model.read_text().replace("malignant", "melanoma"))
    error = only_error(launch("train_gan", shards=shards, workdir=folder, **SETTINGS))
    assert error.startswith(f"error: {folder}/checkpoints/gan: ")
    assert "classes was ['benign', 'melanoma'], now ['benign', 'malignant']" in error


def test_a_loss_that_stays_infinite_stops_after_three_rollbacks(shards: Path, launch, tmp_path: Path):
    settings = {**SETTINGS, "autoencoder_epochs": 0, "learning_rate": 1e30, "on_nonfinite": "rollback"}
    result = launch("train_gan", shards=shards, workdir=tmp_path / "gan", **settings)
    error = only_error(result)
    assert "3 rollbacks" in error
    assert f"{tmp_path}/gan/checkpoints/gan/ckpt-0" in error
    assert [f"(attempt {number} of 3)" in result.stderr for number in (1, 2, 3, 4)] == [True, True, True, False]


def download(bucket: str, to: Path) -> Path:
    for file in list_files(as_path(bucket), recursive=True):
        (to / file.name).parent.mkdir(parents=True, exist_ok=True)
        (to / file.name).write_bytes(read_bytes(as_path(bucket) / file.name))
    return to


def test_a_run_in_a_bucket_killed_in_an_upload_resumes_elsewhere(
    undisturbed: Path, shards: Path, bucket: str, bucket_server: BucketServer, launch, tmp_path: Path
):
    settings = {**SETTINGS, "shards": shards, "workdir": f"{bucket}/gan"}
    folder = as_path(settings["workdir"]) / "checkpoints" / "gan"

    def data_of_step_6_is_there() -> bool:  # what is sent next is its index
        return is_file(folder / "ckpt-6.data-00000-of-00001")

    stalled = FaultWhen("stall", "POST", "/upload/", times=1, condition=data_of_step_6_is_there)
    bucket_server.faults.append(stalled)
    run = start_command("train_gan", tmp_path / "log", scratch_dir=tmp_path / "first", **settings)
    wait_while_running(run, stalled.reached.is_set, pause=0.05)
    kill(run)
    stalled.released.set()
    names = {file.name for file in list_files(folder)}
    assert {"ckpt-3.index", "ckpt-3.data-00000-of-00001", "ckpt-6.data-00000-of-00001"} <= names
    assert "ckpt-6.index" not in names

    succeed(launch("train_gan", scratch_dir=tmp_path / "second", **settings))
    assert_equal(download(settings["workdir"], tmp_path / "copy"), undisturbed)
    assert sorted(file.name for file in list_files(folder) if file.name.endswith(".index")) == [
        "ckpt-36.index",
        "ckpt-39.index",
    ]

    synthetic = tmp_path / "synthetic"
    succeed(launch("synthesize", gan=settings["workdir"], output=synthetic, label="malignant", count=3))
    generator = json.loads((undisturbed / "report.json").read_text())["generator_sha256"]
    assert read_manifest(synthetic).provenance.generator == generator
    assert read_manifest(synthetic).provenance.gan == settings["workdir"]


def test_a_workdir_in_a_bucket_needs_a_folder_to_work_in(shards: Path, bucket: str, launch):
    error = only_error(launch("train_gan", shards=shards, workdir=bucket, **SETTINGS))
    assert error.startswith(f"error: --workdir={bucket}: ")
    assert "--scratch_dir" in error
    assert list_files(as_path(bucket)) == []
