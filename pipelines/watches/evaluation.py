"""Evaluation of a generator in training by real images: curves of metrics, and the best generator so far."""

from pathlib import Path

import keras
import numpy as np
from absl import logging

from melgan.metrics.comparison import Comparison
from melgan.metrics.evaluation import evaluate
from melgan.metrics.samples import Samples
from melgan.sampling import Requests
from pipelines.artefacts.evaluation import value_of
from pipelines.artefacts.evaluation_curves import SERIES, rows_as_metrics
from pipelines.artefacts.feature_store import FeatureStore
from pipelines.artefacts.generator_run import (
    BEST_FILE,
    BEST_GENERATOR_FILE,
    BestGenerator,
    read_best,
    write_generator,
)
from pipelines.artefacts.image_sets import SyntheticImages
from pipelines.artefacts.metrics_file import MetricsWriter
from tfrecords_tools.foundation.documents import write_document
from tfrecords_tools.provenance import ShardsUsed

FEATURES_FOLDER = "features"
IMAGES_PER_CLASS = 100
_METRICS = ("kid", "prdc")


class EvaluationWatch:
    """Evaluates a generator by real images, and keeps the one whose images of the rarest class have the lowest KID.

    One whose images of that class have a recall of 0 is not kept.

    Arguments:
      folder: of the run.
      generator: in training.
      images: how its images are made.
      rarest: the class whose KID decides.
      reference: real images, best such as training leaves out.
      reference_shards: which shards those are of, for the provenance of the best.
      store: extracts features.
      start_step: lines of later steps, left by a run that was killed or rolled back, are dropped.
    """

    def __init__(
        self,
        folder: Path,
        generator: keras.Model,
        images: SyntheticImages,
        rarest: str,
        reference: Samples,
        reference_shards: ShardsUsed,
        store: FeatureStore,
        *,
        start_step: int,
    ) -> None:
        self._folder, self._generator, self._images = folder, generator, images
        self._classes, self._rarest = images.sampler.classes, rarest
        self._reference, self._reference_shards, self._store = reference, reference_shards, store
        self._writer = MetricsWriter(folder, SERIES, start_step)
        count = int(np.sum(reference.labels == self._classes.index(rarest)))
        if count < 2:
            logging.warning(
                "%d real images of %s, the rarest class, are held out: no generator can be called the best by them; "
                "hold out more with a smaller --num_folds",
                *(count, rarest),
            )

    def evaluate(self, step: int) -> None:
        """Evaluates the generator as it is at a step; earlier lines of this step are replaced."""
        labels = np.repeat(np.arange(len(self._classes)), IMAGES_PER_CLASS)
        drawn = self._images.draw(Requests(index=np.arange(len(labels)), label=labels))
        _, seed = self._images.key
        comparison = Comparison(self._store.extract(drawn), self._reference, seed=seed)
        rows = evaluate(comparison, self._classes, metrics=_METRICS)
        # Pixels hardly tell a collapsed class from a healthy one by KID; its recall is 0.
        if value_of(rows, "recall", self._rarest) != 0:
            self._keep_if_best(step, value_of(rows, "kid", self._rarest))
        self._writer.drop_after(step - 1)
        self._writer.write(step, rows_as_metrics(rows))

    def _keep_if_best(self, step: int, kid: float | None) -> None:
        best = read_best(self._folder)
        if kid is None or (best and best.kid <= kid):
            return
        sha256 = write_generator(self._folder / BEST_GENERATOR_FILE, self._generator)
        selected_on, name = self._reference_shards, self._rarest
        found = BestGenerator(step=step, kid=kid, class_name=name, sha256=sha256, selected_on=selected_on)
        write_document(self._folder / BEST_FILE, found)
        logging.info("step %d: best KID of %s so far, %.4g; kept as %s", step, name, kid, BEST_GENERATOR_FILE)
