"""From the command to the formula: few calls lie between train_gan and the losses that it trains with."""

import contextlib
import traceback
from pathlib import Path

import pytest
import tensorflow as tf

from melgan.gans.objectives import OBJECTIVES, Objective
from pipelines import train_gan
from pipelines.artefacts.generator_run import TrainGanConfig
from pipelines.training import opening
from tests.conftest import ROOT

MOST_CALLS = 8
OWN = (ROOT / "melgan", ROOT / "pipelines")

pytestmark = pytest.mark.slow


def calls_of_the_project(stack: traceback.StackSummary) -> list[str]:
    """The functions of the project on the way from `run`, which is left out, to the one that calls the objective."""
    own = [frame for frame in stack if any(Path(frame.filename).is_relative_to(folder) for folder in OWN)]
    names = [f"{Path(frame.filename).relative_to(ROOT)}: {frame.name}" for frame in own]
    return names[names.index("pipelines/train_gan.py: run") + 1 :]


def test_at_most_eight_calls_lead_from_the_command_to_the_formula(shards, tmp_path, monkeypatch):
    """Calls of functions of the project, the first from `run`, the last of the formula, which is here in the test."""
    ways: dict[str, list[str]] = {}

    def discriminator(real_logits, fake_logits, wrong_label_logits):
        ways["discriminator"] = calls_of_the_project(traceback.extract_stack())
        return tf.nn.softplus(fake_logits) - real_logits

    def generator(fake_logits, real_logits):
        ways["generator"] = calls_of_the_project(traceback.extract_stack())
        return -fake_logits

    monkeypatch.setitem(OBJECTIVES, "traced", Objective(discriminator=discriminator, generator=generator))
    monkeypatch.setattr(opening, "sigterm_as_request", lambda: contextlib.nullcontext(lambda: False))
    settings = {"method": "gan", "objective": "traced", "image_size": 32, "width": 0.02, "global_batch_size": 4}
    run = {"total_steps": 1, "strategy": "one_device", "xla": "off"}
    train_gan.run(TrainGanConfig(shards=str(shards), workdir=str(tmp_path / "gan"), **settings, **run))
    assert set(ways) == {"discriminator", "generator"}
    for way in ways.values():
        assert way[0] == "melgan/training/loop.py: run_loop"
        assert way[-1].startswith("melgan/gans/step.py: ")
        assert len(way) + 1 <= MOST_CALLS, way
