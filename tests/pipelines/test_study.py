"""A study end to end, with generators that learn nothing; what its statistics say is tested in melgan/studies."""

import json
import re
import shutil
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from melgan.metrics.extractors import pixels
from melgan.metrics.intervals import Interval
from melgan.studies.arms import MORE_REAL, REPEATED, SHUFFLED
from melgan.studies.differences import EQUIVALENT, HARMS, HELPS
from pipelines import evaluate_gan, report, study, synthesize, train_classifier, train_gan
from pipelines.artefacts.classifier_run import TrainClassifierConfig
from pipelines.artefacts.feature_store import FeatureStore
from pipelines.artefacts.shards import open_shards, split_fold
from pipelines.artefacts.speed import seconds_per_step
from pipelines.artefacts.study import AUC, SENSITIVITY, StudyConfig, StudyReport
from pipelines.contract.progress import format_seconds
from pipelines.contract.workdir import is_completed, read_config, read_facts, read_report
from pipelines.pages.study_section import study_sections
from pipelines.studying import engines, generator_jobs, jobs
from pipelines.studying.budget import fit
from pipelines.studying.design import open_design
from pipelines.studying.fold_features import fold_features, real_features
from pipelines.studying.pilot import Costs, measure
from pipelines.studying.real_images import real_images
from tests.melgan.without_tracing import without_tracing
from tests.pipelines.conftest import FOLDER, PHANTOM, draw_folder, only_error, succeed
from tfrecords_tools.foundation.errors import CommandError, ConfigError, UserError
from tfrecords_tools.foundation.locking import FolderLock

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

    def record(command, settings, **_):
        started.append((command, str(settings.get("output", settings.get("workdir")))))

    monkeypatch.setattr(jobs, "run_command", record)
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


@pytest.mark.parametrize(
    ("low", "verdict", "said"),
    [(-0.001, EQUIVALENT, "not found to help"), (0.001, EQUIVALENT, "less than the margin"), (0.02, HELPS, "")],
)
def test_the_page_says_what_became_of_the_yardstick(finished, low, verdict, said):
    report, config = read_report(finished, StudyReport), read_config(finished, StudyConfig)

    def changed(each):
        if each.arm == SHUFFLED:
            return replace(each, verdict=HARMS)
        if each.arm == REPEATED:
            return replace(each, verdict=EQUIVALENT)
        if each.arm != MORE_REAL:
            return each
        interval = Interval(low + 0.004, low, low + 0.008)
        return replace(each, verdict=verdict, difference=replace(each.difference, alone=interval))

    comparisons = tuple(map(changed, report.comparisons))
    text = study_sections(config, replace(report, comparisons=comparisons))[0].text
    assert (said in text) if said else "All controls came out as they must." in text


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
    design = open_design(StudyConfig(shards=str(shards), workdir=str(finished), **SETTINGS))
    store = FeatureStore(tmp_path / "features", pixels(""))
    real = real_features(design, real_images(design.shards, 2, 1), store)
    of_fold_0, of_fold_1 = design.generators
    found = fold_features(design, real, 0, store)
    assert found.synthetic["gan", 0].shape == (of_fold_0.count, 3072)
    np.testing.assert_allclose(found.features.mean(axis=0), 0, atol=1e-4)
    exchanged = replace(design, methods=design.methods)
    exchanged.__dict__["generators"] = [replace(of_fold_1, fold=0)]
    with pytest.raises(CommandError, match="leaks"):
        fold_features(exchanged, real, 0, store)


def test_views_of_the_class_are_those_of_its_training_images(shards, finished, tmp_path):
    """Turned and mirrored, an image has the same mean colour, and no view is the image itself."""
    design = open_design(StudyConfig(shards=str(shards), workdir=str(finished), **SETTINGS))
    images = real_images(design.shards, 2, 1)
    real = real_features(design, images, FeatureStore(tmp_path / "features", pixels("")))
    of_class = real.features[images.positive]
    assert real.views.shape == (len(of_class), 7, 3072)
    np.testing.assert_allclose(real.views.mean(axis=2), of_class.mean(axis=1)[:, None].repeat(7, axis=1), atol=1e-4)
    assert np.abs(real.views - of_class[:, None]).max(axis=2).min() > 0.01


