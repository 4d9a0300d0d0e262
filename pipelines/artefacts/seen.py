"""Leaks: has something that was trained seen some real shards? `SeenShards` is asked, and answered here."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from absl import logging

from pipelines.artefacts.shards import Shards
from tfrecords_tools.foundation.errors import CommandError
from tfrecords_tools.foundation.files import AnyPath
from tfrecords_tools.manifest import Manifest, ShardEntry
from tfrecords_tools.provenance import DECLARED, NOT_KNOWN, RECORDED, SeenShards, ShardsUsed

_TRAIN_APART = "use one trained with the same --num_folds and --fold"
_GIVE_OTHERS = "make its images from training images, as synthesize does unless it is told --sources"
# How it is known what a generator has seen, in words.
SEEN_IS = {
    RECORDED: "",
    DECLARED: "What the generator has seen is what was declared when its images were adopted.",
    NOT_KNOWN: "What the generator has seen is unknown, so it may have seen any image.",
}


class Certainty(Enum):
    """The certainty that images were seen."""

    SEEN = "seen"  # the shards that hold them
    POSSIBLE = "possible"  # the same images in other folds, so perhaps these
    UNKNOWN = "unknown"  # other images, perhaps of the same patients


@dataclass(frozen=True)
class Sighting:
    """One way in which something may have seen shards: how, in words, which of them, and what to do about it."""

    certainty: Certainty
    how: str
    shards: tuple[str, ...]
    remedy: str


@dataclass(frozen=True)
class RealShards:
    """Real shards: those that something was trained on or given images of, and those that it has not seen."""

    shards: Shards
    seen: tuple[ShardEntry, ...]
    held_out: tuple[ShardEntry, ...]


def sightings(seen: SeenShards, manifest: Manifest, held_out: Sequence[ShardEntry]) -> Iterator[Sighting]:
    """Yields every way in which something that was trained may have seen shards that are held out.

    Shards are compared by index, which stands for the same images wherever the fingerprint of the folds is equal.

    Arguments:
      seen: what it has seen.
      manifest: of the set that `held_out` are some of.
      held_out: the shards.
    """
    uses = [("was trained on", seen.trained_on, _TRAIN_APART)]
    if seen.selected_on is not None and seen.selected_on.indices != seen.trained_on.indices:
        remedy = "give --checkpoint=last to synthesize, or train the generator with --eval_by=training"
        uses.append(("was selected by its metrics on", seen.selected_on, remedy))
    started_from = "started from the weights of another, which was trained on"
    uses += [(started_from, ancestor, _TRAIN_APART) for ancestor in seen.ancestors]
    uses += [("learned, without their labels, from", used, _TRAIN_APART) for used in seen.unlabelled]
    uses += [("was given images of", used, _GIVE_OTHERS) for used in seen.made_from]
    for how, used, remedy in uses:
        certainty, shards = _compare(used, manifest, held_out)
        if shards:
            yield Sighting(certainty, how, shards, remedy)


def require_unseen(seen: SeenShards, shards: Shards, held_out: Sequence[ShardEntry], subject: str) -> None:
    """Raises CommandError if something that was trained has, or may have, seen shards that are held out.

    A set of other images passes with a warning, because fingerprints do not tell whether two sets overlap.

    Arguments:
      seen: what it has seen.
      shards: the set that `held_out` are some of.
      held_out: shards that must not have been seen.
      subject: of the message.
    """
    for sighting in sightings(seen, shards.manifest, held_out):
        if sighting.certainty is Certainty.SEEN:
            names = ", ".join(sighting.shards)
            raise CommandError(f"{subject} {sighting.how} {names}, which this fold holds out; {sighting.remedy}")
        if sighting.certainty is Certainty.POSSIBLE:
            raise CommandError(
                f"{subject} {sighting.how} the images of {shards.folder} in other folds, perhaps those that this fold "
                f"holds out; {sighting.remedy}"
            )
        logging.warning(
            "%s %s images that are not in %s; whether they show patients whom this fold holds out cannot be told "
            "from the shards",
            *(subject, sighting.how, shards.folder),
        )


def without_leaks(
    synthetic: Shards, shards: Shards, validation: Sequence[ShardEntry], *, trust_unknown: bool = False
) -> Shards:
    """Returns the synthetic shards for whose images nothing has seen an image that validates a classifier.

    These are all of a set or none, but where each shard was made from real shards of its own. What made them must have
    been trained on shards of the same folds, or what it has seen is unknown.

    Arguments:
      synthetic: a set.
      shards: the real ones.
      validation: shards of these that validate.
      trust_unknown: whether a generator of which it is not known what it has seen is taken to have seen none of them.

    Raises:
      CommandError: if there are none, naming what was seen.
    """
    require_same_classes(f"{synthetic.folder}", synthetic.classes, shards.folder, shards.classes)
    if synthetic.manifest.provenance.seen_is == NOT_KNOWN:
        _require_trust(synthetic, trust_unknown)
        return synthetic
    seen = synthetic.manifest.provenance.seen
    if seen.trained_on.folds_fingerprint != shards.manifest.folds_fingerprint:
        if not seen.trained_on.shards:
            raise CommandError(
                f"{synthetic.folder}: its generator was declared to have seen none of other images than those of "
                f"{shards.folder}; adopt its images with these --shards"
            )
        raise CommandError(
            f"{synthetic.folder}: its generator was trained on shards of other folds than {shards.folder}, so it may "
            "have seen the validation images; train it on these shards, or on shards made with the same folds"
        )
    if synthetic.manifest.provenance.each_from_its_own_shard:
        return _made_from_others(synthetic, validation)
    names = ", ".join(shard.file for shard in synthetic.manifest.shards)
    require_unseen(seen, shards, validation, f"{synthetic.folder} ({names}) leaks: its generator")
    return synthetic


def _require_trust(synthetic: Shards, trust_unknown: bool) -> None:
    """Raises CommandError unless a user trusts a generator of which it is not known what it has seen."""
    if not trust_unknown:
        raise CommandError(
            f"{synthetic.folder}: what the generator {synthetic.manifest.provenance.method} has seen is unknown, "
            "perhaps the images that validate; adopt its images with another --seen if you know, or trust it with "
            "--trust_unknown_generators"
        )
    logging.warning(
        "%s: what the generator has seen is unknown; if it was trained on images that validate, metrics are too good",
        synthetic.folder,
    )


def _made_from_others(synthetic: Shards, validation: Sequence[ShardEntry]) -> Shards:
    """Returns the synthetic shards that were made from other real shards than those that validate."""
    validated = {shard.index for shard in validation}
    clean = [shard for shard in synthetic.manifest.shards if validated.isdisjoint(shard.made_from)]
    if not clean:
        raise CommandError(
            f"{synthetic.folder} leaks: every shard of it was made from images that this fold holds out; make images "
            "from those of other shards too"
        )
    return synthetic.only(clean)


def require_same_classes(subject: str, classes: Sequence[str], folder: AnyPath, wanted: Sequence[str]) -> None:
    """Raises CommandError unless something has the classes wanted, which are those of a folder."""
    if tuple(classes) != tuple(wanted):
        raise CommandError(
            f"{subject}: has the classes {', '.join(classes)}, {folder} has {', '.join(wanted)}; give one of the same "
            "classes"
        )


def split_seen(seen: SeenShards, shards: Shards, field: str) -> RealShards:
    """Returns shards as those that a generator was trained on, or given images of, and those that it was not.

    Arguments:
      seen: what it has seen.
      shards: the real ones.
      field: the setting that names the shards, for the message.

    Raises:
      CommandError: if the generator was trained on other folds.
    """
    trained_on = seen.trained_on
    if trained_on.folds_fingerprint != shards.manifest.folds_fingerprint:
        raise CommandError(
            f"--{field}={shards.folder}: the generator was trained on shards of other folds, so which of these images "
            "it has seen is unknown; give the shards that it was trained on, or others made with the same folds"
        )
    every = shards.manifest.split("train")
    of_same_folds = [used for used in seen.made_from if used.folds_fingerprint == trained_on.folds_fingerprint]
    indices = {index for used in (trained_on, *of_same_folds) for index in used.indices}
    used = tuple(shard for shard in every if shard.index in indices)
    return RealShards(shards, used, tuple(shard for shard in every if shard not in used))


def selected_by(seen: SeenShards, shards: Shards, held_out: Sequence[ShardEntry]) -> tuple[str, ...]:
    """Returns the held-out shards by whose metrics a generator was selected among others of its training."""
    if seen.selected_on is None:
        return ()
    certainty, names = _compare(seen.selected_on, shards.manifest, held_out)
    return names if certainty is Certainty.SEEN else ()


def describe_ancestors(seen: SeenShards) -> str:
    """Returns a sentence on what the generators saw whose weights a generator started from; empty without any."""
    if not seen.ancestors:
        return ""
    fingerprint = seen.trained_on.folds_fingerprint
    of_same_folds = [used for used in seen.ancestors if used.folds_fingerprint == fingerprint]
    indices = sorted({index for used in of_same_folds for index in used.indices})
    others = {used.folds_fingerprint[:12]: len(used.shards) for used in seen.ancestors if used not in of_same_folds}
    parts = [f"shards {', '.join(map(str, indices))} of the same folds"] if indices else []
    parts += [f"{count} shards of other folds ({name})" for name, count in others.items()]
    warning = "; whether the latter show patients who are validated on cannot be told from the shards" if others else ""
    return f"It started from the weights of a generator that saw {' and '.join(parts)}{warning}."


def _compare(used: ShardsUsed, manifest: Manifest, held_out: Sequence[ShardEntry]) -> tuple[Certainty, tuple[str, ...]]:
    """Returns how certain it is that held-out shards are among those that were used, and their names if they may be."""
    every = tuple(shard.file for shard in held_out)
    if used.folds_fingerprint == manifest.folds_fingerprint:
        return Certainty.SEEN, tuple(shard.file for shard in held_out if shard.index in used.indices)
    if used.source_fingerprint == manifest.source_fingerprint:
        return Certainty.POSSIBLE, every
    return Certainty.UNKNOWN, every
