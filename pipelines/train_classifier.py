"""Shards -> classifier: K folds over whole shards, on real images with or without a share of synthetic ones.

    python -m pipelines.train_classifier --shards=SHARDS --workdir=BASELINE --backbone=efficientnet_b0
    python -m pipelines.train_classifier --shards=SHARDS --workdir=MIXED --synthetic='SYNTHETIC_{fold}' \\
        --synthetic_fraction=0.3

Writes fold<k>/best.weights.h5 (the epoch with the best validation AUC), fold<k>/predictions.csv, oof.csv (all
out-of-fold predictions), metrics.jsonl and tensorboard/. Synthetic images never enter validation, and a synthetic
shard whose generator saw a shard of the validation fold is refused.
"""

import pipelines.contract.quiet_tensorflow  # noqa: F401

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import tensorflow as tf
from absl import logging

from melgan.classifiers.augmentation import AUGMENTATIONS
from melgan.classifiers.backbones import BACKBONES
from melgan.classifiers.config import ClassifierConfig
from melgan.classifiers.trainer import ClassifierTrainer
from melgan.metrics.classification import classification_metrics
from melgan.training.checkpoints import Checkpoints, model_of
from melgan.training.distribution import make_strategy
from melgan.training.loop import LoopConfig, run_loop
from pipelines.artefacts.classifier_run import BEST_WEIGHTS_FILE
from pipelines.artefacts.metrics_file import MetricsWriter, read_metrics
from pipelines.artefacts.predictions import judge, predictions_table, read_predictions, scores
from pipelines.artefacts.seen import refuse_leaks
from pipelines.artefacts.shards import Shards, open_shards, open_synthetic, split_fold
from pipelines.contract.main import main, stop_on_sigterm
from pipelines.contract.progress import Progress
from pipelines.contract.workdir import Workdir, digest, local_folder, open_workdir
from tfrecords_tools.foundation.errors import CommandError, look_up
from tfrecords_tools.foundation.files import write_atomically
from tfrecords_tools.foundation.settings import require, setting
from tfrecords_tools.reading import join, training_batches

PREDICTIONS_FILE, OOF_FILE = "predictions.csv", "oof.csv"


@dataclass(frozen=True, kw_only=True)
class TrainClassifierConfig(ClassifierConfig):
    """Settings of train_classifier: those of the recipe, and on what to train it."""

    shards: str = setting(help="folder that make_shards wrote, local or gs://")
    workdir: str = setting(help="folder for weights, predictions and metrics")
    cache_dir: str = setting("", "local copies of shards that lie in a bucket", changes_result=False)
    num_folds: int = setting(5, "folds of whole shards")
    folds: tuple[str, ...] = setting((), "folds to train, such as 0,2; all by default")
    synthetic: tuple[str, ...] = setting((), "folders that synthesize wrote; {fold} stands for the fold's number")
    synthetic_fraction: float = setting(0.0, "share of synthetic images in every batch")
    strategy: str = setting("one_device", "how to distribute", choices=("one_device", "mirrored"))
    steps_per_call: int = setting(10, "steps per call of the device", changes_result=False)
    deterministic: bool = setting(False, "bitwise equal runs, somewhat slower")

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 <= self.synthetic_fraction < 1, "synthetic_fraction", self.synthetic_fraction, "from 0 up to 1")
        require(self.steps_per_call >= 1, "steps_per_call", self.steps_per_call, "at least 1")
        if bool(self.synthetic) != bool(self.synthetic_fraction):
            raise CommandError("--synthetic and --synthetic_fraction go together: give both, or neither")
        if not all(fold.isdigit() and int(fold) < self.num_folds for fold in self.folds):
            raise CommandError(f"--folds={','.join(self.folds)}: must be numbers from 0 to {self.num_folds - 1}")


