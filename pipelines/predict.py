"""Classifier runs + new images, a CSV table that names some, or shards -> predictions.csv: how probable each class is.

    python -m pipelines.predict --runs=BASELINE,MIXED --input=FOLDER --output=PREDICTIONS
    python -m pipelines.predict --runs=BASELINE --input=patients.csv --images=FOLDER --output=PREDICTIONS
    python -m pipelines.predict --runs=BASELINE --input=SHARDS --temperature=fitted --prior=real --output=PREDICTIONS

Every image is predicted by the networks of all folds of all runs; probabilities are means over the folds of a run, then
over the runs. Image files are first cut, reduced and compressed as those were that the run learned from. What cannot be
read is left out, and stands in rejected.csv with the reason. networks/ has the predictions of each network.
"""

import pipelines.contract.quiet_tensorflow  # noqa: F401

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import pandas as pd
from absl import logging

from pipelines.artefacts.classifier_run import ClassifierRun
from pipelines.artefacts.predicted import COMMAND, MOST_PROBABLE, PREDICTED_FILE, PredictingRun, PredictReport
from pipelines.contract.inputs import Input, absolute, file_input
from pipelines.contract.main import main
from pipelines.contract.shared_settings import CacheSettings, RejectionSettings
from pipelines.contract.workdir import digest, folder_input, local_folder, open_workdir
from pipelines.conversion.writing import REJECTED_FILE, Rejection, write_rejected
from pipelines.prediction.combining import combine
from pipelines.prediction.encoding import StoredAs, describe_other_storing, encoding_of
from pipelines.prediction.networks import network_files, predict_networks
from pipelines.prediction.new_images import Converted, ImageFiles, StoredImages, convert, open_input
from pipelines.prediction.runs import describe_seen, open_runs
from pipelines.submission.calibrated_run import CalibratedRun, CalibrationSettings, calibrate_run
from tfrecords_tools.csv_tables import write_table
from tfrecords_tools.foundation.errors import CommandError
from tfrecords_tools.foundation.files import as_path, is_file, remove_folder
from tfrecords_tools.foundation.settings import require, setting
from tfrecords_tools.foundation.texts import first_names
from tfrecords_tools.images import Encoding

_CONVERTED_FOLDER = "converted"  # image files as shards, until all networks have predicted them
_SPLITS = ("train", "test")


@dataclass(frozen=True, kw_only=True)
class PredictConfig(StoredAs, CacheSettings, CalibrationSettings, RejectionSettings):
    """Settings of predict."""

    runs: tuple[str, ...] = setting(help="folders that train_classifier wrote, separated by commas", is_path=True)
    input: str = setting(
        help="folder of images, one image, CSV file with a column image_name or path, or folder of shards; local or "
        "gs://",
        is_path=True,
    )
    output: str = setting(help="folder of predictions.csv", changes_result=False)
    images: str = setting("", "folder of the images that a CSV file names (default: that of the file)", is_path=True)
    split: str = setting(
        "", "images of shards: train or test (default: the test split of those that have it, and else all)"
    )
    workers: int = setting(0, "processes that read images; 0: one a core", changes_result=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.split in ("", *_SPLITS), "split", self.split, f"one of {', '.join(_SPLITS)}")
        require(self.workers >= 0, "workers", self.workers, "0 or greater")
        if not self.runs:
            raise CommandError("nothing to predict with: give --runs")


