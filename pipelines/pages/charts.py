"""The report's charts: pictures inside the page, so that it needs nothing from outside, or files for a paper."""

import base64
import io
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.metrics import precision_recall_curve, roc_curve

from pipelines.pages import palette
from tfrecords_tools.foundation.texts import in_one_line

_STYLE = {
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e4e4e8",
    "axes.axisbelow": True,
    "legend.frameon": False,
    "svg.hashsalt": "melgan",  # equal charts, equal bytes
    "pdf.fonttype": 42,  # TrueType, as publishers ask for
    "svg.fonttype": "none",  # text stays text: a browser has the letters of more languages than one font
}
# What is left out of a file of each format, so that equal charts have equal bytes.
_LEFT_OUT: dict[str, dict[str, None]] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
PIXELS_PER_INCH = 96  # of a browser
_LONGEST_NAME = 20  # letters
_MOST_IN_PANEL = 10  # names of a legend; more stand below all panels
_COLUMNS_BELOW = 4
_MOST_COUNTED = 12  # classes of a confusion matrix whose cells have room for numbers
_DARK, _DARKEST = 0.7, 1.3  # fraction of a cell from which on white letters can be read, and that would be black
Bars = Mapping[str, Mapping[str, Sequence[tuple[float, float, float]]]]
Calibrated = Mapping[str, Sequence[tuple[float, float, float, float]]]
Scored = Mapping[str, tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Chart:
    """A chart, to be shown in a page or kept in a file."""

    figure: Figure

    @property
    def width(self) -> int:
        """Its width on a page, in pixels."""
        return round(self.figure.get_figwidth() * PIXELS_PER_INCH)

    @property
    def uri(self) -> str:
        """The chart as an SVG picture inside a data URI, on the ground of the page."""
        return "data:image/svg+xml;base64," + base64.b64encode(self._saved("svg", transparent=True)).decode()

    def file(self, kind: str) -> bytes:
        """Returns the chart as a file, on white; `kind`: of FIGURE_FORMATS."""
        return self._saved(kind, transparent=False)

    def _saved(self, kind: str, *, transparent: bool) -> bytes:
        buffer = io.BytesIO()
        with matplotlib.rc_context(_STYLE), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph .* missing from font")  # of the font by which text is measured
            self.figure.savefig(buffer, format=kind, metadata=_LEFT_OUT[kind], transparent=transparent)
        return buffer.getvalue()


def stacked_bars(positions: Sequence[int], counts: Mapping[str, Sequence[int]], x_label: str) -> Chart:
    """Returns bars of the images of each class, one bar a position.

    Arguments:
      positions: of the bars, whole numbers.
      counts: class -> its images in each bar.
      x_label: what a bar is.
    """
    figure, axes = _figure(1, height=2.6)
    bottom, colours = np.zeros(len(positions)), palette.of_classes(list(counts))
    for label, values in counts.items():
        axes[0].bar(positions, values, bottom=bottom, label=literal(label), color=colours[label], width=0.75)
        bottom += np.asarray(values)
    axes[0].set(xlabel=x_label, ylabel="images", xticks=positions if len(positions) <= 20 else positions[::5])
    axes[0].grid(visible=False, axis="x")
    _add_legend(figure, axes, loc="lower left", columns=min(len(counts), 4), anchor=(0, 1))
    return Chart(figure)


def curves(
    panels: Mapping[str, Mapping[str, tuple[Sequence[float], Sequence[float]]]],
    x_label: str,
    *,
    colours: Mapping[str, str] = MappingProxyType({}),
    threshold: float | None = None,
) -> Chart:
    """Returns line charts side by side.

    Arguments:
      panels: title of a panel -> name of a line -> (x, y).
      x_label: what x is.
      colours: of lines by their name; of others that of no class.
      threshold: where a dashed line is drawn.
    """
    figure, axes = _figure(len(panels), height=2.8)
    for axis, (title, lines) in zip(axes, panels.items(), strict=True):
        for name, (x, y) in lines.items():
            style = {"color": colours.get(name, palette.OTHER), "linewidth": 1.4, "marker": "o" if len(x) < 2 else None}
            axis.plot(x, y, label=literal(name), **style)
        if threshold is not None:
            axis.axhline(threshold, color=palette.GUIDE, linewidth=0.9, linestyle="--")
            axis.set_ylim(bottom=0)
        axis.set(title=title, xlabel=x_label)
    _add_legend(figure, [axis for axis, lines in zip(axes, panels.values(), strict=True) if len(lines) > 1])
    return Chart(figure)


def bars(panels: Bars, classes: Sequence[str]) -> Chart:
    """Returns bars with intervals, side by side in each class: panel -> side -> (value, low, high) or NaN of each.

    A side is real or synthetic.
    """
    figure, axes = _figure(len(panels), height=2.6)
    positions = np.arange(len(classes))
    for axis, (title, sides) in zip(axes, panels.items(), strict=True):
        width = 0.8 / len(sides)
        for number, (side, intervals) in enumerate(sides.items()):
            values, lows, highs = np.array(intervals).T
            reach = np.nan_to_num(np.maximum([values - lows, highs - values], 0.0))
            centres = positions + (number - (len(sides) - 1) / 2) * width
            style = {"color": palette.SIDES[side], "error_kw": {"linewidth": 0.9}}
            axis.bar(centres, values, width, yerr=reach, label=side, **style)
        axis.set(title=title)
        axis.set_xticks(positions, list(map(literal, classes)), rotation=30 if len(classes) > 2 else 0, fontsize=8)
        axis.grid(visible=False, axis="x")
    style = {"fontsize": 8, "frameon": _STYLE["legend.frameon"]}
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper left", ncols=2, **style)
    return Chart(figure)


def forest(
    groups: Mapping[str, Mapping[str, tuple[float, float, float]]],
    x_label: str,
    *,
    colours: Mapping[str, str],
    margin: float | None = None,
) -> Chart:
    """Returns a forest plot, a row a value.

    Arguments:
      groups: name of a group -> name of a row -> (value, low, high).
      x_label: what the values are.
      colours: of the groups by their name.
      margin: of differences, which have a line at 0 and a band as wide as the margin on its both sides.
    """
    count = sum(map(len, groups.values()))
    figure, (axes,) = _figure(1, height=0.9 + 0.24 * count)
    names: list[str] = []
    for group, rows in groups.items():
        values, lows, highs = np.array(list(rows.values())).T
        positions = len(names) + np.arange(len(rows))
        reach = np.maximum([values - lows, highs - values], 0)
        style = {"color": colours[group], "fmt": "o", "markersize": 4, "linewidth": 1.3}
        axes.errorbar(values, positions, xerr=reach, label=group, **style)
        names += map(literal, rows)
    if margin is not None:
        axes.axvline(0, color="#444444", linewidth=0.9)
        axes.axvspan(-margin, margin, color=palette.GUIDE, alpha=0.15, linewidth=0)
    axes.set_yticks(range(count), names, fontsize=8)
    axes.set(xlabel=x_label, ylim=(count - 0.5, -0.5))
    axes.grid(visible=False, axis="y")
    _add_legend(figure, [axes], loc="lower left", columns=4, anchor=(0, 1))
    return Chart(figure)


def ratio_curves(
    lines: Mapping[str, Mapping[float, tuple[float, float, float]]],
    levels: Mapping[str, float],
    *,
    colours: Mapping[str, str],
    x_label: str,
    y_label: str,
) -> Chart:
    """Returns values with intervals over ratios.

    Arguments:
      lines: name of a line -> ratio -> (value, low, high).
      levels: of real images, dashed: name -> value.
      colours: of the lines by their name.
      x_label: what the ratio is.
      y_label: what the values are.
    """
    figure, (axes,) = _figure(1, height=3.4)
    for number, (name, points) in enumerate(lines.items()):
        values, lows, highs = np.array(list(points.values())).T
        ratios = np.array(list(points)) * 1.03 ** (number - (len(lines) - 1) / 2)  # side by side
        reach = np.maximum([values - lows, highs - values], 0)
        style = {"color": colours[name], "marker": "o", "markersize": 4, "linewidth": 1.2}
        axes.errorbar(ratios, values, reach, label=literal(name), **style)
    for name, level in levels.items():
        axes.axhline(level, color=palette.REAL, linewidth=1.0, linestyle="--", label=literal(name))
    axes.axhline(0, color="#444444", linewidth=0.9)
    ratios = sorted({ratio for points in lines.values() for ratio in points})
    axes.set_xscale("log")
    axes.set_xticks(ratios, [f"{ratio:g}" for ratio in ratios])
    axes.set_xticks([], minor=True)
    axes.set(xlabel=x_label, ylabel=y_label)
    _add_legend(figure, [axes], loc="lower left", columns=4, anchor=(0, 1))
    return Chart(figure)


def embedding(table: pd.DataFrame, classes: Sequence[str]) -> Chart:
    """Returns two planes of points with equal axes, real and synthetic: rows of `images`, `class`, `x` and `y`."""
    figure, axes = _figure(2, height=3.8)
    for axis, what in zip(axes, ("real", "synthetic"), strict=True):
        for name, colour in palette.of_classes(classes).items():
            own = table[(table["images"] == what) & (table["class"] == name)]
            axis.scatter(own["x"], own["y"], s=9, color=colour, label=literal(name), alpha=0.7, linewidths=0)
        axis.set(title=what, xlim=_reach(table["x"]), ylim=_reach(table["y"]), xticks=[], yticks=[])
    _add_legend(figure, axes[:1], marker_scale=2)
    return Chart(figure)


def roc_and_precision_recall(scored: Scored, classes: Sequence[str]) -> Chart:
    """Returns the ROC curve beside the precision-recall curve.

    Arguments:
      scored: class -> (positive bool `[N]`, scores `[N]`), of some or all classes.
      classes: the names of all.
    """
    figure, (roc, precision_recall) = _figure(2, height=3.6)
    colours = palette.of_classes(classes)
    for name, (positive, scores) in scored.items():
        colour = colours[name]
        false_positive_rate, sensitivity, _ = roc_curve(positive, scores)
        roc.plot(false_positive_rate, sensitivity, color=colour, label=literal(name))
        precision, recall, _ = precision_recall_curve(positive, scores)
        precision_recall.plot(recall, precision, color=colour, drawstyle="steps-post")
        precision_recall.axhline(np.mean(positive), color=colour, linewidth=0.8, linestyle=":")
    roc.plot([0, 1], [0, 1], color=palette.GUIDE, linewidth=0.8, linestyle=":")
    roc.set(title="ROC", xlabel="1 - specificity", ylabel="sensitivity", xlim=(-0.01, 1.01), ylim=(-0.01, 1.02))
    precision_recall.set(
        title="Precision and recall", xlabel="recall", ylabel="precision", xlim=(-0.01, 1.01), ylim=(-0.01, 1.02)
    )
    _add_legend(figure, [roc], loc="lower right")
    return Chart(figure)


def calibration_and_confusion(
    bins: Calibrated, counts: np.ndarray, classes: Sequence[str], predicted: str = "most probable class"
) -> Chart:
    """Returns a reliability diagram beside a confusion matrix.

    Arguments:
      bins: name -> rows of mean probability, fraction of the class, and the bounds of its interval.
      counts: images of each class by the one that they count as `[classes, classes]`.
      classes: their names.
      predicted: what an image counts as.
    """
    figure, (calibration, confusion) = _figure(2, height=max(3.6, 0.4 * len(classes) + 0.8))
    _draw_calibration(calibration, bins, palette.of_classes(classes))
    _draw_confusion(confusion, counts, list(map(literal, classes)))
    confusion.set_xlabel(predicted)
    _add_legend(figure, [calibration], loc="lower right")
    return Chart(figure)


def _draw_calibration(axes: Axes, bins: Calibrated, colours: Mapping[str, str]) -> None:
    for name, rows in bins.items():
        mean, fraction, low, high = np.array(rows).T
        reach = np.maximum([fraction - low, high - fraction], 0)
        style = {"color": colours[name], "marker": "o", "markersize": 3.5, "linewidth": 1.2, "elinewidth": 0.8}
        axes.errorbar(mean, fraction, reach, label=literal(name), **style)
    highest = max(max(mean, high) for rows in bins.values() for mean, _, _, high in rows)
    limits = (-0.02 * highest, min(1.05 * highest, 1.02))
    axes.plot([0, 1], [0, 1], color=palette.GUIDE, linewidth=0.8, linestyle=":")
    axes.set(title="Calibration", xlabel="probability, mean of a bin", ylabel="fraction of the class")
    axes.set(xlim=limits, ylim=limits)


def _draw_confusion(axes: Axes, counts: np.ndarray, names: Sequence[str]) -> None:
    """Draws the fractions of each row as colours and, unless there are too many classes, the counts with them."""
    fractions, size = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1), 8 if len(names) < 7 else 6
    axes.imshow(fractions, cmap="Greys", vmin=0, vmax=_DARKEST)
    for (row, column), count in np.ndenumerate(counts) if len(names) <= _MOST_COUNTED else ():
        text, ink = f"{count}\n{fractions[row, column]:.0%}", "white" if fractions[row, column] > _DARK else "black"
        axes.text(column, row, text, ha="center", va="center", color=ink, fontsize=size)
    axes.set_xticks(
        range(len(names)), names, rotation=0 if len(names) < 3 else 45 if len(names) < 7 else 90, fontsize=size
    )
    axes.set_yticks(range(len(names)), names, fontsize=size)
    axes.set(title="Confusion", ylabel="class")
    axes.grid(visible=False)


