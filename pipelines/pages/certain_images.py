"""The images of which a classifier is most certain, wrong and right, with what it looks at, as parts of a page."""

from collections.abc import Sequence

import pandas as pd

from pipelines.artefacts.certain_images import CertainImage, ExplainedImage, explain, most_certain
from pipelines.artefacts.classifier_run import ClassifierRun
from pipelines.pages.activation_pictures import ActivationPair, activation_picture
from pipelines.pages.page import Details, Item, Picture, Table
from tfrecords_tools.foundation.errors import DataError

MOST_SHOWN = 8
_MAPS = (
    "Beside each image, the brighter the more, what speaks for the predicted class: Grad-CAM (Selvaraju et al. 2017) "
    "of a map of features of the network of its fold, which was not trained on it, and of the image unturned."
)


def certain_images(run: ClassifierRun, predictions: pd.DataFrame) -> tuple[str, tuple[Item, ...]]:
    """Returns a sentence on why there are no pictures, or "", and pictures of the most certain errors and hits.

    The errors are in a table too, with or without pictures.
    """
    errors, hits = (most_certain(predictions, MOST_SHOWN, right=right) for right in (False, True))
    table = (Details("The most certain errors by name", (_table(errors, run.report.classes),)),) if errors else ()
    try:
        explained = explain(run, [*errors, *hits])
    except DataError as error:
        return f"There are no pictures of images, because {error}.", table
    shown = (("wrong", explained[: len(errors)]), ("right", explained[len(errors) :]))
    pictures = [_picture(images, run.report.classes, how) for how, images in shown if images]
    return "", (*pictures, *table)


def _table(errors: Sequence[CertainImage], classes: Sequence[str]) -> Table:
    rows = tuple(
        (each.name, classes[each.label], classes[each.predicted], f"{each.probability:.3f}", str(each.fold))
        for each in errors
    )
    return Table(("image", "class", "predicted", "probability of that", "fold"), rows)


def _picture(images: Sequence[ExplainedImage], classes: Sequence[str], how: str) -> Picture:
    pairs = [ActivationPair(each.image, each.activation, _lines(each.certain, classes)) for each in images]
    caption = f"The images of which the classifier is most certain, out of fold, and {how}. {_MAPS}"
    return Picture(activation_picture(pairs), caption)


def _lines(image: CertainImage, classes: Sequence[str]) -> tuple[str, str]:
    predicted = f"{classes[image.predicted]} {image.probability:.3f}"
    is_right = image.predicted == image.label
    return image.name, predicted if is_right else f"{classes[image.label]}, predicted {predicted}"
