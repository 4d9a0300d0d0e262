"""Classifier runs + test shards, or CSV files of predictions -> submission.csv for Kaggle.

    python -m pipelines.make_submission --runs=BASELINE,MIXED --output=SUBMISSION
    python -m pipelines.make_submission --runs=BASELINE --csv=OTHER.csv --ensemble=weighted --weights=0.8,0.2 \\
        --output=SUBMISSION
    python -m pipelines.make_submission --csv=A.csv,B.csv --ensemble=rank --sample_submission=SAMPLE.csv \\
        --output=SUBMISSION

Predicts the test split with every fold of every run, takes the mean over the folds, combines runs and CSV files, and
writes `image_name,target` in the row order of sample_submission.csv; beside it the predictions of each run and CSV
file. Missing, extra or repeated names and values that are not finite are refused. An image that could not be read is
missing from the test shards: --fill=mean gives it the mean prediction of the others.
"""

import pipelines.contract.quiet_tensorflow  # noqa: F401

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from absl import logging

from melgan.classifiers.ensembles import ENSEMBLES, Weights, equal_weights
from pipelines.artefacts.classifier_run import ClassifierRun, open_classifier_run
from pipelines.artefacts.seen import require_same_classes
from pipelines.artefacts.shards import Shards, open_shards
from pipelines.artefacts.submission import AS_TRAINED, SUBMISSION_FILE, Member, SubmissionReport, predictions_file
from pipelines.contract.inputs import Input, absolute, file_input
from pipelines.contract.main import main
from pipelines.contract.progress import Progress
from pipelines.contract.shared_settings import CacheSettings
from pipelines.contract.workdir import digest, folder_input, local_folder, open_workdir
from pipelines.submission.calibrated_run import NONE, CalibratedRun, CalibrationSettings, calibrate_run
from pipelines.submission.csv_predictions import read_csv_predictions
from pipelines.submission.fitting import Fitted, fit_runs
from pipelines.submission.positives import require_same_positives
from pipelines.submission.wanted import (
    arrange,
    fill_with_means,
    missing_images,
    read_wanted_names,
    require_same_names,
)
from tfrecords_tools.foundation.errors import CommandError
from tfrecords_tools.foundation.files import AnyPath, as_path, write_atomically
from tfrecords_tools.foundation.settings import require, setting

FILLS = ("none", "mean")
_WEIGHTS = "numbers of 0 or greater, one of them above 0"


