"""The shards that a classifier was trained on, as long as they lie where its run says."""

from pipelines.artefacts.classifier_run import ClassifierRun
from pipelines.artefacts.shards import Shards
from pipelines.contract.workdir import digest, is_completed
from tfrecords_tools.foundation.errors import DataError
from tfrecords_tools.foundation.files import as_path
from tfrecords_tools.manifest import read_manifest


def training_shards(run: ClassifierRun) -> Shards:
    """Returns the shards of a run; their bytes are not verified.

    Raises:
      DataError: if they are gone, or others lie there now; the message has no remedy.
    """
    folder = as_path(run.report.shards)
    if not is_completed(folder):
        raise DataError(f"the shards of {run.name} do not lie in {folder} any more")
    if digest(folder) != run.report.shards_digest:
        raise DataError(f"{folder} holds other shards now than those that {run.name} was trained on")
    return Shards(folder, read_manifest(folder))
