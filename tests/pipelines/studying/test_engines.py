"""The jobs of a study: failed, shared with another study, on GPUs and on a Dask cluster."""

import shutil
import threading

import pandas as pd
import pytest

from pipelines.contract.workdir import is_completed
from pipelines.studying import engines, jobs
from tests.pipelines.study_runs import jobs_of, run_study
from tfrecords_tools.foundation.cores import num_cores
from tfrecords_tools.foundation.errors import CommandError
from tfrecords_tools.foundation.locking import FolderLock

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("fewer_metrics")]


def test_a_method_whose_job_fails_twice_is_named_and_the_study_tells_of_the_others(
    study_shards, finished_study, tmp_path, monkeypatch
):
    shutil.copytree(jobs_of(finished_study), tmp_path / "jobs")
    tried = []

    def fail(command, settings, **_):
        tried.append((command, settings["method"], settings["fold"]))
        raise CommandError("no")

    monkeypatch.setattr(jobs, "run_command", fail)
    monkeypatch.setattr(jobs, "PAUSE_SECONDS", 0)
    with pytest.raises(CommandError, match="cdragan, seed 0, fold 0") as refused:
        run_study(study_shards, tmp_path / "study", jobs_dir=str(tmp_path / "jobs"), methods=("gan", "cdragan"))
    assert "study.html" in str(refused.value)
    assert tried == [("train_gan", "cdragan", fold) for fold in (0, 0, 1, 1)]
    page = (tmp_path / "study" / "study.html").read_text()
    assert "Left out, because jobs of theirs failed: cdragan" in page
    assert not is_completed(tmp_path / "study")
    arms = pd.read_csv(tmp_path / "study" / "arms.csv")
    assert set(arms[arms["is_synthetic"]]["kind"]) == {"gan"}


def test_a_study_of_which_every_method_failed_says_why(study_shards, tmp_path, monkeypatch):
    def fail(command, settings, **_):
        raise CommandError("no")

    monkeypatch.setattr(jobs, "run_command", fail)
    monkeypatch.setattr(jobs, "PAUSE_SECONDS", 0)
    with pytest.raises(CommandError, match=r"gan, seed 0, fold 0.*\(no\)"):
        run_study(study_shards, tmp_path / "study")
    assert not (tmp_path / "study" / "study.html").exists()


def test_a_job_at_which_another_study_is_at_work_is_waited_for(study_shards, finished_study, tmp_path, monkeypatch):
    """The other holds a folder, and completes it."""
    shutil.copytree(jobs_of(finished_study), tmp_path / "jobs")
    held = tmp_path / "jobs" / "gan" / "seed0" / "fold1" / "evaluation_pixels"
    shutil.rmtree(held)
    held.mkdir()
    lock, waits = FolderLock(held), []

    def wait(seconds):
        waits.append(seconds)
        shutil.copytree(jobs_of(finished_study) / held.relative_to(tmp_path / "jobs"), held, dirs_exist_ok=True)
        lock.release()

    monkeypatch.setattr(engines.time, "sleep", wait)
    monkeypatch.setattr(jobs, "run_command", lambda *_, **__: pytest.fail("the other study does it"))
    found = run_study(study_shards, tmp_path / "study", jobs_dir=str(tmp_path / "jobs"))
    assert waits == [engines.WAIT_SECONDS]
    assert len(found.generators) == 2
    assert is_completed(tmp_path / "study")


def test_as_many_trainings_at_a_time_as_gpus_have_one_each_to_themselves(study_shards, tmp_path, monkeypatch):
    seen = {}

    def record(command, settings, environment, **_):
        seen.setdefault(environment["CUDA_VISIBLE_DEVICES"], []).append(settings["fold"])
        both.wait(timeout=20)
        raise CommandError("no")

    both = threading.Barrier(2)
    monkeypatch.setattr(jobs, "run_command", record)
    monkeypatch.setattr(jobs, "PAUSE_SECONDS", 0)
    with pytest.raises(CommandError):
        run_study(study_shards, tmp_path / "study", gpus=("4", "7"))
    assert {device: len(set(folds)) for device, folds in seen.items()} == {"4": 1, "7": 1}


@pytest.mark.parametrize(("given", "expected"), [(None, max(1, num_cores() // 2)), ("3", 3)])
def test_trainings_at_a_time_share_the_cores_unless_the_user_has_shared_them(
    study_shards, tmp_path, monkeypatch, given, expected
):
    seen = []

    def record(command, settings, environment, **_):
        seen.append(environment["OMP_NUM_THREADS"])
        raise CommandError("no")

    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if given:
        monkeypatch.setenv("OMP_NUM_THREADS", given)
    monkeypatch.setattr(jobs, "run_command", record)
    monkeypatch.setattr(jobs, "PAUSE_SECONDS", 0)
    with pytest.raises(CommandError):
        run_study(study_shards, tmp_path / "study", jobs=2)
    assert set(seen) == {str(expected)}


def test_jobs_run_on_a_dask_cluster(study_shards, finished_study, tmp_path):
    """An evaluation that is gone is made by a worker, in a process of its own."""
    shutil.copytree(jobs_of(finished_study), tmp_path / "jobs")
    gone = tmp_path / "jobs" / "gan" / "seed0" / "fold1" / "evaluation_pixels"
    shutil.rmtree(gone)
    run_study(study_shards, tmp_path / "study", jobs_dir=str(tmp_path / "jobs"), engine="dask")
    assert is_completed(gone)
