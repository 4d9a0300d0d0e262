"""Where lesions lie in synthetic images: in boxes that a user gives, or in those that the generator chooses."""

from dataclasses import dataclass

import numpy as np

from melgan.gans.boxes import table_of, whole_rows
from melgan.sampling import chosen_boxes
from pipelines.artefacts.generator_run import LoadedGenerator
from tfrecords_tools.boxes import Box, problem_of_boxes
from tfrecords_tools.foundation.errors import CommandError
from tfrecords_tools.foundation.files import as_path, file_sha256
from tfrecords_tools.sources.box_table import CORNERS, box_rows


@dataclass(frozen=True)
class Placing:
    """Boxes of the images of a generator.

    `given` are those of the user `[n, MAX_BOXES, 4]`: image `index` has row `index` modulo n. None: the latents of an
    image choose among those of the training images. `source` tells which of both, and is empty without boxes.
    """

    generator: LoadedGenerator
    given: np.ndarray | None
    source: dict

    def boxes(self, labels: np.ndarray, seed: int, indices: np.ndarray) -> np.ndarray | None:
        """Returns the boxes `[N, MAX_BOXES, 4]` of images, None if the generator draws without boxes.

        The arguments are those of `sample_images`.
        """
        if self.given is not None:
            return self.given[indices % len(self.given)]
        return chosen_boxes(self.generator.network, labels, seed, indices)


def place(generator: LoadedGenerator, path: str) -> Placing:
    """Returns where lesions lie in the images of a generator.

    Arguments:
      generator: that draws them.
      path: of the user's CSV, empty if the generator is to choose.

    Raises:
      CommandError: for a CSV that cannot be read, or given to a generator that draws without boxes.
    """
    takes_boxes = table_of(generator.network) is not None
    if not path:
        return Placing(generator, None, {"from": "generator"} if takes_boxes else {})
    if not takes_boxes:
        raise CommandError(
            f"--boxes={path}: a generator of METHOD={generator.config.method} cannot be told where lesions lie; leave "
            "--boxes out, or train one of METHOD=cpggan"
        )
    given = whole_rows(_read(path))
    return Placing(generator, given, {"from": as_path(path).name, "sha256": file_sha256(as_path(path))})


def stored(boxes: np.ndarray) -> tuple[Box, ...]:
    """Returns the boxes of an image `[M, 4]` as an example holds them, without the zeros that fill up."""
    return tuple(tuple(box) for box in boxes.tolist() if any(box))


def _read(path: str) -> list[list[float]]:
    """Returns the box of every row."""
    boxes = []
    for line, _, box in box_rows(as_path(path), CORNERS):
        if problem := problem_of_boxes(box):
            raise CommandError(f"{path} line {line} {problem}; corners are shares of the sides, from 0 to 1")
        boxes.append(box)
    if not boxes:
        raise CommandError(f"{path}: no row; --boxes of synthesize takes one for every image")
    return boxes
