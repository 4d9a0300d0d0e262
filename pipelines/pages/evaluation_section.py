"""The section of a page on an evaluation of a generator: its verdict, pictures, and metrics with intervals."""

import itertools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from melgan.metrics.evaluation import Row
from melgan.metrics.ms_ssim import WEIGHTS, num_scales
from pipelines.artefacts.evaluation import EvaluationReport, row_of
from pipelines.pages import charts, palette
from pipelines.pages import evaluation_pictures as pictures
from pipelines.pages.evaluation_verdict import verdict, verdict_table
from pipelines.pages.page import Details, Picture, Section, Table, sentences
from pipelines.pages.rasters import read_raster

# Metric -> its name on the page, and what to know before reading it.
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
    "dark_corners_drift": "dark corners, difference of fractions",
}
_BARS = ("kid", "precision", "recall", "density", "coverage", "ms_ssim")
# What is shown before the verdict on each class, behind it, and after its charts.
_FIRST = {pictures.GRID: "Real held-out images and synthetic ones, the first of each class"}
_SECOND = {
    pictures.SUSPICIOUS: (
        "The synthetic images that lie nearest to a training image, by features (f.) and by pixels (p.), turned as "
        "they lay nearest; the number is their distance over the threshold, below 1 an image is suspicious. All are "
        "named in nearest.csv"
    ),
}
_FURTHER = {
    pictures.INTERPOLATIONS: "From one synthetic image of each class to another, in equal steps of the latents",
}


def evaluation_section(folder: Path, report: EvaluationReport) -> Section:
    """Returns the verdict and pictures, and behind them all metrics beside those of real images."""
    tables = (_metrics(report), _counts(report), *_unavailable(report))
    items = (
        *_grids(folder, _FIRST),
        verdict_table(report),
        *_grids(folder, _SECOND),
        *_bars(report),
        *_embedding(folder, report),
        *_grids(folder, _FURTHER),
        *_training_curves(report),
        Details("All metrics", tables, " ".join(_explanation(report))),
    )
    return Section("Evaluation", sentences(verdict(report), *_subject(report)), items)


def comparison_of_generators(reports: Mapping[str, EvaluationReport]) -> list[Section]:
    """Returns tables of generators, by name, that were evaluated by the same extractor and the same real images."""
    alike: dict[tuple, list[str]] = {}
    for name, report in reports.items():
        key = (report.features_identity, report.shards_digest, report.image_size, report.held_out)
        alike.setdefault(key, []).append(name)
    return [_comparison({name: reports[name] for name in names}) for names in alike.values() if len(names) > 1]


def _comparison(reports: Mapping[str, EvaluationReport]) -> Section:
    first = next(iter(reports.values()))
    header = ("generator", "method", *(f"KID {scope}" for scope in first.scopes))
    rows = [(name, report.method, *_cells(report.synthetic, "kid", report)) for name, report in reports.items()]
    rows.append(("real images", "", *_cells(first.real, "kid", first)))
    return Section("Generators compared", f"Features: {first.features}.", (Table(header, tuple(rows)),))


def _grids(folder: Path, captions: Mapping[str, str]) -> list[Picture]:
    return [Picture(read_raster(folder / file), captions[file]) for file in captions if (folder / file).is_file()]


def _embedding(folder: Path, report: EvaluationReport) -> list[Picture]:
    if not (folder / pictures.EMBEDDING).is_file():
        return []
    caption = "Real and synthetic images in a plane where neighbours in feature space are neighbours (t-SNE)"
    return [Picture(charts.embedding(pictures.read_embedding(folder), report.classes), caption)]


def _training_curves(report: EvaluationReport) -> list[Picture]:
    if not report.curves:
        return []
    panels = {f"{NAMES[name]}, in training": lines for name, lines in report.curves.items()}
    chart = charts.curves(panels, "step", colours=palette.of_classes(report.classes))
    return [Picture(chart, "The averaged generator, evaluated while it was trained")]


