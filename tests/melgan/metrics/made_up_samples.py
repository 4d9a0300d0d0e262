"""Samples for tests of metrics: numbers drawn at random, and images that are right where only counts matter."""

import numpy as np

from melgan.metrics.dihedral import NUM_VIEWS
from melgan.metrics.samples import Samples


def made_up(count, *, num_classes=2, seed=0, side=32, num_features=6, features=None, labels=None, groups=None):
    """Samples whose classes follow each other in turns and whose features, other than given ones, tell them apart."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % num_classes if labels is None else np.asarray(labels)
    if features is None:
        features = rng.normal(size=(count, num_features)) + labels[:, None]
    features = np.asarray(features, np.float32)
    views = np.stack([features] + [features + rng.normal(size=features.shape) for _ in range(NUM_VIEWS - 1)], axis=1)
    return Samples(
        images=rng.integers(0, 256, (count, side, side, 3), dtype=np.uint8),
        labels=labels,
        groups=np.arange(count) if groups is None else np.asarray(groups),
        names=np.char.add("image ", np.arange(count).astype(str)),
        features=features,
        probabilities=rng.dirichlet(np.ones(5), count),
        views=views.astype(np.float32),
    )
