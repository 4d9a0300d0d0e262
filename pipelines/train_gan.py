"""Shards -> generator: trains a conditional GAN, by default BAGAN-GP, under a tf.distribute strategy.

    python -m pipelines.train_gan --shards=SHARDS --workdir=GAN --image_size=64 --total_steps=20000

Writes checkpoints/, metrics.jsonl, tensorboard/, samples/<step>.png and, at the end, generator.weights.h5: the
averaged generator. With --num_folds and --fold the shards of that fold are never read, so that a classifier may be
validated on them. To run on several machines set TF_CONFIG and --strategy=multi_worker on each.
"""

import pipelines.quiet_tensorflow  # noqa: F401

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import tensorflow as tf
from absl import logging

from melgan.autoencoder import AutoencoderTrainer
from melgan.config import GanConfig, require, setting
from melgan.distribution import STRATEGIES, is_chief, make_strategy
from melgan.gan_trainer import GanTrainer
from melgan.loop import Checkpoints, LoopConfig, Trainer, run_loop
from melgan.methods import resolve
from melgan.sampling import sample_images
from pipelines import resuming, stage
from pipelines.generator_file import write_generator
from pipelines.grids import write_grid
from pipelines.inputs import Shards, first_images, open_shards, split_fold
from pipelines.judging import IMAGES_PER_CLASS, DiversityWatch
from pipelines.metrics_file import MetricsWriter
from pipelines.progress import Progress
from tfrecords_tools.manifest import ShardEntry
from tfrecords_tools.reading import ShardSet, training_batches

_GRID_ROWS = 8


