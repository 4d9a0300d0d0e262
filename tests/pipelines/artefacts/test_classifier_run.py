"""Runs of train_classifier: what is refused at once, and what the classifier of a fold has seen."""

from dataclasses import replace
from pathlib import Path

import pytest

from melgan.metrics.intervals import Interval
from pipelines.artefacts.classifier_run import ClassifierReport, ClassifierRun, TrainClassifierConfig
from pipelines.artefacts.seen import Certainty, sightings
from pipelines.artefacts.shards import split_fold
from tests.pipelines.artefacts.made_up_shards import OTHER_FOLDS, OTHER_IMAGES, SHARDS
from tfrecords_tools.foundation.errors import CommandError, ConfigError, DataError


def config_of(**settings: object) -> TrainClassifierConfig:
    return TrainClassifierConfig(**{"shards": "shards", "workdir": "run", "num_folds": 2, **settings})


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"synthetic": ("synthetic",)}, "--synthetic and --synthetic_fraction"),
        ({"synthetic_fraction": 0.3}, "--synthetic and --synthetic_fraction"),
        ({"synthetic": ("synthetic",), "synthetic_fraction": 1.0}, "synthetic_fraction is 1.0; "),
        ({"folds": ("2",)}, "--folds=2: .* 0 to 1"),
        ({"folds": ("0", "x")}, "--folds=0,x: "),
        ({"folds": ("0", "0")}, "--folds=0,0: .*once"),
        ({"folds": ("²",)}, "--folds=²: "),
        ({"num_folds": 1}, "num_folds is 1; "),
        ({"epochs": 0}, "epochs is 0; "),
        ({"steps_per_call": 0}, "steps_per_call is 0; "),
    ],
)
def test_settings_that_cannot_work_are_refused_by_their_names(settings, said):
    with pytest.raises((CommandError, ConfigError), match=said):
        config_of(**settings)


def test_all_folds_are_trained_unless_some_are_named():
    assert config_of().fold_numbers == (0, 1)
    assert config_of(num_folds=5, folds=("3", "0")).fold_numbers == (3, 0)


def test_a_run_with_synthetic_images_takes_as_many_steps_as_its_baseline_or_as_many_passes_over_real_images():
    mixed = {"synthetic": ("synthetic",), "synthetic_fraction": 0.2}
    assert config_of().images_per_real_image == config_of(match="real").images_per_real_image == 1
    assert config_of(**mixed).images_per_real_image == 1
    assert config_of(**mixed, match="real").images_per_real_image == 1.25


@pytest.fixture
def run() -> ClassifierRun:
    report = ClassifierReport(
        classes=("a", "b"),
        folds=(0, 1),
        images=36,
        metrics={"mean_auc": Interval(0.5, 0.4, 0.6)},
        best_epochs={"0": 1, "1": 1},
        fold_auc={"0": 0.5, "1": 0.5},
        shards="shards",
        shards_digest="d",
        folds_fingerprint=SHARDS.manifest.folds_fingerprint,
        source_fingerprint=SHARDS.manifest.source_fingerprint,
        synthetic={"0": (), "1": ()},
    )
    return ClassifierRun(Path("run"), config_of(), report)


def test_the_area_of_an_earlier_version_is_not_taken_for_the_mean_of_the_folds(run):
    assert run.mean_auc == Interval(0.5, 0.4, 0.6)
    pooled = replace(run, report=replace(run.report, metrics={"auc": Interval(0.7, 0.6, 0.8)}))
    with pytest.raises(DataError, match="remove COMPLETED .* train_classifier"):
        _ = pooled.mean_auc


@pytest.mark.parametrize("fold", [0, 1])
def test_the_classifier_of_a_fold_has_seen_all_shards_but_those_of_the_fold(run, fold):
    training, held_out = split_fold(SHARDS.manifest, 2, fold)
    seen = run.seen(fold, SHARDS)
    assert seen.trained_on.indices == tuple(shard.index for shard in training)
    assert list(sightings(seen, SHARDS.manifest, held_out)) == []
    (sighting,) = sightings(seen, SHARDS.manifest, training)
    assert (sighting.certainty, sighting.shards) == (Certainty.SEEN, tuple(shard.file for shard in training))


def test_of_other_folds_a_classifier_may_have_seen_anything_and_of_other_images_nobody_knows(run):
    for shards, certainty in ((OTHER_FOLDS, Certainty.POSSIBLE), (OTHER_IMAGES, Certainty.UNKNOWN)):
        (sighting,) = sightings(run.seen(0, shards), shards.manifest, shards.manifest.shards)
        assert sighting.certainty is certainty
