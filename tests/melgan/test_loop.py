import math
import shutil

import numpy as np
import pytest
import tensorflow as tf
from tiny_gan import CLASS_COUNTS, flat, tiny_batches, tiny_config

from melgan.errors import ConfigError, Preempted
from melgan.gan_trainer import GanTrainer
from melgan.loop import Checkpoints, LoopConfig, NonFiniteLoss, run_loop


class Walker:
    """A trainer of one weight, which moves by what each batch holds; its loss is where it stands."""

    def __init__(self):
        self.position = tf.Variable(0.0)
        self.calls = []

    @property
    def checkpointed(self):
        return {"position": self.position}

    def train_steps(self, batches, step, num_steps):
        for _ in range(int(num_steps)):
            self.position.assign_add(next(batches))
        self.calls.append((int(step), int(num_steps)))
        return {"loss": self.position.read_value()}


@pytest.fixture
def walk(tmp_path, one_device):
    """Returns a function that walks with a new trainer in one folder, each step as long as its number."""

    def walk(total_steps, *, lengths=range(100), stop_requested=lambda: False, **settings):
        walker = Walker()
        checkpoints = Checkpoints(tmp_path / "walk", walker, one_device)
        start_step = checkpoints.restore()
        logged, saved = {}, []
        settings = {"checkpoint_every": 3, "log_every": 2, "steps_per_call": 4} | settings
        run_loop(
            walker,
            checkpoints,
            iter(lengths[start_step:]),
            LoopConfig(total_steps=total_steps, **settings),
            start_step=start_step,
            on_metrics=lambda step, metrics: logged.update({step: metrics["loss"]}),
            on_checkpoint=saved.append,
            stop_requested=stop_requested,
        )
        return walker, logged, saved

    walk.folder = tmp_path / "walk"
    return walk


def steps_on_disk(folder):
    return sorted(int(path.stem.split("-")[1]) for path in folder.glob("ckpt-*.index"))


def test_logs_and_checkpoints_come_when_due_and_at_the_end(walk):
    walker, logged, saved = walk(7)
    assert logged == {2: 1.0, 4: 6.0, 6: 15.0, 7: 21.0}
    assert saved == [3, 6, 7]
    assert walker.calls == [(0, 2), (2, 1), (3, 1), (4, 2), (6, 1)]


def test_steps_per_call_limits_a_call(walk):
    walker, _, _ = walk(10, checkpoint_every=10, log_every=10)
    assert walker.calls == [(0, 4), (4, 4), (8, 2)]


def test_the_last_two_checkpoints_stay(walk):
    walk(7)
    assert steps_on_disk(walk.folder) == [6, 7]


def test_longer_run_goes_on_where_the_shorter_one_ended(walk):
    walk(4)
    walker, logged, saved = walk(7)
    assert walker.calls[0][0] == 4
    assert (logged, saved) == ({6: 15.0, 7: 21.0}, [6, 7])
    assert walk(7)[0].calls == []


def test_request_to_stop_saves_and_raises(walk):
    requests = iter([False, True])
    with pytest.raises(Preempted, match="stopped at step 2; "):
        walk(7, steps_per_call=1, stop_requested=lambda: next(requests))
    assert steps_on_disk(walk.folder) == [2]
    assert float(walk(7)[0].position) == 21.0


def test_request_to_stop_at_the_end_is_no_interruption(walk):
    walker, _, saved = walk(2, stop_requested=lambda: True)
    assert (float(walker.position), saved) == (1.0, [2])


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_loss_that_is_not_finite_stops_and_names_the_last_good_checkpoint(walk, bad):
    lengths = [1.0, 1.0, 1.0, 1.0, bad, 1.0, 1.0]
    with pytest.raises(NonFiniteLoss, match=f"^loss is {bad} at step 5; the last good checkpoint is that of step 3"):
        walk(7, lengths=lengths, steps_per_call=1)
    assert steps_on_disk(walk.folder) == [3]


def test_empty_folder_starts_at_step_0(tmp_path, one_device):
    assert Checkpoints(tmp_path / "none", Walker(), one_device).restore() == 0


def test_checkpoint_that_cannot_be_written_is_named(tmp_path, one_device):
    checkpoints = Checkpoints(tmp_path / "gone", Walker(), one_device)
    shutil.rmtree(tmp_path / "gone", ignore_errors=True)
    (tmp_path / "gone").write_text("a file where the folder was")
    with pytest.raises(OSError, match="gone: the checkpoint of step 3 was not saved"):
        checkpoints.save(3)


@pytest.fixture(scope="module")
def gan_folder(tmp_path_factory, one_device):
    """The folder of a checkpoint of a tiny GAN."""
    folder = tmp_path_factory.mktemp("gan")
    Checkpoints(folder, GanTrainer(tiny_config(), CLASS_COUNTS, one_device), one_device).save(1)
    return folder


@pytest.mark.parametrize(
    "make_other",
    [
        lambda strategy: GanTrainer(tiny_config(width=0.2), CLASS_COUNTS, strategy),
        lambda strategy: GanTrainer(tiny_config(), (5, 5, 5), strategy),
        lambda strategy: GanTrainer(tiny_config(image_size=64), CLASS_COUNTS, strategy),
        lambda strategy: Walker(),
    ],
    ids=["width", "classes", "image_size", "trainer"],
)
def test_checkpoint_of_another_model_is_refused(gan_folder, one_device, make_other):
    with pytest.raises(ConfigError, match="ckpt-1: does not fit this model"):
        Checkpoints(gan_folder, make_other(one_device), one_device).restore()


def test_damaged_checkpoint_is_refused(gan_folder, tmp_path, one_device):
    folder = shutil.copytree(gan_folder, tmp_path / "damaged")
    data = next(folder.glob("*.data-*"))
    data.write_bytes(data.read_bytes()[:1000])
    with pytest.raises(ConfigError, match="ckpt-1"):
        Checkpoints(folder, GanTrainer(tiny_config(), CLASS_COUNTS, one_device), one_device).restore()


def test_resumed_gan_is_bitwise_the_undisturbed_one(tmp_path, one_device, op_determinism):
    """Also for another number of steps per call."""

    def train(trainer, total_steps, *, folder, start_step=None, steps_per_call=1):
        checkpoints = Checkpoints(tmp_path / folder, trainer, one_device)
        start_step = checkpoints.restore() if start_step is None else start_step
        losses = {}
        run_loop(
            trainer,
            checkpoints,
            tiny_batches(start_step),
            LoopConfig(total_steps=total_steps, checkpoint_every=9, log_every=9, steps_per_call=steps_per_call),
            start_step=start_step,
            on_metrics=lambda step, metrics: losses.update(metrics),
            on_checkpoint=lambda step: None,
        )
        return losses

    config = tiny_config(disc_steps=2)
    undisturbed = GanTrainer(config, CLASS_COUNTS, one_device)
    undisturbed.start_average()
    train(undisturbed, 2, folder="interrupted")
    losses = train(undisturbed, 4, folder="undisturbed", start_step=2)

    resumed = GanTrainer(config, CLASS_COUNTS, one_device)
    assert train(resumed, 4, folder="interrupted", steps_per_call=2) == losses
    for name, part in resumed.checkpointed.items():
        np.testing.assert_array_equal(
            flat(part.variables), flat(undisturbed.checkpointed[name].variables), err_msg=name
        )
    assert int(resumed.checkpointed["discriminator_optimizer"].iterations) == 8
    assert int(resumed.checkpointed["generator_optimizer"].iterations) == 4
