"""Which of a generator's images may be given away: those that are no copies of a training image."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from melgan.metrics.memorisation import FEATURES, PIXELS, CopyDetector
from pipelines.artefacts.feature_store import FeatureStore, make_extractor
from pipelines.artefacts.generator_run import LoadedGenerator
from pipelines.artefacts.image_sets import ImageSet, draw_images, read_images
from pipelines.artefacts.seen import split_seen
from pipelines.artefacts.shards import open_shards
from pipelines.contract.progress import Progress
from tfrecords_tools.foundation.errors import CommandError

# Which of some images are suspected to be copies, bool `[N]`.
FindCopies = Callable[[ImageSet], np.ndarray]

_CHUNK = 256
_MOST_DRAWN = 10


@dataclass(frozen=True)
class Drawn:
    """Which images are drawn: their indices `[N]`, by which the latents are found, and labels `[N]`.

    `rejected` counts those of each class that were drawn and not taken `[num_classes]`.
    """

    indices: np.ndarray
    labels: np.ndarray
    rejected: np.ndarray


def draw_without_copies(generator: LoadedGenerator, labels: np.ndarray, seed: int, find_copies: FindCopies) -> Drawn:
    """Returns which images to take for labels `[N]`: in place of a suspected copy, the next one that is none.

    Raises:
      CommandError: if hardly any image is taken.
    """
    indices, missing = np.arange(len(labels)), np.arange(len(labels))
    rejected, drawn = np.zeros(len(generator.report["classes"]), int), 0
    progress = Progress("images without copies", len(labels), "images")
    while len(missing):
        if drawn >= _MOST_DRAWN * len(labels):
            raise CommandError(
                f"{rejected.sum()} of {drawn} images lie suspiciously near to a training image: this generator copies, "
                "or it draws images so smooth that they lie near to everything; evaluate_gan shows which"
            )
        rows, candidates = missing[:_CHUNK], np.arange(drawn, drawn + len(missing[:_CHUNK]))
        copies = find_copies(draw_images(generator.network, generator.sha256, labels[rows], seed, candidates))
        indices[rows] = candidates
        rejected += np.bincount(labels[rows][copies], minlength=len(rejected))
        drawn += len(rows)
        missing = np.concatenate([missing[_CHUNK:], rows[copies]])
        progress.update(len(labels) - len(missing))
    return Drawn(indices, labels, rejected)


def copy_finder(
    generator: LoadedGenerator,
    labels: np.ndarray,
    *,
    shards_path: str,
    features: str,
    weights: str,
    cache_dir: str,
    feature_dir: Path,
) -> FindCopies:
    """Returns what suspects copies of the images that a generator was trained on, in features or in pixels.

    Arguments:
      generator: whose report tells what it was trained on.
      labels: classes that will be drawn.
      shards_path: those shards, with others that were held out.
      features: name of an extractor, or classifier:RUN.
      weights: of the extractor.
      cache_dir: local copies of shards that lie in a bucket.
      feature_dir: where the features of real images are kept.

    Raises:
      CommandError: if the shards are others, or no image of a class that is drawn was held out.
    """
    shards = open_shards(shards_path, "shards", cache_dir)
    seen, held_out = split_seen(shards, generator.report["trained_on"], "shards")
    if not held_out:
        raise CommandError(
            "--reject_copies compares with real images that the generator has not seen, and it was trained on all; "
            "train it with --num_folds and --fold"
        )
    counts = shards.class_counts(held_out)
    missing = [name for label, name in enumerate(shards.manifest.classes) if label in labels and not counts[label]]
    if missing:
        raise CommandError(
            f"--reject_copies compares with real images that were held out, and there is none of {', '.join(missing)}; "
            "train the generator with a smaller --num_folds"
        )
    store = FeatureStore(feature_dir, make_extractor(features, weights, shards, held_out))
    size = generator.config.image_size
    real = store.samples(read_images(shards, held_out, size), "held-out images", views=True)
    training = store.samples(read_images(shards, seen, size), "training images")
    detectors = [CopyDetector(space, real, training) for space in (FEATURES, PIXELS)]

    def find_copies(images: ImageSet) -> np.ndarray:
        drawn = store.extract(images, views=True)
        return np.any([detector.find(drawn).found for detector in detectors], axis=0)

    return find_copies
