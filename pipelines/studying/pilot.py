"""How long the jobs of a study take, measured by short ones, or by those that are complete already."""

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from melgan.classifiers.linear import LinearTraining, train_linear
from melgan.metrics.dihedral import NUM_VIEWS
from pipelines.artefacts.epochs import series_of_fold
from pipelines.artefacts.feature_store import FeatureStore
from pipelines.artefacts.image_sets import read_images
from pipelines.artefacts.shards import split_fold
from pipelines.artefacts.speed import seconds_per_step
from pipelines.artefacts.study import NETWORK
from pipelines.contract.flags import as_flags
from pipelines.contract.workdir import digest, is_completed, read_facts
from pipelines.studying.classifier_jobs import classifier_job, run_folder
from pipelines.studying.design import Design
from pipelines.studying.generator_jobs import job_of, jobs_folder
from pipelines.studying.generator_kinds import GeneratorKind, kind_of
from pipelines.studying.jobs import Command, Job, run_job
from pipelines.studying.real_images import RealImages
from pipelines.studying.scores import all_trainings
from tfrecords_tools.foundation.errors import CommandError

_EPOCHS = 2  # of short trainings
_TIMED_IMAGES = 64


@dataclass(frozen=True)
class Costs:
    """The seconds that one generator of each method, by its name, and one classifier take, and one image's features."""

    generators: Mapping[str, float]
    classifier: float
    features: float = 0.0


def measure(design: Design, images: RealImages, store: FeatureStore) -> Costs:
    """Returns what the jobs of a study cost on this machine.

    Raises:
      CommandError: if a short job fails, as the long ones would.
    """
    generators = {method: _seconds_of_method(design, method) for method in design.methods}
    if design.config.classifier == NETWORK:
        return Costs(generators, _seconds_of_network(design, images))
    return Costs(generators, *_seconds_of_linear(design, images, store))


def hours_left(design: Design, images: RealImages, costs: Costs) -> float:
    """Returns the hours that the jobs which are not complete take, as many at a time as the config says."""
    generators = sum(costs.generators[each.method] for each in design.generators if not each.is_complete)
    if design.config.classifier == NETWORK:
        count = sum(not is_completed(run_folder(design, training)) for training in all_trainings(design))
        return (generators + count * costs.classifier) / design.config.num_at_a_time / 3600
    num_features = len(images.positive) + (NUM_VIEWS - 1) * int(images.positive.sum())
    num_features += sum(each.count for each in design.generators)
    classifiers = len(all_trainings(design)) * costs.classifier + num_features * costs.features
    return (generators / design.config.num_at_a_time + classifiers) / 3600


def _seconds_of_method(design: Design, method: str) -> float:
    """Returns the seconds of a generator's commands, by one that is complete or by a short one."""
    generators = [each for each in design.generators if each.method == method]
    kind = kind_of(method)
    folds_served = design.config.num_folds if kind.serves_all_folds else 1
    for each in generators:
        if each.is_complete:
            training, *others = (read_facts(folder).seconds for folder in (each.gan, each.synthetic, each.evaluation))
            return training / folds_served + sum(others)
    job = job_of(design.config, generators[0])
    short = _short_generator(job, kind, _folder_of(design, job))
    _run(short)
    asked, taken = (kind.steps(each.commands[0].config, design.shards, generators[0]) for each in (job, short))
    folder = short.commands[0].folder
    left = {series: count - taken[series] for series, count in asked.items()}
    added = sum(count * (kind.seconds_per_step(folder, series) or 0.0) for series, count in left.items() if count)
    training, *others = (read_facts(command.folder).seconds for command in short.commands)
    return (training + added) / folds_served + sum(others)


def _short_generator(job: Job, kind: GeneratorKind, folder: Path) -> Job:
    """Returns the commands of a generator with fewer steps, in folders of their own."""
    shorter = {kind.folder_setting: folder / "gan", **kind.shorter(job.commands[0].config)}
    # What a generator draws after so few steps looks like nothing else, or all alike.
    drawing = {"gan": folder / "gan", "num_folds": 0, "fold": 0}  # a fold may hold out all of a few images
    drawn = drawing | {"output": folder / "synthetic", "reject_copies": False}
    evaluated = drawing | {"output": folder / "evaluation", "feature_dir": folder / "features"}
    commands = _changed(job.commands, (shorter, drawn, evaluated))
    return Job(f"short {job.name}", commands, folder / "log.txt")


def _changed(commands: Sequence[Command], settings: Sequence[dict]) -> tuple[Command, ...]:
    return tuple(
        replace(command, settings={**command.settings, **own}) for command, own in zip(commands, settings, strict=True)
    )


def _seconds_of_network(design: Design, images: RealImages) -> float:
    """Returns the seconds of the training of a network, by one that is complete or by a short one."""
    trainings = all_trainings(design)
    for training in trainings:
        if is_completed(run_folder(design, training)):
            return read_facts(run_folder(design, training)).seconds
    first = trainings[0]
    job = classifier_job(design, images, first)
    folder = _folder_of(design, job)
    asked = job.commands[0].config
    shorter = {"workdir": folder / "run", "epochs": min(_EPOCHS, asked.epochs)}
    short = Job("short classifier", _changed(job.commands, (shorter,)), folder / "log.txt")
    _run(short)
    steps = (asked.epochs - min(_EPOCHS, asked.epochs)) * asked.steps_per_epoch
    rate = seconds_per_step(folder / "run", series_of_fold(first.fold)) or 0.0
    return read_facts(folder / "run").seconds + steps * rate


def _folder_of(design: Design, job: Job) -> Path:
    """Returns the folder of a short job, another one for other settings or shards."""
    told = [digest(design.shards.folder), *(as_flags(command.settings) for command in job.commands)]
    name = hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]
    return jobs_folder(design.config) / "pilot" / name


def _run(job: Job) -> None:
    outcome = run_job(job)
    if outcome.failure or outcome.is_busy:
        reason = outcome.failure or "another study is at work there"
        raise CommandError(f"{job.name} failed: {reason}; mend that first")


def _seconds_of_linear(design: Design, images: RealImages, store: FeatureStore) -> tuple[float, float]:
    """Returns the seconds of a linear classifier, and of the features of an image."""
    manifest = design.shards.manifest
    read = read_images(design.shards, split_fold(manifest, design.config.num_folds, 0)[1], manifest.image_size)
    some = read.take(np.arange(min(_TIMED_IMAGES, len(read.labels))))
    store.extract(some)  # builds the network
    began = time.monotonic()
    features = store.extract(some).features
    of_image = (time.monotonic() - began) / len(some.labels)
    count = len(images.training_rows(0))
    positive = np.arange(count) % 2 == 0
    began = time.monotonic()
    length = LinearTraining(design.config.passes * count, design.config.weight_decay)
    train_linear(np.resize(features, (count, features.shape[1])), positive, length, 0)
    return time.monotonic() - began, of_image
