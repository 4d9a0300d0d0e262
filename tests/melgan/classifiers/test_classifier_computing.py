"""A classifier in half precision, compiled by XLA, and in parts of a batch: the same training, or nearly so."""

import numpy as np
import pytest
import tensorflow as tf

from melgan.classifiers.mixing import unmixed
from melgan.classifiers.trainer import ClassifierTrainer
from melgan.training.checkpoints import Checkpoints
from tests.melgan.classifiers.tiny_classifier import tiny_batch, tiny_config, train
from tfrecords_tools.foundation.errors import ConfigError

BATCH = tiny_batch([0, 1, 1, 0])


@pytest.fixture
def make_trainer(one_device):
    settings = {"warmup_fraction": 0.0, "learning_rate": 1e-4}
    return lambda **others: ClassifierTrainer(tiny_config(**settings | others), (8, 8), 100, one_device)


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_training_in_half_precision_is_near_that_in_single(make_trainer, precision):
    losses = {}
    for each in ("float32", precision):
        trainer = make_trainer(precision=each)
        losses[each] = train(trainer, BATCH, 0, 3)
        assert ("skipped_steps" in losses[each]) == (each == "float16")
        model = trainer.checkpointed["model"]
        assert all(variable.dtype == "float32" for variable in model.trainable_variables)
        assert [output.dtype for output in model.outputs] == ["float32", "float32"]
    assert losses[precision]["loss"] == pytest.approx(losses["float32"]["loss"], abs=0.05)
    assert losses[precision]["loss"] != losses["float32"]["loss"]


def test_predictions_are_in_single_precision_whatever_the_training_computes_in(make_trainer):
    probabilities = [make_trainer(precision=each).predictor(1).predict([BATCH]) for each in ("float32", "bfloat16")]
    np.testing.assert_array_equal(*probabilities)


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize(("saved", "restored"), [("float16", "float32"), ("float32", "float16")])
def test_a_training_resumes_in_another_precision(make_trainer, one_device, tmp_path, saved, restored):
    first, second = make_trainer(precision=saved), make_trainer(precision=restored)
    train(first, BATCH, 0, 2)
    Checkpoints(tmp_path, first, one_device).save(2)
    assert Checkpoints(tmp_path, second, one_device).restore() == 2
    for one, other in zip(first.average_model.get_weights(), second.average_model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert int(second.checkpointed["optimizer"].iterations) == 2
    assert np.isfinite(train(second, BATCH, 2, 1)["loss"])


def test_xla_takes_the_same_steps(make_trainer):
    losses = [train(make_trainer(xla=xla), BATCH, 0, 3) for xla in ("off", "on")]
    assert losses[1]["loss"] == pytest.approx(losses[0]["loss"], rel=1e-4)
    assert losses[1]["auxiliary_loss"] == pytest.approx(losses[0]["auxiliary_loss"], rel=1e-4)


def test_trying_xla_out_moves_nothing(make_trainer):
    trainer = make_trainer(xla="on", dropout=0.5)
    before = [*trainer.checkpointed["model"].get_weights(), *map(np.array, trainer.checkpointed["optimizer"].variables)]
    trainer.program_at(0)
    after = [*trainer.checkpointed["model"].get_weights(), *map(np.array, trainer.checkpointed["optimizer"].variables)]
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.usefixtures("eager")
def test_parts_of_a_batch_have_the_losses_of_the_whole_and_the_sum_of_their_gradients(make_trainer):
    trainer = make_trainer(accumulation=2, batch_size=4)
    mixture = unmixed(tf.cast(BATCH["image"], tf.float32), {name: tf.constant(of) for name, of in BATCH.items()})
    first, second = mixture.split(2)
    np.testing.assert_array_equal(tf.concat([first.images, second.images], axis=0), mixture.images)
    (one, losses), (other, more) = trainer.gradients(first), trainer.gradients(second)
    trainer = make_trainer(accumulation=2, batch_size=4, learning_rate=1.0, weight_decay=0.0)
    found = train(trainer, BATCH, 0, 1)
    assert found["loss"] == pytest.approx(float(losses["loss"] + more["loss"]), rel=1e-4)
    moments = [v for v in trainer.checkpointed["optimizer"].variables if v.path.endswith("momentum")]
    for moment, mine, theirs in zip(moments, one, other, strict=True):
        expected = (mine + theirs).numpy()
        assert np.linalg.norm(moment / 0.1 - expected) <= 1e-3 * np.linalg.norm(expected) + 1e-6


def test_parts_that_do_not_divide_the_batch_are_refused(make_trainer):
    with pytest.raises(ConfigError, match="accumulation is 3; .*4"):
        make_trainer(accumulation=3)
