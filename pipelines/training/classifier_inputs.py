"""The inputs of a classifier's training, none of which has seen an image that a fold is validated on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from melgan.classifiers.config import GAN_WEIGHTS
from melgan.classifiers.discriminator import DISCRIMINATOR_PREFIX
from melgan.classifiers.metadata import METADATA
from pipelines.artefacts.class_table import ClassTable, class_table
from pipelines.artefacts.classifier_run import (
    BEST_WEIGHTS_FILE,
    HIDDEN,
    TEST,
    ClassifierRun,
    TrainClassifierConfig,
    open_classifier_run,
)
from pipelines.artefacts.generator_run import GanRun
from pipelines.artefacts.mixing import require_stored_alike
from pipelines.artefacts.seen import require_same_classes, require_unseen, without_leaks
from pipelines.artefacts.shards import Shards, open_any_shards, open_shards, open_synthetic, split_fold
from pipelines.contract.inputs import Input, file_input
from pipelines.contract.workdir import folder_input, is_completed
from pipelines.training.discriminators import open_discriminator_run
from pipelines.training.examples_table import read_examples, require_known
from tfrecords_tools.example import SOURCE_FEATURE
from tfrecords_tools.foundation.errors import CommandError
from tfrecords_tools.manifest import ShardEntry
from tfrecords_tools.provenance import SeenShards, ShardsUsed


@dataclass(frozen=True, kw_only=True)
class ClassifierInputs:
    """What classifiers are trained on.

    Attributes:
      shards: the real images.
      classes: of the classifiers.
      examples: of `read_examples`; None for all images, as their records say.
      target: the class that is positive.
      synthetic: sets of each fold.
      unlabelled: `HIDDEN`, `TEST`, or other shards of each fold.
      teacher: the run whose classifiers teach.
      gans: the run of each fold whose discriminator is the backbone, if it is one.
      ancestors: the shards of the trainings whose weights each fold starts from.
      digests: of all.
    """

    shards: Shards
    classes: ClassTable
    examples: pd.DataFrame | None
    target: str
    synthetic: dict[int, list[Shards]]
    unlabelled: dict[int, list[str | Shards]]
    teacher: ClassifierRun | None
    gans: dict[int, GanRun]
    ancestors: dict[int, tuple[ShardsUsed, ...]]
    digests: dict[str, Input]

    def seen_unlabelled(self, fold: int) -> tuple[ShardsUsed, ...]:
        """Returns the real shards that a fold learns from without labels, beside its own."""
        others = [opened for opened in self.unlabelled[fold] if isinstance(opened, Shards)]
        real = [opened for opened in others if opened.manifest.provenance is None]
        return tuple(opened.used(opened.manifest.shards) for opened in real)


def open_inputs(config: TrainClassifierConfig) -> ClassifierInputs:
    """Returns what the settings name.

    Raises:
      CommandError: if one of them does not suit the shards, or has seen images that a fold is validated on.
    """
    shards = open_shards(config.shards, "shards", config.cache_dir)
    classes = class_table(shards, config.diagnoses)
    if len(classes.names) < 2:
        raise CommandError(
            f"--shards={config.shards}: of one class, {classes.names[0]}; a classifier needs at least two"
        )
    if config.target not in ("", *classes.names):
        raise CommandError(f"--target={config.target}: no class; {shards.folder} has {', '.join(classes.names)}")
    _require_validation(config, shards)
    synthetic = {fold: _open_synthetic(config, shards, fold) for fold in config.fold_numbers}
    unlabelled = {fold: _open_unlabelled(config, shards, fold) for fold in config.fold_numbers}
    teacher = _open_teacher(config, shards, classes) if config.teacher else None
    gans = _open_gans(config) if config.gan else {}
    return ClassifierInputs(
        shards=shards,
        classes=classes,
        examples=_read_examples(config, shards, classes, synthetic) if config.examples else None,
        target=config.target or classes.default_target(),
        synthetic=synthetic,
        unlabelled=unlabelled,
        teacher=teacher,
        gans=gans,
        ancestors=ancestors_without_leak(config, shards, gans),
        digests=_digests(config, shards, synthetic, unlabelled) | _digests_of_gans(gans),
    )


def _require_validation(config: TrainClassifierConfig, shards: Shards) -> None:
    """Raises CommandError for a data set that the shards do not have, or if a fold is left without an image."""
    for name in config.train_only_source:
        if name not in shards.sources:
            known = ", ".join(shards.sources) or "none"
            raise CommandError(f"--train_only_source={name}: {shards.folder} has images of {known}; give one of these")
    left_out = [shards.sources[name] for name in config.train_only_source]
    for fold in config.fold_numbers if left_out else ():
        if shards.images(_held_out(config, shards, fold))[SOURCE_FEATURE].isin(left_out).all():
            raise CommandError(
                f"--train_only_source={','.join(config.train_only_source)}: leaves no image to validate fold {fold} "
                "on; give fewer, or merge shards of more data sets"
            )


def _read_examples(
    config: TrainClassifierConfig, shards: Shards, classes: ClassTable, synthetic: Mapping[int, Sequence[Shards]]
) -> pd.DataFrame:
    """Returns the table of the images that are learned from.

    Raises:
      CommandError: if it is none, or names others than those of the shards.
    """
    examples = read_examples(config.examples, classes.names)
    real = shards.images(shards.manifest.split("train")).index
    drawn = {name for sets in synthetic.values() for each in sets for name in each.image_names(each.manifest.shards)}
    require_known(config.examples, examples, real, drawn)
    return examples


def ancestors_without_leak(
    config: TrainClassifierConfig, shards: Shards, gans: Mapping[int, GanRun]
) -> dict[int, tuple[ShardsUsed, ...]]:
    """Returns the shards of the trainings whose weights each fold starts from, the nearest first.

    Arguments:
      config: what is asked for.
      shards: the real images.
      gans: of each fold, whose discriminator is the backbone, if it is one.

    Raises:
      CommandError: if one of them has an image that the fold is validated on.
    """
    ancestors = {}
    for fold in config.fold_numbers:
        found = _seen_by_first_weights(config, shards, gans.get(fold))
        if found is not None:
            subject, seen = found
            require_unseen(seen, shards, _held_out(config, shards, fold), subject)
            ancestors[fold] = seen.learned_from
    return ancestors


def _seen_by_first_weights(
    config: TrainClassifierConfig, shards: Shards, gan: GanRun | None
) -> tuple[str, SeenShards] | None:
    """Returns whose weights a fold starts from, in words, and what that has seen; None where this is unknown."""
    if config.first_weights == GAN_WEIGHTS:
        return f"--backbone={DISCRIMINATOR_PREFIX}{gan.folder}: this GAN", gan.report.seen()
    path = Path(config.weights)
    number = path.parent.name.removeprefix("fold")
    if path.name != BEST_WEIGHTS_FILE or not number.isdecimal() or not is_completed(path.parent.parent):
        return None  # of no run of ours
    run = open_classifier_run(str(path.parent.parent), "weights")
    _require_as_few_labels(f"--weights={config.weights}", run, config, from_fold=int(number))
    return f"--weights={config.weights}: this classifier", run.seen(int(number), shards)


def _open_gans(config: TrainClassifierConfig) -> dict[int, GanRun]:
    """Returns the run of each fold whose discriminator is the backbone."""
    return {fold: open_discriminator_run(_of_fold(config.gan, fold), config.image_size) for fold in config.fold_numbers}


def _open_synthetic(config: TrainClassifierConfig, shards: Shards, fold: int) -> list[Shards]:
    """Returns the synthetic shards of a fold, stored like the real ones, that nothing of a validation image is in."""
    held_out = _held_out(config, shards, fold)
    found = [open_synthetic(_of_fold(path, fold), "synthetic", config.cache_dir) for path in config.synthetic]
    opened = [_without_leaks(synthetic, config, shards, held_out) for synthetic in found]
    require_stored_alike(shards, opened, config.match_resolution)
    return opened


def _without_leaks(
    synthetic: Shards, config: TrainClassifierConfig, shards: Shards, held_out: Sequence[ShardEntry]
) -> Shards:
    return without_leaks(synthetic, shards, held_out, trust_unknown=config.trust_unknown_generators)


def _open_unlabelled(config: TrainClassifierConfig, shards: Shards, fold: int) -> list[str | Shards]:
    """Returns what is learned from without labels, none of which are validation images or made from them."""
    return [
        path if path in (HIDDEN, TEST) else _open_other(_of_fold(path, fold), config, shards, fold)
        for path in config.unlabelled
    ]


def _open_other(path: str, config: TrainClassifierConfig, shards: Shards, fold: int) -> Shards:
    """Returns shards, real or synthetic, whose labels are not looked at."""
    opened, held_out = open_any_shards(path, "unlabelled", config.cache_dir), _held_out(config, shards, fold)
    if opened.manifest.provenance is None:
        seen = SeenShards(trained_on=opened.used(opened.manifest.shards))
        require_unseen(seen, shards, held_out, f"--unlabelled={path}: a classifier that learns from it")
    elif config.labelled_fraction < 1:
        raise CommandError(
            f"--unlabelled={path}: its generator learned from labels that --labelled_fraction hides; leave one out"
        )
    else:
        opened = _without_leaks(opened, config, shards, held_out)
    require_stored_alike(shards, [opened], config.match_resolution, "unlabelled")
    return opened


def _held_out(config: TrainClassifierConfig, shards: Shards, fold: int) -> tuple[ShardEntry, ...]:
    """Returns the shards that a fold is validated on."""
    return split_fold(shards.manifest, config.num_folds, fold)[1]


def _of_fold(path: str, fold: int) -> str:
    """Returns the path that a setting means for a fold."""
    return path.replace("{fold}", str(fold))


def _require_as_few_labels(
    subject: str, run: ClassifierRun, config: TrainClassifierConfig, from_fold: int | None = None
) -> None:
    """Raises CommandError if a classifier may know labels that are hidden from one which learns from it.

    Which are hidden depends on the classes, and on the fold, `from_fold` unless each learns from its own.
    """
    if config.labelled_fraction < 1:
        names = ("diagnoses", "num_folds")
        others = [name for name in names if getattr(run.config, name) != getattr(config, name)]
        is_other_fold = from_fold is not None and (from_fold,) != config.fold_numbers
        if others or is_other_fold:
            what = ", ".join(f"--{name}" for name in (*others, *(["folds"] if is_other_fold else [])))
            raise CommandError(f"{subject}: of other {what}, so other labels were hidden from it; give the same")
    if run.config.labelled_fraction > config.labelled_fraction:
        raise CommandError(
            f"{subject}: trained with --labelled_fraction={run.config.labelled_fraction}, so it knows labels that "
            f"--labelled_fraction={config.labelled_fraction} hides; take one that was trained with as few"
        )


def _open_teacher(config: TrainClassifierConfig, shards: Shards, classes: ClassTable) -> ClassifierRun:
    """Returns the run whose classifiers teach, of which none has seen an image that the one it teaches is validated on.

    Raises:
      CommandError: if it has, or if the teacher has other classes, images or folds.
    """
    teacher = open_classifier_run(config.teacher, "teacher")
    require_same_classes(f"--teacher={config.teacher}", teacher.report.classes, shards.folder, classes.names)
    _require_as_few_labels(f"--teacher={config.teacher}", teacher, config)
    if config.distillation_weight and METADATA[teacher.config.metadata].fuse and not METADATA[config.metadata].fuse:
        raise CommandError(
            f"--teacher={config.teacher}: has metadata as an input, which --metadata={config.metadata} does not read; "
            f"give --metadata={teacher.config.metadata}"
        )
    for name in ("image_size", "match_resolution", "num_folds"):
        theirs, own = getattr(teacher.config, name), getattr(config, name)
        if theirs != own:
            raise CommandError(f"--teacher={config.teacher}: trained with --{name}={theirs}, not {own}; give the same")
    for fold in config.fold_numbers:
        if fold not in teacher.report.folds:
            raise CommandError(
                f"--teacher={config.teacher}: has no classifier of fold {fold}; train it, or leave it out"
            )
        held_out = _held_out(config, shards, fold)
        require_unseen(teacher.seen(fold, shards), shards, held_out, f"--teacher={config.teacher}")
    return teacher


def _digests(
    config: TrainClassifierConfig,
    shards: Shards,
    synthetic: dict[int, list[Shards]],
    unlabelled: dict[int, list[str | Shards]],
) -> dict[str, Input]:
    inputs = {"shards": folder_input(shards.folder)}
    for setting, of_folds in (("synthetic", synthetic), ("unlabelled", unlabelled)):
        for fold, sets in of_folds.items():
            opened = {number: each for number, each in enumerate(sets, start=1) if isinstance(each, Shards)}
            inputs |= {
                f"{setting} of fold {fold}, {number}": folder_input(each.folder) for number, each in opened.items()
            }
    if config.teacher:
        inputs["teacher"] = folder_input(config.teacher)
    if config.examples:
        inputs["examples"] = file_input(config.examples)
    if Path(config.weights).is_file():
        inputs["weights"] = file_input(config.weights)
    return inputs


def _digests_of_gans(gans: Mapping[int, GanRun]) -> dict[str, Input]:
    return {f"backbone of fold {fold}": folder_input(run.folder) for fold, run in gans.items()}
