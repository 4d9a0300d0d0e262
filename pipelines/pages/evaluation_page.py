"""What a page says of an evaluation: figures with intervals, bars, pictures."""

import itertools
import math
from collections.abc import Sequence

import pandas as pd

from melgan.metrics.evaluation import ALL_CLASSES
from melgan.metrics.memorisation import FEATURES, PIXELS
from melgan.metrics.ms_ssim import WEIGHTS, num_scales
from pipelines.pages import charts
from pipelines.pages import evaluation_pictures as pictures
from pipelines.pages.page import Picture, Run, Section, Table

# Figure -> its name on the page, and what to know before reading it.
NAMES = {
    "kid": "KID",
    "fid": "FID (mostly bias below some 10,000 images)",
    "fid_infinity": "FID for endless images",
    "precision": "precision",
    "recall": "recall",
    "density": "density",
    "coverage": "coverage",
    "inception_score": "Inception Score",
    "ms_ssim": "MS-SSIM of pairs",
    "accuracy_score": "accuracy score (trained on these, tested on real)",
    "accuracy_reverse": "reverse (trained on real, tested on these)",
    "copies_features": "suspiciously near to training, features",
    "copies_features_p": "p that so many are by chance, features",
    "copies_pixels": "suspiciously near to training, pixels",
    "copies_pixels_p": "p that so many are by chance, pixels",
    "brightness_drift": "brightness, in deviations of the real",
    "saturation_drift": "saturation, in deviations of the real",
    "redness_drift": "redness, in deviations of the real",
    "dark_corners_drift": "dark corners, difference of shares",
}
_UNLIKELY = 0.01  # of a p, as every class and space has one
_BARS = ("kid", "precision", "recall", "density", "coverage", "ms_ssim")
_PICTURES = {
    pictures.GRID: "Real held-out images beside synthetic ones, the first of each class",
    pictures.SUSPICIOUS: (
        "The synthetic images that lie nearest to a training image, by features (f.) and by pixels (p.), turned as "
        "they lay nearest; the number is their distance over the threshold, below 1 an image is suspicious. All are "
        "named in nearest.csv"
    ),
    pictures.INTERPOLATIONS: "From one synthetic image of each class to another, in equal steps of the latents",
}


def evaluation_section(run: Run) -> Section:
    """What stands out, figures beside those of real images, and pictures."""
    report = run.report
    standing_out = summary(report)
    items: list[Table | Picture] = [Table(("class", "what stands out"), tuple(standing_out))] if standing_out else []
    items += [_figures(report), _counts(report)]
    unavailable = _unavailable(report)
    items += [unavailable] if unavailable else []
    bars = _bars(report)
    if bars:
        items.append(Picture(charts.bars(bars, report["classes"]), "Figures of each class with their intervals"))
    for file, caption in _PICTURES.items():
        if (run.folder / file).is_file():
            items.append(Picture(charts.png_data_uri(run.folder / file), caption))
    if (run.folder / pictures.EMBEDDING).is_file():
        table = pd.read_csv(run.folder / pictures.EMBEDDING)
        caption = "Real and synthetic images in a plane where neighbours in feature space are neighbours (t-SNE)"
        items.append(Picture(charts.embedding(table, report["classes"]), caption))
    if report["curves"]:
        panels = {f"{NAMES[figure]}, in training": lines for figure, lines in report["curves"].items()}
        items.append(Picture(charts.curves(panels, "step"), "The averaged generator, judged while it was trained"))
    return Section(f"Judged: {run.name}", " ".join(_explanation(report)), tuple(items))


def summary(report: dict) -> list[tuple[str, str]]:
    """Returns classes, and of each what stands out: collapse, distance from real images, suspected copies."""
    standing_out = []
    for scope in report["classes"]:
        found = [
            text
            for text, holds in (
                ("no real image lies among the synthetic ones (recall 0)", _value(report, scope, "recall") == 0),
                ("images resemble each other more than real ones do (MS-SSIM)", _resemble_each_other(report, scope)),
                ("KID cannot be told from that of real images", _is_above_real(report, scope, "kid") is False),
                ("KID is above that of real images", _is_above_real(report, scope, "kid")),
                ("more images than by chance lie near to a training image", _has_copies(report, scope)),
            )
            if holds
        ]
        if found:
            standing_out.append((scope, "; ".join(found)))
    return standing_out


def _explanation(report: dict) -> list[str]:
    """Returns sentences on who was judged by what, without which no figure can be read."""
    held_out = report["held_out"]
    by = (
        f"real images of {', '.join(held_out)}, which the generator has not seen"
        if held_out
        else ("half of the real images, all of which the generator has seen: whether it copies them cannot be told")
    )
    beside = "as many real training images" if held_out else "the other half of the real images"
    scales = num_scales(report["image_size"])
    chosen = f"It was chosen among those of its run by {', '.join(report['chosen_by'])}: its figures are flattered."
    return [
        f"{report['method']} (generator {report['generator'][:12]}, {report['image_size']} px), judged by {by}.",
        *([chosen] if report["chosen_by"] else []),
        f"Features: {report['features']}. MS-SSIM has {scales} of 5 scales at this size."
        if scales < len(WEIGHTS)
        else f"Features: {report['features']}.",
        f"Below each figure stands that of {beside}, judged by the same ones: what a faultless generator would reach. "
        "Intervals are of 95 %. Over all classes, synthetic images have the mix of classes of the real ones.",
    ]


