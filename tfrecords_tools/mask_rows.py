"""The masks of the rows of a data set, each looked into before anything is made of it."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd

from tfrecords_tools.foundation.errors import DataError
from tfrecords_tools.foundation.files import AnyPath, ListedFile, as_path, crc32c, leaves, open_bytes
from tfrecords_tools.images import RefusedImage, upright_size
from tfrecords_tools.masks import read_mask
from tfrecords_tools.rows import MaskFile
from tfrecords_tools.scanning import FILES_PER_SCAN
from tfrecords_tools.source_files import in_record, read_source_file
from tfrecords_tools.sources.mask_folder import find_masks
from tfrecords_tools.sources.merging import MergedTable


@dataclass(frozen=True, kw_only=True)
class MaskJob:
    """Masks to look into: `files` of the folder `root`; `images` are the root and file of the image of each."""

    name: str
    root: str
    files: tuple[ListedFile, ...]
    images: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class CheckedMasks:
    """The CRC-32C of every mask of a job, in its order."""

    name: str
    scanned: tuple[str, ...]


# Runs jobs on an engine: (jobs, work) -> results in any order.
RunJobs = Callable[[Sequence[MaskJob], Callable[[MaskJob], CheckedMasks]], Sequence[CheckedMasks]]


def find_mask_rows(folder: AnyPath, table: MergedTable, run_jobs: RunJobs) -> dict[str, MaskFile]:
    """Returns the masks of training images, by the name of the image; masks of test images are not looked into.

    Arguments:
      folder: of the masks.
      table: the data.
      run_jobs: runs the checks.

    Raises:
      DataError: for the first file that `find_masks` or `check_masks` refuses.
    """
    parts = [table.train] if table.test is None else [table.train, table.test]
    files = find_masks(folder, dict.fromkeys(name for part in parts for name in part["image_name"]))
    masked = table.train[table.train["image_name"].isin(files.keys())]
    jobs = [
        _job(folder, masked.iloc[start : start + FILES_PER_SCAN], files, table.roots, start)
        for start in range(0, len(masked), FILES_PER_SCAN)
    ]
    checked = {result.name: result.scanned for result in run_jobs(jobs, check_masks)}
    checksums = [checksum for job in jobs for checksum in checked[job.name]]
    found = [files[name] for name in masked["image_name"]]
    return {
        name: MaskFile(file.name, file.size, checksum)
        for name, file, checksum in zip(masked["image_name"], found, checksums, strict=True)
    }


def check_masks(job: MaskJob) -> CheckedMasks:
    """Reads the masks of a job.

    Raises:
      DataError: for the first that cannot be read, is no mask, or has another size than its image.
    """
    root, checksums = as_path(job.root), []
    for file, (image_root, image) in zip(job.files, job.images, strict=True):
        place = root / file.name
        try:
            data = read_source_file(root, file.name, file.size)
        except RefusedImage as refusal:
            raise DataError(f"{place}: the mask cannot be read ({refusal}); copy it into the folder") from refusal
        read_mask(data, str(place), _size(as_path(image_root), image))
        checksums.append(crc32c(data))
    return CheckedMasks(job.name, tuple(checksums))


def _job(
    folder: AnyPath, rows: pd.DataFrame, files: dict[str, ListedFile], roots: Sequence[AnyPath], start: int
) -> MaskJob:
    return MaskJob(
        name=f"masks{start}",
        root=str(folder),
        files=tuple(files[name] for name in rows["image_name"]),
        images=tuple((str(roots[source]), file) for source, file in zip(rows["source"], rows["file"], strict=True)),
    )


def _size(root: AnyPath, file: str) -> tuple[int, int] | None:
    """Returns width and height of an image; None if it cannot be read, which is told when its shard is written."""
    try:
        if in_record(file):
            return upright_size(io.BytesIO(read_source_file(root, file, 0)))
        if leaves(root, file):
            return None
        with open_bytes(root / file) as opened:
            return upright_size(opened)
    except (OSError, DataError):
        return None
