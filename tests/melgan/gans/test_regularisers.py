"""Terms of the REGULARISERS table: what a hook gets, and what becomes of what it returns."""

import math

import numpy as np
import pytest
import tensorflow as tf

from melgan.gans.regularisers import REGULARISERS
from melgan.gans.regularisers.interface import Regulariser, Term
from melgan.gans.step import Use
from melgan.gans.trainer import GanTrainer
from melgan.training.randomness import Draws
from tests.melgan.gans.tiny_gan import (
    CLASS_COUNTS,
    discriminator_gradients,
    enlarge_weights,
    flat,
    generator_gradients,
    random_table,
    shown_to,
    take_steps,
    tiny_batch,
    tiny_batches,
    tiny_config,
)
from tfrecords_tools.foundation.errors import ConfigError

LOGIT = 0.7  # of every image, where a test makes all equal


def squared_logits(seen, draws):
    """The mean of an image's and of a fake's squared logit."""
    del draws
    return (seen.real_logits**2 + seen.fake_logits**2) / 2


def squared_pixels(made, draws):
    """The mean over the pixels of a fake."""
    del draws
    return tf.reduce_mean(made.fake_images**2, axis=[1, 2, 3])


def as_term(hook):
    """Returns a hook whose values are those of another, and from which nothing is learnt."""
    return lambda seen, draws: Term(hook(seen, draws))


@pytest.fixture
def make_trainer(monkeypatch, one_device):
    """Makes a trainer with a regulariser of given hooks, which the table knows as `made_up`."""

    def make_trainer(discriminator=None, generator=None, **settings):
        hooks = [None if hook is None else as_term(hook) for hook in (discriminator, generator)]
        monkeypatch.setitem(REGULARISERS, "made_up", lambda subject: Regulariser(*hooks))
        trainer = GanTrainer(tiny_config(**({"regulariser": "made_up"} | settings)), CLASS_COUNTS, one_device)
        enlarge_weights(trainer.networks.generator)
        enlarge_weights(trainer.networks.discriminator)
        return trainer

    return make_trainer


def of_discriminator(trainer, draws=None):
    gradients, terms = discriminator_gradients(trainer, *shown_to(trainer, tiny_batch()), draws or trainer.draws(0))
    return flat(gradients), {name: float(value) for name, value in terms.items()}


def of_generator(trainer):
    gradients, terms = generator_gradients(trainer, *shown_to(trainer, tiny_batch()), trainer.draws(0))
    return flat(gradients), {name: float(value) for name, value in terms.items()}


def with_equal_logits(trainer):
    """Gives every image the same logit, the bias of the last layer."""
    layer = trainer.networks.discriminator.head.get_layer("logit")
    *others, bias = layer.get_weights()
    layer.set_weights([*(0 * weight for weight in others), np.full_like(bias, LOGIT)])
    return trainer


def with_equal_pixels(trainer):
    """Makes all pixels of all fakes tanh(artanh(0.5)) = 0.5."""
    layer = trainer.networks.generator.get_layer("up_32")
    *others, bias = layer.get_weights()
    layer.set_weights([*(0 * weight for weight in others), np.full_like(bias, math.atanh(0.5))])
    return trainer


@pytest.mark.parametrize("weight", [0.5, 3.0])
def test_a_term_of_the_discriminator_counts_by_its_weight(make_trainer, weight):
    """The logits are a bias b: the term is b^2, its derivative 2 b."""
    plain = with_equal_logits(make_trainer())
    trainer = with_equal_logits(make_trainer(squared_logits, regulariser_weight=weight))
    expected, terms = of_discriminator(plain)
    gradients, own_terms = of_discriminator(trainer)
    assert own_terms == terms | {"discriminator_regulariser": pytest.approx(LOGIT**2, rel=1e-6)}
    variables = trainer.networks.discriminator.trainable_variables
    by_hand = flat(tf.fill(v.shape, 2 * LOGIT * ("logit/bias" in v.path)) for v in variables)
    assert np.count_nonzero(by_hand) == 1
    features = flat(tf.ones(v.shape) * ("logit/kernel" in v.path) for v in variables) > 0  # not 0 by hand
    difference = gradients - expected
    np.testing.assert_allclose(difference[~features], weight * by_hand[~features], atol=1e-5)
    np.testing.assert_array_equal(of_generator(trainer)[0], of_generator(plain)[0])


