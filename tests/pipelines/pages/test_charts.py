"""Charts: the names of classes stand in them to the letter."""

import base64
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from pipelines.pages import charts

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


def texts(chart: charts.Chart) -> list[str]:
    """All texts of a chart."""
    root = ElementTree.fromstring(base64.b64decode(chart.uri.removeprefix("data:image/svg+xml;base64,")))
    return ["".join(text.itertext()) for text in root.iter("{http://www.w3.org/2000/svg}text")]


def _bars(names):
    return charts.stacked_bars([0, 1], {name: [1, 2] for name in names}, "shard")


def _curves(names):
    return charts.curves({"KID": {name: ([1, 2], [0.1, 0.2]) for name in names}}, "step")


def _intervals(names):
    return charts.bars({"KID": {"synthetic": [(0.2, 0.1, 0.3)] * len(names)}}, names)


def _embedding(names):
    points = pd.DataFrame({"class": names, "x": np.arange(len(names)), "y": 0.0})
    return charts.embedding(pd.concat([points.assign(images=side) for side in ("real", "synthetic")]), names)


def _roc(names):
    scored = (np.array([False, True, True]), np.array([0.1, 0.2, 0.05]))
    return charts.roc_and_precision_recall(dict.fromkeys(names, scored))


def _calibration(names):
    bins = {name: [(0.1, 0.2, 0.1, 0.3), (0.5, 0.4, 0.3, 0.5)] for name in names}
    return charts.calibration_and_confusion(bins, np.eye(len(names), dtype=int), names)


DRAWINGS = pytest.mark.parametrize("draw", [_bars, _curves, _intervals, _embedding, _roc, _calibration])


@DRAWINGS
def test_names_are_drawn_to_the_letter(draw, recwarn):
    assert set(SHOWN) <= set(texts(draw(NAMES)))
    assert not recwarn.list


@DRAWINGS
def test_long_and_many_names_leave_room_for_the_chart(draw, recwarn):
    found = texts(draw([*(f"class {number}" for number in range(30)), "y" * 250]))
    assert {f"class {number}" for number in range(30)} | {"y" * 10 + "…" + "y" * 10} <= set(found)
    assert not recwarn.list


def test_cells_of_a_confusion_tell_images_and_the_fraction_of_their_class():
    counts = np.array([[3, 1], [0, 0]])
    found = texts(charts.calibration_and_confusion({"b": [(0.1, 0.2, 0.1, 0.3)]}, counts, ("a", "b")))
    assert {"3", "75%", "1", "25%", "0", "0%"} <= {word for text in found for word in text.split()}
