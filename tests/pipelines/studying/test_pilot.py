"""Short jobs, which tell how long those of a study take."""

from types import SimpleNamespace

import pytest

from melgan.gans.combinations import require_trainable
from melgan.gans.methods import METHODS
from pipelines.artefacts.study import StudyConfig
from pipelines.studying import pilot
from pipelines.studying.generator_jobs import job_of
from pipelines.studying.generator_kinds import kind_of
from pipelines.studying.planned_generator import PlannedGenerator

COUNTS = (400, 30)


def planned(tmp_path, method: str, *gan_settings: str):
    config = StudyConfig(shards="shards", workdir=str(tmp_path / "study"), methods=(method,), gan_settings=gan_settings)
    generator = PlannedGenerator(
        method=method,
        seed=0,
        fold=0,
        num_folds=5,
        label="malignant",
        count=30,
        class_counts=COUNTS,
        gan=tmp_path / method / "gan",
        folder=tmp_path / method,
        features="lite0",
        image_size=32,
        quality=95,
    )
    return job_of(config, generator)


@pytest.mark.parametrize("method", METHODS)
def test_a_short_training_of_every_method_is_possible_and_short(method, tmp_path):
    """Also of those whose phases last for more passes over the images than it makes."""
    job = planned(tmp_path, method, "total_steps=1000000")
    short = pilot._short_generator(job, kind_of(method), tmp_path / "pilot")
    asked, taken = job.commands[0].config, short.commands[0].config
    require_trainable(taken, COUNTS, taken.total_steps)
    assert (asked.total_steps, taken.total_steps) == (1_000_000, 20)
    assert taken.autoencoder_epochs <= 1
    same = ("method", "width", "global_batch_size", "disc_steps", "architecture", "penalty", "image_size")
    assert [getattr(taken, name) for name in same] == [getattr(asked, name) for name in same]
    folders = {command.folder.parent for command in short.commands}
    assert folders == {tmp_path / "pilot"}


def test_short_jobs_of_other_settings_or_shards_have_folders_of_their_own(tmp_path, monkeypatch):
    config = StudyConfig(shards="shards", workdir=str(tmp_path / "study"))
    design = SimpleNamespace(config=config, shards=SimpleNamespace(folder="shards"))
    monkeypatch.setattr(pilot, "digest", lambda folder: "of these")
    narrow, wide = (planned(tmp_path, "gan", f"width={width}") for width in (0.1, 0.2))
    folders = {pilot._folder_of(design, job) for job in (narrow, wide, planned(tmp_path, "gan", "width=0.1"))}
    assert len(folders) == 2
    monkeypatch.setattr(pilot, "digest", lambda folder: "of others")
    assert pilot._folder_of(design, narrow) not in folders


def test_a_training_that_is_too_short_for_its_method_is_refused_before_anything_runs(tmp_path):
    with pytest.raises(ValueError, match="conditional_until_epochs"):
        planned(tmp_path, "transitional", "total_steps=100")
