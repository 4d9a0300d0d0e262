"""Evaluated images beside real ones; what several metrics need of both is computed once."""

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

import numpy as np

from melgan.metrics.intervals import draw_parts
from melgan.metrics.samples import Samples, require_finite
from melgan.metrics.similarities import Similarities, compare

NEAREST = 5  # as in Naeem et al. 2020


class Comparison:
    """Evaluated images and real ones, with features of the same extractor.

    Arguments:
      evaluated: the images that are evaluated, at least 2.
      reference: real images that a generator has not seen, at least 2.
      training: real images that it was trained on; None where copies are not looked for.
      seed: of what is drawn for intervals.
      whole: the comparison of all classes, of which this is the one of class `label`; itself by default.
      label: None for all classes.
    """

    def __init__(
        self,
        evaluated: Samples,
        reference: Samples,
        *,
        training: Samples | None = None,
        seed: int = 0,
        whole: "Comparison | None" = None,
        label: int | None = None,
    ) -> None:
        self.evaluated, self.reference, self.training = evaluated, reference, training
        self.seed, self.label = seed, label
        self.whole = whole or self
        self._known: dict[str, Any] = {}

    def of_class(self, label: int) -> "Comparison":
        """Returns the comparison of the images of a class."""
        return Comparison(
            self.evaluated.of_class(label),
            self.reference.of_class(label),
            training=self.training,
            seed=self.seed,
            whole=self.whole,
            label=label,
        )

    def once(self, name: str, compute: Callable[[], Any]) -> Any:
        """Returns what `compute` returned when this was first asked for by this name."""
        if name not in self._known:
            self._known[name] = compute()
        return self._known[name]

    def require_finite(self) -> None:
        """Raises `MetricUnavailable` if features of either side are not finite."""
        require_finite(self.evaluated.features, "evaluated")
        require_finite(self.reference.features, "real")

    @cached_property
    def order(self) -> tuple[np.ndarray, np.ndarray]:
        """The rows of both sides, shuffled: images often come class by class, which parts of them must not show."""
        rng = np.random.default_rng(self.seed)
        return tuple(rng.permutation(len(side)) for side in (self.evaluated, self.reference))

    @cached_property
    def parts(self) -> tuple[np.ndarray, np.ndarray]:
        """The part of every evaluated image `[N]` and of every real one `[M]`, as many parts on both sides."""
        sides = (self.evaluated, self.reference)
        count = min(len(np.unique(side.groups)) for side in sides)
        return tuple(draw_parts(side.groups, count, self.seed) for side in sides)

    @cached_property
    def evaluated_parts(self) -> np.ndarray:
        """The part of every evaluated image `[N]`, for metrics that read no real ones."""
        return draw_parts(self.evaluated.groups, len(np.unique(self.evaluated.groups)), self.seed)

    def leaving_parts_out(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yields the rows of evaluated and real images, shuffled, that stay when one part after another is left out."""
        for part in range(self.parts[0].max() + 1):
            yield tuple(rows[parts[rows] != part] for rows, parts in zip(self.order, self.parts, strict=True))

    @cached_property
    def similarities(self) -> Similarities:
        """Kernel sums and neighbourhoods, from one pass over the features; with 5 neighbours, or less if need be."""
        parts, reference_parts = self.parts
        nearest = min(NEAREST, len(self.evaluated) - 1, len(self.reference) - 1)
        return compare(
            self.evaluated.features,
            self.reference.features,
            nearest=nearest,
            evaluated_parts=parts,
            reference_parts=reference_parts,
        )
