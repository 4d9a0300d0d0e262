"""How new images are stored before they are predicted: as the images that a run learned from."""

from dataclasses import dataclass

from pipelines.artefacts.classifier_run import ClassifierRun
from pipelines.artefacts.shards import Shards
from pipelines.artefacts.training_shards import training_shards
from tfrecords_tools.foundation.errors import CommandError, DataError
from tfrecords_tools.foundation.settings import Settings, require, setting
from tfrecords_tools.images import FITS, JPEG_QUALITY, Encoding
from tfrecords_tools.manifest import Manifest

_AS_SHARDS = "default: as the shards of the run"


@dataclass(frozen=True, kw_only=True)
class StoredAs(Settings):
    """The way of storing images; what is 0 or empty is as in the shards of the run."""

    image_size: int = setting(0, f"side of the stored images in pixels ({_AS_SHARDS})")
    fit: str = setting("", f"how images that are not square become square: {', '.join(FITS)} ({_AS_SHARDS})")
    quality: int = setting(0, f"JPEG quality, 1 to 100 ({_AS_SHARDS})")

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.image_size == 0 or 8 <= self.image_size <= 4096, "image_size", self.image_size, "from 8 to 4096")
        require(self.fit in ("", *FITS), "fit", self.fit, f"one of {', '.join(FITS)}")
        require(0 <= self.quality <= 100, "quality", self.quality, "from 1 to 100")

    def is_given(self) -> bool:
        """Returns whether any of it is given."""
        return bool(self.image_size or self.fit or self.quality)


def encoding_of(run: ClassifierRun, wanted: StoredAs) -> Encoding:
    """Returns how images are stored for a run: as is wanted, and else as its shards.

    Raises:
      CommandError: if not all of it is given, and the shards are not there.
    """
    if wanted.image_size and wanted.fit and wanted.quality:
        return Encoding(image_size=wanted.image_size, fit=wanted.fit, quality=wanted.quality)
    try:
        own = _stored_as(training_shards(run).manifest)
    except DataError as error:
        raise CommandError(
            f"{run.folder}: {error}, so how its images were stored is unknown; put them back, or give --image_size, "
            "--fit and --quality as they were"
        ) from error
    return Encoding(
        image_size=wanted.image_size or own.image_size, fit=wanted.fit or own.fit, quality=wanted.quality or own.quality
    )


def describe_other_storing(run: ClassifierRun, shards: Shards) -> str:
    """Returns a sentence on shards whose images are stored otherwise than those of a run; "" if that is not known."""
    try:
        own = _stored_as(training_shards(run).manifest)
    except DataError:
        return ""  # no reason not to predict
    theirs = _stored_as(shards.manifest)
    if own == theirs:
        return ""
    return (
        f"{shards.folder}: its images are stored as {_text(theirs)}, those that {run.folder} learned from as "
        f"{_text(own)}; predictions may be worse than its metrics say"
    )


def _text(encoding: Encoding) -> str:
    return f"{encoding.image_size} px, {encoding.fit}, quality {encoding.quality}"


def _stored_as(manifest: Manifest) -> Encoding:
    """Returns how the images of some shards are stored."""
    encoder = manifest.encoder
    return Encoding(
        image_size=manifest.image_size,
        fit=encoder.get("fit", "crop"),
        quality=encoder.get("quality", JPEG_QUALITY),
    )
