"""Steps with images that have no label."""

from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf

from melgan.classifiers import guessing
from melgan.classifiers.semi_supervised import SEMI_SUPERVISED
from melgan.classifiers.trainer import ClassifierTrainer, StreamFacts
from melgan.training.checkpoints import Checkpoints
from tests.melgan.classifiers.tiny_classifier import tiny_batch, tiny_config, train
from tests.melgan.without_tracing import without_tracing
from tfrecords_tools.foundation.errors import ConfigError

FACTS = StreamFacts(
    hiding=np.zeros((2, 2)), priors=np.array([[0.5, 0.5], [0.9, 0.1]]), is_own_metadata=np.full(2, True)
)
METHODS = ("mixmatch", "remixmatch", "fixmatch")  # between them they have all that a method may have
WITHOUT_LABEL = [2, 3]
SETTINGS = {"label_smoothing": 0.0, "warmup_fraction": 0.0, "auxiliary_weight": 0.0, "unlabelled_fraction": 0.5}


def half_labelled(labels=(0, 1, 0, 1), views=2, **metadata) -> dict[str, np.ndarray]:
    """A batch whose third and fourth image have no label, and are of stream 1."""
    batch = tiny_batch(list(labels), stream=[0, 0, 1, 1], **metadata)
    batch["targets"][WITHOUT_LABEL] = 0
    batch["is_labelled"][WITHOUT_LABEL] = False
    others = [batch["image"], *(np.flip(batch["image"], axis) for axis in (1, 2))]
    return batch | ({"views": np.stack(others[:views], axis=1)} if views > 1 else {})


@pytest.fixture
def make(one_device):
    def make(method="mixmatch", total_steps=10, **settings):
        config = tiny_config(**(SETTINGS | {"semi_supervised": method} | settings))
        return ClassifierTrainer(config, (8, 8), total_steps, one_device, facts=FACTS)

    return make


def ignore_images(trainer, *biases, head="logits") -> None:
    """Lets the model, and the average that guesses, say the same of every image."""
    for network, bias in zip((trainer.checkpointed["model"], trainer.average_model), biases, strict=True):
        layer = network.get_layer(head)
        layer.set_weights([np.zeros_like(layer.kernel), np.array(bias, np.float32)])


@pytest.mark.usefixtures("eager")
def test_a_mixmatch_step_by_hand(make, monkeypatch):
    """Without mixing: the cross-entropy of two labels, and 15 times the squared error of four views."""
    monkeypatch.setattr(guessing, "_ALPHA", 0.0)
    trainer = make(rampup_fraction=0.0)
    ignore_images(trainer, [0.0, 0.0], [np.log(3.0), 0.0])
    found = train(trainer, half_labelled(), 0, 1)
    assert found["loss"] == pytest.approx(np.log(2), rel=1e-5)
    guess = 9 / 10  # 3/4 : 1/4 squared and normalised
    assert found["consistency_loss"] == pytest.approx((guess - 0.5) ** 2, rel=1e-5)
    model = trainer.checkpointed["model"].get_layer("logits")
    momentum = next(v for v in trainer.checkpointed["optimizer"].variables if v.path.endswith("logits_bias_momentum"))
    # d/dz of (q - p)^2 for p = sigmoid(z), once for each of two logits; the labels' gradients cancel.
    expected = 15 * -2 * (guess - 0.5) * 0.25
    np.testing.assert_allclose(momentum / 0.1, [expected, -expected], rtol=1e-4)
    assert model.bias.numpy()[0] > 0


@pytest.mark.usefixtures("eager")
def test_while_the_weight_is_0_nothing_is_learned_from_guesses(make, monkeypatch):
    monkeypatch.setattr(guessing, "_ALPHA", 0.0)
    one, other = make(), make()
    ignore_images(one, [0.0, 0.0], [2.0, 0.0])
    ignore_images(other, [0.0, 0.0], [-2.0, 0.0])
    for trainer in (one, other):
        train(trainer, half_labelled(), 0, 1)  # step 0 of a ramp
    kernels = [trainer.checkpointed["model"].get_layer("logits").kernel.numpy() for trainer in (one, other)]
    np.testing.assert_allclose(*kernels, atol=1e-7)


