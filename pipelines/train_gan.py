"""Shards -> generator: trains a conditional GAN, by default BAGAN-GP, under a tf.distribute strategy.

    python -m pipelines.train_gan --shards=SHARDS --workdir=GAN --image_size=64 --total_steps=20000

Writes checkpoints/, metrics.jsonl, tensorboard/, samples/<step>.png and, at the end, generator.weights.h5: the
averaged generator. With --num_folds and --fold the shards of that fold are never read, so that a classifier may be
validated on them. Stopped by anything, it resumes from the last checkpoint when the same command is started again;
with --workdir=gs://... --scratch_dir=LOCAL also on another machine. To train on several machines set TF_CONFIG and
--strategy=multi_worker on each, in a private network: TensorFlow's port takes orders from everybody who reaches it.
"""

import pipelines.contract.quiet_tensorflow  # noqa: F401

from collections.abc import Callable
from functools import partial

import numpy as np
import tensorflow as tf
from absl import logging

from melgan.gans.autoencoder import AutoencoderTrainer
from melgan.gans.combinations import require_trainable
from melgan.gans.config import GanConfig
from melgan.gans.gaussian_fitting import fit_class_gaussians
from melgan.gans.methods import resolve
from melgan.gans.sampler import LabelSampler
from melgan.gans.trainer import GanTrainer
from melgan.metrics.extractors import Extractor
from melgan.training.checkpoints import Checkpoints, Model
from melgan.training.distribution import per_replica_batch_size, require_same_on_workers
from melgan.training.loop import LoopConfig, Trainer, run_loop
from pipelines.artefacts.feature_store import FeatureStore, extractor_inputs, make_extractor
from pipelines.artefacts.generator_run import (
    BEST_FILE,
    BEST_GENERATOR_FILE,
    COMMAND,
    GENERATOR_FILE,
    GanReport,
    TrainGanConfig,
    needed_to_go_on,
    read_best,
    read_origin,
    write_generator,
    write_origin,
)
from pipelines.artefacts.image_sets import SyntheticImages, read_images, require_large_images
from pipelines.artefacts.metrics_file import METRICS_FILE, read_metrics
from pipelines.artefacts.shards import first_images, open_shards, split_fold
from pipelines.contract.inputs import Input
from pipelines.contract.main import main
from pipelines.training import transfer
from pipelines.training.boxes import boxes_to_read, fill_box_table, require_boxes
from pipelines.training.driver import Driver, Surroundings
from pipelines.training.opening import Opened, inputs_of, opened_training
from pipelines.training.training_data import TrainingData
from pipelines.watches.diversity import IMAGES_PER_CLASS, DiversityWatch
from pipelines.watches.evaluation import FEATURES_FOLDER, EvaluationWatch
from pipelines.watches.samples import CheckpointWatch
from pipelines.watches.scheduled import ScheduledWatch
from tfrecords_tools.foundation.errors import CommandError
from tfrecords_tools.foundation.files import as_path
from tfrecords_tools.foundation.settings import inherited
from tfrecords_tools.images import JPEG_QUALITY
from tfrecords_tools.manifest import ShardEntry
from tfrecords_tools.reading import evaluation_batches, training_batches
from tfrecords_tools.streams import Stream

_SERIES = "gan"


def run(config: TrainGanConfig) -> None:
    """Trains a GAN, among other workers if there are any."""
    config = resolve(config)
    with opened_training(config, COMMAND, needed_to_go_on) as opened:
        if opened is None:
            return
        data = _open_data(config, opened.strategy)
        with opened.surroundings() as surroundings:
            training = GanTraining(config, data, opened, surroundings)
            opened.begin(inputs_of(config) | _inputs_of_evaluation(config))
            driver = training.start()
            run_loop(driver.trainer, driver.checkpoints, driver.config, driver, start_step=driver.start_step)
            training.complete()


def _inputs_of_evaluation(config: TrainGanConfig) -> dict[str, Input]:
    return extractor_inputs(config.eval_features, config.eval_weights, "eval_") if config.eval_interval else {}


