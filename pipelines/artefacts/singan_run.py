"""The run of train_singan: its settings, its report, and the generators of every image that it was trained on.

generators/<n>.npz holds the weights of one image, which are read without running code.
"""

import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from melgan.single_image.config import SinganConfig
from melgan.single_image.pyramid import pyramid_sizes
from melgan.single_image.stack import COLOURS
from melgan.sources import Sources
from pipelines.artefacts.file_of_report import file_of_report
from pipelines.contract.shared_settings import CacheSettings, DeviceSettings, EngineSettings
from pipelines.contract.workdir import read_config, read_report, require_run
from tfrecords_tools.foundation.files import AnyPath, write_atomically
from tfrecords_tools.foundation.settings import require, setting
from tfrecords_tools.provenance import SeenShards, ShardsUsed

COMMAND = "train_singan"
METHOD = "singan"
GENERATORS_FOLDER, SAMPLES_FILE = "generators", "samples.png"
AUTO, NO_MASKS = "auto", "none"
_IMAGE = "image"


@dataclass(frozen=True, kw_only=True)
class TrainSinganConfig(SinganConfig, CacheSettings, DeviceSettings, EngineSettings):
    """Settings of train_singan: SinGAN, on which images it is trained, and where."""

    shards: str = setting(help="folder that make_shards wrote, local or gs://", is_path=True)
    workdir: str = setting(help="folder of the generators, on a disk that all workers see", changes_result=False)
    label: str = setting("", "class whose images it is trained on; none: the one with the fewest training images")
    images: tuple[str, ...] = setting((), "names of some of its images; none: all of them")
    most: int = setting(0, "so many images at most, the first; 0: all")
    masks: str = setting(
        AUTO,
        f"whether masks are drawn with images; {AUTO}: if all images of the class have one",
        choices=(AUTO, NO_MASKS),
    )
    workers: int = setting(1, "images trained at a time on this machine", changes_result=False)
    checkpoint_every: int = setting(500, "steps between checkpoints of an image", changes_result=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.most >= 0, "most", self.most, "0 or greater")
        for name in ("workers", "checkpoint_every"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")


@dataclass(frozen=True, kw_only=True)
class SingleImage:
    """A real image with the generators that were trained on it.

    Attributes:
      name: of the image.
      label: the number of its class.
      shard: the index of its shard.
      file: of the weights, in the folder of the run.
      sha256: of that file.
      reconstruction_error: root of the mean squared error of its reconstruction, where pixels lie in [-1, 1].
    """

    name: str
    label: int
    shard: int
    file: str
    sha256: str
    reconstruction_error: float


@dataclass(frozen=True, kw_only=True)
class SampleMeasures:
    """What was measured of samples that start at a scale, means over the first images of a run.

    Attributes:
      start_scale: see `melgan.single_image.drawing.draw_samples`; None: not samples, but other real images of the run.
      diversity: see `melgan.single_image.quality.sample_diversity`; None where it is not defined.
      distance: to the image that they were made from; root mean square, where pixels lie in [-1, 1].
      coherence, completeness: see `melgan.metrics.patches.PatchDistances`; grey levels.
    """

    start_scale: int | None
    diversity: float | None = None
    distance: float | None = None
    coherence: float
    completeness: float


@dataclass(frozen=True, kw_only=True)
class SinganReport:
    """The report of train_singan; `channels` are 4 where masks are drawn with the images."""

    generator_sha256: str
    classes: tuple[str, ...]
    class_counts: tuple[int, ...]
    channels: int
    images: tuple[SingleImage, ...]
    trained_on: ShardsUsed
    samples: tuple[SampleMeasures, ...] = ()

    @property
    def seen(self) -> SeenShards:
        """The real shards that its images are of."""
        return SeenShards(trained_on=self.trained_on, made_from=(self.trained_on,))


@dataclass(frozen=True)
class SinganRun:
    """A completed run of train_singan."""

    folder: AnyPath
    config: TrainSinganConfig
    report: SinganReport


def open_singan_run(path: str, field: str) -> SinganRun:
    """Returns a run that a setting names.

    Raises:
      CommandError: if the run is not complete, or not of train_singan.
    """
    folder = require_run(path, field, COMMAND)
    return SinganRun(folder, read_config(folder, TrainSinganConfig), read_report(folder, SinganReport))


def digest_of_all(images: Sequence[SingleImage]) -> str:
    """Returns the SHA-256 that stands for the generators of all images."""
    return hashlib.sha256("".join(image.sha256 for image in images).encode()).hexdigest()


def steps_of_images(config: SinganConfig, count: int) -> int:
    """Returns the steps of so many images, all scales together."""
    return count * config.steps_per_scale * len(pyramid_sizes(config.image_size, config.min_size, config.scale_factor))


def seconds_per_step_of_images(folder: Path) -> float | None:
    """Returns the seconds of a step in a run that trained one image at a time: between its first image and its last.

    Compiling, which the first one waits for, does not count. None for a run of one image.
    """
    times = sorted(file.stat().st_mtime for file in (folder / GENERATORS_FOLDER).glob("*.json"))
    steps = steps_of_images(read_config(folder, TrainSinganConfig), len(times) - 1)
    return (times[-1] - times[0]) / steps if steps else None


def write_weights(path: AnyPath, image: np.ndarray, weights: Sequence[np.ndarray]) -> str:
    """Writes an image `[H, W, C]` and its weights atomically; returns the SHA-256 of the file."""
    buffer = io.BytesIO()
    np.savez(buffer, *weights, **{_IMAGE: image})
    write_atomically(path, buffer.getvalue())
    return hashlib.sha256(buffer.getvalue()).hexdigest()


def read_weights(folder: AnyPath, image: SingleImage) -> list[np.ndarray]:
    """Returns the weights of an image.

    Raises:
      CommandError: if the file is not that of the report.
    """
    with _arrays(folder, image) as arrays:
        return [arrays[f"arr_{number}"] for number in range(len(arrays) - 1)]


def read_real_images(run: SinganRun) -> Sources:
    """Returns the images that a run was trained on, without their masks."""
    images = []
    for each in run.report.images:
        with _arrays(run.folder, each) as arrays:
            images.append(arrays[_IMAGE][..., :COLOURS])
    return Sources(
        names=np.array([each.name for each in run.report.images]),
        images=np.stack(images),
        masks=None,
        labels=np.array([each.label for each in run.report.images]),
    )


@contextmanager
def _arrays(folder: AnyPath, image: SingleImage) -> Iterator[Mapping[str, np.ndarray]]:
    """Gives what the file of an image holds, once it was seen to be that of the report."""
    with file_of_report(folder / image.file, image.sha256) as file, np.load(file, allow_pickle=False) as arrays:
        yield arrays
