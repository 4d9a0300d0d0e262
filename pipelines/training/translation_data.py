"""The images of a translator's training: which classes are translated to which, and batches of both."""

from collections.abc import Sequence
from functools import partial

import numpy as np
import tensorflow as tf

from melgan.classifiers.augmentation import AUGMENTATIONS
from melgan.translation.translators import outlined_by, translator_of
from pipelines.artefacts.image_sets import require_large_images
from pipelines.artefacts.shards import Shards, class_named, split_fold
from pipelines.artefacts.translator_run import REST, TrainTranslatorConfig
from pipelines.training.batches import MakeBatches
from pipelines.training.training_data import TrainingData
from tfrecords_tools.foundation.errors import CommandError
from tfrecords_tools.reading import training_batches
from tfrecords_tools.streams import Stream

_SOURCE, _TARGET = "source", "target"
_LEAST_IMAGES = 2
_READ = ("image", "mask")


def classes_of(config: TrainTranslatorConfig, data: TrainingData) -> tuple[tuple[int, ...], int]:
    """Returns the numbers of the classes that are translated, and of the class that they are translated to.

    The latter is by default the rarest of all training images, whatever the fold.

    Raises:
      CommandError: if a class is not there, or is translated to itself.
    """
    rarest = int(np.argmin(data.shards.manifest.class_counts()))
    target = class_named(config.target_class, "target_class", data.classes) if config.target_class else rarest
    sources = tuple(label for label in range(len(data.classes)) if label != target)
    if config.source_class != REST:
        sources = (class_named(config.source_class, "source_class", data.classes),)
    if target in sources:
        raise CommandError(f"--source_class={config.source_class}: is the class that it would be translated to")
    return sources, target


def make_batches(config: TrainTranslatorConfig, data: TrainingData) -> MakeBatches:
    """Returns what makes the batches of a translator: images of the classes that its rows ask for.

    Two streams give `source_image` and `target_image`, uint8 `[B, H, W, 3]`, with `source_mask` and `target_mask`,
    uint8 `[B, H, W, 1]`, where terms need masks. A translator that draws from masks has one of all classes: `image`,
    `mask` and `label`, int32 `[B]`.
    """
    read = partial(
        training_batches,
        num_classes=len(data.classes),
        image_size=config.image_size,
        global_batch_size=config.global_batch_size,
        augment=AUGMENTATIONS["dihedral"] if config.dihedral else None,
    )
    if translator_of(config).is_paired:
        return partial(_one_stream, read, Stream(shards=data.images, outlined_by=outlined_by(config)), config.seed)
    sources, target = classes_of(config, data)
    streams = [Stream(shards=data.images, labels=own, outlined_by=outlined_by(config)) for own in (sources, (target,))]
    return partial(_two_streams, read, streams, config.seed)


def open_fold(config: TrainTranslatorConfig, shards: Shards) -> TrainingData:
    """Returns the images of a fold's training, after it was seen that they can be learned from.

    Raises:
      CommandError: for masks or classes that are not there, or images that are too few or too small.
    """
    require_large_images(shards, config.image_size)
    data = TrainingData(shards, *split_fold(shards.manifest, config.num_folds, config.fold))
    if outlined_by(config) and not any(data.images.counts_of(outlined_by(config))):
        raise CommandError(
            f"{shards.folder}: no training image has {outlined_by(config)}, and METHOD={config.method} learns from "
            f"them; make the shards anew with --{outlined_by(config)}=..., or with --masks=auto, which looks for "
            "lesions, whose boxes follow"
        )
    sources, target = classes_of(config, data)
    domains = [sources, (target,)]
    if translator_of(config).is_paired:
        domains = [(label,) for label in range(len(data.classes))]
    for labels in domains:
        _require_images(config, data, labels)
    return data


def _require_images(config: TrainTranslatorConfig, data: TrainingData, labels: Sequence[int]) -> None:
    counts = data.images.counts_of(outlined_by(config))
    count = sum(counts[label] for label in labels) if counts else 0
    if count < _LEAST_IMAGES:
        names = ", ".join(data.classes[label] for label in labels)
        what = f"with {outlined_by(config)} " if outlined_by(config) else ""
        raise CommandError(
            f"{data.shards.folder}: {count} training images {what}of {names} in this fold, and a translator learns "
            f"from {_LEAST_IMAGES} at least; choose other classes or folds, or make the shards anew with more of them"
        )


def _one_stream(read: MakeBatches, stream: Stream, seed: int, **of_worker: int) -> tf.data.Dataset:
    names = ("image", "mask", "label")
    batches = read(streams=[stream], seed=seed, **of_worker)
    return batches.map(lambda batch: {name: batch[name] for name in names})


def _two_streams(read: MakeBatches, streams: Sequence[Stream], seed: int, **of_worker: int) -> tf.data.Dataset:
    both = [read(streams=[stream], seed=seed, **of_worker) for stream in streams]

    def named(source: dict, target: dict) -> dict[str, tf.Tensor]:
        sides = {_SOURCE: source, _TARGET: target}
        return {f"{side}_{name}": own[name] for side, own in sides.items() for name in _READ if name in own}

    return tf.data.Dataset.zip(*both).map(named)
