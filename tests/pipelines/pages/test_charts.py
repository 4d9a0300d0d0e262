"""Charts: the names of classes stand in them to the letter."""

import base64
from types import MappingProxyType

import numpy as np
import pandas as pd
import pytest

from pipelines.pages import charts, palette
from tests.pipelines.pages.chart_texts import chart_texts

NAMES = ("$\\alpha$", "$x", "_hidden", "<script>", "=1+1", "{fold}", "%s", "Läsion 黒色腫 😀", "a\x1b[31m", "nan")
SHOWN = (
    "$\\alpha$",
    "$x",
    "\u200b_hidden",
    "<script>",
    "=1+1",
    "{fold}",
    "%s",
    "Läsion 黒色腫 😀",
    r"a\x1b[31m",
    "nan",
)


def _bars(names):
    return charts.stacked_bars([0, 1], {name: [1, 2] for name in names}, "shard")


def _curves(names, colours=MappingProxyType({})):
    return charts.curves({"KID": {name: ([1, 2], [0.1, 0.2]) for name in names}}, "step", colours=colours)


def _intervals(names):
    return charts.bars({"KID": {"synthetic": [(0.2, 0.1, 0.3)] * len(names)}}, names)


def _embedding(names):
    points = pd.DataFrame({"class": names, "x": np.arange(len(names)), "y": 0.0})
    return charts.embedding(pd.concat([points.assign(images=side) for side in ("real", "synthetic")]), names)


def _roc(names):
    scored = (np.array([False, True, True]), np.array([0.1, 0.2, 0.05]))
    return charts.roc_and_precision_recall(dict.fromkeys(names, scored), names)


def _calibration(names):
    bins = {name: [(0.1, 0.2, 0.1, 0.3), (0.5, 0.4, 0.3, 0.5)] for name in names}
    return charts.calibration_and_confusion(bins, np.eye(len(names), dtype=int), names)


DRAWINGS = pytest.mark.parametrize("draw", [_bars, _curves, _intervals, _embedding, _roc, _calibration])


@DRAWINGS
def test_names_are_drawn_to_the_letter(draw, recwarn):
    assert set(SHOWN) <= set(chart_texts(draw(NAMES)))
    assert not recwarn.list


@DRAWINGS
def test_long_and_many_names_leave_room_for_the_chart(draw, recwarn):
    found = chart_texts(draw([*(f"class {number}" for number in range(30)), "y" * 250]))
    assert {f"class {number}" for number in range(30)} | {"y" * 10 + "…" + "y" * 10} <= set(found)
    assert not recwarn.list


def test_cells_of_a_confusion_tell_images_and_the_fraction_of_their_class():
    counts = np.array([[3, 1], [0, 0]])
    found = chart_texts(charts.calibration_and_confusion({"b": [(0.1, 0.2, 0.1, 0.3)]}, counts, ("a", "b")))
    assert {"3", "75%", "1", "25%", "0", "0%"} <= {word for text in found for word in text.split()}


def test_a_class_has_one_colour_in_all_charts_of_a_page():
    names = ("first", "second")
    drawings = [
        _bars(names),
        _curves(names, palette.of_classes(names)),
        _embedding(names),
        _roc(names),
        _calibration(names),
    ]
    for colour in palette.of_classes(names).values():
        assert all(colour.encode() in drawing.file("svg") for drawing in drawings)
        assert colour.encode() not in _intervals(names).file("svg")


def test_real_and_synthetic_have_their_colours():
    drawn = charts.bars({"KID": {side: [(0.2, 0.1, 0.3)] for side in palette.SIDES}}, ("a",)).file("svg")
    assert all(colour.encode() in drawn for colour in (palette.REAL, palette.SYNTHETIC))


def test_a_chart_stands_on_the_ground_of_its_page_and_on_white_in_a_file():
    drawing = _bars(("a",))
    shown = base64.b64decode(drawing.uri.partition(",")[2])
    assert b"fill: #ffffff" in drawing.file("svg")
    assert b"fill: #ffffff" not in shown
