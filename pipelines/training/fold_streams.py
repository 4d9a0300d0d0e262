"""The streams that the classifier of a fold learns from, and what it must know of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from melgan.classifiers.metadata import hiding_probabilities
from melgan.classifiers.trainer import StreamFacts
from pipelines.artefacts.classifier_run import TrainClassifierConfig
from pipelines.training.classifier_inputs import ClassifierInputs
from pipelines.training.fold_images import FoldImages, Images
from tfrecords_tools.foundation.errors import CommandError
from tfrecords_tools.streams import Stream


@dataclass(frozen=True)
class FoldStreams:
    """Streams, the first of them of real images with labels, and what is known of all.

    `shown` and `real` are the fractions of the classes `[C]` among the labelled images that are shown, and among the
    real ones of these.
    """

    streams: tuple[Stream, ...]
    facts: StreamFacts
    shown: np.ndarray
    real: np.ndarray


def open_streams(
    config: TrainClassifierConfig,
    inputs: ClassifierInputs,
    fold: int,
    own_batch_size: int,
    thought: pd.DataFrame | None,
) -> FoldStreams:
    """Returns the streams of a fold.

    Arguments:
      config: what is asked for.
      inputs: of all folds.
      fold: its number.
      own_batch_size: images of a replica's batch.
      thought: see `FoldImages.synthetic`.

    Raises:
      CommandError: if there are none of some images that were asked for.
    """
    images, synthetic = FoldImages(config, inputs.shards, inputs.classes, fold), inputs.synthetic[fold]
    return combine_streams(
        config,
        own_batch_size,
        real=images.labelled(),
        synthetic=images.synthetic(synthetic, thought) if synthetic else None,
        unlabelled=[images.unlabelled(which) for which in inputs.unlabelled[fold]],
    )


def combine_streams(
    config: TrainClassifierConfig,
    own_batch_size: int,
    *,
    real: Images,
    synthetic: Images | None,
    unlabelled: Sequence[Images],
) -> FoldStreams:
    """Returns the streams of some images.

    Of the labelled images in every batch, `synthetic_fraction` are synthetic; of all, `unlabelled_fraction` are
    unlabelled, in whole numbers of each stream.

    Arguments:
      config: what is asked for.
      own_batch_size: images of a replica's batch.
      real, synthetic, unlabelled: the images.

    Raises:
      CommandError: if a replica's batch is too small for as many streams.
    """
    counts = _divide(config.num_unlabelled(own_batch_size), [images.count for images in unlabelled])
    is_labelled = 1 - sum(counts) / own_batch_size
    synthetic_fraction = 0.0 if synthetic is None else config.synthetic_fraction
    shares = [1 - synthetic_fraction, synthetic_fraction]
    labelled = [real] if synthetic is None else [real, synthetic]
    num_views = config.semi_supervision.num_guesses if unlabelled else 1
    streams = [
        Stream(shards=images.shards, annotations=images.annotations, fraction=is_labelled * share)
        for images, share in zip(labelled, shares, strict=False)
    ] + [
        Stream(
            shards=images.shards,
            annotations=images.annotations,
            fraction=count / own_batch_size,
            is_labelled=False,
            num_views=num_views,
        )
        for images, count in zip(unlabelled, counts, strict=True)
    ]
    shown = sum(share * images.mix for images, share in zip(labelled, shares, strict=False))
    facts = StreamFacts(
        hiding=_hiding(labelled, unlabelled, shares, shown, config.metadata_dropout),
        priors=np.stack([images.mix for images in (*labelled, *unlabelled)]),
        is_own_metadata=np.array([images.is_own_metadata for images in (*labelled, *unlabelled)]),
    )
    return FoldStreams(tuple(streams), facts, shown, real.mix)


def _divide(whole: int, counts: Sequence[int]) -> list[int]:
    """Returns whole numbers, 1 or greater, that add up to `whole` and are nearly proportional to counts."""
    if len(counts) > whole:
        raise CommandError(
            f"--unlabelled: {len(counts)} sets, and only {whole} unlabelled images in the batch of a replica; give "
            "fewer sets, or a larger --batch_size or --unlabelled_fraction"
        )
    wanted = np.asarray(counts) * whole / max(sum(counts), 1)
    found = np.maximum(np.floor(wanted).astype(int), 1)
    while found.size and found.sum() != whole:
        step = 1 if found.sum() < whole else -1
        can_change = (found > 1) | (step > 0)
        found[np.argmax(np.where(can_change, step * (wanted - found), -np.inf))] += step
    return found.tolist()


def _hiding(
    labelled: Sequence[Images],
    unlabelled: Sequence[Images],
    shares: Sequence[float],
    shown: np.ndarray,
    metadata_dropout: float,
) -> np.ndarray:
    """Returns how often metadata is hidden `[S, C]`: so often that its absence tells no class among labelled images."""
    without = sum(
        (share * images.mix for images, share in zip(labelled, shares, strict=False) if not images.has_metadata),
        np.zeros_like(shown),
    )
    of_labelled = hiding_probabilities(shown, without, metadata_dropout)
    rows = [of_labelled if images.has_metadata else np.ones_like(shown) for images in labelled]
    for images in unlabelled:  # of unknown classes
        rows.append(np.full_like(shown, of_labelled.max() if images.has_metadata else 1.0))
    return np.stack(rows)
