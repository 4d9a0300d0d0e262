"""Shards -> classifier: K folds over whole shards, on real images with or without a fraction of synthetic ones.

    python -m pipelines.train_classifier --shards=SHARDS --workdir=BASELINE --backbone=efficientnet_b0
    python -m pipelines.train_classifier --shards=SHARDS --workdir=MIXED --synthetic='SYNTHETIC_{fold}' \\
        --synthetic_fraction=0.3

Writes fold<k>/best.weights.h5 (of the epoch with the best validation AUC, or of the last: --select),
fold<k>/predictions.csv, oof.csv (all out-of-fold predictions), oof_kaggle.csv (those of one class, as
image_name,target,pred,fold), subgroups.csv (metrics by data set, sex, age and site), metrics.jsonl and tensorboard/.
Synthetic images never enter validation, and a synthetic shard whose generator saw a shard of the validation fold is
refused. Stopped by anything, it resumes from the last checkpoint when the same command is started again; with
--workdir=gs://... --scratch_dir=LOCAL also on another machine.
"""

import pipelines.contract.quiet_tensorflow  # noqa: F401

import zlib
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import pandas as pd
import tensorflow as tf
from absl import logging

from melgan.classifiers.augmentation import AUGMENTATIONS
from melgan.classifiers.config import NO_WEIGHTS, ClassifierConfig
from melgan.classifiers.trainer import ClassifierTrainer
from melgan.gans.config import GanConfig
from melgan.metrics.classification import classification_metrics
from melgan.training.checkpoints import Checkpoints, Model
from melgan.training.distribution import require_same_on_workers
from melgan.training.loop import LoopConfig, run_loop
from melgan.training.weights import load_weights
from pipelines.artefacts.backbone_file import BACKBONE_FILE, write_backbone
from pipelines.artefacts.classifier_run import (
    BEST_WEIGHTS_FILE,
    COMMAND,
    OOF_FILE,
    OOF_KAGGLE_FILE,
    PREDICTIONS_FILE,
    SUBGROUPS_FILE,
    TEST,
    ClassifierReport,
    Priors,
    SyntheticSet,
    TrainClassifierConfig,
    fold_folder,
    needed_to_go_on,
)
from pipelines.artefacts.epochs import Epoch, best_epoch, read_epochs, selected_epoch, series_of_fold
from pipelines.artefacts.metrics_file import METRICS_FILE
from pipelines.artefacts.mixing import trained_fractions
from pipelines.artefacts.predictions import (
    evaluate_predictions,
    kaggle_table,
    predictions_table,
    read_predictions,
    scores,
)
from pipelines.artefacts.shards import Shards, split_fold
from pipelines.artefacts.subgroups import subgroups_table
from pipelines.artefacts.twins import count_twins
from pipelines.contract.inputs import absolute
from pipelines.contract.main import main
from pipelines.contract.workdir import digest
from pipelines.training.classifier_inputs import ClassifierInputs, open_inputs
from pipelines.training.discriminators import backbone_of_run
from pipelines.training.driver import Driver, Surroundings
from pipelines.training.fold_streams import FoldStreams, open_streams
from pipelines.training.opening import Opened, opened_training
from pipelines.training.subgroup_metrics import evaluate_subgroups, facts_of_images, with_sources
from pipelines.training.teaching import write_answers
from pipelines.watches.mirroring import Mirror
from tfrecords_tools.csv_tables import write_table
from tfrecords_tools.foundation.errors import Preempted
from tfrecords_tools.foundation.files import as_path, is_file, written_whole
from tfrecords_tools.foundation.settings import inherited
from tfrecords_tools.reading import training_batches

_FILES_OF_A_FOLD = (BEST_WEIGHTS_FILE, PREDICTIONS_FILE)


def run(config: TrainClassifierConfig) -> None:
    """Trains and evaluates the classifier of every fold."""
    config = replace(config, weights=config.first_weights)
    find_left = partial(_folds_left, config)
    with opened_training(config, COMMAND, needed_to_go_on, find_left=find_left) as opened:
        if opened is not None:
            _train(config, find_left(), opened)


def _folds_left(config: TrainClassifierConfig) -> list[int]:
    folder = as_path(config.workdir)
    return [fold for fold in config.fold_numbers if not is_file(fold_folder(folder, fold) / PREDICTIONS_FILE)]


def _train(config: TrainClassifierConfig, folds: Sequence[int], opened: Opened) -> None:
    """Trains the classifiers of some folds, and writes the report of all."""
    if config.train_layers != "all" and config.first_weights == NO_WEIGHTS:
        logging.warning("--train_layers=%s without --weights: other layers stay random", config.train_layers)
    inputs = open_inputs(config)
    for fold in folds:
        _train_fold(config, inputs, fold, opened)
        tf.keras.backend.clear_session()
    if opened.workdir.writable:
        opened.begin(inputs.digests)  # not yet, where an earlier run has trained all folds
        _complete(config, inputs, opened)


