"""What a comparison of methods found: tables in Markdown, and pictures of what the generators draw side by side.

A result is a dictionary that `method_comparison` wrote: method, seed, settings, the folder of the run, the report of
its evaluation, as JSON has it, and what it cost.
"""

import pipelines.contract.quiet_tensorflow  # noqa: F401

from collections.abc import Sequence
from pathlib import Path

from benchmarks.markdown import markdown_table
from melgan.gans.methods import METHODS
from melgan.metrics.evaluation import ALL_CLASSES, Row
from melgan.sampling import first_requests
from pipelines.artefacts.evaluation import EvaluationReport, row_of, served
from pipelines.artefacts.image_sets import SyntheticImages, read_images
from pipelines.artefacts.shards import open_shards, split_fold
from pipelines.contract.shared_settings import SamplingSettings
from pipelines.pages.grids import Column, write_grid
from pipelines.synthesis.samplers import open_sampler
from tfrecords_tools.foundation.documents import from_plain
from tfrecords_tools.images import JPEG_QUALITY

_METRICS = {
    "kid": "KID",
    "precision": "precision",
    "recall": "recall",
    "density": "density",
    "coverage": "coverage",
    "ms_ssim": "MS-SSIM",
    "accuracy_score": "accuracy score",
    "accuracy_reverse": "reverse",
    "copies_features": "suspicious by features",
    "copies_pixels": "by pixels",
}
_SHOWN = 10  # images of each class, side by side


def tables(results: Sequence[dict]) -> str:
    """Returns the results in Markdown: tables of each class, of all, and of what the runs cost, with a row a run."""
    results = in_order(results)
    reports = [from_plain(EvaluationReport, result["report"]) for result in results]
    parts = []
    for scope in [*reports[0].classes, ALL_CLASSES]:
        rows = [
            [result["method"], result["seed"], *_cells(report.synthetic, scope)]
            for result, report in zip(results, reports, strict=True)
        ]
        rows.append(["real", "", *_cells(reports[0].real, scope)])
        parts.append(f"### {scope}\n\n{markdown_table(['method', 'seed', *_METRICS.values()], rows)}")
    costs = [
        [result["method"], result["seed"], result["settings"]["width"], result["settings"]["total_steps"]]
        + [f"{result['seconds_per_thousand']:.1f}", f"{result['megabytes']:.0f}"]
        for result in results
    ]
    header = ["method", "seed", "width", "steps", "s / 1,000 images", "MB in training"]
    parts += [f"### Served\n\n{_served(results, reports)}", f"### Cost\n\n{markdown_table(header, costs)}"]
    return "\n\n".join(parts)


def _served(results: Sequence[dict], reports: Sequence[EvaluationReport]) -> str:
    """Returns a row a run: how well each class is served relative to real images, the worst of them and the mean."""
    classes, rows = reports[0].classes, []
    for result, report in zip(results, reports, strict=True):
        values = [served(report, name).value for name in classes]
        cells = [f"{value:.2f}" for value in (*values, min(values), sum(values) / len(values))]
        rows.append([result["method"], result["seed"], *cells])
    return markdown_table(["method", "seed", *classes, "worst", "mean"], rows)


def _cells(rows: Sequence[Row], scope: str) -> list[str]:
    return [_cell(row_of(rows, name, scope)) for name in _METRICS]


def _cell(row: Row | None) -> str:
    if row is None or row.value is None:
        return ""
    reach = "" if row.low is None else f" ({row.low:.2g} to {row.high:.2g})"
    return f"{row.value:.3g}{reach}"


def write_side_by_side(results: Sequence[dict], output: Path) -> None:
    """Writes a picture for each class: real images that were held out, and the first that every run draws."""
    settings = results[0]["settings"]
    shards = open_shards(settings["shards"], "shards")
    _, held_out = split_fold(shards.manifest, settings["num_folds"], settings["fold"])
    real = read_images(shards, held_out, settings["image_size"], _SHOWN)
    results = in_order(results)
    generators = [open_sampler(result["folder"], "gan", SamplingSettings()) for result in results]
    images = [SyntheticImages(each.sampler, (each.sha256, each.seed), JPEG_QUALITY) for each in generators]
    before = [None, *(result["method"] for result in results)]
    names = [
        f"seed {result['seed']}" if result["method"] == previous else result["method"]
        for result, previous in zip(results, before, strict=False)
    ]
    for label, class_name in enumerate(shards.classes):
        drawn = [each.draw(first_requests(label, _SHOWN)).images for each in images]
        columns = [Column("real", real.images[real.labels == label]), *map(Column, names, drawn)]
        write_grid(output / f"{class_name}.png", columns)


def in_order(results: Sequence[dict]) -> list[dict]:
    """Returns the runs in the order of the table of methods, and variants after these by their names."""
    places = {method: place for place, method in enumerate(METHODS)}
    return sorted(results, key=lambda run: (places.get(run["method"], len(places)), run["method"], run["seed"]))
