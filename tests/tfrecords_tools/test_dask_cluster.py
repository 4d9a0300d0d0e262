"""The Dask engine on a cluster of real processes: a scheduler and two workers, one of them killed in the middle."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.tfrecords_tools.tiny_shards import shard_jobs
from tfrecords_tools.engines import EngineOptions, run_dask, run_local
from tfrecords_tools.foundation.errors import DataError
from tfrecords_tools.shards import ShardJob, ShardResult, write_shard

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}


def start(*arguments: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "distributed.cli.dask_" + arguments[0], *arguments[1:]]
    return subprocess.Popen(command, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True)


@pytest.fixture
def cluster():
    """Yields the address of a scheduler and its two workers, which are not started again if they die."""
    scheduler = start("scheduler", "--host=127.0.0.1", "--port=0", "--no-dashboard")
    address = next(match[0] for line in scheduler.stderr if (match := re.search(r"tcp://127\.0\.0\.1:\d+", line)))
    settings = ("--nthreads=1", "--no-nanny", "--no-dashboard")
    workers = [start("worker", address, *settings) for _ in range(2)]
    yield address, workers
    for process in (*workers, scheduler):
        process.kill()
        process.wait()


def pid_file(job: ShardJob) -> Path:
    return Path(job.roots[0]) / f"pid{job.index}"


def write_slowly_at_first(job: ShardJob) -> ShardResult:
    """Shard 1 waits in the middle of its first try, for the test to kill this worker."""
    if job.index == 1 and not pid_file(job).exists():
        pid_file(job).write_text(str(os.getpid()))
        time.sleep(120)
    return write_shard(job)


def written(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.tfrec")}


def test_a_worker_killed_in_mid_job_costs_nothing_and_the_bytes_are_those_of_the_local_engine(tmp_path, cluster):
    address, workers = cluster
    jobs = shard_jobs(tmp_path / "images", tmp_path / "dask", num_shards=6, rows=3)
    results = []
    for result in run_dask(jobs, write_slowly_at_first, EngineOptions(scheduler=address)):
        results.append(result)
        if len(results) == 5:  # all but the one that waits
            os.kill(int(pid_file(jobs[1]).read_text()), signal.SIGKILL)
    assert sorted(result.entry.index for result in results) == [0, 1, 2, 3, 4, 5]
    time.sleep(0.5)
    assert sorted(worker.poll() is None for worker in workers) == [False, True]

    local = shard_jobs(tmp_path / "images", tmp_path / "local", num_shards=6, rows=3)
    list(run_local(local, write_shard, EngineOptions(workers=1)))
    assert written(tmp_path / "dask") == written(tmp_path / "local")
    assert len(written(tmp_path / "dask")) == 6


def die(job: ShardJob) -> ShardResult:
    if job.index == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return write_shard(job)


def test_a_shard_that_kills_every_worker_is_named(tmp_path):
    jobs = shard_jobs(tmp_path / "images", tmp_path / "shards", num_shards=3, rows=1)
    with pytest.raises(DataError, match="train00"):
        list(run_dask(jobs, die, EngineOptions(workers=1)))  # its local cluster starts workers again
