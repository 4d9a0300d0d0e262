"""--init_from of train_translator: a run that starts from the weights of a finished one."""

import keras
import tensorflow as tf
from absl import logging

from melgan.translation.trainer import TranslationTrainer
from melgan.translation.translators import translator_of, weights_of
from pipelines.artefacts.generator_run import Initialisation, Origin
from pipelines.artefacts.seen import require_same_classes, require_unseen
from pipelines.artefacts.translator_run import SERIES, TrainTranslatorConfig, open_translator_run
from pipelines.contract.workdir import digest
from pipelines.training.training_data import TrainingData
from tfrecords_tools.foundation.errors import CommandError
from tfrecords_tools.foundation.files import as_path, is_remote

_FIELD = "init_from"
# Settings that both runs must have in common.
_WITH_PARTS = ("parsing", "nce")  # terms for which networks have parts of their own
_OF_NETWORKS = ("method", "image_size", "width", "num_blocks", "residual", "dropout", "skin_colour")


def require_transferable(config: TrainTranslatorConfig, data: TrainingData) -> None:
    """Raises, before anything is built or written, unless a run can start from another one.

    Raises:
      CommandError: if the other run is not a finished one of train_translator in a local folder, has other networks,
        or saw shards that are held out.
    """
    path = config.init_from
    if is_remote(as_path(path)):
        raise CommandError(f"--{_FIELD}={path}: lies in a bucket; copy the run to this machine first")
    source = open_translator_run(path, _FIELD)
    for name in _OF_NETWORKS:
        theirs, own = getattr(source.config, name), getattr(config, name)
        if theirs != own:
            raise CommandError(f"--{_FIELD}={path}: trained with {name} {theirs}, not {own}; give the same")
    for term in _WITH_PARTS:
        theirs, own = (term in weights_of(each) for each in (source.config, config))
        if theirs != own:
            raise CommandError(
                f"--{_FIELD}={path}: trained {'with' if theirs else 'without'} the term {term}; give the same"
            )
    if translator_of(config).is_paired:
        require_same_classes(f"--{_FIELD}={path}", source.report.classes, data.shards.folder, data.classes)
    if _newest_checkpoint(path) is None:
        raise CommandError(f"--{_FIELD}={path}: has no checkpoints/{SERIES}; copy the whole run")
    require_unseen(source.report.seen, data.shards, data.held_out, f"--{_FIELD}={path}: this run")


def transfer(path: str, trainer: TranslationTrainer) -> Origin:
    """Copies the weights of all networks of a finished run into a trainer that has not begun.

    Returns:
      Where they come from.
    """
    source = open_translator_run(path, _FIELD)
    networks = {name: part for name, part in trainer.checkpointed.items() if isinstance(part, keras.Model)}
    status = tf.train.Checkpoint(**networks).read(_newest_checkpoint(path))  # optimizers begin anew
    status.assert_existing_objects_matched().expect_partial()
    logging.info("training starts from the weights of %s", path)
    initialisation = Initialisation(path=path, digest=digest(source.folder), discriminator=True)
    return Origin(initialised_from=initialisation, ancestors=source.report.seen.learned_from)


def _newest_checkpoint(path: str) -> str | None:
    return tf.train.latest_checkpoint(str(as_path(path) / "checkpoints" / SERIES))
