"""A study end to end, with generators that learn nothing; what its statistics say is tested in melgan/studies."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from pipelines import report, study
from pipelines.artefacts.study import AUC, SENSITIVITY, StudyConfig, StudyReport
from pipelines.contract.workdir import is_completed, read_report
from pipelines.studying import generator_jobs
from tests.pipelines.conftest import FOLDER, PHANTOM, draw_folder, only_error, succeed
from tfrecords_tools.foundation.errors import CommandError, ConfigError, UserError

pytestmark = pytest.mark.slow

SETTINGS = {
    "methods": ("gan",),
    "ratios": ("0.5", "1"),
    "num_folds": 2,
    "seeds": 2,
    "features": "pixels",
    "passes": 3,
    "resamples": 100,
    "gan_settings": (
        *("image_size=32", "width=0.02", "global_batch_size=8", "total_steps=2", "disc_steps=1"),
        *("checkpoint_every=2", "log_every=2", "autoencoder_epochs=0"),
    ),
}


@pytest.fixture(scope="module")
def shards(tmp_path_factory, launch) -> Path:
    """Enough images that every fold has some of the rare class."""
    root = tmp_path_factory.mktemp("shards")
    settings = {**PHANTOM, "num_images": 420}
    succeed(launch("make_shards", input=root / "images", output=root / "shards", **settings))
    return root / "shards"


def run(shards: Path, workdir: Path, **settings: object) -> StudyReport:
    study.run(StudyConfig(shards=str(shards), workdir=str(workdir), **{**SETTINGS, **settings}))
    return read_report(workdir, StudyReport)


@pytest.fixture(scope="module")
def finished(shards: Path, tmp_path_factory) -> Path:
    workdir = tmp_path_factory.mktemp("study") / "first"
    run(shards, workdir)
    return workdir


@pytest.fixture
def commands(monkeypatch):
    """The commands that are started, by name and folder; none is."""
    started = []

    def record(command, settings, log):
        started.append((command, str(settings.get("output", settings.get("workdir")))))

    monkeypatch.setattr(generator_jobs, "run_command", record)
    return started


def test_the_tables_are_those_of_the_scores(finished):
    scores, arms = pd.read_csv(finished / "scores.csv"), pd.read_csv(finished / "arms.csv").set_index("name")
    for arm, seeds in (("none", (0, 1)), ("gan 1", (0, 1)), ("more real", (0, 1))):
        areas = [
            roc_auc_score(own["positive"], own[f"{arm}, generator 0, seed {seed}"])
            for seed in seeds
            for _, own in scores.groupby("fold")
        ]
        assert arms.loc[arm, "auc"] == pytest.approx(np.mean(areas), abs=1e-6)
    differences = pd.read_csv(finished / "differences.csv").set_index(["arm", "metric"])
    expected = arms.loc["gan 1", "auc"] - arms.loc["none", "auc"]
    assert differences.loc[("gan 1", AUC), "value"] == pytest.approx(expected, abs=1e-6)
    assert set(differences.index.get_level_values("metric")) == {AUC, SENSITIVITY}


def test_equal_arms_of_equal_seeds_have_equal_scores_and_other_seeds_others(finished):
    scores = pd.read_csv(finished / "scores.csv")
    assert scores["more real, generator 0, seed 0"].equals(scores["none, generator 0, seed 0"])
    assert not scores["none, other seeds, generator 0, seed 0"].equals(scores["none, generator 0, seed 0"])
    assert not scores.isna().any(axis=None)


def test_the_page_begins_with_the_verdict_and_has_every_arm_and_generator(finished):
    page, found = (finished / "study.html").read_text(), read_report(finished, StudyReport)
    text = re.sub("<[^>]+>", " ", page[page.index("<section") :])
    assert re.match(r"\s*Result\s+(Synthetic images of|Whether|They)", text)
    assert all(arm.name in text for arm in found.arms)
    assert len(found.generators) == 2
    assert text.index("Result") < text.index("Differences") < text.index("Generators")
    assert "cannot be said" in text  # one generator a fold
    assert "http" not in page.replace("http://www.w3.org", "")


def test_the_verdict_is_a_section_of_a_report(finished, tmp_path):
    report.run(report.ReportConfig(runs=(str(finished),), output=str(tmp_path / "report")))
    page = (tmp_path / "report" / "report.html").read_text()
    assert "Study: first" in page
    assert "gan 0.5" in page


def test_every_fold_has_a_generator_that_did_not_see_it_and_images_for_the_largest_ratio(finished):
    for generator in read_report(finished, StudyReport).generators:
        folder = finished / "jobs" / "gan" / "seed0" / f"fold{generator.fold}"
        assert json.loads((folder / "gan" / "config.json").read_text())["fold"] == generator.fold
        assert (folder / f"synthetic{generator.images}").is_dir()
        assert (folder / "evaluation" / "metrics.csv").is_file()


def test_another_study_shares_generators_and_trains_none(shards, finished, tmp_path, commands):
    second = run(shards, tmp_path / "second", seeds=3, jobs_dir=str(finished / "jobs"))
    assert commands == []
    assert {arm.runs for arm in second.arms} == {3}
    first, second = (pd.read_csv(folder / "scores.csv") for folder in (finished, tmp_path / "second"))
    same = "gan 0.5, generator 0, seed 1"
    np.testing.assert_array_equal(first[same], second[same])


def test_a_study_that_ended_anywhere_does_what_is_left(shards, finished, tmp_path, commands):
    shutil.copytree(finished / "jobs", tmp_path / "jobs")
    shutil.rmtree(tmp_path / "jobs" / "gan" / "seed0" / "fold1" / "evaluation")
    with pytest.raises(UserError, match="evaluation"):  # it was not made: commands are recorded only
        run(shards, tmp_path / "second", jobs_dir=str(tmp_path / "jobs"))
    assert {folder.split("fold")[1].split("/")[0] for _, folder in commands} == {"1"}
    assert [command for command, _ in commands] == ["train_gan", "synthesize", "evaluate_gan"]  # each resumes


def test_an_edited_job_is_refused_by_its_name(shards, finished, tmp_path, commands):
    shutil.copytree(finished / "jobs", tmp_path / "jobs")
    (edited,) = (tmp_path / "jobs" / "gan" / "seed0" / "fold1").glob("synthetic*/report.json")
    edited.write_text(edited.read_text().replace('"rejected_copies"', '"rejected_copies" '))
    with pytest.raises(UserError, match="fold1/synthetic"):
        run(shards, tmp_path / "second", jobs_dir=str(tmp_path / "jobs"))
    assert not is_completed(tmp_path / "second")


def test_images_of_a_generator_that_saw_the_fold_are_refused(shards, finished, tmp_path, commands):
    jobs = tmp_path / "jobs" / "gan" / "seed0"
    shutil.copytree(finished / "jobs", tmp_path / "jobs")
    (jobs / "fold0").rename(jobs / "fold")
    (jobs / "fold1").rename(jobs / "fold0")
    (jobs / "fold").rename(jobs / "fold1")
    for fold in (jobs / "fold0", jobs / "fold1"):  # both have the images that the study asks for
        (made,) = fold.glob("synthetic*")
        made.rename(fold / next((finished / "jobs" / "gan" / "seed0" / fold.name).glob("synthetic*")).name)
    with pytest.raises(CommandError, match="leaks|holds out"):
        run(shards, tmp_path / "second", jobs_dir=str(tmp_path / "jobs"))


def test_a_job_that_fails_is_tried_twice_and_named_and_the_others_go_on(shards, tmp_path, monkeypatch):
    tried = []

    def fail(command, settings, log):
        tried.append((command, settings.get("fold")))
        if settings.get("fold") == 0:
            raise CommandError("no")

    monkeypatch.setattr(generator_jobs, "run_command", fail)
    with pytest.raises(CommandError, match="gan, seed 0, fold 0") as refused:
        run(shards, tmp_path / "study")
    assert "fold 1" not in str(refused.value)
    assert tried.count(("train_gan", 0)) == 2
    assert tried[-3:] == [("train_gan", 1), ("synthesize", None), ("evaluate_gan", None)]


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"label": "mole"}, "mole.*benign, malignant"),
        ({"num_folds": 6}, "malignant.*num_folds"),
        ({"gan_settings": ("colour=red",)}, "colour"),
        ({"gan_settings": ("fold=1",)}, "fold"),
        ({"gan_settings": ("total_steps=0",)}, "total_steps is 0"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is_written(shards, tmp_path, commands, settings, named):
    with pytest.raises(UserError, match=named):
        run(shards, tmp_path / "study", **settings)
    assert commands == []
    assert not (tmp_path / "study").exists()


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"ratios": ("a",)}, "ratios"),
        ({"ratios": ("1", "1.0")}, "ratios"),
        ({"ratios": ("-1",)}, "ratios"),
        ({"ratios": ()}, "ratios"),
        ({"methods": ("gan", "gan")}, "methods"),
        ({"methods": ("dall_e",)}, "methods"),
        ({"num_folds": 1}, "num_folds"),
        ({"specificity": 1.0}, "specificity"),
        ({"gan_settings": ("width",)}, "gan_settings"),
    ],
)
def test_settings_that_are_none_are_refused(settings, named):
    with pytest.raises(ConfigError, match=named):
        StudyConfig(shards="a", workdir="b", **settings)


def test_the_plan_tells_jobs_and_power_and_writes_nothing(shards, tmp_path, launch):
    flags = {name: ",".join(value) if isinstance(value, tuple) else value for name, value in SETTINGS.items()}
    result = launch("study", shards=shards, workdir=tmp_path / "study", plan="true", **flags)
    succeed(result)
    assert "gan, seed 0, fold 1" in result.stdout
    assert "classifiers: 52" in result.stdout  # (5 controls + 3 x 2 + 2) arms, 2 seeds, 2 folds
    assert re.search(r"power of 80 %: 0\.\d+", result.stdout)
    assert not (tmp_path / "study").exists()


def test_a_user_gets_one_line(tmp_path, launch):
    draw_folder(tmp_path / "images")
    succeed(launch("make_shards", input=tmp_path / "images", output=tmp_path / "shards", **FOLDER))
    result = launch("study", shards=tmp_path / "shards", workdir=tmp_path / "study", num_folds=4, features="pixels")
    assert "fold 0" in only_error(result)
