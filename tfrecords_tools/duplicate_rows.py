"""Duplicates among the rows of a data set, and what is done with them.

An image that is in two folds leaks, and so does one that is also in the test split: the first kind is kept together or
dropped, the second is reported. Equal files are found by size and checksum, the same picture in another size or
encoding by its perceptual hash, see `duplicates.py`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tfrecords_tools.duplicates import bits_from_first, find_duplicates
from tfrecords_tools.folds import group_rows
from tfrecords_tools.foundation.files import AnyPath, ListedFile
from tfrecords_tools.foundation.metadata import MISSING
from tfrecords_tools.manifest import DuplicateCounts
from tfrecords_tools.scanning import FILES_PER_SCAN, ScanJob, ScanResult, scan_files
from tfrecords_tools.shards import PARTS_FOLDER
from tfrecords_tools.sources.merging import MergedTable

# Runs jobs on an engine: (jobs, work) -> results in any order.
RunJobs = Callable[[Sequence[ScanJob], Callable[[ScanJob], ScanResult]], Sequence[ScanResult]]


@dataclass(frozen=True)
class DuplicatePolicy:
    """A way to treat duplicates: compare pictures beside bytes or not, keep all images of a group or the first."""

    look_alikes: bool
    keep_first: bool


DUPLICATES = {
    "together": DuplicatePolicy(look_alikes=True, keep_first=False),
    "drop": DuplicatePolicy(look_alikes=True, keep_first=True),
    "bytes": DuplicatePolicy(look_alikes=False, keep_first=False),
}


@dataclass(frozen=True)
class Duplicates:
    """The duplicates of a data set.

    `train` and `test` are the rows that stay, with a column `crc32c` (None where the file was not read); `codes` `[N]`
    are equal for training rows of one group; `table` lists every image of a group of several, with its split, in how
    many bits its perceptual hash differs from the first in the group, and whether it was kept or dropped.
    """

    train: pd.DataFrame
    test: pd.DataFrame | None
    codes: np.ndarray
    table: pd.DataFrame

    def counts(self) -> DuplicateCounts:
        """Returns how many were found."""
        training = self.table[self.table["split"] == "train"]
        return DuplicateCounts(
            groups=int(self.table["group"].nunique()),
            images=len(self.table),
            dropped=int((self.table["action"] == "dropped").sum()),
            groups_of_several_classes=int((training.groupby("group")["target"].nunique() > 1).sum()),
            groups_of_both_splits=int((self.table.groupby("group")["split"].nunique() > 1).sum()),
        )


def find_duplicate_rows(table: MergedTable, output: AnyPath, policy_name: str, run_jobs: RunJobs) -> Duplicates:
    """Looks into the images and groups those that are the same; test images are never dropped.

    Arguments:
      table: the data.
      output: folder in whose parts the findings lie, for a run that resumes.
      policy_name: one of `DUPLICATES`.
      run_jobs: runs the scans.
    """
    policy = DUPLICATES[policy_name]
    rows = table.train.assign(split="train")
    if table.test is not None:
        rows = pd.concat([rows, table.test.assign(split="test", target=MISSING)], ignore_index=True)
    wanted = np.ones(len(rows), bool) if policy.look_alikes else rows["size"].duplicated(keep=False).to_numpy()
    checksums, pictures = _scan(rows[wanted], table.roots, output / PARTS_FOLDER, policy.look_alikes, run_jobs)
    rows["crc32c"] = pd.Series(_spread(checksums, wanted), index=rows.index, dtype=object)  # as text None is NaN
    same_bytes = (rows["crc32c"] + rows["size"].astype(str)).where(rows["crc32c"].notna(), None)
    hashes = _spread(pictures, wanted).tolist()
    codes = group_rows([same_bytes, find_duplicates(hashes)])
    dropped = (rows["split"] == "train").to_numpy() & pd.Series(codes).duplicated().to_numpy() & policy.keep_first
    kept_train = (rows["split"] == "train").to_numpy() & ~dropped
    test = rows[rows["split"] == "test"].drop(columns=["split", "target"]).reset_index(drop=True)
    return Duplicates(
        train=rows[kept_train].drop(columns="split").reset_index(drop=True),
        test=None if table.test is None else test,
        codes=codes[kept_train],
        table=_describe(rows.assign(bits=bits_from_first(hashes, codes)), codes, dropped),
    )


def _scan(
    rows: pd.DataFrame, roots: Sequence[AnyPath], folder: AnyPath, look_alikes: bool, run_jobs: RunJobs
) -> tuple[list[str | None], list[bytes | None]]:
    """Returns the checksum and the hash of every image, None where it cannot be read."""
    checksums: list[str | None] = [None] * len(rows)
    pictures: list[bytes | None] = [None] * len(rows)
    jobs, positions = [], {}
    for source, root in enumerate(roots):
        own = np.flatnonzero((rows["source"] == source).to_numpy())
        for number, start in enumerate(range(0, len(own), FILES_PER_SCAN)):
            name = f"scan{source}-{number:04d}"
            positions[name] = own[start : start + FILES_PER_SCAN]
            chunk = rows.iloc[positions[name]]
            files = tuple(map(ListedFile, chunk["file"], chunk["size"].tolist(), chunk["version"].tolist()))
            jobs.append(ScanJob(name=name, folder=str(folder), root=str(root), files=files, look_alikes=look_alikes))
    for result in run_jobs(jobs, scan_files):
        for position, scanned in zip(positions[result.name], result.scanned, strict=True):
            checksums[position] = scanned.crc32c
            pictures[position] = None if scanned.picture is None else bytes.fromhex(scanned.picture)
    return checksums, pictures


def _spread(values: Sequence, wanted: np.ndarray) -> np.ndarray:
    """Returns one value for each row `[N]`, None where it was not wanted."""
    spread = np.full(len(wanted), None, dtype=object)
    spread[wanted] = values
    return spread


def _describe(rows: pd.DataFrame, codes: np.ndarray, dropped: np.ndarray) -> pd.DataFrame:
    """Returns a row for every image that is not alone in its group."""
    repeated = pd.Series(codes).duplicated(keep=False).to_numpy()
    found = rows.loc[repeated, ["image_name", "split", "source", "target", "file", "bits"]]
    found = found.assign(action=np.where(dropped[repeated], "dropped", "kept"))
    found.insert(0, "group", codes[repeated])
    return found.sort_values("group", kind="stable")
