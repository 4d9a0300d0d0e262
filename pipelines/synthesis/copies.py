"""The rejection of synthetic images that may be copies of training images."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from melgan.metrics.memorisation import FEATURES, PIXELS, CopyDetector
from melgan.sampling import Requests, Sampler
from pipelines.artefacts.feature_store import FeatureStore
from pipelines.artefacts.image_sets import ImageSet, SyntheticImages, read_images, require_large_images
from pipelines.artefacts.seen import RealShards, split_seen
from pipelines.artefacts.shards import Shards
from pipelines.contract.progress import Progress
from pipelines.synthesis.opened import OpenedSampler
from tfrecords_tools.foundation.errors import CommandError

# Which of some images are suspected to be copies, bool `[N]`.
FindCopies = Callable[[ImageSet], np.ndarray]

_CHUNK = 256
_MOST_DRAWN = 10


@dataclass(frozen=True)
class Drawn:
    """The images to write, and how many of each class were drawn and rejected `[num_classes]`."""

    requests: Requests
    rejected: np.ndarray


def draw_without_copies(
    images: SyntheticImages, labels: np.ndarray, find_copies: FindCopies, *, fewer_are_enough: bool = False
) -> Drawn:
    """Returns which images to write for labels `[N]`: in place of a suspected copy, the next one that is none.

    Classes are drawn one after the other, each in one run of indices.

    Arguments:
      images: to draw.
      labels: of the images.
      find_copies: tells copies.
      fewer_are_enough: whether those of a class without copies will do where it has no others in place of copies.

    Raises:
      CommandError: if hardly any image is accepted, or a class has no others in place of copies.
    """
    indices, missing = np.arange(len(labels)), np.arange(len(labels))
    rejected, of_class = (np.zeros(len(images.sampler.classes), int) for _ in range(2))
    given_up = np.zeros(len(labels), bool)
    drawn = 0
    progress = Progress("images without copies", len(labels), "images")
    while len(missing):
        if drawn >= _MOST_DRAWN * len(labels):
            raise CommandError(
                f"{rejected.sum()} of {drawn} images lie suspiciously near to a training image: this generator copies, "
                "or it draws images so smooth that they lie near to everything; evaluate_gan shows which"
            )
        label = labels[missing[0]]
        rows = missing[labels[missing] == label][:_CHUNK]
        left = _left(images.sampler, label, of_class)
        if left < len(rows) and not fewer_are_enough:
            raise _too_few(images.sampler, label, rejected)
        if not left:
            given_up[rows] = True
            missing = missing[~np.isin(missing, rows)]
            continue
        rows = rows[:left]
        candidates = np.arange(drawn, drawn + len(rows))
        copies = find_copies(images.draw(Requests(index=candidates, label=labels[rows])))
        indices[rows] = candidates
        of_class[label] += len(rows)
        rejected[label] += copies.sum()
        drawn += len(rows)
        missing = missing[~np.isin(missing, rows[~copies])]
        progress.update(len(labels) - len(missing))
    if given_up.all():
        raise _too_few(images.sampler, labels[0], rejected)
    return Drawn(Requests(index=indices[~given_up], label=labels[~given_up]), rejected)


def _left(sampler: Sampler, label: int, drawn: np.ndarray) -> int:
    """Returns how many other images of a class there are, `drawn` of each having been drawn."""
    capacity = sampler.capacity(label)
    return _CHUNK if capacity is None else capacity - int(drawn[label])


def _too_few(sampler: Sampler, label: int, rejected: np.ndarray) -> CommandError:
    return CommandError(
        f"{rejected[label]} of the {sampler.capacity(label)} images of {sampler.classes[label]} that this generator "
        "has are suspected copies, so there are not as many others as are asked for; ask for fewer (--count, in a "
        "study --ratios)"
    )


def require_comparable(generator: OpenedSampler, shards: Shards, labels: np.ndarray) -> RealShards:
    """Returns the real images by which copies of a generator can be told.

    Arguments:
      generator: that draws images.
      shards: of its training, with others that were held out.
      labels: classes that will be drawn.

    Raises:
      CommandError: if the shards are others, their images too small, or none of a class that is drawn was held out.
    """
    real = split_seen(generator.seen, shards, "shards")
    require_large_images(shards, generator.sampler.image_size)
    if generator.own_shard_of is not None:
        raise CommandError(
            "--reject_copies: images of METHOD=singan are variations of one real image each, so that all are near to "
            "one; leave it out, and see near_source in the manifest"
        )
    if not real.held_out:
        raise CommandError(
            "--reject_copies compares with real images that the generator has not seen, and it was, or may have been, "
            "trained on all; train it with --num_folds and --fold"
        )
    if not real.seen:
        raise CommandError(
            f"--reject_copies: the generator has seen none of the images of {shards.folder}, so it copies none of "
            "them; leave it out"
        )
    counts = shards.class_counts(real.held_out)
    missing = [name for label, name in enumerate(shards.classes) if label in labels and not counts[label]]
    if missing:
        raise CommandError(
            f"--reject_copies compares with real images that were held out, and there is none of {', '.join(missing)}; "
            "train the generator with a smaller --num_folds"
        )
    return real


def copy_finder(images: RealShards, image_size: int, store: FeatureStore) -> FindCopies:
    """Returns what suspects copies of the images that a generator was trained on, in features or in pixels.

    Arguments:
      images: real ones.
      image_size: of the generator.
      store: extracts features.
    """
    real = store.samples(read_images(images.shards, images.held_out, image_size), "held-out images", views=True)
    training = store.samples(read_images(images.shards, images.seen, image_size), "training images")
    detectors = [CopyDetector(space, real, training) for space in (FEATURES, PIXELS)]

    def find_copies(synthetic: ImageSet) -> np.ndarray:
        drawn = store.extract(synthetic, views=True)
        return np.any([detector.find(drawn).found for detector in detectors], axis=0)

    return find_copies
