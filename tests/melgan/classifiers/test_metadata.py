"""Metadata as inputs: how it is encoded, hidden, and fused with the features of the image."""

import numpy as np
import pytest
import tensorflow as tf

from melgan.classifiers.metadata import (
    INPUTS,
    NUM_INPUTS,
    encode_metadata,
    hide_metadata,
    hiding_probabilities,
    missing_metadata,
)
from melgan.classifiers.network import apply_classifier, build_classifier, feature_network
from melgan.classifiers.trainer import ClassifierTrainer, StreamFacts
from tests.melgan.classifiers.tiny_classifier import tiny_batch, tiny_config, train

SITE = "anatom_site_general_challenge"
FUSIONS = ("concat", "film")


def batch_of(**columns) -> dict[str, tf.Tensor]:
    size = len(next(iter(columns.values())))
    missing = {name: [-1] * size for name in INPUTS}
    return {name: tf.constant(values, tf.int32) for name, values in (missing | columns).items()}


def test_age_and_number_of_images_are_scaled_and_categories_are_one_of_their_codes_or_missing():
    found = encode_metadata(batch_of(age_approx=[15, 50, 90, -1], patient_images=[1, 100, 999, -1], sex=[0, 1, -1, -1]))
    assert found.shape == (4, NUM_INPUTS) == (4, 14)
    np.testing.assert_allclose(found[:, 0], [0, 0.5, 1, 0])
    np.testing.assert_allclose(found[:, 1], [0, 0, 0, 1])
    np.testing.assert_allclose(found[:, 2], [np.log(2) / np.log(101), 1, 1, 0], rtol=1e-6)
    np.testing.assert_allclose(found[:, 3], [0, 0, 0, 1])
    np.testing.assert_allclose(found[:, 4:7], [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 1]])
    np.testing.assert_allclose(found[:, 7:], np.eye(7)[[6] * 4])


def test_what_is_hidden_is_encoded_as_missing():
    batch = batch_of(age_approx=[40, 40], sex=[1, 1], patient_images=[3, 3], **{SITE: [2, 2]})
    found = encode_metadata(hide_metadata(batch, tf.constant([True, False])))
    np.testing.assert_array_equal(found[0], missing_metadata(1)[0])
    np.testing.assert_array_equal(found[1], encode_metadata(batch)[1])


def test_the_diagnosis_is_no_input():
    assert "diagnosis" not in INPUTS


@pytest.mark.parametrize(
    ("shown", "without", "least", "expected"),
    [
        ((3, 1), (0, 0), 0.3, (0.3, 0.3)),
        ((3, 1), (0, 0.5), 0.3, (0.5, 0.0)),  # half of the second class are synthetic: half of the first is hidden
        ((4, 2), (1, 1), 0.25, (1 / 3, 0.0)),
        ((4, 2), (1, 1), 0.6, (7 / 15, 0.2)),
        ((1, 1), (0, 1), 0.0, (1.0, 0.0)),
    ],
)
def test_of_every_class_as_many_have_no_metadata_by_hand(shown, without, least, expected):
    shown, without = np.array(shown, float), np.array(without, float)
    found = hiding_probabilities(shown, without, least)
    np.testing.assert_allclose(found, expected, atol=1e-12)
    missing = (without + (shown - without) * found) / shown
    assert np.ptp(missing) == pytest.approx(0)
    assert missing[0] >= least - 1e-12


@pytest.mark.parametrize("metadata", FUSIONS)
def test_predictions_depend_on_metadata_once_it_was_trained_with(make_trainer, metadata):
    """Labels that the age alone tells are learned by heart, and told again only where the age is."""
    trainer = make_trainer(metadata=metadata, metadata_dropout=0.0, total_steps=60, batch_size=16, label_smoothing=0.0)
    labels = np.arange(16) % 2
    batch = tiny_batch(labels, age_approx=20 + 60 * labels)
    batch["image"][1::2] = batch["image"][::2]  # each image is there in both classes
    train(trainer, batch, 0, 60)
    predict = trainer.predictor(1).predict
    np.testing.assert_array_equal(predict([batch]).argmax(axis=1), labels)
    hidden = predict([batch | {"age_approx": np.full(16, -1, np.int32)}])
    np.testing.assert_allclose(hidden[::2], hidden[1::2], atol=1e-5)


