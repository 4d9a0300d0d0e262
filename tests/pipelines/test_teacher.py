"""A classifier that learns from a teacher: of the same folds, classes and images, and of nothing that it saw there."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from pipelines import train_classifier
from pipelines.artefacts.classifier_run import TrainClassifierConfig
from pipelines.artefacts.shards import open_shards, split_fold
from pipelines.training.classifier_inputs import ancestors_without_leak
from tests.pipelines.conftest import CLASSIFIER, PHANTOM, succeed
from tfrecords_tools.foundation.errors import CommandError

pytestmark = pytest.mark.slow


@pytest.fixture
def config(shards: Path, classifier: Path, tmp_path) -> TrainClassifierConfig:
    folders = {"shards": str(shards), "workdir": str(tmp_path / "student"), "teacher": str(classifier)}
    student = {"distillation_weight": 0.5, "folds": ("0",), "mixing": "mixup", "epochs": 1, "deterministic": False}
    return TrainClassifierConfig(**{**CLASSIFIER, **folders, **student})


def test_a_student_is_trained_and_predicts_the_images_held_out(config, classifier):
    train_classifier.run(config)
    student, teacher = (pd.read_csv(Path(folder) / "oof.csv") for folder in (config.workdir, classifier))
    assert student["image_name"].tolist() == teacher["image_name"][teacher["fold"] == 0].tolist()


@pytest.mark.parametrize(
    ("others", "said"),
    [
        ({"image_size": 64}, "--image_size=32, not 64"),
        ({"match_resolution": 16}, "--match_resolution=0, not 16"),
        ({"num_folds": 3}, "--num_folds=2, not 3"),
    ],
)
def test_a_teacher_of_other_images_or_folds_is_refused(config, others, said):
    with pytest.raises(CommandError, match=f"--teacher=.*{said}"):
        train_classifier.run(replace(config, **others))
    assert not Path(config.workdir).exists()


def test_a_teacher_that_may_have_seen_the_validation_images_is_refused(config, launch, tmp_path):
    succeed(launch("make_shards", output=tmp_path / "shards", **{**PHANTOM, "num_shards": 4}))
    with pytest.raises(CommandError, match="--teacher=.*"):
        train_classifier.run(replace(config, shards=str(tmp_path / "shards")))


def test_a_weight_without_a_teacher_is_refused_and_so_is_a_teacher_without_a_weight(config):
    for others in ({"teacher": ""}, {"distillation_weight": 0.0}):
        with pytest.raises(CommandError, match="--teacher.*--distillation_weight.*--synthetic_targets"):
            replace(config, **others)


def test_first_weights_that_have_seen_the_validation_images_are_refused(config, classifier):
    """Of fold 1, whose classifier was trained on the images of fold 0."""
    started = replace(config, teacher="", distillation_weight=0.0, weights=f"{classifier}/fold1/best.weights.h5")
    with pytest.raises(CommandError, match="--weights=.*train0"):
        train_classifier.run(started)
    shards = open_shards(config.shards, "shards")
    (used,) = ancestors_without_leak(replace(started, folds=("1",)), shards, {})[1]
    assert set(used.indices) == {shard.index for shard in split_fold(shards.manifest, 2, 1)[0]}
