"""Pictures of the training of a generator: its last samples, and the curves of its metrics."""

from collections.abc import Sequence

from pipelines.artefacts import diversity_history, evaluation_curves
from pipelines.artefacts.metrics_file import MetricsLine, read_metrics
from pipelines.pages import charts
from pipelines.pages.page import Picture
from pipelines.pages.rasters import read_raster
from tfrecords_tools.foundation.files import AnyPath

_MAX_CURVE_POINTS = 400
_TRAINED = {"gan": "GAN"}  # in words, where the name of a series is not


def last_samples(folder: AnyPath, what: str) -> list[Picture]:
    """Returns the grid of the last checkpoint of a run, if there is one; its caption says what it shows."""
    grids = sorted((folder / "samples").glob("*.png"))
    if not grids:
        return []
    return [Picture(read_raster(grids[-1]), f"Step {int(grids[-1].stem)}: {what}")]


def losses(folder: AnyPath) -> list[Picture]:
    """Returns the curves of each training of a run: of an autoencoder, if there was one, and of the generator."""
    of_series: dict[str, list[MetricsLine]] = {}
    for line in read_metrics(folder):
        of_series.setdefault(line.series, []).append(line)
    return [
        Picture(_metric_curves(lines), f"Training of the {_TRAINED.get(series, series)}")
        for series, lines in of_series.items()
        if series not in (diversity_history.SERIES, evaluation_curves.SERIES)
    ]


def _metric_curves(lines: Sequence[MetricsLine]) -> charts.Chart:
    own = lines[:: -(-len(lines) // _MAX_CURVE_POINTS)]
    steps = [line.step for line in own]
    panels = {name.replace("_", " "): {name: (steps, [line.metrics[name] for line in own])} for name in own[0].metrics}
    return charts.curves(panels, "step")
