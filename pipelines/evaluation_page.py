"""What a page says of an evaluation: figures with intervals, bars, pictures."""

from collections.abc import Sequence

import pandas as pd

from melgan.metrics.evaluation import ALL_CLASSES
from pipelines import charts
from pipelines import evaluation_pictures as pictures
from pipelines.page import Picture, Run, Section, Table

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
_BARS = ("kid", "precision", "recall", "density", "coverage", "ms_ssim")
_PICTURES = {
    pictures.GRID: "Real held-out images beside synthetic ones, the first of each class",
    pictures.SUSPICIOUS: (
        "The synthetic images that lie nearest to a training image, by features (f.) and by pixels (p.), turned as "
        "they lay nearest; the number is their distance over the threshold, below which an image is suspicious"
    ),
    pictures.INTERPOLATIONS: "From one synthetic image of each class to another, in equal steps of the latents",
}


def evaluation_section(run: Run) -> Section:
    """Figures beside those of real images, and pictures."""
    report = run.report
    held_out = report["held_out"]
    by = (
        f"real images of {', '.join(held_out)}, which the generator has not seen"
        if held_out
        else ("half of the real images, all of which the generator has seen: whether it copies them cannot be told")
    )
    beside = "as many real training images" if held_out else "the other half of the real images"
    text = (
        f"{report['method']} (generator {report['generator'][:12]}, {report['image_size']} px), judged by {by}. "
        f"Features: {report['features']}, resized with antialiasing. Below each figure stands that of {beside}, judged "
        "by the same ones: what a faultless generator would reach. Intervals are of 95 %. Over all classes, synthetic "
        "images have the mix of classes of the real ones."
    )
    items: list[Table | Picture] = [_figures(report), _counts(report)]
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
    return Section(f"Judged: {run.name}", text, tuple(items))


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
    found = {row["scope"]: row for row in report[what] if row["figure"] == figure}
    return [_cell(found[scope]) if scope in found else "" for scope in _scopes(report)]


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
    """Returns why there are no figures of a metric, with the scopes of equal reasons together."""
    scopes: dict[tuple[str, str], list[str]] = {}
    for row in report["synthetic"]:
        if row["note"]:
            scopes.setdefault((row["metric"], row["note"]), []).append(row["scope"])
    rows = tuple((metric, ", ".join(own), note) for (metric, note), own in scopes.items())
    return Table(("not available", "for", "because"), rows) if rows else None


def _bars(report: dict) -> charts.Bars:
    """Returns panel -> kind of image -> (value, low, high) of each class, for figures that every class has."""
    panels = {}
    for figure in _BARS:
        panel = {}
        for what in ("synthetic", "real"):
            found = {row["scope"]: row for row in report[what] if row["figure"] == figure}
            own = [found.get(name, {"value": None}) for name in report["classes"]]
            if all(row["value"] is not None and row["low"] is not None for row in own):
                panel[what] = [(row["value"], row["low"], row["high"]) for row in own]
        if panel:
            panels[NAMES[figure]] = panel
    return panels
