"""A study end to end, with generators that learn nothing; what its statistics say is tested in melgan/studies."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from melgan.metrics.extractors import pixels
from pipelines import report, study
from pipelines.artefacts.feature_store import FeatureStore
from pipelines.artefacts.shards import open_shards
from pipelines.artefacts.study import AUC, SENSITIVITY, StudyConfig, StudyReport
from pipelines.contract.workdir import is_completed, read_report
from pipelines.studying import generator_jobs
from pipelines.studying.fold_features import fold_features, real_images
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
        *("width=0.02", "global_batch_size=8", "total_steps=2", "disc_steps=1"),
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


@pytest.fixture(scope="module", autouse=True)
def fewer_metrics():
    """The accuracy scores are logistic regressions, which take minutes on pixels."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(generator_jobs, "METRICS", "kid,prdc")
        yield


def run(shards: Path, workdir: Path, **settings: object) -> StudyReport:
    study.run(StudyConfig(shards=str(shards), workdir=str(workdir), **{**SETTINGS, **settings}))
    return read_report(workdir, StudyReport)


@pytest.fixture(scope="module")
def finished(shards: Path, tmp_path_factory) -> Path:
    workdir = tmp_path_factory.mktemp("study") / "first"
    run(shards, workdir)
    return workdir


def jobs_of(workdir: Path) -> Path:
    return workdir.with_name(f"{workdir.name}_jobs")


@pytest.fixture
def commands(monkeypatch):
    """The commands that are started, by name and folder; none is."""
    started = []

    def record(command, settings, log, stop):
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
    differences = pd.read_csv(finished / "differences.csv").set_index(["arm", "baseline", "metric"])
    expected = arms.loc["gan 1", "auc"] - arms.loc["none", "auc"]
    assert differences.loc[("gan 1", "none", AUC), "value"] == pytest.approx(expected, abs=1e-6)
    expected = arms.loc["gan 1", "auc"] - arms.loc["oversampled 1", "auc"]
    assert differences.loc[("gan 1", "oversampled 1", AUC), "value"] == pytest.approx(expected, abs=1e-6)
    assert set(differences.index.get_level_values("metric")) == {AUC, SENSITIVITY}


def test_equal_arms_of_equal_seeds_have_equal_scores_and_other_seeds_others(finished):
    scores = pd.read_csv(finished / "scores.csv")
    assert scores["more real, generator 0, seed 0"].equals(scores["none, generator 0, seed 0"])
    assert not scores["none, other seeds, generator 0, seed 2"].equals(scores["none, generator 0, seed 0"])
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


def test_variances_are_told_by_source_and_a_paper_gets_a_table_and_a_paragraph(finished):
    variances, scores = pd.read_csv(finished / "variance.csv"), pd.read_csv(finished / "scores.csv")
    assert set(variances["source"]) == {"patients", "generator seed", "classifier seed", "fold"}
    own = variances[
        (variances["arm"] == "gan 1") & (variances["baseline"] == "none") & (variances["metric"] == AUC)
    ].set_index("source")
    of_folds = [
        np.mean([roc_auc_score(part["positive"], part[f"{arm}, generator 0, seed {seed}"]) for seed in (0, 1)])
        for arm in ("gan 1", "none")
        for _, part in scores.groupby("fold")
    ]
    differences = np.subtract(of_folds[:2], of_folds[2:])
    assert own.loc["fold", "standard_deviation_of_one"] == pytest.approx(differences.std(ddof=1), abs=1e-6)
    table = (finished / "differences.tex").read_text()
    assert table.startswith(r"\begin{tabular}")
    assert (
        table.count(r"\\") == 1 + 11 + 2
    )  # a header, every arm but two baselines, and synthetic ones by repeated images
    paragraph = (finished / "methods.txt").read_text()
    assert "ratios of 0.5, 1" in paragraph
    assert "tensorflow 2" in paragraph


def test_the_verdict_is_a_section_of_a_report(finished, tmp_path):
    report.run(report.ReportConfig(runs=(str(finished),), output=str(tmp_path / "report")))
    page = (tmp_path / "report" / "report.html").read_text()
    assert "Study: first" in page
    assert "gan 0.5" in page


def test_every_fold_has_a_generator_that_did_not_see_it_and_images_for_the_largest_ratio(finished):
    for generator in read_report(finished, StudyReport).generators:
        folder = jobs_of(finished) / "gan" / "seed0" / f"fold{generator.fold}"
        assert json.loads((folder / "gan" / "config.json").read_text())["fold"] == generator.fold
        assert (folder / f"synthetic_malignant_{generator.images}").is_dir()
        assert (folder / "evaluation_pixels" / "metrics.csv").is_file()


def test_another_study_shares_generators_and_trains_none(shards, finished, tmp_path, commands):
    second = run(shards, tmp_path / "second", seeds=3, jobs_dir=str(jobs_of(finished)))
    assert commands == []
    assert {arm.runs for arm in second.arms} == {3}
    first, second = (pd.read_csv(folder / "scores.csv") for folder in (finished, tmp_path / "second"))
    same = "gan 0.5, generator 0, seed 1"
    np.testing.assert_array_equal(first[same], second[same])


