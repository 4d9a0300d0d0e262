"""Classifiers beside the adversarial loss, against numbers worked out by hand."""

import math

import numpy as np
import pytest
import tensorflow as tf

from melgan.gans.architectures import ARCHITECTURES, build_networks
from melgan.gans.auxiliaries import AUXILIARIES, ac_discriminator, adc_discriminator, log_probability, log_ratio
from melgan.gans.combinations import require_possible
from melgan.gans.methods import METHODS
from melgan.gans.trainer import GanTrainer
from melgan.gans.transfer import transfer_weights
from melgan.layers.equalised import EqualisedLayer
from melgan.layers.spectral import SpectralLayer
from tests.melgan.gans.tiny_gan import (
    CLASS_COUNTS,
    discriminator_gradients,
    enlarge_weights,
    flat,
    generator_gradients,
    shown_to,
    take_steps,
    tiny_batch,
    tiny_batches,
    tiny_config,
)
from tfrecords_tools.foundation.errors import ConfigError

LABELS = tf.constant([0, 2])


def test_undecided_classifiers_lose_the_logarithm_of_their_outputs():
    """Three classes: ADC has six outputs, AC three; each loses it for a real image and for a fake."""
    six, three = tf.zeros([2, 6]), tf.zeros([2, 3])
    np.testing.assert_allclose(adc_discriminator(six, LABELS, six, LABELS), [2 * math.log(6)] * 2, rtol=1e-6)
    np.testing.assert_allclose(ac_discriminator(three, LABELS, three, LABELS), [2 * math.log(3)] * 2, rtol=1e-6)
    np.testing.assert_allclose(log_ratio(six, LABELS), [0, 0])
    np.testing.assert_allclose(log_probability(three, LABELS), [-math.log(3)] * 2, rtol=1e-6)


def test_losses_by_hand():
    """Softmaxes of logarithms: probabilities 1, 2, 3 and 4 tenths, of two real classes and of the fakes of both."""
    logits, labels = tf.math.log([[1.0, 2.0, 3.0, 4.0]]), tf.constant([1])
    assert adc_discriminator(logits, labels, logits, labels).numpy() == pytest.approx(-math.log(0.2) - math.log(0.4))
    assert log_ratio(logits, labels).numpy() == pytest.approx(math.log(2 / 4))
    assert ac_discriminator(logits, labels, logits, labels).numpy() == pytest.approx(-2 * math.log(0.2))


def test_of_one_class_adc_is_the_plain_loss():
    """softplus(-s) of a real image and softplus(s) of a fake, s the difference of the logits."""
    real, fake, labels = tf.constant([[1.5, 0.3]]), tf.constant([[0.2, -0.7]]), tf.constant([0])
    by_hand = np.logaddexp(0, -1.2) + np.logaddexp(0, 0.9)
    assert adc_discriminator(real, labels, fake, labels).numpy() == pytest.approx(by_hand)


def test_the_optimal_classifier_of_adc_leads_the_generator_down_the_divergence_and_that_of_ac_does_not():
    """Three images, two classes that overlap. By the logits of q: the gradient of KL(q || p), 0 where q = p."""
    p = tf.constant([[0.6, 0.3, 0.1], [0.1, 0.3, 0.6]])  # of an image, in each class

    def gradient(q_logits, score):
        q_logits = tf.Variable(q_logits)
        with tf.GradientTape() as tape:
            q = tf.nn.softmax(q_logits)
            scores = tf.stack([tf.fill([3], 0), tf.fill([3], 1)])
            optimal = {
                "adc": tf.concat([tf.math.log(p), tf.math.log(tf.stop_gradient(q))], axis=0),
                "ac": tf.math.log(p + tf.stop_gradient(q)),
            }[score]
            values = [AUXILIARIES[score].score(tf.transpose(optimal), labels) for labels in tf.unstack(scores)]
            loss = -tf.reduce_sum(q * tf.stack(values))
        return tape.gradient(loss, q_logits).numpy()

    def of_divergence(q_logits):
        q_logits = tf.Variable(q_logits)
        with tf.GradientTape() as tape:
            q = tf.nn.softmax(q_logits)
            divergence = tf.reduce_sum(q * tf.math.log(q / p))
        return tape.gradient(divergence, q_logits).numpy()

    away = np.float32([[0.3, -0.2, 0.1], [0.0, 0.5, -0.4]])
    np.testing.assert_allclose(gradient(away, "adc"), of_divergence(away), atol=1e-6)
    there = np.log(p)
    np.testing.assert_allclose(gradient(there, "adc"), np.zeros((2, 3)), atol=1e-6)
    pulled = gradient(there, "ac")
    assert pulled[0, 0] < -0.05  # towards the image that the other class hardly has
    assert pulled[0, 1] > 0.02  # away from the one that both have


def trainer_with(one_device, **settings):
    trainer = GanTrainer(tiny_config(**({"width": 0.02} | settings)), CLASS_COUNTS, one_device)
    enlarge_weights(trainer.networks.generator)
    enlarge_weights(trainer.networks.discriminator)
    return trainer


