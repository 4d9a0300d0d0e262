import pytest
import tensorflow as tf

from melgan.gans.augmentations import AUGMENTATIONS, Augmentation
from melgan.gans.trainer import GanTrainer
from melgan.training.compiling import compiles, reason_not_to_compile
from tests.melgan.gans.tiny_gan import CLASS_COUNTS, flat, take_steps, tiny_batches, tiny_config
from tfrecords_tools.foundation.errors import ConfigError


def weights(trainer):
    """All that a step assigns, by name."""
    networks = {name: trainer.checkpointed[name] for name in ("generator", "trunk", "head")}
    return {name: flat(network.get_weights()) for name, network in networks.items()}


def without_xla(images, draws, strength, parts):
    """An operation that XLA does not have, and that changes nothing."""
    del draws, strength, parts
    return images + 0.0 * tf.cast(tf.strings.length(tf.strings.as_string(images)), images.dtype)


@pytest.fixture
def config(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(AUGMENTATIONS, "without_xla", Augmentation(without_xla))
    return lambda **settings: tiny_config(augmentation="without_xla", **settings)


def test_functions_that_compile_are_run_once_and_leave_no_trace():
    variable = tf.Variable([1.0, 2.0])
    program = tf.function(lambda: variable.assign_add([1.0, 1.0]), jit_compile=True)
    assert reason_not_to_compile(program, [variable]) == ""
    assert variable.numpy().tolist() == [1.0, 2.0]


def test_a_function_that_xla_cannot_compile_is_named_and_leaves_no_trace():
    variable = tf.Variable([1.0, 2.0])
    program = tf.function(lambda: tf.strings.as_string(variable), jit_compile=True)

    def run():
        variable.assign([7.0, 7.0])
        program()

    assert "AsString" in reason_not_to_compile(run, [variable])
    assert variable.numpy().tolist() == [1.0, 2.0]


def test_where_xla_was_not_asked_for_training_goes_on_without_it(config, one_device, monkeypatch):
    plain = GanTrainer(config(xla="off"), CLASS_COUNTS, one_device)
    expected = take_steps(plain, tiny_batches(), count=2)
    monkeypatch.setattr("melgan.gans.trainer.compiles", lambda xla, strategy: True)
    trainer = GanTrainer(config(xla="auto"), CLASS_COUNTS, one_device)
    found = take_steps(trainer, tiny_batches(), count=2)
    assert {name: values.tolist() for name, values in found.items()} == {
        name: values.tolist() for name, values in expected.items()
    }


def test_a_user_who_insists_on_xla_is_told_why_it_cannot_be(config, one_device):
    trainer = GanTrainer(config(xla="on"), CLASS_COUNTS, one_device)
    before = weights(trainer)
    with pytest.raises(ConfigError, match="AsString"):
        trainer.program_at(0)
    for name, values in weights(trainer).items():
        assert values.tolist() == before[name].tolist()


def test_trying_a_program_out_changes_nothing(one_device):
    trainer = GanTrainer(tiny_config(xla="on", precision="float16"), CLASS_COUNTS, one_device)
    before = weights(trainer)
    scales = [float(scale) for scale in tf.nest.flatten(trainer.checkpointed_by_device)]
    trainer.program_at(0)
    assert {name: values.tolist() for name, values in weights(trainer).items()} == {
        name: values.tolist() for name, values in before.items()
    }
    assert [float(scale) for scale in tf.nest.flatten(trainer.checkpointed_by_device)] == scales
    assert int(trainer.checkpointed["generator_optimizer"].iterations) == 0


def test_one_device_compiles_if_asked(one_device):
    assert compiles("on", one_device)
    assert not compiles("off", one_device)
    assert compiles("auto", one_device) == bool(tf.config.list_physical_devices("GPU"))
