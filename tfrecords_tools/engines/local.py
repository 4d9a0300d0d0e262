"""Jobs in processes of this machine."""

import contextlib
import multiprocessing
import os
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass

from absl import logging

from tfrecords_tools.engines.jobs import AnyJob, EngineOptions, Result, deadly_jobs, few_names

MAX_STRIKES = 3


def run_local(jobs: Iterable[AnyJob], work: Callable[[AnyJob], Result], options: EngineOptions) -> Iterator[Result]:
    """Runs jobs in processes of this machine, each process in a pool of its own.

    So a worker that dies costs the job that it was at, and nothing else: it is replaced, and the job is repeated.

    Raises:
      DataError: naming the jobs that were the end of `MAX_STRIKES` workers, after all others are done.
    """
    waiting, strikes, given_up = deque(jobs), Counter(), []
    with contextlib.ExitStack() as stack:
        idle = [_new_worker(stack, options) for _ in range(min(options.num_workers, len(waiting)))]
        running: dict[Future, tuple[_Worker, AnyJob]] = {}
        while waiting or running:
            while waiting and idle:
                worker, job = idle.pop(), waiting.popleft()
                running[worker.pool.submit(work, job)] = worker, job
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


@dataclass(frozen=True)
class _Worker:
    """A process; `pid` is its answer to the question for its number."""

    pool: ProcessPoolExecutor
    pid: Future

    def __str__(self) -> str:
        known = self.pid.done() and not self.pid.exception()
        return f"process {self.pid.result()}" if known else "a process that is starting"


def _new_worker(stack: contextlib.ExitStack, options: EngineOptions) -> _Worker:
    # forkserver: a fork of a process in which TensorFlow was used hangs.
    context = multiprocessing.get_context("forkserver")
    pool = ProcessPoolExecutor(1, mp_context=context, initializer=_end_with_parent)
    worker = _Worker(pool, pool.submit(os.getpid))
    stack.callback(_end, worker, options)
    return worker


def _wait_for_any(running: dict[Future, tuple[_Worker, AnyJob]], options: EngineOptions) -> set[Future]:
    """Returns the jobs that have ended, once there is one; says now and then which are waited for."""
    while not (ended := wait(running, timeout=options.notice_seconds, return_when=FIRST_COMPLETED).done):
        jobs = few_names([f"{job.name} ({worker})" for worker, job in running.values()])
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
