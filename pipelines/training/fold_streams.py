"""The streams that the classifier of a fold learns from, and what it must know of them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import tensorflow as tf

from melgan.classifiers.metadata import hiding_probabilities
from melgan.classifiers.trainer import StreamFacts
from melgan.training.distribution import per_replica_batch_size
from pipelines.artefacts.classifier_run import TrainClassifierConfig
from pipelines.training.classifier_inputs import ClassifierInputs
from pipelines.training.fold_images import FoldImages, Images
from pipelines.training.teaching import ask_teacher
from tfrecords_tools.foundation.errors import CommandError
from tfrecords_tools.streams import Stream


@dataclass(frozen=True)
class FoldStreams:
    """The streams of a fold, the first of them of real images with labels, and what is known of all.

    Attributes:
      streams: what is mixed.
      facts: what the trainer must know of them.
      shown: fractions of the classes `[C]` among the labelled images that are shown.
      real: among the real ones of these.
      thought: what the teacher thinks of the synthetic images, see `ask_teacher`.
    """

    streams: tuple[Stream, ...]
    facts: StreamFacts
    shown: np.ndarray
    real: np.ndarray
    thought: pd.DataFrame | None = None


def open_streams(
    config: TrainClassifierConfig, inputs: ClassifierInputs, fold: int, strategy: tf.distribute.Strategy, folder: Path
) -> FoldStreams:
    """Returns the streams of a fold.

    Arguments:
      config: what is asked for.
      inputs: of all folds.
      fold: its number.
      strategy: under which is trained.
      folder: of the fold.

    Raises:
      CommandError: if there are none of some images that were asked for.
    """
    images = FoldImages(config, inputs.shards, inputs.classes, fold, inputs.examples)
    synthetic = inputs.synthetic[fold]
    thought = ask_teacher(config, inputs, fold, folder)
    found = combine_streams(
        config,
        per_replica_batch_size(strategy, config.batch_size, "batch_size"),
        real=images.labelled,
        synthetic=images.synthetic(synthetic, thought) if synthetic else None,
        unlabelled=[images.unlabelled(which) for which in inputs.unlabelled[fold]],
    )
    return replace(found, thought=thought)


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
    of_synthetic = 0.0 if synthetic is None else config.synthetic_fraction
    labelled = [(real, 1 - of_synthetic)] + ([] if synthetic is None else [(synthetic, of_synthetic)])
    of_labelled = 1 - sum(counts) / own_batch_size
    streams = [
        Stream(shards=images.shards, annotations=images.annotations, fraction=of_labelled * fraction)
        for images, fraction in labelled
    ]
    streams += [
        Stream(
            shards=images.shards,
            annotations=images.annotations,
            fraction=count / own_batch_size,
            is_labelled=False,
            num_views=config.semi_supervision.num_guesses,
        )
        for images, count in zip(unlabelled, counts, strict=True)
    ]
    every = [*(images for images, _ in labelled), *unlabelled]
    facts = StreamFacts(
        hiding=_hiding(labelled, unlabelled, config.metadata_dropout),
        priors=np.stack([images.mix for images in every]),
        is_own_metadata=np.array([images.is_own_metadata for images in every]),
    )
    return FoldStreams(tuple(streams), facts, _mix(labelled), real.mix)


def _mix(images: Sequence[tuple[Images, float]]) -> np.ndarray:
    """Returns the fractions of the classes `[C]` in a mix of images, not normalised."""
    return sum(fraction * own.mix for own, fraction in images)


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
    labelled: Sequence[tuple[Images, float]], unlabelled: Sequence[Images], metadata_dropout: float
) -> np.ndarray:
    """Returns how often metadata is hidden `[S, C]`: so often that its absence tells no class among labelled images."""
    shown = _mix(labelled)
    without = _mix([(images, 0.0 if images.has_metadata else fraction) for images, fraction in labelled])
    of_labelled = hiding_probabilities(shown, without, metadata_dropout)
    rows = [of_labelled if images.has_metadata else np.ones_like(shown) for images, _ in labelled]
    for images in unlabelled:  # of unknown classes
        rows.append(np.full_like(shown, of_labelled.max() if images.has_metadata else 1.0))
    return np.stack(rows)