def terms_and_gradients(trainer):
    shown = shown_to(trainer, tiny_batch())
    found = [of(trainer, *shown, trainer.draws(0)) for of in (discriminator_gradients, generator_gradients)]
    return [(flat(gradients), {name: float(value) for name, value in terms.items()}) for gradients, terms in found]


@pytest.mark.parametrize("auxiliary", ["adc", "ac"])
def test_terms_count_by_their_weight(one_device, auxiliary):
    """Without a penalty, on which the weight counts, too."""
    settings = {"penalty": "none", "auxiliary": auxiliary}
    none, one, three = (
        terms_and_gradients(trainer_with(one_device, auxiliary_weight=weight, **settings)) for weight in (0.0, 1.0, 3.0)
    )
    for number, network in enumerate(("discriminator", "generator")):
        assert f"{network}_auxiliary" in one[number][1]
        assert one[number][1] == pytest.approx(none[number][1])
        difference = one[number][0] - none[number][0]
        assert np.abs(difference).max() > 1e-4
        largest = np.abs(difference).max()
        np.testing.assert_allclose(three[number][0] - none[number][0], 3 * difference, atol=1e-4 * largest, rtol=1e-3)


def test_the_penalty_is_on_what_the_generator_climbs(one_device):
    """The logit is a constant: the slope is that of the score alone, times its weight."""
    trainer = trainer_with(one_device, auxiliary="adc", auxiliary_weight=2.0, penalty="r1_r2", penalty_weight=1.0)
    logit = trainer.networks.discriminator.head.get_layer("logit")
    logit.set_weights([0 * weight for weight in logit.get_weights()])
    images, labels = shown_to(trainer, tiny_batch())
    fakes = trainer.step_at().generate(labels, trainer.draws(0))
    discriminator, squares = trainer.networks.discriminator, 0.0
    for places, classes in ((images, labels), fakes[:2]):
        with tf.GradientTape() as tape:
            tape.watch(places)
            score = log_ratio(discriminator.class_logits(discriminator.features(places), 2), classes)
        squares += float(tf.reduce_sum(tf.square(2.0 * tape.gradient(score, places)))) / 4
    _, terms = discriminator_gradients(trainer, images, labels, trainer.draws(0), fakes=fakes)
    assert float(terms["penalty"]) == pytest.approx(squares / 2, rel=1e-4)
    assert squares > 1e-6


@pytest.mark.parametrize("method", [name for name in METHODS if name != "bagan"])
def test_every_discriminator_can_have_a_head_of_its_kind(method):
    networks = build_networks(tiny_config(method=method, width=0.02, auxiliary="adc", autoencoder_epochs=0), 3)
    auxiliary = networks.discriminator.auxiliary
    features = tf.ones([2, networks.discriminator.trunk.output_shape[-1]])
    assert networks.discriminator.class_logits(features, 3).shape == (2, 6)
    assert all(level.discriminator.auxiliary is auxiliary for level in networks.levels)
    trained = {id(variable) for variable in networks.discriminator.trainable_variables}
    assert {id(variable) for variable in auxiliary.trainable_variables} <= trained
    rows = auxiliary.get_layer("real_rows")
    assert isinstance(rows, SpectralLayer) == (method == "sagan")
    assert isinstance(rows, EqualisedLayer) == ARCHITECTURES[METHODS[method]["architecture"]].grows


def test_the_head_learns_and_carries_over_by_the_name_of_the_class(one_device):
    source, target = (trainer_with(one_device, auxiliary="adc", wrong_labels=False) for _ in range(2))
    before = flat(source.networks.discriminator.auxiliary.variables)
    take_steps(source, tiny_batches())
    auxiliary = source.networks.discriminator.auxiliary
    assert not np.array_equal(flat(auxiliary.variables), before)
    names = {"source_classes": ("ring", "normal"), "target_classes": ("normal", "ring")}
    transfer_weights(source.networks.generator, source.networks.discriminator, target, **names)
    for old, new in zip(auxiliary.get_weights(), target.networks.discriminator.auxiliary.get_weights(), strict=True):
        np.testing.assert_array_equal(new, old[::-1])


@pytest.mark.parametrize(
    ("settings", "counts", "message"),
    [
        ({"auxiliary": "nonsense"}, CLASS_COUNTS, "auxiliary.*'nonsense'.*none, adc, ac"),
        ({"auxiliary": "adc", "method": "bagan"}, CLASS_COUNTS, "auxiliary.*adc.*softmax.*--auxiliary=none"),
        ({"auxiliary": "ac", "wrong_labels": False}, (8,), "auxiliary.*ac.* 2 classes.* 1; .*--auxiliary=none"),
    ],
)
def test_where_there_is_no_place_for_it_it_is_refused(settings, counts, message):
    with pytest.raises(ConfigError, match=message):
        require_possible(tiny_config(**settings), counts)
