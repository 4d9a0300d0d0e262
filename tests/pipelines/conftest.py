"""One small run of the whole line, which the tests of the stages share; built only as far as a test asks."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

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
CLASSIFIER = {
    "backbone": "small_cnn",
    "image_size": 32,
    "epochs": 2,
    "num_folds": 2,
    "test_time_views": 1,
    "deterministic": True,
}


@dataclass(frozen=True)
class Line:
    """Folders of the stages' outputs."""

    root: Path

    def __getattr__(self, name: str) -> Path:
        return self.root / name


@pytest.fixture(scope="session")
def line(tmp_path_factory: pytest.TempPathFactory) -> Line:
    return Line(tmp_path_factory.mktemp("line"))


def succeed(result) -> None:
    assert result.returncode == 0, result.stderr


@pytest.fixture(scope="session")
def shards(line: Line, run_stage: Callable) -> Path:
    succeed(run_stage("make_shards", output=line.shards, **PHANTOM))
    return line.shards


@pytest.fixture(scope="session")
def gan(line: Line, shards: Path, run_stage: Callable) -> Path:
    succeed(run_stage("train_gan", shards=shards, workdir=line.gan, **GAN))
    return line.gan


@pytest.fixture(scope="session")
def synthetic(line: Line, gan: Path, run_stage: Callable) -> Path:
    succeed(run_stage("synthesize", gan=gan, output=line.synthetic, label="malignant", count=30, shard_size=20))
    return line.synthetic


@pytest.fixture(scope="session")
def classifier(line: Line, shards: Path, run_stage: Callable) -> Path:
    succeed(run_stage("train_classifier", shards=shards, workdir=line.real_only, **CLASSIFIER))
    return line.real_only


@pytest.fixture(scope="session")
def mixed_classifier(line: Line, shards: Path, synthetic: Path, run_stage: Callable) -> Path:
    settings = {**CLASSIFIER, "folds": 0, "synthetic": synthetic, "synthetic_fraction": 0.2}
    succeed(run_stage("train_classifier", shards=shards, workdir=line.mixed, **settings))
    return line.mixed


@pytest.fixture(scope="session")
def submission(line: Line, classifier: Path, mixed_classifier: Path, run_stage: Callable) -> Path:
    succeed(run_stage("make_submission", runs=f"{classifier},{mixed_classifier}", output=line.submission))
    return line.submission


@pytest.fixture(scope="session")
def report(line: Line, submission: Path, run_stage: Callable) -> Path:
    runs = [line.shards, line.gan, line.synthetic, line.real_only, line.mixed, submission]
    succeed(run_stage("report", runs=",".join(str(run) for run in runs), output=line.report))
    return line.report
