"""Shards -> generator: trains a conditional GAN, by default BAGAN-GP, under a tf.distribute strategy.

    python -m pipelines.train_gan --shards=SHARDS --workdir=GAN --image_size=64 --total_steps=20000

Writes checkpoints/, metrics.jsonl, tensorboard/, samples/<step>.png and, at the end, generator.weights.h5: the
averaged generator. With --num_folds and --fold the shards of that fold are never read, so that a classifier may be
validated on them. Ended by whatever, it goes on from the last checkpoint when the same command is started again; with
--workdir=gs://... --scratch_dir=LOCAL also on another machine. To run on several machines set TF_CONFIG and
--strategy=multi_worker on each.
"""

import pipelines.contract.quiet_tensorflow  # noqa: F401

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import tensorflow as tf
from absl import logging

from melgan.gans.autoencoder import AutoencoderTrainer
from melgan.gans.combinations import require_possible
from melgan.gans.config import GanConfig
from melgan.gans.gaussian_fitting import fit_class_gaussians
from melgan.gans.growth import require_grown
from melgan.gans.methods import resolve
from melgan.gans.trainer import GanTrainer
from melgan.metrics.extractors import EXTRACTORS
from melgan.training.checkpoints import Checkpoints, model_of
from melgan.training.distribution import (
    STRATEGIES,
    is_chief,
    make_strategy,
    on_any_worker,
    per_replica_batch_size,
    require_same_on_workers,
    watched_workers,
)
from melgan.training.loop import LoopConfig, Trainer, run_loop
from pipelines.artefacts.feature_store import FeatureStore, make_extractor, require_known_features
from pipelines.artefacts.generator_run import GENERATOR_FILE, write_generator
from pipelines.artefacts.image_sets import read_images
from pipelines.artefacts.metrics_file import MetricsWriter
from pipelines.artefacts.shards import Shards, first_images, open_shards, split_fold
from pipelines.artefacts.training_facts import last_metrics, shards_used, training_facts
from pipelines.contract.main import main, stop_on_sigterm
from pipelines.contract.progress import Progress
from pipelines.contract.workdir import Workdir, open_workdir
from pipelines.training import transfer as resuming
from pipelines.training.boxes import boxes_to_read, fill_table, require_boxes
from pipelines.watches.diversity import IMAGES_PER_CLASS, DiversityWatch
from pipelines.watches.evaluation import FEATURES_FOLDER, EvaluationWatch, read_best
from pipelines.watches.mirroring import Mirror
from pipelines.watches.samples import CheckpointArtefacts
from tfrecords_tools.foundation.errors import CommandError
from tfrecords_tools.foundation.files import as_path, is_remote
from tfrecords_tools.foundation.settings import require, setting
from tfrecords_tools.manifest import ShardEntry
from tfrecords_tools.reading import ShardSet, evaluation_batches, training_batches

_MAX_ROLLBACKS = 3