def _subject(report: EvaluationReport) -> list[str]:
    """Returns sentences on the generator, and on the real images that it is evaluated by."""
    count = max((row.reference for row in report.synthetic), default=0)
    by = (
        f"{count} real images that it has not seen"
        if report.held_out
        else "half of the real images, all of which it has seen: whether it copies them cannot be told"
    )
    selected = f"It was selected in its run by {', '.join(report.selected_by)}, so its metrics are flattered."
    return [
        f"{report.method} at {report.image_size} px, evaluated by {by}.",
        *([selected] if report.selected_by else []),
    ]


def _explanation(report: EvaluationReport) -> list[str]:
    """Returns sentences that a reader needs to understand the metrics: the generator, the real images, the features."""
    scales = num_scales(report.image_size)
    beside = "as many real training images" if report.held_out else "the other half of the real images"
    return [
        f"Generator {report.generator[:12]}.",
        *([f"Held out: {', '.join(report.held_out)}."] if report.held_out else []),
        f"Features: {report.features}.",
        *([f"MS-SSIM has {scales} of 5 scales at this size."] if scales < len(WEIGHTS) else []),
        f"Below each metric stands the one of {beside}, evaluated alike: a faultless generator would reach it. "
        "Intervals are of 95 %. Over all classes, synthetic images have the mix of classes of the real ones.",
    ]


def _cells(rows: Sequence[Row], name: str, report: EvaluationReport) -> list[str]:
    """Returns the cells of a metric, for all classes together and for each."""
    found = [row_of(rows, name, scope) for scope in report.scopes]
    return ["" if row is None else _cell(row) for row in found]


def _cell(row: Row) -> str:
    if row.value is None:
        return "none"
    if row.low is None:
        return f"{row.value:.3g}"
    return f"{row.value:.3g} ({_short(row.low)} to {_short(row.high)})"


def _short(value: float) -> str:
    """Returns two digits, or all before the point."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.2g}"


def _metrics(report: EvaluationReport) -> Table:
    better = {row.name: row.better for row in report.synthetic}
    rows = []
    for name, title in NAMES.items():
        synthetic = _cells(report.synthetic, name, report)
        if set(synthetic) - {"", "none"}:
            rows.append((title, "" if name.endswith("_p") else better[name], "synthetic", *synthetic))
            real = _cells(report.real, name, report)
            if any(real):
                rows.append(("", "", "real", *real))
    return Table(("metric", "better", "images", *report.scopes), tuple(rows))


def _counts(report: EvaluationReport) -> Table:
    """Returns how many images were evaluated, by how many."""
    rows = []
    for what, own in (("synthetic", report.synthetic), ("real", report.real)):
        counts = {row.scope: f"{row.evaluated} by {row.reference}" for row in own}
        rows.append((what, *(counts.get(scope, "") for scope in report.scopes)))
    return Table(("images evaluated, by real ones", *report.scopes), tuple(rows))


def _unavailable(report: EvaluationReport) -> list[Table]:
    """Returns why some metrics are missing, with the metrics and scopes of equal reasons together."""
    missing: dict[str, dict[str, list[str]]] = {}
    for row in report.synthetic:
        if row.note:
            missing.setdefault(row.note, {}).setdefault(row.scope, []).append(row.metric)
    rows = [
        (", ".join(dict.fromkeys(itertools.chain(*metrics.values()))), ", ".join(metrics), note)
        for note, metrics in missing.items()
    ]
    return [Table(("not available", "for", "because"), tuple(rows))] if rows else []


def _bars(report: EvaluationReport) -> list[Picture]:
    """Returns bars of the classes, side by side for synthetic and real images."""
    panels: charts.Bars = {}
    for name in _BARS:
        sides = {"synthetic": report.synthetic, "real": report.real}
        found = {what: [_bar(row_of(rows, name, scope)) for scope in report.classes] for what, rows in sides.items()}
        if any(not math.isnan(value) for value, _, _ in found["synthetic"]):
            panels[NAMES[name]] = found
    if not panels:
        return []
    return [Picture(charts.bars(panels, report.classes), "Metrics of each class with their intervals")]


def _bar(row: Row | None) -> tuple[float, float, float]:
    """Returns value, low and high, NaN where they are not known."""
    if row is None or row.value is None:
        return math.nan, math.nan, math.nan
    return (row.value, row.value, row.value) if row.low is None else (row.value, row.low, row.high)
