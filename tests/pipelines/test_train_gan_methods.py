"""Every method as a run that ends between two checkpoints: it is finished bit for bit as if nothing had.

What comes and goes with a process does not depend on the method, but on what goes before the GAN and what is read with
the images: three methods between them have it all, and end as processes do. The others end and go on in this one.
"""

import os
import shutil
import signal
from collections.abc import Iterator
from dataclasses import replace

import keras
import pytest
import tensorflow as tf
from tensorflow.python.framework.config import disable_op_determinism

from melgan.gans.architectures import ARCHITECTURES
from melgan.gans.methods import METHODS
from melgan.training.checkpoints import whole_steps
from pipelines import train_gan
from pipelines.artefacts.generator_run import TrainGanConfig
from pipelines.training import opening
from tests.melgan.without_tracing import without_tracing
from tests.pipelines.conftest import GAN, start_command, succeed
from tests.pipelines.test_train_gan_resume import assert_equal, before_the_last_checkpoint, wait_while_running

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

SETTINGS = {**GAN, "width": 0.02, "disc_steps": 1, "total_steps": 5, "checkpoint_every": 2, "log_every": 1}
SETTINGS |= {"autoencoder_epochs": 0, "phase_epochs": 0.0, "steps_per_call": 1}
AS_PROCESSES = ("gan", "bagan", "cpggan")  # batches of their own in a step; an autoencoder and Gaussians; boxes


def settings_of(method: str) -> dict:
    """Those of every method, an autoencoder for those that begin with one, and classes that come in within 5 steps."""
    has_encoder = ARCHITECTURES[METHODS[method]["architecture"]].has_encoder
    passes = {"conditional_from_epochs": 0.0, "conditional_until_epochs": 0.1}
    within = passes if "conditional_until_epochs" in METHODS[method] else {}
    return SETTINGS | within | {"method": method, "autoencoder_epochs": int(has_encoder)}


@pytest.mark.parametrize("method", AS_PROCESSES)
def test_a_run_that_ends_anywhere_is_finished_as_the_undisturbed_one(method, boxed_shards, launch, tmp_path):
    """What SIGKILL would leave on the disk is copied from a run that is held for the moment, and then continues."""
    settings, undisturbed, ended = {**settings_of(method), "shards": boxed_shards}, tmp_path / "a", tmp_path / "b"
    run = start_command("train_gan", tmp_path / "log", workdir=undisturbed, **settings)
    wait_while_running(run, lambda: bool(whole_steps(undisturbed / "checkpoints" / "gan")), pause=0.005)
    os.killpg(run.pid, signal.SIGSTOP)
    shutil.copytree(undisturbed, ended)
    os.killpg(run.pid, signal.SIGCONT)
    assert whole_steps(ended / "checkpoints" / "gan") == [2]
    assert run.wait() == 0, (tmp_path / "log").read_text()
    succeed(launch("train_gan", workdir=ended, **settings))
    assert_equal(ended, undisturbed)


@pytest.fixture
def in_this_process(monkeypatch) -> Iterator[None]:
    """Untraced, operations run one after the other, which a process that has run some cannot be asked for any more."""
    monkeypatch.setattr(opening, "make_deterministic", tf.config.experimental.enable_op_determinism)
    with without_tracing():
        yield
    disable_op_determinism()


def train_as_a_process_would(config: TrainGanConfig) -> None:
    """Trains with the names of layers, which Keras numbers, of a process that has built no others."""
    keras.utils.clear_session()
    train_gan.run(config)


@pytest.mark.parametrize("method", [method for method in METHODS if method not in AS_PROCESSES])
@pytest.mark.usefixtures("in_this_process")
def test_a_run_of_which_the_last_checkpoint_is_lost_is_finished_as_the_undisturbed_one(method, boxed_shards, tmp_path):
    config = TrainGanConfig(**settings_of(method), shards=str(boxed_shards), workdir=str(tmp_path / "undisturbed"))
    train_as_a_process_would(config)
    folder = before_the_last_checkpoint(tmp_path / "undisturbed", tmp_path / "ended", config.total_steps)
    assert whole_steps(folder / "checkpoints" / "gan") == [4]
    train_as_a_process_would(replace(config, workdir=str(folder)))
    assert_equal(folder, tmp_path / "undisturbed")
