"""The inputs of a classifier's training, none of which has seen an image that a fold is validated on."""

from dataclasses import dataclass
from pathlib import Path

from pipelines.artefacts.classifier_run import (
    BEST_WEIGHTS_FILE,
    ClassifierRun,
    TrainClassifierConfig,
    open_classifier_run,
)
from pipelines.artefacts.mixing import require_stored_alike
from pipelines.artefacts.seen import require_no_leak, require_same_classes, require_unseen
from pipelines.artefacts.shards import Shards, open_shards, open_synthetic, split_fold
from pipelines.contract.inputs import Input, file_input
from pipelines.contract.workdir import folder_input, is_completed
from tfrecords_tools.foundation.errors import CommandError


@dataclass(frozen=True)
class ClassifierInputs:
    """Real shards, the synthetic sets of each fold, the run whose classifiers teach, and the digests of all."""

    shards: Shards
    synthetic: dict[int, list[Shards]]
    teacher: ClassifierRun | None
    digests: dict[str, Input]


def open_inputs(config: TrainClassifierConfig) -> ClassifierInputs:
    """Returns what the settings name.

    Raises:
      CommandError: if one of them does not suit the shards, or has seen images that a fold is validated on.
    """
    shards = open_shards(config.shards, "shards", config.cache_dir)
    if config.target not in ("", *shards.classes):
        raise CommandError(f"--target={config.target}: no class; {shards.folder} has {', '.join(shards.classes)}")
    synthetic = {fold: _open_synthetic(config, shards, fold) for fold in config.fold_numbers}
    teacher = _open_teacher(config, shards) if config.teacher else None
    require_weights_without_leak(config, shards)
    return ClassifierInputs(shards, synthetic, teacher, _digests(config, shards, synthetic))


def require_weights_without_leak(config: TrainClassifierConfig, shards: Shards) -> None:
    """Raises CommandError if the first weights are of a classifier that has seen an image which a fold validates."""
    path = Path(config.weights)
    number = path.parent.name.removeprefix("fold")
    if path.name != BEST_WEIGHTS_FILE or not number.isdecimal() or not is_completed(path.parent.parent):
        return  # of no run of ours: what it has seen is unknown
    run = open_classifier_run(str(path.parent.parent), "weights")
    for fold in config.fold_numbers:
        validation = split_fold(shards.manifest, config.num_folds, fold)[1]
        require_unseen(run.seen(int(number), shards), shards, validation, f"--weights={config.weights}")


def _open_synthetic(config: TrainClassifierConfig, shards: Shards, fold: int) -> list[Shards]:
    """Returns the synthetic shards of a fold, stored like the real ones, whose generators saw no validation image."""
    validation = split_fold(shards.manifest, config.num_folds, fold)[1]
    paths = [path.replace("{fold}", str(fold)) for path in config.synthetic]
    opened = [open_synthetic(path, "synthetic", config.cache_dir) for path in paths]
    for synthetic in opened:
        require_no_leak(synthetic, shards, validation)
    require_stored_alike(shards, opened, config.match_resolution)
    return opened


def _open_teacher(config: TrainClassifierConfig, shards: Shards) -> ClassifierRun:
    """Returns the run whose classifiers teach, of which none has seen an image that the one it teaches is validated on.

    Raises:
      CommandError: if it has, or if the teacher has other classes, images or folds.
    """
    teacher = open_classifier_run(config.teacher, "teacher")
    require_same_classes(f"--teacher={config.teacher}", teacher.report.classes, shards)
    for name in ("image_size", "match_resolution", "num_folds"):
        theirs, own = getattr(teacher.config, name), getattr(config, name)
        if theirs != own:
            raise CommandError(f"--teacher={config.teacher}: trained with --{name}={theirs}, not {own}; give the same")
    for fold in config.fold_numbers:
        if fold not in teacher.report.folds:
            raise CommandError(
                f"--teacher={config.teacher}: has no classifier of fold {fold}; train it, or leave it out"
            )
        validation = split_fold(shards.manifest, config.num_folds, fold)[1]
        require_unseen(teacher.seen(fold, shards), shards, validation, f"--teacher={config.teacher}")
    return teacher


def _digests(config: TrainClassifierConfig, shards: Shards, synthetic: dict[int, list[Shards]]) -> dict[str, Input]:
    inputs = {"shards": folder_input(shards.folder)}
    for fold, sets in synthetic.items():
        inputs |= {f"synthetic of fold {fold}, {n}": folder_input(each.folder) for n, each in enumerate(sets, start=1)}
    if config.teacher:
        inputs["teacher"] = folder_input(config.teacher)
    if Path(config.weights).is_file():
        inputs["weights"] = file_input(config.weights)
    return inputs
