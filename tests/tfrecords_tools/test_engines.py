"""Engines: a killed worker costs its shard only, three strikes end the run, and nobody outlives the run."""

import errno
import os
import signal
import time
from multiprocessing import get_context

import pytest
from tiny_shards import shard_jobs

from tfrecords_tools.engines import ENGINES
from tfrecords_tools.errors import DataError
from tfrecords_tools.shards import ShardJob, ShardResult, write_shard

pytestmark = [pytest.mark.timeout(120), pytest.mark.parametrize("run", ENGINES.values(), ids=ENGINES)]


@pytest.fixture
def jobs(tmp_path):
    return shard_jobs(tmp_path / "images", tmp_path / "shards", num_shards=4, rows=1)


def begun(job: ShardJob) -> int:
    """How often a worker began this shard."""
    path = job.root / f"begun{job.index}"
    return path.stat().st_size if path.exists() else 0


def write_and_note(job: ShardJob) -> ShardResult:
    with open(job.root / f"begun{job.index}", "ab") as file:
        file.write(b".")
    return write_shard(job)


def write_but_die_once(job: ShardJob) -> ShardResult:
    result = write_and_note(job)
    if job.index == 2 and begun(job) == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return result


def write_but_die_always(job: ShardJob) -> ShardResult:
    result = write_and_note(job)
    if job.index == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return result


def write_but_fail(job: ShardJob) -> ShardResult:
    write_and_note(job)
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(job.folder))


def hold_the_pipe(job: ShardJob) -> None:
    with open(job.root / "pipe", "w") as pipe:
        pipe.write("writing")
        pipe.flush()
        time.sleep(600)


def run_to_the_end(run, jobs, write) -> None:
    list(run(jobs, write, 1))


@pytest.mark.parametrize("workers", [1, 2, 9])
def test_every_job_is_done_once(run, jobs, workers):
    results = list(run(jobs, write_shard, workers))
    assert sorted(result.entry.file for result in results) == [f"train{index:02d}-1.tfrec" for index in range(4)]


def test_no_jobs_are_no_work(run, jobs):
    assert list(run([], write_shard, 1)) == []


def test_a_killed_worker_costs_its_shard_only(run, jobs):
    results = list(run(jobs, write_but_die_once, 1))
    assert [result.entry.index for result in results] == [0, 1, 2, 3]
    assert [begun(job) for job in jobs] == [1, 1, 2, 1]


def test_three_strikes_end_the_run_and_name_the_shards(run, jobs):
    with pytest.raises(DataError, match=r"killed 3 times.* train02, train03;.*--workers"):
        list(run(jobs, write_but_die_always, 1))
    assert [begun(job) for job in jobs] == [1, 1, 3, 0]


def test_an_error_in_a_worker_ends_the_run_before_jobs_not_yet_begun(run, jobs):
    with pytest.raises(OSError, match="No space left"):
        list(run(jobs, write_but_fail, 1))
    assert [begun(job) for job in jobs] == [1, 0, 0, 0]


def test_a_reader_that_stops_is_not_kept_waiting_for_the_other_jobs(run, jobs):
    results = run(jobs, write_and_note, 1)
    assert next(results).entry.index == 0
    results.close()
    assert [begun(job) for job in jobs] == [1, 0, 0, 0]


def test_workers_end_with_the_process_that_started_them(run, jobs):
    path = jobs[0].root / "pipe"
    os.mkfifo(path)
    process = get_context("spawn").Process(target=run_to_the_end, args=(run, jobs[:1], hold_the_pipe))
    process.start()
    with open(path) as pipe:
        assert pipe.read(7) == "writing"
        process.kill()
        process.join()
        assert pipe.read() == ""  # the worker's end closes only when the worker ends
