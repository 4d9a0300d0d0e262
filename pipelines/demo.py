"""The whole line on the embedded data set: shards, GAN, synthetic shards, judgement, classifiers, submission, report.

    python -m pipelines.demo --workdir=runs/demo

Every stage runs as the command that is printed before it, in a process of its own. Killed and started again, the
demo goes on where it stopped. The images are drawn, not photographed: the figures show that the line works, nothing
about patients.
"""

import shlex
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from absl import logging

from pipelines.contract.main import main
from pipelines.contract.progress import format_seconds
from pipelines.contract.workdir import read_run
from tfrecords_tools.foundation.errors import CommandError
from tfrecords_tools.foundation.settings import setting

_NUM_FOLDS = 3
# Stage -> settings; WORKDIR stands for the demo's folder. The GAN never sees fold 0, by which it is judged and on which
# classifiers are compared.
_CLASSIFIER = {
    "shards": "WORKDIR/shards",
    "backbone": "small_cnn",
    "image_size": 64,
    "num_folds": _NUM_FOLDS,
    "folds": 0,
    "epochs": 15,
}
STAGES: tuple[tuple[str, dict], ...] = (
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
            "width": 0.25,
            "global_batch_size": 32,
            "total_steps": 300,
            "checkpoint_every": 100,
            "log_every": 20,
        },
    ),
    ("synthesize", {"gan": "WORKDIR/gan", "output": "WORKDIR/synthetic", "label": "malignant", "count": 300}),
    ("train_classifier", {**_CLASSIFIER, "workdir": "WORKDIR/real_only"}),
    (
        "evaluate_gan",
        {
            "gan": "WORKDIR/gan",
            "shards": "WORKDIR/shards",
            "output": "WORKDIR/judged",
            "features": "classifier:WORKDIR/real_only",
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
        "report",
        {
            "runs": ",".join(
                f"WORKDIR/{name}"
                for name in ("shards", "gan", "synthetic", "judged", "real_only", "with_synthetic", "submission")
            ),
            "output": "WORKDIR/report",
            "title": "melgan demo: drawn lesions",
        },
    ),
)


@dataclass(frozen=True, kw_only=True)
class DemoConfig:
    """Settings of demo."""

    workdir: str = setting("runs/demo", "folder of everything that the demo writes")


def run(config: DemoConfig) -> None:
    """Runs the stages one after the other."""
    workdir, started = Path(config.workdir), time.monotonic()
    workdir.mkdir(parents=True, exist_ok=True)
    for number, (name, settings) in enumerate(STAGES, start=1):
        flags = [f"--{key}={str(value).replace('WORKDIR', str(workdir))}" for key, value in settings.items()]
        logging.info("[%d/%d] python -m pipelines.%s %s", number, len(STAGES), name, shlex.join(flags))
        code = subprocess.run([sys.executable, "-m", f"pipelines.{name}", *flags], check=False).returncode
        if code:
            raise CommandError(f"stage {name} ended with exit code {code}; its message stands above")
    _print_summary(workdir, time.monotonic() - started)


def _print_summary(workdir: Path, seconds: float) -> None:
    for name in ("real_only", "with_synthetic"):
        auc = read_run(workdir / name)[1]["figures"]["auc"]
        print(f"{name:>15}: AUC {auc['value']:.3f} (95 % interval {auc['low']:.3f} to {auc['high']:.3f})")
    for comparison in read_run(workdir / "report")[1]["comparisons"]:
        figures = "AUC {value:+.3f} (95 % interval {low:+.3f} to {high:+.3f})".format(**comparison)
        print(f"     difference: {figures} on {comparison['images']} drawn images")
    print(f"     submission: {(workdir / 'submission' / 'submission.csv').resolve()}")
    print(f"         report: {(workdir / 'report' / 'report.html').resolve()}")
    print(f"          total: {format_seconds(seconds)}")


if __name__ == "__main__":
    main(DemoConfig, run)
