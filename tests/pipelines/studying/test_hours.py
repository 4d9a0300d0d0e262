"""How long a study takes, told before it runs, and kept within."""

import json
import re

import pytest

from melgan.metrics.extractors import pixels
from pipelines import evaluate_gan, study, synthesize, train_gan
from pipelines.artefacts.feature_store import FeatureStore
from pipelines.artefacts.speed import seconds_per_step
from pipelines.artefacts.study import StudyConfig
from pipelines.contract.progress import format_seconds
from pipelines.contract.workdir import read_facts
from pipelines.studying import jobs
from pipelines.studying.budget import fit
from pipelines.studying.design import open_design
from pipelines.studying.pilot import Costs, measure
from pipelines.studying.real_images import real_images
from tests.pipelines.study_runs import SETTINGS, jobs_of, run_study
from tfrecords_tools.foundation.errors import CommandError

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("fewer_metrics")]


def test_the_plan_tells_jobs_hours_and_power_and_begins_nothing(study_shards, finished_study, tmp_path, capsys):
    """Generators that are complete tell how long others take."""
    settings = {**SETTINGS, "generator_seeds": 2, "jobs_dir": str(jobs_of(finished_study)), "plan": True}
    study.run(StudyConfig(shards=str(study_shards), workdir=str(tmp_path / "study"), **settings))
    printed = capsys.readouterr().out
    assert re.search(r"gan, seed 0, fold 1, \d+ images: complete", printed)
    assert re.search(r"gan, seed 1, fold 1, \d+ images: train_gan, synthesize, evaluate_gan", printed)
    assert "generators: 4, of which 2 are complete" in printed
    assert "classifiers: 56" in printed  # (4 controls of their own + 3 x 2 + 2 x 2) arms, 2 seeds, 2 folds
    assert re.search(r"power of 80 %: 0\.\d+", printed)
    folder = jobs_of(finished_study) / "gan" / "seed0" / "fold0"
    commands = [folder / "gan", *folder.glob("synthetic*"), folder / "evaluation_pixels"]
    seconds = sum(json.loads((each / "report.json").read_text())["seconds"] for each in commands)
    assert f"{format_seconds(seconds)} for a generator of gan" in printed
    assert re.search(r"time left: \d", printed)
    assert not (tmp_path / "study").exists()


def test_short_jobs_tell_how_long_long_ones_take(study_shards, tmp_path, monkeypatch):
    """The commands run in this process."""
    modules = {"train_gan": train_gan, "synthesize": synthesize, "evaluate_gan": evaluate_gan}

    def run_here(command, settings, **_):
        modules[command].run(jobs.Command(command, settings, "gan_settings").config)

    monkeypatch.setattr(jobs, "run_command", run_here)
    long = tuple("total_steps=100000" if each == "total_steps=2" else each for each in SETTINGS["gan_settings"])
    config = StudyConfig(
        shards=str(study_shards),
        workdir=str(tmp_path / "study"),
        **{**SETTINGS, "gan_settings": long, "budget_hours": 0.001},
    )
    design = open_design(config)
    images = real_images(design.shards, 2, 1)
    costs = measure(design, images, FeatureStore(tmp_path / "features", pixels("")))
    (folder,) = (tmp_path / "study_jobs" / "pilot").iterdir()
    assert json.loads((folder / "gan" / "report.json").read_text())["steps"] == 20
    rate = seconds_per_step(folder / "gan", "gan")
    short = sum(read_facts(each).seconds for each in (folder / "gan", folder / "synthetic", folder / "evaluation"))
    assert costs.generators["gan"] == pytest.approx(short + (100000 - 20) * rate)
    assert 0 < costs.classifier < 10
    with pytest.raises(CommandError, match="budget_hours=0.001"):
        fit(design, images, costs)


def test_a_study_keeps_within_its_hours_and_says_what_it_left_out(study_shards, finished_study, tmp_path, monkeypatch):
    """Two generators more would take 2 hours; they are not made, and the study resumes with the same design."""
    monkeypatch.setattr(study, "measure", lambda *_: Costs({"gan": 3600.0}, 0.01))
    workdir, settings = tmp_path / "study", {"generator_seeds": 2, "jobs_dir": str(jobs_of(finished_study))}
    found = run_study(study_shards, workdir, budget_hours=1.5, **settings)
    assert found.cut == ("generator_seeds: 1 of 2",)
    assert len(found.generators) == 2
    assert "generator_seeds: 1 of 2" in (workdir / "study.html").read_text()
    (workdir / "COMPLETED").unlink()
    monkeypatch.setattr(study, "measure", lambda *_: pytest.fail("it was begun with a design"))
    assert run_study(study_shards, workdir, budget_hours=1.5, **settings).cut == found.cut
