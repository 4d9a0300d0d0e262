"""Twins: real images that are in a training with their own class and, in an image made from them, with another.

A classifier that sees a patient's picture both ways learns what the translation did to it, right or wrong.
"""

from collections.abc import Collection, Sequence

from pipelines.artefacts.shards import Shards
from tfrecords_tools.example import sources_of
from tfrecords_tools.foundation.files import as_path
from tfrecords_tools.manifest import ShardEntry
from tfrecords_tools.records import read_records


def count_twins(
    real: Shards, training: Sequence[ShardEntry], synthetic: Sequence[Shards], learned: Collection[str] | None = None
) -> int:
    """Returns of how many real images one of another class was made.

    Arguments:
      real: the real images.
      training: the shards of these that are learned from.
      synthetic: what is learned from beside; sets that were drawn from noise are not read.
      learned: names of the images that are learned from, real and synthetic; None: all of these shards.
    """
    made = {
        (source, label)
        for opened in synthetic
        if any(shard.made_from for shard in opened.manifest.shards)
        for path in opened.read(opened.manifest.shards).paths
        for name, label, sources in map(sources_of, read_records(as_path(path)))
        if learned is None or name in learned
        for source in sources
    }
    if not made:
        return 0
    labels = real.images(training)["target"].to_dict()
    return len(
        {name for name, label in made if labels.get(name, label) != label and (learned is None or name in learned)}
    )
