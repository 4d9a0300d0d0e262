"""The report: what it says, and that a real browser shows it without an error or an outside request."""

import base64
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from pipelines.artefacts.metrics_file import MetricsWriter
from pipelines.pages.page import Picture, Run, Section, Table, render
from pipelines.report import gan_section

pytestmark = pytest.mark.slow

BROWSER = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)


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
        "Synthetic images: synthetic",
        "Judged: evaluation",
        "Classifier: real_only",
        "Classifier: mixed",
        "With and without synthetic images",
        "Submission: submission",
        "Provenance",
    ]
    (comparison,) = json.loads((report / "report.json").read_text())["comparisons"]
    assert (comparison["without"], comparison["with"]) == ("real_only", "mixed")
    assert comparison["low"] <= comparison["value"] <= comparison["high"]


def test_the_difference_is_that_of_the_areas_on_the_images_of_both(report: Path, line):
    (comparison,) = json.loads((report / "report.json").read_text())["comparisons"]
    tables = [pd.read_csv(folder / "oof.csv") for folder in (line.real_only, line.mixed)]
    shared = [table[table["fold"] == 0] for table in tables]
    areas = [roc_auc_score(table["label"], table["malignant"]) for table in shared]
    assert comparison["value"] == pytest.approx(areas[1] - areas[0], abs=1e-9)
    assert comparison["images"] == len(shared[0])


def test_texts_are_escaped():
    table = Table(("<b>",), (("<script>alert(1)</script>",),))
    page = render("a & b", [Section("<i>", "x < y", (table, Picture("data:,", '"quoted"')))])
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "a &amp; b" in page


def gan_run(folder: Path, diversity: dict[str, list[float]]) -> Run:
    """A GAN run of which only the metrics are there, judged every 100 steps."""
    losses, judged = MetricsWriter(folder, "gan", 0), MetricsWriter(folder, "diversity", 0)
    for number, values in enumerate(zip(*diversity.values(), strict=True), start=1):
        losses.write(100 * number, {"generator_loss": 1.0})
        named = zip(diversity, values, strict=True)
        judged.write(100 * number, {f"diversity_{name}": value for name, value in named})
    settings = {"method": "bagan_gp", "image_size": 32, "width": 1.0, "global_batch_size": 8}
    return Run(folder, settings, {"steps": 200, "trained_on": {"shards": ["train00-9.tfrec"]}})


def test_a_class_that_ended_collapsed_is_named_and_its_curve_drawn(tmp_path):
    section = gan_section(gan_run(tmp_path, {"red cell": [0.1, 0.25], "ring": [0.9, 0.012], "schizont": [0.2, 0.2]}))
    assert "Collapsed at the end: ring (0.012), schizont (0.200);" in section.text
    losses, diversity = section.items
    assert losses.caption == "Training of the gan"
    assert "below the dashed line (0.25) the class has collapsed" in diversity.caption
    prefix = "data:image/svg+xml;base64,"
    drawn, other = (base64.b64decode(item.uri.removeprefix(prefix)).decode() for item in (diversity, losses))
    assert "stroke-dasharray" in drawn
    assert "stroke-dasharray" not in other


def test_nothing_is_said_of_classes_that_ended_healthy(tmp_path):
    section = gan_section(gan_run(tmp_path, {"ring": [0.1, 0.3], "schizont": [0.9, 0.8]}))
    assert section.text.endswith("trained on 1 shards.")
    assert len(section.items) == 2


def test_runs_that_were_not_judged_have_no_diversity(tmp_path):
    run = gan_run(tmp_path, {"ring": [0.1]})
    MetricsWriter(tmp_path, "diversity", 0)  # drops the judgements
    assert [item.caption for item in gan_section(run).items] == ["Training of the gan"]


@pytest.mark.skipif(BROWSER is None, reason="no browser installed: apt-get install chromium")
def test_a_browser_shows_it_without_an_error_or_an_outside_request(report: Path, tmp_path: Path):
    log = tmp_path / "net.json"
    command = [
        BROWSER,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        f"--user-data-dir={tmp_path / 'profile'}",
        "--enable-logging=stderr",
        f"--log-net-log={log}",
        "--window-size=390,2000",
        f"--screenshot={tmp_path / 'page.png'}",
        (report / "report.html").resolve().as_uri(),
    ]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert shown.returncode == 0, shown.stderr
    assert (tmp_path / "page.png").stat().st_size > 10_000
    console = [line for line in shown.stderr.splitlines() if "CONSOLE" in line]
    assert console == []
    requested = set(re.findall(r'"url":"((?:https?|ftp|wss?)://[^"]+)"', log.read_text()))
    assert {address for address in requested if "google" not in address and "gvt1" not in address} == set()