@dataclass(frozen=True, kw_only=True)
class TrainGanConfig(GanConfig):
    """Settings of train_gan: those of the GAN, and where, how long and on what to train it."""

    shards: str = setting(help="folder that make_shards wrote, local or gs://")
    workdir: str = setting(help="folder for checkpoints, metrics, samples and the generator")
    cache_dir: str = setting("", "local copies of shards that lie in a bucket", changes_result=False)
    total_steps: int = setting(20000, "generator steps; may be changed before they are done", changes_result=False)
    num_folds: int = setting(0, "folds of whole shards; 0: train on all shards")
    fold: int = setting(0, "fold that is held out, with --num_folds")
    resume_from: str = setting("", "finished GAN run, of any classes, whose weights training starts from")
    strategy: str = setting("one_device", "how to distribute", choices=tuple(STRATEGIES))
    checkpoint_every: int = setting(1000, "steps between checkpoints and sample grids", changes_result=False)
    log_every: int = setting(50, "steps between lines of metrics", changes_result=False)
    steps_per_call: int = setting(10, "steps per call of the device", changes_result=False)
    deterministic: bool = setting(False, "bitwise equal runs, somewhat slower")

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("total_steps", "checkpoint_every", "log_every", "steps_per_call"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")


def run(config: TrainGanConfig) -> None:
    """Trains a GAN."""
    config = resolve(config)
    if config.deterministic:
        tf.config.experimental.enable_op_determinism()
    strategy = make_strategy(config.strategy)
    shards = open_shards(config.shards, "shards", config.cache_dir)
    folder = stage.local_folder(config.workdir, "workdir")
    if config.resume_from and not resuming.has_taken_over(folder):
        resuming.check_source(config, config.resume_from, shards, _held_out_entries(config, shards))
    workdir = stage.open_workdir(folder, "train_gan", config, writable=is_chief(strategy))
    if workdir is None:
        return
    GanRun(config, shards, workdir, strategy).run()


class GanRun:
    """One run of the stage: the two trainings, what is written along the way, and the report."""

    def __init__(
        self, config: TrainGanConfig, shards: Shards, workdir: stage.Workdir, strategy: tf.distribute.Strategy
    ) -> None:
        self._config, self._shards, self._workdir, self._strategy = config, shards, workdir, strategy
        self._entries = _training_entries(config, shards)
        self._data = shards.read(self._entries)
        self._class_counts = shards.class_counts(self._entries)
        _require_every_class(shards.manifest.classes, self._class_counts)
        self._trainer = GanTrainer(config, self._class_counts, strategy)
        self._stop_requested = stage.stop_on_sigterm()
        self._last_metrics: dict[str, float] = {}

    def run(self) -> None:
        """Trains the autoencoder, then the GAN, and writes the generator."""
        checkpoints = Checkpoints(self._workdir.path / "checkpoints" / "gan", self._trainer, self._strategy)
        start_step = checkpoints.restore()
        if start_step == 0:
            self._initialise()
        if self._workdir.writable:
            self._watch = self._watch_diversity(start_step)
            if start_step and self._judgement_is_due(start_step) and not self._watch.has_judged(start_step):
                self._write_samples(start_step)
        self._train(self._trainer, checkpoints, "gan", self._config.total_steps, start_step, self._write_samples)
        if self._workdir.writable:
            self._write_artefacts()

    def _initialise(self) -> None:
        """Takes over weights, or trains the generator as the decoder of an autoencoder if the method asks for it."""
        if self._config.resume_from:
            classes = self._shards.manifest.classes
            resuming.take_over(self._config.resume_from, self._trainer, classes, self._workdir)
            return
        total_steps = self._config.autoencoder_epochs * max(1, self._data.num_records // self._config.global_batch_size)
        if total_steps:
            trainer = AutoencoderTrainer(self._trainer.encoder, self._trainer.generator, self._config, self._strategy)
            checkpoints = Checkpoints(self._workdir.path / "checkpoints" / "autoencoder", trainer, self._strategy)
            start_step = checkpoints.restore()
            self._train(trainer, checkpoints, "autoencoder", total_steps, start_step, lambda step: None)
        self._trainer.start_average()

    def _train(
        self,
        trainer: Trainer,
        checkpoints: Checkpoints,
        series: str,
        total_steps: int,
        start_step: int,
        on_checkpoint: Callable[[int], None],
    ) -> None:
        config = self._config
        loop = LoopConfig(
            total_steps=total_steps,
            checkpoint_every=config.checkpoint_every,
            log_every=config.log_every,
            steps_per_call=config.steps_per_call,
        )
        progress = Progress(series, total_steps, "steps", start_step)
        writer = MetricsWriter(self._workdir.path, series, start_step) if self._workdir.writable else None

        def on_metrics(step: int, metrics: dict[str, float]) -> None:
            self._last_metrics = metrics
            if writer is not None:
                writer.write(step, metrics)
            progress.update(step, " ".join(f"{name} {value:.3f}" for name, value in metrics.items()))

        run_loop(
            trainer,
            checkpoints,
            _distributed_batches(self._strategy, self._data, config, start_step),
            loop,
            start_step=start_step,
            on_metrics=on_metrics,
            on_checkpoint=on_checkpoint,
            stop_requested=self._stop_requested,
        )

    def _watch_diversity(self, start_step: int) -> DiversityWatch:
        config, classes = self._config, self._shards.manifest.classes
        self._real_images = first_images(self._data, len(classes), config.image_size, IMAGES_PER_CLASS)
        return DiversityWatch(
            self._workdir.path,
            classes,
            self._real_images,
            seed=config.seed,
            start_step=start_step,
            total_steps=config.total_steps,
        )

    def _write_samples(self, step: int) -> None:
        if not self._workdir.writable:
            return
        classes, columns = self._shards.manifest.classes, []
        for label, real in enumerate(self._real_images):
            fakes = sample_images(self._trainer.ema_generator, [label] * _GRID_ROWS, self._config.seed)
            columns.append(np.concatenate([real[:1], np.stack(list(fakes))]))
        folder = self._workdir.path / "samples"
        folder.mkdir(exist_ok=True)
        write_grid(folder / f"{step:07d}.png", columns, classes)
        if self._judgement_is_due(step):
            self._watch.judge(self._trainer.ema_generator, step)

    def _judgement_is_due(self, step: int) -> bool:
        """Returns whether an undisturbed run has a checkpoint here; SIGTERM asks for others."""
        return step % self._config.checkpoint_every == 0 or step == self._config.total_steps

    def _write_artefacts(self) -> None:
        generator_sha256 = write_generator(self._workdir.path, self._trainer.ema_generator)
        manifest = self._shards.manifest
        report = {
            "generator_sha256": generator_sha256,
            "method": self._config.method,
            "classes": manifest.classes,
            "class_counts": self._class_counts,
            **resuming.read_provenance(self._workdir.path),
            "trained_on": {
                "source_fingerprint": manifest.source_fingerprint,
                "shards_digest": stage.digest(self._shards.folder),
                "folds_fingerprint": manifest.folds_fingerprint,
                "shards": [shard.file for shard in self._entries],
                "indices": [shard.index for shard in self._entries],
            },
            "last_metrics": self._last_metrics,
            "steps": self._config.total_steps,
        }
        self._workdir.complete(report)
        logging.info("generator: %s", self._workdir.path)


def _training_entries(config: TrainGanConfig, shards: Shards) -> tuple[ShardEntry, ...]:
    if not config.num_folds:
        return shards.manifest.split("train")
    return split_fold(shards.manifest, config.num_folds, config.fold)[0]


def _held_out_entries(config: TrainGanConfig, shards: Shards) -> tuple[ShardEntry, ...]:
    return split_fold(shards.manifest, config.num_folds, config.fold)[1] if config.num_folds else ()


def _require_every_class(classes: tuple[str, ...], class_counts: tuple[int, ...]) -> None:
    absent = [name for name, count in zip(classes, class_counts, strict=True) if not count]
    if absent:
        raise stage.StageError(
            f"no training image of class {', '.join(absent)} in these shards; choose other shards or folds"
        )


def _distributed_batches(
    strategy: tf.distribute.Strategy, data: ShardSet, config: TrainGanConfig, start_step: int
) -> Iterator:
    def for_worker(context: tf.distribute.InputContext) -> tf.data.Dataset:
        return training_batches(
            data,
            image_size=config.image_size,
            global_batch_size=config.global_batch_size,
            seed=config.seed,
            start_step=start_step,
            num_workers=context.num_input_pipelines,
            worker=context.input_pipeline_id,
            num_replicas=context.num_replicas_in_sync,
        )

    return iter(strategy.distribute_datasets_from_function(for_worker))


if __name__ == "__main__":
    stage.main(TrainGanConfig, run)
