"""Real shards -> do synthetic images of the rare class help, of which generator, and how many? One page answers.

    python -m pipelines.study --shards=SHARDS --workdir=STUDY --methods=bagan_gp,cdragan --ratios=0.5,1,2
    python -m pipelines.study --shards=SHARDS --workdir=STUDY --plan

For every fold it trains generators that have not seen it, draws images without copies, and evaluates them. Then a
linear classifier learns from features of real and synthetic images, once for every arm, seed and fold: real images
alone, synthetic ones added at every ratio, and controls that tell what else could make a difference. All see as many
images. Writes study.html, arms.csv, differences.csv, variance.csv, power.csv, ratio.csv, generators.csv, scores.csv,
and for a paper differences.tex and methods.txt.
"""

import pipelines.contract.quiet_tensorflow  # noqa: F401

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from absl import logging

from melgan.studies.arms import all_arms, count_added
from melgan.studies.power import detectable_difference, standard_error_of_difference
from pipelines.artefacts.feature_store import FeatureStore, extractor_inputs, make_extractor
from pipelines.artefacts.shards import Shards, open_shards, split_fold
from pipelines.artefacts.study import COMMAND, METHODS_TEXT, TABLES, StudyConfig, StudyReport
from pipelines.contract.inputs import Input
from pipelines.contract.main import main
from pipelines.contract.progress import Progress
from pipelines.contract.workdir import Workdir, digest, folder_input, installed_versions, local_folder, open_workdir
from pipelines.pages.page import Section, render
from pipelines.pages.study_methods import methods_paragraph
from pipelines.pages.study_section import study_sections
from pipelines.studying.analysis import Analysis
from pipelines.studying.fold_features import RealImages, fold_features, real_images
from pipelines.studying.generator_jobs import GeneratorJob, commands_left, jobs_folder, plan_generators, run_generators
from pipelines.studying.generators_table import read_generators
from pipelines.studying.scores import ArmScores, generator_seeds, new_scores, train_fold
from pipelines.studying.tables import write_scores, write_tables
from tfrecords_tools.foundation.errors import CommandError
from tfrecords_tools.foundation.files import as_path, write_atomically

PAGE = "study.html"
_LEAST_OF_CLASS = 5  # images of the class in a fold
_EXPECTED_AREA, _EXPECTED_CORRELATION = 0.80, 0.90


def run(config: StudyConfig) -> None:
    """Runs a study."""
    folder = local_folder(config.workdir, "workdir")
    if config.plan:
        shards, label, jobs = _open(config)
        _print_plan(config, shards, label, jobs)
        return
    workdir = open_workdir(folder, COMMAND, config)
    if workdir is None:
        return
    with workdir:
        shards, label, jobs = _open(config)
        extractor = make_extractor(config.features, config.weights, shards, ())
        workdir.begin(_inputs(config))
        _require_all(run_generators(config, jobs))
        store = FeatureStore(jobs_folder(config) / "features", extractor)
        real = real_images(shards, config.num_folds, label, store)
        scores = _score(config, shards, real, jobs, store)
        report = _report(config, shards, label, jobs, real, scores)
        _write(workdir, config, real, scores, report)


def _open(config: StudyConfig) -> tuple[Shards, int, list[GeneratorJob]]:
    """Returns the shards, the number of the class, and the generators, after all settings were found to be right."""
    shards = open_shards(config.shards, "shards", config.cache_dir)
    label = _label(config, shards)
    for fold in range(config.num_folds):
        _require_enough(shards, split_fold(shards.manifest, config.num_folds, fold), label, fold)
        _require_added(config, shards, label, fold)
    return shards, label, plan_generators(config, shards, label)


def _label(config: StudyConfig, shards: Shards) -> int:
    if not config.label:
        return int(np.argmin(shards.class_counts(shards.manifest.split("train"))))
    if config.label not in shards.classes:
        raise CommandError(
            f"--label={config.label}: {shards.folder} has {', '.join(shards.classes)}; give one of these"
        )
    return shards.classes.index(config.label)


def _require_enough(shards: Shards, split: tuple, label: int, fold: int) -> None:
    for what, entries in zip(("to train on", "to evaluate by"), split, strict=True):
        counts = shards.class_counts(entries)
        of_class = {shards.classes[label]: counts[label], "other classes": sum(counts) - counts[label]}
        for name, count in of_class.items():
            if count < _LEAST_OF_CLASS:
                raise CommandError(
                    f"fold {fold} has {count} images of {name} {what}, and {_LEAST_OF_CLASS} are needed; give fewer "
                    "--num_folds, or another --label"
                )