class GanTraining:
    """The surroundings of the loop of a GAN: first weights, watch at the checkpoints, generator and report."""

    def __init__(self, config: TrainGanConfig, data: TrainingData, opened: Opened, surroundings: Surroundings) -> None:
        self._config, self._data, self._workdir, self._mirror = config, data, opened.workdir, opened.mirror
        self._folder, self._surroundings = opened.mirror.folder, surroundings
        self._trainer = GanTrainer(config, data.class_counts, opened.strategy)
        self._reference = _held_out_or_training(config, data)
        self._extractor: Extractor | None = None
        if opened.workdir.writable and config.eval_interval:
            self._extractor = make_extractor(
                config.eval_features, config.eval_weights, data.shards, self._reference, "eval_features"
            )
            require_large_images(data.shards, config.image_size)
        self._watch: Callable[[int], None] = lambda step: None

    def start(self) -> Driver:
        """Returns the driver of the GAN, once the networks have the weights that training starts or resumes from."""
        config = self._config
        class_counts = self._data.class_counts if config.has_balanced_batches else None
        loop = _loop_config(config, config.total_steps, config.max_rollbacks)
        driver = self._driver(self._trainer, loop, _SERIES, class_counts, on_checkpoint=lambda step: self._watch(step))
        require_same_on_workers(self._surroundings.strategy, driver.start_step, "the step of the newest checkpoint")
        if self._workdir.writable:
            self._watch = ScheduledWatch(
                self._make_watch(driver.start_step),
                self._mirror,
                checkpoint_every=config.checkpoint_every,
                total_steps=config.total_steps,
            )
        if driver.start_step == 0:
            self._initialise()
        else:
            self._watch(driver.start_step)  # what a kill right after the checkpoint left out
        return driver

    def complete(self) -> None:
        """Writes the generator and the report."""
        if not self._workdir.writable:
            return
        generator_sha256 = write_generator(self._folder / GENERATOR_FILE, self._trainer.average.generator)
        origin = read_origin(self._workdir.path)
        report = GanReport(
            generator_sha256=generator_sha256,
            method=self._config.method,
            classes=self._data.classes,
            class_counts=self._data.class_counts,
            trained_on=self._data.shards.used(self._data.training),
            initialised_from=origin.initialised_from,
            ancestors=origin.ancestors,
            best=read_best(self._folder),
            last_metrics=read_metrics(self._folder, _SERIES)[-1].metrics,
            steps=self._config.total_steps,
            rollbacks=int(tf.convert_to_tensor(self._trainer.attempt)),
        )
        self._mirror.send()
        files = [GENERATOR_FILE, METRICS_FILE, *([BEST_GENERATOR_FILE, BEST_FILE] if report.best else [])]
        self._workdir.complete(report, files)
        logging.info("generator: %s", self._workdir.path)

    def _initialise(self) -> None:
        """Gives the networks their weights before the first step, and a generator that is told of boxes its boxes."""
        config, networks = self._config, self._trainer.networks
        if config.init_from:
            origin = transfer.transfer(config.init_from, self._trainer, self._data.classes)
            if self._workdir.writable:
                write_origin(self._workdir.path, origin)
        else:
            self._train_autoencoder()
            self._trainer.start_discriminator()
        if networks.class_gaussians is not None:
            size, batch_size = config.image_size, config.global_batch_size
            batches = evaluation_batches(self._data.images, image_size=size, batch_size=batch_size)
            fit_class_gaussians(networks.class_gaussians, networks.encoder, batches)
        if networks.box_table is not None:
            fill_box_table(networks.box_table, self._data.images, len(self._data.classes), config.seed)
        self._trainer.start_average()

    def _train_autoencoder(self) -> None:
        """Trains the generator as the decoder of an autoencoder, if the method asks for it."""
        config, networks = self._config, self._trainer.networks
        total_steps = config.autoencoder_epochs * max(1, self._data.images.num_records // config.global_batch_size)
        if total_steps:
            trainer = AutoencoderTrainer(networks.encoder, networks.decoder, config, self._surroundings.strategy)
            loop = _loop_config(config, total_steps)
            driver = self._driver(trainer, loop, "autoencoder", on_checkpoint=lambda step: self._mirror.send())
            run_loop(driver.trainer, driver.checkpoints, driver.config, driver, start_step=driver.start_step)

    def _driver(
        self,
        trainer: Trainer,
        loop: LoopConfig,
        series: str,
        class_counts: tuple[int, ...] | None = None,
        *,
        on_checkpoint: Callable[[int], None],
    ) -> Driver:
        """Returns the driver of one training; real images are balanced over the classes where counts are given."""
        config, strategy, classes = self._config, self._surroundings.strategy, self._data.classes
        checkpoints = Checkpoints(
            self._folder / "checkpoints" / series, trainer, strategy, model=Model(inherited(config, GanConfig), classes)
        )
        make_batches = partial(
            training_batches,
            [Stream(shards=self._data.images, class_counts=class_counts)],
            num_classes=len(classes),
            image_size=config.image_size,
            global_batch_size=config.global_batch_size,
            seed=config.seed,
            max_boxes=boxes_to_read(config),
        )
        return Driver(
            trainer,
            checkpoints,
            loop,
            make_batches,
            series=series,
            surroundings=self._surroundings,
            on_checkpoint=on_checkpoint,
        )

    def _make_watch(self, start_step: int) -> CheckpointWatch:
        config, folder, average = self._config, self._folder, self._trainer.average
        sampler = LabelSampler(
            average.generator, config, self._data.classes, seed=config.seed, box_table=average.box_table
        )
        real_images = first_images(self._data.images, len(self._data.classes), config.image_size, IMAGES_PER_CLASS)
        return CheckpointWatch(
            folder,
            sampler,
            real_images,
            DiversityWatch(folder, sampler, real_images, start_step=start_step),
            evaluation=self._make_evaluation(sampler, start_step) if self._extractor else None,
            is_evaluated=lambda step: step % config.eval_interval == 0 or step == config.total_steps,
        )

    def _make_evaluation(self, sampler: LabelSampler, start_step: int) -> EvaluationWatch:
        config, data, reference = self._config, self._data, self._reference
        store = FeatureStore(self._folder / FEATURES_FOLDER, self._extractor)
        return EvaluationWatch(
            self._folder,
            self._trainer.average.generator,
            SyntheticImages(sampler, ("", config.seed), JPEG_QUALITY),
            self._data.classes[int(np.argmin(data.class_counts))],
            store.samples(read_images(data.shards, reference, config.image_size), "real images"),
            data.shards.used(reference),
            store,
            start_step=start_step,
        )


def _open_data(config: TrainGanConfig, strategy: tf.distribute.Strategy) -> TrainingData:
    """Returns the training data, after everything was refused that cannot be trained."""
    per_replica_batch_size(strategy, config.global_batch_size, "global_batch_size")
    shards = open_shards(config.shards, "shards", config.cache_dir)
    data = TrainingData(shards, *split_fold(shards.manifest, config.num_folds, config.fold))
    if config.init_from and read_origin(as_path(config.workdir)).initialised_from is None:
        transfer.require_transferable(config, config.init_from, shards, data.held_out)
    absent = [name for name, count in zip(data.classes, data.class_counts, strict=True) if not count]
    if absent:
        raise CommandError(
            f"no training image of class {', '.join(absent)} in these shards; choose other shards or folds"
        )
    require_trainable(config, data.class_counts, config.total_steps)
    require_boxes(config, shards, data.training)
    return data


def _held_out_or_training(config: TrainGanConfig, data: TrainingData) -> tuple[ShardEntry, ...]:
    """Returns the shards to evaluate by: the held-out ones or, if there are none or if asked for, the training's."""
    return (data.held_out if config.eval_by == "held_out" else ()) or data.training


def _loop_config(config: TrainGanConfig, total_steps: int, max_rollbacks: int = 0) -> LoopConfig:
    """Returns the lengths of a training. Only the GAN draws random numbers, and can try again with others."""
    return LoopConfig(
        total_steps=total_steps,
        checkpoint_every=config.checkpoint_every,
        log_every=config.log_every,
        steps_per_call=config.steps_per_call,
        max_rollbacks=max_rollbacks,
    )


if __name__ == "__main__":
    main(TrainGanConfig, run)
