"""What a comparison of methods found: tables in Markdown, and pictures of what the generators draw side by side.

A result is a dictionary that `method_comparison` wrote: method, seed, settings, the folder of the run, the report of
its evaluation and what it cost.
"""

import pipelines.contract.quiet_tensorflow  # noqa: F401

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from melgan.gans.methods import METHODS
from melgan.metrics.evaluation import ALL_CLASSES
from pipelines.artefacts.generator_run import load_generator
from pipelines.artefacts.image_sets import draw_images, read_images
from pipelines.artefacts.shards import open_shards, split_fold
from pipelines.pages.grids import write_grid

_FIGURES = {
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
    parts = []
    for label in [*results[0]["report"]["classes"], ALL_CLASSES]:
        rows = [
            [result["method"], result["seed"], *_figures(result["report"]["synthetic"], label)] for result in results
        ]
        rows.append(["real", "", *_figures(results[0]["report"]["real"], label)])
        parts.append(f"### {label}\n\n{_markdown(['method', 'seed', *_FIGURES.values()], rows)}")
    costs = [
        [result["method"], result["seed"], result["settings"]["width"], result["settings"]["total_steps"]]
        + [f"{result['seconds_per_thousand']:.1f}", f"{result['megabytes']:.0f}"]
        for result in results
    ]
    header = ["method", "seed", "width", "steps", "s / 1,000 images", "MB in training"]
    return "\n\n".join([*parts, f"### Cost\n\n{_markdown(header, costs)}"])


def _figures(rows: Sequence[dict], label: str) -> list[str]:
    found = {row["figure"]: row for row in rows if row["scope"] == label and row["value"] is not None}
    return [_cell(found[name]) if name in found else "" for name in _FIGURES]


def _cell(row: dict) -> str:
    reach = "" if row["low"] is None else f" ({row['low']:.2g} to {row['high']:.2g})"
    return f"{row['value']:.3g}{reach}"


def _markdown(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def write_side_by_side(results: Sequence[dict], output: Path) -> None:
    """Writes a picture for each class: real images that were held out, and the first that every run draws."""
    settings = results[0]["settings"]
    shards = open_shards(settings["shards"], "shards")
    _, held_out = split_fold(shards.manifest, settings["num_folds"], settings["fold"])
    real = read_images(shards, held_out, settings["image_size"], _SHOWN)
    results = in_order(results)
    generators = [load_generator(result["folder"], "gan") for result in results]
    before = [None, *(result["method"] for result in results)]
    names = [
        f"seed {result['seed']}" if result["method"] == previous else result["method"]
        for result, previous in zip(results, before, strict=False)
    ]
    for label, class_name in enumerate(shards.manifest.classes):
        labels = np.full(_SHOWN, label)
        drawn = [draw_images(generator.network, generator.sha256, labels, 0).images for generator in generators]
        write_grid(output / f"{class_name}.png", [real.images[real.labels == label], *drawn], ["real", *names], [])


def in_order(results: Sequence[dict]) -> list[dict]:
    """Returns the runs in the order of the table of methods."""
    return sorted(results, key=lambda result: (list(METHODS).index(result["method"]), result["seed"]))