def _require_added(config: StudyConfig, shards: Shards, label: int, fold: int) -> None:
    """Raises CommandError if a ratio is so small that it adds no image."""
    training, _ = split_fold(shards.manifest, config.num_folds, fold)
    smallest, count = min(config.ratio_values), shards.class_counts(training)[label]
    if not count_added(count, smallest):
        raise CommandError(
            f"--ratios: {smallest:g} of {count} images in fold {fold} is less than one; give larger ones"
        )


def _require_all(failed: Sequence[str]) -> None:
    if failed:
        raise CommandError(
            f"{len(failed)} generators failed ({'; '.join(failed)}), each twice; log.txt in the folder of each "
            "tells why; start the same command again once that is mended, or ask for the others in a new "
            "--workdir with the same --jobs_dir; what is complete stays"
        )


def _inputs(config: StudyConfig) -> dict[str, Input]:
    return {"shards": folder_input(config.shards)} | extractor_inputs(config.features, config.weights)


def _score(
    config: StudyConfig, shards: Shards, real: RealImages, jobs: Sequence[GeneratorJob], store: FeatureStore
) -> dict[str, ArmScores]:
    arms = all_arms(config.methods, config.ratio_values)
    scores = new_scores(arms, config, len(real.positive))
    progress, done = Progress("arms", len(arms) * config.num_folds, "arms"), itertools.count(1)
    for fold in range(config.num_folds):
        own = [job for job in jobs if job.fold == fold]
        features = fold_features(real, fold, shards, own, store, config)
        train_fold(features, arms, config, scores, lambda: progress.update(next(done)))
    return scores


def _report(
    config: StudyConfig,
    shards: Shards,
    label: int,
    jobs: Sequence[GeneratorJob],
    real: RealImages,
    scores: dict[str, ArmScores],
) -> StudyReport:
    arms = all_arms(config.methods, config.ratio_values)
    logging.info("resampling patients and runs")
    analysis = Analysis(config, real, arms, scores)
    patients = len(np.unique(real.groups))
    return StudyReport(
        label=shards.classes[label],
        images=len(real.positive),
        positives=int(real.positive.sum()),
        patients=patients,
        has_patients=patients < len(real.positive),
        arms=analysis.results,
        comparisons=analysis.comparisons,
        best_ratios=analysis.best_ratios,
        generators=read_generators(jobs),
    )


def _write(
    workdir: Workdir, config: StudyConfig, real: RealImages, scores: dict[str, ArmScores], report: StudyReport
) -> None:
    folder = Path(workdir.path)
    write_scores(folder, real, all_arms(config.methods, config.ratio_values), scores, config)
    write_tables(folder, report, config.margin)
    paragraph = methods_paragraph(config, report, digest(as_path(config.shards)), installed_versions())
    sections = [*study_sections(config, report), Section("Methods", paragraph, ())]
    write_atomically(folder / METHODS_TEXT, paragraph + "\n")
    write_atomically(folder / PAGE, render(f"melgan study: {report.label}", sections))
    workdir.complete(report, [PAGE, METHODS_TEXT, *TABLES])
    logging.info("%s", sections[0].text)
    logging.info("page: %s", folder / PAGE)


def _print_plan(config: StudyConfig, shards: Shards, label: int, jobs: Sequence[GeneratorJob]) -> None:
    """Prints what would be done, and the smallest difference that could be seen."""
    arms = all_arms(config.methods, config.ratio_values)
    counts = shards.class_counts(shards.manifest.split("train"))
    positives, negatives = counts[label], sum(counts) - counts[label]
    error = standard_error_of_difference(_EXPECTED_AREA, positives, negatives, _EXPECTED_CORRELATION)
    family = sum(arm.is_synthetic for arm in arms)
    runs = sum(len(generator_seeds(config, arm)) * config.seeds for arm in arms)
    print(f"class: {shards.classes[label]}, {positives} of {positives + negatives} images, {config.num_folds} folds")
    left = {job.name: commands_left(config, job) for job in jobs}
    print(f"generators: {len(jobs)}, of which {sum(not own for own in left.values())} are complete")
    for job in jobs:
        print(f"  {job.name}, {job.count} images: {', '.join(left[job.name]) or 'complete'}")
    print(f"classifiers: {runs * config.num_folds}, linear, on features of {config.features}; {len(arms)} arms")
    print(
        f"smallest difference in AUC seen with a power of 80 %: {detectable_difference(error):.3f} of one arm, "
        f"{detectable_difference(error, family):.3f} of {family} together (for an AUC of {_EXPECTED_AREA}, areas that "
        f"correlate by {_EXPECTED_CORRELATION}, and one image a patient)"
    )


if __name__ == "__main__":
    main(StudyConfig, run)
