"""A generator of a study: what is asked of it, and where its commands write."""

from dataclasses import dataclass
from pathlib import Path

from pipelines.contract.workdir import is_completed
from tfrecords_tools.foundation.texts import as_file_name


@dataclass(frozen=True)
class PlannedGenerator:
    """A generator of a study: its training, images and evaluation.

    Attributes:
      method: in GENERATORS.
      seed: of its training and images.
      fold: of `num_folds`, that it does not see.
      label: the class of its images.
      count: images of the class to draw.
      class_counts: training images of each class.
      gan: the run of its training.
      folder: of its images and its evaluation.
      features: of its evaluation.
      image_size, quality: sides in pixels and JPEG quality of its images, those of the real ones.
    """

    method: str
    seed: int
    fold: int
    num_folds: int
    label: str
    count: int
    class_counts: tuple[int, ...]
    gan: Path
    folder: Path
    features: str
    image_size: int
    quality: int

    @property
    def name(self) -> str:
        """What it is called in messages."""
        return f"{self.method}, seed {self.seed}, fold {self.fold}"

    @property
    def synthetic(self) -> Path:
        """The synthetic shards."""
        return self.folder / f"synthetic_{as_file_name(self.label)}_{self.count}"

    @property
    def evaluation(self) -> Path:
        """The run of evaluate_gan."""
        return self.folder / f"evaluation_{self.features}"

    @property
    def is_complete(self) -> bool:
        """Whether all three are complete."""
        return all(map(is_completed, (self.gan, self.synthetic, self.evaluation)))

    @property
    def log(self) -> Path:
        """What its commands print."""
        return self.folder / "log.txt"
