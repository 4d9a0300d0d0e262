"""Features of all images of a study, real and synthetic, each extracted once."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from melgan.classifiers.linear import scaling_of
from melgan.metrics.samples import Samples
from melgan.studies.arms import Selection, TrainingImages
from pipelines.artefacts.feature_store import FeatureStore
from pipelines.artefacts.image_sets import read_images
from pipelines.artefacts.mixing import require_stored_alike
from pipelines.artefacts.seen import without_leaks
from pipelines.artefacts.shards import open_synthetic, split_fold
from pipelines.studying.design import Design
from pipelines.studying.planned_generator import PlannedGenerator
from pipelines.studying.real_images import RealImages
from tfrecords_tools.manifest import ShardEntry


@dataclass(frozen=True)
class RealFeatures:
    """Features of all real images.

    Attributes:
      images: all real images.
      features: `[N, F]`.
      views: of those of the class, in their order, turned and mirrored, without the images as they are `[P, V, F]`.
    """

    images: RealImages
    features: np.ndarray
    views: np.ndarray


@dataclass(frozen=True)
class FoldFeatures:
    """What the classifiers of a fold learn from and predict, with features of mean 0 and deviation 1 in training.

    Attributes:
      images: the training images.
      features: of these `[M, F]`.
      views: of those of the class, turned and mirrored `[P * V, F]`.
      held_out: features of the images that the fold holds out.
      synthetic: features of the images of each generator, by method and seed `[A, F]`, in the order drawn.
    """

    images: TrainingImages
    features: np.ndarray
    views: np.ndarray
    held_out: np.ndarray
    synthetic: dict[tuple[str, int], np.ndarray]

    def of(self, selection: Selection, generator: tuple[str, int]) -> tuple[np.ndarray, np.ndarray]:
        """Returns features `[K, F]` of a selection, and which are of the class `[K]`, bool.

        Arguments:
          selection: images to learn from.
          generator: method and seed of its synthetic images, if it has any.
        """
        drawn = self.synthetic[generator][: selection.synthetic] if selection.synthetic else self.features[:0]
        added = np.concatenate([self.views[selection.views], drawn])
        positive = np.concatenate([self.images.positive[selection.labelled_as], np.ones(len(added), bool)])
        return np.concatenate([self.features[selection.rows], added]), positive


def real_features(design: Design, images: RealImages, store: FeatureStore) -> RealFeatures:
    """Returns the features of all real images, fold by fold."""
    found = [_of_held_out(design, images, fold, store) for fold in range(design.config.num_folds)]
    features, views = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return RealFeatures(images, features, views)


def _of_held_out(design: Design, images: RealImages, fold: int, store: FeatureStore) -> tuple[np.ndarray, np.ndarray]:
    """Returns the features of the images that a fold holds out, and those of the views of the class."""
    entries = split_fold(design.shards.manifest, design.config.num_folds, fold)[1]
    read, what = read_images(design.shards, entries, design.shards.manifest.image_size), f"real images of fold {fold}"
    of_class = read.take(np.flatnonzero(images.positive[images.held_out_rows(fold)]))
    turned = store.samples(of_class, f"{what}, of the class, turned", views=True)
    return store.samples(read, what).features, turned.views[:, 1:]


def fold_features(design: Design, real: RealFeatures, fold: int, store: FeatureStore) -> FoldFeatures:
    """Returns the features of a fold, whose generators are complete.

    Raises:
      CommandError: if a generator may have seen an image that the fold holds out.
    """
    images, rows = real.images, real.images.training_rows(fold)
    held_out = split_fold(design.shards.manifest, design.config.num_folds, fold)[1]
    scaling = scaling_of(real.features[rows])
    views = scaling(real.views[images.folds[images.positive] != fold])
    return FoldFeatures(
        images=images.training_images(fold),
        features=scaling(real.features[rows]),
        views=views.reshape(-1, views.shape[-1]),
        held_out=scaling(real.features[images.held_out_rows(fold)]),
        synthetic={
            (generator.method, generator.seed): scaling(_synthetic(design, generator, held_out, store).features)
            for generator in design.generators_of(fold)
        },
    )


def _synthetic(
    design: Design, generator: PlannedGenerator, held_out: Sequence[ShardEntry], store: FeatureStore
) -> Samples:
    found = open_synthetic(str(generator.synthetic), "jobs_dir", design.config.cache_dir)
    opened = without_leaks(found, design.shards, held_out, trust_unknown=design.config.trust_unknown_generators)
    require_stored_alike(design.shards, [opened], 0, "jobs_dir")
    images = read_images(opened, opened.manifest.shards, design.shards.manifest.image_size)
    return store.samples(images, f"synthetic images ({generator.name})")
