"""The predictions of networks as one table."""

from collections.abc import Sequence
from functools import reduce

import numpy as np
import pandas as pd

from pipelines.artefacts.predicted import DISAGREEMENT, MOST_PROBABLE
from pipelines.artefacts.predictions import probability_columns


def combine(of_runs: Sequence[Sequence[pd.DataFrame]], classes: Sequence[str]) -> pd.DataFrame:
    """Returns the mean over the networks of each run, then over the runs, of the images that all have predicted.

    Columns are `image_name`, `probability NAME` of each class, `MOST_PROBABLE`, the name of the most probable class,
    and, of several networks, `DISAGREEMENT`: the standard deviation over them of the probability of that class.

    Arguments:
      of_runs: tables with `image_name` and the probabilities, of each network of each run, in one order.
      classes: their names.
    """
    tables = [table for run in of_runs for table in run]
    common = reduce(np.intersect1d, [table["image_name"].to_numpy(str) for table in tables])
    columns = probability_columns(classes)
    kept = [[table[table["image_name"].isin(common)] for table in run] for run in of_runs]
    of_networks = [[table[columns].to_numpy() for table in run] for run in kept]
    mean = np.mean([np.mean(run, axis=0) for run in of_networks], axis=0)
    best = mean.argmax(axis=1)
    combined = pd.DataFrame(mean, columns=columns)
    combined.insert(0, "image_name", kept[0][0]["image_name"].to_numpy())
    combined[MOST_PROBABLE] = np.asarray(classes, object)[best]
    if len(tables) > 1:
        every = np.stack([probabilities for run in of_networks for probabilities in run])
        combined[DISAGREEMENT] = every.std(axis=0)[np.arange(len(best)), best]
    return combined
