"""The interface of every generator of images, whatever it is conditioned on: a `Sampler` answers `Requests`."""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Protocol

import numpy as np

BATCH_SIZE = 64  # images drawn at a time; rounding, and so a grey level now and then, depends on it


@dataclass(frozen=True, kw_only=True)
class Requests:
    """Images that are asked for: of each its index, its class and, where a sampler takes them, conditions.

    An image depends on the seed of the sampler and on its own request only, not on its neighbours.

    Attributes:
      index: `[N]`, which image of the endless sequence of a seed.
      label: `[N]`, its class.
      boxes: `[N, M, 4]`, where lesions are placed: x_min, y_min, x_max, y_max as fractions of the sides.
      mask: `[N, H, W]`, the form of lesions.
      source: `[N]`, names of the real images to start from.
    """

    index: np.ndarray
    label: np.ndarray
    boxes: np.ndarray | None = None
    mask: np.ndarray | None = None
    source: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.index)

    @property
    def conditions(self) -> frozenset[str]:
        """The names of the conditions that are given."""
        return frozenset(name for name in CONDITIONS if getattr(self, name) is not None)

    def take(self, rows: np.ndarray | slice) -> "Requests":
        """Returns the requests of some rows."""
        given = {each.name: getattr(self, each.name) for each in fields(self)}
        return replace(self, **{name: values[rows] for name, values in given.items() if values is not None})

    def in_batches(self, batch_size: int = BATCH_SIZE) -> Iterator["Requests"]:
        """Yields the requests in order, so many at a time."""
        for start in range(0, len(self), batch_size):
            yield self.take(slice(start, start + batch_size))


CONDITIONS = tuple(each.name for each in fields(Requests) if each.default is None)


@dataclass(frozen=True, kw_only=True)
class SampledImages:
    """Images that were drawn, and what they were made from.

    Attributes:
      images: uint8 `[N, H, W, 3]`.
      boxes: `[N, M, 4]`, where their lesions were placed; None for a sampler that does not place them in boxes.
      made_from: names of the real images that each was made from, `[N]`; none where it was made from noise.
      masks: uint8 `[N, H, W]`, 255 where a lesion is, elsewhere 0; None for a sampler that does not draw them.
    """

    images: np.ndarray
    boxes: np.ndarray | None
    made_from: tuple[tuple[str, ...], ...]
    masks: np.ndarray | None = None


class Sampler(Protocol):
    """A generator of images with its seed.

    `classes` are the names of its classes, `image_size` is the side of its images in pixels, and `conditions` are the
    names of the conditions that its requests may have.
    """

    classes: tuple[str, ...]
    image_size: int
    conditions: frozenset[str]

    def capacity(self, label: int) -> int | None:
        """Returns how many different images of a class there are, None: without end."""

    def draw(self, requests: Requests) -> SampledImages:
        """Returns the images that are asked for.

        Raises:
          ValueError: for a condition that it does not take.
        """

    def interpolate(self, label: int, steps: int) -> np.ndarray | None:
        """Returns the way from one image of a class to another, uint8 `[steps, H, W, 3]`; None where there is none."""


def first_requests(label: int, count: int) -> Requests:
    """Returns requests for the first images of a class."""
    return Requests(index=np.arange(count), label=np.full(count, label, np.int32))


def require_known_conditions(requests: Requests, known: frozenset[str]) -> None:
    """Raises ValueError if a condition is given that a sampler does not take."""
    unknown = requests.conditions - known
    if unknown:
        raise ValueError(f"condition {', '.join(sorted(unknown))}: not one of {', '.join(sorted(known)) or 'none'}")
