"""The settings and the report of adopt_synthetic: synthetic images of a generator that is none of ours."""

from dataclasses import dataclass

from pipelines.artefacts.synthetic_run import SyntheticReport
from pipelines.contract.shared_settings import CacheSettings, FoldSettings, RejectionSettings
from tfrecords_tools.foundation.settings import require, setting
from tfrecords_tools.foundation.texts import as_file_name
from tfrecords_tools.images import FITS

COMMAND = "adopt_synthetic"
METHOD = "adopted"  # of a study
TRAINING, OTHERS, UNKNOWN = "training", "others", "unknown"


@dataclass(frozen=True, kw_only=True)
class AdoptSyntheticConfig(FoldSettings, RejectionSettings, CacheSettings):
    """Settings of adopt_synthetic."""

    images: str = setting(help="folder of the images, in a folder per class or, with --label, in any", is_path=True)
    shards: str = setting(help="real shards, whose classes the images are of, and which are stored alike", is_path=True)
    output: str = setting(help="folder of the synthetic shards", changes_result=False)
    generator: str = setting(help="name of what drew the images, such as stylegan3")
    seen: str = setting(
        help=f"what it was trained on: {TRAINING}, the real shards less --fold of --num_folds; {OTHERS}, images that "
        f"are none of them; {UNKNOWN}, so perhaps all of them",
        choices=(TRAINING, OTHERS, UNKNOWN),
    )
    label: str = setting("", "class of all images, which then lie in any folders; or the one class folder to take")
    fit: str = setting("crop", "how images that are not square become square", choices=tuple(FITS))
    shard_size: int = setting(1000, "images per shard")

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            len(self.generator) > 0 and self.generator == as_file_name(self.generator),
            "generator",
            self.generator,
            "a name of letters, digits, - and _, of at most 50",
        )
        require(self.shard_size >= 1, "shard_size", self.shard_size, "at least 1")


@dataclass(frozen=True, kw_only=True)
class AdoptedReport(SyntheticReport):
    """The report of a set of synthetic images, and the real ones of each class that their generator was trained on.

    Where it saw none of them, `real_counts` are of all that there are.
    """

    real_counts: tuple[int, ...]
