"""Provenance: the real shards that something has seen, and the generator of a synthetic set."""

from dataclasses import dataclass

from tfrecords_tools.foundation.documents import stored


@dataclass(frozen=True, kw_only=True)
class BoxesOrigin:
    """The origin of the boxes of a set: a file with its SHA-256, `auto`, or the generator."""

    origin: str = stored("from")
    sha256: str = stored(default="", omit_default=True)


@dataclass(frozen=True, kw_only=True)
class ShardsUsed:
    """Some shards of a set, described so that it can be told later whether an image was among them.

    Shards of equal index hold the same images wherever the fingerprints of the folds are equal.
    """

    source_fingerprint: str = ""
    shards_digest: str = ""
    folds_fingerprint: str
    shards: tuple[str, ...]
    indices: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class SeenShards:
    """The real shards that something has seen in its training.

    Attributes:
      trained_on: the shards of its training.
      selected_on: the shards by whose metrics it was selected among others of its training; None where it was not.
      ancestors: the shards of the trainings whose weights it started from, the nearest first.
      unlabelled: other shards that it learned from without their labels.
    """

    trained_on: ShardsUsed
    selected_on: ShardsUsed | None = None
    ancestors: tuple[ShardsUsed, ...] = ()
    unlabelled: tuple[ShardsUsed, ...] = ()

    @property
    def learned_from(self) -> tuple[ShardsUsed, ...]:
        """All that its weights hold something of, its own shards first: the ancestors of what starts from them."""
        return (self.trained_on, *self.unlabelled, *self.ancestors)


@dataclass(frozen=True, kw_only=True)
class SyntheticProvenance:
    """The generator of a set of synthetic images.

    Attributes:
      generator: SHA-256 of its weights.
      gan: folder of its run.
      method: its method.
      seed: of the images.
      boxes: where their boxes come from; None without boxes.
      rejected_copies: images that were rejected as suspected copies; None where copies were not looked for.
      trained_on, selected_on, ancestors: see `SeenShards`.
    """

    generator: str
    gan: str
    method: str
    seed: int
    boxes: BoxesOrigin | None = None
    rejected_copies: int | None = None
    trained_on: ShardsUsed
    selected_on: ShardsUsed | None = None
    ancestors: tuple[ShardsUsed, ...] = ()

    @property
    def seen(self) -> SeenShards:
        """The real shards that its generator has seen."""
        return SeenShards(trained_on=self.trained_on, selected_on=self.selected_on, ancestors=self.ancestors)
