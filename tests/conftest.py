"""Fixtures that the tests share, and the order in which they run: fast ones first."""

import gc
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipelines.contract import launching
from pipelines.contract.flags import as_flags
from tests.bucket_server import BUCKET, BucketServer, environment
from tests.command_server import command_server

ROOT = Path(__file__).resolve().parent.parent

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.get_closest_marker("slow") is not None)


@pytest.fixture(scope="module", autouse=True)
def _free_networks() -> Iterator[None]:
    """Frees the networks and programs of a module, which hold each other: of all they are gigabytes."""
    yield
    if "keras" in sys.modules:
        sys.modules["keras"].backend.clear_session()
        gc.collect()
        gc.freeze()  # what is left stays to the end: later collections need not walk through all of TensorFlow


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real images and tables; tests that need it are skipped where it is not."""
    folder = os.environ.get("MELGAN_DATA")
    if not folder:
        pytest.skip("needs real data: set MELGAN_DATA to its folder")
    return Path(folder)


@pytest.fixture(scope="session")
def bucket_server() -> Iterator[BucketServer]:
    """A bucket on loopback, which this process and those that it starts find under gs://."""
    server = BucketServer()
    os.environ.update(environment(server.address))
    yield server
    server.close()
    del os.environ["STORAGE_EMULATOR_HOST"]


@pytest.fixture
def bucket(bucket_server: BucketServer, request: pytest.FixtureRequest) -> Iterator[str]:
    """A folder of the bucket for one test, without faults."""
    bucket_server.faults.clear()
    yield f"gs://{BUCKET}/{re.sub('[^a-z0-9]+', '-', request.node.nodeid.lower())}"
    bucket_server.faults.clear()


@pytest.fixture(scope="session")
def launch(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., subprocess.CompletedProcess]:
    """Runs a command as a process of its own; settings are given as keywords."""

    def run(command: str, **settings: object) -> subprocess.CompletedProcess:
        outputs = [tmp_path_factory.mktemp("output") / name for name in ("stdout", "stderr")]
        code = command_server().start(command, settings, stdout=outputs[0], stderr=outputs[1]).wait()
        return subprocess.CompletedProcess(command, code, *(path.read_text() for path in outputs))

    return run


def command_line(command: str, **settings: object) -> list[str]:
    """The arguments of a process that runs a command."""
    return launching.command_line(command, as_flags(settings))
