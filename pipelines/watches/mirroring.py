"""A run whose workdir lies in a bucket: it works in a local folder, which is copied to the bucket after each save.

Files go through `tfrecords_tools.foundation.files`, which compares checksums and says in one line what a bucket
refuses. The bucket decides: a run that resumes, on this machine or another, starts from what lies there.
"""

import shutil
import tempfile
from pathlib import Path

from pipelines.artefacts.generator_run import BEST_FILE, BEST_GENERATOR_FILE
from pipelines.artefacts.metrics_file import METRICS_FILE
from pipelines.watches.evaluation import FEATURES_FOLDER
from tfrecords_tools.foundation.errors import CommandError
from tfrecords_tools.foundation.files import (
    ListedFile,
    as_path,
    download,
    file_crc32c,
    is_remote,
    list_files,
    remove,
    upload,
)


class Mirror:
    """The local folder of a run, and its copy in a bucket if its workdir lies there.

    Arguments:
      workdir: folder of the run, local or gs://.
      scratch_dir: local folder for the files of a run whose workdir is gs://.

    Raises:
      CommandError: if `workdir` lies in a bucket and `scratch_dir` is not given.
    """

    def __init__(self, workdir: str, scratch_dir: str) -> None:
        path = as_path(workdir)
        self._bucket = path if is_remote(path) else None
        if self._bucket is not None and not scratch_dir:
            raise CommandError(
                f"--workdir={workdir}: training writes to a local folder first; give it as --scratch_dir"
            )
        self._scratch = Path(scratch_dir)
        self.folder = self._scratch / str(path).removeprefix("gs://") if is_remote(path) else path
        self._sent: dict[str, ListedFile] = {}

    def fetch(self) -> None:
        """Makes the local folder hold the files that a run resumes from, as in the bucket, and nothing else."""
        if self._bucket is None:
            return
        names = {file.name for file in list_files(self._bucket, recursive=True) if _needed_to_go_on(file.name)}
        for name in names:
            download(self._bucket / name, self._scratch, file_crc32c(self._bucket / name))
        for file in list_files(self.folder, recursive=True):
            if file.name not in names:
                remove(self.folder / file.name)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._sent = self._local_files()

    def send(self) -> None:
        """Copies what has changed; at every moment the bucket has a whole checkpoint and the metrics before it."""
        if self._bucket is None:
            return
        files = self._local_files()
        with tempfile.TemporaryDirectory() as copies:
            for name in sorted(files, key=_order):
                if files[name] != self._sent.get(name):
                    copy = shutil.copyfile(self.folder / name, Path(copies) / "file")  # TensorBoard's still grow
                    upload(copy, self._bucket / name)
        for name in sorted(self._sent.keys() - files.keys(), key=_order, reverse=True):
            remove(self._bucket / name)
        self._sent = files

    def _local_files(self) -> dict[str, ListedFile]:
        files = list_files(self.folder, recursive=True)
        return {file.name: file for file in files if not file.name.startswith(f"{FEATURES_FOLDER}/")}


def _needed_to_go_on(name: str) -> bool:
    return name.startswith("checkpoints/") or name in (METRICS_FILE, BEST_FILE, BEST_GENERATOR_FILE)


def _order(name: str) -> tuple[int, str]:
    """Returns what puts names in the order in which files are sent: a checkpoint counts as soon as its index is there.

    The metrics that lead to it are there by then, and the state file names it afterwards.
    """
    if name == BEST_FILE:
        return 1, name  # it tells the digest of weights that must be there
    if not name.startswith("checkpoints/") or name.endswith(".json"):
        return 0, name
    return (3 if name.endswith("/checkpoint") else 2 if name.endswith(".index") else 1), name
