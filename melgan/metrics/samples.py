"""Images of one origin, with what a feature extractor made of them."""

from dataclasses import dataclass, replace

import numpy as np

from melgan.metrics.errors import MetricUnavailable


@dataclass(frozen=True)
class Samples:
    """Images that are evaluated together, or that others are evaluated by.

    `images` are uint8 `[N, H, W, 3]`, `labels` their classes `[N]`, `groups` codes `[N]` of what belongs together, such
    as the images of a patient, `names` what the images are called `[N]`. `features` are float32 `[N, F]`,
    `probabilities` the extractor's own classes `[N, K]`, None if it knows none. `views` are the features
    of every image turned and mirrored `[N, V, F]`, the image itself first; None where copies are not looked for.
    """

    images: np.ndarray
    labels: np.ndarray
    groups: np.ndarray
    names: np.ndarray
    features: np.ndarray
    probabilities: np.ndarray | None = None
    views: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: np.ndarray) -> "Samples":
        """Returns the samples of some row numbers, or of a mask, `[M]`."""
        return replace(
            self,
            images=self.images[rows],
            labels=self.labels[rows],
            groups=self.groups[rows],
            names=self.names[rows],
            features=self.features[rows],
            probabilities=None if self.probabilities is None else self.probabilities[rows],
            views=None if self.views is None else self.views[rows],
        )

    def of_class(self, label: int) -> "Samples":
        """Returns the samples of a class."""
        return self.take(self.labels == label)

    def draw(self, class_counts: np.ndarray, seed: int) -> "Samples":
        """Returns samples of each class drawn at random, as many as counted in `[num_classes]`, or all there are."""
        order = np.random.default_rng(seed).permutation(len(self))
        labels = self.labels[order]
        rows = [order[labels == label][:count] for label, count in enumerate(class_counts)]
        return self.take(np.sort(np.concatenate(rows)))

    def first(self, class_counts: np.ndarray) -> "Samples":
        """Returns the first samples of each class, as many as counted in `[num_classes]`, or all that there are."""
        rows = [np.flatnonzero(self.labels == label)[:count] for label, count in enumerate(class_counts)]
        return self.take(np.sort(np.concatenate(rows)))


def require_finite(features: np.ndarray, what: str) -> None:
    """Raises `MetricUnavailable`, which says what the images are, if features `[N, ..., F]` are not finite."""
    bad = ~np.isfinite(features).reshape(len(features), -1).all(axis=1)
    if bad.any():
        raise MetricUnavailable(f"the features of {bad.sum()} of {len(bad)} {what} images are not finite")
