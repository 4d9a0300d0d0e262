"""The run of train_classifier: its settings, its report, and the classifiers of its folds with their best weights."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import keras

from melgan.classifiers.config import GAN_WEIGHTS, NO_WEIGHTS, ClassifierConfig
from melgan.classifiers.metadata import METADATA
from melgan.classifiers.network import build_classifier
from melgan.classifiers.prediction import Predictor
from melgan.classifiers.synthetic_targets import REQUESTED, SYNTHETIC_TARGETS
from melgan.metrics.cross_validation import MEAN_AUC
from melgan.metrics.intervals import Interval
from melgan.training.weights import load_weights
from pipelines.artefacts.backbone_file import read_backbone
from pipelines.artefacts.class_table import DIAGNOSES
from pipelines.artefacts.epochs import SELECTIONS
from pipelines.artefacts.metrics_file import METRICS_FILE
from pipelines.artefacts.shards import Shards, split_fold
from pipelines.artefacts.subgroups import Subgroup
from pipelines.contract.shared_settings import (
    CacheSettings,
    DeviceSettings,
    ScratchSettings,
    TrackerSettings,
    TrustSettings,
)
from pipelines.contract.strategy_settings import StrategySettings
from pipelines.contract.workdir import COMPLETED_FILE, read_config, read_report, require_run
from tfrecords_tools.foundation.documents import stored
from tfrecords_tools.foundation.errors import CommandError, DataError
from tfrecords_tools.foundation.files import AnyPath, file_sha256, local_copy
from tfrecords_tools.foundation.settings import require, setting
from tfrecords_tools.provenance import SeenShards, ShardsUsed, SyntheticProvenance

COMMAND = "train_classifier"
HIDDEN, TEST = "hidden", "test"
DRAW, HIDE = "draw", "hide"
BEST_WEIGHTS_FILE, PREDICTIONS_FILE = "best.weights.h5", "predictions.csv"  # of a fold, in its folder
TEACHER_FILE = "teacher_on_synthetic.csv"  # likewise
OOF_FILE, OOF_KAGGLE_FILE, SUBGROUPS_FILE = "oof.csv", "oof_kaggle.csv", "subgroups.csv"


@dataclass(frozen=True, kw_only=True)
class TrainClassifierConfig(
    ClassifierConfig,
    TrustSettings,
    CacheSettings,
    DeviceSettings,
    ScratchSettings,
    StrategySettings,
    TrackerSettings,
):
    """Settings of train_classifier: the recipe, and on what to train it."""

    shards: str = setting(help="folder that make_shards wrote, local or gs://", same_baseline=False, is_path=True)
    workdir: str = setting(help="folder for weights, predictions and metrics, local or gs://", changes_result=False)
    num_folds: int = setting(5, "folds of whole shards")
    folds: tuple[str, ...] = setting((), "folds to train, such as 0,2; all by default", same_baseline=False)
    synthetic: tuple[str, ...] = setting(
        (), "folders that synthesize wrote; {fold} stands for the fold's number", same_baseline=False, is_path=True
    )
    synthetic_fraction: float = setting(
        0.0, "fraction of synthetic images in every batch, among those with labels", same_baseline=False
    )
    synthetic_targets: str = setting(
        REQUESTED,
        "what synthetic images count for: the class that was asked for, what the teacher of the same fold thinks, a "
        "blend of both, or the class asked for where the teacher agrees, and else nothing",
        choices=tuple(SYNTHETIC_TARGETS),
        same_baseline=False,
    )
    blend: float = setting(0.5, "fraction of the class asked for in --synthetic_targets=blend", same_baseline=False)
    metadata_for_synthetic: str = setting(
        "",
        "inputs of --metadata of synthetic images, which have none: those of a real image of the same class and fold, "
        "drawn at random, or hidden, and of real ones as often as it takes that this tells no class",
        choices=("", DRAW, HIDE),
        same_baseline=False,
    )
    teacher: str = setting(
        "",
        "classifier run, on the same folds, from whose predictions each fold's classifier learns, of all images or, "
        "with --synthetic_targets, of synthetic ones",
        is_path=True,
    )
    diagnoses: int = setting(
        0, "groups of diagnoses that are told apart, melanoma one of them: 2, 3, 4 or 9; 0: the classes of the shards"
    )
    labelled_fraction: float = setting(1.0, "fraction of the patients whose labels are known in training")
    unlabelled: tuple[str, ...] = setting(
        (),
        f"images that --semi_supervised learns from without their labels: {HIDDEN}, those of --labelled_fraction; "
        f"{TEST}, the test images; or folders of shards, real or synthetic",
        is_path=True,
        words=(HIDDEN, TEST),
    )
    train_only_source: tuple[str, ...] = setting(
        (), "data sets of merged shards, by the names of their sources, that are learned from and never validated on"
    )
    examples: str = setting(
        "",
        "CSV table of the images that are learned from, real and synthetic: image_name, and if wanted count, how often "
        "each is shown in an epoch, and class, in the place of that of the record",
        is_path=True,
    )
    steps_per_epoch: int = setting(0, "steps of an epoch; 0: as many as show as many images as there are real ones")
    select: str = setting(
        "best",
        "epoch that is kept: best by the validation AUC, which flatters it a little, or the last",
        choices=tuple(SELECTIONS),
    )
    match: str = setting(
        "steps",
        "what a run with synthetic images has in common with its baseline: as many steps, or passes over real images",
        choices=("steps", "real"),
        same_baseline=False,
        earlier="real",
    )
    match_resolution: int = setting(
        0,
        "side in pixels that every image, also of the baseline, is reduced to and compressed at, where real and "
        "synthetic ones are stored in different sizes; 0: none",
    )
    target: str = setting(
        "",
        "class that is positive, in oof_kaggle.csv and in submissions (default: melanoma, or else the last class)",
        same_baseline=False,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 <= self.synthetic_fraction < 1, "synthetic_fraction", self.synthetic_fraction, "from 0 up to 1")
        require(self.steps_per_epoch >= 0, "steps_per_epoch", self.steps_per_epoch, "0 or greater")
        require(self.match_resolution >= 0, "match_resolution", self.match_resolution, "0 or greater")
        require(self.diagnoses in DIAGNOSES, "diagnoses", self.diagnoses, "0, 2, 3, 4 or 9")
        require(0 <= self.blend <= 1, "blend", self.blend, "from 0 to 1")
        require(0 < self.labelled_fraction <= 1, "labelled_fraction", self.labelled_fraction, "above 0, at most 1")
        self._require_together()
        if bool(self.synthetic) != bool(self.synthetic_fraction):
            raise CommandError("--synthetic and --synthetic_fraction go together: give both, or neither")
        require(self.num_folds >= 2, "num_folds", self.num_folds, "at least 2")
        known = [str(fold) for fold in range(self.num_folds)]
        if len(set(self.folds)) < len(self.folds) or not set(self.folds) <= set(known):
            raise CommandError(f"--folds={','.join(self.folds)}: must be numbers from 0 to {known[-1]}, each once")

    def _require_together(self) -> None:
        """Raises CommandError for settings that make no sense without each other."""
        asks_teacher = self.distillation_weight > 0 or self.synthetic_targets != REQUESTED
        if bool(self.teacher) != asks_teacher:
            raise CommandError(
                "--teacher is for --distillation_weight or --synthetic_targets: give it with one of them, or not at all"
            )
        if self.synthetic_targets != REQUESTED and not self.synthetic:
            raise CommandError(f"--synthetic_targets={self.synthetic_targets}: give --synthetic, or leave it out")
        if bool(self.unlabelled) != (self.semi_supervised != "none"):
            raise CommandError("--unlabelled and --semi_supervised go together: give both, or neither")
        if self.examples and (self.unlabelled or self.labelled_fraction < 1):
            raise CommandError("--examples: not with --unlabelled or --labelled_fraction; leave one out")
        if self.labelled_fraction < 1 and (self.synthetic or self.first_weights == GAN_WEIGHTS):
            raise CommandError(
                f"--labelled_fraction={self.labelled_fraction}: GANs learned from the labels that it hides; leave "
                "--synthetic and a discriminator's weights out"
            )
        if METADATA[self.metadata].fuse and self.synthetic and not self.metadata_for_synthetic:
            raise CommandError(
                f"--metadata={self.metadata}: synthetic images have none, by which they and their class could be told; "
                f"give --metadata_for_synthetic={DRAW} or {HIDE}"
            )

    @property
    def images_per_real_image(self) -> float:
        """How many images an epoch shows for each real one that has a label."""
        labelled = 1 - self.unlabelled_fraction if self.unlabelled else 1.0
        return 1 / labelled / (1 - self.synthetic_fraction if self.match == "real" else 1.0)

    @property
    def fold_numbers(self) -> tuple[int, ...]:
        """The folds to train."""
        return tuple(int(fold) for fold in self.folds) or tuple(range(self.num_folds))


@dataclass(frozen=True, kw_only=True)
class SyntheticSet:
    """Synthetic shards that a classifier was trained with, and what made them."""

    folder: str
    provenance: SyntheticProvenance


@dataclass(frozen=True, kw_only=True)
class Priors:
    """The fraction of each class in a training, by what each image counted, and among its real images alone."""

    trained: tuple[float, ...]
    real: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class ClassifierReport:
    """The report of train_classifier; of folds by their number, as text. Earlier versions lack `priors` and `twins`.

    `target` is the class that is positive, the last one where it is empty. `transductive` tells that images which are
    to be predicted, without their labels, were learned from. `ancestors` and `unlabelled` of a fold: see `SeenShards`;
    `twins`: see `count_twins`. `subgroups` are those of the validated images.
    """

    classes: tuple[str, ...]
    folds: tuple[int, ...]
    images: int
    metrics: dict[str, Interval] = stored("figures")
    best_epochs: dict[str, int]
    fold_auc: dict[str, float]
    shards: str
    shards_digest: str
    folds_fingerprint: str
    source_fingerprint: str = ""
    synthetic: dict[str, tuple[SyntheticSet, ...]]
    target: str = ""
    transductive: bool = False
    priors: dict[str, Priors] = field(default_factory=dict)
    ancestors: dict[str, tuple[ShardsUsed, ...]] = field(default_factory=dict)
    unlabelled: dict[str, tuple[ShardsUsed, ...]] = field(default_factory=dict)
    twins: dict[str, int] = field(default_factory=dict)
    subgroups: tuple[Subgroup, ...] = ()


@dataclass(frozen=True)
class ClassifierRun:
    """A completed run of train_classifier; `called` is what pages call it, by default the name of the folder."""

    folder: AnyPath
    config: TrainClassifierConfig
    report: ClassifierReport
    called: str = ""

    @property
    def name(self) -> str:
        """What pages call the run."""
        return self.called or self.folder.name

    @property
    def target(self) -> str:
        """The class that is positive in its submissions."""
        return self.report.target or self.report.classes[-1]

    @property
    def mean_auc(self) -> Interval:
        """The mean of the folds' areas under the ROC curve, by which classifiers are compared.

        Raises:
          DataError: if the run is of an earlier version, whose area was of all folds together.
        """
        if MEAN_AUC not in self.report.metrics:
            raise DataError(
                f"{self.folder}: its metrics are those of an earlier version; remove {COMPLETED_FILE} there and start "
                "the same train_classifier with --match=real again: it evaluates anew, and trains nothing"
            )
        return self.report.metrics[MEAN_AUC]

    def seen(self, fold: int, shards: Shards) -> SeenShards:
        """Returns which real shards the classifier of a fold was trained on, as far as some shards are of its folds.

        What it started from, and what it learned from without labels, is told in any case.
        """
        report = self.report
        is_of_same_folds = report.folds_fingerprint == shards.manifest.folds_fingerprint
        training = split_fold(shards.manifest, self.config.num_folds, fold)[0] if is_of_same_folds else ()
        return SeenShards(
            trained_on=ShardsUsed(
                source_fingerprint=report.source_fingerprint,
                shards_digest=report.shards_digest,
                folds_fingerprint=report.folds_fingerprint,
                shards=tuple(shard.file for shard in training),
                indices=tuple(shard.index for shard in training),
            ),
            ancestors=report.ancestors.get(str(fold), ()),
            unlabelled=report.unlabelled.get(str(fold), ()),
        )

    def load(self, fold: int) -> keras.Model:
        """Returns the network of a fold with its best weights; no code is read from the file."""
        make_backbone = read_backbone(self._weights(fold).parent) if self.config.gan else None
        model = build_classifier(replace(self.config, weights=NO_WEIGHTS), len(self.report.classes), make_backbone)
        with local_copy(self._weights(fold)) as weights:
            load_weights(model, weights)
        return model

    def predictor(self, fold: int) -> Predictor:
        """Returns what predicts as the run did out of fold, with the best weights of a fold."""
        return Predictor(self.load(fold), self.config.test_time_views, self.config.prediction_sizes)

    def sha256(self, fold: int) -> str:
        """Returns the SHA-256 of the best weights of a fold."""
        return file_sha256(self._weights(fold))

    def _weights(self, fold: int) -> AnyPath:
        return fold_folder(self.folder, fold) / BEST_WEIGHTS_FILE


def fold_folder(folder: AnyPath, fold: int) -> AnyPath:
    """Returns the folder of a fold in that of its run."""
    return folder / f"fold{fold}"


def needed_to_go_on(names: Sequence[str]) -> list[str]:
    """Returns which files of a run's folder a run that resumes needs.

    Of a fold that is done these are its predictions, and what its teacher thinks of synthetic images.
    """
    predictions = [name for name in names if name.endswith(f"/{PREDICTIONS_FILE}")]
    done = tuple(name.removesuffix(PREDICTIONS_FILE) for name in predictions)
    begun = [name for name in names if "/checkpoints/" in name or name.endswith(f"/{BEST_WEIGHTS_FILE}")]
    metrics = [name for name in names if name == METRICS_FILE]
    answers = [name for name in names if name.endswith(f"/{TEACHER_FILE}")]
    return [*metrics, *predictions, *answers, *(name for name in begun if not name.startswith(done))]


def open_classifier_run(path: str, field: str) -> ClassifierRun:
    """Returns a classifier run that a setting names.

    Raises:
      CommandError: if the run is not complete, or not of train_classifier.
    """
    return read_classifier_run(require_run(path, field, COMMAND))


def read_classifier_run(folder: AnyPath) -> ClassifierRun:
    """Returns the classifier run of a completed folder."""
    return ClassifierRun(folder, read_config(folder, TrainClassifierConfig), read_report(folder, ClassifierReport))