@pytest.mark.parametrize("weight", [0.5, 3.0])
def test_a_term_of_the_generator_counts_by_its_weight(make_trainer, weight):
    """Pixels are p = tanh(b) = 0.5: the term is p^2, its derivative by the bias of a channel 2 p (1 - p^2) / 3."""
    plain = with_equal_pixels(make_trainer())
    trainer = with_equal_pixels(make_trainer(generator=squared_pixels, regulariser_weight=weight))
    expected, terms = of_generator(plain)
    gradients, own_terms = of_generator(trainer)
    assert own_terms == terms | {"generator_regulariser": pytest.approx(0.25, rel=1e-5)}
    variables = trainer.networks.generator.trainable_variables
    by_hand = flat(tf.fill(v.shape, 0.25 * ("up_32/bias" in v.path)) for v in variables)
    assert np.count_nonzero(by_hand) == 3
    features = flat(tf.ones(v.shape) * ("up_32/kernel" in v.path) for v in variables) > 0  # not 0 by hand
    difference = gradients - expected
    np.testing.assert_allclose(difference[~features], weight * by_hand[~features], atol=1e-5)
    np.testing.assert_array_equal(of_discriminator(trainer)[0], of_discriminator(plain)[0])


@pytest.mark.parametrize("weight", [0.5, 3.0])
def test_gradients_change_by_the_weight_times_those_of_the_term(make_trainer, weight):
    plain = make_trainer()
    trainer = make_trainer(squared_logits, squared_pixels, regulariser_weight=weight)
    images, labels = shown_to(trainer, tiny_batch())
    draws, step = trainer.draws(0), trainer.step_at()
    fakes, fake_labels, _ = step.generate(labels, draws)
    with tf.GradientTape(persistent=True) as tape:
        logits = step.discriminator(images, labels), step.discriminator(fakes, fake_labels)
        term = tf.reduce_mean(logits[0] ** 2 + logits[1] ** 2) / 2
        made = tf.reduce_mean(step.generate(labels, draws)[0] ** 2)
    pairs = (
        (of_discriminator, flat(tape.gradient(term, step.discriminator.trainable_variables))),
        (of_generator, flat(tape.gradient(made, step.generator.trainable_variables))),
    )
    for gradients_of, alone in pairs:
        difference = gradients_of(trainer)[0] - gradients_of(plain)[0]
        assert np.abs(alone).max() > 1e-3
        np.testing.assert_allclose(difference, weight * alone, rtol=0, atol=1e-4 * np.abs(weight * alone).max())


def test_terms_are_means_over_the_global_batch_of_which_replicas_have_parts(make_trainer):
    """Of four images with labels 0, 1, 0, 1 each of two replicas has two."""
    trainer = make_trainer(
        lambda seen, draws: 10.0 * tf.cast(seen.shown.real_labels, tf.float32) + squared_logits(seen, draws),
        lambda made, draws: 10.0 * tf.cast(made.fake_labels, tf.float32),
        label_sampling="paired",
        penalty="none",
    )
    images, labels = shown_to(trainer, tiny_batch())
    fakes = trainer.step_at().generate(labels, trainer.draws(0))

    def replica(number, num_replicas):
        """Returns the gradients of the discriminator and all terms of a replica."""
        size = 4 // num_replicas
        rows, draws = slice(number * size, (number + 1) * size), Draws(tf.constant([0, 0]), number, size, num_replicas)
        own = [values[rows] for values in fakes[:2]]
        gradients, terms = discriminator_gradients(trainer, images[rows], labels[rows], draws, fakes=own)
        return flat(gradients), terms | generator_gradients(trainer, images[rows], labels[rows], draws)[1]

    (whole, terms), (first, first_terms), (second, second_terms) = replica(0, 1), replica(0, 2), replica(1, 2)
    np.testing.assert_allclose(first + second, whole, rtol=0, atol=1e-5 * np.abs(whole).max())
    assert float(terms["generator_regulariser"]) == 5.0
    assert float(first_terms["generator_regulariser"]) == float(second_terms["generator_regulariser"]) == 2.5
    name = "discriminator_regulariser"
    assert float(terms[name]) > 5.0
    assert float(first_terms[name] + second_terms[name]) == pytest.approx(float(terms[name]), rel=1e-5)


@pytest.mark.parametrize(
    ("hooks", "names"),
    [
        ({}, set()),
        ({"discriminator": squared_logits}, {"discriminator_regulariser"}),
        ({"generator": squared_pixels}, {"generator_regulariser"}),
        (
            {"discriminator": squared_logits, "generator": squared_pixels},
            {"discriminator_regulariser", "generator_regulariser"},
        ),
    ],
    ids=["none", "discriminator", "generator", "both"],
)
def test_metrics_of_a_step_have_the_terms_that_there_are(make_trainer, hooks, names):
    metrics = take_steps(make_trainer(**hooks, disc_steps=2), tiny_batches(), count=2)
    assert {name for name in metrics if "regulariser" in name} == names
    assert all(np.isfinite(values).all() for values in metrics.values())


