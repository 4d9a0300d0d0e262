"""What all engines share: jobs, options, and the words for a wait and for jobs that end their workers."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from tfrecords_tools.foundation.cores import num_cores
from tfrecords_tools.foundation.errors import DataError

MOST_NAMES = 5  # of jobs, in a message


class Job(Protocol):
    """A job of an engine."""

    @property
    def name(self) -> str:
        """Names the job in messages."""


AnyJob = TypeVar("AnyJob", bound=Job)
Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True)
class EngineOptions:
    """Where jobs run.

    Attributes:
      workers: processes of this machine, 0 for one a core.
      scheduler: address of a Dask cluster, if any.
      scheduler_security: file of Dask's settings with the certificates for it, if any.
      resources: what each job needs of a worker of that cluster, such as {"GPU": 1}.
      notice_seconds: a wait that lasts so long is told, and told again after as long.
    """

    workers: int = 0
    scheduler: str = ""
    scheduler_security: str = ""
    resources: Mapping[str, float] = field(default_factory=dict)
    notice_seconds: float = 60.0

    @property
    def num_workers(self) -> int:
        """Returns the number of processes."""
        return self.workers or num_cores()


def deadly_jobs(jobs: Iterable[Job], times: str) -> DataError:
    """Returns the error that names jobs whose workers were killed again and again."""
    names = ", ".join(sorted(job.name for job in jobs))
    return DataError(
        f"workers were killed {times} while at {names}; if memory is short choose fewer "
        "--workers, then start the same command again"
    )
