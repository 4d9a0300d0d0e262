"""Jobs in processes of this machine."""

import contextlib
import multiprocessing
import os
import resource
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool

from absl import logging

from tfrecords_tools.engines.jobs import MOST_NAMES, AnyJob, EngineOptions, Result, deadly_jobs
from tfrecords_tools.foundation.errors import DataError
from tfrecords_tools.foundation.texts import first_names

MAX_STRIKES = 3

_RESTART_SECONDS = (0.1, 1.0)  # before the second and the third try to start a worker
_HANDLES_OF_A_WORKER, _FURTHER_HANDLES = 8, 6  # open files of this process, as measured


def run_local(jobs: Iterable[AnyJob], work: Callable[[AnyJob], Result], options: EngineOptions) -> Iterator[Result]:
    """Runs jobs in processes of this machine, each process in a pool of its own.

    So a worker that dies costs the job that it was at, and nothing else: it is replaced, and the job is repeated.

    Raises:
      DataError: naming the jobs that were the end of `MAX_STRIKES` workers, after all others are done; and if workers
        cannot be started, or would need more file handles than this process may have.
    """
    waiting, strikes, given_up = deque(jobs), Counter(), []
    num_workers = min(options.num_workers, len(waiting))
    _require_handles(num_workers)
    with contextlib.ExitStack() as stack:
        idle = [_new_worker(stack, options) for _ in range(num_workers)]
        running: dict[Future, tuple[_Worker, AnyJob]] = {}
        while waiting or running:
            while waiting and idle:
                job = waiting.popleft()
                future, worker = _begin(work, job, idle.pop(), stack, options)
                running[future] = worker, job
            for future in _wait_for_any(running, options):
                worker, job = running.pop(future)
                if not isinstance(future.exception(), BrokenProcessPool):
                    idle.append(worker)
                    yield future.result()
                    continue
                idle.append(_new_worker(stack, options))
                strikes[job.name] += 1
                (given_up if strikes[job.name] == MAX_STRIKES else waiting).append(job)
    if given_up:
        raise deadly_jobs(given_up, f"{MAX_STRIKES} times")


class _Worker:
    """A process, which starts with its first job."""

    def __init__(self, pool: ProcessPoolExecutor) -> None:
        self.pool = pool
        self._pid: Future | None = None  # its answer to the question for its number

    def __str__(self) -> str:
        known = self._pid is not None and self._pid.done() and not self._pid.exception()
        return f"process {self._pid.result()}" if known else "a process that is starting"

    def submit(self, work: Callable[[AnyJob], Result], job: AnyJob) -> Future:
        """Gives it a job."""
        self._pid = self._pid or self.pool.submit(os.getpid)
        return self.pool.submit(work, job)


def _new_worker(stack: contextlib.ExitStack, options: EngineOptions) -> _Worker:
    # forkserver: a fork of a process in which TensorFlow was used hangs.
    context = multiprocessing.get_context("forkserver")
    pool = ProcessPoolExecutor(1, mp_context=context, initializer=_end_with_parent)
    worker = _Worker(pool)
    stack.callback(_end, worker, options)
    return worker


def _begin(
    work: Callable[[AnyJob], Result],
    job: AnyJob,
    worker: _Worker,
    stack: contextlib.ExitStack,
    options: EngineOptions,
) -> tuple[Future, _Worker]:
    """Gives a job to a worker, or to a new one if that one, or the server that starts processes, was killed."""
    for seconds in (*_RESTART_SECONDS, None):
        try:
            return worker.submit(work, job), worker
        except (BrokenProcessPool, ConnectionError, EOFError) as error:
            if seconds is None:
                raise DataError(
                    f"{job.name}: no process can be started for it ({type(error).__name__}: {error}), three times; "
                    "if memory is short choose fewer --workers, then start the same command again"
                ) from error
            time.sleep(seconds)  # the server is started again once it is seen to be dead
            worker = _new_worker(stack, options)
    raise AssertionError("the last try returns or raises")


def _require_handles(num_workers: int) -> None:
    """Sees to it that this process may open as many files as its workers need, and raises its own limit if it can."""
    opened = len(os.listdir("/dev/fd")) - 1  # without that of the list itself
    needed = opened + _HANDLES_OF_A_WORKER * num_workers + _FURTHER_HANDLES
    allowed, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if needed <= allowed or allowed == resource.RLIM_INFINITY:
        return
    if most != resource.RLIM_INFINITY and needed > most:
        raise DataError(
            f"{num_workers} workers need {needed} file handles, and this process may have {most}; choose fewer "
            "--workers, or raise the limit by `ulimit -n`"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, most))


def _wait_for_any(running: dict[Future, tuple[_Worker, AnyJob]], options: EngineOptions) -> set[Future]:
    """Returns the jobs that have ended, once there is one; says now and then which are waited for."""
    while not (ended := wait(running, timeout=options.notice_seconds, return_when=FIRST_COMPLETED).done):
        jobs = first_names([f"{job.name} ({worker})" for worker, job in running.values()], MOST_NAMES)
        logging.info("nothing was finished for %g s; waiting for %s", options.notice_seconds, jobs)
    return ended


def _end(worker: _Worker, options: EngineOptions) -> None:
    """Lets a worker finish its job and end; says now and then that it is waited for."""
    ending = threading.Thread(target=worker.pool.shutdown)
    ending.start()
    while ending.join(options.notice_seconds) or ending.is_alive():
        logging.info("waiting for %s to end", worker)


def _end_with_parent() -> None:
    """Ends this worker when the process that started it is killed; otherwise it would live, and write, for ever."""

    def watch() -> None:
        multiprocessing.parent_process().join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
