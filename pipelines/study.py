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
from pipelines.contract.progress import format_seconds
from pipelines.contract.shared_settings import FIGURE_FORMATS
from pipelines.contract.workdir import Workdir, digest, folder_input, installed_versions, local_folder, open_workdir
from pipelines.pages.page import Section
from pipelines.pages.page_files import write_page
from pipelines.pages.study_methods import methods_paragraph
from pipelines.pages.study_section import study_sections
from pipelines.studying.analysis import Analysis
from pipelines.studying.budget import Sizes, fit, read_sizes, with_sizes, write_sizes
from pipelines.studying.design import Design, open_design
from pipelines.studying.engines import run_jobs
from pipelines.studying.fold_features import RealFeatures, real_features
from pipelines.studying.generator_jobs import jobs_folder
from pipelines.studying.generators_table import read_generators
from pipelines.studying.linear_scores import linear_scores
from pipelines.studying.network_scores import classifier_jobs, network_scores
from pipelines.studying.pilot import Costs, hours_left, measure
from pipelines.studying.real_images import RealImages, real_images
from pipelines.studying.scores import ArmScores, all_trainings
from pipelines.studying.tables import write_scores, write_tables
from tfrecords_tools.foundation.errors import CommandError
from tfrecords_tools.foundation.files import as_path, write_atomically
from tfrecords_tools.foundation.texts import first_names

PAGE = "study.html"
_EXPECTED_AREA, _EXPECTED_CORRELATION = 0.80, 0.90
_MOST_NAMES = 3


def run(config: StudyConfig) -> None:
    """Runs a study."""
    folder = local_folder(config.workdir, "workdir")
    if config.plan:
        _plan(config, folder)
        return
    workdir = open_workdir(folder, COMMAND, config)
    if workdir is None:
        return
    with workdir:
        design, images, store = _open(config)
        workdir.begin(_inputs(config))
        design = _fitted(design, images, store, folder)
        # Before the jobs, which find them in files then. Networks need none.
        real = None if config.classifier == NETWORK else real_features(design, images, store)
        design, failed = _train_generators(design)
        design, scores, failed = _train_classifiers(design, images, real, store, failed)
        _write(workdir, design, images, scores, failed, Sizes.of(design.config).cut_from(Sizes.of(config)))
        if failed:
            raise CommandError(f"{_told(failed)}; {folder / PAGE} tells what the others came to")


def _open(config: StudyConfig) -> tuple[Design, RealImages, FeatureStore]:
    """Returns the design, all real images and the features, after all settings were found to be right."""
    design = open_design(config)
    images = real_images(design.shards, config.num_folds, design.label)
    if config.classifier == NETWORK:
        classifier_jobs(design, images)  # raises for settings of theirs that are wrong
    extractor = make_extractor(config.features, config.weights, design.shards, ())
    return design, images, FeatureStore(jobs_folder(config) / "features", extractor)


def _fitted(design: Design, images: RealImages, store: FeatureStore, folder: Path) -> Design:
    """Returns the design that keeps within the hours of the user, as the study was begun with it."""
    if not design.config.budget_hours:
        return design
    sizes = read_sizes(folder)
    if sizes is None:
        logging.info("measuring how long the jobs take, by short ones")
        sizes = Sizes.of(fit(design, images, measure(design, images, store)).config)
        write_sizes(folder, sizes)
    for line in sizes.cut_from(Sizes.of(design.config)):
        logging.info("to keep within --budget_hours=%g: %s", design.config.budget_hours, line)
    return with_sizes(design, sizes)


def _inputs(config: StudyConfig) -> dict[str, Input]:
    return {"shards": folder_input(config.shards)} | extractor_inputs(config.features, config.weights)


def _train_generators(design: Design) -> tuple[Design, dict[str, str]]:
    """Returns the design with the methods whose generators are complete, and the reasons of the jobs that failed."""
    failed = run_jobs(design.generator_jobs, design.config, "generators")
    incomplete = {generator.method for generator in design.generators if generator.name in failed}
    return _without(design, incomplete, failed), failed


