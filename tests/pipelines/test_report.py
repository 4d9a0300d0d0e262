"""The report: what it says, and that a real browser shows it without an error or an outside request."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from pipelines.artefacts.classifier_run import ClassifierReport
from pipelines.artefacts.comparisons import ReportReport
from pipelines.artefacts.evaluation import EvaluationReport
from pipelines.artefacts.generator_run import BestGenerator, GanReport, GanRun, TrainGanConfig, read_best
from pipelines.artefacts.metrics_file import MetricsWriter
from pipelines.artefacts.shards_report import ShardsReport
from pipelines.artefacts.submission import SubmissionReport
from pipelines.artefacts.synthetic_run import SyntheticReport
from pipelines.contract.workdir import read_facts, read_report
from pipelines.pages.charts import stacked_bars
from pipelines.pages.generator_section import generator_section
from pipelines.pages.page import Picture, Section, Table, render
from tests.pipelines.pages.browser import browse, measured, needs_browser
from tfrecords_tools.foundation.documents import to_text
from tfrecords_tools.foundation.files import file_sha256
from tfrecords_tools.manifest import read_manifest, write_manifest
from tfrecords_tools.provenance import ShardsUsed

pytestmark = pytest.mark.slow


class _Links(HTMLParser):
    """Collects every address of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attributes: list) -> None:
        self.addresses += [value for name, value in attributes if name in ("src", "href", "srcset", "action")]


def test_every_address_is_inside_the_page(report: Path):
    links = _Links()
    links.feed((report / "report.html").read_text())
    assert len(links.addresses) > 10
    assert all(address.startswith(("data:", "#")) for address in links.addresses)


def test_every_run_has_its_section_and_the_comparison_is_made(report: Path):
    page = (report / "report.html").read_text()
    titles = re.findall(r"<h2>(.*?)</h2>", page)
    assert titles == [
        "Result",
        "Data: shards",
        "Generator: gan",
        "Synthetic images",
        "Evaluation",
        "Classifier: real_only",
        "Classifier: mixed",
        "With and without synthetic images",
        "Submission",
        "Provenance",
    ]
    (comparison,) = json.loads((report / "report.json").read_text())["comparisons"]
    assert (comparison["without"], comparison["with"]) == ("real_only", "mixed")
    assert comparison["low"] <= comparison["value"] <= comparison["high"]


def test_the_difference_is_that_of_the_areas_on_the_images_of_both(report: Path, line):
    (comparison,) = json.loads((report / "report.json").read_text())["comparisons"]
    tables = [pd.read_csv(folder / "oof.csv") for folder in (line.real_only, line.mixed)]
    shared = [table[table["fold"] == 0] for table in tables]
    areas = [roc_auc_score(table["label"], table["probability malignant"]) for table in shared]
    assert comparison["value"] == pytest.approx(areas[1] - areas[0], abs=1e-9)
    assert comparison["images"] == len(shared[0])


REPORTS = {
    "shards": ShardsReport,
    "gan": GanReport,
    "synthetic": SyntheticReport,
    "evaluation": EvaluationReport,
    "real_only": ClassifierReport,
    "mixed": ClassifierReport,
    "submission": SubmissionReport,
    "report": ReportReport,
}


@pytest.mark.parametrize("name", REPORTS)
def test_the_report_of_every_command_is_written_again_as_it_was_read(report: Path, line, name: str):
    """All keys, in their order; beside its own there is only what every report holds."""
    folder = getattr(line, name)
    stored = json.loads((folder / "report.json").read_text())
    facts = read_facts(folder)
    for key, value in (("stage", facts.command), ("seconds", facts.seconds), ("versions", facts.versions)):
        assert stored.pop(key) == value
    assert stored.pop("config_sha256")
    for file, sha256 in stored.pop("files").items():
        assert file_sha256(folder / file) == sha256
    written = json.loads(to_text(read_report(folder, REPORTS[name])))
    assert written == stored
    assert list(written) == list(stored)


def test_manifests_and_the_best_generator_are_written_again_as_they_were_read(report: Path, line, tmp_path: Path):
    for folder in (line.shards, line.synthetic):
        write_manifest(tmp_path, read_manifest(folder))
        assert (tmp_path / "manifest.json").read_text() == (folder / "manifest.json").read_text()
    assert to_text(read_best(line.gan)) == (line.gan / "best.json").read_text()


def test_texts_are_escaped():
    table = Table(("<b>",), (("<script>alert(1)</script>",),))
    page = render(
        "a & b", [Section("<i>", "x < y", (table, Picture(stacked_bars([0], {"a": [1]}, "shard"), '"quoted"')))]
    )
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "a &amp; b" in page


