"""Classifier runs + test shards -> submission.csv for Kaggle.

    python -m pipelines.make_submission --runs=BASELINE,MIXED --output=SUBMISSION

Predicts the test split with every fold of every run, takes the mean of the probabilities, and writes
`image_name,target` in the row order of sample_submission.csv. Missing, extra or repeated names and values that are
not finite are refused. An image that could not be read is missing from the test shards: --fill=mean gives it the mean
prediction of the others.
"""

import pipelines.contract.quiet_tensorflow  # noqa: F401

import io
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from absl import logging

from melgan.classifiers.prediction import Predictor
from pipelines.artefacts.classifier_run import ClassifierRun, open_classifier_run
from pipelines.artefacts.predictions import predictions_table, probability_columns
from pipelines.artefacts.seen import require_same_classes
from pipelines.artefacts.shards import Shards, open_shards
from pipelines.artefacts.submission import SUBMISSION_FILE, SubmissionReport
from pipelines.contract.inputs import Input, file_input
from pipelines.contract.main import main
from pipelines.contract.progress import Progress
from pipelines.contract.shared_settings import CacheSettings
from pipelines.contract.workdir import digest, folder_input, local_folder, open_workdir
from tfrecords_tools.foundation.errors import CommandError
from tfrecords_tools.foundation.files import AnyPath, as_path, is_file, read_bytes, write_atomically
from tfrecords_tools.foundation.settings import setting
from tfrecords_tools.foundation.texts import first_names

FILLS = ("none", "mean")
_REMEDY = "rejected.csv of the shards tells which could not be read; --fill=mean gives them the mean of the others"


@dataclass(frozen=True, kw_only=True)
class MakeSubmissionConfig(CacheSettings):
    """Settings of make_submission."""

    runs: tuple[str, ...] = setting(help="folders that train_classifier wrote, separated by commas", is_path=True)
    output: str = setting(help="folder of submission.csv", changes_result=False)
    shards: str = setting("", "folder that make_shards wrote (default: the one of the first run)", is_path=True)
    sample_submission: str = setting(
        "", "file with the rows wanted (default: sample_submission.csv of the shards)", is_path=True
    )
    label: str = setting("", "class whose probability is the target (default: the last class)")
    fill: str = setting(
        "none",
        "value of images that the test shards lack: none refuses them, mean is the mean of the predicted ones",
        choices=FILLS,
    )


def run(config: MakeSubmissionConfig) -> None:
    """Writes the submission."""
    workdir = open_workdir(local_folder(config.output, "output"), "make_submission", config)
    if workdir is None:
        return
    with workdir:
        runs = [open_classifier_run(path, "runs") for path in config.runs]
        shards = open_shards(config.shards or runs[0].report.shards, "shards", config.cache_dir)
        if not shards.manifest.split("test"):
            raise CommandError(f"{shards.folder}: these shards have no test split, so there is nothing to submit")
        label = config.label or shards.classes[-1]
        for run in runs:
            _require_class(run, label, shards)
        wanted, filled = _wanted_images(config, shards)
        workdir.begin(_inputs(runs, shards, _sample_submission(config, shards)))
        predictions, models = _mean_predictions(runs, shards, label)
        submission = arrange(fill_with_mean(predictions, filled), wanted)
        # As Kaggle compares the names, none is guarded from spreadsheets.
        write_atomically(workdir.path / SUBMISSION_FILE, submission.to_csv(index=False))
        report = SubmissionReport(
            rows=len(submission),
            label=label,
            models=models,
            runs={str(run.folder): digest(run.folder) for run in runs},
            filled=len(filled),
            filled_images=tuple(filled),
        )
        workdir.complete(report, [SUBMISSION_FILE])
    logging.info("%d rows, mean of %d models: %s", len(submission), models, workdir.path / SUBMISSION_FILE)


def _inputs(runs: Sequence[ClassifierRun], shards: Shards, sample_submission: AnyPath) -> dict[str, Input]:
    inputs = {f"runs, {number}": folder_input(run.folder) for number, run in enumerate(runs, start=1)}
    return inputs | {"shards": folder_input(shards.folder), "sample_submission": file_input(sample_submission)}


