"""What the page of an evaluation says of its figures."""

import pytest

from pipelines.pages.evaluation_page import NAMES, evaluation_section, summary
from pipelines.pages.page import Picture, Run, Table

CLASSES = ["ring", "normal"]


def row(figure, value, low=None, high=None, scope="ring", **other):
    return {
        "metric": figure,
        "figure": figure,
        "scope": scope,
        "better": "lower",
        "judged": 30,
        "reference": 20,
        "value": value,
        "low": low,
        "high": high,
        "note": "",
        **other,
    }


def report_of(synthetic, real=(), **other):
    return {
        "method": "bagan_gp",
        "generator": "0123456789abcdef",
        "classes": CLASSES,
        "image_size": 64,
        "features": "pixels, 32 px antialiased",
        "held_out": ["train00-9.tfrec"],
        "chosen_by": [],
        "synthetic": list(synthetic),
        "real": list(real),
        "curves": {},
        **other,
    }


def captions_of(folder, report):
    return [item.caption for item in evaluation_section(Run(folder, {}, report)).items if isinstance(item, Picture)]


@pytest.mark.parametrize(
    ("synthetic", "real", "said"),
    [
        (row("recall", 0.0, 0.0, 0.1), row("recall", 0.9), "no real image lies among the synthetic ones (recall 0)"),
        (
            row("ms_ssim", 0.9, 0.8, 1.0),
            row("ms_ssim", 0.2, 0.1, 0.3),
            "images resemble each other more than real ones",
        ),
        (row("kid", 0.4, 0.3, 0.5), row("kid", 0.01), "KID is above that of real images"),
        (row("kid", 0.1, -0.1, 0.3), row("kid", 0.01), "KID cannot be told from that of real images"),
        (row("copies_pixels_p", 0.001), None, "more images than by chance lie near to a training image"),
    ],
)
def test_what_stands_out_is_said_of_the_class(synthetic, real, said):
    ((name, text),) = summary(report_of([synthetic], [real] if real else []))
    assert name == "ring"
    assert text.startswith(said)


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


@pytest.mark.parametrize(("size", "said"), [(64, "MS-SSIM has 3 of 5 scales at this size."), (256, None)])
def test_scales_are_named_where_not_all_fit(tmp_path, size, said):
    text = evaluation_section(Run(tmp_path, {}, report_of([row("kid", 0.1, 0.0, 0.2)], image_size=size))).text
    assert said in text if said else "scales" not in text


def test_a_generator_that_the_judges_chose_is_named_so(tmp_path):
    report = report_of([row("kid", 0.1, 0.0, 0.2)], chosen_by=["train00-9.tfrec"])
    assert "chosen among those of its run by train00-9.tfrec: its figures are flattered." in (
        evaluation_section(Run(tmp_path, {}, report)).text
    )


def test_bars_are_there_though_a_class_has_no_figure(tmp_path):
    rows = [row("kid", 0.1, 0.0, 0.2), row("kid", None, scope="normal", note="too few")]
    items = evaluation_section(Run(tmp_path, {}, report_of(rows, [row("kid", 0.0)]))).items
    assert [item.caption for item in items if isinstance(item, Picture)] == [
        "Figures of each class with their intervals"
    ]


def test_equal_reasons_are_told_once(tmp_path):
    rows = [
        row(figure, None, scope=scope, note="no images") for scope in ("ring", "normal") for figure in ("kid", "fid")
    ]
    (table,) = [
        item
        for item in evaluation_section(Run(tmp_path, {}, report_of(rows))).items
        if isinstance(item, Table) and item.header[0] == "not available"
    ]
    assert table.rows == (("kid, fid", "ring, normal", "no images"),)


def test_curves_of_the_training_are_shown(tmp_path):
    report = report_of([row("kid", 0.1, 0.0, 0.2)], curves={"kid": {"ring": [[4, 8], [0.2, 0.1]]}})
    captions = [
        item.caption for item in evaluation_section(Run(tmp_path, {}, report)).items if isinstance(item, Picture)
    ]
    assert captions[-1] == "The averaged generator, judged while it was trained"


def test_every_figure_has_a_name():
    assert set(NAMES) >= {"kid", "fid", "copies_pixels", "copies_pixels_p", "ms_ssim"}
