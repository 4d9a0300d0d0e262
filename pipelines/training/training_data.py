"""The real images of a generator's training."""

from dataclasses import dataclass
from functools import cached_property

from pipelines.artefacts.shards import Shards
from tfrecords_tools.manifest import ShardEntry
from tfrecords_tools.streams import ShardSet


@dataclass(frozen=True)
class TrainingData:
    """The shards that a generator is trained on, and the shards of its fold, which it never reads."""

    shards: Shards
    training: tuple[ShardEntry, ...]
    held_out: tuple[ShardEntry, ...]

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes."""
        return self.shards.classes

    @cached_property
    def class_counts(self) -> tuple[int, ...]:
        """Training images of each class."""
        return self.shards.class_counts(self.training)

    @cached_property
    def images(self) -> ShardSet:
        """The training images, to read."""
        return self.shards.read(self.training)