def test_images_are_mixed_whether_labelled_or_not_and_each_keeps_more_than_half(make):
    trainer = make()
    ignore_images(trainer, [0.0, 0.0], [0.0, 0.0])
    batch = {name: tf.constant(values) for name, values in half_labelled().items()}
    examples, _ = trainer.examples(batch, 0)
    (own, rows), (theirs, partners) = examples.parts
    assert examples.images.shape == (6, 32, 32, 3)  # two labelled, two in two views
    assert (own.numpy() >= 0.5).all()
    np.testing.assert_allclose(own + theirs, 1, rtol=1e-6)
    assert len(set(np.round(own.numpy(), 5))) == 6
    np.testing.assert_allclose(rows["targets"], [[1, 0], [0, 1]] + [[0.5, 0.5]] * 4, atol=1e-6)
    assert rows["is_labelled"].numpy().tolist() == [True, True] + [False] * 4
    np.testing.assert_allclose(rows["weight"], [2, 2, 1, 1, 1, 1])  # both kinds count as a batch of four
    assert sorted(partners["is_labelled"].numpy().tolist()) == sorted(rows["is_labelled"].numpy().tolist())


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize(("confidence", "expected"), [(1.0, 0.0), (0.0, -np.log(0.5))])
def test_fixmatch_learns_from_guesses_that_exceed_the_confidence(make, confidence, expected):
    trainer = make("fixmatch", confidence=confidence)
    ignore_images(trainer, [0.0, 0.0], [np.log(3.0), 0.0])
    found = train(trainer, half_labelled(views=1), 0, 1)
    assert found["consistency_loss"] == pytest.approx(expected, rel=1e-5, abs=1e-12)
    assert all(np.isfinite(weight).all() for weight in trainer.checkpointed["model"].get_weights())


@pytest.mark.usefixtures("eager")
def test_normalisation_moves_once_a_step_by_all_that_is_trained_on(make, monkeypatch):
    monkeypatch.setattr(guessing, "_ALPHA", 0.0)
    trainer = make(guess_with="model")
    model = trainer.checkpointed["model"]
    first = next(layer for layer in model.layers if type(layer).__name__ == "BatchNormalization")
    inputs = first.input
    batch = half_labelled()
    trained = np.concatenate([batch["image"][:2], batch["views"][2:].reshape(4, 32, 32, 3)])
    means = keras.Model(model.inputs[0], inputs)(trained.astype(np.float32)).numpy().mean(axis=(0, 1, 2))
    train(trainer, batch, 0, 1)
    np.testing.assert_allclose(first.moving_mean, 0.1 * means, rtol=1e-3, atol=1e-4)


def test_guesses_are_aligned_with_what_their_stream_should_hold(make):
    """All guesses are 3 : 1; the mean of the guesses is still even; the stream should hold 9 : 1."""
    trainer = make("remixmatch", rampup_fraction=0.0, sharpening_temperature=1.0)
    ignore_images(trainer, [0.0, 0.0], [np.log(3.0), 0.0])
    batch = {name: tf.constant(values) for name, values in half_labelled(views=1).items()}
    examples, metrics = trainer.examples(batch, 0)
    np.testing.assert_allclose(examples.own["targets"][2:], [[27 / 28, 1 / 28]] * 2, rtol=1e-4)
    assert float(metrics["guesses_of_stream1_class0"]) == pytest.approx(1.5, rel=1e-5)
    assert float(metrics["guesses_of_stream0_class0"]) == 0


