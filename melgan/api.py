"""The library: what notebooks and other programs may rely on; all other modules may change.

It stands above the three packages, and none of their modules imports it. `import melgan` alone does not either.
"""

import pipelines.contract.quiet_tensorflow  # noqa: F401

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from melgan.metrics import METRICS
from melgan.metrics import evaluation as image_metrics
from melgan.metrics.comparison import Comparison
from melgan.metrics.delong import Area
from melgan.metrics.evaluation import Row
from melgan.metrics.extractors import EXTRACTORS, Extractor
from melgan.metrics.intervals import Interval
from melgan.metrics.kid import kernel_distance
from melgan.metrics.samples import Samples
from melgan.sampling import Requests
from pipelines.artefacts import image_sets, shards
from pipelines.artefacts.comparisons import Pair
from pipelines.artefacts.image_sets import ImageSet, SyntheticImages
from pipelines.artefacts.shards import Shards, class_named
from pipelines.contract.console import COMMANDS
from pipelines.contract.launching import run_command
from pipelines.contract.shared_settings import SamplingSettings
from pipelines.synthesis.opened import OpenedSampler
from pipelines.synthesis.samplers import open_sampler
from tfrecords_tools import reading
from tfrecords_tools.foundation.errors import CommandError, look_up
from tfrecords_tools.images import JPEG_QUALITY
from tfrecords_tools.streams import Stream

__all__ = [
    "Area",
    "Extractor",
    "ImageSet",
    "Interval",
    "OpenedSampler",
    "Row",
    "Shards",
    "compare_classifiers",
    "draw",
    "evaluate_images",
    "extractor",
    "kernel_distance",
    "open_generator",
    "open_shards",
    "read_images",
    "run",
    "split_fold",
    "training_batches",
]


def run(command: str, **settings: object) -> None:
    """Runs a command to its end, in a process of its own; what it writes stands in its folder.

    >>> run("inspect", paths="runs/shards", verify=True)

    Arguments:
      command: as `melgan --help` calls it, such as "shards" or "gan".
      settings: of the command, as its --help lists them; sequences stand for values with commas between them, None for
        the default.

    Raises:
      ConfigError: for an unknown command.
      CommandError: if it fails; its own message stands in the output.
    """
    given = {name: _as_text(value) for name, value in settings.items() if value is not None}
    run_command(look_up(COMMANDS, command, "command"), given)