def test_a_method_whose_job_fails_twice_is_named_and_the_study_tells_of_the_others(
    shards, finished, tmp_path, monkeypatch
):
    shutil.copytree(jobs_of(finished), tmp_path / "jobs")
    tried = []

    def fail(command, settings, **_):
        tried.append((command, settings["method"], settings["fold"]))
        raise CommandError("no")

    monkeypatch.setattr(jobs, "run_command", fail)
    monkeypatch.setattr(jobs, "PAUSE_SECONDS", 0)
    with pytest.raises(CommandError, match="cdragan, seed 0, fold 0") as refused:
        run(shards, tmp_path / "study", jobs_dir=str(tmp_path / "jobs"), methods=("gan", "cdragan"))
    assert "study.html" in str(refused.value)
    assert tried == [("train_gan", "cdragan", fold) for fold in (0, 0, 1, 1)]
    page = (tmp_path / "study" / "study.html").read_text()
    assert "Left out, because jobs of theirs failed: cdragan" in page
    assert not is_completed(tmp_path / "study")
    arms = pd.read_csv(tmp_path / "study" / "arms.csv")
    assert set(arms[arms["is_synthetic"]]["kind"]) == {"gan"}


def test_a_study_of_which_every_method_failed_says_why(shards, tmp_path, monkeypatch):
    def fail(command, settings, **_):
        raise CommandError("no")

    monkeypatch.setattr(jobs, "run_command", fail)
    monkeypatch.setattr(jobs, "PAUSE_SECONDS", 0)
    with pytest.raises(CommandError, match=r"gan, seed 0, fold 0.*\(no\)"):
        run(shards, tmp_path / "study")
    assert not (tmp_path / "study" / "study.html").exists()


def test_a_job_at_which_another_study_is_at_work_is_waited_for(shards, finished, tmp_path, monkeypatch):
    """The other holds a folder, and completes it."""
    shutil.copytree(jobs_of(finished), tmp_path / "jobs")
    held = tmp_path / "jobs" / "gan" / "seed0" / "fold1" / "evaluation_pixels"
    shutil.rmtree(held)
    held.mkdir()
    lock, waits = FolderLock(held), []

    def wait(seconds):
        waits.append(seconds)
        shutil.copytree(jobs_of(finished) / held.relative_to(tmp_path / "jobs"), held, dirs_exist_ok=True)
        lock.release()

    monkeypatch.setattr(engines.time, "sleep", wait)
    monkeypatch.setattr(jobs, "run_command", lambda *_, **__: pytest.fail("the other study does it"))
    found = run(shards, tmp_path / "study", jobs_dir=str(tmp_path / "jobs"))
    assert waits == [engines.WAIT_SECONDS]
    assert len(found.generators) == 2
    assert is_completed(tmp_path / "study")


def test_each_training_has_a_gpu_to_itself(shards, tmp_path, monkeypatch):
    seen = {}

    def record(command, settings, environment, **_):
        seen.setdefault(environment["CUDA_VISIBLE_DEVICES"], []).append(settings["fold"])
        both.wait(timeout=20)
        raise CommandError("no")

    both = threading.Barrier(2)
    monkeypatch.setattr(jobs, "run_command", record)
    monkeypatch.setattr(jobs, "PAUSE_SECONDS", 0)
    with pytest.raises(CommandError):
        run(shards, tmp_path / "study", jobs=2, gpus=("4", "7"))
    assert {device: len(set(folds)) for device, folds in seen.items()} == {"4": 1, "7": 1}


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
        ({"classifier": "network", "classifier_settings": ("examples=x.csv",)}, "examples"),
        ({"classifier": "network", "classifier_settings": ("epochs=0",)}, "epochs is 0"),
        ({"classifier": "network", "classifier_settings": ("colour=red",)}, "colour"),
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
        ({"classifier_settings": ("epochs=1",)}, "network"),
        ({"gpus": ("0",), "engine": "dask"}, "gpus"),
        ({"worker_resources": ("GPU=1",)}, "worker_resources"),
        ({"worker_resources": ("GPU=one",), "engine": "dask"}, "worker_resources"),
        ({"scheduler": "tcp://a:1"}, "scheduler"),
    ],
)
def test_settings_that_are_none_are_refused(settings, named):
    with pytest.raises(ConfigError, match=named):
        StudyConfig(shards="a", workdir="b", **settings)