def _train_fold(config: TrainClassifierConfig, inputs: ClassifierInputs, fold: int, opened: Opened) -> None:
    with opened.surroundings() as surroundings:
        opened.mirror.fetch()
        training = FoldTraining(config, inputs, fold, opened.mirror, surroundings)
        opened.workdir.begin(inputs.digests)
        driver = training.start()
        run_loop(driver.trainer, driver.checkpoints, driver.config, driver, start_step=driver.start_step)
    if surroundings.stop_requested():
        raise Preempted(f"stopped after the last step of fold {fold}; start the same command again to resume")
    training.complete()


class FoldTraining:
    """The surroundings of the loop of one fold: its streams, an evaluation after every epoch, the best weights."""

    def __init__(
        self,
        config: TrainClassifierConfig,
        inputs: ClassifierInputs,
        fold: int,
        mirror: Mirror,
        surroundings: Surroundings,
    ) -> None:
        self._config, self._inputs, self._fold = config, inputs, fold
        self._mirror, self._surroundings = mirror, surroundings
        self._folder = fold_folder(mirror.folder, fold)
        self._gan = inputs.gans.get(fold)
        self._validation = split_fold(inputs.shards.manifest, config.num_folds, fold)[1]
        found = open_streams(config, inputs, fold, surroundings.strategy, self._folder)
        self._streams, self._thought = found.streams, found.thought
        images_per_epoch = self._streams[0].num_images * config.images_per_real_image
        self._steps_per_epoch = config.steps_per_epoch or max(1, round(images_per_epoch / config.batch_size))
        self._total_steps = self._steps_per_epoch * config.epochs
        with surroundings.strategy.scope():
            teacher = inputs.teacher.load(fold) if config.distillation_weight else None
        self._trainer = ClassifierTrainer(
            config,
            images_per_epoch * found.shown,
            self._total_steps,
            surroundings.strategy,
            teacher,
            found.facts,
            backbone_of_run(self._gan, config.first_weights) if self._gan else None,
        )
        self._driver: Driver | None = None

    def start(self) -> Driver:
        """Returns the driver of this fold, which resumes where a killed run stopped."""
        if self._surroundings.writable:
            self._folder.mkdir(exist_ok=True)
            if self._gan is not None:
                write_backbone(self._folder, inherited(self._gan.config, GanConfig))
            if self._thought is not None:
                write_answers(self._folder, self._thought)
        self._driver = self._make_driver()
        start_step = self._driver.start_step
        require_same_on_workers(self._surroundings.strategy, start_step, "the step of the newest checkpoint")
        if self._thought is not None:
            checksum = zlib.crc32(self._thought.to_csv().encode())
            require_same_on_workers(
                self._surroundings.strategy, checksum, "what the teacher thinks of synthetic images"
            )
        if start_step and start_step not in [epoch.step for epoch in self._epochs()]:
            self._on_checkpoint(start_step)  # killed between checkpoint and evaluation
        return self._driver

    def complete(self) -> None:
        """Writes the predictions of the epoch that was selected."""
        if not self._surroundings.writable:
            return
        load_weights(self._trainer.average_model, self._folder / BEST_WEIGHTS_FILE)
        table = self._predict(self._config.test_time_views, self._config.prediction_sizes)
        write_table(self._folder / PREDICTIONS_FILE, table)
        self._mirror.send()

    def _make_driver(self) -> Driver:
        config, strategy = self._config, self._surroundings.strategy
        model = Model(inherited(config, ClassifierConfig), self._inputs.classes.names)
        loop = LoopConfig(
            total_steps=self._total_steps,
            checkpoint_every=self._steps_per_epoch,
            log_every=self._steps_per_epoch,
            steps_per_call=config.steps_per_call,
        )
        make_batches = partial(
            training_batches,
            self._streams,
            num_classes=len(self._inputs.classes.names),
            image_size=config.image_size,
            global_batch_size=config.batch_size,
            seed=config.seed * 1000 + self._fold,
            augment=AUGMENTATIONS[config.augmentation],
            match_resolution=config.match_resolution,
        )
        return Driver(
            self._trainer,
            Checkpoints(self._folder / "checkpoints", self._trainer, strategy, model=model, keep=1),
            loop,
            make_batches,
            series=series_of_fold(self._fold),
            title=f"fold {self._fold}",
            surroundings=self._surroundings,
            note=lambda metrics: f"loss {metrics['loss']:.3f} best AUC {self._best_auc():.3f}",
            on_checkpoint=self._on_checkpoint,
        )

    def _on_checkpoint(self, step: int) -> None:
        """Evaluates a checkpoint once it counts; weights and metrics of an evaluation never come before it."""
        self._mirror.send()
        self._evaluate_epoch(step)
        self._mirror.send()

    def _evaluate_epoch(self, step: int) -> None:
        """Evaluates the averaged weights on the validation fold, by one view, and keeps those that are selected."""
        if step % self._steps_per_epoch or not self._surroundings.writable:
            return  # a checkpoint on request, in mid-epoch; or another worker does it
        table = self._predict(views=1)
        validation = classification_metrics(*scores(table), self._inputs.classes.names)
        epoch = Epoch(number=step // self._steps_per_epoch, step=step, validation=validation)
        if selected_epoch([*self._epochs(), epoch], self._config.select) is epoch:
            with written_whole(self._folder / BEST_WEIGHTS_FILE) as unfinished:
                self._trainer.average_model.save_weights(unfinished)
        self._driver.write(step, epoch.as_metrics())

    def _epochs(self) -> list[Epoch]:
        return read_epochs(self._surroundings.folder, self._fold)

    def _best_auc(self) -> float:
        epochs = self._epochs()
        return best_epoch(epochs).auc if epochs else float("nan")

    def _predict(self, views: int, sizes: Sequence[int] = ()) -> pd.DataFrame:
        predictor = self._trainer.predictor(views, sizes)
        shards, classes = self._inputs.shards, self._inputs.classes
        return predictions_table(
            predictor,
            self._config,
            shards,
            self._validation,
            classes=classes,
            fold=self._fold,
            without=self._config.train_only_source,
        )


def _priors(config: TrainClassifierConfig, streams: FoldStreams) -> Priors:
    trained = trained_fractions(streams.shown, 1.0 if config.balanced_head else config.class_balance)
    return Priors(trained=tuple(trained.tolist()), real=tuple(streams.real.tolist()))


def _complete(config: TrainClassifierConfig, inputs: ClassifierInputs, opened: Opened) -> None:
    """Joins the predictions of the folds, evaluates them and writes the report."""
    shards, classes, folds, folder = inputs.shards, inputs.classes.names, config.fold_numbers, opened.mirror.folder
    tables = [read_predictions(fold_folder(folder, fold) / PREDICTIONS_FILE, classes) for fold in folds]
    oof = pd.concat(tables)
    facts = facts_of_images(shards, oof["image_name"])
    write_table(folder / OOF_FILE, with_sources(oof, facts))
    write_table(folder / OOF_KAGGLE_FILE, kaggle_table(oof, classes, inputs.target))
    metrics = evaluate_predictions(oof, classes, config.seed)
    subgroups = evaluate_subgroups(oof, classes, inputs.target, facts, config.seed)
    write_table(folder / SUBGROUPS_FILE, subgroups_table(subgroups))
    selected = {str(fold): selected_epoch(read_epochs(folder, fold), config.select) for fold in folds}
    files_of_a_fold = [*_FILES_OF_A_FOLD, *([BACKBONE_FILE] if inputs.gans else [])]
    streams = {
        str(fold): open_streams(config, inputs, fold, opened.strategy, fold_folder(folder, fold)) for fold in folds
    }
    opened.mirror.send()
    opened.workdir.complete(
        ClassifierReport(
            classes=classes,
            folds=folds,
            images=len(oof),
            metrics=metrics,
            best_epochs={fold: epoch.number for fold, epoch in selected.items()},
            fold_auc={fold: epoch.auc for fold, epoch in selected.items()},
            shards=absolute(shards.folder),
            shards_digest=digest(shards.folder),
            folds_fingerprint=shards.manifest.folds_fingerprint,
            source_fingerprint=shards.manifest.source_fingerprint,
            synthetic={str(fold): tuple(map(_describe, sets)) for fold, sets in inputs.synthetic.items()},
            target=inputs.target,
            transductive=TEST in config.unlabelled,
            priors={fold: _priors(config, of_fold) for fold, of_fold in streams.items()},
            ancestors={str(fold): seen for fold, seen in inputs.ancestors.items()},
            unlabelled={str(fold): inputs.seen_unlabelled(fold) for fold in folds},
            subgroups=subgroups,
            twins={str(fold): _count_twins(config, inputs, fold) for fold in folds},
        ),
        files=[
            OOF_FILE,
            OOF_KAGGLE_FILE,
            SUBGROUPS_FILE,
            METRICS_FILE,
            *(f"fold{fold}/{name}" for fold in folds for name in files_of_a_fold),
        ],
    )
    for name, interval in metrics.items():
        logging.info("%s %.3f (95 %% interval %.3f to %.3f)", name, interval.value, interval.low, interval.high)
    logging.info("out-of-fold predictions: %s", opened.workdir.path / OOF_FILE)


def _count_twins(config: TrainClassifierConfig, inputs: ClassifierInputs, fold: int) -> int:
    training, _ = split_fold(inputs.shards.manifest, config.num_folds, fold)
    learned = None if inputs.examples is None else frozenset(inputs.examples.index)
    return count_twins(inputs.shards, training, inputs.synthetic[fold], learned)


def _describe(synthetic: Shards) -> SyntheticSet:
    return SyntheticSet(folder=str(synthetic.folder), provenance=synthetic.manifest.provenance)


if __name__ == "__main__":
    main(TrainClassifierConfig, run)
