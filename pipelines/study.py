"""Real shards -> do synthetic images of the rare class help, of which generator, and how many? One page answers.

    python -m pipelines.study --shards=SHARDS --workdir=STUDY --methods=bagan_gp,cdragan --ratios=0.5,1,2
    python -m pipelines.study --shards=SHARDS --workdir=STUDY --plan

For every fold it trains generators that have not seen it, draws images without copies, and evaluates them. Then
classifiers learn from real and synthetic images, one for every arm, seed and fold: real images alone, synthetic ones
added at every ratio, and controls that tell what else could make a difference. All see as many images. They are linear,
on features of the images, or with --classifier=network whole networks. Writes study.html, arms.csv, differences.csv,
variance.csv, power.csv, ratio.csv, generators.csv, scores.csv, and for a paper differences.tex, methods.txt and
figures/ as SVG and PDF. A job that fails twice is named, and the study goes on without its method.
"""

import pipelines.contract.quiet_tensorflow  # noqa: F401

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from absl import logging

from melgan.studies.power import detectable_difference, standard_error_of_difference
from pipelines.artefacts.feature_store import FeatureStore, extractor_inputs, make_extractor
from pipelines.artefacts.study import COMMAND, METHODS_TEXT, NETWORK, TABLES, StudyConfig, StudyReport
from pipelines.contract.inputs import Input
from pipelines.contract.main import main
from pipelines.contract.workdir import Workdir, digest, folder_input, installed_versions, local_folder, open_workdir
from pipelines.pages.figures import write_figures
from pipelines.pages.page import Section, render
from pipelines.pages.study_methods import methods_paragraph
from pipelines.pages.study_section import study_sections
from pipelines.studying.analysis import Analysis
from pipelines.studying.design import Design, open_design
from pipelines.studying.engines import run_jobs
from pipelines.studying.generator_jobs import jobs_folder
from pipelines.studying.generators_table import read_generators
from pipelines.studying.linear_scores import linear_scores
from pipelines.studying.network_scores import classifier_jobs, network_scores
from pipelines.studying.real_images import RealImages, real_images
from pipelines.studying.scores import ArmScores, trainings_of
from pipelines.studying.tables import write_scores, write_tables
from tfrecords_tools.foundation.errors import CommandError
from tfrecords_tools.foundation.files import as_path, write_atomically
from tfrecords_tools.foundation.texts import first_names

PAGE, FIGURES = "study.html", "figures"
_EXPECTED_AREA, _EXPECTED_CORRELATION = 0.80, 0.90
_MOST_NAMES = 3


def run(config: StudyConfig) -> None:
    """Runs a study."""
    folder = local_folder(config.workdir, "workdir")
    if config.plan:
        _print_plan(open_design(config))
        return
    workdir = open_workdir(folder, COMMAND, config)
    if workdir is None:
        return
    with workdir:
        design = open_design(config)
        images = real_images(design.shards, config.num_folds, design.label)
        if config.classifier == NETWORK:
            classifier_jobs(design, images)  # raises for settings of theirs that are wrong
        extractor = make_extractor(config.features, config.weights, design.shards, ())
        workdir.begin(_inputs(config))
        design, failed = _train_generators(design)
        store = FeatureStore(jobs_folder(config) / "features", extractor)
        design, scores, failed = _train_classifiers(design, images, store, failed)
        _write(workdir, design, images, scores, failed)
        if failed:
            raise CommandError(f"{_told(failed)}; {folder / PAGE} tells what the others came to")


def _inputs(config: StudyConfig) -> dict[str, Input]:
    return {"shards": folder_input(config.shards)} | extractor_inputs(config.features, config.weights)


def _train_generators(design: Design) -> tuple[Design, dict[str, str]]:
    """Returns the design with the methods whose generators are complete, and the reasons of the jobs that failed."""
    failed = run_jobs(design.generator_jobs, design.config, "generators")
    incomplete = {generator.method for generator in design.generators if generator.name in failed}
    return _without(design, incomplete, failed), failed


