"""The trunk of a discriminator as a backbone: what the GAN sees, for every method."""

from functools import partial

import keras
import numpy as np
import pytest
import tensorflow as tf

from melgan.classifiers.backbones import small_cnn
from melgan.classifiers.discriminator import discriminator_features
from melgan.classifiers.network import build_classifier
from melgan.classifiers.trainer import ClassifierTrainer
from melgan.gans.architectures import ARCHITECTURES, build_networks
from melgan.gans.methods import METHODS
from melgan.images import to_signed_float
from melgan.layers.spectral import SpectralLayer
from melgan.training.checkpoints import Checkpoints, Model
from tests.melgan.classifiers.tiny_classifier import tiny_batch, tiny_config, train
from tests.melgan.gans import tiny_gan
from tests.melgan.gans.tiny_gan import enlarge_weights
from tfrecords_tools.foundation.errors import ConfigError

WITH_BOXES = [name for name, preset in METHODS.items() if ARCHITECTURES[preset["architecture"]].takes_boxes]
HEADS = {"logits", "auxiliary"}
BACKBONE = "discriminator:gan"


def small_gan(method):
    return tiny_gan.tiny_config(method=method, width=0.02)


def stored_images(count=6, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, 32, 32, 3)).astype(np.float32)


@pytest.fixture(scope="module", params=[name for name in METHODS if name not in WITH_BOXES])
def method(request):
    return request.param


@pytest.fixture(scope="module")
def discriminator(method):
    """Of three classes, with weights and moving statistics that are no first ones."""
    keras.utils.set_random_seed(0)
    discriminator = build_networks(small_gan(method), 3).discriminator
    enlarge_weights(discriminator.trunk)
    discriminator.features(to_signed_float(stored_images(seed=1)))
    return discriminator


@pytest.fixture
def make_backbone(method, discriminator):
    weights = discriminator.trunk.get_weights()
    return lambda: discriminator_features(small_gan(method), weights)


@pytest.fixture
def make_trainer(make_backbone, one_device):
    def make_trainer(**settings):
        config = tiny_config(backbone=BACKBONE, **settings)
        return ClassifierTrainer(config, (8, 8), 100, one_device, make_backbone=make_backbone)

    return make_trainer


def normalises_by_the_batch(network):
    return any(isinstance(layer, keras.layers.BatchNormalization) for layer in network.layers)


def test_features_are_to_the_bit_those_of_the_discriminator(discriminator, make_backbone):
    """Of each image alone; batch normalisation, if there is any, by its moving statistics."""
    features = make_backbone()
    for image in stored_images():
        signed = image[None] / np.float32(127.5) - np.float32(1)
        if normalises_by_the_batch(discriminator.trunk):
            expected = discriminator.trunk(signed, training=False)
        else:
            expected = discriminator.features(signed)
        np.testing.assert_array_equal(features(image[None], training=False), expected)


def test_features_of_an_image_do_not_depend_on_the_others_and_are_of_any_number(make_backbone):
    features, images = make_backbone(), stored_images()
    apply = tf.function(lambda images: features(images, training=False))
    together = apply.get_concrete_function(tf.TensorSpec([None, 32, 32, 3]))(tf.constant(images))
    for image, expected in zip(images, together, strict=True):
        np.testing.assert_allclose(features(image[None], training=False)[0], expected, rtol=1e-4, atol=1e-5)


def test_no_weight_is_shared_and_each_network_begins_with_those_of_the_gan(discriminator, make_backbone):
    first = make_backbone()
    before = first.get_weights()
    enlarge_weights(first)
    second = make_backbone()
    assert all(np.array_equal(*pair) for pair in zip(second.get_weights(), before, strict=True))
    assert not {id(v) for v in first.variables} & {id(v) for v in (*second.variables, *discriminator.trunk.variables)}