def gan_run(folder: Path, diversity: dict[str, list[float]], **report: object) -> GanRun:
    """A GAN run of which only the metrics are there, with its diversity every 100 steps."""
    losses, watched = MetricsWriter(folder, "gan", 0), MetricsWriter(folder, "diversity", 0)
    for number, values in enumerate(zip(*diversity.values(), strict=True), start=1):
        losses.write(100 * number, {"generator_loss": 1.0})
        named = zip(diversity, values, strict=True)
        watched.write(100 * number, {f"diversity_{name}": value for name, value in named})
    config = TrainGanConfig(shards="x", workdir=str(folder), image_size=32, global_batch_size=8)
    used = ShardsUsed(folds_fingerprint="one", shards=("train00-9.tfrec",), indices=(0,))
    report = {
        "generator_sha256": "f" * 64,
        "method": "bagan_gp",
        "classes": tuple(diversity),
        "class_counts": (3,) * len(diversity),
        "trained_on": used,
        "last_metrics": {"generator_loss": 1.0},
        "steps": 200,
        "rollbacks": 0,
    } | report
    return GanRun(folder, config, GanReport(**report))


def test_a_generator_is_described_by_method_size_steps_and_shards(tmp_path):
    section = generator_section(gan_run(tmp_path, {"ring": [0.9]}))
    assert section.title == "Generator"
    for said in ("bagan_gp", "32 px", "width 1.0", "200 steps", "8 images", "1 shards"):
        assert said in section.text


def test_a_class_that_ended_collapsed_is_named_and_its_curve_drawn(tmp_path):
    run = gan_run(tmp_path, {"red cell": [0.1, 0.25], "ring": [0.9, 0.012], "schizont": [0.2, 0.2]})
    section = generator_section(run)
    assert "ring (0.012), schizont (0.200)" in section.text
    losses, diversity = section.items
    assert losses.caption == "Training of the GAN"
    assert "0.25" in diversity.caption
    drawn, other = (item.image.file("svg").decode() for item in (diversity, losses))
    assert "stroke-dasharray" in drawn
    assert "stroke-dasharray" not in other


def test_nothing_is_said_of_classes_that_ended_healthy(tmp_path):
    section = generator_section(gan_run(tmp_path, {"ring": [0.1, 0.3], "schizont": [0.9, 0.8]}))
    assert len(section.items) == 2
    unmeasured = generator_section(gan_run(tmp_path / "unmeasured", {}))
    assert unmeasured.text == section.text


def test_runs_whose_diversity_was_not_measured_show_none(tmp_path):
    run = gan_run(tmp_path, {"ring": [0.1]})
    MetricsWriter(tmp_path, "diversity", 0)  # drops its lines
    assert [item.caption for item in generator_section(run).items] == ["Training of the GAN"]


def test_the_curves_of_evaluations_name_the_features_and_the_best_generator(tmp_path):
    best = BestGenerator(step=100, kid=0.1, class_name="schizont", sha256="e" * 64)
    run = gan_run(tmp_path, {"ring": [0.9, 0.9]}, best=best)
    writer = MetricsWriter(tmp_path, "evaluation", 0)
    for step in (100, 200):
        writer.write(step, {"kid/ring": 0.5, "kid/schizont": 0.1 * step})
    *others, curves = generator_section(run).items
    assert len(others) == 2
    for said in ("pixels", "KID of schizont", "step 100"):
        assert said in curves.caption


@needs_browser
def test_a_browser_shows_it_without_an_error_or_an_outside_request(report: Path, tmp_path: Path):
    log = tmp_path / "net.json"
    flags = ("--enable-logging=stderr", f"--log-net-log={log}", "--window-size=390,2000")
    shown = browse(tmp_path, report / "report.html", *flags, f"--screenshot={tmp_path / 'page.png'}")
    assert (tmp_path / "page.png").stat().st_size > 10_000
    console = [line for line in shown.stderr.splitlines() if "CONSOLE" in line]
    assert console == []
    requested = set(re.findall(r'"url":"((?:https?|ftp|wss?)://[^"]+)"', log.read_text()))
    assert {address for address in requested if "google" not in address and "gvt1" not in address} == set()


@needs_browser
def test_the_headline_is_in_sight_on_a_phone_and_nothing_is_wider_than_it(report: Path, tmp_path: Path):
    find = """
    const areas = [...page.querySelectorAll("#result td")].filter(cell => cell.dataset.label.startsWith("AUC"));
    return { overflow: page.documentElement.scrollWidth - page.documentElement.clientWidth,
             at: areas.map(cell => [cell.getBoundingClientRect().right, cell.getBoundingClientRect().bottom]) };
    """
    found = measured(tmp_path, (report / "report.html").read_text(), find, width=390)
    assert found["overflow"] == 0
    assert len(found["at"]) == 2
    assert all(right <= 390 and bottom <= 844 for right, bottom in found["at"])
