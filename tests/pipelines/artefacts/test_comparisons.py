"""Which classifiers are compared with and without synthetic images, by how much they differ, and what is said."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from melgan.metrics.delong import mean_area
from melgan.metrics.intervals import Interval
from pipelines import report
from pipelines.artefacts.classifier_run import ClassifierReport, TrainClassifierConfig, read_classifier_run
from pipelines.artefacts.comparisons import Comparison, NotCompared, ReportReport, compare, pair
from pipelines.artefacts.epochs import Epoch, series_of_fold
from pipelines.artefacts.metrics_file import MetricsWriter
from pipelines.contract.workdir import open_workdir, read_report
from pipelines.pages.classifier_section import classifier_section
from pipelines.pages.page import Picture
from pipelines.pages.result_section import comparison_section
from pipelines.report import ReportConfig, make_sections
from tests.pipelines.pages.chart_texts import chart_texts
from tfrecords_tools.foundation.documents import as_plain, from_plain
from tfrecords_tools.foundation.files import file_sha256

CLASSES = ("benign", "malignant")
BASELINE = {"shards": "shards", "num_folds": 2, "folds": ("0",), "epochs": 1}
MIXED = {**BASELINE, "synthetic": ("synthetic",), "synthetic_fraction": 0.2}


def predictions(seed: int, count: int = 60) -> pd.DataFrame:
    """Out-of-fold predictions of images that are the same for every seed, better the greater the seed."""
    labels = np.arange(count) % 3 // 2
    malignant = np.random.default_rng(seed).normal(labels * seed, 1, count)
    malignant = 1 / (1 + np.exp(-malignant))
    keys = {"image_name": [f"ISIC_{n}" for n in range(count)], "patient_id": np.arange(count) // 2, "fold": 0}
    return pd.DataFrame(
        keys | {"label": labels, "probability benign": 1 - malignant, "probability malignant": malignant}
    )


def finish(folder: Path, settings: dict, seed: int = 1, shards_digest: str = "d") -> Path:
    """Writes what a run of train_classifier leaves, as far as it is compared and shown."""
    config = TrainClassifierConfig(**{"workdir": str(folder), **settings})
    table = predictions(seed)
    with open_workdir(folder, "train_classifier", config) as workdir:
        workdir.begin()
        table.to_csv(folder / "oof.csv", index=False)
        validation = {"auc": 0.5, "recall": 0.5}
        MetricsWriter(folder, series_of_fold(0), 0).write(
            3, {**Epoch(number=1, step=3, validation=validation).as_metrics(), "loss": 1.0}
        )
        workdir.complete(
            ClassifierReport(
                classes=CLASSES,
                folds=(0,),
                images=len(table),
                metrics={"mean_auc": Interval(0.5, 0.4, 0.6)},
                best_epochs={"0": 1},
                fold_auc={"0": 0.5},
                shards=config.shards,
                shards_digest=shards_digest,
                folds_fingerprint="one",
                synthetic={"0": ()},
            )
        )
    return folder


def runs_of(*folders: Path):
    return [read_classifier_run(folder) for folder in folders]


def test_a_teacher_of_synthetic_images_alone_makes_no_other_baseline(tmp_path):
    taught = {**MIXED, "teacher": "teacher", "synthetic_targets": "agree"}
    compared, left_out = compare(runs_of(finish(tmp_path / "one", BASELINE), finish(tmp_path / "other", taught, 2)))
    assert (len(compared), left_out) == (1, [])
    distilled = {**BASELINE, "teacher": "teacher", "distillation_weight": 0.5}
    compared, left_out = compare(runs_of(finish(tmp_path / "third", distilled), finish(tmp_path / "fourth", taught, 2)))
    assert (compared, len(left_out)) == ([], 1)


@pytest.mark.parametrize(
    "differing",
    [
        {"cache_dir": "cache"},
        {"workdir": "elsewhere"},
        {"steps_per_call": 3},
        {"shards": "gs://copy/of/the/same"},
        {"deterministic": True},
        {"folds": ()},
        {"cache_dir": "cache", "workdir": "elsewhere", "steps_per_call": 3},
    ],
    ids=str,
)
def test_classifiers_that_differ_in_nothing_that_makes_a_baseline_are_compared(tmp_path, differing):
    folders = [finish(tmp_path / "real", BASELINE), finish(tmp_path / "mixed", MIXED | differing, seed=3)]
    (comparison,), left_out = compare(runs_of(*folders))
    assert left_out == []
    assert (comparison.baseline, comparison.treated, comparison.images) == ("real", "mixed", 60)
    assert comparison.folds == 1
    sections, made = make_sections(folders)
    assert made.comparisons == (comparison,)
    assert "With and without synthetic images" in [section.title for section in sections]
    assert re.search("mixed .*real.* 60 images", sections[0].text)


@pytest.mark.parametrize(
    ("differing", "said"),
    [
        ({"image_size": 64}, "image_size was 128, now 64"),
        ({"seed": 1}, "seed was 0, now 1"),
        ({"num_folds": 3, "epochs": 2}, "num_folds was 2, now 3"),
    ],
    ids=str,
)
def test_classifiers_that_differ_in_more_are_not_compared_and_the_page_names_the_setting(tmp_path, differing, said):
    folders = [finish(tmp_path / "real", BASELINE), finish(tmp_path / "mixed", MIXED | differing)]
    comparisons, (left_out,) = compare(runs_of(*folders))
    assert comparisons == []
    assert (left_out.nearest, left_out.treated) == ("real", "mixed")
    for name in differing:
        assert f"{name} was " in left_out.differences
    assert said in left_out.differences
    sections, made = make_sections(folders)
    assert made.comparisons == ()
    assert "With and without synthetic images" not in [section.title for section in sections]
    assert said in sections[0].text
    report.run(ReportConfig(runs=tuple(map(str, folders)), output=str(tmp_path / "report")))
    page = (tmp_path / "report" / "report.html").read_text()
    assert said.replace("'", "&#39;") in page
    assert read_report(tmp_path / "report", ReportReport).comparisons == ()


def test_classifiers_of_other_shards_at_the_same_place_are_not_compared(tmp_path):
    folders = [finish(tmp_path / "real", BASELINE), finish(tmp_path / "mixed", MIXED, shards_digest="e")]
    comparisons, (left_out,) = compare(runs_of(*folders))
    assert (comparisons, left_out.differences) == ([], "shards_digest was 'd', now 'e'")


def test_of_several_baselines_the_nearest_is_named(tmp_path):
    folders = [
        finish(tmp_path / "far", {**BASELINE, "seed": 1, "epochs": 7}),
        finish(tmp_path / "near", {**BASELINE, "seed": 1}),
        finish(tmp_path / "mixed", MIXED),
    ]
    assert compare(runs_of(*folders)) == ([], [NotCompared("mixed", "near", "seed was 1, now 0")])


def test_without_a_baseline_nothing_is_compared_and_nothing_said(tmp_path):
    folder = finish(tmp_path / "mixed", MIXED)
    assert compare(runs_of(folder)) == ([], [])
    sections, _ = make_sections([folder])
    assert sections[0].text == ""


def test_a_run_from_before_a_setting_came_is_compared_with_one_that_has_its_default(tmp_path):
    folders = [finish(tmp_path / "real", BASELINE), finish(tmp_path / "mixed", MIXED)]
    config = folders[0] / "config.json"
    lines = [line for line in config.read_text().splitlines() if '"class_balance"' not in line]
    config.write_text("\n".join(lines))
    assert '"class_balance"' in (folders[1] / "config.json").read_text()
    ((comparison,), _) = compare(runs_of(*folders))
    assert comparison.treated == "mixed"


def test_the_difference_is_that_of_the_areas_on_the_images_of_both():
    first, second = predictions(1), predictions(3)
    both = pair(first, second.iloc[10:])
    interval = both.auc_difference(seed=0)
    assert len(both.labels) == 50
    areas = [_area(table.iloc[10:]) for table in (first, second)]
    assert interval.value == pytest.approx(areas[1] - areas[0], abs=1e-9)
    assert interval.low <= interval.value <= interval.high
    assert both.delong().value == pytest.approx(interval.value)
    # A normal interval is as wide as that of the bootstrap.
    assert 2 * 1.96 * both.delong().standard_error == pytest.approx(interval.high - interval.low, rel=0.15)
    same = pair(first, first)
    assert same.auc_difference(seed=0) == Interval(0.0, 0.0, 0.0)
    assert same.delong().p_value == 1.0


def test_a_class_may_be_called_like_another_with_an_ending():
    """Such as pandas gives the columns of tables that it joins."""
    columns = {"probability benign": "probability a", "probability malignant": "probability a_second"}
    first, second = predictions(1), predictions(3)
    renamed = [table.rename(columns=columns) for table in (first, second)]
    assert pair(*renamed).auc_difference(seed=0) == pair(first, second).auc_difference(seed=0)


def test_of_more_than_two_classes_there_is_no_standard_error(tmp_path):
    tables = [predictions(seed).assign(**{"probability other": 0.1}) for seed in (1, 3)]
    assert np.isnan(pair(*tables).delong().p_value)
    unknown = Comparison(baseline="a", treated="b", classes=(), value=0.1, low=0.0, high=0.2, images=5)
    ((row,),) = [section.items[0].rows for section in comparison_section([unknown])]
    assert row[-2:] == ("-", "-")


def test_a_comparison_without_a_p_value_is_of_an_earlier_version_and_read(tmp_path):
    folders = [finish(tmp_path / "real", BASELINE), finish(tmp_path / "mixed", MIXED, seed=3)]
    (made,) = make_sections(folders)[1].comparisons
    assert 0 < made.p_value < 1
    plain = {name: value for name, value in as_plain(made).items() if name not in ("standard_error", "p_value")}
    assert np.isnan(from_plain(Comparison, plain).p_value)


def _area(table: pd.DataFrame) -> float:
    """The fraction of pairs of a malignant and a benign image that are in order."""
    malignant, benign = (table["probability malignant"][table["label"] == label].to_numpy() for label in (1, 0))
    return float(np.mean(malignant[:, None] > benign[None, :]))


def test_a_comparison_of_a_report_is_read_as_it_was_written(tmp_path):
    folders = [finish(tmp_path / "real", BASELINE), finish(tmp_path / "mixed", MIXED, seed=3)]
    report.run(ReportConfig(runs=tuple(map(str, folders)), output=str(tmp_path / "report")))
    (comparison,) = read_report(tmp_path / "report", ReportReport).comparisons
    assert comparison == compare(runs_of(*folders))[0][0]
    assert replace(comparison, images=0).interval == Interval(comparison.value, comparison.low, comparison.high)


def test_beside_a_comparison_stands_on_how_many_trainings_it_rests():
    interval = {"value": 0.01, "low": -0.02, "high": 0.04}
    comparison = Comparison(baseline="real", treated="mixed", classes=CLASSES, **interval, images=60, folds=3)
    (section,) = comparison_section([comparison])
    (table,) = section.items
    assert dict(zip(table.header, table.rows[0], strict=True))["trainings on each side"] == "3 folds x 1 seed"
    assert "make study" in section.text


def test_runs_of_equal_folder_names_are_told_apart(tmp_path):
    folders = [finish(tmp_path / "a" / "run", BASELINE), finish(tmp_path / "b" / "run", MIXED, seed=3)]
    sections, made = make_sections(folders)
    assert [(each.baseline, each.treated) for each in made.comparisons] == [("a/run", "b/run")]
    assert [row[0] for row in sections[0].items[0].rows] == ["a/run", "b/run"]
    titles = [section.title for section in sections]
    assert {"Classifier: a/run", "Classifier: b/run"} <= set(titles)
    assert len(set(titles)) == len(titles)


def test_pictures_and_tables_are_files_of_the_report_on_request(tmp_path):
    folders = [finish(tmp_path / name, settings, seed=3) for name, settings in (("real", BASELINE), ("mixed", MIXED))]
    output = tmp_path / "report"
    report.run(
        ReportConfig(runs=(*map(str, folders), str(folders[0])), output=str(output), figures=("svg",), tables=("csv",))
    )
    stored = json.loads((output / "report.json").read_text())["files"]
    assert {
        "figures/result_1.svg",
        "figures/classifier-real_1.svg",
        "tables/with-and-without-synthetic-images_1.csv",
    } <= set(stored)
    assert not any(name.endswith((".pdf", ".tex")) for name in stored)
    for name, sha256 in stored.items():
        assert file_sha256(output / name) == sha256
    rows = (output / "tables" / "provenance_1.csv").read_text().splitlines()
    assert [row.partition(",")[0] for row in rows] == ["run", "real", "mixed"]  # a run that is given twice, once


def test_the_errors_of_two_classes_are_counted_at_a_specificity(tmp_path):
    run = read_classifier_run(finish(tmp_path / "real", BASELINE))
    table = predictions(1)
    scored, positive = table["probability malignant"].to_numpy(), table["label"].to_numpy() == 1
    threshold = np.sort(scored[~positive])[-5]  # 4 of 40 lie above it
    caught = int((scored[positive] > threshold).sum())
    texts = [chart_texts(picture.image) for picture in classifier_section(run).all(Picture) if picture.is_chart]
    (confusion,) = [found for found in texts if "Confusion" in found]
    assert {"36", "4", str(20 - caught), str(caught)} <= {word for text in confusion for word in text.split()}


def test_the_section_of_a_classifier_tells_what_chance_gives_and_how_sure_its_area_is(tmp_path):
    (section,) = [
        section
        for section in make_sections([finish(tmp_path / "real", BASELINE)])[0]
        if section.title == "Classifier: real"
    ]
    assert "0.333 are malignant" in section.text  # every third image
    assert "0.02 of at most 0.20" in section.text
    found = pair(*[predictions(1)] * 2)
    area = mean_area(found.labels == 1, found.after[None, :, 1], folds=found.folds, groups=found.groups)
    assert f"{area.standard_error:.3f}" in section.text
