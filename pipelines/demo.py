"""The whole line on the embedded data set: shards, GAN, synthetic images, evaluation, classifiers, submission, study.

    python -m pipelines.demo --workdir=runs/demo

Every command is printed, then run in a process of its own. Killed and started again, the demo resumes where it
stopped, and a report comes last. The images are drawn, not photographed: the metrics show that the line works, nothing
about patients. With --quick it does next to no work, and shows that all of it is installed.
"""

import pipelines.contract.quiet_tensorflow  # noqa: F401

import shlex
import time
from dataclasses import dataclass
from pathlib import Path

from absl import logging

from melgan.metrics.intervals import Interval
from melgan.pretrained.efficientnet_lite import LITE0, is_installed
from pipelines.artefacts import study
from pipelines.artefacts.classifier_run import read_classifier_run
from pipelines.artefacts.comparisons import ReportReport
from pipelines.artefacts.study import StudyReport
from pipelines.artefacts.submission import SUBMISSION_FILE
from pipelines.contract.flags import as_flags
from pipelines.contract.launching import run_command
from pipelines.contract.main import main
from pipelines.contract.progress import format_seconds
from pipelines.contract.workdir import read_report
from pipelines.pages.study_section import verdict
from tfrecords_tools.foundation.settings import Settings, setting

_NUM_FOLDS = 3
_FALLBACK = "pixels"  # features that need no package
# Command -> settings; WORKDIR stands for the demo's folder. The GAN never sees fold 0, by which it is evaluated and on
# which classifiers are compared.
_CLASSIFIER = {
    "shards": "WORKDIR/shards",
    "backbone": "small_cnn",
    "image_size": 64,
    "num_folds": _NUM_FOLDS,
    "folds": 0,
    "epochs": 15,
}
# A generator that learns within a minute of a laptop: every class as often as the others, in the labels and in the
# images, the class beside the latents, images enlarged without a checkerboard, and large steps.
_METHOD = "cdragan"
_GAN = {
    "label_sampling": "balanced",
    "batch_sampling": "balanced",
    "conditioning": "concatenated",
    "upsampling": "resize",
    "width": 0.125,
    "global_batch_size": 16,
    "learning_rate": 8e-4,
    "ema_decay": 0.98,
}
_REPORTED = ("shards", "gan", "synthetic", "evaluation", "real_only", "with_synthetic", "submission", "study")
COMMANDS: tuple[tuple[str, dict], ...] = (
    (
        "make_shards",
        {
            "source": "phantom",
            "input": "WORKDIR/images",
            "output": "WORKDIR/shards",
            "image_size": 64,
            "num_images": 2000,
        },
    ),
    (
        "train_gan",
        {
            "shards": "WORKDIR/shards",
            "workdir": "WORKDIR/gan",
            "num_folds": _NUM_FOLDS,
            "fold": 0,
            "image_size": 64,
            "method": _METHOD,
            "total_steps": 800,
            "checkpoint_every": 400,
            "log_every": 40,
            **_GAN,
        },
    ),
    ("synthesize", {"gan": "WORKDIR/gan", "output": "WORKDIR/synthetic", "label": "malignant", "count": 300}),
    ("train_classifier", {**_CLASSIFIER, "workdir": "WORKDIR/real_only"}),
    (
        "evaluate_gan",
        {
            "gan": "WORKDIR/gan",
            "shards": "WORKDIR/shards",
            "output": "WORKDIR/evaluation",
            "features": "classifier:WORKDIR/real_only",
            "most_per_class": 200,
        },
    ),
    (
        "train_classifier",
        {
            **_CLASSIFIER,
            "workdir": "WORKDIR/with_synthetic",
            "synthetic": "WORKDIR/synthetic",
            "synthetic_fraction": 0.1,
        },
    ),
    ("make_submission", {"runs": "WORKDIR/real_only,WORKDIR/with_synthetic", "output": "WORKDIR/submission"}),
    (
        "study",
        {
            "shards": "WORKDIR/shards",
            "workdir": "WORKDIR/study",
            "methods": _METHOD,
            "num_folds": 2,
            "ratios": "0.5,1",
            "gan_settings": ",".join(f"{name}={value}" for name, value in {**_GAN, "total_steps": 150}.items()),
            "evaluation_settings": "most_per_class=100",
            "jobs": 2,
        },
    ),
    (
        "report",
        {
            "runs": ",".join(f"WORKDIR/{name}" for name in _REPORTED),
            "output": "WORKDIR/report",
            "title": "melgan demo: drawn lesions",
        },
    ),
)
# Command -> settings of a quick demo, in the place of those above.
_QUICK: dict[str, dict] = {
    "make_shards": {"image_size": 32, "num_images": 420},
    "train_gan": {
        "image_size": 32,
        "width": 0.05,
        "global_batch_size": 8,
        "total_steps": 4,
        "checkpoint_every": 4,
        "log_every": 2,
    },
    "synthesize": {"count": 20},
    "train_classifier": {"image_size": 32, "epochs": 1},
    "study": {"gan_settings": "width=0.02,global_batch_size=8,total_steps=2", "passes": 2},
}


@dataclass(frozen=True, kw_only=True)
class DemoConfig(Settings):
    """Settings of demo."""

    workdir: str = setting("runs/demo", "folder of everything that the demo writes")
    quick: bool = setting(False, "next to no work: shows that everything is installed, and learns nothing")


def run(config: DemoConfig) -> None:
    """Runs the commands one after the other."""
    workdir, started = Path(config.workdir), time.monotonic()
    workdir.mkdir(parents=True, exist_ok=True)
    for number, (command, settings) in enumerate(COMMANDS, start=1):
        settings = settings | (_QUICK.get(command, {}) if config.quick else {}) | _features_of(command)
        own = {name: str(value).replace("WORKDIR", str(workdir)) for name, value in settings.items()}
        line = shlex.join(as_flags(own))
        logging.info("[%d/%d] python -m pipelines.%s %s", number, len(COMMANDS), command, line)
        run_command(command, own)
    _print_summary(workdir, time.monotonic() - started)


def _features_of(command: str) -> dict[str, str]:
    """Returns the features of a study, where its own need a package that is not installed."""
    if command != study.COMMAND or is_installed(LITE0):
        return {}
    logging.warning("without the extra `pretrained` the study learns from %s, which tell little", _FALLBACK)
    return {"features": _FALLBACK}


def _print_summary(workdir: Path, seconds: float) -> None:
    for name in ("real_only", "with_synthetic"):
        print(f"{name:>15}: AUC {_interval(read_classifier_run(workdir / name).mean_auc)}")
    for comparison in read_report(workdir / "report", ReportReport).comparisons:
        difference = _interval(comparison.interval, sign="+")
        print(f"     difference: AUC {difference} on {comparison.images} images of drawn lesions")
    print(f"          study: {verdict(read_report(workdir / 'study', StudyReport))}")
    print(f"     submission: {(workdir / 'submission' / SUBMISSION_FILE).resolve()}")
    print(f"          total: {format_seconds(seconds)}")
    print(f"Open in a browser: {(workdir / 'report' / 'report.html').resolve()}")


def _interval(interval: Interval, sign: str = "") -> str:
    value, low, high = (f"{number:{sign}.3f}" for number in (interval.value, interval.low, interval.high))
    return f"{value} (95 % interval {low} to {high})"


if __name__ == "__main__":
    main(DemoConfig, run)
