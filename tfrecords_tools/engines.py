"""Engines run shard jobs and yield their results as they finish; the bytes written are the same with any of them."""

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice

from tfrecords_tools.errors import DataError
from tfrecords_tools.shards import ShardJob, ShardResult

MAX_STRIKES = 3


def run_local(
    jobs: Sequence[ShardJob], write: Callable[[ShardJob], ShardResult], workers: int
) -> Iterator[ShardResult]:
    """Runs the jobs in a pool of processes on this machine.

    A worker that dies takes its shard with it, and no finished one: the pool is built again and the missing shards
    are repeated. Workers get one shard at a time, so that an error does not wait for shards not yet begun.

    Raises:
      DataError: if workers died `MAX_STRIKES` times.
    """
    waiting = {(job.split, job.index): job for job in jobs}
    for _ in range(MAX_STRIKES):
        try:
            # forkserver: a fork of a process in which TensorFlow was used hangs.
            context = multiprocessing.get_context("forkserver")
            with ProcessPoolExecutor(workers, mp_context=context, initializer=_end_with_parent) as pool:
                queue = iter(tuple(waiting.values()))
                running = {pool.submit(write, job) for job in islice(queue, workers)}
                while running:
                    finished, running = wait(running, return_when=FIRST_COMPLETED)
                    for future in finished:
                        result = future.result()
                        del waiting[(result.entry.split, result.entry.index)]
                        yield result
                    running |= {pool.submit(write, job) for job in islice(queue, len(finished))}
            return
        except BrokenProcessPool:
            continue
    names = ", ".join(f"{split}{index:02d}" for split, index in sorted(waiting))
    raise DataError(
        f"workers were killed {MAX_STRIKES} times, last while writing {names}; "
        "if memory is short choose fewer --workers, then start the same command again"
    )


def _end_with_parent() -> None:
    """Ends this worker when the process that started it is killed; otherwise it would live, and write, for ever."""

    def watch() -> None:
        multiprocessing.parent_process().join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


ENGINES = {"local": run_local}
