import math
import re
import shutil

import numpy as np
import pytest

from melgan.gans.trainer import GanTrainer
from melgan.training.checkpoints import Checkpoints, whole_steps
from melgan.training.loop import LoopConfig, NonFiniteLoss, run_loop
from tests.melgan.gans.tiny_gan import CLASS_COUNTS, flat, tiny_batches, tiny_config
from tests.melgan.training.walker import Returner, Strider, Walker
from tfrecords_tools.foundation.errors import Preempted


class Diary:
    """Callbacks that hand out batches and write down what happens."""

    def __init__(self, batches_from, stop_requested=lambda: False):
        self.batches_from, self.stop_requested = batches_from, stop_requested
        self.metrics, self.saved, self.rollbacks = {}, [], []

    def on_metrics(self, step, metrics):
        self.metrics[step] = metrics

    def on_checkpoint(self, step):
        self.saved.append(step)

    def on_rollback(self, step):
        self.rollbacks.append(step)

    @property
    def logged(self):
        return {step: metrics["loss"] for step, metrics in self.metrics.items()}


@pytest.fixture
def walk(tmp_path, one_device):
    """Returns a function that walks with a new trainer in one folder, each step as long as its number."""

    def walk(total_steps, *, lengths=range(100), stop_requested=lambda: False, trainer=Walker, diary=None, **settings):
        walker = trainer()
        checkpoints = Checkpoints(tmp_path / "walk", walker, one_device)
        diary = diary or Diary(lambda first: iter(lengths[first:]), stop_requested)
        settings = {"checkpoint_every": 3, "log_every": 2, "steps_per_call": 4} | settings
        config = LoopConfig(total_steps=total_steps, **settings)
        run_loop(walker, checkpoints, config, diary, start_step=checkpoints.restore())
        return walker, diary.logged, diary.saved

    walk.folder = tmp_path / "walk"
    return walk


def test_logs_and_checkpoints_come_when_due_and_at_the_end(walk):
    """Positions are 0, 1, 3, 6, 10, 15, 21; the line of step 4 is of that step alone, as step 3 has a checkpoint."""
    walker, logged, saved = walk(7)
    assert logged == {2: 0.5, 4: 6.0, 6: 12.5, 7: 21.0}
    assert saved == [3, 6, 7]
    assert walker.calls == [(0, 2), (2, 1), (3, 1), (4, 2), (6, 1)]


def test_logged_is_the_mean_since_the_last_line_in_however_many_calls(walk, tmp_path):
    settings = {"checkpoint_every": 10, "log_every": 5}
    walker, logged, _ = walk(10, steps_per_call=2, **settings)
    assert walker.calls == [(0, 2), (2, 2), (4, 1), (5, 2), (7, 2), (9, 1)]
    assert logged == {5: (0 + 1 + 3 + 6 + 10) / 5, 10: (15 + 21 + 28 + 36 + 45) / 5}
    shutil.rmtree(walk.folder)
    assert walk(10, steps_per_call=10, **settings)[1] == logged


def test_steps_per_call_limits_a_call(walk):
    walker, _, _ = walk(10, checkpoint_every=10, log_every=10)
    assert walker.calls == [(0, 4), (4, 4), (8, 2)]


def test_no_call_crosses_the_step_where_another_program_begins(walk):
    """Positions are 0, 1, 3, 6, 10, and from step 5 on, walking back, 5, -1, -8."""
    walker, logged, _ = walk(8, trainer=Returner, checkpoint_every=100, log_every=100, steps_per_call=4)
    assert walker.calls == [(0, 4), (4, 1), (5, 3)]
    assert float(walker.position) == -8.0
    assert logged == {8: (0 + 1 + 3 + 6 + 10 + 5 - 1 - 8) / 8}


def test_every_metric_is_logged_by_its_name(walk):
    diary = Diary(lambda first: iter(range(first, 100)))
    walk(2, diary=diary)
    assert diary.metrics == {2: {"length": 1.0, "loss": 0.5}}


