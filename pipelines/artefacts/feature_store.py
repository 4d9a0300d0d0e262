"""Features of image sets, kept in a file for every part of them, such as a shard, so that they are computed once."""

import hashlib
import itertools
import json
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from absl import logging

from melgan.classifiers.network import feature_network
from melgan.metrics.dihedral import NUM_VIEWS, views_of
from melgan.metrics.extractors import EXTRACTORS, Extractor, of_classifier
from melgan.metrics.samples import Samples
from pipelines.artefacts.classifier_run import ClassifierRun, open_classifier_run
from pipelines.artefacts.image_sets import ImageSet, Part
from pipelines.artefacts.seen import Certainty, sightings
from pipelines.artefacts.shards import Shards
from pipelines.contract.inputs import Input, file_input
from pipelines.contract.progress import Progress
from pipelines.contract.workdir import folder_input
from tfrecords_tools.foundation.errors import ConfigError, look_up
from tfrecords_tools.foundation.files import written_whole
from tfrecords_tools.manifest import ShardEntry

CLASSIFIER_PREFIX = "classifier:"
_CHUNK = 64
Arrays = dict[str, np.ndarray]


class FeatureStore:
    """Extracts features, and keeps those of each part of the images as `<digest>.npz` in a folder."""

    def __init__(self, folder: Path, extractor: Extractor) -> None:
        self._folder, self._extractor = folder, extractor
        folder.mkdir(parents=True, exist_ok=True)

    def samples(self, images: ImageSet, what: str, *, views: bool = False) -> Samples:
        """Returns images with their features, of every part from its file if there is one.

        Arguments:
          images: as drawn or read.
          what: they are, for the line of progress.
          views: whether `Samples.views` is wanted, by which copies are looked for.
        """
        found = [self._read(part, views) for part in images.parts]
        missing = np.repeat([arrays is None for arrays in found], [part.count for part in images.parts])
        if missing.any():
            progress = Progress(f"features of {what}", int(missing.sum()), "images")
            extracted = self._extract(images.images[missing], views, progress.update)
            found = self._with_extracted(images.parts, found, extracted, views)
        whole = {name: np.concatenate([arrays[name] for arrays in found]) for name in found[0]}
        return _samples(images, whole, views)

    def extract(
        self, images: ImageSet, *, views: bool = False, progress: Callable[[int], None] = lambda done: None
    ) -> Samples:
        """Returns images with their features, computed anew and not kept."""
        return _samples(images, self._extract(images.images, views, progress), views)

    def _with_extracted(
        self, parts: Sequence[Part], found: Sequence[Arrays | None], extracted: Arrays, views: bool
    ) -> list[Arrays]:
        """Returns the arrays of all parts, after those of the missing ones, in their order, were kept."""
        complete, start = [], 0
        for part, arrays in zip(parts, found, strict=True):
            if arrays is None:
                arrays = {name: array[start : start + part.count] for name, array in extracted.items()}
                start += part.count
                _write_arrays(self._path(part, views), arrays)
            complete.append(arrays)
        return complete

    def _read(self, part: Part, views: bool) -> Arrays | None:
        known = _read_arrays(self._path(part, views), part.count)
        if known is None and not views:  # the first view of all is the image itself
            known = _read_arrays(self._path(part, views=True), part.count)
        return known if known is None or views else known | {"views": known["views"][:, :1]}

    def _path(self, part: Part, views: bool) -> Path:
        identity = json.dumps([self._extractor.identity, part.key, views])
        return self._folder / f"{hashlib.sha256(identity.encode()).hexdigest()[:32]}.npz"

    def _extract(self, images: np.ndarray, views: bool, progress: Callable[[int], None]) -> Arrays:
        features, probabilities = [], []
        for start in range(0, len(images), _CHUNK):
            turned = views_of(images[start : start + _CHUNK])
            extracted = [self._extractor.extract(view) for view in itertools.islice(turned, NUM_VIEWS if views else 1)]
            features.append(np.stack([own for own, _ in extracted], axis=1))
            probabilities.append(extracted[0][1])
            progress(min(start + _CHUNK, len(images)))
        arrays = {"views": np.concatenate(features)}
        return arrays if probabilities[0] is None else arrays | {"probabilities": np.concatenate(probabilities)}


