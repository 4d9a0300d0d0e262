"""--backbone=discriminator:RUN: a classifier begins as the trunk of a GAN that has not seen its validation images."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from melgan.classifiers.network import feature_network
from melgan.gans.transfer import read_discriminator
from melgan.images import to_signed_float
from pipelines import make_submission, train_classifier, train_gan
from pipelines.artefacts.class_table import class_table
from pipelines.artefacts.classifier_run import ClassifierRun, TrainClassifierConfig, read_classifier_run
from pipelines.artefacts.generator_run import TrainGanConfig, read_gan_run
from pipelines.artefacts.predictions import predictions_table, read_predictions
from pipelines.artefacts.shards import open_shards, split_fold
from pipelines.make_submission import MakeSubmissionConfig
from pipelines.training.classifier_inputs import open_inputs
from tests.pipelines.conftest import CLASSIFIER, FOLDER, GAN, draw_folder, succeed
from tfrecords_tools.foundation.errors import CommandError, ConfigError

pytestmark = pytest.mark.slow

# Of one class, for which there are no wrong labels.
HEALTHY_GAN = {
    **GAN,
    "wrong_labels": False,
    "num_folds": 0,
    "total_steps": 2,
    "checkpoint_every": 2,
    "deterministic": False,
}


def config_of(shards: Path, gan: Path | str, workdir: Path, **settings) -> TrainClassifierConfig:
    folders = {"shards": str(shards), "workdir": str(workdir), "backbone": f"discriminator:{gan}"}
    usual = {**CLASSIFIER, "epochs": 1, "folds": ("0",), "train_layers": "head", "deterministic": False}
    return TrainClassifierConfig(**{**usual, **folders, **settings})


def images(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (4, 32, 32, 3)).astype(np.float32)


def discriminator_features_of(gan: Path) -> np.ndarray:
    run = read_gan_run(gan)
    checkpoint = f"{gan}/checkpoints/gan/ckpt-{run.report.steps}"
    discriminator = read_discriminator(checkpoint, run.config, len(run.report.classes))
    return discriminator.features(to_signed_float(images())).numpy()


@pytest.fixture(scope="module")
def healthy_shards(line, launch) -> Path:
    """Of other images, all of one class."""
    pictures, folder = draw_folder(line.root / "healthy_pictures"), line.root / "healthy_shards"
    (pictures / "a").rename(pictures / "benign")
    shutil.rmtree(pictures / "b")
    succeed(launch("make_shards", input=pictures, output=folder, **FOLDER))
    return folder


@pytest.fixture(scope="module")
def healthy_gan(line, healthy_shards) -> Path:
    train_gan.run(TrainGanConfig(shards=str(healthy_shards), workdir=str(line.root / "healthy_gan"), **HEALTHY_GAN))
    return line.root / "healthy_gan"


@pytest.fixture(scope="module")
def trained(line, shards, gan) -> tuple[TrainClassifierConfig, ClassifierRun]:
    """A classifier behind a frozen discriminator, whose GAN has gone since."""
    copy = shutil.copytree(gan, line.root / "gan_that_goes")
    config = config_of(shards, copy, line.root / "on_discriminator")
    train_classifier.run(config)
    shutil.rmtree(copy)
    return config, read_classifier_run(Path(config.workdir))


def test_a_frozen_backbone_is_to_the_bit_the_discriminator_of_the_gan(trained, gan):
    features, _ = feature_network(trained[1].load(0))(images())
    np.testing.assert_array_equal(features, discriminator_features_of(gan))


def test_without_the_gan_it_is_loaded_and_predicts_as_it_did(trained, shards, tmp_path):
    config, run = trained
    opened = open_shards(str(shards), "shards")
    validation = split_fold(opened.manifest, 2, 0)[1]
    again = predictions_table(run.predictor(0), run.config, opened, validation, classes=class_table(opened, 0), fold=0)
    before = read_predictions(Path(config.workdir) / "oof.csv", run.report.classes)
    columns = [name for name in before if name.startswith("probability")]
    np.testing.assert_allclose(again[columns], before[columns], atol=1e-6)
    train_classifier.run(config)  # complete already
    make_submission.run(MakeSubmissionConfig(runs=(config.workdir,), output=str(tmp_path / "submission")))
    submission = pd.read_csv(tmp_path / "submission" / "submission.csv")
    assert len(submission)
    assert submission["target"].between(0, 1).all()


def test_what_it_has_seen_is_told_to_those_that_learn_from_it(trained, gan, shards):
    seen = trained[1].seen(0, open_shards(str(shards), "shards"))
    assert seen.ancestors == read_gan_run(gan).report.lineage


def test_a_gan_that_has_seen_validation_images_is_refused_by_name(gan, shards, tmp_path):
    with pytest.raises(
        CommandError, match=f"--backbone=discriminator:{re.escape(str(gan))}.*train01.*train03.*train05"
    ):
        train_classifier.run(config_of(shards, gan, tmp_path / "new", folds=("0", "1")))
    assert not (tmp_path / "new").exists()


def test_so_is_a_gan_that_started_from_one(gan, shards, healthy_shards, tmp_path):
    settings = {**HEALTHY_GAN, "autoencoder_epochs": 0}
    train_gan.run(
        TrainGanConfig(shards=str(healthy_shards), workdir=str(tmp_path / "gan"), init_from=str(gan), **settings)
    )
    config = config_of(shards, tmp_path / "gan", tmp_path / "new")
    with pytest.raises(CommandError, match=r"--backbone=.*started from the weights of another.*train01"):
        train_classifier.run(replace(config, folds=("1",)))
    assert [len(used) for used in open_inputs(config).ancestors.values()] == [2]


def test_every_fold_begins_with_the_weights_of_its_gan(gan, healthy_gan, shards, tmp_path):
    """In one process; each has a GAN of its own."""
    for fold, run in enumerate((gan, healthy_gan)):
        (tmp_path / f"gan{fold}").symlink_to(run)
    frozen = config_of(shards, tmp_path / "gan{fold}", tmp_path / "frozen", folds=())
    train_classifier.run(frozen)
    loaded = [read_classifier_run(Path(frozen.workdir)).load(fold) for fold in (0, 1)]
    for model, run in zip(loaded, (gan, healthy_gan), strict=True):
        np.testing.assert_array_equal(feature_network(model)(images())[0], discriminator_features_of(run))


def test_a_run_goes_on_when_its_gan_lies_elsewhere(gan, shards, tmp_path):
    """Killed before its predictions."""
    here, there = shutil.copytree(gan, tmp_path / "here"), tmp_path / "there"
    config = config_of(shards, here, tmp_path / "run", epochs=2)
    train_classifier.run(config)
    for name in ("fold0/predictions.csv", "oof.csv", "report.json", "COMPLETED"):
        (tmp_path / "run" / name).unlink()
    here.rename(there)
    train_classifier.run(replace(config, backbone=f"discriminator:{there}"))
    assert read_classifier_run(tmp_path / "run").config.gan == str(there)


def test_shards_of_one_class_are_no_classifier_s(healthy_shards, healthy_gan, tmp_path):
    with pytest.raises(CommandError, match="--shards=.*one class, benign"):
        train_classifier.run(config_of(healthy_shards, healthy_gan, tmp_path / "new"))


def test_what_cannot_be_a_backbone_is_refused(gan, classifier, shards, tmp_path):
    config = config_of(shards, gan, tmp_path / "new")
    with pytest.raises(CommandError, match="--backbone=.*--image_size=32"):
        train_classifier.run(replace(config, image_size=64))
    with pytest.raises(CommandError, match="--backbone=.*train_classifier"):
        train_classifier.run(replace(config, backbone=f"discriminator:{classifier}"))
    with pytest.raises(CommandError, match="--backbone=.*no such folder"):
        train_classifier.run(replace(config, backbone=f"discriminator:{tmp_path}/nothing"))
    assert not (tmp_path / "new").exists()


def test_a_gan_without_its_last_checkpoint_gives_its_networks_alone(gan, shards, tmp_path):
    copy = shutil.copytree(gan, tmp_path / "gan")
    shutil.rmtree(copy / "checkpoints")
    config = config_of(shards, copy, tmp_path / "new")
    with pytest.raises(CommandError, match="--backbone=.*checkpoint.*--weights=none"):
        train_classifier.run(config)
    assert not (tmp_path / "new").exists()
    train_classifier.run(replace(config, weights="none"))
    run = read_classifier_run(tmp_path / "new")
    assert run.report.ancestors == {}
    assert not np.array_equal(feature_network(run.load(0))(images())[0], discriminator_features_of(gan))


def test_a_damaged_checkpoint_is_refused(gan, shards, tmp_path):
    copy = shutil.copytree(gan, tmp_path / "gan")
    data = next(copy.glob("checkpoints/gan/ckpt-12.data-*"))
    content = data.read_bytes()
    data.write_bytes(bytes(len(content)))
    with pytest.raises(ConfigError, match="ckpt-12"):
        train_classifier.run(config_of(shards, copy, tmp_path / "new"))