def test_longer_run_goes_on_where_the_shorter_one_ended(walk):
    walk(4)
    walker, logged, saved = walk(7)
    assert walker.calls[0][0] == 4
    assert (logged, saved) == ({6: 12.5, 7: 21.0}, [6, 7])
    assert walk(7)[0].calls == []


def test_run_that_goes_on_from_a_checkpoint_logs_what_an_undisturbed_one_does(walk):
    def die_in_step_5():
        yield from [False, False, False]
        raise KeyboardInterrupt

    asked = die_in_step_5()
    with pytest.raises(KeyboardInterrupt):
        walk(7, stop_requested=lambda: next(asked))
    assert whole_steps(walk.folder) == [3]
    assert walk(7)[1] == {4: 6.0, 6: 12.5, 7: 21.0}


def test_position_in_the_data_counts_batches(walk):
    """Of two batches a step: 0 + 1, then 2 + 3, then, gone on with, 4 + 5."""
    walk(2, trainer=Strider)
    walker, _, _ = walk(3, trainer=Strider)
    assert walker.calls == [(2, 1)]
    assert float(walker.position) == 15.0


def test_request_to_stop_saves_and_raises(walk):
    requests = iter([False, True])
    with pytest.raises(Preempted, match=" 2"):
        walk(7, steps_per_call=1, stop_requested=lambda: next(requests))
    assert whole_steps(walk.folder) == [2]
    assert float(walk(7)[0].position) == 21.0


def test_request_to_stop_at_the_end_is_no_interruption(walk):
    walker, _, saved = walk(2, stop_requested=lambda: True)
    assert (float(walker.position), saved) == (1.0, [2])


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_loss_that_is_not_finite_stops_and_names_the_last_good_checkpoint(walk, bad):
    """In the middle of a call, whose last step would be finite again."""
    lengths = [1.0, 1.0, 1.0, 1.0, bad, -bad, 1.0]
    with pytest.raises(NonFiniteLoss) as stopped:
        walk(7, lengths=lengths, log_every=100)
    assert re.search(rf"loss.* {bad} .* 5;.*{walk.folder / 'ckpt-3'}", str(stopped.value))
    assert whole_steps(walk.folder) == [3]


def test_without_a_checkpoint_there_is_none_to_name(walk):
    with pytest.raises(NonFiniteLoss, match="loss.* nan .* 2;.* none"):
        walk(7, lengths=[1.0, math.nan, 1.0])


def test_the_first_step_and_the_first_term_in_it_are_named(walk):
    class Both(Walker):
        def walk(self, batches, first, num_steps):
            del batches, first, num_steps
            return {"penalty": [1.0, 1.0, math.inf], "loss": [1.0, math.nan, math.nan], "norm": [1.0, math.inf, 1.0]}

    with pytest.raises(NonFiniteLoss, match="^loss.* nan .* 2;"):
        walk(3, trainer=Both)


class Hurdle:
    """Lengths of 1, and NaN at some steps (counted from 0) the first time or times that they are read."""

    def __init__(self, **times):
        self._times = {int(step.removeprefix("step_")): count for step, count in times.items()}
        self.starts = []

    def __getitem__(self, part):
        self.starts.append(part.start)
        return self._from(part.start)

    def _from(self, step):
        while True:
            bad = self._times.get(step, 0) > 0
            self._times[step] = self._times.get(step, 0) - 1
            yield math.nan if bad else 1.0
            step += 1


def test_rollback_goes_on_from_the_newest_checkpoint_with_the_next_attempt(walk, caplog):
    """Three steps of 1, a fall in step 5, and four more of 1 + 1 from step 3 on."""
    lengths = Hurdle(step_4=1)
    diary = Diary(lambda first: iter(lengths[first:]))
    walker, logged, saved = walk(7, diary=diary, max_rollbacks=3, steps_per_call=1)
    assert float(walker.position) == 3 + 4 * 2
    assert (int(walker.attempt), diary.rollbacks, lengths.starts) == (1, [3], [0, 3])
    assert logged == {2: 1.5, 4: 5.0, 6: 8.0, 7: 11.0}
    assert saved == [3, 6, 7]
    (warning,) = caplog.records
    assert re.search(rf"loss.* nan .* 5;.*{walk.folder / 'ckpt-3'}.* 1 of 3", warning.getMessage())


