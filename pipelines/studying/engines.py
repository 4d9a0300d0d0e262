"""Where the jobs of a study run: in processes of this machine, or on a Dask cluster."""

import os
import queue
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed

from absl import logging

from pipelines.artefacts.study import StudyConfig
from pipelines.contract.progress import Progress
from pipelines.studying.jobs import Job, Outcome, run_job
from tfrecords_tools.engines import ENGINES, LOCAL
from tfrecords_tools.foundation.cores import num_cores
from tfrecords_tools.foundation.texts import first_names

WAIT_SECONDS = 20.0  # before jobs are looked at again at which others are at work
_VISIBLE_DEVICES = "CUDA_VISIBLE_DEVICES"
_THREADS = "OMP_NUM_THREADS"
_MOST_NAMES = 3


def run_jobs(jobs: Sequence[Job], config: StudyConfig, title: str) -> dict[str, str]:
    """Runs the jobs that are not complete; one that fails leaves the others alone.

    Jobs at which others are at work, here or in another study, are left to them, and waited for at the end.

    Arguments:
      jobs: to be complete.
      config: of the study.
      title: of the line of progress.

    Returns:
      The reasons of those that failed, by the name of the job.

    Raises:
      CommandError: if a folder of a job is complete, but with other settings or inputs.
      DataError: if the cluster is not there.
    """
    waiting = left = [job for job in jobs if job.commands_left()]
    done = len(jobs) - len(waiting)
    progress, failed = Progress(title, len(jobs), "jobs", start=done), {}
    while waiting:
        busy = []
        for outcome in _run(waiting, config):
            if outcome.is_busy:
                busy.append(outcome.job)
                continue
            if outcome.failure:
                failed[outcome.job.name] = outcome.failure
                logging.warning("%s failed: %s", outcome.job.name, outcome.failure)
            done += 1
            progress.update(done, outcome.job.name)
        if busy:
            names = first_names([job.name for job in busy], _MOST_NAMES)
            logging.info("waiting for other jobs, here or of another study, that are at work at %s", names)
            time.sleep(WAIT_SECONDS)
        waiting = busy
    for job in left:
        if job.name not in failed:
            job.commands_left()  # verifies what others may have made
    return failed


def _run(jobs: Iterable[Job], config: StudyConfig) -> Iterator[Outcome]:
    """Runs jobs where the config says, and yields how they ended."""
    if config.engine == LOCAL:  # threads can pass Ctrl-C on to what they wait for, and share out GPUs
        return _run_here(jobs, config)
    options = config.engine_options(config.jobs, config.resources_of_a_job)
    return ENGINES[config.engine](jobs, run_job, options)


def _run_here(jobs: Iterable[Job], config: StudyConfig) -> Iterator[Outcome]:
    """Runs so many jobs at a time, each command as a process; given GPUs, each job has one to itself."""
    stop, environments = threading.Event(), queue.SimpleQueue()
    for each in _environments(config):
        environments.put(each)

    def run(job: Job) -> Outcome:
        environment = environments.get()
        logging.info("%s begins; its output is %s", job.name, job.log)
        try:
            return run_job(job, stop, environment)
        finally:
            environments.put(environment)

    with ThreadPoolExecutor(config.num_at_a_time) as pool:
        try:
            yield from (future.result() for future in as_completed([pool.submit(run, job) for job in jobs]))
        except BaseException:  # Ctrl-C among them
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _environments(config: StudyConfig) -> list[dict[str, str]]:
    """Returns the environments of the jobs at a time: to each its GPU, if there are any, and its part of the cores.

    Threads of OpenMP wait for one another by spinning: two jobs with as many threads as cores, each, took 32 s for a
    t-SNE that takes 3 s.
    """
    threads = str(max(1, num_cores() // config.num_at_a_time))
    shared = {_THREADS: os.environ.get(_THREADS, threads)}
    return [{_VISIBLE_DEVICES: gpu} | shared for gpu in config.gpus] or [shared] * config.jobs
