"""Features of all images of a study, real and synthetic, each extracted once."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from melgan.classifiers.linear import scaling_of
from melgan.metrics.samples import Samples
from melgan.studies.arms import RealFeatures
from pipelines.artefacts.feature_store import FeatureStore
from pipelines.artefacts.image_sets import ImageSet, read_images
from pipelines.artefacts.mixing import require_stored_alike
from pipelines.artefacts.seen import require_no_leak
from pipelines.artefacts.shards import Shards, open_synthetic, split_fold
from pipelines.artefacts.study import StudyConfig
from pipelines.studying.generator_jobs import GeneratorJob
from tfrecords_tools.manifest import ShardEntry


@dataclass(frozen=True)
class RealImages:
    """All labelled real images: their features, fold, patient and name; and of the class, views turned and mirrored.

    Attributes:
      features: `[N, F]`.
      positive: which are of the class `[N]`, bool.
      folds, groups, names: `[N]`.
      views: `[P, V, F]` of those of the class, in their order, without the images as they are.
    """

    features: np.ndarray
    positive: np.ndarray
    folds: np.ndarray
    groups: np.ndarray
    names: np.ndarray
    views: np.ndarray


@dataclass(frozen=True)
class FoldFeatures:
    """What the classifiers of a fold learn from and predict, with features of mean 0 and deviation 1 in training.

    Attributes:
      real: the training images.
      held_out: features of the validation images `[M, F]`.
      rows: which of all images these are `[M]`.
      synthetic: features of the images of each generator, by method and seed `[A, F]`, in the order drawn.
    """

    real: RealFeatures
    held_out: np.ndarray
    rows: np.ndarray
    synthetic: dict[tuple[str, int], np.ndarray]


def real_images(shards: Shards, num_folds: int, label: int, store: FeatureStore) -> RealImages:
    """Returns all labelled real images with their features."""
    entries = shards.manifest.split("train")
    images = read_images(shards, entries, shards.manifest.image_size)
    samples = store.samples(images, "real images")
    positive = images.labels == label
    of_class = store.samples(images.take(np.flatnonzero(positive)), "turned images of the class", views=True)
    return RealImages(
        features=samples.features,
        positive=positive,
        folds=_folds(shards, entries, num_folds, images),
        groups=images.groups,
        names=images.names,
        views=of_class.views[:, 1:],
    )


def _folds(shards: Shards, entries: Sequence[ShardEntry], num_folds: int, images: ImageSet) -> np.ndarray:
    """Returns the fold that holds each image out `[N]`."""
    held_out = [split_fold(shards.manifest, num_folds, fold)[1] for fold in range(num_folds)]
    fold_of = {entry.file: fold for fold, own in enumerate(held_out) for entry in own}
    of_image = {name: fold_of[entry.file] for entry in entries for name in shards.image_names([entry])}
    return np.array([of_image[name] for name in images.names])


def fold_features(
    real: RealImages, fold: int, shards: Shards, jobs: Sequence[GeneratorJob], store: FeatureStore, config: StudyConfig
) -> FoldFeatures:
    """Returns the features of a fold.

    Arguments:
      real: all real images.
      fold: its number.
      shards: of the real images.
      jobs: the generators of this fold, all complete.
      store: of features.
      config: of the study.

    Raises:
      CommandError: if a generator may have seen an image that the fold holds out.
    """
    is_training, held_out = real.folds != fold, split_fold(shards.manifest, config.num_folds, fold)[1]
    scaling = scaling_of(real.features[is_training])
    synthetic = {}
    for job in jobs:
        samples = _synthetic(job, shards, held_out, store, config.cache_dir)
        synthetic[job.method, job.seed] = scaling(samples.features)
    return FoldFeatures(
        real=RealFeatures(
            features=scaling(real.features[is_training]),
            positive=real.positive[is_training],
            groups=real.groups[is_training],
            views=scaling(real.views[is_training[real.positive]]),
        ),
        held_out=scaling(real.features[~is_training]),
        rows=np.flatnonzero(~is_training),
        synthetic=synthetic,
    )


def _synthetic(
    job: GeneratorJob, shards: Shards, held_out: Sequence[ShardEntry], store: FeatureStore, cache_dir: str
) -> Samples:
    opened = open_synthetic(str(job.synthetic), "jobs_dir", cache_dir)
    require_no_leak(opened, shards, held_out)
    require_stored_alike(shards, [opened], 0, "jobs_dir")
    images = read_images(opened, opened.manifest.shards, shards.manifest.image_size)
    return store.samples(images, f"synthetic images ({job.name})")
