"""Any set of runs -> report.html: one page that needs nothing from outside, for a screen, a phone or paper.

    python -m pipelines.report --runs=SHARDS,GAN,SYNTHETIC,BASELINE,MIXED,SUBMISSION --output=REPORT

Runs are folders of any command, in any order. Classifiers that differ in nothing but their synthetic images are
compared on the images that both predicted. With --figures and --tables, pictures and tables are written as files too.
"""

import pipelines.contract.quiet_tensorflow  # noqa: F401

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from absl import logging

from pipelines.artefacts import (
    adopted_run,
    classifier_run,
    evaluation,
    generator_run,
    predicted,
    singan_run,
    study,
    synthetic_run,
    translator_run,
)
from pipelines.artefacts.classifier_run import read_classifier_run
from pipelines.artefacts.comparisons import ReportReport, compare
from pipelines.artefacts.evaluation import EvaluationReport
from pipelines.artefacts.generator_run import read_gan_run
from pipelines.artefacts.predicted import PredictReport
from pipelines.artefacts.singan_run import SinganReport
from pipelines.artefacts.submission import SubmissionReport
from pipelines.artefacts.synthetic_run import SyntheticReport
from pipelines.artefacts.translator_run import read_translator_run
from pipelines.contract.main import main
from pipelines.contract.shared_settings import PageSettings
from pipelines.contract.workdir import (
    digest,
    folder_input,
    local_folder,
    open_workdir,
    read_facts,
    read_report,
    require_completed,
)
from pipelines.pages.classifier_section import classifier_section
from pipelines.pages.evaluation_section import comparison_of_generators, evaluation_section
from pipelines.pages.generator_section import generator_section
from pipelines.pages.page import Section, named
from pipelines.pages.page_files import write_page
from pipelines.pages.predictions_section import predictions_section
from pipelines.pages.provenance_section import provenance_section
from pipelines.pages.result_section import comparison_section, result_section
from pipelines.pages.run_names import run_names
from pipelines.pages.shards_section import shards_section
from pipelines.pages.study_section import study_section
from pipelines.pages.submission_section import submission_section
from pipelines.pages.synthetic_section import synthetic_section
from pipelines.pages.translator_section import singan_section, translator_section
from tfrecords_tools.foundation.files import AnyPath
from tfrecords_tools.foundation.settings import setting
from tfrecords_tools.manifest import read_manifest

REPORT_PAGE = "report.html"

# Command -> the section on one of its runs; the page has them in this order.
SECTIONS: dict[str, Callable[[AnyPath], Section]] = {
    "make_shards": lambda folder: shards_section(folder, read_manifest(folder)),
    generator_run.COMMAND: lambda folder: generator_section(read_gan_run(folder)),
    translator_run.COMMAND: lambda folder: translator_section(read_translator_run(folder)),
    singan_run.COMMAND: lambda folder: singan_section(folder, read_report(folder, SinganReport)),
    adopted_run.COMMAND: lambda folder: synthetic_section(folder, read_report(folder, SyntheticReport)),
    synthetic_run.COMMAND: lambda folder: synthetic_section(folder, read_report(folder, SyntheticReport)),
    evaluation.COMMAND: lambda folder: evaluation_section(folder, read_report(folder, EvaluationReport)),
    classifier_run.COMMAND: lambda folder: classifier_section(read_classifier_run(folder)),
    "make_submission": lambda folder: submission_section(folder, read_report(folder, SubmissionReport)),
    study.COMMAND: study_section,
    predicted.COMMAND: lambda folder: predictions_section(folder, read_report(folder, PredictReport)),
}


@dataclass(frozen=True, kw_only=True)
class ReportConfig(PageSettings):
    """Settings of report."""

    runs: tuple[str, ...] = setting(help="folders of any command, separated by commas", is_path=True)
    output: str = setting(help="folder of report.html", changes_result=False)
    title: str = setting("melgan report", "title of the page")


def run(config: ReportConfig) -> None:
    """Writes the page."""
    workdir = open_workdir(local_folder(config.output, "output"), "report", config)
    if workdir is None:
        return
    with workdir:
        folders = [require_completed(path, "runs") for path in dict.fromkeys(config.runs)]
        sections, report = make_sections(folders)
        workdir.begin({f"runs, {number}": folder_input(folder) for number, folder in enumerate(folders, start=1)})
        page = workdir.path / REPORT_PAGE
        files = write_page(page, config.title, sections, figures=config.figures, tables=config.tables)
        workdir.complete(report, [REPORT_PAGE, *files])
    logging.info("report: %s", workdir.path / REPORT_PAGE)


def make_sections(folders: Sequence[AnyPath]) -> tuple[list[Section], ReportReport]:
    """Returns the sections of the page on some runs, and what the report says of them."""
    names = run_names(folders)
    made_by = {folder: read_facts(folder).command for folder in names}
    of_command = {command: [folder for folder in names if made_by[folder] == command] for command in SECTIONS}
    classifiers = [
        replace(read_classifier_run(folder), called=names[folder]) for folder in of_command[classifier_run.COMMAND]
    ]
    comparisons, left_out = compare(classifiers)
    reports = {names[folder]: read_report(folder, EvaluationReport) for folder in of_command[evaluation.COMMAND]}
    after = {
        classifier_run.COMMAND: comparison_section(comparisons),
        evaluation.COMMAND: comparison_of_generators(reports),
    }
    sections = result_section(classifiers, comparisons, left_out)
    for command, own in of_command.items():
        sections += [named(SECTIONS[command](folder), names[folder]) for folder in own] + after.get(command, [])
    sections.append(provenance_section(names))
    runs = {str(folder): digest(folder) for folder in folders}
    return sections, ReportReport(runs=runs, comparisons=tuple(comparisons))


if __name__ == "__main__":
    main(ReportConfig, run)
