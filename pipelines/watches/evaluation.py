"""A generator in training, judged now and then by real images: curves of metrics, and the best generator so far."""

import json
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
from absl import logging

from melgan.metrics.comparison import Comparison
from melgan.metrics.evaluation import evaluate
from melgan.metrics.samples import Samples
from pipelines.artefacts.feature_store import FeatureStore
from pipelines.artefacts.generator_run import BEST_FILE, BEST_GENERATOR_FILE, write_generator
from pipelines.artefacts.image_sets import draw_images
from pipelines.artefacts.metrics_file import MetricsWriter, read_metrics
from tfrecords_tools.foundation.files import write_atomically

SERIES, FEATURES_FOLDER = "evaluation", "features"
IMAGES_PER_CLASS = 100
_METRICS = ("kid", "prdc")


class EvaluationWatch:
    """Judges a generator by real images, and keeps the one whose images of the rarest class have the lowest KID.

    One whose images of that class have a recall of 0 is not kept.

    Arguments:
      folder: of the run.
      classes: names of the classes.
      rarest: the class whose KID decides.
      reference: real images, best such as training leaves out.
      reference_shards: which shards those are of (`shards_used`), for the provenance of the best.
      store: extracts features.
      seed: of the latents, the same every time.
      start_step: judgements of later steps, left by a run that was killed or rolled back, are dropped.
    """

    def __init__(
        self,
        folder: Path,
        classes: Sequence[str],
        rarest: str,
        reference: Samples,
        reference_shards: dict,
        store: FeatureStore,
        *,
        seed: int,
        start_step: int,
    ) -> None:
        self._folder, self._classes, self._rarest = folder, classes, rarest
        self._reference, self._reference_shards = reference, reference_shards
        self._store, self._seed = store, seed
        self._writer = MetricsWriter(folder, SERIES, start_step)
        count = int(np.sum(reference.labels == classes.index(rarest)))
        if count < 2:
            logging.warning(
                "%d real images of %s, the rarest class, are held out: no generator can be judged the best by them; "
                "hold out more with a smaller --num_folds",
                *(count, rarest),
            )

    def judge(self, generator: keras.Model, step: int) -> None:
        """Judges the generator as it is at a step; what was said of this step before is replaced."""
        labels = np.repeat(np.arange(len(self._classes)), IMAGES_PER_CLASS)
        judged = self._store.extract(draw_images(generator, "", labels, self._seed))
        comparison = Comparison(judged, self._reference, seed=self._seed)
        rows = evaluate(comparison, self._classes, metrics=_METRICS)
        figures = {f"{row.figure}/{row.scope}": row.interval.value for row in rows if row.interval is not None}
        # Pixels hardly tell a collapsed class from a healthy one by KID; its recall is 0.
        if figures.get(f"recall/{self._rarest}", 1.0) > 0:
            self._keep_if_best(generator, step, figures.get(f"kid/{self._rarest}"))
        self._writer.drop_after(step - 1)
        self._writer.write(step, figures)

    def _keep_if_best(self, generator: keras.Model, step: int, kid: float | None) -> None:
        best = read_best(self._folder)
        if kid is None or (best and best["kid"] <= kid):
            return
        sha256 = write_generator(self._folder / BEST_GENERATOR_FILE, generator)
        found = {"step": step, "kid": kid, "class": self._rarest, "sha256": sha256}
        found["selected_on"] = self._reference_shards
        write_atomically(self._folder / BEST_FILE, json.dumps(found) + "\n")
        logging.info("step %d: best KID of %s so far, %.4g; kept as %s", step, self._rarest, kid, BEST_GENERATOR_FILE)


def read_best(folder: Path) -> dict | None:
    """Returns step, KID, class, SHA-256 and judging shards of the best generator so far, None if none was judged."""
    return json.loads((folder / BEST_FILE).read_text()) if (folder / BEST_FILE).is_file() else None


def read_curves(folder: Path) -> dict[str, dict[str, tuple[list[int], list[float]]]]:
    """Returns what was judged in a run: figure -> class -> (steps, values)."""
    lines = [line for line in read_metrics(folder) if line["series"] == SERIES]
    curves: dict[str, dict[str, tuple[list[int], list[float]]]] = {}
    for line in lines:
        for key in (key for key in line if "/" in key):
            figure, scope = key.split("/", 1)
            steps, values = curves.setdefault(figure, {}).setdefault(scope, ([], []))
            steps.append(line["step"])
            values.append(line[key])
    return curves