def literal(name: str) -> str:
    """Returns the name of a class, or of anything a user named, as matplotlib draws it to the letter.

    Between two `$` it would set a formula, and a legend would leave out what begins with `_`. Long names are shortened
    in the middle.
    """
    name = in_one_line(name)
    if len(name) > _LONGEST_NAME:
        name = f"{name[: _LONGEST_NAME // 2]}…{name[-(_LONGEST_NAME // 2) :]}"
    return ("\u200b" if name.startswith("_") else "") + name.replace("$", r"\$")


def _figure(panels: int, height: float) -> tuple[Figure, list[Axes]]:
    """Returns a figure with panels in rows of three at most, each row of a height in inches."""
    columns = min(panels, 3)
    rows = -(-panels // columns)
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(8.0, height * rows), layout="constrained")
        axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for unused in axes[panels:]:
        unused.remove()
    return figure, axes[:panels]


def _add_legend(
    figure: Figure,
    axes: Sequence[Axes],
    *,
    loc: str = "best",
    columns: int = 1,
    marker_scale: float = 1,
    anchor: tuple[float, float] | None = None,
) -> None:
    """Names the colours in every panel, or, if they are many, once below them all, where the figure grows for them."""
    named = {name: handle for axis in axes for handle, name in zip(*axis.get_legend_handles_labels(), strict=True)}
    style = {"fontsize": 8, "markerscale": marker_scale, "frameon": _STYLE["legend.frameon"]}
    if len(named) <= _MOST_IN_PANEL:
        for axis in axes:
            axis.legend(loc=loc, ncols=columns, bbox_to_anchor=anchor, **style)
        return
    rows = -(-len(named) // _COLUMNS_BELOW)
    figure.set_figheight(figure.get_figheight() + 0.2 * rows)
    figure.legend(
        named.values(),
        named,
        loc="outside lower center",
        ncols=_COLUMNS_BELOW,
        **style,
    )


def _reach(values: pd.Series) -> tuple[float, float]:
    margin = 0.05 * (values.max() - values.min()) or 1.0
    return values.min() - margin, values.max() + margin