def test_a_study_that_ended_anywhere_does_what_is_left(shards, finished, tmp_path, commands):
    shutil.copytree(jobs_of(finished), tmp_path / "jobs")
    shutil.rmtree(tmp_path / "jobs" / "gan" / "seed0" / "fold1" / "evaluation_pixels")
    with pytest.raises(UserError, match="evaluation"):  # it was not made: commands are recorded only
        run(shards, tmp_path / "second", jobs_dir=str(tmp_path / "jobs"))
    assert {folder.split("fold")[1].split("/")[0] for _, folder in commands} == {"1"}
    assert [command for command, _ in commands] == ["evaluate_gan"]


def test_an_edited_job_is_refused_by_its_name(shards, finished, tmp_path, commands):
    shutil.copytree(jobs_of(finished), tmp_path / "jobs")
    (edited,) = (tmp_path / "jobs" / "gan" / "seed0" / "fold1").glob("synthetic*/report.json")
    edited.write_text(edited.read_text().replace('"rejected_copies"', '"rejected_copies" '))
    with pytest.raises(UserError, match="fold1/(gan|synthetic)"):
        run(shards, tmp_path / "second", jobs_dir=str(tmp_path / "jobs"))
    assert not is_completed(tmp_path / "second")


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [("width=0.02", "width=0.03", "width"), ("total_steps=2", "total_steps=4", "total_steps=2")],
)
def test_generators_of_other_settings_are_refused(shards, finished, tmp_path, commands, old, new, named):
    others = tuple(new if each == old else each for each in SETTINGS["gan_settings"])
    with pytest.raises(CommandError, match=named):
        run(shards, tmp_path / "second", jobs_dir=str(jobs_of(finished)), gan_settings=others)
    assert commands == []


def test_images_of_a_generator_that_saw_the_fold_are_refused(shards, finished, tmp_path):
    config = StudyConfig(shards=str(shards), workdir=str(finished), **SETTINGS)
    opened = open_shards(str(shards), "shards")
    store = FeatureStore(tmp_path / "features", pixels(""))
    real = real_images(opened, config.num_folds, 1, store)
    of_fold_0, of_fold_1 = generator_jobs.plan_generators(config, opened, 1)
    found = fold_features(real, 0, opened, [of_fold_0], store, config)
    assert found.synthetic["gan", 0].shape == (of_fold_0.count, 3072)
    np.testing.assert_allclose(found.real.features.mean(axis=0), 0, atol=1e-4)
    with pytest.raises(CommandError, match="leaks"):
        fold_features(real, 0, opened, [of_fold_1], store, config)


def test_views_of_the_class_are_those_of_its_training_images(shards, tmp_path):
    """Turned and mirrored, an image has the same mean colour, and no view is the image itself."""
    opened = open_shards(str(shards), "shards")
    real = real_images(opened, 2, 1, FeatureStore(tmp_path / "features", pixels("")))
    of_class = real.features[real.positive]
    assert real.views.shape == (len(of_class), 7, 3072)
    np.testing.assert_allclose(real.views.mean(axis=2), of_class.mean(axis=1)[:, None].repeat(7, axis=1), atol=1e-4)
    assert np.abs(real.views - of_class[:, None]).max(axis=2).min() > 0.01


def test_a_job_that_fails_is_tried_twice_and_named_and_the_others_go_on(shards, tmp_path, monkeypatch):
    tried = []

    def fail(command, settings, log, stop):
        tried.append((command, settings.get("fold")))
        if settings.get("fold") == 0:
            raise CommandError("no")

    monkeypatch.setattr(generator_jobs, "run_command", fail)
    monkeypatch.setattr(generator_jobs, "PAUSE_SECONDS", 0)
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
        ({"gan_settings": ("flagfile=x",)}, "flagfile"),
        ({"gan_settings": ("width=0.1", "width=0.2")}, "width.*twice"),
        ({"ratios": ("0.01",)}, "0.01"),
        ({"jobs_dir": "gs://bucket/jobs"}, "jobs_dir"),
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
        ({"ratios": ("nan",)}, "ratios"),
        ({"ratios": ("1", "1.0000001")}, "ratios"),
        ({"methods": ()}, "methods"),
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
    assert re.search(r"gan, seed 0, fold 1, \d+ images: train_gan, synthesize, evaluate_gan", result.stdout)
    assert "classifiers: 52" in result.stdout  # (5 controls + 3 x 2 + 2) arms, 2 seeds, 2 folds
    assert re.search(r"power of 80 %: 0\.\d+", result.stdout)
    assert not (tmp_path / "study").exists()


def test_a_user_gets_one_line(tmp_path, launch):
    draw_folder(tmp_path / "images")
    succeed(launch("make_shards", input=tmp_path / "images", output=tmp_path / "shards", **FOLDER))
    result = launch("study", shards=tmp_path / "shards", workdir=tmp_path / "study", num_folds=4, features="pixels")
    assert "fold 0" in only_error(result)
