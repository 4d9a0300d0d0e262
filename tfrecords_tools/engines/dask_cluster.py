"""Jobs on a Dask cluster that others started, or on one of processes of this machine."""

import asyncio
import contextlib
import re
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, NamedTuple

from absl import logging

from tfrecords_tools.engines import dask_quiet
from tfrecords_tools.engines.dask_security import read_security
from tfrecords_tools.engines.jobs import MOST_NAMES, AnyJob, EngineOptions, Result, deadly_jobs
from tfrecords_tools.foundation.errors import DataError
from tfrecords_tools.foundation.texts import first_names

if TYPE_CHECKING:
    from distributed import Client, Future, LocalCluster

_CONNECT_SECONDS = 10
_PATIENT = {"distributed.deploy.lost-worker-timeout": "1d"}  # else a worker that starts again for 15 s is given up
_SAME = "install the same versions of melgan, Dask and Python for the scheduler, the workers and this command"
_REMEDY = "start it, or correct the address; with TLS it begins with tls://, and --scheduler_security is needed"


def run_dask(jobs: Iterable[AnyJob], work: Callable[[AnyJob], Result], options: EngineOptions) -> Iterator[Result]:
    """Runs jobs on the Dask cluster of `options.scheduler`, or on one of processes of this machine.

    Dask repeats the jobs of a worker that dies, as often as its `distributed.scheduler.allowed-failures` (3) says.

    Raises:
      DataError: if Dask is not installed, or the cluster cannot be reached or is lost; and naming the jobs that were
        the end of too many workers, after all others are done.
    """
    _require_dask()
    from distributed import KilledWorker  # noqa: PLC0415

    given_up = []
    with _client(options) as client:
        needed = dict(options.resources) or None
        submitted = {client.submit(work, job, pure=False, resources=needed): job for job in jobs}
        ended: SimpleQueue[_Ended] = SimpleQueue()
        for future in submitted:
            future.add_done_callback(lambda future: ended.put(_Ended(future, *_outcome(future))))
        while submitted:
            each = _wait_for_any(ended, client, submitted.values(), options)
            job = submitted.pop(each.future)
            if each.error is None:
                yield each.result
            elif isinstance(each.error, KilledWorker):
                given_up.append(job)
            else:
                raise _understood(each.error)
    if given_up:
        raise deadly_jobs(given_up, "too often")


class _Ended(NamedTuple):
    """A job that has ended, with its result or its error."""

    future: "Future"
    result: Any
    error: BaseException | None


def _require_dask() -> None:
    try:
        import distributed  # noqa: F401, PLC0415  an extra
    except ModuleNotFoundError as error:
        raise DataError("--engine=dask needs Dask: pip install 'melgan[distributed]'") from error
    if not logging.level_debug():
        dask_quiet.silence()


def _outcome(future: "Future") -> tuple[Any, BaseException | None]:
    try:
        return future.result(), None
    except BaseException as error:  # noqa: BLE001  raised where the results are taken
        return None, error


def _understood(error: BaseException) -> BaseException:
    """Returns the error of a job, or what an error of Dask itself means."""
    from distributed import CancelledError  # noqa: PLC0415

    if isinstance(error, CancelledError):
        understood = DataError("the Dask scheduler is gone; start it, then the same command again")
    elif isinstance(error, RuntimeError) and "deserializ" in str(error):
        understood = DataError(f"the Dask scheduler cannot read the jobs ({error.__cause__ or 'see its log'}); {_SAME}")
    else:
        return error
    understood.__cause__ = error
    return understood


def _wait_for_any(ended: SimpleQueue, client: "Client", jobs: Collection[AnyJob], options: EngineOptions) -> _Ended:
    """Returns the next job that has ended; says now and then what it waits for."""
    while True:
        try:
            return ended.get(timeout=options.notice_seconds)
        except Empty:
            names = first_names([job.name for job in jobs], MOST_NAMES)
            state = _state(client, own=not options.scheduler)
            logging.info("nothing was finished for %g s: %s; waiting for %s", options.notice_seconds, state, names)


def _state(client: "Client", *, own: bool) -> str:
    """Returns what can be said of a cluster, our own or another, that does not finish anything."""
    address = client.scheduler.address
    try:
        workers = client.sync(client.scheduler.ncores, callback_timeout=_CONNECT_SECONDS)
    except (OSError, asyncio.TimeoutError):
        return f"the Dask scheduler {address} does not answer"
    if not workers and own:
        return "the Dask workers of this machine are starting"
    if not workers:
        return f"the Dask cluster {address} has no workers, start some with melgan: dask worker {address} --nthreads 1"
    return f"{len(workers)} workers of the Dask cluster {address} have jobs"


@contextlib.contextmanager
def _client(options: EngineOptions) -> Iterator["Client"]:
    import dask  # noqa: PLC0415
    from distributed import Client  # noqa: PLC0415

    if options.scheduler:
        with _connected(options) as client:
            yield client
        return
    with dask.config.set(_PATIENT):
        cluster = _local_cluster(options)
        try:
            with Client(cluster) as client:
                yield client
        finally:
            try:
                cluster.close()
            except Exception as error:  # noqa: BLE001  of a worker that was just starting; the jobs are over
                logging.debug("the Dask cluster of this machine did not close well: %r", error)


def _local_cluster(options: EngineOptions) -> "LocalCluster":
    """Returns a cluster on loopback that takes no orders from other users of this machine."""
    from distributed import LocalCluster  # noqa: PLC0415

    talkative = logging.level_debug()
    return LocalCluster(
        n_workers=options.num_workers,
        threads_per_worker=1,
        dashboard_address=None,
        security=True,  # certificates of its own, in memory
        silence_logs=False if talkative else dask_quiet.SILENT,
        preload=None if talkative else dask_quiet.__name__,
    )


def _connected(options: EngineOptions) -> "Client":
    from distributed import Client  # noqa: PLC0415
    from distributed.versions import VersionMismatchWarning  # noqa: PLC0415

    security = read_security(options.scheduler_security) if options.scheduler_security else None
    place = f"--scheduler={options.scheduler}"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", VersionMismatchWarning)
        try:
            client = Client(options.scheduler, timeout=_CONNECT_SECONDS, security=security)
        except (OSError, ValueError, TypeError, RuntimeError) as error:
            raise DataError(f"{place}: no Dask scheduler answers there ({error}); {_REMEDY}") from error
    for warning in caught:
        packages = ", ".join(re.findall(r"^\| (\w+) ", str(warning.message), re.MULTILINE)[1:])
        logging.warning("%s: other versions there than here of %s; %s", place, packages, _SAME)
    return client
