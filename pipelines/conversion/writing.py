"""Writes the shards of a plan: those that an earlier run has not finished, until too many images cannot be read."""

from collections.abc import Callable, Iterable, Iterator, Sequence

import pandas as pd
from absl import logging

from pipelines.contract.limits import allowed_of
from pipelines.contract.progress import Progress
from tfrecords_tools.csv_tables import write_table
from tfrecords_tools.foundation.errors import DataError
from tfrecords_tools.foundation.files import AnyPath
from tfrecords_tools.shards import ShardJob, ShardResult, read_part, remove_leftovers

REJECTED_FILE = "rejected.csv"

Rejection = tuple[str, str, str]  # image_name, file, reason


def write_all(
    folder: AnyPath,
    jobs: Sequence[ShardJob],
    num_images: int,
    *,
    engine: Callable[[Sequence[ShardJob]], Iterator[ShardResult]],
    max_rejected: str,
) -> list[ShardResult]:
    """Returns all shards of a folder, training shards first, in order of their index.

    Arguments:
      folder: of the shards; other shards in it are removed.
      jobs: one a shard.
      num_images: of all jobs.
      engine: runs some jobs.
      max_rejected: how many images may be left out because they cannot be read, see `allowed_of`.

    Raises:
      DataError: if there are more, naming the first.
    """
    results = [done for job in jobs if (done := read_part(folder, job.split, job.index))]
    remove_leftovers(folder, keep=[result.entry.file for result in results])
    finished = {(result.entry.split, result.entry.index) for result in results}
    if results:
        logging.info("%d of %d shards were finished by an earlier run", len(results), len(jobs))
    progress = Progress("shards", num_images, "images", start=sum(result.entry.records for result in results))
    for result in engine([job for job in jobs if (job.split, job.index) not in finished]):
        results.append(result)
        progress.update(sum(result.entry.records + len(result.rejected) for result in results))
        require_few_rejected(results, max_rejected, num_images)
    require_few_rejected(results, max_rejected, num_images)
    return sorted(results, key=lambda result: (result.entry.split != "train", result.entry.index))


def rejections_of(results: Iterable[ShardResult]) -> list[Rejection]:
    """Returns the images of shards that were left out because they cannot be read."""
    return [rejection for result in results for rejection in result.rejected]


def write_rejected(folder: AnyPath, rejections: Iterable[Rejection]) -> None:
    """Writes the table of images that were left out."""
    write_table(folder / REJECTED_FILE, pd.DataFrame(rejections, columns=["image_name", "file", "reason"]))


def require_few_rejected(results: Sequence[ShardResult], max_rejected: str, num_images: int) -> None:
    """Raises DataError, naming the first, if more images cannot be read than `max_rejected` allows of all."""
    rejected = rejections_of(results)
    if len(rejected) > allowed_of(max_rejected, num_images, "max_rejected"):
        _, file, reason = rejected[0]
        raise DataError(
            f"{len(rejected)} of {num_images} images cannot be read, the first is {file} ({reason}); "
            f"repair them, or raise --max_rejected from {max_rejected}"
        )
