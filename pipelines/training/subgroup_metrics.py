"""The subgroups of out-of-fold predictions: by data set, sex, age and site."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from melgan.metrics.intervals import patient_groups
from melgan.metrics.subgroups import scored_images, subgroup_metrics
from pipelines.artefacts.predictions import KEY_COLUMNS, probability_columns
from pipelines.artefacts.shards import Shards
from pipelines.artefacts.subgroups import AT_SPECIFICITY, Subgroup
from tfrecords_tools.example import SOURCE_FEATURE
from tfrecords_tools.foundation.metadata import AGE, CATEGORIES, MISSING

NOT_KNOWN = "not known"
_AGES = (0, 30, 45, 60, 75)  # years, the first of each group
_CATEGORIES = ("sex", "anatom_site_general_challenge")


def facts_of_images(shards: Shards, names: pd.Series) -> pd.DataFrame:
    """Returns a row of `Shards.images` for each of some training images, with their data sets by name."""
    facts = shards.images(shards.manifest.split("train")).loc[names]
    known = {code: name for name, code in shards.sources.items()}
    return facts.assign(**{SOURCE_FEATURE: facts[SOURCE_FEATURE].map(lambda code: known.get(code, NOT_KNOWN))})


def with_sources(predictions: pd.DataFrame, facts: pd.DataFrame) -> pd.DataFrame:
    """Returns predictions with a column that tells the data set of each image; empty where it is not known."""
    sources = facts[SOURCE_FEATURE].replace(NOT_KNOWN, "").to_numpy()
    return pd.concat([predictions[KEY_COLUMNS].assign(source=sources), predictions.drop(columns=KEY_COLUMNS)], axis=1)


def evaluate_subgroups(
    predictions: pd.DataFrame, classes: Sequence[str], target: str, facts: pd.DataFrame, seed: int
) -> tuple[Subgroup, ...]:
    """Returns the subgroups of out-of-fold predictions; a property that all images share, or none has, is left out.

    Arguments:
      predictions: out of fold.
      classes: of the classifier.
      target: the class.
      facts: of their images, in their order.
      seed: of the resamples.
    """
    scored = scored_images(
        (predictions["label"] == list(classes).index(target)).to_numpy(),
        predictions[probability_columns([target])[0]].to_numpy(),
        predictions["fold"].to_numpy(),
        patient_groups(predictions["patient_id"].to_numpy()),
        specificity=AT_SPECIFICITY,
    )
    found = []
    for name, values in _properties(facts):
        for value in sorted(set(values) - {NOT_KNOWN}) + [NOT_KNOWN] * (NOT_KNOWN in set(values)):
            rows = np.flatnonzero(values == value)
            metrics = subgroup_metrics(scored, rows, seed)
            counts = {"images": len(rows), "positives": int(scored.positive[rows].sum())}
            found.append(Subgroup(property=name, value=value, **counts, **metrics))
    return tuple(found)


def _properties(facts: pd.DataFrame) -> Iterator[tuple[str, np.ndarray]]:
    """Yields the name of each property by which the images differ, and its value for every image `[N]`."""
    columns = {
        SOURCE_FEATURE: facts[SOURCE_FEATURE],
        AGE: facts[AGE].map(_age_group),
        **{
            name: facts[name].map(lambda code, of=name: CATEGORIES[of].names.get(code, NOT_KNOWN))
            for name in _CATEGORIES
        },
    }
    for name, values in columns.items():
        if len(set(values)) > 1:
            yield name, values.to_numpy()


def _age_group(age: int) -> str:
    """Returns the years of the group of an age, such as 45-59."""
    if age == MISSING:
        return NOT_KNOWN
    place = int(np.searchsorted(_AGES, age, side="right")) - 1
    first = _AGES[place]
    return f"{first}+" if place == len(_AGES) - 1 else f"{first}-{_AGES[place + 1] - 1}"
