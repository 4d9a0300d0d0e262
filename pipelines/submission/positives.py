"""Whether runs, each with classes of its own, mean the same images by the class that is positive."""

import itertools
from collections.abc import Sequence

import pandas as pd

from pipelines.artefacts.classifier_run import ClassifierRun
from pipelines.artefacts.comparisons import out_of_fold
from tfrecords_tools.foundation.errors import CommandError


def require_same_positives(runs: Sequence[ClassifierRun], labels: Sequence[str]) -> None:
    """Does nothing if the images that two runs have predicted out of fold are positive in both or in none.

    Arguments:
      runs: any number.
      labels: the positive class of each.

    Raises:
      CommandError: naming the classes and the runs.
    """
    found = [(run, label, _positives(run, label)) for run, label in zip(runs, labels, strict=True)]
    for (one, name, positives), (other, label, own) in itertools.combinations(found, 2):
        common = positives.index.intersection(own.index)
        if (positives[common] != own[common]).any():
            raise CommandError(
                f"{name} of {one.folder} and {label} of {other.folder} are not the same images; give runs of "
                "the same --target, or --label if both have the class"
            )


def _positives(run: ClassifierRun, label: str) -> pd.Series:
    table = out_of_fold(run).set_index("image_name")
    return table["label"] == run.report.classes.index(label)
