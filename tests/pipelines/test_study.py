"""A study end to end, with generators that learn nothing; what its statistics say is tested in melgan/studies."""

import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from melgan.metrics.extractors import pixels
from melgan.metrics.intervals import Interval
from melgan.studies.arms import MORE_REAL, REPEATED, SHUFFLED
from melgan.studies.differences import EQUIVALENT, HARMS, HELPS
from pipelines import report
from pipelines.artefacts.evaluation import EvaluateGanConfig
from pipelines.artefacts.feature_store import FeatureStore
from pipelines.artefacts.study import AUC, SENSITIVITY, StudyConfig, StudyReport
from pipelines.contract.workdir import is_completed, read_config, read_report
from pipelines.pages.study_section import study_sections
from pipelines.studying.design import open_design
from pipelines.studying.fold_features import fold_features, real_features
from pipelines.studying.real_images import real_images
from tests.pipelines.conftest import FOLDER, draw_folder, only_error, succeed
from tests.pipelines.study_runs import SETTINGS, jobs_of, run_study
from tfrecords_tools.foundation.errors import CommandError, ConfigError, UserError

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("fewer_metrics")]


def test_the_tables_are_those_of_the_scores(finished_study):
    scores, arms = (
        pd.read_csv(finished_study / "scores.csv"),
        pd.read_csv(finished_study / "arms.csv").set_index("name"),
    )
    for arm, seeds in (("none", (0, 1)), ("gan 1", (0, 1)), ("more real", (0, 1))):
        areas = [
            roc_auc_score(own["positive"], own[f"{arm}, generator 0, seed {seed}"])
            for seed in seeds
            for _, own in scores.groupby("fold")
        ]
        assert arms.loc[arm, "auc"] == pytest.approx(np.mean(areas), abs=1e-6)
    differences = pd.read_csv(finished_study / "differences.csv").set_index(["arm", "baseline", "metric"])
    expected = arms.loc["gan 1", "auc"] - arms.loc["none", "auc"]
    assert differences.loc[("gan 1", "none", AUC), "value"] == pytest.approx(expected, abs=1e-6)
    expected = arms.loc["gan 1", "auc"] - arms.loc["oversampled 1", "auc"]
    assert differences.loc[("gan 1", "oversampled 1", AUC), "value"] == pytest.approx(expected, abs=1e-6)
    assert set(differences.index.get_level_values("metric")) == {AUC, SENSITIVITY}
    of_area = differences.xs(AUC, level="metric")
    assert (of_area["not_inferior"].astype(bool) == (of_area["low_equivalence"] > -0.01)).all()
    assert differences.xs(SENSITIVITY, level="metric")["not_inferior"].isna().all()


def test_equal_arms_of_equal_seeds_have_equal_scores_and_other_seeds_others(finished_study):
    scores = pd.read_csv(finished_study / "scores.csv")
    assert scores["more real, generator 0, seed 0"].equals(scores["none, generator 0, seed 0"])
    assert not scores["none, other seeds, generator 0, seed 2"].equals(scores["none, generator 0, seed 0"])
    assert not scores.isna().any(axis=None)


def test_features_of_real_images_are_extracted_once_for_all_folds_and_jobs(finished_study):
    for log in jobs_of(finished_study).glob("*/*/*/log.txt"):
        lines = log.read_text().rpartition("synthetic images in")[2]  # of the evaluation
        assert "features of synthetic images" in lines
        assert "features of training images" not in lines
        assert "features of real images" not in lines


def test_settings_of_the_evaluation_reach_it(finished_study):
    folders = list(jobs_of(finished_study).glob("*/*/*/evaluation_*"))
    assert len(folders) == 2
    assert all(read_config(folder, EvaluateGanConfig).images_per_class == 6 for folder in folders)


