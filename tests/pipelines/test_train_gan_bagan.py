"""METHOD=bagan as a run: from the autoencoder to the Gaussians and the GAN, ended anywhere, and its transfer."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from melgan.gans.transfer import read_encoder
from melgan.images import to_signed_float
from melgan.layers.dropout import apply_network
from pipelines.artefacts.generator_run import load_generator
from pipelines.artefacts.shards import open_shards, split_fold
from tests.pipelines.conftest import FOLDER, GAN, draw_folder, only_error, succeed
from tfrecords_tools.reading import evaluation_batches

pytestmark = pytest.mark.slow

SETTINGS = {**GAN, "method": "bagan", "latent_dim": 6, "total_steps": 6, "checkpoint_every": 3}


@pytest.fixture(scope="module")
def bagan(shards: Path, launch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bagan") / "gan"
    succeed(launch("train_gan", shards=shards, workdir=folder, **SETTINGS))
    return folder


@pytest.fixture(scope="module")
def two_other_classes(launch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("pictures")
    succeed(launch("make_shards", input=draw_folder(root / "in"), output=root / "out", **FOLDER))
    return root / "out"


def means_of_latents(run: Path, shards: Path, *, folds: bool) -> np.ndarray:
    """Returns the mean latent of each class by the encoder of a run's last checkpoint."""
    loaded, opened = load_generator(str(run), "gan"), open_shards(str(shards), "shards")
    entries = split_fold(opened.manifest, 2, 0)[0] if folds else opened.manifest.split("train")
    newest = tf.train.latest_checkpoint(str(run / "checkpoints" / "gan"))
    encoder = read_encoder(newest, loaded.run.config, len(loaded.run.report.classes))
    batches = list(evaluation_batches(opened.read(entries), image_size=32, batch_size=64))
    latents = np.concatenate([apply_network(encoder, to_signed_float(batch["image"]), None) for batch in batches])
    labels = np.concatenate([batch["label"] for batch in batches])
    return np.stack([latents[labels == label].mean(axis=0) for label in (0, 1)])


def means_of_generator(run: Path) -> np.ndarray:
    return np.asarray(load_generator(str(run), "gan").network.get_layer("class_gaussians").means)


def test_the_generator_holds_the_gaussians_of_the_images_that_it_was_trained_on(bagan: Path, shards: Path):
    found = means_of_generator(bagan)
    np.testing.assert_allclose(found, means_of_latents(bagan, shards, folds=True), rtol=0, atol=1e-5)
    assert np.abs(found[0] - found[1]).max() > 1e-4


def test_a_run_that_ended_after_the_autoencoder_resumes_bit_for_bit(bagan: Path, shards: Path, launch, tmp_path: Path):
    folder = shutil.copytree(bagan, tmp_path / "gan")
    for name in ("COMPLETED", "report.json"):
        (folder / name).unlink()
    for name in ("checkpoints/gan", "samples"):
        shutil.rmtree(folder / name)
    succeed(launch("train_gan", shards=shards, workdir=folder, **SETTINGS))
    digests = [json.loads((run / "report.json").read_text())["generator_sha256"] for run in (bagan, folder)]
    assert digests[0] == digests[1]


def test_new_classes_are_given_gaussians_by_the_encoder_of_the_source(
    bagan: Path, two_other_classes: Path, launch, tmp_path: Path
):
    settings = {**SETTINGS, "num_folds": 0, "shards": two_other_classes, "workdir": tmp_path / "out"}
    succeed(launch("train_gan", init_from=bagan, **settings))
    found = means_of_generator(tmp_path / "out")
    np.testing.assert_allclose(
        found, means_of_latents(tmp_path / "out", two_other_classes, folds=False), rtol=0, atol=1e-5
    )
    np.testing.assert_allclose(found, means_of_latents(bagan, two_other_classes, folds=False), rtol=0, atol=1e-5)
    assert np.abs(found[0] - found[1]).max() > 1e-4


def test_without_its_encoder_a_run_is_refused_as_a_source(bagan: Path, two_other_classes: Path, launch, tmp_path: Path):
    copy = shutil.copytree(bagan, tmp_path / "copy", ignore=shutil.ignore_patterns("checkpoints"))
    settings = {**SETTINGS, "num_folds": 0, "shards": two_other_classes, "workdir": tmp_path / "out"}
    error = only_error(launch("train_gan", init_from=copy, **settings))
    assert error.startswith(f"error: --init_from={copy}: ")
    assert "checkpoints/gan" in error
