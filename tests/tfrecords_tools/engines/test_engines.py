"""Engines: a killed worker costs its shard only, three strikes end the run, and nobody outlives the run."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import forkserver, get_context
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from tests.bucket_server import wait_for
from tests.conftest import ROOT
from tests.tfrecords_tools.tiny_shards import shard_jobs
from tfrecords_tools.engines import ENGINES, EngineOptions
from tfrecords_tools.engines.dask_cluster import run_dask
from tfrecords_tools.engines.local import run_local
from tfrecords_tools.foundation.errors import DataError
from tfrecords_tools.shards import ShardJob, ShardResult, write_shard

pytestmark = pytest.mark.timeout(120)

ONE = EngineOptions(workers=1)


@pytest.fixture
def jobs(tmp_path):
    return shard_jobs(tmp_path / "images", tmp_path / "shards", num_shards=4, rows=1)


def note(job: ShardJob) -> Path:
    return Path(job.roots[0]) / f"begun{job.index}"


def begun(job: ShardJob) -> int:
    """How often a worker began this shard."""
    return note(job).stat().st_size if note(job).exists() else 0


def write_and_note(job: ShardJob) -> ShardResult:
    with open(note(job), "ab") as file:
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
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), job.folder)


def hold_the_pipe(job: ShardJob) -> None:
    with open(Path(job.roots[0]) / "pipe", "w") as pipe:
        pipe.write("writing")
        pipe.flush()
        time.sleep(600)


def die_beside_another(job: ShardJob) -> ShardResult:
    """Shard 0 kills its worker once shard 1 is under way in the other, which goes on for a while."""
    result = write_and_note(job)
    if job.index == 1:
        time.sleep(2)
    if job.index == 0 and begun(job) == 1:
        while not note(job).with_name("begun1").exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGKILL)
    return result


def kill_the_server_once(job: ShardJob) -> ShardResult:
    result = write_and_note(job)
    if job.index == 1 and begun(job) == 1:
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(60)
    return result


def name_of(job: SimpleNamespace) -> str:
    return job.name


def workers_alive() -> list[int]:
    """The processes that the server of this one started."""
    server = forkserver._forkserver._forkserver_pid
    return [int(pid) for pid in Path(f"/proc/{server}/task/{server}/children").read_text().split()]


def run_to_the_end(jobs, write) -> None:
    list(run_local(jobs, write, ONE))


@pytest.mark.parametrize("engine", ENGINES)
def test_every_job_is_done_once(engine, jobs):
    results = list(ENGINES[engine](jobs, write_and_note, EngineOptions(workers=2)))
    assert sorted(result.entry.file for result in results) == [f"train{index:02d}-1.tfrec" for index in range(4)]
    assert [begun(job) for job in jobs] == [1, 1, 1, 1]


@pytest.mark.parametrize("engine", ENGINES)
def test_an_error_in_a_worker_ends_the_run(engine, jobs):
    with pytest.raises(OSError, match="No space left"):
        list(ENGINES[engine](jobs[:1], write_but_fail, ONE))


@pytest.mark.parametrize("workers", [1, 9])
def test_more_or_fewer_workers_than_jobs(jobs, workers):
    results = list(run_local(jobs, write_shard, EngineOptions(workers=workers)))
    assert sorted(result.entry.index for result in results) == [0, 1, 2, 3]


def test_no_jobs_are_no_work():
    assert list(run_local([], write_shard, ONE)) == []


def test_a_killed_worker_is_replaced_and_its_shard_repeated(jobs):
    results = list(run_local(jobs, write_but_die_once, ONE))
    assert [result.entry.index for result in results] == [0, 1, 3, 2]
    assert [begun(job) for job in jobs] == [1, 1, 2, 1]


def test_a_killed_worker_costs_no_shard_of_another_worker(jobs):
    list(run_local(jobs[:2], die_beside_another, EngineOptions(workers=2)))
    assert [begun(job) for job in jobs] == [2, 1, 0, 0]


def test_a_killed_server_that_starts_workers_costs_their_shards_only(jobs):
    results = list(run_local(jobs, kill_the_server_once, EngineOptions(workers=2)))
    assert sorted(result.entry.index for result in results) == [0, 1, 2, 3]
    assert begun(jobs[1]) == 2


def test_an_idle_worker_that_was_killed_is_replaced(jobs):
    results = run_local(jobs, write_and_note, ONE)
    assert next(results).entry.index == 0
    (worker,) = workers_alive()
    os.kill(worker, signal.SIGKILL)
    time.sleep(0.5)
    assert [result.entry.index for result in results] == [1, 2, 3]


def limited(limit: int, code: str) -> subprocess.CompletedProcess:
    """Runs some jobs in a process that may open so many files."""
    script = f"""
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, {limit})
from tests.tfrecords_tools.engines.test_engines import *
{code}
"""
    return subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)


def test_more_workers_than_there_are_file_handles_for_are_refused_before_they_start():
    code = "list(run_local([SimpleNamespace(name=str(n)) for n in range(9)], str, EngineOptions(workers=9)))"
    result = limited((40, 40), code)
    assert "Error: 9 workers need " in result.stderr
    assert "ulimit -n" in result.stderr
    assert result.stderr.count("Traceback") == 1  # no second one of the server


def test_a_limit_of_file_handles_that_may_be_raised_is_raised():
    code = """
