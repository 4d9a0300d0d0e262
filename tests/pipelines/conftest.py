"""One small run of the whole line, for the tests of all commands; built only as far as a test asks."""

import contextlib
import fcntl
import io
import json
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipelines.studying import generator_jobs, jobs
from tests.command_server import Command, command_server
from tests.pipelines.study_runs import run_study
from tests.short_programs import leave_programs_as_traced
from tfrecords_tools import example
from tfrecords_tools.foundation.errors import CommandError
from tfrecords_tools.manifest import read_manifest
from tfrecords_tools.records import read_records

leave_programs_as_traced()

PHANTOM = {"source": "phantom", "image_size": 32, "num_images": 240, "num_shards": 6}
GAN = {
    "image_size": 32,
    "width": 0.1,
    "global_batch_size": 8,
    "disc_steps": 2,
    "autoencoder_epochs": 1,
    "total_steps": 12,
    "checkpoint_every": 4,
    "log_every": 2,
    "steps_per_call": 2,
    "num_folds": 2,
    "fold": 0,
    "deterministic": True,
}
EVALUATED_GAN = {**GAN, "eval_interval": 4}
CLASSIFIER = {
    "backbone": "small_cnn",
    "image_size": 32,
    "epochs": 2,
    "num_folds": 2,
    "test_time_views": 1,
    "deterministic": True,
}
# make_shards on a folder of `draw_folder`.
FOLDER = {"source": "image_folder", "image_size": 32, "num_shards": 4, "workers": 1}


@dataclass(frozen=True)
class Line:
    """The folders that the commands of the line wrote."""

    root: Path

    def __getattr__(self, name: str) -> Path:
        return self.root / name


@pytest.fixture(scope="session")
def line(tmp_path_factory: pytest.TempPathFactory) -> Line:
    """One for all processes of a run of pytest; theirs lie side by side in the folder of the run."""
    own = tmp_path_factory.getbasetemp()
    root = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "line"
    root.mkdir(exist_ok=True)
    return Line(root)