def test_the_plan_tells_jobs_hours_and_power_and_begins_nothing(shards, finished, tmp_path, capsys):
    """Generators that are complete tell how long others take."""
    settings = {**SETTINGS, "generator_seeds": 2, "jobs_dir": str(jobs_of(finished)), "plan": True}
    study.run(StudyConfig(shards=str(shards), workdir=str(tmp_path / "study"), **settings))
    printed = capsys.readouterr().out
    assert re.search(r"gan, seed 0, fold 1, \d+ images: complete", printed)
    assert re.search(r"gan, seed 1, fold 1, \d+ images: train_gan, synthesize, evaluate_gan", printed)
    assert "generators: 4, of which 2 are complete" in printed
    assert "classifiers: 56" in printed  # (4 controls of their own + 3 x 2 + 2 x 2) arms, 2 seeds, 2 folds
    assert re.search(r"power of 80 %: 0\.\d+", printed)
    folder = jobs_of(finished) / "gan" / "seed0" / "fold0"
    commands = [folder / "gan", *folder.glob("synthetic*"), folder / "evaluation_pixels"]
    seconds = sum(json.loads((each / "report.json").read_text())["seconds"] for each in commands)
    assert f"{format_seconds(seconds)} for a generator of gan" in printed
    assert re.search(r"time left: \d", printed)
    assert not (tmp_path / "study").exists()


def test_short_jobs_tell_how_long_long_ones_take(shards, tmp_path, monkeypatch):
    """The commands run in this process."""
    modules = {"train_gan": train_gan, "synthesize": synthesize, "evaluate_gan": evaluate_gan}

    def run_here(command, settings, **_):
        modules[command].run(jobs.Command(command, settings, "gan_settings").config())

    monkeypatch.setattr(jobs, "run_command", run_here)
    long = tuple("total_steps=100000" if each == "total_steps=2" else each for each in SETTINGS["gan_settings"])
    config = StudyConfig(
        shards=str(shards), workdir=str(tmp_path / "study"), **{**SETTINGS, "gan_settings": long, "budget_hours": 0.001}
    )
    design = open_design(config)
    images = real_images(design.shards, 2, 1)
    costs = measure(design, images, FeatureStore(tmp_path / "features", pixels("")))
    folder = tmp_path / "study_jobs" / "pilot" / "gan"
    assert json.loads((folder / "gan" / "report.json").read_text())["steps"] == 20
    rate = seconds_per_step(folder / "gan", "gan")
    short = sum(read_facts(each).seconds for each in (folder / "gan", folder / "synthetic", folder / "evaluation"))
    assert costs.generators["gan"] == pytest.approx(short + (100000 - 20) * rate)
    assert 0 < costs.classifier < 10
    with pytest.raises(CommandError, match="budget_hours=0.001"):
        fit(design, images, costs)


def test_a_study_keeps_within_its_hours_and_says_what_it_left_out(shards, finished, tmp_path, monkeypatch):
    """Two generators more would take 2 hours; they are not made, and the study resumes with the same design."""
    monkeypatch.setattr(study, "measure", lambda *_: Costs({"gan": 3600.0}, 0.01))
    workdir, settings = tmp_path / "study", {"generator_seeds": 2, "jobs_dir": str(jobs_of(finished))}
    found = run(shards, workdir, budget_hours=1.5, **settings)
    assert found.cut == ("generator_seeds: 1 of 2",)
    assert len(found.generators) == 2
    assert "generator_seeds: 1 of 2" in (workdir / "study.html").read_text()
    (workdir / "COMPLETED").unlink()
    monkeypatch.setattr(study, "measure", lambda *_: pytest.fail("it was begun with a design"))
    assert run(shards, workdir, budget_hours=1.5, **settings).cut == found.cut


@pytest.fixture(scope="module")
def networks(shards, finished, tmp_path_factory) -> Path:
    """A study of networks with the generators of the first one; their commands run in this process."""
    workdir = tmp_path_factory.mktemp("networks") / "study"
    shutil.copytree(jobs_of(finished), jobs_of(workdir))

    def run_here(command, settings, **_):
        train_classifier.run(jobs.Command(command, settings, "classifier_settings").config())

    with pytest.MonkeyPatch.context() as patch, without_tracing():
        patch.setattr(jobs, "run_command", run_here)
        patch.setitem(engines.ENGINES, "local", lambda waiting, config: map(jobs.run_job, waiting))
        recipe = ("backbone=small_cnn", "image_size=32", "epochs=1", "test_time_views=1")
        run(shards, workdir, classifier="network", classifier_settings=recipe, ratios=("1",), seeds=1)
    return workdir