def test_film_begins_as_a_classifier_of_images_alone():
    model, images = build_classifier(tiny_config(metadata="film"), 2), tf.random.normal([3, 32, 32, 3])
    known = encode_metadata(batch_of(age_approx=[20, 50, 80], sex=[0, 1, 0]))
    with_it, without = (apply_classifier(model, images, each, training=False) for each in (known, missing_metadata(3)))
    np.testing.assert_allclose(with_it.logits, without.logits, atol=1e-6)
    features, _ = feature_network(model)(images)
    np.testing.assert_allclose(with_it.logits, model.get_layer("logits")(features), atol=1e-5)


@pytest.mark.parametrize("metadata", FUSIONS)
def test_features_of_such_a_classifier_are_of_the_image_alone(metadata):
    model, images = build_classifier(tiny_config(metadata=metadata), 2), tf.random.normal([3, 32, 32, 3])
    features, probabilities = feature_network(model)(images)
    plain = apply_classifier(model, images, missing_metadata(3), training=False)
    np.testing.assert_allclose(probabilities, tf.nn.softmax(plain.logits), atol=1e-6)
    assert features.shape == (3, 304)


@pytest.mark.parametrize("metadata", FUSIONS)
def test_weights_of_a_classifier_of_images_are_taken_and_the_rest_starts_afresh(tmp_path, metadata):
    plain = build_classifier(tiny_config(), 2)
    plain.save_weights(tmp_path / "plain.weights.h5")
    model = build_classifier(tiny_config(metadata=metadata, weights=str(tmp_path / "plain.weights.h5")), 2)
    kernels = [layer.kernel.numpy() for of in (plain, model) for layer in of.layers if layer.name == "conv2d"]
    assert all(np.isfinite(weight).all() for weight in model.get_weights())
    for kernel in kernels[1:]:
        np.testing.assert_array_equal(kernel, kernels[0])


def test_metadata_is_hidden_as_often_as_the_stream_and_class_say(one_device):
    facts = StreamFacts(
        hiding=np.array([[0.0, 1.0], [1.0, 0.0]]), priors=np.full((2, 2), 0.5), is_own_metadata=np.array([True, False])
    )
    trainer = ClassifierTrainer(tiny_config(metadata="concat"), (8, 8), 10, one_device, facts=facts)
    batch = tiny_batch([0, 1, 0, 1], stream=[0, 0, 1, 1], age_approx=[50] * 4)
    examples, _ = trainer.examples({name: tf.constant(values) for name, values in batch.items()}, 0)
    is_hidden = examples.own["metadata"][:, 1]
    np.testing.assert_array_equal(is_hidden, [0, 1, 1, 0])
    assert examples.own["age_approx"].numpy().tolist() == [50, 50, -1, -1]  # what was lent is no target


def test_metadata_of_mixed_images_is_mixed_as_they_are(make_trainer):
    trainer = make_trainer(metadata="concat", metadata_dropout=0.0, mixing="mixup", mixing_alpha=1.0, batch_size=8)
    batch = {name: tf.constant(v) for name, v in tiny_batch([0] * 8, age_approx=15 + 10 * np.arange(8)).items()}
    examples, _ = trainer.examples(batch, 0)
    (own, _), (_, partner) = examples.parts
    expected = own * np.arange(8) / 7 + (1 - own) * partner["metadata"][:, 0]
    np.testing.assert_allclose(examples.mean("metadata")[:, 0], expected, rtol=1e-5)


def test_without_metadata_nothing_but_the_class_is_learned(make_trainer):
    trainer = make_trainer(metadata="none", auxiliary_weight=0.5, warmup_fraction=0.0)
    auxiliary = trainer.checkpointed["model"].get_layer("auxiliary")
    bias = auxiliary.bias.numpy()
    train(trainer, tiny_batch([0, 1, 0, 1], sex=[0, 1, 0, 1]), 0, 2)
    np.testing.assert_array_equal(auxiliary.bias, bias)
