"""Settings that several commands have, each declared once; a config inherits the ones that it needs."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from pipelines.contract.limits import allowed_of
from tfrecords_tools.engines import ENGINES, LOCAL, EngineOptions
from tfrecords_tools.foundation.errors import CommandError, look_up
from tfrecords_tools.foundation.settings import Settings, require, setting
from tfrecords_tools.images import JPEG_QUALITY

CHECKPOINTS = ("last", "best")
MAX_ROLLBACKS = 3
NO_TRACKER = "none"
FIGURE_FORMATS, TABLE_FORMATS = ("svg", "pdf"), ("csv", "latex")


@dataclass(frozen=True, kw_only=True)
class CacheSettings(Settings):
    """The place of a bucket's shards on this machine."""

    cache_dir: str = setting("", "local copies of shards that lie in a bucket", changes_result=False)


@dataclass(frozen=True, kw_only=True)
class ScratchSettings(Settings):
    """The local folder of a training whose own lies in a bucket."""

    scratch_dir: str = setting("", "local folder to train in when --workdir is gs://", changes_result=False)


@dataclass(frozen=True, kw_only=True)
class TrackerSettings(Settings):
    """The experiment tracker of a training."""

    tracker: str = setting(
        NO_TRACKER,
        "experiment tracker that is shown settings and metrics, by its own package",
        choices=(NO_TRACKER, "wandb", "mlflow"),
        changes_result=False,
    )


@dataclass(frozen=True, kw_only=True)
class JpegSettings(Settings):
    """The compression of images."""

    quality: int = setting(JPEG_QUALITY, "JPEG quality, 1 to 100")

    def __post_init__(self) -> None:
        super().__post_init__()
        require(1 <= self.quality <= 100, "quality", self.quality, "from 1 to 100")


@dataclass(frozen=True, kw_only=True)
class FoldSettings(Settings):
    """The images of a command, less those of a fold, which a classifier may then be validated on."""

    num_folds: int = setting(0, "folds of whole shards; 0: train on all shards")
    fold: int = setting(0, "fold that is held out, with --num_folds")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.fold and not self.num_folds:
            raise CommandError(
                f"--fold={self.fold} without --num_folds: no shard would be held out; give --num_folds as well"
            )


@dataclass(frozen=True, kw_only=True)
class SamplingSettings(FoldSettings, CacheSettings):
    """The generator of a run that draws images, its seed, and what it makes images from, if not from noise."""

    checkpoint: str = setting("last", "which generator of a GAN run", choices=CHECKPOINTS)
    seed: int = setting(0, "seed of the images")
    sources: str = setting(
        "", "shards whose images a translator makes others from (default: those of its training)", is_path=True
    )
    edits: tuple[str, ...] = setting(
        (), "changes of masks that pix2pix draws from: mirror, turn, scale, deform, shift, transplant"
    )
    edit_strength: float = setting(1.0, "how far edits go; 0: nowhere")
    start_scale: int = setting(
        0, "scale from which on SinGAN draws anew; 0: all of the image, and the larger the nearer to its real image"
    )
    paste_scale: int = setting(
        0,
        "scale at which SinGAN draws the lesion of another image, pasted into its own in place of its lesion; 0: none",
    )
    num_folds: int = setting(0, "folds of whole shards, with --fold; 0: SinGAN draws from all of its images")
    fold: int = setting(0, "fold that is held out: SinGAN draws from none of its images, with --num_folds")

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 <= self.seed < 2**31, "seed", self.seed, "from 0 to 2147483647")
        require(self.edit_strength >= 0, "edit_strength", self.edit_strength, "0 or greater")
        require(self.start_scale >= 0, "start_scale", self.start_scale, "0 or greater")
        require(
            self.paste_scale >= 0 and not (self.paste_scale and self.start_scale),
            "paste_scale",
            self.paste_scale,
            "0 or greater, and without --start_scale",
        )


@dataclass(frozen=True, kw_only=True)
class RejectionSettings(Settings):
    """Images that cannot be read."""

    max_rejected: str = setting(
        "100",
        "stop when more images than this cannot be read: a count, or a fraction of all, such as 0.01 or 1%",
        changes_result=False,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        allowed_of(self.max_rejected, 0, "max_rejected")


@dataclass(frozen=True, kw_only=True)
class TrustSettings(Settings):
    """Trust in what is not known of generators."""

    trust_unknown_generators: bool = setting(
        False,
        "take synthetic images of adopted generators of which it is unknown what they have seen; metrics may be too "
        "good",
        same_baseline=False,
    )


@dataclass(frozen=True, kw_only=True)
class ExtractorSettings(Settings):
    """The weights of a feature extractor."""

    weights: str = setting("", "file of InceptionV3's ImageNet weights, where they cannot be downloaded", is_path=True)


@dataclass(frozen=True, kw_only=True)
class PageSettings(Settings):
    """Files beside a page, for a paper."""

    figures: tuple[str, ...] = setting((), f"formats of every picture as a file: {', '.join(FIGURE_FORMATS)}")
    tables: tuple[str, ...] = setting((), f"formats of every table as a file: {', '.join(TABLE_FORMATS)}")

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in self.figures:
            look_up(dict.fromkeys(FIGURE_FORMATS), name, "figures")
        for name in self.tables:
            look_up(dict.fromkeys(TABLE_FORMATS), name, "tables")


@dataclass(frozen=True, kw_only=True)
class EngineSettings(Settings):
    """The machines that the jobs of a command run on."""

    engine: str = setting(
        LOCAL, "where jobs run: on this machine, or on a Dask cluster", choices=tuple(ENGINES), changes_result=False
    )
    scheduler: str = setting("", "address of a Dask cluster, for --engine=dask; tls:// encrypts", changes_result=False)
    scheduler_security: str = setting(
        "", "file with the certificates for --scheduler=tls://..., as DASK_CONFIG names it", changes_result=False
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        require(not self.scheduler or self.engine == "dask", "scheduler", self.scheduler, "given with --engine=dask")
        require(
            not self.scheduler_security or self.scheduler.startswith("tls://"),
            "scheduler_security",
            self.scheduler_security,
            "given with --scheduler=tls://HOST:PORT",
        )

    def engine_options(self, workers: int, resources: Mapping[str, float] = MappingProxyType({})) -> EngineOptions:
        """Returns where jobs run, so many at a time on this machine; for `resources` see `EngineOptions`."""
        return EngineOptions(
            workers=workers,
            scheduler=self.scheduler,
            scheduler_security=self.scheduler_security,
            resources=dict(resources),
        )


@dataclass(frozen=True, kw_only=True)
class RollbackSettings(Settings):
    """What follows a loss that is no number."""

    on_nonfinite: str = setting(
        "stop",
        f"at a loss that is no number: stop, or go back to the last checkpoint up to {MAX_ROLLBACKS} times",
        choices=("stop", "rollback"),
        changes_result=False,
    )

    @property
    def max_rollbacks(self) -> int:
        """How often the training may go back to the last checkpoint."""
        return MAX_ROLLBACKS if self.on_nonfinite == "rollback" else 0


@dataclass(frozen=True, kw_only=True)
class DeviceSettings(Settings):
    """The way a training runs on its device."""

    steps_per_call: int = setting(10, "steps per call of the device", changes_result=False)
    deterministic: bool = setting(False, "bitwise equal runs, somewhat slower", same_baseline=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.steps_per_call >= 1, "steps_per_call", self.steps_per_call, "at least 1")
