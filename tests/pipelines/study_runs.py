"""A small study, whose generators learn nothing, for the tests of all that a study does."""

from pathlib import Path

from pipelines import study
from pipelines.artefacts.study import StudyConfig, StudyReport
from pipelines.contract.workdir import read_report

SETTINGS = {
    "methods": ("gan",),
    "ratios": ("0.5", "1"),
    "num_folds": 2,
    "seeds": 2,
    "features": "pixels",
    "passes": 3,
    "resamples": 100,
    "evaluation_settings": ("images_per_class=6",),
    "gan_settings": (
        *("width=0.02", "global_batch_size=8", "total_steps=2", "disc_steps=1"),
        *("checkpoint_every=2", "log_every=2", "autoencoder_epochs=0"),
    ),
}


def run_study(shards: Path, workdir: Path, **settings: object) -> StudyReport:
    study.run(StudyConfig(shards=str(shards), workdir=str(workdir), **{**SETTINGS, **settings}))
    return read_report(workdir, StudyReport)


def jobs_of(workdir: Path) -> Path:
    return workdir.with_name(f"{workdir.name}_jobs")
