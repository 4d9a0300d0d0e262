"""Engines run jobs and yield their results as they finish; the bytes written are the same with any of them.

A job is a small value with a `name`; `work` is a function of a module. Both go to other processes or machines.
"""

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
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

from tfrecords_tools.foundation.errors import DataError

if TYPE_CHECKING:
    from distributed import Client

MAX_STRIKES = 3

_CONNECT_SECONDS = 10
_RESTART_SECONDS = (0.1, 1.0)  # before the second and the third try to start a worker
_HANDLES_OF_A_WORKER, _FURTHER_HANDLES = 8, 6  # open files of this process, as measured


class Job(Protocol):
    """A job of an engine."""

    @property
    def name(self) -> str:
        """Names the job in messages."""


AnyJob = TypeVar("AnyJob", bound=Job)
Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True)
class EngineOptions:
    """`workers`: processes of this machine, 0 for one a core; `scheduler`: address of a Dask cluster, if any."""

    workers: int = 0
    scheduler: str = ""

    @property
    def num_workers(self) -> int:
        """Returns the number of processes."""
        return self.workers or os.cpu_count() or 1


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
        idle = [_new_worker(stack) for _ in range(num_workers)]
        running: dict[Future, tuple[ProcessPoolExecutor, AnyJob]] = {}
        while waiting or running:
            while waiting and idle:
                job = waiting.popleft()
                future, worker = _begin(work, job, idle.pop(), stack)
                running[future] = worker, job
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                worker, job = running.pop(future)
                if not isinstance(future.exception(), BrokenProcessPool):
                    idle.append(worker)
                    yield future.result()
                    continue
                idle.append(_new_worker(stack))
                strikes[job.name] += 1
                (given_up if strikes[job.name] == MAX_STRIKES else waiting).append(job)
    if given_up:
        raise DataError(_strikes_message(given_up, f"{MAX_STRIKES} times"))


def run_dask(jobs: Iterable[AnyJob], work: Callable[[AnyJob], Result], options: EngineOptions) -> Iterator[Result]:
    """Runs jobs on the Dask cluster of `options.scheduler`, or on one of processes of this machine.

    Dask repeats the jobs of a worker that dies, as often as its `distributed.scheduler.allowed-failures` (3) says.

    Raises:
      DataError: if Dask is not installed, or the cluster cannot be reached or is lost; and naming the jobs that were
        the end of too many workers, after all others are done.
    """
    try:
        from distributed import CancelledError, KilledWorker, as_completed  # noqa: PLC0415  an extra
    except ModuleNotFoundError as error:
        raise DataError("--engine=dask needs Dask: pip install 'melgan[distributed]'") from error
    given_up = []
    with _dask_client(options) as client:
        submitted = {client.submit(work, job, pure=False): job for job in jobs}
        for future in as_completed(list(submitted)):
            job = submitted.pop(future)
            try:
                yield future.result()
            except KilledWorker:
                given_up.append(job)
            except CancelledError as error:
                raise DataError("the Dask scheduler is gone; start it, then the same command again") from error
    if given_up:
        raise DataError(_strikes_message(given_up, "too often"))


@contextlib.contextmanager
def _dask_client(options: EngineOptions) -> Iterator["Client"]:
    from distributed import Client, LocalCluster  # noqa: PLC0415

    if not options.scheduler:
        with (
            LocalCluster(n_workers=options.num_workers, threads_per_worker=1, dashboard_address=None) as cluster,
            Client(cluster) as client,
        ):
            yield client
        return
    try:
        client = Client(options.scheduler, timeout=_CONNECT_SECONDS)
    except (OSError, ValueError) as error:
        raise DataError(f"--scheduler={options.scheduler}: no Dask scheduler answers there ({error})") from error
    with client:
        yield client


def _new_worker(stack: contextlib.ExitStack) -> ProcessPoolExecutor:
    # forkserver: a fork of a process in which TensorFlow was used hangs.
    context = multiprocessing.get_context("forkserver")
    return stack.enter_context(ProcessPoolExecutor(1, mp_context=context, initializer=_end_with_parent))


def _begin(
    work: Callable[[AnyJob], Result], job: AnyJob, worker: ProcessPoolExecutor, stack: contextlib.ExitStack
) -> tuple[Future, ProcessPoolExecutor]:
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
            worker = _new_worker(stack)
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


def _strikes_message(jobs: Iterable[Job], times: str) -> str:
    names = ", ".join(sorted(job.name for job in jobs))
    return (
        f"workers were killed {times} while at {names}; if memory is short choose fewer "
        "--workers, then start the same command again"
    )


def _end_with_parent() -> None:
    """Ends this worker when the process that started it is killed; otherwise it would live, and write, for ever."""

    def watch() -> None:
        multiprocessing.parent_process().join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


ENGINES: dict[str, Callable[[Iterable[Job], Callable, EngineOptions], Iterator]] = {
    "local": run_local,
    "dask": run_dask,
}
