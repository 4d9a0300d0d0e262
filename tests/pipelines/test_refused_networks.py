"""A network that cannot be had is refused before the folder is begun."""

import pytest

from melgan.gans.methods import resolve
from pipelines import train_classifier, train_gan
from pipelines.artefacts.classifier_run import TrainClassifierConfig
from pipelines.artefacts.generator_run import TrainGanConfig
from tfrecords_tools.foundation.errors import UserError

pytestmark = pytest.mark.slow


def test_features_of_a_classifier_that_is_not_there(shards, tmp_path):
    settings = {"method": "gan", "image_size": 32, "width": 0.02, "global_batch_size": 4, "total_steps": 2}
    config = TrainGanConfig(
        shards=str(shards),
        workdir=str(tmp_path / "gan"),
        checkpoint_every=1,
        eval_interval=1,
        eval_features=f"classifier:{tmp_path}/missing",
        **settings,
    )
    with pytest.raises(UserError, match="--eval_features=.*missing"):
        train_gan.run(resolve(config))
    assert list(tmp_path.iterdir()) == []


def test_weights_that_are_not_there(shards, tmp_path):
    weights = str(tmp_path / "missing.weights.h5")
    config = TrainClassifierConfig(
        shards=str(shards), workdir=str(tmp_path / "run"), backbone="small_cnn", num_folds=2, weights=weights
    )
    with pytest.raises(UserError, match=weights):
        train_classifier.run(config)
    assert list(tmp_path.iterdir()) == []


def test_random_layers_that_are_not_trained_are_told(tmp_path, caplog):
    settings = {"shards": str(tmp_path / "none"), "workdir": str(tmp_path / "run"), "train_layers": "head"}
    for weights, told in (("none", True), ("imagenet", False)):
        caplog.clear()
        with pytest.raises(UserError, match="none"):
            train_classifier.run(TrainClassifierConfig(**settings, weights=weights))
        assert ("--train_layers=head" in caplog.text) == told
