"""The images that a submission must name, and whether predictions are of them: each once, and no others."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pandas as pd
from absl import logging

from pipelines.submission.texts_table import read_texts
from tfrecords_tools.foundation.errors import CommandError
from tfrecords_tools.foundation.files import AnyPath
from tfrecords_tools.foundation.texts import first_names

TEST_SHARDS = "the test shards"
_REMEDIES = {
    TEST_SHARDS: "rejected.csv of the shards tells which could not be read; --fill=mean gives them the mean of the "
    "others"
}


def read_wanted_names(path: AnyPath) -> list[str]:
    """Returns the image names of a sample submission, in its order.

    Raises:
      CommandError: if there is no such file, it is no CSV table, or it has no column image_name.
    """
    return read_texts(path, remedy="give --sample_submission")["image_name"].tolist()


def missing_images(names: Collection[str], wanted: Sequence[str]) -> list[str]:
    """Returns those of the images wanted that are not among some names, each once, in their order."""
    known = set(names)
    return [name for name in dict.fromkeys(wanted) if name not in known]


def fill_with_means(predictions: Sequence[pd.Series], images: Sequence[str]) -> list[pd.Series]:
    """Returns predictions of runs, indexed by image name, and for other images the mean of each run; says so once."""
    if not images:
        return list(predictions)
    logging.warning(
        "%d images are missing from the test shards, and get the mean of the predictions of each run: %s",
        *(len(images), first_names(images, 5)),
    )
    return [pd.concat([each, pd.Series(each.mean(), index=list(images))]) for each in predictions]


def require_same_names(names: Sequence[str], wanted: Sequence[str], place: str = TEST_SHARDS) -> None:
    """Does nothing if images are those of a sample submission, each once.

    Arguments:
      names: of the images.
      wanted: of the sample submission.
      place: where the images are, for the message.

    Raises:
      CommandError: naming missing, extra or repeated ones.
    """
    missing = missing_images(names, wanted)
    _require_none(
        {
            f"repeated in {place}": [name for name, count in Counter(names).items() if count > 1],
            "repeated in the sample submission": [name for name, count in Counter(wanted).items() if count > 1],
            f"missing from {place}": missing,
            "not in the sample submission" if place == TEST_SHARDS else f"of {place} not in the sample submission": (
                missing_images(wanted, names)
            ),
        },
        remedy=_REMEDIES.get(place, "") if missing else "",
    )


def arrange(predictions: pd.Series, wanted: list[str]) -> pd.DataFrame:
    """Returns the rows `image_name, target` in the order wanted.

    Arguments:
      predictions: targets indexed by image name.
      wanted: image names of the sample submission.

    Raises:
      CommandError: naming missing, extra or repeated names, or values that are not finite.
    """
    require_same_names(predictions.index.tolist(), wanted)
    not_finite = predictions.index[~np.isfinite(predictions.to_numpy())].tolist()
    _require_none({"without a finite prediction": not_finite}, remedy="")
    return pd.DataFrame({"image_name": wanted, "target": predictions.loc[wanted].to_numpy()})


def _require_none(problems: Mapping[str, Sequence[str]], remedy: str) -> None:
    """Raises CommandError with the names that are wrong in some way, if there are any."""
    found = [f"{len(bad)} {what}: {first_names(bad, 5)}" for what, bad in problems.items() if bad]
    if found:
        raise CommandError("the submission would be wrong; names " + "; ".join([*found, *filter(None, [remedy])]))
