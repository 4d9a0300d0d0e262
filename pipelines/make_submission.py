"""Classifier runs + test shards -> submission.csv for Kaggle.

    python -m pipelines.make_submission --runs=BASELINE,MIXED --output=SUBMISSION

Predicts the test split with every fold of every run, takes the mean of the probabilities, and writes
`image_name,target` in the row order of sample_submission.csv. Missing, extra or repeated names and values that are
not finite are refused.
"""

import pipelines.contract.quiet_tensorflow  # noqa: F401

import io
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from absl import logging

from melgan.classifiers.prediction import Predictor
from pipelines.artefacts.classifier_run import load_classifier, read_classifier_run
from pipelines.artefacts.predictions import predictions_table
from pipelines.artefacts.shards import Shards, open_shards
from pipelines.contract.main import main
from pipelines.contract.progress import Progress
from pipelines.contract.workdir import digest, local_folder, open_workdir, require_completed
from tfrecords_tools.foundation.errors import CommandError
from tfrecords_tools.foundation.files import AnyPath, as_path, is_file, read_bytes, write_atomically
from tfrecords_tools.foundation.settings import setting

SUBMISSION_FILE = "submission.csv"


@dataclass(frozen=True, kw_only=True)
class MakeSubmissionConfig:
    """Settings of make_submission."""

    runs: tuple[str, ...] = setting(help="folders that train_classifier wrote, separated by commas")
    output: str = setting(help="folder of submission.csv")
    shards: str = setting("", "folder that make_shards wrote (default: that of the first run)")
    cache_dir: str = setting("", "local copies of shards that lie in a bucket", changes_result=False)
    sample_submission: str = setting("", "file with the rows wanted (default: sample_submission.csv of the shards)")
    label: str = setting("", "class whose probability is the target (default: the last class)")


def run(config: MakeSubmissionConfig) -> None:
    """Writes the submission."""
    runs = [require_completed(path, "runs") for path in config.runs]
    shards = open_shards(config.shards or read_classifier_run(runs[0])[1]["shards"], "shards", config.cache_dir)
    if not shards.manifest.split("test"):
        raise CommandError(f"{shards.folder}: these shards have no test split, so there is nothing to submit")
    wanted = read_wanted_names(_sample_submission(config, shards))
    workdir = open_workdir(local_folder(config.output, "output"), "make_submission", config)
    if workdir is None:
        return
    label = config.label or shards.manifest.classes[-1]
    predictions, models = _mean_predictions(runs, shards, label)
    submission = arrange(predictions, wanted)
    write_atomically(workdir.path / SUBMISSION_FILE, submission.to_csv(index=False))
    digests = {str(folder): digest(folder) for folder in runs}
    workdir.complete({"rows": len(submission), "label": label, "models": models, "runs": digests})
    logging.info("%d rows, mean of %d models: %s", len(submission), models, workdir.path / SUBMISSION_FILE)


def _sample_submission(config: MakeSubmissionConfig, shards: Shards) -> AnyPath:
    if config.sample_submission:
        return as_path(config.sample_submission)
    return shards.folder / "sample_submission.csv"


def read_wanted_names(path: AnyPath) -> list[str]:
    """Returns the image names of a sample submission, in its order.

    Raises:
      CommandError: if there is no such file or it has no column image_name.
    """
    if not is_file(path):
        raise CommandError(f"{path}: no such file; give --sample_submission")
    table = pd.read_csv(io.BytesIO(read_bytes(path)), dtype=str)
    if "image_name" not in table:
        raise CommandError(f"{path}: no column image_name; it has {', '.join(table.columns)}")
    return table["image_name"].tolist()


def arrange(predictions: pd.Series, wanted: list[str]) -> pd.DataFrame:
    """Returns the rows `image_name, target` in the order wanted.

    Arguments:
      predictions: targets indexed by image name.
      wanted: image names of the sample submission.

    Raises:
      CommandError: naming missing, extra or repeated names, or values that are not finite.
    """
    names = predictions.index.tolist()
    problems = {
        "repeated in the predictions": [name for name, count in Counter(names).items() if count > 1],
        "repeated in the sample submission": [name for name, count in Counter(wanted).items() if count > 1],
        "missing from the test shards": sorted(set(wanted) - set(names)),
        "not in the sample submission": sorted(set(names) - set(wanted)),
        "without a finite prediction": predictions.index[~np.isfinite(predictions.to_numpy())].tolist(),
    }
    found = [f"{len(bad)} {what}: {', '.join(bad[:5])}" for what, bad in problems.items() if bad]
    if found:
        raise CommandError("the submission would be wrong; names " + "; ".join(found))
    return pd.DataFrame({"image_name": wanted, "target": predictions.loc[wanted].to_numpy()})


def _mean_predictions(runs: list[Path], shards: Shards, label: str) -> tuple[pd.Series, int]:
    """Returns the mean probability of a class over all folds of all runs, by image name, and how many there were."""
    folds = [(folder, fold) for folder in runs for fold in read_classifier_run(folder)[1]["folds"]]
    progress = Progress("prediction", len(folds), "models")
    total = None
    for done, (folder, fold) in enumerate(folds, start=1):
        report = read_classifier_run(folder)[1]
        if label not in report["classes"] or tuple(report["classes"]) != shards.manifest.classes:
            raise CommandError(f"{folder}: its classes {', '.join(report['classes'])} do not fit label {label!r}")
        model, config = load_classifier(folder, fold)
        predictor = Predictor(model, config.test_time_views)
        table = predictions_table(predictor, config.image_size, shards, shards.manifest.split("test"), fold)
        own = table.set_index("image_name")[label]
        total = own if total is None else total + own
        progress.update(done)
    return total / len(folds), len(folds)


if __name__ == "__main__":
    main(MakeSubmissionConfig, run)