jobs = [SimpleNamespace(name=str(number)) for number in range(4)]
print(json.dumps(list(run_local(jobs, name_of, EngineOptions(workers=4)))))
"""
    result = limited((20, 200), code)
    assert sorted(json.loads(result.stdout)) == ["0", "1", "2", "3"], result.stderr


def test_three_strikes_are_reported_after_the_other_shards_are_done(jobs):
    results = []
    with pytest.raises(DataError, match="3 times .*train02;.*--workers"):
        results.extend(run_local(jobs, write_but_die_always, ONE))
    assert [begun(job) for job in jobs] == [1, 1, 3, 1]


def test_an_error_ends_the_run_before_jobs_not_yet_begun(jobs):
    with pytest.raises(OSError, match="No space left"):
        list(run_local(jobs, write_but_fail, ONE))
    assert [begun(job) for job in jobs] == [1, 0, 0, 0]


def test_a_reader_that_stops_is_not_kept_waiting_for_the_other_jobs(jobs):
    results = run_local(jobs, write_and_note, ONE)
    assert next(results).entry.index == 0
    results.close()
    assert [begun(job) for job in jobs] == [1, 0, 0, 0]


def test_workers_end_with_the_process_that_started_them(jobs):
    path = Path(jobs[0].roots[0]) / "pipe"
    os.mkfifo(path)
    process = get_context("spawn").Process(target=run_to_the_end, args=(jobs[:1], hold_the_pipe))
    process.start()
    with open(path) as pipe:
        assert pipe.read(7) == "writing"
        process.kill()
        process.join()
        assert pipe.read() == ""  # the worker's end closes only when the worker ends


def test_a_scheduler_that_nobody_runs_is_one_clear_line(jobs, monkeypatch):
    monkeypatch.setattr("tfrecords_tools.engines.dask_cluster._CONNECT_SECONDS", 1)
    with pytest.raises(DataError, match="--scheduler=tcp://127.0.0.1:9: "):
        list(run_dask(jobs, write_shard, EngineOptions(scheduler="tcp://127.0.0.1:9")))


def stand_still(job: ShardJob) -> str:
    """Stops its worker in the middle of shard 1."""
    if job.index == 1:
        note(job).write_text(str(os.getpid()))
        os.kill(os.getpid(), signal.SIGSTOP)
    return job.name


def stop_me_later(job: ShardJob) -> str:
    """Lets its worker stand still half a second after shard 1, when it has no job any more."""
    if job.index == 1:
        note(job).write_text(str(os.getpid()))
        subprocess.Popen(["sh", "-c", f"sleep 0.5; kill -STOP {os.getpid()}"])
    if job.index == 0:
        time.sleep(1)
    return job.name


@pytest.mark.parametrize("work", [stand_still, stop_me_later])
def test_a_worker_that_stands_still_is_told_again_and_again(jobs, work, caplog):
    caplog.set_level("INFO", logger="absl")

    def go_on() -> list[str]:
        """Lets the worker that stands still go on once it was told twice; returns how."""
        wait_for(lambda: note(jobs[1]).exists() and is_stopped(note(jobs[1]).read_text()))
        pid, before = note(jobs[1]).read_text(), len(caplog.messages)
        told = lambda: [message for message in caplog.messages[before:] if f"process {pid}" in message]  # noqa: E731
        wait_for(lambda: len(told()) >= 2)
        os.kill(int(pid), signal.SIGCONT)
        return told()

    with ThreadPoolExecutor(1) as helper:
        helped = helper.submit(go_on)
        names = list(run_local(jobs[:2], work, EngineOptions(workers=2, notice_seconds=0.3)))
        told = helped.result()
    assert sorted(names) == ["train00", "train01"]
    assert [("train01" in message) for message in told[-2:]] == [work is stand_still] * 2


def is_stopped(pid: str) -> bool:
    return bool(pid) and psutil.Process(int(pid)).status() == psutil.STATUS_STOPPED


def test_work_that_goes_on_is_not_told(jobs, caplog):
    caplog.set_level("INFO", logger="absl")
    list(run_local(jobs, write_shard, EngineOptions(workers=1)))
    assert caplog.messages == []
