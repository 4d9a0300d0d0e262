"""Engines run jobs and yield their results as they finish; the bytes written are the same with any of them.

A job is a small value with a `name`; `work` is a function of a module. Both go to other processes or machines.
"""

from collections.abc import Callable, Iterable, Iterator

from tfrecords_tools.engines.dask_cluster import run_dask
from tfrecords_tools.engines.jobs import EngineOptions, Job
from tfrecords_tools.engines.local import run_local

__all__ = ["ENGINES", "LOCAL", "EngineOptions"]

LOCAL = "local"
ENGINES: dict[str, Callable[[Iterable[Job], Callable, EngineOptions], Iterator]] = {
    LOCAL: run_local,
    "dask": run_dask,
}
