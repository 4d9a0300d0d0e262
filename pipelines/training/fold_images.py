"""The images that the classifier of a fold learns from: real, synthetic and unlabelled, and what they count for.

They are looked up by their names only where a setting asks for more than what their records say.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from melgan.classifiers.metadata import INPUTS, METADATA
from melgan.classifiers.synthetic_targets import SYNTHETIC_TARGETS
from pipelines.artefacts.class_table import ClassTable
from pipelines.artefacts.classifier_run import DRAW, HIDDEN, TEST, TrainClassifierConfig
from pipelines.artefacts.shards import Shards, split_fold
from pipelines.training.labelled_images import choose_labelled
from tfrecords_tools.foundation.errors import CommandError
from tfrecords_tools.foundation.metadata import PATIENT
from tfrecords_tools.foundation.texts import first_names
from tfrecords_tools.streams import Annotations, ShardSet, join


@dataclass(frozen=True)
class Images:
    """The images of one stream.

    Attributes:
      shards: where they lie.
      mix: fractions of the classes `[C]`; of unlabelled images those that are expected.
      annotations: see `Stream`.
      has_metadata: False where none is known.
      is_own_metadata: False where it is that of other images.
    """

    shards: ShardSet
    mix: np.ndarray
    annotations: Annotations | None = None
    has_metadata: bool = True
    is_own_metadata: bool = True

    @property
    def count(self) -> int:
        """How many they are."""
        return self.shards.num_records if self.annotations is None else self.annotations.num_images


class FoldImages:
    """The images of a fold.

    Arguments:
      config: what is asked for.
      shards: the real images.
      classes: of the classifier.
      fold: its number.
      examples: of `read_examples`; None for all images, as their records say.
    """

    def __init__(
        self,
        config: TrainClassifierConfig,
        shards: Shards,
        classes: ClassTable,
        fold: int,
        examples: pd.DataFrame | None = None,
    ) -> None:
        self._config, self._shards, self._classes, self._fold = config, shards, classes, fold
        self._examples = examples
        self._training = split_fold(shards.manifest, config.num_folds, fold)[0]
        self._fuses = METADATA[config.metadata].fuse is not None
        self._looks_up = self._fuses or bool(config.diagnoses or config.examples) or config.labelled_fraction < 1

    @cached_property
    def labelled(self) -> Images:
        """The real images whose labels are known."""
        shards = self._shards.read(self._training)
        if not self._looks_up:
            return Images(shards, _normalized(self._shards.class_counts(self._training)))
        rows = self._table[self._table["is_labelled"]]
        targets = self._one_hot(rows["label"])
        annotations = self._annotate(rows, targets)
        return Images(shards, _mix(targets, annotations), annotations)

    def unlabelled(self, which: str | Shards) -> Images:
        """Returns images whose labels are not looked at.

        Arguments:
          which: `HIDDEN`, for the training images whose labels are hidden, `TEST`, or other shards, real or synthetic.

        Raises:
          CommandError: if there are none.
        """
        if isinstance(which, Shards) and which.manifest.provenance is not None:
            return self.synthetic([which])
        shards, entries = (
            (which, which.manifest.shards) if isinstance(which, Shards) else (self._shards, self._training)
        )
        if which == TEST:
            entries = self._shards.manifest.split("test")
        if not entries:
            raise CommandError(f"--unlabelled={TEST}: {self._shards.folder} has no test images; leave it out")
        mix, read = self.labelled.mix, shards.read(entries)
        if which != HIDDEN and not self._fuses:
            return Images(read, mix)
        rows = self._hidden() if which == HIDDEN else shards.images(entries)
        return Images(read, mix, self._annotate(rows, np.zeros((len(rows), len(mix)))))

    def synthetic(self, sets: Sequence[Shards], thought: pd.DataFrame | None = None) -> Images:
        """Returns synthetic images.

        Arguments:
          sets: one or more.
          thought: what the teacher thinks of them, probabilities of the classes by the name of the image; None where it
            was not asked.

        Raises:
          CommandError: if sets have images in common, or the teacher agrees with none.
        """
        shards = join([opened.read(opened.manifest.shards) for opened in sets])
        if not self._looks_up and thought is None:
            counts = np.sum([opened.class_counts(opened.manifest.shards) for opened in sets], axis=0)
            return Images(shards, _normalized(counts))
        rows = self._listed(pd.concat([opened.images(opened.manifest.shards) for opened in sets]), "synthetic")
        self._require_examples(rows, sets)
        targets = self._requested(rows["target"].to_numpy())
        if thought is not None:
            make_targets = SYNTHETIC_TARGETS[self._config.synthetic_targets]
            targets, is_kept = make_targets(targets, thought.loc[rows.index].to_numpy(), self._config.blend)
            rows, targets = rows[is_kept], targets[is_kept]
            _require_some(rows, self._config)
        is_drawn = self._config.metadata_for_synthetic == DRAW
        metadata = self._drawn_metadata(rows) if self._fuses and is_drawn else rows
        annotations = self._annotate(rows, targets, metadata)
        return Images(shards, _mix(targets, annotations), annotations, has_metadata=is_drawn, is_own_metadata=False)

    def _require_examples(self, rows: pd.DataFrame, sets: Sequence[Shards]) -> None:
        """Raises CommandError if synthetic images stand for a class of which the fold has no real image."""
        if not self._looks_up:
            return
        for label in sorted(set(rows["target"]) - set(self._table["target"])):
            raise CommandError(
                f"{sets[0].folder}: images of {self._shards.classes[label]}, of which fold {self._fold} has no real "
                "one in training, so their diagnoses or metadata cannot be told; leave that class out"
            )

    @cached_property
    def _table(self) -> pd.DataFrame:
        """A row for each real image: what `Shards.images` tells, its class, and whether that is known in training."""
        rows = self._listed(self._shards.images(self._training), "real")
        labels = self._classes.labels(rows.index, rows["target"].to_numpy())
        if self._examples is not None:
            given = self._examples["label"].loc[rows.index].to_numpy()
            labels = np.where(given >= 0, given, labels)
        is_labelled = choose_labelled(labels, rows[PATIENT].to_numpy(), self._config.labelled_fraction, self._fold)
        without = sorted(set(labels) - set(labels[is_labelled]))
        if without:
            raise CommandError(
                f"--labelled_fraction={self._config.labelled_fraction}: {self._classes.names[without[0]]} is left "
                f"without a label in fold {self._fold}; give more"
            )
        return rows.assign(label=labels, is_labelled=is_labelled)

    def _listed(self, rows: pd.DataFrame, what: str) -> pd.DataFrame:
        """Returns the images that are learned from: all, or those of `--examples`, real or synthetic."""
        if self._examples is None:
            return rows
        listed = rows[rows.index.isin(self._examples.index)]
        if listed.empty:
            raise CommandError(
                f"--examples={self._config.examples}: no {what} image that fold {self._fold} could learn from is "
                "there; name some"
            )
        return listed

    def _hidden(self) -> pd.DataFrame:
        rows = self._table[~self._table["is_labelled"]]
        if rows.empty:
            raise CommandError(
                f"--unlabelled={HIDDEN}: no label is hidden; give a smaller --labelled_fraction, or leave it out"
            )
        return rows

    def _requested(self, targets: np.ndarray) -> np.ndarray:
        """Returns the classes that were asked for `[N, C]`, as real images of those of the shards are of them."""
        if self._classes.numbers is None:
            return self._one_hot(targets)
        table = self._table[self._table["is_labelled"]]
        one_hot, of_shards = self._one_hot(table["label"]), table["target"].to_numpy()
        mixes = [one_hot[of_shards == label].mean(axis=0) for label in range(len(self._shards.classes))]
        return np.stack(mixes)[targets]

    def _drawn_metadata(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Returns, for each synthetic image, all that is known of a real one of the same class, drawn at random."""
        rng = np.random.default_rng([self._config.seed, self._fold])
        wanted, found = rows["target"].to_numpy(), self._table["target"].to_numpy()
        drawn = np.zeros(len(rows), int)
        for label in np.unique(wanted):
            drawn[wanted == label] = rng.choice(np.flatnonzero(found == label), (wanted == label).sum())
        return self._table.iloc[drawn]

    def _annotate(self, rows: pd.DataFrame, targets: np.ndarray, metadata: pd.DataFrame | None = None) -> Annotations:
        _require_different(rows)
        source = rows if metadata is None else metadata
        values = {name: source[name].to_numpy(np.int32) for name in INPUTS} if self._fuses else {}
        counts = None if self._examples is None else self._examples["count"].loc[rows.index].to_numpy()
        return Annotations(names=tuple(rows.index), targets=targets.astype(np.float32), metadata=values, counts=counts)

    def _one_hot(self, labels: Sequence[int]) -> np.ndarray:
        return np.eye(len(self._classes.names))[np.asarray(labels)]


def _mix(targets: np.ndarray, annotations: Annotations) -> np.ndarray:
    """Returns the fractions of the classes `[C]` among images with targets `[N, C]`."""
    return np.average(targets, axis=0, weights=annotations.counts)


def _normalized(counts: Sequence[int]) -> np.ndarray:
    return np.asarray(counts) / np.sum(counts)


def _require_different(rows: pd.DataFrame) -> None:
    repeated = rows.index[rows.index.duplicated()].unique()
    if len(repeated):
        raise CommandError(
            f"{len(repeated)} images that are learned from come twice ({first_names(list(repeated), 3)}), and are told "
            "by their names; give each set once, synthesize with another --seed, or name the images otherwise"
        )


def _require_some(rows: pd.DataFrame, config: TrainClassifierConfig) -> None:
    if rows.empty:
        raise CommandError(
            f"--synthetic_targets={config.synthetic_targets}: --teacher={config.teacher} agrees with no synthetic "
            "image; look at both, or take another teacher"
        )
