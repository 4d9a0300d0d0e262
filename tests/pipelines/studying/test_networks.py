"""A study of networks that are trained end to end."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipelines import study, train_classifier
from pipelines.artefacts.classifier_run import TrainClassifierConfig
from pipelines.artefacts.shards import open_shards, split_fold
from pipelines.artefacts.study import StudyConfig
from pipelines.contract.workdir import read_config
from pipelines.studying import engines, jobs
from tests.melgan.without_tracing import without_tracing
from tests.pipelines.study_runs import jobs_of, run_study
from tfrecords_tools.foundation.errors import CommandError

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800), pytest.mark.usefixtures("fewer_metrics")]


@pytest.fixture(scope="module")
def networks(study_shards, finished_study, tmp_path_factory) -> Path:
    """A study of networks with the generators of the first one; their commands run in this process."""
    workdir = tmp_path_factory.mktemp("networks") / "study"
    shutil.copytree(jobs_of(finished_study), jobs_of(workdir))

    def run_here(command, settings, **_):
        train_classifier.run(jobs.Command(command, settings, "classifier_settings").config)

    with pytest.MonkeyPatch.context() as patch, without_tracing():
        patch.setattr(jobs, "run_command", run_here)
        patch.setattr(engines, "_run_here", lambda waiting, config: map(jobs.run_job, waiting))
        recipe = ("backbone=small_cnn", "image_size=32", "epochs=1", "test_time_views=1")
        run_study(study_shards, workdir, classifier="network", classifier_settings=recipe, ratios=("1",), seeds=1)
    return workdir


def test_a_study_of_networks_trains_every_arm_equally_long_on_what_it_asks_for(study_shards, networks):
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
            opened = open_shards(str(study_shards), "shards")
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


def test_a_table_of_another_study_is_not_overwritten(study_shards, networks, tmp_path, commands):
    shutil.copytree(jobs_of(networks), tmp_path / "jobs")
    table = tmp_path / "jobs" / "classifiers" / "malignant" / "gan_1" / "generator0_seed0" / "fold0" / "examples.csv"
    table.write_text("image_name\n")
    config = read_config(networks, StudyConfig)
    with pytest.raises(CommandError, match="examples.csv.*jobs_dir"):
        study.run(replace(config, workdir=str(tmp_path / "study"), jobs_dir=str(tmp_path / "jobs")))
    assert table.read_text() == "image_name\n"
    assert commands == []
