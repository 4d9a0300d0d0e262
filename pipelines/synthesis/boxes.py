"""Placement of lesions in synthetic images: in boxes that a user gives, or that the generator chooses."""

from dataclasses import dataclass, replace

import numpy as np

from melgan.gans.boxes import whole_rows
from melgan.sampling import Requests
from pipelines.synthesis.opened import OpenedSampler
from tfrecords_tools.boxes import Box, problem_of_boxes
from tfrecords_tools.foundation.errors import CommandError
from tfrecords_tools.foundation.files import as_path, file_sha256
from tfrecords_tools.provenance import LesionsOrigin
from tfrecords_tools.sources.box_table import CORNERS, box_rows

_CONDITION = "boxes"
BY_GENERATOR = LesionsOrigin(origin="generator")


@dataclass(frozen=True)
class Placement:
    """Boxes of images.

    Attributes:
      given: by the user `[n, MAX_BOXES, 4]`; image `index` has row `index` modulo n. None: the generator chooses.
      origin: where they come from; None without boxes.
    """

    given: np.ndarray | None
    origin: LesionsOrigin | None

    def placed(self, requests: Requests) -> Requests:
        """Returns requests with the boxes that are given, if there are any."""
        return requests if self.given is None else replace(requests, boxes=self.given[requests.index % len(self.given)])


def place(generator: OpenedSampler, path: str) -> Placement:
    """Returns where lesions lie in the images of a generator.

    Arguments:
      generator: that draws them.
      path: of the user's CSV, empty if the generator is to choose.

    Raises:
      CommandError: for a CSV that cannot be read, or given to a generator that draws without boxes.
    """
    takes_boxes = _CONDITION in generator.sampler.conditions
    if not path:
        return Placement(None, BY_GENERATOR if takes_boxes else None)
    if not takes_boxes:
        raise CommandError(
            f"--boxes={path}: a generator of METHOD={generator.method} cannot be told where lesions lie; leave --boxes "
            "out, or train one of METHOD=cpggan, or of METHOD=pix2pix CONDITION=boxes"
        )
    given = whole_rows(_read(path))
    return Placement(given, LesionsOrigin(origin=as_path(path).name, sha256=file_sha256(as_path(path))))


def without_padding(boxes: np.ndarray) -> tuple[Box, ...]:
    """Returns the boxes of an image `[M, 4]` as an example holds them, without the zeros that fill up."""
    return tuple(tuple(box) for box in boxes.tolist() if any(box))


def _read(path: str) -> list[list[float]]:
    """Returns the box of every row."""
    boxes = []
    for line, _, box in box_rows(as_path(path), CORNERS):
        if problem := problem_of_boxes(box):
            raise CommandError(f"{path} line {line} {problem}; corners are fractions of the sides, from 0 to 1")
        boxes.append(box)
    if not boxes:
        raise CommandError(f"{path}: no row; --boxes of synthesize takes one for every image")
    return boxes