def _train_classifiers(
    design: Design,
    images: RealImages,
    real: RealFeatures | None,
    store: FeatureStore,
    failed: Mapping[str, str],
) -> tuple[Design, dict[str, ArmScores], dict[str, str]]:
    """Returns the design with the methods whose classifiers are complete, all scores, and why jobs failed so far."""
    if real is None:
        scores, also_failed = network_scores(design, images)
    else:
        scores, also_failed = linear_scores(design, real, store), {}
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
    workdir: Workdir,
    design: Design,
    images: RealImages,
    scores: dict[str, ArmScores],
    failed: Mapping[str, str],
    cut: tuple[str, ...],
) -> None:
    """Writes the tables and the page; the study is complete if no job failed."""
    folder, config = Path(workdir.path), design.config
    logging.info("resampling patients and runs")
    report = replace(_report(design, images, scores), failed=dict(failed), cut=cut)
    write_scores(folder, images, scores)
    write_tables(folder, report, config.margin)
    paragraph = methods_paragraph(config, report, digest(as_path(config.shards)), installed_versions())
    sections = [*study_sections(config, report), Section("Methods", paragraph, ())]
    write_atomically(folder / METHODS_TEXT, paragraph + "\n")
    figures = write_page(folder / PAGE, f"melgan study: {report.label}", sections, figures=FIGURE_FORMATS)
    if not failed:
        workdir.complete(report, [PAGE, METHODS_TEXT, *TABLES, *figures])
    logging.info("%s", sections[0].text)
    logging.info("page: %s", folder / PAGE)


def _report(design: Design, images: RealImages, scores: dict[str, ArmScores]) -> StudyReport:
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
    )


def _plan(config: StudyConfig, folder: Path) -> None:
    """Prints what would be done, how long it takes, and the smallest difference that could be seen."""
    design, images, store = _open(config)
    print(f"class: {design.label_name}, {images.positive.sum()} of {len(images.positive)} images")
    for generator, job in zip(design.generators, design.generator_jobs, strict=True):
        left = ", ".join(job.commands_left()) or "complete"
        print(f"  generator {generator.name}, {generator.count} images: {left}")
    print("measuring how long the jobs take, by short ones", flush=True)
    costs = measure(design, images, store)
    for method, seconds in costs.generators.items():
        print(f"  {format_seconds(seconds)} for a generator of {method}")
    is_short = costs.classifier < 1
    print(f"  {f'{costs.classifier:.2f}s' if is_short else format_seconds(costs.classifier)} for a classifier")
    _print_size(design, images, costs)
    if config.budget_hours:
        fitted = with_sizes(design, read_sizes(folder) or Sizes.of(fit(design, images, costs).config))
        cut = Sizes.of(fitted.config).cut_from(Sizes.of(config))
        print(f"within --budget_hours={config.budget_hours:g}: {'; '.join(cut) or 'all of it'}")
        _print_size(fitted, images, costs)


def _print_size(design: Design, images: RealImages, costs: Costs) -> None:
    config, positives = design.config, int(images.positive.sum())
    done = sum(generator.is_complete for generator in design.generators)
    kind = "networks" if config.classifier == NETWORK else f"linear, on features of {config.features}"
    print(f"generators: {len(design.generators)}, of which {done} are complete")
    print(f"classifiers: {len(all_trainings(design))}, {kind}; {len(design.arms)} arms, {config.num_folds} folds")
    hours = hours_left(design, images, costs)
    print(f"time left: {format_seconds(3600 * hours)}, {config.num_at_a_time} at a time")
    negatives = len(images.positive) - positives
    error = standard_error_of_difference(_EXPECTED_AREA, positives, negatives, _EXPECTED_CORRELATION)
    family = sum(arm.is_synthetic for arm in design.arms)
    print(
        f"smallest difference in AUC seen with a power of 80 %: {detectable_difference(error):.3f} of one arm, "
        f"{detectable_difference(error, family):.3f} of {family} together (for an AUC of {_EXPECTED_AREA}, areas that "
        f"correlate by {_EXPECTED_CORRELATION}, and one image a patient)"
    )


if __name__ == "__main__":
    main(StudyConfig, run)
