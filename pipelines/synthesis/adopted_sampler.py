"""The sampler of a run of adopt_synthetic: the images that it has, in an order that follows from the seed."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from melgan.sampling import Requests, SampledImages, require_known_conditions
from pipelines.artefacts.adopted_run import COMMAND, AdoptedReport, AdoptSyntheticConfig
from pipelines.artefacts.shards import open_synthetic
from pipelines.contract.shared_settings import SamplingSettings
from pipelines.contract.workdir import read_config, read_report, require_run
from pipelines.synthesis.opened import OpenedSampler
from tfrecords_tools.example import parse
from tfrecords_tools.records import read_records


class StoredSampler:
    """A sampler of images that are there already, in an order that follows from the seed.

    The index of a request chooses the image, one after the other; after the last comes the first again.

    Arguments:
      jpegs: the images of each class.
      classes: names of the classes.
      image_size: side of the images in pixels.
      seed: of their order.
    """

    conditions: frozenset[str] = frozenset()

    def __init__(self, jpegs: Sequence[Sequence[bytes]], classes: Sequence[str], image_size: int, seed: int) -> None:
        self._jpegs = [
            [own[row] for row in np.random.default_rng([seed, label]).permutation(len(own))]
            for label, own in enumerate(jpegs)
        ]
        self.classes, self.image_size = tuple(classes), image_size

    def capacity(self, label: int) -> int:
        """Returns how many images of a class there are."""
        return len(self._jpegs[label])

    def draw(self, requests: Requests) -> SampledImages:
        """Returns the images that are asked for.

        Raises:
          ValueError: for a condition, of which it takes none.
        """
        require_known_conditions(requests, self.conditions)
        pairs = zip(requests.label.tolist(), requests.index.tolist(), strict=True)
        images = [
            tf.io.decode_jpeg(self._jpegs[label][index % len(self._jpegs[label])], channels=3).numpy()
            for label, index in pairs
        ]
        return SampledImages(images=np.stack(images), boxes=None, made_from=((),) * len(images))

    def interpolate(self, label: int, steps: int) -> None:
        """Returns nothing: there is no way from one image to another."""
        del label, steps


def open_adopted(path: str, field: str, settings: SamplingSettings) -> OpenedSampler:
    """Returns the sampler of adopted images that a setting names.

    Raises:
      CommandError: if the run is not complete or damaged.
    """
    folder = require_run(path, field, COMMAND)
    config, report = read_config(folder, AdoptSyntheticConfig), read_report(folder, AdoptedReport)
    opened = open_synthetic(path, field, settings.cache_dir)
    jpegs: list[list[bytes]] = [[] for _ in opened.classes]
    for entry in opened.manifest.shards:
        for features in map(parse, read_records(opened.folder / entry.file)):
            jpegs[features["target"][0]].append(features["image"][0])
    provenance = opened.manifest.provenance
    return OpenedSampler(
        sampler=StoredSampler(jpegs, opened.classes, opened.manifest.image_size, settings.seed),
        sha256=provenance.generator,
        method=provenance.method,
        seed=settings.seed,
        seen=provenance.seen,
        seen_is=provenance.seen_is,
        class_counts=report.real_counts,
        shards=config.shards,
    )
