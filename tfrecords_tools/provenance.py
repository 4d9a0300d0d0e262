"""Provenance: the real shards that something has seen, and the generator of a synthetic set."""

from dataclasses import dataclass

from tfrecords_tools.foundation.documents import stored

# How it is known what a generator has seen: by its run, by a user's word, or not at all.
RECORDED, DECLARED, NOT_KNOWN = "recorded", "declared", "unknown"


@dataclass(frozen=True, kw_only=True)
class LesionsOrigin:
    """The origin of the boxes or masks of lesions in a set: a file or folder with its SHA-256, or a word.

    `auto` stands for what was found in the images, `true` for what their source drew, `masks` for boxes of the masks
    and `generator` for what it was asked to draw.
    """

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
      made_from: the shards of the real images that its own images were made from.
    """

    trained_on: ShardsUsed
    selected_on: ShardsUsed | None = None
    ancestors: tuple[ShardsUsed, ...] = ()
    unlabelled: tuple[ShardsUsed, ...] = ()
    made_from: tuple[ShardsUsed, ...] = ()

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
      trained_on, selected_on, ancestors, made_from: see `SeenShards`.
      drawn_with: settings of the drawing that are not the defaults, such as edits of masks; None without any.
      each_from_its_own_shard: whether whatever made the images of a shard has seen the real shards of its entry's
        `made_from` alone, and not all that is listed here.
      near_source: fraction of the images that lie nearer to the real image they show most of than nineteen in twenty
        of these real images lie to any other; None where none or only one was made from.
      seen_is: how it is known what the generator has seen, `RECORDED`, `DECLARED` or `NOT_KNOWN`; then `trained_on`
        are all shards, to be on the safe side.
    """

    generator: str
    gan: str
    method: str
    seed: int
    boxes: LesionsOrigin | None = None
    rejected_copies: int | None = None
    trained_on: ShardsUsed
    selected_on: ShardsUsed | None = None
    ancestors: tuple[ShardsUsed, ...] = ()
    made_from: tuple[ShardsUsed, ...] = stored(default=(), omit_default=True)
    drawn_with: dict[str, str] | None = stored(default=None, omit_default=True)
    each_from_its_own_shard: bool = stored(default=False, omit_default=True)
    near_source: float | None = stored(default=None, omit_default=True)
    seen_is: str = stored(default=RECORDED, omit_default=True)

    @property
    def seen(self) -> SeenShards:
        """The real shards that its generator has seen, and that its images were made from."""
        return SeenShards(
            trained_on=self.trained_on,
            selected_on=self.selected_on,
            ancestors=self.ancestors,
            made_from=self.made_from,
        )
