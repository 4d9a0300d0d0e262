"""Shards -> translator: trains a network that makes images of one class from images, or masks, of others.

    python -m pipelines.train_translator --shards=SHARDS --workdir=TRANSLATOR --method=auggan --target_class=malignant
    python -m pipelines.train_translator --shards=SHARDS --workdir=TRANSLATOR --method=pix2pix

Writes checkpoints/, metrics.jsonl, tensorboard/, samples/<step>.png and, at the end, generator.weights.h5: the averaged
generator, which `synthesize --gan=TRANSLATOR` draws with. With --num_folds and --fold the shards of that fold are never
read. Stopped by anything, it resumes from the last checkpoint when the same command is started again; with
--workdir=gs://... --scratch_dir=LOCAL also on another machine.
"""

import pipelines.contract.quiet_tensorflow  # noqa: F401

from collections.abc import Callable

import tensorflow as tf
from absl import logging

from melgan.training.checkpoints import Checkpoints, Model
from melgan.training.distribution import per_replica_batch_size, require_same_on_workers
from melgan.training.loop import LoopConfig, run_loop
from melgan.translation.config import TranslatorConfig
from melgan.translation.samplers import make_sampler
from melgan.translation.trainer import TranslationTrainer
from melgan.translation.translators import outlined_by, resolve, translator_of
from pipelines.artefacts.generator_run import GENERATOR_FILE, read_origin, write_generator, write_origin
from pipelines.artefacts.metrics_file import METRICS_FILE, read_metrics
from pipelines.artefacts.shards import open_shards
from pipelines.artefacts.translator_run import (
    COMMAND,
    SERIES,
    TrainTranslatorConfig,
    TranslatorReport,
    needed_to_go_on,
)
from pipelines.contract.main import main
from pipelines.pages.grids import GRID_ROWS
from pipelines.synthesis.sources import read_sources
from pipelines.training.driver import Driver, Surroundings
from pipelines.training.opening import Opened, inputs_of, opened_training
from pipelines.training.training_data import TrainingData
from pipelines.training.translation_data import classes_of, make_batches, open_fold
from pipelines.training.translation_transfer import require_transferable, transfer
from pipelines.watches.scheduled import ScheduledWatch
from pipelines.watches.translations import TranslationWatch
from tfrecords_tools.foundation.settings import inherited


def run(config: TrainTranslatorConfig) -> None:
    """Trains a translator, among other workers if there are any."""
    config = resolve(config)
    with opened_training(config, COMMAND, needed_to_go_on) as opened:
        if opened is None:
            return
        per_replica_batch_size(opened.strategy, config.global_batch_size, "global_batch_size")
        data = open_fold(config, open_shards(config.shards, "shards", config.cache_dir))
        if config.init_from and read_origin(opened.workdir.path).initialised_from is None:
            require_transferable(config, data)
        with opened.surroundings() as surroundings:
            training = TranslatorTraining(config, data, opened, surroundings)
            opened.begin(inputs_of(config))
            driver = training.start()
            run_loop(driver.trainer, driver.checkpoints, driver.config, driver, start_step=driver.start_step)
            training.complete()


class TranslatorTraining:
    """The surroundings of the loop of a translator: first weights, grids at the checkpoints, generator and report."""

    def __init__(
        self, config: TrainTranslatorConfig, data: TrainingData, opened: Opened, surroundings: Surroundings
    ) -> None:
        self._config, self._data, self._workdir, self._mirror = config, data, opened.workdir, opened.mirror
        self._folder, self._surroundings = opened.mirror.folder, surroundings
        self._sources, self._target = classes_of(config, data)
        self._trainer = TranslationTrainer(
            config, opened.strategy, num_classes=len(data.classes), total_steps=config.total_steps
        )
        self._watch: Callable[[int], None] = lambda step: None

    def start(self) -> Driver:
        """Returns the driver of the training, once the networks have the weights that it starts or resumes from."""
        config, strategy = self._config, self._surroundings.strategy
        model = Model(inherited(config, TranslatorConfig), self._data.classes)
        driver = Driver(
            self._trainer,
            Checkpoints(self._folder / "checkpoints" / SERIES, self._trainer, strategy, model=model),
            LoopConfig(
                total_steps=config.total_steps,
                checkpoint_every=config.checkpoint_every,
                log_every=config.log_every,
                steps_per_call=config.steps_per_call,
                max_rollbacks=config.max_rollbacks,
            ),
            make_batches(config, self._data),
            series=SERIES,
            surroundings=self._surroundings,
            on_checkpoint=lambda step: self._watch(step),
        )
        require_same_on_workers(strategy, driver.start_step, "the step of the newest checkpoint")
        if self._workdir.writable:
            self._watch = ScheduledWatch(
                self._make_watch(),
                self._mirror,
                checkpoint_every=config.checkpoint_every,
                total_steps=config.total_steps,
            )
        if driver.start_step:
            self._watch(driver.start_step)  # what a kill right after the checkpoint left out
        elif config.init_from:
            origin = transfer(config.init_from, self._trainer)
            if self._workdir.writable:
                write_origin(self._workdir.path, origin)
        return driver

    def complete(self) -> None:
        """Writes the generator and the report."""
        if not self._workdir.writable:
            return
        classes = self._data.classes
        report = TranslatorReport(
            generator_sha256=write_generator(self._folder / GENERATOR_FILE, self._trainer.average_generator),
            method=self._config.method,
            classes=classes,
            class_counts=self._data.class_counts,
            source_classes=tuple(classes[label] for label in self._sources),
            target_class=classes[self._target],
            trained_on=self._data.shards.used(self._data.training),
            ancestors=read_origin(self._workdir.path).ancestors,
            rollbacks=int(tf.convert_to_tensor(self._trainer.attempt)),
            last_metrics=read_metrics(self._folder, SERIES)[-1].metrics,
            steps=self._config.total_steps,
        )
        self._mirror.send()
        self._workdir.complete(report, [GENERATOR_FILE, METRICS_FILE])
        logging.info("translator: %s", self._workdir.path)

    def _make_watch(self) -> TranslationWatch:
        config, data, trainer = self._config, self._data, self._trainer
        is_paired = translator_of(config).is_paired
        labels = tuple(range(len(data.classes))) if is_paired else self._sources
        sources, _ = read_sources(
            data.shards,
            data.training,
            labels,
            config.image_size,
            outlined_by=outlined_by(config),
            at_most=GRID_ROWS,
        )
        sampler = make_sampler(
            config, trainer.average_generator, sources, data.classes, target=self._target, seed=config.seed
        )
        return TranslationWatch(self._folder, sampler, sources, labels if is_paired else (self._target,))


if __name__ == "__main__":
    main(TrainTranslatorConfig, run)
