"""Features of all images of a study, real and synthetic, each extracted once."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from melgan.classifiers.linear import scaling_of
from melgan.metrics.samples import Samples
from melgan.studies.arms import RealFeatures
from pipelines.artefacts.feature_store import FeatureStore
from pipelines.artefacts.image_sets import read_images
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
    """Returns all labelled real images with their features, fold by fold."""
    return _joined([_held_out_images(shards, num_folds, fold, label, store) for fold in range(num_folds)])


def _held_out_images(shards: Shards, num_folds: int, fold: int, label: int, store: FeatureStore) -> RealImages:
    """Returns the images that a fold holds out."""
    images = read_images(shards, split_fold(shards.manifest, num_folds, fold)[1], shards.manifest.image_size)
    positive, what = images.labels == label, f"real images of fold {fold}"
    of_class = store.samples(images.take(np.flatnonzero(positive)), f"{what}, of the class, turned", views=True)
    return RealImages(
        features=store.samples(images, what).features,
        positive=positive,
        folds=np.full(len(positive), fold),
        groups=images.groups,
        names=images.names,
        views=of_class.views[:, 1:],
    )


def _joined(parts: Sequence[RealImages]) -> RealImages:
    """Returns the images of several folds, of which no patient is in two."""
    first_groups = np.cumsum([0] + [part.groups.max() + 1 for part in parts[:-1]])
    numbered = [replace(part, groups=part.groups + first) for part, first in zip(parts, first_groups, strict=True)]
    arrays = {each.name: [getattr(part, each.name) for part in numbered] for each in fields(RealImages)}
    return RealImages(**{name: np.concatenate(own) for name, own in arrays.items()})


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