def _as_text(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def open_shards(path: str, *, cache_dir: str = "") -> Shards:
    """Returns a folder of shards, real or synthetic, once its files are found to be what its command wrote.

    >>> open_shards("runs/shards").classes
    ('benign', 'malignant')

    Arguments:
      path: local or gs://.
      cache_dir: folder for copies of the shards of a bucket; without it TensorFlow reads them there.

    Raises:
      CommandError: if the folder is missing or not complete.
      DataError: if its manifest or a shard is damaged.
    """
    return shards.open_any_shards(str(path), "path", cache_dir)


def split_fold(opened: Shards, *, num_folds: int, fold: int) -> tuple[Shards, Shards]:
    """Returns the shards to train on, and those of a fold, which are held out; no patient is in both.

    >>> train, held_out = split_fold(open_shards("runs/shards"), num_folds=3, fold=0)
    >>> len(train.manifest.shards), len(held_out.manifest.shards)
    (4, 2)

    Arguments:
      opened: with a split "train".
      num_folds: how many folds there are, 2 or more, and not more than shards.
      fold: from 0.
    """
    training, held_out = shards.split_fold(opened.manifest, num_folds, fold)
    return opened.only(training), opened.only(held_out)


def training_batches(
    opened: Shards, *, image_size: int, batch_size: int, seed: int = 0, is_balanced: bool = False
) -> tf.data.Dataset:
    """Returns endless, shuffled batches of labelled images.

    >>> train, held_out = split_fold(open_shards("runs/shards"), num_folds=3, fold=0)
    >>> batch = next(iter(training_batches(train, image_size=32, batch_size=8)))
    >>> batch["image"].shape, batch["image"].dtype.name, batch["label"].shape, batch["targets"].shape
    (TensorShape([8, 32, 32, 3]), 'uint8', TensorShape([8]), TensorShape([8, 2]))

    Arguments:
      opened: whose split "train" is read.
      image_size: H and W; stored images of another size are resized by area.
      batch_size: images of a batch.
      seed: of the order.
      is_balanced: whether classes take turns; otherwise images come as often as they are.

    Returns:
      Dictionaries of `image` uint8 `[B, H, W, 3]`, `label` int32 `[B]`, one-hot `targets` float32 `[B, num_classes]`,
      and further features; see `tfrecords_tools/reading.py`.
    """
    entries = opened.manifest.split("train")
    counts = opened.class_counts(entries) if is_balanced else None
    return reading.training_batches(
        [Stream(shards=opened.read(entries), class_counts=counts)],
        num_classes=len(opened.classes),
        image_size=image_size,
        global_batch_size=batch_size,
        seed=seed,
    )


def read_images(opened: Shards, *, image_size: int, most_per_class: int | None = None) -> ImageSet:
    """Returns labelled images of the split "train", each once, as arrays in memory.

    >>> images = read_images(open_shards("runs/shards"), image_size=32, most_per_class=5)
    >>> images.images.shape, images.images.dtype.name, images.labels.shape
    ((10, 32, 32, 3), 'uint8', (10,))

    Arguments:
      opened: real or synthetic shards.
      image_size: H and W; not more than that of the stored images.
      most_per_class: of each class the first so many; None: all.

    Returns:
      `images` uint8 `[N, H, W, 3]`, and `labels`, `groups` (codes of patients) and `names`, all `[N]`.

    Raises:
      CommandError: if the stored images are smaller than asked for.
    """
    return image_sets.read_images(opened, opened.manifest.split("train"), image_size, most_per_class)


def open_generator(path: str, *, seed: int = 0, checkpoint: str = "last") -> OpenedSampler:
    """Returns the generator of a completed run of `gan`, `translator`, `singan` or `adopt`; no code is read from it.

    >>> generator = open_generator("runs/gan")
    >>> generator.classes, generator.sampler.image_size
    (('benign', 'malignant'), 32)

    Arguments:
      path: of the run, local or gs://.
      seed: of its images.
      checkpoint: "last", or "best" of a GAN that was evaluated while it trained.

    Raises:
      CommandError: if the run is not complete, is damaged, or has no generator.
    """
    return open_sampler(str(path), "path", SamplingSettings(seed=seed, checkpoint=checkpoint))


def draw(generator: OpenedSampler, label: str, count: int, *, first: int = 0) -> ImageSet:
    """Returns synthetic images of a class as synthetic shards hold them, after JPEG.

    >>> samples = draw(open_generator("runs/gan"), "malignant", 4)
    >>> samples.images.shape, samples.labels.tolist()
    ((4, 32, 32, 3), [1, 1, 1, 1])

    Arguments:
      generator: with its seed, of which an image of an equal index is equal.
      label: the name of the class.
      count: of the images.
      first: index of the first image.

    Raises:
      CommandError: for a class that there is not, or more images than there are of it.
    """
    number = class_named(label, "label", generator.classes)
    capacity = generator.sampler.capacity(number)
    if capacity is not None and first + count > capacity:
        raise CommandError(f"count is {count} from {first} on; this generator has {capacity} images of {label}")
    requests = Requests(index=np.arange(first, first + count), label=np.full(count, number, np.int32))
    return SyntheticImages(generator.sampler, (generator.identity, generator.seed), JPEG_QUALITY).draw(requests)


def extractor(name: str, *, weights: str = "") -> Extractor:
    """Returns what makes features of images, by which they are compared.

    >>> features, probabilities = extractor("pixels").extract(np.zeros((5, 32, 32, 3), np.uint8))
    >>> features.shape, probabilities
    ((5, 3072), None)

    Arguments:
      name: "lite0" (needs the extra `pretrained`), "inception" (downloads its weights), "pixels" or "random".
      weights: file of the weights of "inception", where they cannot be downloaded.

    Raises:
      ConfigError: for an unknown name, or weights that are not there.
    """
    return look_up(EXTRACTORS, name, "features")(weights)


def evaluate_images(
    images: ImageSet,
    reference: ImageSet,
    features: Extractor,
    classes: Sequence[str],
    *,
    metrics: Sequence[str] = ("kid", "prdc"),
    seed: int = 0,
) -> list[Row]:
    """Returns metrics of images by real ones, over all classes and of each, with 95 % intervals.

    >>> real = read_images(open_shards("runs/shards"), image_size=32, most_per_class=20)
    >>> samples = draw(open_generator("runs/gan"), "malignant", 20)
    >>> rows = evaluate_images(samples, real, extractor("pixels"), ["benign", "malignant"], metrics=["kid"])
    >>> [(row.name, row.scope, row.value is not None) for row in rows]
    [('kid', 'all classes', False), ('kid', 'benign', False), ('kid', 'malignant', True)]

    Arguments:
      images: to evaluate.
      reference: real images; none that the generator was trained on, or copies of these would look best.
      features: see `extractor`.
      classes: the names of their labels.
      metrics: names in METRICS of `melgan/metrics`.
      seed: of what is drawn for intervals.

    Returns:
      Rows with `name`, `scope` (a class, or all), `value`, `low`, `high`, and in `note` why there is no value.

    Raises:
      ConfigError: for an unknown metric.
    """
    for name in metrics:
        look_up(METRICS, name, "metric")
    comparison = Comparison(_samples(images, features), _samples(reference, features), seed=seed)
    return image_metrics.evaluate(comparison, classes, metrics=metrics)


def _samples(images: ImageSet, features: Extractor) -> Samples:
    vectors, probabilities = features.extract(images.images)
    return Samples(images.images, images.labels, images.groups, images.names, vectors, probabilities)


def compare_classifiers(
    labels: np.ndarray,
    baseline: np.ndarray,
    treated: np.ndarray,
    *,
    groups: np.ndarray | None = None,
    folds: np.ndarray | None = None,
    seed: int = 0,
) -> tuple[Interval, Area]:
    """Returns by how much the AUC of one classifier is larger than that of another on the same held-out images.

    >>> labels = np.array([0, 0, 0, 0, 1, 1])
    >>> baseline = np.array([0.1, 0.2, 0.6, 0.3, 0.5, 0.7])
    >>> treated = np.array([0.1, 0.2, 0.4, 0.3, 0.5, 0.7])
    >>> interval, delong = compare_classifiers(labels, np.c_[1 - baseline, baseline], np.c_[1 - treated, treated])
    >>> interval.value, delong.value
    (0.125, 0.125)

    Arguments:
      labels: `[N]`, from 0.
      baseline: probabilities of the classes `[N, num_classes]`.
      treated: of the other classifier.
      groups: patient of each image `[N]`, drawn whole; None: each image is of another.
      folds: `[N]`; the AUC is the mean of theirs. None: all are of one.
      seed: of the bootstrap.

    Returns:
      The difference with its 95 % interval by the bootstrap; and by DeLong, with `standard_error` and `p_value`, NaN
      for more than two classes.
    """
    groups = np.arange(len(labels)) if groups is None else groups
    folds = np.zeros(len(labels), np.int64) if folds is None else folds
    both = Pair(labels, folds, groups, baseline, treated)
    return both.auc_difference(seed), both.delong()