def compared_sections(runs: Sequence[Run]) -> list[Section]:
    """Returns a table of the generators that were judged alike: with the same extractor, by the same real images."""
    alike: dict[tuple, list[Run]] = {}
    for run in runs:
        report = run.report
        key = (report["features_identity"], report["shards_digest"], report["image_size"], tuple(report["held_out"]))
        alike.setdefault(key, []).append(run)
    sections = []
    for group in alike.values():
        if len(group) > 1:
            header = ("generator", "method", *(f"KID {scope}" for scope in _scopes(group[0].report)))
            rows = [(run.name, run.report["method"], *_line(run.report, "synthetic", "kid")) for run in group]
            rows.append(("real images", "", *_line(group[0].report, "real", "kid")))
            sections.append(
                Section(
                    "Generators compared", f"Features: {group[0].report['features']}.", (Table(header, tuple(rows)),)
                )
            )
    return sections


def _scopes(report: dict) -> list[str]:
    return [ALL_CLASSES, *report["classes"]]


def _line(report: dict, what: str, figure: str) -> list[str]:
    """Returns the cells of a figure for all classes, and each."""
    rows = [_row(report, what, scope, figure) for scope in _scopes(report)]
    return ["" if row is None else _cell(row) for row in rows]


def _cell(row: dict) -> str:
    if row["value"] is None:
        return "none"
    if row["low"] is None:
        return f"{row['value']:.3g}"
    return f"{row['value']:.3g} ({_short(row['low'])} to {_short(row['high'])})"


def _short(value: float) -> str:
    """Returns two digits, or all before the point."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.2g}"


def _figures(report: dict) -> Table:
    better = {row["figure"]: row["better"] for row in report["synthetic"]}
    rows = []
    for figure, name in NAMES.items():
        synthetic = _line(report, "synthetic", figure)
        if set(synthetic) - {"", "none"}:
            rows.append((name, "" if figure.endswith("_p") else better[figure], "synthetic", *synthetic))
            real = _line(report, "real", figure)
            if any(real):
                rows.append(("", "", "real", *real))
    return Table(("figure", "better", "images", *_scopes(report)), tuple(rows))


def _counts(report: dict) -> Table:
    """Returns how many images were judged, by how many."""
    rows = []
    for what in ("synthetic", "real"):
        counts = {row["scope"]: f"{row['judged']} by {row['reference']}" for row in report[what]}
        rows.append((what, *(counts.get(scope, "") for scope in _scopes(report))))
    return Table(("images judged, by real ones", *_scopes(report)), tuple(rows))


def _unavailable(report: dict) -> Table | None:
    """Returns why there are no figures of some metrics, with the metrics and scopes of equal reasons together."""
    missing: dict[str, dict[str, list[str]]] = {}
    for row in report["synthetic"]:
        if row["note"]:
            missing.setdefault(row["note"], {}).setdefault(row["scope"], []).append(row["metric"])
    rows = [
        (", ".join(dict.fromkeys(itertools.chain(*metrics.values()))), ", ".join(metrics), note)
        for note, metrics in missing.items()
    ]
    return Table(("not available", "for", "because"), tuple(rows)) if rows else None


def _bars(report: dict) -> charts.Bars:
    """Returns panel -> kind of image -> (value, low, high) of each class, NaN where a class has no figure."""
    panels = {}
    for figure in _BARS:
        found = {
            what: [_bar(_row(report, what, scope, figure)) for scope in report["classes"]]
            for what in ("synthetic", "real")
        }
        if any(not math.isnan(value) for value, _, _ in found["synthetic"]):
            panels[NAMES[figure]] = found
    return panels


def _bar(row: dict | None) -> tuple[float, float, float]:
    if row is None or row["value"] is None:
        return math.nan, math.nan, math.nan
    known = row["low"] is not None
    return row["value"], row["low"] if known else row["value"], row["high"] if known else row["value"]


def _row(report: dict, what: str, scope: str, figure: str) -> dict | None:
    found = [row for row in report[what] if row["scope"] == scope and row["figure"] == figure]
    return found[0] if found else None


def _value(report: dict, scope: str, figure: str, what: str = "synthetic") -> float | None:
    row = _row(report, what, scope, figure)
    return None if row is None else row["value"]


def _is_above_real(report: dict, scope: str, figure: str) -> bool | None:
    """Returns whether a figure's interval lies above the value of real images; None where one of them is missing."""
    row, real = _row(report, "synthetic", scope, figure), _value(report, scope, figure, "real")
    return None if row is None or real is None or row["low"] is None else row["low"] > real


def _resemble_each_other(report: dict, scope: str) -> bool:
    row, real = _row(report, "synthetic", scope, "ms_ssim"), _row(report, "real", scope, "ms_ssim")
    known = row is not None and real is not None and row["low"] is not None and real["high"] is not None
    return known and row["low"] > real["high"]


def _has_copies(report: dict, scope: str) -> bool:
    probabilities = [_value(report, scope, f"copies_{space}_p") for space in (FEATURES, PIXELS)]
    return any(probability is not None and probability < _UNLIKELY for probability in probabilities)
