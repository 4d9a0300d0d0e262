"""Which real shards a generator has seen, and the refusal of leaks."""

from collections.abc import Sequence

from absl import logging

from pipelines.artefacts.shards import Shards
from tfrecords_tools.foundation.errors import CommandError
from tfrecords_tools.manifest import ShardEntry


def refuse_leaks(synthetic: Shards, shards: Shards, validation: tuple[ShardEntry, ...]) -> None:
    """Raises CommandError if the generator may have seen a validation image, or knows other classes.

    The shards that it was trained on must be of the same folds. What earlier generators were trained on, whose
    weights it started from, is held to `refuse_seen`.
    """
    if synthetic.manifest.classes != shards.manifest.classes:
        raise CommandError(
            f"{synthetic.folder}: its classes are {', '.join(synthetic.manifest.classes)}, "
            f"those of {shards.folder} are {', '.join(shards.manifest.classes)}"
        )
    trained_on = synthetic.manifest.provenance["trained_on"]
    if trained_on["folds_fingerprint"] != shards.manifest.folds_fingerprint:
        raise CommandError(
            f"{synthetic.folder}: its generator was trained on shards of other folds than {shards.folder}, so it may "
            "have seen the validation images; train it on these shards, or on shards made with the same folds"
        )
    synthetic_names = ", ".join(shard.file for shard in synthetic.manifest.shards)
    leaks = f"{synthetic.folder} ({synthetic_names}) leaks: its generator"
    refuse_seen([trained_on], shards, validation, leaks)
    selected_on = synthetic.manifest.provenance.get("selected_on")
    if selected_on is not None and selected_on["indices"] != trained_on["indices"]:
        remedy = "give --checkpoint=last to synthesize, or train the generator with --eval_by=training"
        refuse_seen([selected_on], shards, validation, leaks, use="was chosen by its figures on", remedy=remedy)
    earlier = synthetic.manifest.provenance.get("ancestors", [])
    refuse_seen(earlier, shards, validation, f"{leaks} started from the weights of another, which")


def split_seen(shards: Shards, trained_on: dict, field: str) -> tuple[tuple[ShardEntry, ...], tuple[ShardEntry, ...]]:
    """Returns the shards that a generator was trained on, and those that it was not.

    Arguments:
      shards: the real ones.
      trained_on: of the generator's report.
      field: the setting that names the shards, for the message.

    Raises:
      CommandError: if the generator was trained on other folds.
    """
    if trained_on["folds_fingerprint"] != shards.manifest.folds_fingerprint:
        raise CommandError(
            f"--{field}={shards.folder}: the generator was trained on shards of other folds, so which of these images "
            "it has seen is unknown; give the shards that it was trained on, or others made with the same folds"
        )
    every, indices = shards.manifest.split("train"), set(trained_on["indices"])
    seen = tuple(shard for shard in every if shard.index in indices)
    return seen, tuple(shard for shard in every if shard.index not in indices)


def refuse_seen(
    training_sets: Sequence[dict],
    shards: Shards,
    held_out: tuple[ShardEntry, ...],
    generator: str,
    *,
    use: str = "was trained on",
    remedy: str = "use a generator trained with the same --num_folds and --fold",
) -> None:
    """Raises CommandError if one of the sets of shards that a generator was trained on has held-out images.

    Shards are compared by index, which stands for the same images wherever the fingerprint of the folds is equal.
    Where the same images are in other folds, any shard may hold them. A set of other images passes with a warning,
    because fingerprints do not tell whether two sets overlap.

    Arguments:
      training_sets: the `trained_on` of reports.
      shards: those that `held_out` are some of.
      held_out: shards that must not have been seen.
      generator: the subject of the message.
      use: what was done with the sets, for the message.
      remedy: what to do instead.
    """
    manifest = shards.manifest
    for trained_on in training_sets:
        if trained_on["folds_fingerprint"] == manifest.folds_fingerprint:
            seen = [shard.file for shard in held_out if shard.index in trained_on["indices"]]
            if seen:
                raise CommandError(f"{generator} {use} {', '.join(seen)}, which this fold holds out; {remedy}")
        elif held_out and trained_on.get("source_fingerprint") == manifest.source_fingerprint:
            raise CommandError(
                f"{generator} {use} the images of {shards.folder} in other folds, perhaps those that this fold holds "
                f"out; {remedy}"
            )
        elif held_out:
            logging.warning(
                "%s %s other images than those of %s; whether they show patients whom this fold holds out "
                "cannot be told from the shards",
                *(generator, use, shards.folder),
            )
