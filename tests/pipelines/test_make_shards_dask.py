"""make_shards on Dask: the bytes of the local engine, from processes that share nothing with it but files."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bucket_server import free_port
from tests.conftest import ROOT
from tests.pipelines.conftest import FOLDER, artefacts, draw_folder, only_error, succeed

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_folder(tmp_path_factory.mktemp("dask") / "images")


@pytest.fixture(scope="module")
def local(images: Path, launch) -> dict[str, bytes]:
    succeed(launch("make_shards", input=images, output=images.with_name("local"), **FOLDER))
    return artefacts(images.with_name("local"))


def start(*arguments: str) -> subprocess.Popen:
    command = [sys.executable, "-m", f"distributed.cli.dask_{arguments[0]}", *arguments[1:]]
    surroundings = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, env=surroundings, cwd="/", stderr=subprocess.PIPE, text=True)


@pytest.fixture
def scheduler() -> Iterator[str]:
    """The address of a scheduler with two workers, whose current folder is another one."""
    processes = [start("scheduler", "--host=127.0.0.1", "--port=0", "--no-dashboard")]
    address = next(match[0] for line in processes[0].stderr if (match := re.search(r"tcp://127\.0\.0\.1:\d+", line)))
    settings = ("--nthreads=1", "--no-nanny", "--no-dashboard")
    processes += [start("worker", address, *settings) for _ in range(2)]
    yield address
    for process in processes:
        process.kill()
        process.wait()


def test_a_cluster_of_this_machine_writes_the_bytes_of_the_local_engine(images, local, launch, tmp_path):
    result = launch("make_shards", input=images, output=tmp_path / "out", engine="dask", **{**FOLDER, "workers": 2})
    succeed(result)
    assert artefacts(tmp_path / "out") == local
    assert "distributed" not in result.stderr


def test_a_cluster_elsewhere_writes_the_bytes_of_the_local_engine(images, local, scheduler, launch, tmp_path):
    out = Path(os.path.relpath(tmp_path / "out", ROOT))  # relative to the folder of this process, not of the workers
    result = launch("make_shards", input=images, output=out, engine="dask", scheduler=scheduler, **FOLDER)
    succeed(result)
    assert artefacts(tmp_path / "out") == local
    assert "distributed" not in result.stderr


def test_a_scheduler_that_does_not_answer_is_one_line(images, launch, tmp_path):
    address = f"tcp://127.0.0.1:{free_port()}"
    result = launch("make_shards", input=images, output=tmp_path / "out", engine="dask", scheduler=address, **FOLDER)
    error = only_error(result)
    assert error.startswith(f"error: --scheduler={address}: ")
    assert "distributed" not in result.stderr