def _train_classifiers(
    design: Design, images: RealImages, store: FeatureStore, failed: Mapping[str, str]
) -> tuple[Design, dict[str, ArmScores], dict[str, str]]:
    """Returns the design with the methods whose classifiers are complete, all scores, and why jobs failed so far."""
    if design.config.classifier == NETWORK:
        scores, also_failed = network_scores(design, images)
    else:
        scores, also_failed = linear_scores(design, images, store), {}
    failed = {**failed, **also_failed}
    incomplete = [arm for arm in design.arms if not scores[arm.name].is_complete]
    if not all(arm.is_synthetic for arm in incomplete):  # nothing can be said without the controls
        raise CommandError(_told(failed))
    design = _without(design, {arm.kind for arm in incomplete}, failed)
    return design, {arm.name: scores[arm.name] for arm in design.arms}, failed


def _without(design: Design, incomplete: Collection[str], failed: Mapping[str, str]) -> Design:
    """Returns the design without some methods.

    Raises:
      CommandError: if none is left.
    """
    left = tuple(method for method in design.methods if method not in incomplete)
    if not left:
        raise CommandError(_told(failed))
    return replace(design, methods=left)


def _told(failed: Mapping[str, str]) -> str:
    names, reason = first_names(list(failed), _MOST_NAMES), next(iter(failed.values()))
    return (
        f"{len(failed)} jobs failed twice: {names} ({reason}); start the same command again once that is mended, or "
        "ask for the others in a new --workdir with the same --jobs_dir; what is complete stays"
    )


def _write(
    workdir: Workdir, design: Design, images: RealImages, scores: dict[str, ArmScores], failed: Mapping[str, str]
) -> None:
    """Writes the tables and the page; the study is complete if no job failed."""
    folder, config = Path(workdir.path), design.config
    logging.info("resampling patients and runs")
    report = _report(design, images, scores, failed)
    write_scores(folder, images, scores)
    write_tables(folder, report, config.margin)
    paragraph = methods_paragraph(config, report, digest(as_path(config.shards)), installed_versions())
    sections = [*study_sections(config, report), Section("Methods", paragraph, ())]
    write_atomically(folder / METHODS_TEXT, paragraph + "\n")
    write_atomically(folder / PAGE, render(f"melgan study: {report.label}", sections))
    figures = write_figures(folder / FIGURES, sections)
    if not failed:
        workdir.complete(report, [PAGE, METHODS_TEXT, *TABLES, *(f"{FIGURES}/{name}" for name in figures)])
    logging.info("%s", sections[0].text)
    logging.info("page: %s", folder / PAGE)


def _report(design: Design, images: RealImages, scores: dict[str, ArmScores], failed: Mapping[str, str]) -> StudyReport:
    analysis = Analysis(design, images, scores)
    patients = len(np.unique(images.groups))
    return StudyReport(
        label=design.label_name,
        images=len(images.positive),
        positives=int(images.positive.sum()),
        patients=patients,
        has_patients=patients < len(images.positive),
        arms=analysis.results,
        comparisons=analysis.comparisons,
        best_ratios=analysis.best_ratios,
        generators=read_generators(design.generators),
        methods=design.methods,
        failed=dict(failed),
    )


def _print_plan(design: Design) -> None:
    """Prints what would be done, and the smallest difference that could be seen."""
    config, shards, jobs = design.config, design.shards, design.generator_jobs
    counts = shards.class_counts(shards.manifest.split("train"))
    positives, negatives = counts[design.label], sum(counts) - counts[design.label]
    error = standard_error_of_difference(_EXPECTED_AREA, positives, negatives, _EXPECTED_CORRELATION)
    family = sum(arm.is_synthetic for arm in design.arms)
    print(f"class: {design.label_name}, {positives} of {positives + negatives} images, {config.num_folds} folds")
    left = {job.name: job.commands_left() for job in jobs}
    print(f"generators: {len(jobs)}, of which {sum(not own for own in left.values())} are complete")
    for generator in design.generators:
        print(f"  {generator.name}, {generator.count} images: {', '.join(left[generator.name]) or 'complete'}")
    count = sum(len(trainings_of(design, fold)) for fold in range(config.num_folds))
    print(f"classifiers: {count}, linear, on features of {config.features}; {len(design.arms)} arms")
    print(
        f"smallest difference in AUC seen with a power of 80 %: {detectable_difference(error):.3f} of one arm, "
        f"{detectable_difference(error, family):.3f} of {family} together (for an AUC of {_EXPECTED_AREA}, areas that "
        f"correlate by {_EXPECTED_CORRELATION}, and one image a patient)"
    )


if __name__ == "__main__":
    main(StudyConfig, run)