@dataclass(frozen=True, kw_only=True)
class TrainGanConfig(GanConfig):
    """Settings of train_gan: those of the GAN, and where, how long and on what to train it."""

    shards: str = setting(help="folder that make_shards wrote, local or gs://")
    workdir: str = setting(
        help="folder for checkpoints, metrics, samples and the generator, local or gs://", changes_result=False
    )
    scratch_dir: str = setting("", "local folder to train in when --workdir is gs://", changes_result=False)
    cache_dir: str = setting("", "local copies of shards that lie in a bucket", changes_result=False)
    total_steps: int = setting(20000, "generator steps; may be changed before they are done", changes_result=False)
    num_folds: int = setting(0, "folds of whole shards; 0: train on all shards")
    fold: int = setting(0, "fold that is held out, with --num_folds")
    resume_from: str = setting("", "finished GAN run, of any classes, whose weights training starts from")
    strategy: str = setting("one_device", "how to distribute", choices=tuple(STRATEGIES))
    heartbeat_seconds: int = setting(
        30, "with several workers: who is silent for so long is lost, and all end", changes_result=False
    )
    checkpoint_every: int = setting(1000, "steps between checkpoints and sample grids", changes_result=False)
    log_every: int = setting(50, "steps between lines of metrics", changes_result=False)
    steps_per_call: int = setting(10, "steps per call of the device", changes_result=False)
    on_nonfinite: str = setting(
        "stop",
        f"at a loss that is no number: stop, or go back to the last checkpoint up to {_MAX_ROLLBACKS} times",
        choices=("stop", "rollback"),
        changes_result=False,
    )
    eval_interval: int = setting(
        0,
        "steps between judgements by real images, of which the best generator is kept; 0: none; whole checkpoints",
        changes_result=False,
    )
    eval_by: str = setting(
        "held_out",
        "real images that judge: held_out ones, which must then not validate a classifier, or those of the training",
        choices=("held_out", "training"),
    )
    eval_features: str = setting("pixels", f"features of these judgements: {', '.join(EXTRACTORS)} or classifier:RUN")
    eval_weights: str = setting("", "file of InceptionV3's ImageNet weights for them")
    deterministic: bool = setting(False, "bitwise equal runs, somewhat slower")

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("total_steps", "checkpoint_every", "log_every", "steps_per_call"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")
        require(
            self.eval_interval >= 0 and self.eval_interval % self.checkpoint_every == 0,
            "eval_interval",
            self.eval_interval,
            f"0 or a multiple of checkpoint_every, {self.checkpoint_every}",
        )
        require_known_features(self.eval_features, "eval_features")
        require(self.heartbeat_seconds >= 10, "heartbeat_seconds", self.heartbeat_seconds, "at least 10")


def run(config: TrainGanConfig) -> None:
    """Trains a GAN."""
    config = resolve(config)
    mirror = Mirror(config.workdir, config.scratch_dir)
    if config.strategy == "multi_worker" and is_remote(as_path(config.workdir)):
        raise CommandError(
            f"--workdir={config.workdir}: several workers need a folder that all of them share; mount one"
        )
    if config.deterministic:
        tf.config.experimental.enable_op_determinism()
    with watched_workers(config.strategy, config.heartbeat_seconds):
        _run_here(config, mirror)


def _run_here(config: TrainGanConfig, mirror: Mirror) -> None:
    """Trains, among the other workers if there are any."""
    strategy = make_strategy(config.strategy)
    per_replica_batch_size(strategy, config.global_batch_size, "global_batch_size")
    shards = open_shards(config.shards, "shards", config.cache_dir)
    if config.resume_from and not resuming.has_taken_over(as_path(config.workdir)):
        resuming.check_source(config, config.resume_from, shards, _held_out_entries(config, shards))
    entries = _training_entries(config, shards)
    _require_every_class(shards.manifest.classes, shards.class_counts(entries))
    require_possible(config, shards.class_counts(entries))
    require_grown(config, shards.class_counts(entries), config.total_steps)
    require_boxes(config, shards, entries)
    workdir = open_workdir(as_path(config.workdir), "train_gan", config, writable=is_chief(strategy))
    if workdir is None:
        return
    mirror.fetch()
    GanRun(config, shards, workdir, mirror, strategy).run()


class GanRun:
    """One run of the stage: the two trainings, what is written along the way, and the report."""

    def __init__(
        self,
        config: TrainGanConfig,
        shards: Shards,
        workdir: Workdir,
        mirror: Mirror,
        strategy: tf.distribute.Strategy,
    ) -> None:
        self._config, self._shards, self._workdir, self._strategy = config, shards, workdir, strategy
        self._mirror, self._folder = mirror, mirror.folder
        self._classes = shards.manifest.classes
        self._entries = _training_entries(config, shards)
        self._data = shards.read(self._entries)
        self._class_counts = shards.class_counts(self._entries)
        self._trainer = GanTrainer(config, self._class_counts, strategy)
        self._stop_requested = on_any_worker(strategy, stop_on_sigterm())

    def run(self) -> None:
        """Trains the autoencoder, then the GAN, and writes the generator."""
        checkpoints = self._checkpoints("gan", self._trainer)
        start_step = checkpoints.restore()
        require_same_on_workers(self._strategy, start_step, "the step of the newest checkpoint")
        artefacts = self._artefacts(start_step) if self._workdir.writable else None
        if start_step == 0:
            self._initialise()

        def on_checkpoint(step: int) -> None:
            if artefacts is not None and self._is_scheduled(step) and not artefacts.are_written(step):
                artefacts.write(self._trainer.ema_generator, step)
            if artefacts is not None:
                self._mirror.send()

        if start_step:
            on_checkpoint(start_step)  # what a kill right after the checkpoint left out
        counts = self._class_counts if self._config.has_balanced_batches else None
        self._train(self._trainer, checkpoints, "gan", self._config.total_steps, start_step, on_checkpoint, counts)
        if self._workdir.writable:
            self._complete()

    def _initialise(self) -> None:
        """Gives the generator what it has before the first step: weights, and boxes if it draws with some."""
        if self._config.resume_from:
            resuming.take_over(self._config.resume_from, self._trainer, self._classes, self._workdir)
        else:
            self._train_autoencoder()
            self._trainer.start_discriminator()
        self._fit_class_gaussians()
        fill_table(self._trainer.generator, self._data, len(self._classes), self._config.seed)
        self._trainer.start_average()

    def _train_autoencoder(self) -> None:
        """Trains the generator as the decoder of an autoencoder, if the method asks for it."""
        total_steps = self._config.autoencoder_epochs * max(1, self._data.num_records // self._config.global_batch_size)
        if total_steps:
            trainer = AutoencoderTrainer(self._trainer.encoder, self._trainer.decoder, self._config, self._strategy)
            checkpoints = self._checkpoints("autoencoder", trainer)
            start_step = checkpoints.restore()
            self._train(trainer, checkpoints, "autoencoder", total_steps, start_step, lambda step: self._mirror.send())

    def _fit_class_gaussians(self) -> None:
        """Fits the Gaussians of the classes to all training images, where the generator has such."""
        if self._trainer.class_gaussians is not None:
            config = self._config
            batches = evaluation_batches(self._data, image_size=config.image_size, batch_size=config.global_batch_size)
            fit_class_gaussians(self._trainer.class_gaussians, self._trainer.encoder, batches)

    def _is_scheduled(self, step: int) -> bool:
        """Returns whether an undisturbed run has a checkpoint here; SIGTERM may ask for others."""
        return step % self._config.checkpoint_every == 0 or step == self._config.total_steps

    def _checkpoints(self, series: str, trainer: Trainer) -> Checkpoints:
        model = model_of(self._config, GanConfig, self._classes)
        return Checkpoints(self._folder / "checkpoints" / series, trainer, self._strategy, model=model)

    def _train(
        self,
        trainer: Trainer,
        checkpoints: Checkpoints,
        series: str,
        total_steps: int,
        start_step: int,
        on_checkpoint: Callable[[int], None],
        class_counts: tuple[int, ...] | None = None,
    ) -> None:
        """Trains to the end; real images are balanced over the classes where their counts are given."""
        progress = Progress(series, total_steps, "steps", start_step)
        writer = MetricsWriter(self._folder, series, start_step) if self._workdir.writable else None

        def on_metrics(step: int, metrics: dict[str, float]) -> None:
            if writer is not None:
                writer.write(step, metrics)
            progress.update(step, " ".join(f"{name} {value:.3f}" for name, value in metrics.items()))

        def on_rollback(step: int) -> None:
            if writer is not None:
                writer.drop_after(step)

        run_loop(
            trainer,
            checkpoints,
            lambda first: _distributed_batches(self._strategy, self._data, self._config, first, class_counts),
            _loop_config(self._config, trainer, total_steps),
            start_step=start_step,
            on_metrics=on_metrics,
            on_checkpoint=on_checkpoint,
            on_rollback=on_rollback,
            stop_requested=self._stop_requested,
        )

    def _artefacts(self, start_step: int) -> CheckpointArtefacts:
        config, folder, classes = self._config, self._folder, self._classes
        real_images = first_images(self._data, len(classes), config.image_size, IMAGES_PER_CLASS)
        watch = DiversityWatch(folder, classes, real_images, seed=config.seed, start_step=start_step)
        return CheckpointArtefacts(
            folder,
            classes,
            real_images,
            watch,
            evaluation=self._evaluation(start_step) if config.eval_interval else None,
            evaluated=lambda step: step % config.eval_interval == 0 or step == config.total_steps,
            seed=config.seed,
        )

    def _evaluation(self, start_step: int) -> EvaluationWatch:
        """Returns what judges by the shards held out, or where there are none, or if asked for, by the training's."""
        config, shards = self._config, self._shards
        entries = (_held_out_entries(config, shards) if config.eval_by == "held_out" else ()) or self._entries
        store = FeatureStore(
            self._folder / FEATURES_FOLDER, make_extractor(config.eval_features, config.eval_weights, shards, entries)
        )
        reference = store.samples(read_images(shards, entries, config.image_size), "real images")
        rarest = self._classes[int(np.argmin(self._class_counts))]
        return EvaluationWatch(
            self._folder,
            self._classes,
            rarest,
            reference,
            shards_used(shards, entries),
            store,
            seed=config.seed,
            start_step=start_step,
        )

    def _complete(self) -> None:
        """Writes the generator and the report."""
        report = {
            "generator_sha256": write_generator(self._folder / GENERATOR_FILE, self._trainer.ema_generator),
            "method": self._config.method,
            **training_facts(self._shards, self._entries),
            **resuming.read_provenance(self._workdir.path),
            "best": read_best(self._folder),
            "last_metrics": last_metrics(self._folder, "gan"),
            "steps": self._config.total_steps,
            "rollbacks": int(tf.convert_to_tensor(self._trainer.attempt)),
        }
        self._mirror.send()
        self._workdir.complete(report)
        logging.info("generator: %s", self._workdir.path)


def _loop_config(config: TrainGanConfig, trainer: Trainer, total_steps: int) -> LoopConfig:
    """Returns the lengths of a training; only that of the GAN draws random numbers, and can try again with others."""
    rolls_back = config.on_nonfinite == "rollback" and isinstance(trainer, GanTrainer)
    return LoopConfig(
        total_steps=total_steps,
        checkpoint_every=config.checkpoint_every,
        log_every=config.log_every,
        steps_per_call=config.steps_per_call,
        max_rollbacks=_MAX_ROLLBACKS if rolls_back else 0,
    )


def _training_entries(config: TrainGanConfig, shards: Shards) -> tuple[ShardEntry, ...]:
    if not config.num_folds:
        return shards.manifest.split("train")
    return split_fold(shards.manifest, config.num_folds, config.fold)[0]


def _held_out_entries(config: TrainGanConfig, shards: Shards) -> tuple[ShardEntry, ...]:
    return split_fold(shards.manifest, config.num_folds, config.fold)[1] if config.num_folds else ()


def _require_every_class(classes: tuple[str, ...], class_counts: tuple[int, ...]) -> None:
    absent = [name for name, count in zip(classes, class_counts, strict=True) if not count]
    if absent:
        raise CommandError(
            f"no training image of class {', '.join(absent)} in these shards; choose other shards or folds"
        )


def _distributed_batches(
    strategy: tf.distribute.Strategy,
    data: ShardSet,
    config: TrainGanConfig,
    first_batch: int,
    class_counts: tuple[int, ...] | None,
) -> Iterator:
    """Returns the endless stream of batches from a batch number on, balanced where the counts of classes are given."""

    def for_worker(context: tf.distribute.InputContext) -> tf.data.Dataset:
        return training_batches(
            data,
            image_size=config.image_size,
            global_batch_size=config.global_batch_size,
            seed=config.seed,
            class_counts=class_counts,
            start_step=first_batch,
            num_workers=context.num_input_pipelines,
            worker=context.input_pipeline_id,
            num_replicas=context.num_replicas_in_sync,
            max_boxes=boxes_to_read(config),
        )

    return iter(strategy.distribute_datasets_from_function(for_worker))


if __name__ == "__main__":
    main(TrainGanConfig, run)