def test_without_weights_it_begins_with_random_ones(method, make_backbone):
    def kernels(network):
        return [variable for variable in network.trainable_variables if len(variable.shape) == 4]

    random, trained = discriminator_features(small_gan(method)), make_backbone()
    assert random.count_params() == trained.count_params()
    assert not any(np.array_equal(*pair) for pair in zip(kernels(random), kernels(trained), strict=True))


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("train_layers", ["head", "last_stage", "all"])
def test_what_is_trained_moves_and_nothing_else_does(make_trainer, train_layers):
    """Moving statistics and directions of spectral normalisation included, in the model and in its average."""
    trainer = make_trainer(train_layers=train_layers, warmup_fraction=0.0)
    models = trainer.checkpointed["model"], trainer.average_model
    before = [{layer.name: layer.get_weights() for layer in model.layers} for model in models]
    train(trainer, tiny_batch([0, 1, 0, 1]), 0, 2)
    trained = {layer.name for layer in models[0].layers if layer.trainable_weights}
    assert (trained == HEADS) == (train_layers == "head")
    for model, weights in zip(models, before, strict=True):
        moved = {
            layer.name
            for layer in model.layers
            if not all(np.array_equal(*pair) for pair in zip(layer.get_weights(), weights[layer.name], strict=True))
        }
        assert moved <= trained
        assert (moved <= HEADS) == (train_layers == "head")
        for layer in models[0].layers:
            if isinstance(layer, SpectralLayer) and layer.trainable:
                assert not np.array_equal(model.get_layer(layer.name).get_weights()[-1], weights[layer.name][-1])


def test_weights_that_were_saved_are_loaded_into_a_network_without_the_gan(make_trainer, method, tmp_path):
    trainer = make_trainer(metadata="film", warmup_fraction=0.0)
    enlarge_weights(trainer.average_model)
    trainer.average_model.save_weights(tmp_path / "best.weights.h5")
    config = tiny_config(backbone=BACKBONE, metadata="film", weights="none")
    loaded = build_classifier(config, 2, lambda: discriminator_features(small_gan(method)))
    loaded.load_weights(tmp_path / "best.weights.h5")
    for pair in zip(trainer.average_model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(*pair)


@pytest.mark.usefixtures("eager")
def test_it_trains_in_half_precision(make_trainer):
    assert np.isfinite(train(make_trainer(precision="bfloat16"), tiny_batch([0, 1, 0, 1]), 0, 1)["loss"])


@pytest.mark.usefixtures("eager")
def test_a_resumed_training_is_to_the_bit_the_undisturbed_one(one_device, tmp_path, op_determinism):
    """Spectrally normalised, so that a step moves more than the weights that have gradients."""

    def make_trainer(seed):
        config = tiny_config(backbone=BACKBONE, weights="none", seed=seed, warmup_fraction=0.0)
        make_backbone = partial(discriminator_features, small_gan("sagan"))
        return ClassifierTrainer(config, (8, 8), 100, one_device, make_backbone=make_backbone)

    batch = tiny_batch([0, 1, 0, 1])
    undisturbed, resumed = make_trainer(0), make_trainer(1)
    train(undisturbed, batch, 0, 2)
    Checkpoints(tmp_path, undisturbed, one_device).save(2)
    losses = train(undisturbed, batch, 2, 1)
    assert Checkpoints(tmp_path, resumed, one_device).restore() == 2
    assert train(resumed, batch, 2, 1) == losses


@pytest.mark.parametrize("with_boxes", WITH_BOXES)
def test_a_discriminator_that_sees_boxes_is_refused(with_boxes):
    with pytest.raises(ConfigError, match="cpggan.*boxes"):
        discriminator_features(small_gan(with_boxes))


def test_weights_are_by_default_those_of_the_gan_and_without_one_none():
    assert tiny_config(backbone=BACKBONE).first_weights == "gan"
    assert tiny_config(backbone=BACKBONE, weights="none").first_weights == "none"
    assert tiny_config().first_weights == "none"


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"backbone": "discriminator:"}, "backbone.*discriminator:RUN"),
        ({"weights": "imagenet"}, "weights.*gan, none"),
        ({"backbone": "small_cnn", "weights": "gan"}, "weights.*discriminator:RUN"),
        ({"weights": "none", "zero_gamma": True}, "zero_gamma"),
        ({"test_time_sizes": ("32", "48")}, "test_time_sizes.*32,48"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(settings, named):
    with pytest.raises(ConfigError, match=named):
        tiny_config(**({"backbone": BACKBONE} | settings))


def test_checkpoints_are_resumed_wherever_the_gan_lies(one_device, tmp_path):
    def checkpoints(backbone):
        config = tiny_config(backbone=backbone, weights="none")
        trainer = ClassifierTrainer(config, (8, 8), 100, one_device, make_backbone=partial(small_cnn, 32, "none"))
        return Checkpoints(tmp_path, trainer, one_device, model=Model(config, ("a", "b")))

    checkpoints("discriminator:here/gan").save(1)
    assert checkpoints("discriminator:/there/gan").restore() == 1
    with pytest.raises(ConfigError, match="backbone"):
        checkpoints("small_cnn").restore()
