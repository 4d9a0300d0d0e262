"""An opened sampler: what draws the images of a completed run, and what is recorded of them."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from melgan.sampling import Requests, Sampler
from melgan.sources import Sources
from pipelines.contract.inputs import Input
from pipelines.contract.workdir import folder_input
from tfrecords_tools.foundation.files import AnyPath
from tfrecords_tools.provenance import RECORDED, SeenShards


@dataclass(frozen=True, kw_only=True)
class OpenedSampler:
    """The sampler of a completed run, and what is recorded of its images.

    Attributes:
      sampler: draws them.
      sha256: of its weights.
      method: that trained it.
      seed: of its images.
      seen: the real shards that it has seen, and that its images are made from.
      seen_is: how that is known, see `SyntheticProvenance`.
      class_counts: training images of each class.
      shards: the folder of the shards of its training, as its run names it.
      drawn_with: settings of the drawing that are not the defaults, by name.
      sources: the real images that others are made from; None if none are.
      sources_folder: of the shards that they were read from; None if none were.
      shard_of: index of the real shard of each source, by name.
      own_shard_of: the index of the real shard of each image that is asked for, where what draws an image has seen
        nothing but that; None for all others.
    """

    sampler: Sampler
    sha256: str
    method: str
    seed: int
    seen: SeenShards
    class_counts: tuple[int, ...]
    shards: str
    seen_is: str = RECORDED
    drawn_with: Mapping[str, str] = field(default_factory=dict)
    sources: Sources | None = None
    sources_folder: AnyPath | None = None
    shard_of: Mapping[str, int] = field(default_factory=dict)
    own_shard_of: Callable[[Requests], np.ndarray] | None = None

    @property
    def inputs(self) -> dict[str, Input]:
        """The folder that its sources were read from, as an input of a command."""
        return {} if self.sources_folder is None else {"sources": folder_input(str(self.sources_folder))}

    @property
    def identity(self) -> str:
        """A digest that is equal for equal images: of the weights and, if images depend on more, of that too."""
        if not self.drawn_with and self.sources is None:
            return self.sha256
        names = [] if self.sources is None else self.sources.names.tolist()
        return hashlib.sha256(json.dumps([self.sha256, dict(self.drawn_with), names]).encode()).hexdigest()

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of its classes."""
        return self.sampler.classes
