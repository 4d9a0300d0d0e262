"""What translators are compared on: images of two classes with masks, drawn or read from shards."""

from dataclasses import dataclass

import numpy as np

from benchmarks.phantoms import draw_pairs, draw_phantoms
from melgan.sources import Sources
from pipelines.artefacts.shards import open_shards, split_fold
from pipelines.synthesis.sources import read_sources
from tfrecords_tools.foundation.metadata import MASKS

_TRAINED, _HELD_OUT = 800, 200  # drawn images: of both classes together, and of each
_SEEDS = {"trained": 0, "pairs": 1, "targets": 2}


@dataclass(frozen=True)
class Domains:
    """Images of the class that is translated and of that which it is translated to.

    Attributes:
      sources, targets: those trained on.
      held_out_sources, held_out_targets: those measured on.
      truths: what the held-out sources would be in the other class, uint8 `[N, H, W, 3]`, where it is known.
    """

    sources: Sources
    targets: Sources
    held_out_sources: Sources
    held_out_targets: Sources
    truths: np.ndarray | None


def drawn_domains(image_size: int) -> Domains:
    """Returns phantom lesions, of each class as many, of which the true counterfactuals are known."""
    trained = draw_phantoms(_TRAINED, image_size, _SEEDS["trained"])
    benign, counterfactuals = draw_pairs(_HELD_OUT, image_size, _SEEDS["pairs"])
    others = draw_phantoms(2 * _HELD_OUT, image_size, _SEEDS["targets"])
    return Domains(
        sources=trained.take(np.flatnonzero(trained.labels == 0)),
        targets=trained.take(np.flatnonzero(trained.labels == 1)),
        held_out_sources=benign,
        held_out_targets=others.take(np.flatnonzero(others.labels == 1)),
        truths=counterfactuals.images,
    )


def domains_of_shards(path: str, image_size: int, *, num_folds: int, fold: int) -> Domains:
    """Returns the images with masks in shards, of the rarest class and of all others, which count as one.

    Arguments:
      path: of the shards.
      image_size: side of the images in pixels.
      num_folds: of the training shards.
      fold: that is held out.

    Raises:
      CommandError: if no image of a class has a mask.
    """
    shards = open_shards(path, "shards")
    rarest = int(np.argmin(shards.manifest.class_counts()))
    others = [label for label in range(len(shards.classes)) if label != rarest]
    training, held_out = split_fold(shards.manifest, num_folds, fold)
    read = [
        read_sources(shards, entries, labels, image_size, outlined_by=MASKS)[0]
        for entries in (training, held_out)
        for labels in (others, [rarest])
    ]
    labelled = [
        Sources(each.names, each.images, each.masks, np.full(len(each), number % 2, np.int32))
        for number, each in enumerate(read)
    ]
    return Domains(*labelled, truths=None)


def joined(first: Sources, second: Sources) -> Sources:
    """Returns all images of both, which have masks."""
    return Sources(
        np.concatenate([first.names, second.names]),
        np.concatenate([first.images, second.images]),
        np.concatenate([first.masks, second.masks]),
        np.concatenate([first.labels, second.labels]),
    )
