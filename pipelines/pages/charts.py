"""The report's charts, as SVG pictures inside data URIs, so that the page needs nothing from outside."""

import base64
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.metrics import precision_recall_curve, roc_curve

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
}
_COLOURS = ("#1f5fa8", "#d1495b", "#3a8f5c", "#8a5fb0", "#c98a1b", "#4aa3b5", "#777777")

Bars = Mapping[str, Mapping[str, Sequence[tuple[float, float, float]]]]
Scored = Mapping[str, tuple[np.ndarray, np.ndarray]]


def stacked_bars(positions: Sequence[int], counts: Mapping[str, Sequence[int]], x_label: str) -> str:
    """Returns bars of the images of each class, one bar a position.

    Arguments:
      positions: of the bars, whole numbers.
      counts: class -> its images in each bar.
      x_label: what a bar is.
    """
    figure, axes = _figure(1, height=2.6)
    bottom = np.zeros(len(positions))
    for colour, (label, values) in zip(_cycle(len(counts)), counts.items(), strict=True):
        axes[0].bar(positions, values, bottom=bottom, label=label, color=colour, width=0.75)
        bottom += np.asarray(values)
    axes[0].set(xlabel=x_label, ylabel="images", xticks=positions if len(positions) <= 20 else positions[::5])
    axes[0].grid(visible=False, axis="x")
    axes[0].legend(ncols=min(len(counts), 4), loc="lower left", bbox_to_anchor=(0, 1))
    return _data_uri(figure)


def curves(
    panels: Mapping[str, Mapping[str, tuple[Sequence[float], Sequence[float]]]],
    x_label: str,
    threshold: float | None = None,
) -> str:
    """Returns line charts side by side: panel title -> line name -> (x, y); with a dashed line at a threshold."""
    figure, axes = _figure(len(panels), height=2.8)
    for axis, (title, lines) in zip(axes, panels.items(), strict=True):
        for colour, (name, (x, y)) in zip(_cycle(len(lines)), lines.items(), strict=True):
            axis.plot(x, y, label=name, color=colour, linewidth=1.4, marker="o" if len(x) < 2 else None)
        if threshold is not None:
            axis.axhline(threshold, color="#777777", linewidth=0.9, linestyle="--")
            axis.set_ylim(bottom=0)
        axis.set(title=title, xlabel=x_label)
        if len(lines) > 1:
            axis.legend(fontsize=8)
    return _data_uri(figure)


def bars(panels: Bars, classes: Sequence[str]) -> str:
    """Returns bars with intervals, side by side in each class: panel -> kind -> (value, low, high) or NaN of each."""
    figure, axes = _figure(len(panels), height=2.6)
    positions = np.arange(len(classes))
    for axis, (title, kinds) in zip(axes, panels.items(), strict=True):
        width = 0.8 / len(kinds)
        for number, (colour, (kind, intervals)) in enumerate(zip(_cycle(len(kinds)), kinds.items(), strict=True)):
            values, lows, highs = np.array(intervals).T
            reach = np.nan_to_num(np.maximum([values - lows, highs - values], 0.0))
            centres = positions + (number - (len(kinds) - 1) / 2) * width
            axis.bar(centres, values, width, yerr=reach, color=colour, label=kind, error_kw={"linewidth": 0.9})
        axis.set(title=title)
        axis.set_xticks(positions, classes, rotation=30 if len(classes) > 2 else 0, fontsize=8)
        axis.grid(visible=False, axis="x")
    axes[0].legend(fontsize=8)
    return _data_uri(figure)


def embedding(table: pd.DataFrame, classes: Sequence[str]) -> str:
    """Returns two planes of points with equal axes, real and synthetic: rows of `images`, `class`, `x` and `y`."""
    figure, axes = _figure(2, height=3.8)
    for axis, what in zip(axes, ("real", "synthetic"), strict=True):
        for colour, name in zip(_cycle(len(classes)), classes, strict=True):
            own = table[(table["images"] == what) & (table["class"] == name)]
            axis.scatter(own["x"], own["y"], s=9, color=colour, label=name, alpha=0.7, linewidths=0)
        axis.set(title=what, xlim=_reach(table["x"]), ylim=_reach(table["y"]), xticks=[], yticks=[])
    axes[0].legend(fontsize=8, loc="best", markerscale=2)
    return _data_uri(figure)


def roc_and_precision_recall(scored: Scored) -> str:
    """Returns the ROC curve beside the precision-recall curve: name -> (positive bool `[N]`, scores `[N]`)."""
    figure, (roc, precision_recall) = _figure(2, height=3.6)
    for colour, (name, (positive, scores)) in zip(_cycle(len(scored)), scored.items(), strict=True):
        false_positive_rate, sensitivity, _ = roc_curve(positive, scores)
        roc.plot(false_positive_rate, sensitivity, color=colour, label=name)
        precision, recall, _ = precision_recall_curve(positive, scores)
        precision_recall.plot(recall, precision, color=colour, label=name, drawstyle="steps-post")
        precision_recall.axhline(np.mean(positive), color=colour, linewidth=0.8, linestyle=":")
    roc.plot([0, 1], [0, 1], color="#999999", linewidth=0.8, linestyle=":")
    roc.set(title="ROC", xlabel="1 - specificity", ylabel="sensitivity", xlim=(-0.01, 1.01), ylim=(-0.01, 1.02))
    precision_recall.set(
        title="Precision and recall", xlabel="recall", ylabel="precision", xlim=(-0.01, 1.01), ylim=(-0.01, 1.02)
    )
    roc.legend(fontsize=8, loc="lower right")
    return _data_uri(figure)


def png_data_uri(path: Path) -> str:
    """Returns a PNG file as a data URI."""
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()


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


def _reach(values: pd.Series) -> tuple[float, float]:
    margin = 0.05 * (values.max() - values.min()) or 1.0
    return values.min() - margin, values.max() + margin


def _cycle(count: int) -> list[str]:
    return [_COLOURS[number % len(_COLOURS)] for number in range(count)]


def _data_uri(figure: Figure) -> str:
    buffer = io.BytesIO()
    with matplotlib.rc_context(_STYLE):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return "data:image/svg+xml;base64," + base64.b64encode(buffer.getvalue()).decode()