def test_the_page_begins_with_the_verdict_and_has_every_arm_and_generator(finished_study):
    page, found = (finished_study / "study.html").read_text(), read_report(finished_study, StudyReport)
    text = re.sub("<[^>]+>", " ", page[page.index("<section") :])
    assert re.match(r"\s*Result\s+(Synthetic images of|Whether|They)", text)
    assert all(arm.name in text for arm in found.arms)
    assert len(found.generators) == 2
    assert text.index("Result") < text.index("Differences") < text.index("Generators")
    assert "cannot be said" in text  # one generator a fold
    assert not re.search("https?://", page.replace("http://www.w3.org", ""))


@pytest.mark.parametrize(
    ("low", "verdict", "said"),
    [(-0.001, EQUIVALENT, "not found to help"), (0.001, EQUIVALENT, "less than the margin"), (0.02, HELPS, "")],
)
def test_the_page_says_what_became_of_the_yardstick(finished_study, low, verdict, said):
    report, config = read_report(finished_study, StudyReport), read_config(finished_study, StudyConfig)

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


def test_variances_are_told_by_source_and_a_paper_gets_a_table_and_a_paragraph(finished_study):
    variances, scores = pd.read_csv(finished_study / "variance.csv"), pd.read_csv(finished_study / "scores.csv")
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
    table = (finished_study / "differences.tex").read_text()
    assert table.startswith(r"\begin{tabular}")
    assert (
        table.count(r"\\") == 1 + 11 + 2
    )  # a header, every arm but two baselines, and synthetic ones by repeated images
    paragraph = (finished_study / "methods.txt").read_text()
    assert "ratios of 0.5, 1" in paragraph
    assert "tensorflow 2" in paragraph


def test_the_verdict_is_a_section_of_a_report(finished_study, tmp_path):
    report.run(report.ReportConfig(runs=(str(finished_study),), output=str(tmp_path / "report")))
    page = (tmp_path / "report" / "report.html").read_text()
    assert "<h2>Study</h2>" in page
    assert "gan 0.5" in page


def test_every_fold_has_a_generator_that_did_not_see_it_and_images_for_the_largest_ratio(finished_study):
    for generator in read_report(finished_study, StudyReport).generators:
        folder = jobs_of(finished_study) / "gan" / "seed0" / f"fold{generator.fold}"
        assert json.loads((folder / "gan" / "config.json").read_text())["fold"] == generator.fold
        assert (folder / f"synthetic_malignant_{generator.images}").is_dir()
        assert (folder / "evaluation_pixels" / "metrics.csv").is_file()
        lines = [json.loads(line) for line in (folder / "gan" / "metrics.jsonl").read_text().splitlines()]
        (last,) = (line for line in lines if line["series"] == "diversity" and line["step"] == 2)
        assert generator.diversity == last["diversity_malignant"]


def test_another_study_shares_generators_and_trains_none(study_shards, finished_study, tmp_path, commands):
    second = run_study(study_shards, tmp_path / "second", seeds=3, jobs_dir=str(jobs_of(finished_study)))
    assert commands == []
    assert {arm.runs for arm in second.arms} == {3}
    first, second = (pd.read_csv(folder / "scores.csv") for folder in (finished_study, tmp_path / "second"))
    same = "gan 0.5, generator 0, seed 1"
    np.testing.assert_array_equal(first[same], second[same])


def test_a_study_that_ended_anywhere_does_what_is_left(study_shards, finished_study, tmp_path, commands):
    shutil.copytree(jobs_of(finished_study), tmp_path / "jobs")
    shutil.rmtree(tmp_path / "jobs" / "gan" / "seed0" / "fold1" / "evaluation_pixels")
    with pytest.raises(UserError, match="evaluation"):  # it was not made: commands are recorded only
        run_study(study_shards, tmp_path / "second", jobs_dir=str(tmp_path / "jobs"))
    assert {folder.split("fold")[1].split("/")[0] for _, folder in commands} == {"1"}
    assert [command for command, _ in commands] == ["evaluate_gan"]