def require_known_features(features: str, field: str) -> None:
    """Raises ConfigError if a setting names no extractor and no `classifier:RUN`."""
    if not features.startswith(CLASSIFIER_PREFIX):
        look_up(EXTRACTORS, features, field)
    elif features == CLASSIFIER_PREFIX:
        raise ConfigError(f"{field} is {features!r}, which names no classifier; give classifier:RUN, RUN its folder")


def extractor_inputs(features: str, weights: str, prefix: str = "") -> dict[str, Input]:
    """Returns what an extractor is made from, by setting: a classifier's run or a file of weights, if it is any.

    Arguments:
      features, weights: as the settings name them.
      prefix: of the names of the two settings.
    """
    inputs = {}
    if features.startswith(CLASSIFIER_PREFIX):
        inputs[f"{prefix}features"] = folder_input(features.removeprefix(CLASSIFIER_PREFIX))
    if weights:
        inputs[f"{prefix}weights"] = file_input(weights)
    return inputs


def make_extractor(
    features: str, weights: str, shards: Shards, held_out: Sequence[ShardEntry], field: str = "features"
) -> Extractor:
    """Returns the extractor that a name of EXTRACTORS or `classifier:RUN` asks for.

    Of a classifier's folds, one is taken that did not see the held-out shards, if there is one.

    Arguments:
      features: its name.
      weights: file of its weights, empty for its own.
      shards: of the images whose features are wanted.
      held_out: those of them that it should not have seen.
      field: the setting that names it.

    Raises:
      ConfigError: for an unknown name, or weights that cannot be had.
      CommandError: if the run is no classifier of these classes.
    """
    if not features.startswith(CLASSIFIER_PREFIX):
        return look_up(EXTRACTORS, features, field)(weights)
    run = open_classifier_run(features.removeprefix(CLASSIFIER_PREFIX), field)
    fold, is_unseen = _choose_fold(run, shards, held_out or shards.manifest.split("train"))
    if not is_unseen:
        logging.warning(
            "%s: this classifier was trained on images that are evaluated here, so its features flatter them; better "
            "hold the same shards out from it",
            run.folder,
        )
    if run.config.synthetic:
        logging.warning(
            "%s: this classifier was trained with synthetic images too, so its features may know a generator's faults "
            "as real; better take one trained on real images only",
            run.folder,
        )
    name = f"classifier {run.name} ({run.config.backbone}, fold {fold})"
    return of_classifier(feature_network(run.load(fold)), run.config.image_size, name, run.sha256(fold))


def _samples(images: ImageSet, arrays: Arrays, views: bool) -> Samples:
    """Returns samples from the features of their views `[N, V, F]`, and the probabilities of classes, if any."""
    return Samples(
        images=images.images,
        labels=images.labels,
        groups=images.groups,
        names=images.names,
        features=arrays["views"][:, 0],
        probabilities=arrays.get("probabilities"),
        views=arrays["views"] if views else None,
    )


def _choose_fold(run: ClassifierRun, shards: Shards, evaluated: Sequence[ShardEntry]) -> tuple[int, bool]:
    """Returns a fold of a classifier, and whether its training left the shards out that are evaluated."""
    for fold in run.report.folds:
        seen = sightings(run.seen(fold, shards), shards.manifest, evaluated)
        if all(sighting.certainty is Certainty.UNKNOWN for sighting in seen):
            return fold, True
    return run.report.folds[0], False


def _read_arrays(path: Path, count: int) -> Arrays | None:
    """Returns the arrays of a file, each with `count` rows, or None if there is none or it is damaged."""
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = dict(file)
        if all(len(array) == count for array in arrays.values()) and arrays["views"].ndim == 3:
            return arrays
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile):
        pass  # as for arrays of another shape: told below
    logging.warning("%s is damaged; its features are computed again", path)
    return None


def _write_arrays(path: Path, arrays: Arrays) -> None:
    with written_whole(path) as unfinished:
        np.savez(unfinished, **arrays)