def run(config: PredictConfig) -> None:
    """Writes the predictions."""
    folder = local_folder(config.output, "output")
    workdir = open_workdir(folder, COMMAND, config)
    if workdir is None:
        remove_folder(folder / _CONVERTED_FOLDER)  # of a run that was killed between its two last lines
        return
    with workdir:
        runs = open_runs(config.runs)
        source = open_input(config.input, images=config.images, split=config.split, cache_dir=config.cache_dir)
        encodings = _encodings(config, source, runs)
        calibrated = [calibrate_run(each, config.temperature, config.prior) for each in runs]
        workdir.begin(_inputs(config, source, runs))
        if isinstance(source, ImageFiles):
            seen, (sets, rejected) = [], _convert_all(config, source, encodings, workdir.path)
        else:
            seen, sets, rejected = _warn(source, runs), [source] * len(runs), {}
        classes = runs[0].report.classes
        of_networks = predict_networks(workdir.path, calibrated, sets)
        table = combine(of_networks, classes)
        write_table(workdir.path / PREDICTED_FILE, table)
        write_rejected(workdir.path, rejected.values())
        files = [PREDICTED_FILE, REJECTED_FILE, *chain.from_iterable(network_files(calibrated))]
        workdir.complete(_report(config, calibrated, table, rejected, seen), files)
        remove_folder(workdir.path / _CONVERTED_FOLDER)  # last: a run that resumes needs it
    logging.info("predictions of %d images: %s", len(table), workdir.path / PREDICTED_FILE)


def _encodings(
    config: PredictConfig, source: ImageFiles | StoredImages, runs: Sequence[ClassifierRun]
) -> list[Encoding]:
    """Returns how each run has image files stored; none for shards, whose images are stored already."""
    if isinstance(source, ImageFiles):
        return [encoding_of(each, config) for each in runs]
    if config.is_given():
        raise CommandError(
            f"{source.shards.folder}: images of shards are stored already; leave out --image_size, --fit, --quality"
        )
    return []


def _inputs(
    config: PredictConfig, source: ImageFiles | StoredImages, runs: Sequence[ClassifierRun]
) -> dict[str, Input]:
    """Returns the inputs with a digest; image files are compared one by one, see `write_plan`."""
    inputs = {f"runs, {number}": folder_input(each.folder) for number, each in enumerate(runs, start=1)}
    if isinstance(source, StoredImages):
        return inputs | {"input": folder_input(source.shards.folder)}
    return inputs | ({"input": file_input(config.input)} if is_file(as_path(config.input)) else {})


def _convert_all(
    config: PredictConfig, source: ImageFiles, encodings: Sequence[Encoding], folder: Path
) -> tuple[list[StoredImages], dict[str, Rejection]]:
    """Returns the images as each run has them stored, and those that could not be read, by name."""
    found: dict[Encoding, Converted] = {}
    for encoding in dict.fromkeys(encodings):
        place = folder / _CONVERTED_FOLDER / f"{encoding.image_size}_{encoding.fit}_{encoding.quality}"
        found[encoding] = convert(source, encoding, place, workers=config.workers, max_rejected=config.max_rejected)
    rejected = {rejection[0]: rejection for each in found.values() for rejection in each.rejected}
    if rejected:
        reasons = [f"{name} ({reason})" for name, _, reason in rejected.values()]
        logging.warning("images that cannot be read have no prediction, %d: %s", len(rejected), first_names(reasons, 3))
    return [found[encoding].stored for encoding in encodings], rejected


def _warn(images: StoredImages, runs: Sequence[ClassifierRun]) -> list[str]:
    """Warns of shards that a run was trained on, or that are stored otherwise; returns the former as sentences."""
    seen = [sentence for each in runs if (sentence := describe_seen(each, images))]
    otherwise = [sentence for each in runs if (sentence := describe_other_storing(each, images.shards))]
    for sentence in (*seen, *otherwise):
        logging.warning("%s", sentence)
    return seen


def _report(
    config: PredictConfig,
    runs: Sequence[CalibratedRun],
    table: pd.DataFrame,
    rejected: Mapping[str, Rejection],
    seen: Sequence[str],
) -> PredictReport:
    classes, counts = runs[0].run.report.classes, table[MOST_PROBABLE].value_counts()
    return PredictReport(
        classes=classes,
        images=len(table),
        rejected=len(rejected),
        most_probable={name: int(counts.get(name, 0)) for name in classes},
        runs=tuple(
            PredictingRun(
                name=each.run.name,
                path=absolute(each.run.folder),
                digest=digest(each.run.folder),
                networks=len(each.run.report.folds),
                temperature=each.temperature,
            )
            for each in runs
        ),
        prior=config.prior,
        seen=tuple(seen),
    )


if __name__ == "__main__":
    main(PredictConfig, run)
