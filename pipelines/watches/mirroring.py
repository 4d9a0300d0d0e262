"""A run whose workdir lies in a bucket: it works in a local folder, which is copied to the bucket after each save.

Files go through `tfrecords_tools.foundation.files`, which compares checksums and says in one line what a bucket
refuses. The bucket decides: a run that resumes, on this machine or another, starts from what lies there.
"""

import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

from pipelines.artefacts.classifier_run import PREDICTIONS_FILE
from pipelines.artefacts.generator_run import BEST_FILE
from pipelines.artefacts.metrics_file import METRICS_FILE, TRACKER_FOLDER
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

_OF_THIS_MACHINE = (f"{FEATURES_FOLDER}/", f"{TRACKER_FOLDER}/")  # what is never sent
# Files are sent in this order, after all others: each counts only with what was sent before it. Metrics tell of the
# best weights, a checkpoint follows the metrics before it and is whole with its index, and the state file names it;
# with its predictions a fold is done.
_SENT_LAST = (METRICS_FILE, BEST_FILE, "ckpt-*.data-*", "ckpt-*.index", "checkpoint", PREDICTIONS_FILE)


class Mirror:
    """The local folder of a run, and its copy in a bucket if its workdir lies there.

    Every worker fetches; those beside the chief have folders of their own, also on one machine, and send nothing.

    Arguments:
      workdir: folder of the run, local or gs://.
      scratch_dir: local folder for the files of a run whose workdir is gs://.
      needed_to_go_on: tells which of the files in the bucket, named from the folder on, a run that resumes needs.
      own_folder: name of this worker's folder in `scratch_dir`; empty for the chief.

    Raises:
      CommandError: if `workdir` lies in a bucket and `scratch_dir` is not given.
    """

    def __init__(
        self,
        workdir: str,
        scratch_dir: str,
        needed_to_go_on: Callable[[Sequence[str]], list[str]],
        own_folder: str = "",
    ) -> None:
        path = as_path(workdir)
        self._bucket = path if is_remote(path) else None
        if self._bucket is not None and not scratch_dir:
            raise CommandError(
                f"--workdir={workdir}: training writes to a local folder first; give it as --scratch_dir"
            )
        self._scratch, self._needed_to_go_on = Path(scratch_dir) / own_folder, needed_to_go_on
        self._sends = self._bucket is not None and not own_folder
        self.folder = self._scratch / str(path).removeprefix("gs://") if is_remote(path) else path
        self._sent: dict[str, ListedFile] | None = None

    def fetch(self) -> None:
        """Makes the local folder hold the files that a run resumes from, as in the bucket, and nothing else; once."""
        if self._bucket is None or self._sent is not None:
            return
        names = self._needed_to_go_on([file.name for file in list_files(self._bucket, recursive=True)])
        for name in names:
            download(self._bucket / name, self._scratch, file_crc32c(self._bucket / name))
        for name in self._local_files().keys() - set(names):
            remove(self.folder / name)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._sent = self._local_files()

    def send(self) -> None:
        """Copies what has changed; at every moment the bucket has a whole checkpoint and the metrics before it."""
        if not self._sends:
            return
        files, sent = self._local_files(), self._sent or {}
        with tempfile.TemporaryDirectory() as copies:
            for name in sorted(files, key=_order):
                if files[name] != sent.get(name):
                    copy = shutil.copyfile(self.folder / name, Path(copies) / "file")  # TensorBoard's still grow
                    upload(copy, self._bucket / name)
        for name in sorted(sent.keys() - files.keys(), key=_order, reverse=True):
            remove(self._bucket / name)
        self._sent = files

    def _local_files(self) -> dict[str, ListedFile]:
        files = list_files(self.folder, recursive=True)
        return {file.name: file for file in files if not file.name.startswith(_OF_THIS_MACHINE)}


def _order(name: str) -> tuple[int, str]:
    """Returns what puts names in the order in which files are sent."""
    found = [place for place, pattern in enumerate(_SENT_LAST, start=1) if PurePosixPath(name).match(pattern)]
    return max(found, default=0), name