@contextlib.contextmanager
def alone_at(folder: Path) -> Iterator[None]:
    """Holds a folder of the line for this process."""
    with open(folder.with_name(f".{folder.name}.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def made(folder: Path, command: str, launch: Callable, **settings: object) -> Path:
    """Returns what a command writes into a folder of the line; the first process that needs it runs the command."""
    folder_setting = "workdir" if command.startswith("train") else "output"
    with alone_at(folder):
        if not (folder / "COMPLETED").exists():
            succeed(launch(command, **{folder_setting: folder}, **settings))
    return folder


def succeed(result) -> None:
    assert result.returncode == 0, result.stderr


def only_error(result) -> str:
    """The one line that tells a user what is wrong; nothing else but log lines may stand beside it."""
    assert result.returncode == 1, result.stderr
    *others, error = result.stderr.strip().splitlines()
    assert error.startswith("error: "), result.stderr
    assert not any("Traceback" in line or line.startswith("error") for line in others), result.stderr
    return error


def picture(seed: int, side: int = 64) -> Image.Image:
    """A picture that looks like no other, with as much detail as the search for duplicates needs."""
    colours = np.random.default_rng([7, seed]).integers(0, 256, (24, 24, 3)).astype(np.uint8)
    return Image.fromarray(colours).resize((side, side), Image.Resampling.BICUBIC)


def jpeg(image: Image.Image, **settings) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", **{"quality": 90, **settings})
    return buffer.getvalue()


def draw_folder(root: Path, count: int = 24) -> Path:
    """Writes pictures of two classes, every third of class b; two of them are equal, and one cannot be read."""
    for number in range(count):
        path = root / ("b" if number % 3 == 0 else "a") / f"{number:03d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(jpeg(picture(number)))
    (root / "a" / "copy.jpg").write_bytes((root / "a" / "001.jpg").read_bytes())
    (root / "a" / "text.jpg").write_text("no picture")
    return root


def parsed(folder: Path, split: str) -> list[dict]:
    """The rows of all shards of a split."""
    return [
        example.parse(record)
        for shard in read_manifest(folder).split(split)
        for record in read_records(folder / shard.file)
    ]


def artefacts(folder: Path) -> dict[str, bytes]:
    """What must be the same however a folder of shards was made."""
    names = ("manifest.json", "rejected.csv", "blank.csv", "values.csv", "duplicates.csv")
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix == ".tfrec" or path.name in names}


def records_of(folder: Path, split: str) -> list[dict]:
    """The records of a split of a folder of shards, in order."""
    return [
        example.parse(record)
        for shard in read_manifest(folder).split(split)
        for record in read_records(folder / shard.file)
    ]


def finished_shards(folder: Path) -> list[str]:
    """The shards that the parts of a run which is under way vouch for."""
    parts = (json.loads(path.read_text()) for path in sorted((folder / "parts").glob("t*.json")))
    return [part["entry"]["file"] for part in parts]


def start_command(
    stage: str, log: Path, *, environment: Mapping[str, str] | None = None, **settings: object
) -> Command:
    """Starts a command as the leader of a session of its own; its messages go to a file."""
    return command_server().start(stage, settings, stdout=log, stderr=log, environment=environment)


def kill_and_resume(command: str, workdir: Path, checkpoints: str, **settings: object) -> Path:
    """Kills a training once it has a checkpoint, and lets it finish; returns its folder."""
    run = start_command(command, workdir.with_suffix(".log"), workdir=workdir, **settings)
    end = time.monotonic() + 300
    while not list((workdir / checkpoints).glob("ckpt-*.index")):
        assert run.poll() is None, workdir.with_suffix(".log").read_text()
        assert time.monotonic() < end
        time.sleep(0.01)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    assert not (workdir / "COMPLETED").exists()
    run = start_command(command, workdir.with_suffix(".log"), workdir=workdir, **settings)
    assert run.wait(300) == 0, workdir.with_suffix(".log").read_text()
    return workdir


@pytest.fixture(scope="session")
def shards(line: Line, launch: Callable) -> Path:
    return made(line.shards, "make_shards", launch, **PHANTOM)


@pytest.fixture(scope="session")
def boxed_shards(line: Line, shards: Path, launch: Callable) -> Path:
    """The shards of the line with the true boxes of their images."""
    images = shards.with_name("shards_images")
    settings = {**PHANTOM, "input": images, "boxes": images / "boxes.csv"}
    return made(line.boxed_shards, "make_shards", launch, **settings)


@pytest.fixture(scope="session")
def masked_shards(line: Line, launch: Callable) -> Path:
    """Few images, with the true masks of their lesions."""
    images = {"input": line.root / "masked_images", "num_images": 120, "num_shards": 4, "masks": "true"}
    return made(line.masked_shards, "make_shards", launch, **{**PHANTOM, **images})


@pytest.fixture(scope="session")
def gan(line: Line, shards: Path, launch: Callable) -> Path:
    return made(line.gan, "train_gan", launch, shards=shards, **EVALUATED_GAN)


@pytest.fixture(scope="session")
def synthetic(line: Line, gan: Path, launch: Callable) -> Path:
    return made(line.synthetic, "synthesize", launch, gan=gan, label="malignant", count=30, shard_size=20)


@pytest.fixture(scope="session")
def classifier(line: Line, shards: Path, launch: Callable) -> Path:
    return made(line.real_only, "train_classifier", launch, shards=shards, **CLASSIFIER)


@pytest.fixture(scope="session")
def mixed_classifier(line: Line, shards: Path, synthetic: Path, launch: Callable) -> Path:
    settings = {**CLASSIFIER, "folds": 0, "synthetic": synthetic, "synthetic_fraction": 0.2}
    return made(line.mixed, "train_classifier", launch, shards=shards, **settings)


@pytest.fixture(scope="session")
def evaluation(line: Line, shards: Path, gan: Path, classifier: Path, launch: Callable) -> Path:
    settings = {"gan": gan, "shards": shards, "features": f"classifier:{classifier}"}
    return made(line.evaluation, "evaluate_gan", launch, **settings)


@pytest.fixture(scope="session")
def submission(line: Line, classifier: Path, mixed_classifier: Path, launch: Callable) -> Path:
    return made(line.submission, "make_submission", launch, runs=f"{classifier},{mixed_classifier}")


@pytest.fixture(scope="session")
def report(line: Line, submission: Path, evaluation: Path, launch: Callable) -> Path:
    runs = [line.shards, line.gan, line.synthetic, evaluation, line.real_only, line.mixed, submission]
    return made(line.report, "report", launch, runs=",".join(str(run) for run in runs))


@pytest.fixture(scope="session")
def study_shards(line: Line, launch: Callable) -> Path:
    """Enough images, with masks, that every fold of a study has some of the rare class."""
    images = {"input": line.root / "study_images", "num_images": 420, "masks": "true"}
    return made(line.study_shards, "make_shards", launch, **{**PHANTOM, **images})


@pytest.fixture(scope="module")
def fewer_metrics() -> Iterator[None]:
    """The accuracy scores are logistic regressions, which take minutes on pixels."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(generator_jobs, "METRICS", "kid,prdc")
        yield


@pytest.fixture(scope="module")
def finished_study(line: Line, study_shards: Path, fewer_metrics: None) -> Path:
    with alone_at(line.study), pytest.MonkeyPatch.context() as patch:
        patch.setattr(jobs, "run_command", run_forked)
        if not (line.study / "COMPLETED").exists():
            run_study(study_shards, line.study)
    return line.study


def run_forked(command: str, settings: Mapping[str, object], *, log: Path, **_: object) -> None:
    """Runs a command of a study as `run_command` does, in a process that need not import TensorFlow."""
    log.parent.mkdir(parents=True, exist_ok=True)
    if command_server().start(command, settings, stdout=log, stderr=log).wait():
        raise CommandError(f"{command} failed:\n{log.read_text()}")


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """The commands that a study starts, by name and folder; none is."""
    started = []

    def record(command: str, settings: Mapping[str, object], **_: object) -> None:
        started.append((command, str(settings.get("output", settings.get("workdir")))))

    monkeypatch.setattr(jobs, "run_command", record)
    return started