def _wanted_images(config: MakeSubmissionConfig, shards: Shards) -> tuple[list[str], list[str]]:
    """Returns the images of the sample submission, and those of them to be filled; refuses before any work."""
    wanted = read_wanted_names(_sample_submission(config, shards))
    names = shards.image_names(shards.manifest.split("test"))
    filled = missing_images(names, wanted) if config.fill == "mean" else []
    require_same_names([*names, *filled], wanted)
    return wanted, filled


def missing_images(names: Collection[str], wanted: Sequence[str]) -> list[str]:
    """Returns those of the images wanted that are not among some names, each once, in their order."""
    known = set(names)
    return [name for name in dict.fromkeys(wanted) if name not in known]


def fill_with_mean(predictions: pd.Series, images: Sequence[str]) -> pd.Series:
    """Returns predictions, indexed by image name, and for other images, if there are any, their mean; says so."""
    if not images:
        return predictions
    mean = predictions.mean()
    logging.warning(
        "%d images are missing from the test shards and get the mean of the %d predictions, %.6g: %s",
        *(len(images), len(predictions), mean, first_names(images, 5)),
    )
    return pd.concat([predictions, pd.Series(mean, index=list(images))])


def _require_class(run: ClassifierRun, label: str, shards: Shards) -> None:
    require_same_classes(f"{run.folder}", run.report.classes, shards)
    if label not in shards.classes:
        raise CommandError(f"--label={label}: no class of {shards.folder}; it has {', '.join(shards.classes)}")


def _sample_submission(config: MakeSubmissionConfig, shards: Shards) -> AnyPath:
    if config.sample_submission:
        return as_path(config.sample_submission)
    return shards.folder / "sample_submission.csv"


def read_wanted_names(path: AnyPath) -> list[str]:
    """Returns the image names of a sample submission, in its order.

    Raises:
      CommandError: if there is no such file, it is no CSV table, or it has no column image_name.
    """
    if not is_file(path):
        raise CommandError(f"{path}: no such file; give --sample_submission")
    try:
        table = pd.read_csv(io.BytesIO(read_bytes(path)), dtype=str, keep_default_na=False)  # an image may be called NA
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise CommandError(
            f"{path}: not a CSV table in UTF-8 ({str(error).strip()}); give --sample_submission"
        ) from error
    if "image_name" not in table:
        raise CommandError(f"{path}: no column image_name; it has {', '.join(table.columns)}")
    return table["image_name"].tolist()


def require_same_names(names: Sequence[str], wanted: Sequence[str]) -> None:
    """Does nothing if images are those of a sample submission, each once.

    Raises:
      CommandError: naming missing, extra or repeated ones.
    """
    missing = missing_images(names, wanted)
    _require_none(
        {
            "repeated in the test shards": [name for name, count in Counter(names).items() if count > 1],
            "repeated in the sample submission": [name for name, count in Counter(wanted).items() if count > 1],
            "missing from the test shards": missing,
            "not in the sample submission": missing_images(wanted, names),
        },
        remedy=_REMEDY if missing else "",
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


def _mean_predictions(runs: Sequence[ClassifierRun], shards: Shards, label: str) -> tuple[pd.Series, int]:
    """Returns the mean probability of a class over all folds of all runs, by image name, and how many there were."""
    folds = [(run, fold) for run in runs for fold in run.report.folds]
    progress = Progress("prediction", len(folds), "models")
    total = None
    for done, (run, fold) in enumerate(folds, start=1):
        predictor = Predictor(run.load(fold), run.config.test_time_views)
        table = predictions_table(predictor, run.config, shards, shards.manifest.split("test"), fold)
        own = table.set_index("image_name")[probability_columns([label])[0]]
        total = own if total is None else total + own
        progress.update(done)
    return total / len(folds), len(folds)


if __name__ == "__main__":
    main(MakeSubmissionConfig, run)
