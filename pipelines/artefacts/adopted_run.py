"""The settings and the report of adopt_synthetic: synthetic images of a generator that is none of ours."""

from dataclasses import dataclass

from pipelines.contract.shared_settings import CacheSettings, FoldSettings
from tfrecords_tools.foundation.settings import require, setting
from tfrecords_tools.foundation.texts import as_file_name
from tfrecords_tools.images import FITS
from tfrecords_tools.provenance import SyntheticProvenance

COMMAND = "adopt_synthetic"
METHOD = "adopted"  # of a study
TRAINING, OTHERS, UNKNOWN = "training", "others", "unknown"


@dataclass(frozen=True, kw_only=True)
class AdoptSyntheticConfig(FoldSettings, CacheSettings):
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
    max_rejected: str = setting(
        "100",
        "stop when more images than this cannot be read: a count, or a fraction of all, such as 0.01 or 1%",
        changes_result=False,
    )

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
class AdoptedReport:
    """Counts of a set of synthetic images, and what made them, as `SyntheticReport` tells them.

    `real_counts` are the training images of each class that its generator was trained on or, where it saw none of
    them, all that there are.
    """

    classes: tuple[str, ...]
    class_counts: tuple[int, ...]
    rejected_copies: tuple[int, ...] = ()
    real_counts: tuple[int, ...]
    provenance: SyntheticProvenance
