"""What the section on an evaluation says of its metrics."""

import numpy as np
import pytest

from melgan.metrics.evaluation import ALL_CLASSES, Row
from pipelines.artefacts.evaluation import EvaluationReport, row_of, value_of
from pipelines.pages.evaluation_pictures import GRID, SUSPICIOUS
from pipelines.pages.evaluation_section import NAMES, comparison_of_generators, evaluation_section
from pipelines.pages.evaluation_verdict import (
    COLLAPSED,
    COPIED,
    DIFFERENT,
    LIKE_REAL,
    UNKNOWN,
    summary,
    verdict,
    verdict_of,
)
from pipelines.pages.grids import Column, write_grid
from pipelines.pages.page import Details, Picture, Table

CLASSES = ("ring", "normal")


def row(name, value, low=None, high=None, scope="ring", **other):
    fields = {"metric": name, "better": "lower", "evaluated": 30, "reference": 20, **other}
    return Row(name=name, scope=scope, value=value, low=low, high=high, **fields)


def report_of(synthetic, real=(), **other):
    fields = {
        "method": "bagan_gp",
        "generator": "0123456789abcdef",
        "classes": CLASSES,
        "image_size": 64,
        "features": "pixels, 32 px antialiased",
        "features_identity": "pixels",
        "held_out": ("train00-9.tfrec",),
        "selected_by": (),
        "shards_digest": "d",
        "curves": {},
    }
    return EvaluationReport(synthetic=tuple(synthetic), real=tuple(real), **(fields | other))


def captions_of(folder, report):
    return [picture.caption for picture in evaluation_section(folder, report).all(Picture)]


def tables_of(folder, report, first):
    return [table for table in evaluation_section(folder, report).all(Table) if table.header[0] == first]


@pytest.mark.parametrize(
    ("synthetic", "real", "said"),
    [
        (row("recall", 0.0, 0.0, 0.1), row("recall", 0.9), "recall 0"),
        (row("ms_ssim", 0.9, 0.8, 1.0), row("ms_ssim", 0.2, 0.1, 0.3), "MS-SSIM"),
        (row("kid", 0.4, 0.3, 0.5), row("kid", 0.01), "KID is above"),
        (row("kid", 0.1, -0.1, 0.3), row("kid", 0.01), "KID cannot be told"),
        (row("copies_pixels_p", 0.001), None, "by chance"),
    ],
)
def test_what_stands_out_is_said_of_the_class(synthetic, real, said):
    ((name, text),) = summary(report_of([synthetic], [real] if real else []))
    assert name == "ring"
    assert said in text
    assert ";" not in text  # nothing else


@pytest.mark.parametrize(
    ("synthetic", "real"),
    [
        (row("recall", 0.1, 0.0, 0.2), None),
        (row("ms_ssim", 0.25, 0.2, 0.3), row("ms_ssim", 0.2, 0.1, 0.3)),
        (row("ms_ssim", 0.9), row("ms_ssim", 0.2)),  # without intervals, nothing is known
        (row("kid", 0.4, 0.3, 0.5), None),
        (row("kid", None, note="too few"), row("kid", 0.01)),
        (row("copies_pixels_p", 0.04), None),
    ],
)
def test_nothing_is_said_of_what_does_not_stand_out(synthetic, real):
    assert summary(report_of([synthetic], [real] if real else [])) == []


@pytest.mark.parametrize(
    ("synthetic", "real", "found"),
    [
        ([row("kid", 0.1, -0.1, 0.3)], [row("kid", 0.01)], LIKE_REAL),
        ([row("kid", 0.1, -0.1, 0.3, evaluated=9)], [row("kid", 0.01)], UNKNOWN),
        ([row("kid", 0.1, -0.1, 0.3), row("copies_features_p", 0.001)], [row("kid", 0.01)], COPIED),
        ([row("kid", 0.4, 0.3, 0.5)], [row("kid", 0.01)], DIFFERENT),
        ([row("kid", 0.1, -0.1, 0.3), row("recall", 0.0, 0.0, 0.1)], [row("kid", 0.01), row("recall", 0.9)], COLLAPSED),
        ([row("ms_ssim", 0.9, 0.8, 1.0)], [row("ms_ssim", 0.2, 0.1, 0.3)], COLLAPSED),
        ([row("kid", None, note="too few")], [row("kid", 0.01)], UNKNOWN),
    ],
)
def test_a_class_is_like_real_images_different_collapsed_or_not_known(synthetic, real, found):
    assert verdict_of(report_of(synthetic, real), "ring") == found


@pytest.mark.parametrize(
    ("p_of_class", "said"),
    [({}, "not looked for"), ({"ring": 0.001, "normal": 0.5}, "of ring than"), ({"ring": 0.5}, "no class")],
)
def test_the_verdict_tells_of_copies_also_where_none_were_looked_for(p_of_class, said):
    rows = [row("copies_pixels_p", value, scope=scope) for scope, value in p_of_class.items()]
    assert said in verdict(report_of(rows)).partition("opies")[2]