@dataclass(frozen=True, kw_only=True)
class MakeSubmissionConfig(CacheSettings, CalibrationSettings):
    """Settings of make_submission."""

    runs: tuple[str, ...] = setting((), "folders that train_classifier wrote, separated by commas", is_path=True)
    output: str = setting(help="folder of submission.csv", changes_result=False)
    csv: tuple[str, ...] = setting(
        (), "CSV files of anybody's predictions, image_name and a column of numbers, beside runs or alone", is_path=True
    )
    shards: str = setting("", "folder that make_shards wrote (default: the one of the first run)", is_path=True)
    sample_submission: str = setting(
        "", "file with the rows wanted (default: sample_submission.csv of the shards)", is_path=True
    )
    label: str = setting("", "class whose probability is the target (default: the --target of each run)")
    ensemble: str = setting(
        "mean",
        "how runs, each the mean of its folds, and CSV files are combined; weighted is a mean by --weights, fitted a "
        "sum of logits whose weights are fitted to out-of-fold predictions",
        choices=tuple(ENSEMBLES),
    )
    weights: tuple[str, ...] = setting((), "of --ensemble=weighted: one of each run, then one of each CSV file")
    fill: str = setting(
        "none",
        "value of images that the test shards lack: none refuses them, mean is the mean of the predicted ones",
        choices=FILLS,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        members, wanted = len(self.runs) + len(self.csv), ENSEMBLES[self.ensemble].weights
        if not members:
            raise CommandError("nothing to submit: give --runs, --csv or both")
        if not self.runs and not self.shards and not self.sample_submission:
            raise CommandError("--csv without --runs: give --sample_submission, which tells the rows wanted")
        if not self.runs and (self.temperature != NONE or self.prior != AS_TRAINED or self.fill != "none"):
            raise CommandError("--temperature, --prior and --fill are of --runs, and there are none")
        if wanted == "fitted" and (self.csv or len(self.runs) < 2):
            raise CommandError(
                f"--ensemble={self.ensemble}: give two or more --runs, and no --csv: a file of test predictions has "
                "none that are out of fold"
            )
        if wanted == "given" and len(self.weights) != members:
            raise CommandError(f"--weights: {len(self.weights)} for {members} runs and CSV files; give one of each")
        if wanted != "given" and self.weights:
            raise CommandError(f"--weights and --ensemble={self.ensemble}: give --ensemble=weighted, or no weights")
        numbers = self.weight_numbers
        is_right = all(math.isfinite(number) and number >= 0 for number in numbers)
        require(is_right and (sum(numbers) > 0 or not numbers), "weights", ",".join(self.weights), _WEIGHTS)

    @property
    def weight_numbers(self) -> tuple[float, ...]:
        """The weights given."""
        try:
            return tuple(map(float, self.weights))
        except ValueError:
            return (math.nan,)


def run(config: MakeSubmissionConfig) -> None:
    """Writes the submission."""
    workdir = open_workdir(local_folder(config.output, "output"), "make_submission", config)
    if workdir is None:
        return
    with workdir:
        runs = [open_classifier_run(path, "runs") for path in config.runs]
        shards = _open_shards(config, runs)
        labels = [_label(config, run, shards) for run in runs]
        require_same_positives(runs, labels)
        sample_submission = _sample_submission(config, shards)
        wanted, filled = _wanted_images(config, shards, sample_submission)
        of_files = [_read_csv(path, config, wanted) for path in config.csv]
        calibrated = [calibrate_run(run, config.temperature, config.prior) for run in runs]
        fitted = _fit(config, calibrated, labels)
        workdir.begin(_inputs(config, runs, shards, sample_submission))
        of_runs = fill_with_means(_predict(calibrated, shards, labels), filled)
        weights = fitted.weights if fitted else _weights(config)
        members = _members(config, calibrated, weights)
        columns = {
            member.predictions: arrange(each, wanted)
            for member, each in zip(members, (*of_runs, *of_files), strict=True)
        }
        tables = columns | {SUBMISSION_FILE: _combine(config, list(columns.values()), weights)}
        for name, table in tables.items():
            # As Kaggle compares the names, none is guarded from spreadsheets.
            write_atomically(workdir.path / name, table.to_csv(index=False))
        report = SubmissionReport(
            rows=len(wanted),
            label=", ".join(dict.fromkeys(labels)),
            models=sum(member.networks for member in members),
            runs={str(run.folder): digest(run.folder) for run in runs},
            filled=len(filled),
            filled_images=tuple(filled),
            ensemble=config.ensemble,
            members=members,
            intercept=weights.intercept,
            gain=fitted.gain if fitted else None,
            prior=config.prior,
        )
        workdir.complete(report, tables)
    logging.info("%d rows, %s of %d: %s", len(wanted), config.ensemble, len(members), workdir.path / SUBMISSION_FILE)


def _open_shards(config: MakeSubmissionConfig, runs: Sequence[ClassifierRun]) -> Shards | None:
    """Returns the shards with the test images; None where CSV files alone are combined, without shards."""
    if not runs and not config.shards:
        return None
    shards = open_shards(config.shards or runs[0].report.shards, "shards", config.cache_dir)
    if runs and not shards.manifest.split("test"):
        raise CommandError(f"{shards.folder}: these shards have no test split, so there is nothing to submit")
    return shards


def _inputs(
    config: MakeSubmissionConfig, runs: Sequence[ClassifierRun], shards: Shards | None, sample_submission: AnyPath
) -> dict[str, Input]:
    inputs = {f"runs, {number}": folder_input(run.folder) for number, run in enumerate(runs, start=1)}
    inputs |= {f"csv, {number}": file_input(path) for number, path in enumerate(config.csv, start=1)}
    if shards is not None:
        inputs["shards"] = folder_input(shards.folder)
    return inputs | {"sample_submission": file_input(sample_submission)}


def _wanted_images(
    config: MakeSubmissionConfig, shards: Shards | None, sample_submission: AnyPath
) -> tuple[list[str], list[str]]:
    """Returns the images of the sample submission, and those of them to be filled; refuses before any work."""
    wanted = read_wanted_names(sample_submission)
    if not config.runs:
        require_same_names(list(dict.fromkeys(wanted)), wanted)
        return wanted, []
    names = shards.image_names(shards.manifest.split("test"))
    filled = missing_images(names, wanted) if config.fill == "mean" else []
    require_same_names([*names, *filled], wanted)
    return wanted, filled


def _sample_submission(config: MakeSubmissionConfig, shards: Shards | None) -> AnyPath:
    if config.sample_submission:
        return as_path(config.sample_submission)
    return shards.folder / "sample_submission.csv"


def _read_csv(path: str, config: MakeSubmissionConfig, wanted: Sequence[str]) -> pd.Series:
    return read_csv_predictions(as_path(path), wanted, ENSEMBLES[config.ensemble].takes_any_scale)


def _label(config: MakeSubmissionConfig, run: ClassifierRun, shards: Shards) -> str:
    """Returns the class of a run whose probability is the target."""
    if not run.config.diagnoses:
        require_same_classes(f"{run.folder}", run.report.classes, shards.folder, shards.classes)
    if config.label not in ("", *run.report.classes):
        raise CommandError(f"--label={config.label}: no class of {run.folder}; it has {', '.join(run.report.classes)}")
    return config.label or run.target


def _fit(config: MakeSubmissionConfig, runs: Sequence[CalibratedRun], labels: Sequence[str]) -> Fitted | None:
    if ENSEMBLES[config.ensemble].weights != "fitted":
        return None
    fitted = fit_runs(runs, labels)
    logging.info(
        "weights fitted to %d images out of fold: AUC %+.4f against the mean (95 %% interval %+.4f to %+.4f)",
        *(fitted.images, fitted.gain.value, fitted.gain.low, fitted.gain.high),
    )
    return fitted


def _weights(config: MakeSubmissionConfig) -> Weights:
    return Weights(np.array(config.weight_numbers)) if config.weights else equal_weights(len(config.runs + config.csv))


def _predict(runs: Sequence[CalibratedRun], shards: Shards | None, labels: Sequence[str]) -> list[pd.Series]:
    """Returns the probabilities of a class by image name, of each run, and shows the progress over all folds."""
    progress = Progress("prediction", sum(len(run.run.report.folds) for run in runs), "models")
    done = itertools.count(1)
    return [
        run.predict(shards, label, on_fold=lambda: progress.update(next(done)))
        for run, label in zip(runs, labels, strict=True)
    ]


def _combine(config: MakeSubmissionConfig, columns: Sequence[pd.DataFrame], weights: Weights) -> pd.DataFrame:
    """Returns the submission, from the predictions of each model in the order of its rows."""
    targets = ENSEMBLES[config.ensemble].combine(np.stack([column["target"] for column in columns]), weights)
    return columns[0].assign(target=targets.clip(0, 1))  # a mean of ones may be above 1 by its rounding


def _members(config: MakeSubmissionConfig, runs: Sequence[CalibratedRun], weights: Weights) -> tuple[Member, ...]:
    described = [(run.run.name, str(run.run.folder), len(run.run.report.folds), run.temperature) for run in runs]
    described += [(as_path(path).name.removesuffix(".csv"), absolute(path), 0, 1.0) for path in config.csv]
    return tuple(
        Member(
            name=name,
            path=path,
            predictions=predictions_file(number, name),
            networks=networks,
            weight=float(weight),
            temperature=temperature,
        )
        for number, ((name, path, networks, temperature), weight) in enumerate(
            zip(described, weights.of_models, strict=True), start=1
        )
    )


if __name__ == "__main__":
    main(MakeSubmissionConfig, run)