def run(config: TrainClassifierConfig) -> None:
    """Trains and judges the classifier of every fold."""
    look_up(BACKBONES, config.backbone, "backbone")
    look_up(AUGMENTATIONS, config.augmentation, "augmentation")
    if config.deterministic:
        tf.config.experimental.enable_op_determinism()
    shards = open_shards(config.shards, "shards", config.cache_dir)
    folds = [int(fold) for fold in config.folds] or list(range(config.num_folds))
    synthetic = {fold: _open_synthetic(config, shards, fold) for fold in folds}  # refuse before training anything
    workdir = open_workdir(local_folder(config.workdir, "workdir"), "train_classifier", config)
    if workdir is None:
        return
    strategy, stop_requested = make_strategy(config.strategy), stop_on_sigterm()
    for fold in folds:
        if not (workdir.path / f"fold{fold}" / PREDICTIONS_FILE).is_file():
            FoldRun(config, shards, synthetic[fold], fold, workdir.path, strategy, stop_requested).run()
            tf.keras.backend.clear_session()
    _complete(config, shards, synthetic, folds, workdir)


class FoldRun:
    """The training of one fold: judged after every epoch, the best one kept."""

    def __init__(
        self,
        config: TrainClassifierConfig,
        shards: Shards,
        synthetic: list[Shards],
        fold: int,
        workdir: Path,
        strategy: tf.distribute.Strategy,
        stop_requested: Callable[[], bool],
    ) -> None:
        self._config, self._shards, self._fold = config, shards, fold
        self._workdir, self._strategy, self._stop_requested = workdir, strategy, stop_requested
        self._folder = workdir / f"fold{fold}"
        self._folder.mkdir(exist_ok=True)
        training, self._validation = split_fold(shards.manifest, config.num_folds, fold)
        self._real = shards.read(training)
        self._synthetic = join([opened.read(opened.manifest.shards) for opened in synthetic])
        images_per_epoch = self._real.num_records / (1 - config.synthetic_fraction)
        self._steps_per_epoch = max(1, round(images_per_epoch / config.batch_size))
        self._total_steps = self._steps_per_epoch * config.epochs
        class_counts = shards.class_counts(training)
        self._trainer = ClassifierTrainer(config, class_counts, self._total_steps, strategy)
        self._metrics = classification_metrics(shards.manifest.classes)

    def run(self) -> None:
        """Trains, goes on where a killed run stopped, and writes the best epoch's predictions."""
        model = model_of(self._config, ClassifierConfig, self._shards.manifest.classes)
        checkpoints = Checkpoints(self._folder / "checkpoints", self._trainer, self._strategy, model=model, keep=1)
        start_step = checkpoints.restore()
        self._writer = MetricsWriter(self._workdir, f"fold{self._fold}", start_step)
        if start_step and not any(line["step"] == start_step for line in self._epochs()):
            self._judge_epoch(start_step)  # killed between checkpoint and judgement
        progress = Progress(f"fold {self._fold}", self._total_steps, "steps", start_step)

        def on_metrics(step: int, metrics: dict[str, float]) -> None:
            self._writer.write(step, metrics)
            best = max((line["validation_auc"] for line in self._epochs()), default=float("nan"))
            progress.update(step, f"loss {metrics['loss']:.3f} best AUC {best:.3f}")

        run_loop(
            self._trainer,
            checkpoints,
            self._batches_from,
            LoopConfig(
                total_steps=self._total_steps,
                checkpoint_every=self._steps_per_epoch,
                log_every=self._steps_per_epoch,
                steps_per_call=self._config.steps_per_call,
            ),
            start_step=start_step,
            on_metrics=on_metrics,
            on_checkpoint=self._judge_epoch,
            stop_requested=self._stop_requested,
        )
        self._write_predictions()

    def _judge_epoch(self, step: int) -> None:
        """Judges the averaged weights on the validation fold, by one view, and keeps them if they are the best."""
        if step % self._steps_per_epoch:
            return  # a checkpoint on request, in mid-epoch
        table = self._predict(views=1)
        metrics = {f"validation_{name}": metric(*scores(table)) for name, metric in self._metrics.items()}
        best = max((line["validation_auc"] for line in self._epochs()), default=float("-inf"))
        if not metrics["validation_auc"] <= best:
            unfinished = self._folder / f"unfinished.{BEST_WEIGHTS_FILE}"
            self._trainer.average_model.save_weights(unfinished)
            unfinished.replace(self._folder / BEST_WEIGHTS_FILE)
        self._writer.write(step, {"epoch": step // self._steps_per_epoch, **metrics})

    def _epochs(self) -> list[dict]:
        lines = read_metrics(self._workdir)
        return [line for line in lines if line["series"] == f"fold{self._fold}" and "validation_auc" in line]

    def _predict(self, views: int) -> pd.DataFrame:
        predictor = self._trainer.predictor(views)
        return predictions_table(predictor, self._config.image_size, self._shards, self._validation, self._fold)

    def _write_predictions(self) -> None:
        self._trainer.average_model.load_weights(self._folder / BEST_WEIGHTS_FILE)
        write_atomically(
            self._folder / PREDICTIONS_FILE, self._predict(self._config.test_time_views).to_csv(index=False)
        )

    def _batches_from(self, start_step: int) -> Iterator:
        config = self._config

        def for_worker(context: tf.distribute.InputContext) -> tf.data.Dataset:
            return training_batches(
                self._real,
                synthetic=self._synthetic,
                synthetic_fraction=config.synthetic_fraction,
                image_size=config.image_size,
                global_batch_size=config.batch_size,
                seed=config.seed * 1000 + self._fold,
                start_step=start_step,
                num_replicas=context.num_replicas_in_sync,
                augment=AUGMENTATIONS[config.augmentation],
            )

        return iter(self._strategy.distribute_datasets_from_function(for_worker))


def _open_synthetic(config: TrainClassifierConfig, shards: Shards, fold: int) -> list[Shards]:
    validation = split_fold(shards.manifest, config.num_folds, fold)[1]
    opened = [
        open_synthetic(path.replace("{fold}", str(fold)), "synthetic", config.cache_dir) for path in config.synthetic
    ]
    for synthetic in opened:
        refuse_leaks(synthetic, shards, validation)
    return opened


def _complete(
    config: TrainClassifierConfig,
    shards: Shards,
    synthetic: dict[int, list[Shards]],
    folds: list[int],
    workdir: Workdir,
) -> None:
    """Joins the folds' predictions, judges them and writes the report."""
    classes = shards.manifest.classes
    tables = [read_predictions(workdir.path / f"fold{fold}" / PREDICTIONS_FILE, classes) for fold in folds]
    oof = pd.concat(tables)
    write_atomically(workdir.path / OOF_FILE, oof.to_csv(index=False))
    figures = judge(oof, classes, config.seed)
    lines = [line for line in read_metrics(workdir.path) if "validation_auc" in line]
    best = {fold: max((line for line in lines if line["series"] == f"fold{fold}"), key=_auc) for fold in folds}
    workdir.complete(
        {
            "classes": classes,
            "folds": folds,
            "images": len(oof),
            "figures": figures,
            "best_epochs": {str(fold): line["epoch"] for fold, line in best.items()},
            "fold_auc": {str(fold): line["validation_auc"] for fold, line in best.items()},
            "shards": str(shards.folder),
            "shards_digest": digest(shards.folder),
            "folds_fingerprint": shards.manifest.folds_fingerprint,
            "source_fingerprint": shards.manifest.source_fingerprint,
            "synthetic": {
                str(fold): [{"folder": str(item.folder), "provenance": item.manifest.provenance} for item in sets]
                for fold, sets in synthetic.items()
            },
        }
    )
    for name, figure in figures.items():
        logging.info("%s %.3f (95 %% interval %.3f to %.3f)", name, figure["value"], figure["low"], figure["high"])
    logging.info("out-of-fold predictions: %s", workdir.path / OOF_FILE)


def _auc(line: dict) -> float:
    return line["validation_auc"]


if __name__ == "__main__":
    main(TrainClassifierConfig, run)