def test_the_page_opens_with_pictures_and_the_verdict_and_all_metrics_are_behind_it(tmp_path):
    tile = Column("ring", np.zeros((2, 64, 64, 3), np.uint8))
    for file in (GRID, SUSPICIOUS):
        write_grid(tmp_path / file, [tile], across=True)
    report = report_of([row("kid", 0.1, 0.0, 0.2), row("recall", 0.5)], [row("kid", 0.01), row("recall", 0.9)])
    grid, table, suspicious, *_, metrics = evaluation_section(tmp_path, report).items
    assert [grid.is_chart, suspicious.is_chart] == [False, False]
    assert table.header == ("class", "verdict", "KID", "recall", "what stands out")
    assert table.rows[0][:4] == ("ring", LIKE_REAL, "0.1 (real 0.01)", "0.5 (real 0.9)")
    assert table.rows[1][:4] == ("normal", UNKNOWN, "- (real -)", "- (real -)")
    assert isinstance(metrics, Details)
    assert metrics.items[0].header[0] == "metric"


@pytest.mark.parametrize(("size", "said"), [(64, "3 of 5 scales"), (256, None)])
def test_scales_are_named_where_not_all_fit(tmp_path, size, said):
    items = evaluation_section(tmp_path, report_of([row("kid", 0.1, 0.0, 0.2)], image_size=size)).items
    (text,) = (item.text for item in items if isinstance(item, Details))
    assert said in text if said else "scales" not in text


def test_a_generator_that_was_selected_by_what_evaluates_it_is_named_so(tmp_path):
    rows = [row("kid", 0.1, 0.0, 0.2)]
    one, other = (
        evaluation_section(tmp_path, report_of(rows, held_out=("train01-7.tfrec",), selected_by=selected)).text
        for selected in (("train00-9.tfrec",), ())
    )
    assert "train00-9.tfrec" in one
    assert "train00-9.tfrec" not in other


def test_bars_are_there_though_a_class_has_no_value(tmp_path):
    rows = [row("kid", 0.1, 0.0, 0.2), row("kid", None, scope="normal", note="too few")]
    assert len(captions_of(tmp_path, report_of(rows, [row("kid", 0.0)]))) == 1
    assert captions_of(tmp_path, report_of(rows[1:])) == []


def test_every_metric_stands_above_that_of_real_images_with_its_interval(tmp_path):
    rows = [row("kid", 0.1, 0.0, 0.25), row("copies_pixels_p", 0.5), row("fid", 12.0, 3.0, 456.0, scope=ALL_CLASSES)]
    (table,) = tables_of(tmp_path, report_of(rows, [row("kid", 0.01)]), "metric")
    assert table.header == ("metric", "better", "images", ALL_CLASSES, *CLASSES)
    assert table.rows == (
        (NAMES["kid"], "lower", "synthetic", "", "0.1 (0 to 0.25)", ""),
        ("", "", "real", "", "0.01", ""),
        (NAMES["fid"], "lower", "synthetic", "12 (3 to 456)", "", ""),
        (NAMES["copies_pixels_p"], "", "synthetic", "", "0.5", ""),
    )


def test_equal_reasons_are_told_once(tmp_path):
    rows = [
        row(metric, None, scope=scope, note="no images") for scope in ("ring", "normal") for metric in ("kid", "fid")
    ]
    (table,) = tables_of(tmp_path, report_of(rows), "not available")
    assert table.rows == (("kid, fid", "ring, normal", "no images"),)


def test_curves_of_the_training_are_shown(tmp_path):
    rows = [row("kid", 0.1, 0.0, 0.2)]
    without = captions_of(tmp_path, report_of(rows))
    captions = captions_of(tmp_path, report_of(rows, curves={"kid": {"ring": ([4, 8], [0.2, 0.1])}}))
    assert captions[:-1] == without
    assert len(captions) == len(without) + 1


def test_generators_are_compared_where_extractor_and_real_images_are_equal():
    rows, real = [row("kid", 0.1)], [row("kid", 0.01)]
    alike = {"bagan": report_of(rows, real), "r3gan": report_of(rows, real, method="r3gan", generator="f" * 16)}
    others = {
        "inception": report_of(rows, real, features_identity="inception"),
        "other shards": report_of(rows, real, shards_digest="e"),
        "other size": report_of(rows, real, image_size=32),
        "other fold": report_of(rows, real, held_out=("train01-9.tfrec",)),
    }
    (section,) = comparison_of_generators(alike | others)
    (table,) = section.items
    assert [line[:2] for line in table.rows] == [("bagan", "bagan_gp"), ("r3gan", "r3gan"), ("real images", "")]
    assert [line[3] for line in table.rows] == ["0.1", "0.1", "0.01"]
    assert comparison_of_generators(others) == []


def test_rows_are_found_by_metric_and_scope():
    rows = [row("kid", 0.1), row("kid", None, scope="normal", note="too few"), row("fid", 2.0)]
    assert row_of(rows, "kid", "normal") is rows[1]
    assert [value_of(rows, *key) for key in (("kid", "ring"), ("kid", "normal"), ("ms_ssim", "ring"))] == [
        0.1,
        None,
        None,
    ]


def test_every_metric_has_a_name():
    assert set(NAMES) >= {"kid", "fid", "copies_pixels", "copies_pixels_p", "ms_ssim"}