def test_a_study_of_networks_trains_every_arm_equally_long_on_what_it_asks_for(shards, networks):
    folders = {
        folder.name: folder / "seed0" / "fold0"
        for folder in (jobs_of(networks) / "classifiers" / "malignant").iterdir()
    }
    assert set(folders) == {
        "none",
        "half_real",
        "shuffled_labels",
        "not_augmented",
        "oversampled_1",
        "duplicates_1",
        "none__other_seeds",
        "gan_1",
    }
    steps, tables = set(), {}
    for arm, folder in folders.items():
        folder = {
            "gan_1": folder.parents[1] / "generator0_seed0" / "fold0",
            "none__other_seeds": folder.parents[1] / "seed1" / "fold0",
        }.get(arm, folder)
        config = read_config(folder / "run", TrainClassifierConfig)
        steps.add(config.steps_per_epoch)
        assert config.augmentation == ("none" if arm == "not_augmented" else "dihedral_colour")
        if config.examples:
            tables[arm] = pd.read_csv(config.examples)
        if arm == "gan_1":
            opened = open_shards(str(shards), "shards")
            counts = opened.class_counts(split_fold(opened.manifest, 2, 0)[0])
            assert config.synthetic_fraction == pytest.approx(counts[1] / (sum(counts) + counts[1]))
    assert len(steps) == 1
    assert set(tables) == {"half_real", "shuffled_labels", "oversampled_1", "duplicates_1", "gan_1"}
    assert tables["oversampled_1"]["count"].sum() == sum(counts) + counts[1]
    assert sorted(tables["oversampled_1"]["count"].unique()) == [1, 2]
    assert len(tables["gan_1"]) == sum(counts) + counts[1]
    assert (tables["shuffled_labels"]["class"] == "malignant").sum() == counts[1]
    assert len(tables["half_real"]) < sum(counts)


def test_scores_of_networks_are_their_predictions(networks):
    scores = pd.read_csv(networks / "scores.csv").set_index("image_name")
    folder = jobs_of(networks) / "classifiers" / "malignant" / "oversampled_1" / "seed0"
    predicted = pd.concat([pd.read_csv(folder / f"fold{fold}" / "run" / "oof.csv") for fold in (0, 1)])
    predicted = predicted.set_index("image_name")["probability malignant"]
    np.testing.assert_allclose(scores["oversampled 1, generator 0, seed 0"], predicted.loc[scores.index], atol=1e-6)
    page = (networks / "study.html").read_text()
    assert "images as they are: what it costs" in page


def test_a_table_of_another_study_is_not_overwritten(shards, networks, tmp_path, commands):
    shutil.copytree(jobs_of(networks), tmp_path / "jobs")
    table = tmp_path / "jobs" / "classifiers" / "malignant" / "gan_1" / "generator0_seed0" / "fold0" / "examples.csv"
    table.write_text("image_name\n")
    config = read_config(networks, StudyConfig)
    with pytest.raises(CommandError, match="examples.csv.*jobs_dir"):
        study.run(replace(config, workdir=str(tmp_path / "study"), jobs_dir=str(tmp_path / "jobs")))
    assert table.read_text() == "image_name\n"
    assert commands == []


def test_jobs_run_on_a_dask_cluster(shards, finished, tmp_path):
    """An evaluation that is gone is made by a worker, in a process of its own."""
    shutil.copytree(jobs_of(finished), tmp_path / "jobs")
    gone = tmp_path / "jobs" / "gan" / "seed0" / "fold1" / "evaluation_pixels"
    shutil.rmtree(gone)
    run(shards, tmp_path / "study", jobs_dir=str(tmp_path / "jobs"), engine="dask")
    assert is_completed(gone)


def test_a_user_gets_one_line(tmp_path, launch):
    draw_folder(tmp_path / "images")
    succeed(launch("make_shards", input=tmp_path / "images", output=tmp_path / "shards", **FOLDER))
    result = launch("study", shards=tmp_path / "shards", workdir=tmp_path / "study", num_folds=4, features="pixels")
    assert "fold 0" in only_error(result)
