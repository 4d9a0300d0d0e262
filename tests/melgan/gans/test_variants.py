"""What every preset holds, settings beside the presets hold too: compiled, resumed, in half precision."""

import numpy as np
import pytest

from melgan.gans.trainer import GanTrainer
from melgan.training.checkpoints import Checkpoints
from tests.melgan.gans.tiny_gan import (
    CLASS_COUNTS,
    enlarge_weights,
    flat,
    program_for_accelerator,
    take_steps,
    tiny_batches,
    tiny_config,
)
from tests.melgan.gans.variants import VARIANTS

SMALL = {"width": 0.02, "autoencoder_epochs": 0}
QUICK = [name for name in VARIANTS if VARIANTS[name].get("method") != "sagan"]  # whose programs take half a minute


@pytest.fixture(params=VARIANTS)
def settings(request):
    return SMALL | VARIANTS[request.param]


def make_trainer(strategy, settings, **others):
    trainer = GanTrainer(tiny_config(**(settings | others)), CLASS_COUNTS, strategy)
    trainer.start_average()
    enlarge_weights(trainer.networks.generator)
    return trainer


def state(trainer):
    """Returns all that a checkpoint holds, as one vector."""
    parts = [getattr(part, "variables", part) for part in trainer.checkpointed.values()]
    return flat(variable for part in parts for variable in (part if isinstance(part, list) else [part]))


def test_the_program_for_an_accelerator_has_static_shapes_and_calls_no_library(one_device, settings):
    program = program_for_accelerator(make_trainer(one_device, settings))
    assert "[<=" not in program
    assert "custom-call" not in program


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("name", QUICK)
def test_a_training_resumes_bit_for_bit(one_device, name, tmp_path, op_determinism):
    undisturbed, resumed = (make_trainer(one_device, SMALL | VARIANTS[name]) for _ in range(2))
    batches = tiny_batches()
    take_steps(undisturbed, batches, count=2)
    Checkpoints(tmp_path, undisturbed, one_device).save(2)
    take_steps(undisturbed, batches, first=2)
    assert Checkpoints(tmp_path, resumed, one_device).restore() == 2
    metrics = take_steps(resumed, tiny_batches(2 * resumed.batches_per_step), first=2)
    np.testing.assert_array_equal(state(resumed), state(undisturbed))
    assert all(np.isfinite(values).all() for values in metrics.values())


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("name", QUICK)
def test_half_precision_learns_with_a_factor_of_the_loss(one_device, name):
    trainer = make_trainer(one_device, SMALL | VARIANTS[name], precision="float16")
    before = state(trainer)
    metrics = take_steps(trainer, tiny_batches(), count=3)
    assert all(np.isfinite(values).all() for values in metrics.values())
    assert metrics["skipped_steps"][-1] == 0
    assert np.isfinite(state(trainer)).all()
    assert not np.array_equal(state(trainer), before)