@pytest.mark.usefixtures("eager")
def test_the_mean_of_the_guesses_follows_what_is_guessed_in_each_stream(make):
    trainer = make("remixmatch")
    ignore_images(trainer, [0.0, 0.0], [np.log(3.0), 0.0])
    train(trainer, half_labelled(views=1), 0, 1)
    moved = 127 / 128 * 0.5 + 0.75 / 128
    np.testing.assert_allclose(trainer.checkpointed["guesses"], [[0.5, 0.5], [moved, 1 - moved]], rtol=1e-5)


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("method", METHODS)
def test_resumed_training_is_bitwise_the_undisturbed_one(make, tmp_path, one_device, op_determinism, method):
    batch = half_labelled(views=make(method)._config.semi_supervision.num_guesses, age_approx=[30, 60, 40, 50])
    undisturbed, resumed = (make(method, metadata="film", balanced_head=True) for _ in range(2))
    train(undisturbed, batch, 0, 2)
    Checkpoints(tmp_path, undisturbed, one_device).save(2)
    losses = train(undisturbed, batch, 2, 2)
    assert Checkpoints(tmp_path, resumed, one_device).restore() == 2
    assert train(resumed, batch, 2, 2) == losses
    for one, other in zip(resumed.average_model.get_weights(), undisturbed.average_model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_xla_compiles_the_method_that_has_the_most_in_it(make):
    method = "remixmatch"
    views = make(method)._config.semi_supervision.num_guesses
    plain, compiled = (make(method, metadata="concat", xla=xla, balanced_head=True) for xla in ("off", "on"))
    with without_tracing():
        expected = train(plain, half_labelled(views=views), 0, 1)
    found = train(compiled, half_labelled(views=views), 0, 1)
    assert set(found) == set(expected)
    assert np.isfinite(list(found.values())).all()
    for name in found:
        if name.startswith("guesses"):  # the others hang on random numbers, which compiled programs draw otherwise
            assert found[name] == pytest.approx(expected[name], rel=1e-3, abs=1e-5)


@pytest.mark.usefixtures("eager")
def test_the_balanced_head_predicts_and_every_class_counts_the_same_in_it(one_device):
    config = tiny_config(balanced_head=True, label_smoothing=0.0, auxiliary_weight=0.0)
    trainer = ClassifierTrainer(config, (12, 4), 10, one_device)
    model = trainer.checkpointed["model"]
    for head, bias in (("logits", [0.0, 0.0]), ("balanced", [np.log(3.0), 0.0])):
        layer = model.get_layer(head)
        layer.set_weights([np.zeros_like(layer.kernel), np.array(bias, np.float32)])
    trainer.average_model.set_weights(model.get_weights())
    batch = tiny_batch([0, 0, 0, 1])
    np.testing.assert_allclose(trainer.predictor(1).predict([batch]), [[0.75, 0.25]] * 4, rtol=1e-5)
    found = train(trainer, batch, 0, 1)
    by_hand = (3 * -np.log(0.75) / 3 + -np.log(0.25)) / 4
    assert found["balanced_loss"] == pytest.approx(by_hand, rel=1e-5)


def test_a_fraction_that_leaves_no_whole_images_is_refused(make):
    with pytest.raises(ConfigError, match=r"unlabelled_fraction is 0\.3; .* 4 images"):
        make(unlabelled_fraction=0.3)


def test_an_image_too_many_of_a_kind_counts_for_nothing(make):
    """Fractions are rounded, so that a batch may hold one image more without a label than its part."""
    trainer = make("fixmatch", confidence=0.0)
    batch = half_labelled(views=1)
    batch["is_labelled"][1], batch["targets"][1] = False, 0
    examples, _ = trainer.examples({name: tf.constant(values) for name, values in batch.items()}, 0)
    counted = examples.own["weight"].numpy()
    assert sorted(counted.tolist()) == [0, 2, 2, 2]
    assert replace(SEMI_SUPERVISED["fixmatch"], confidence=0.0).num_guesses == 1