def test_an_edited_job_is_refused_by_its_name(study_shards, finished_study, tmp_path, commands):
    shutil.copytree(jobs_of(finished_study), tmp_path / "jobs")
    (edited,) = (tmp_path / "jobs" / "gan" / "seed0" / "fold1").glob("synthetic*/report.json")
    edited.write_text(edited.read_text().replace('"rejected_copies"', '"rejected_copies" '))
    with pytest.raises(UserError, match="fold1/(gan|synthetic)"):
        run_study(study_shards, tmp_path / "second", jobs_dir=str(tmp_path / "jobs"))
    assert not is_completed(tmp_path / "second")


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [("width=0.02", "width=0.03", "width"), ("total_steps=2", "total_steps=4", "total_steps=2")],
)
def test_generators_of_other_settings_are_refused(study_shards, finished_study, tmp_path, commands, old, new, named):
    others = tuple(new if each == old else each for each in SETTINGS["gan_settings"])
    with pytest.raises(CommandError, match=named):
        run_study(study_shards, tmp_path / "second", jobs_dir=str(jobs_of(finished_study)), gan_settings=others)
    assert commands == []


def test_images_of_a_generator_that_saw_the_fold_are_refused(study_shards, finished_study, tmp_path):
    design = open_design(StudyConfig(shards=str(study_shards), workdir=str(finished_study), **SETTINGS))
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


def test_views_of_the_class_are_those_of_its_training_images(study_shards, finished_study, tmp_path):
    """Turned and mirrored, an image has the same mean colour, and no view is the image itself."""
    design = open_design(StudyConfig(shards=str(study_shards), workdir=str(finished_study), **SETTINGS))
    images = real_images(design.shards, 2, 1)
    real = real_features(design, images, FeatureStore(tmp_path / "features", pixels("")))
    of_class = real.features[images.positive]
    assert real.views.shape == (len(of_class), 7, 3072)
    np.testing.assert_allclose(real.views.mean(axis=2), of_class.mean(axis=1)[:, None].repeat(7, axis=1), atol=1e-4)
    assert np.abs(real.views - of_class[:, None]).max(axis=2).min() > 0.01


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
        ({"evaluation_settings": ("features=random",)}, "evaluation_settings.*features"),
        ({"evaluation_settings": ("most_per_class=0",)}, "evaluation_settings.*most_per_class is 0"),
        ({"classifier": "network", "classifier_settings": ("examples=x.csv",)}, "examples"),
        ({"classifier": "network", "classifier_settings": ("epochs=0",)}, "epochs is 0"),
        ({"classifier": "network", "classifier_settings": ("colour=red",)}, "colour"),
        ({"ratios": ("0.01",)}, "0.01"),
        ({"jobs_dir": "gs://bucket/jobs"}, "jobs_dir"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is_written(study_shards, tmp_path, commands, settings, named):
    with pytest.raises(UserError, match=named):
        run_study(study_shards, tmp_path / "study", **settings)
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
        ({"gpus": ("0", "0")}, "gpus"),
        ({"gpus": ("0", "1"), "jobs": 4}, "jobs is 4"),
        ({"budget_hours": -1.0}, "budget_hours"),
        ({"worker_resources": ("GPU=1",)}, "worker_resources"),
        ({"worker_resources": ("GPU=one",), "engine": "dask"}, "worker_resources"),
        ({"scheduler": "tcp://a:1"}, "scheduler"),
    ],
)
def test_settings_that_are_none_are_refused(settings, named):
    with pytest.raises(ConfigError, match=named):
        StudyConfig(shards="a", workdir="b", **settings)


def test_a_user_gets_one_line(tmp_path, launch):
    draw_folder(tmp_path / "images")
    succeed(launch("make_shards", input=tmp_path / "images", output=tmp_path / "shards", **FOLDER))
    result = launch("study", shards=tmp_path / "shards", workdir=tmp_path / "study", num_folds=4, features="pixels")
    assert "fold 0" in only_error(result)
