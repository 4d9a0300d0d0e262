"""The settings and the report of synthesize."""

from dataclasses import dataclass

from melgan.metrics.extractors import EXTRACTORS
from pipelines.artefacts.feature_store import require_known_features
from pipelines.contract.shared_settings import CacheSettings, ExtractorSettings, JpegSettings, SamplingSettings
from tfrecords_tools.foundation.errors import CommandError
from tfrecords_tools.foundation.settings import require, setting
from tfrecords_tools.provenance import SyntheticProvenance

COMMAND = "synthesize"
GRID_FILE = "grid.png"


@dataclass(frozen=True, kw_only=True)
class SynthesizeConfig(SamplingSettings, JpegSettings, ExtractorSettings, CacheSettings):
    """Settings of synthesize."""

    gan: str = setting(
        help="folder that train_gan, train_translator, train_singan or adopt_synthetic wrote", is_path=True
    )
    output: str = setting(help="folder of the synthetic shards", changes_result=False)
    label: str = setting("", "name of the class to draw")
    count: int = setting(0, "how many images of --label; 0: all, of a generator that has so many and no more")
    balance: bool = setting(False, "bring every class to the count of the largest in the training shards")
    boxes: str = setting(
        "",
        "CSV of where lesions are placed: x_min, y_min, x_max, y_max as fractions of the sides, a row an image in turn",
        is_path=True,
    )
    reject_copies: bool = setting(
        False, "draw others in place of images nearer to a training image than held-out real ones are"
    )
    shards: str = setting("", "real shards, for --reject_copies (default: the shards of the GAN run)", is_path=True)
    features: str = setting(
        "pixels",
        f"where copies are looked for, beside pixels: {', '.join(EXTRACTORS)} or classifier:RUN",
        is_path=True,
        words=tuple(EXTRACTORS),
    )
    shard_size: int = setting(1000, "images per shard")

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.count >= 0, "count", self.count, "0 or greater")
        require_known_features(self.features, "features")
        require(
            not (self.boxes and self.reject_copies),
            "boxes",
            self.boxes,
            "left out with --reject_copies, which looks at images with the boxes that the generator chooses",
        )
        require(
            not self.boxes or set(self.edits) <= {"transplant"},
            "edits",
            ",".join(self.edits),
            "transplant or none with --boxes, which are not edited",
        )
        require(self.shard_size >= 1, "shard_size", self.shard_size, "at least 1")
        if self.balance == bool(self.label or self.count):
            raise CommandError("say what to draw: either --balance, or --label with --count")
        if self.count and not self.label:
            raise CommandError(f"--count={self.count} without --label: images of which class?")


@dataclass(frozen=True, kw_only=True)
class SyntheticReport:
    """Counts of a set of synthetic images, and what made them; `rejected_copies` are counted by class."""

    classes: tuple[str, ...]
    class_counts: tuple[int, ...]
    rejected_copies: tuple[int, ...]
    provenance: SyntheticProvenance