def test_none_adds_no_term_and_changes_no_gradient(make_trainer):
    """Bit for bit the same as without hooks, whatever the weight, and as with hooks that count for nothing."""
    none = make_trainer(regulariser="none")
    others = [
        make_trainer(regulariser="none", regulariser_weight=7.0),
        make_trainer(),
        make_trainer(squared_logits, squared_pixels, regulariser_weight=0.0),
    ]
    assert of_discriminator(none)[1].keys() == {"discriminator_loss", "penalty", "real_sign"}
    assert of_generator(none)[1].keys() == {"generator_loss"}
    for other in others:
        np.testing.assert_array_equal(of_discriminator(other)[0], of_discriminator(none)[0])
        np.testing.assert_array_equal(of_generator(other)[0], of_generator(none)[0])


def test_hooks_have_random_numbers_of_their_own(make_trainer):
    trainer = make_trainer(lambda seen, draws: draws.uniform(), lambda made, draws: draws.uniform())
    expected = float(tf.reduce_mean(trainer.draws(0).fold(Use.REGULARISER).uniform()))
    assert of_discriminator(trainer)[1]["discriminator_regulariser"] == pytest.approx(expected)
    assert of_generator(trainer)[1]["generator_regulariser"] == pytest.approx(expected)


def test_a_hook_may_look_through_the_networks_again(make_trainer):
    """At other latents, and by the gradient at real images, as in Mescheder et al. 2018, eq. 9, but for its half."""

    def squared_gradient(seen, draws):
        del draws
        with tf.GradientTape() as tape:
            tape.watch(seen.shown.real_images)
            logits = seen.discriminate(seen.shown.real_images, seen.shown.real_labels)
        return tf.reduce_sum(tape.gradient(logits, seen.shown.real_images) ** 2, axis=[1, 2, 3])

    def distance_from_others(made, draws):
        others = made.generate(draws.normal(8), made.fake_labels)
        return tf.reduce_mean(tf.abs(others - made.fake_images), axis=[1, 2, 3])

    trainer = make_trainer(squared_gradient, distance_from_others)
    images, labels = shown_to(trainer, tiny_batch())
    with tf.GradientTape() as tape:
        tape.watch(images)
        logits = trainer.networks.discriminator(images, labels)
    by_hand = np.sum(np.square(tape.gradient(logits, images))) / 4
    gradients, terms = of_discriminator(trainer)
    assert terms["discriminator_regulariser"] == pytest.approx(by_hand, rel=1e-4)
    generator_gradients, terms = of_generator(trainer)
    assert terms["generator_regulariser"] > 0
    assert np.isfinite(np.concatenate([gradients, generator_gradients])).all()


def test_an_unknown_name_is_refused_with_the_known_ones(make_trainer):
    with pytest.raises(ConfigError, match="regulariser.*'nonsense'.*none, .*made_up"):
        make_trainer(regulariser="nonsense")


def test_terms_are_compiled_too(make_trainer):
    trainer = make_trainer(squared_logits, squared_pixels, xla="on", disc_steps=1)
    metrics = take_steps(with_equal_pixels(with_equal_logits(trainer)), tiny_batches())
    assert metrics["discriminator_regulariser"] == pytest.approx([LOGIT**2], rel=1e-5)
    assert metrics["generator_regulariser"] == pytest.approx([0.25], rel=1e-4)


@pytest.mark.parametrize("regulariser", REGULARISERS)
def test_every_regulariser_has_finite_gradients(one_device, regulariser):
    method = "sagan" if regulariser == "gsr" else "bagan_gp"
    trainer = GanTrainer(tiny_config(method=method, regulariser=regulariser), CLASS_COUNTS, one_device)
    for gradients, terms in (of_discriminator(trainer), of_generator(trainer)):
        assert np.isfinite(gradients).all()
        assert np.isfinite(list(terms.values())).all()
        assert np.abs(gradients).max() > 0


@pytest.mark.parametrize("method", ["bagan_gp", "gan", "cpggan"])
def test_the_generator_hook_can_make_the_fakes_of_the_step_again(make_trainer, method):
    """With batch normalisation by the batch, and where lesions are placed with the map of their boxes."""

    def difference(made, draws):
        del draws
        assert made.fake_images.shape == (4, 32, 32, 4 if method == "cpggan" else 3)
        again = made.generate(made.latents, made.fake_labels)
        return tf.reduce_max(tf.abs(again - made.fake_images), axis=[1, 2, 3])

    trainer = make_trainer(generator=difference, method=method, autoencoder_epochs=0)
    if method == "cpggan":
        trainer.networks.box_table.fill(random_table(len(CLASS_COUNTS)))
    assert of_generator(trainer)[1]["generator_regulariser"] == pytest.approx(0.0, abs=1e-6)