def test_rollback_before_the_first_checkpoint_goes_back_to_step_0(walk):
    walker, _, _ = walk(4, lengths=Hurdle(step_1=2), max_rollbacks=3)
    assert float(walker.position) == 4 * (1 + 2)  # the third attempt


def test_second_rollback_to_a_checkpoint_draws_anew(walk):
    walker, _, _ = walk(7, lengths=Hurdle(step_4=2), max_rollbacks=3)
    assert float(walker.position) == 3 + 4 * (1 + 2)


def test_after_three_rollbacks_it_stops(walk):
    lengths = Hurdle(step_4=9)
    diary = Diary(lambda first: iter(lengths[first:]))
    with pytest.raises(NonFiniteLoss, match=rf"loss.* nan .* 5 .* 3 .*{walk.folder / 'ckpt-3'}"):
        walk(7, diary=diary, max_rollbacks=3)
    assert diary.rollbacks == [3, 3, 3]


def test_rollbacks_are_counted_over_the_whole_training(walk):
    """Two, a checkpoint, and in a run that goes on a third; the fourth is one too many."""
    walk(6, lengths=Hurdle(step_1=1, step_4=1), max_rollbacks=3)
    with pytest.raises(NonFiniteLoss, match="^loss.* nan .* 9 .* 3 "):
        walk(12, lengths=Hurdle(step_7=1, step_8=9), max_rollbacks=3)


def test_resumed_gan_is_bitwise_the_undisturbed_one(tmp_path, one_device, op_determinism):
    """Also for another number of steps per call."""

    def train(trainer, total_steps, *, folder, start_step=None, steps_per_call=1):
        checkpoints = Checkpoints(tmp_path / folder, trainer, one_device)
        start_step = checkpoints.restore() if start_step is None else start_step
        config = LoopConfig(total_steps=total_steps, checkpoint_every=9, log_every=9, steps_per_call=steps_per_call)
        diary = Diary(tiny_batches)
        run_loop(trainer, checkpoints, config, diary, start_step=start_step)
        return diary.metrics

    config = tiny_config(disc_steps=2)
    undisturbed = GanTrainer(config, CLASS_COUNTS, one_device)
    undisturbed.start_average()
    train(undisturbed, 2, folder="interrupted")
    losses = train(undisturbed, 4, folder="undisturbed", start_step=2)

    resumed = GanTrainer(config, CLASS_COUNTS, one_device)
    assert train(resumed, 4, folder="interrupted", steps_per_call=2) == losses
    networks = [name for name, part in resumed.checkpointed.items() if hasattr(part, "variables")]
    assert len(networks) == 6
    for name in networks:
        values, expected = (flat(trainer.checkpointed[name].variables) for trainer in (resumed, undisturbed))
        np.testing.assert_array_equal(values, expected, err_msg=name)
    assert int(resumed.checkpointed["discriminator_optimizer"].iterations) == 8
    assert int(resumed.checkpointed["generator_optimizer"].iterations) == 4


def test_every_attempt_has_random_numbers_of_its_own(one_device):
    trainer = GanTrainer(tiny_config(), CLASS_COUNTS, one_device)
    first = trainer.draws(3).normal(8)
    trainer.attempt.assign(1)
    second = trainer.draws(3).normal(8)
    trainer.attempt.assign(0)
    assert abs(np.corrcoef(np.ravel(first), np.ravel(second))[0, 1]) < 0.6
    np.testing.assert_array_equal(trainer.draws(3).normal(8), first)
