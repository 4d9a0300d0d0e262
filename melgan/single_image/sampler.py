"""The generators of several single images as one sampler."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from melgan.images import to_uint8
from melgan.sampling import BATCH_SIZE, Requests, SampledImages, require_known_conditions
from melgan.single_image.drawing import draw_samples, require_scale
from melgan.single_image.stack import COLOURS, GeneratorStack

_IS_LESION = 128


@dataclass(frozen=True, kw_only=True)
class TrainedImage:
    """A real image on which generators were trained.

    Attributes:
      name: of the image.
      label: its class.
      weights: returns what `GeneratorStack.get_weights` gave after the training.
    """

    name: str
    label: int
    weights: Callable[[], Sequence[np.ndarray]]


class SingleImageSampler:
    """A `Sampler` whose images are each made from one real image of their class, or from that which `source` names.

    The index of a request chooses the image, one after the other, and the noise. Each image is named in `made_from`.
    All are drawn by one stack, which is given the weights of an image when it is its turn.

    Arguments:
      stack: of the settings with which the images were trained.
      images: those that were trained on, in their order.
      classes: names of the classes.
      seed: of the noise.
      start_scale: see `draw_samples`.

    Raises:
      ConfigError: for a scale that there is not.
    """

    conditions = frozenset({"source"})

    def __init__(
        self,
        stack: GeneratorStack,
        images: Sequence[TrainedImage],
        classes: Sequence[str],
        *,
        seed: int,
        start_scale: int = 0,
    ) -> None:
        require_scale(stack, "start_scale", start_scale)
        self.classes, self.image_size = tuple(classes), stack.sizes[-1]
        self._stack, self._images, self._seed, self._start_scale = stack, tuple(images), seed, start_scale

    def capacity(self, label: int) -> int | None:
        """Returns None, as every index has noise of its own; 0 for a class without an image."""
        return None if any(image.label == label for image in self._images) else 0

    def sources(self, requests: Requests) -> list[str]:
        """Returns the name of the real image that each of some images is made from."""
        return [self._images[number].name for number in self._chosen(requests)]

    def draw(self, requests: Requests) -> SampledImages:
        """Returns the images that are asked for, of which equal seed, index and label, or source, give an equal image.

        Raises:
          ValueError: for a condition that it does not take, a class without an image, or a source that it has not.
        """
        require_known_conditions(requests, self.conditions)
        chosen = self._chosen(requests)
        drawn = np.zeros((len(requests), self.image_size, self.image_size, self._stack.channels), np.uint8)
        for _, rows in batches_by_image(self._stack, self._images, chosen):
            drawn[rows] = self._samples(requests.index[rows])
        return SampledImages(
            images=drawn[..., :COLOURS],
            boxes=None,
            made_from=tuple((name,) for name in self.sources(requests)),
            masks=_masks(drawn[..., COLOURS]) if self._stack.channels > COLOURS else None,
        )

    def interpolate(self, label: int, steps: int) -> np.ndarray | None:
        """Returns None: two images of a class have nothing between them."""
        del label, steps

    def _samples(self, indices: np.ndarray) -> np.ndarray:
        return to_uint8(draw_samples(self._stack, indices, seed=self._seed, start_scale=self._start_scale)).numpy()

    def _chosen(self, requests: Requests) -> np.ndarray:
        """Returns the number of the image of every request `[N]`."""
        if requests.source is not None:
            pairs = zip(requests.source.tolist(), requests.label.tolist(), strict=True)
            return np.array([self._number_of(name, label) for name, label in pairs], int)
        pairs = zip(requests.label.tolist(), requests.index.tolist(), strict=True)
        return np.array([self._number_in_turn(label, index) for label, index in pairs], int)

    def _number_of(self, name: str, label: int) -> int:
        for number, image in enumerate(self._images):
            if (image.name, image.label) == (name, label):
                return number
        raise ValueError(f"source {name}: no generators were trained on it as an image of {self.classes[label]}")

    def _number_in_turn(self, label: int, index: int) -> int:
        of_class = [number for number, image in enumerate(self._images) if image.label == label]
        if not of_class:
            raise ValueError(f"class {self.classes[label]}: no generators were trained on an image of it")
        return of_class[index % len(of_class)]


def batches_by_image(
    stack: GeneratorStack, images: Sequence[TrainedImage], chosen: np.ndarray
) -> Iterator[tuple[int, np.ndarray]]:
    """Yields which requests are drawn together, while the stack has the weights of the image that they are drawn by.

    Arguments:
      stack: of all images.
      images: that it was trained on.
      chosen: the number of the image of every request `[N]`.

    Yields:
      The number of an image, and the numbers of requests `[M]`.
    """
    for number in np.unique(chosen).tolist():
        stack.set_weights(images[number].weights())
        rows = np.flatnonzero(chosen == number)
        for start in range(0, len(rows), BATCH_SIZE):
            yield number, rows[start : start + BATCH_SIZE]


def _masks(channel: np.ndarray) -> np.ndarray:
    """Returns masks `[N, H, W]` of 0 and 255 from a channel that was drawn, uint8."""
    return np.where(channel >= _IS_LESION, 255, 0).astype(np.uint8)
