"""How the class enters the generator of BAGAN-GP: the table CONDITIONINGS."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from melgan.gans.architectures import ARCHITECTURES, build_networks
from melgan.gans.architectures.conditioning import CONDITIONINGS
from melgan.gans.architectures.networks import NetworkShape
from melgan.gans.combinations import require_possible
from melgan.gans.trainer import GanTrainer
from melgan.gans.transfer import require_same_networks, transfer_weights
from tests.melgan.gans.tiny_gan import CLASS_COUNTS, enlarge_weights, tiny_config
from tfrecords_tools.foundation.errors import ConfigError

LABELS = tf.constant([0, 1, 0, 1])


def labelled(conditioning, latents, embeddings):
    """Returns what a conditioning makes of latents `[N, D]` of classes 0, 1, ..., whose embeddings are given."""
    latents, embeddings = np.float32(latents), np.float32(embeddings)
    inputs = keras.Input(latents.shape[1:]), keras.Input((), dtype="int32")
    network = keras.Model(inputs, CONDITIONINGS[conditioning](*inputs, len(embeddings)))
    network.get_layer("embedding").set_weights([embeddings])
    return network([tf.constant(latents), tf.range(len(latents))]).numpy()


@pytest.mark.parametrize(
    ("conditioning", "by_hand"),
    [
        ("multiply", [[3.0, -2.0], [0.0, 8.0]]),
        # The mean squares of the products are (9 + 4) / 2 = 6.5 and 64 / 2 = 32.
        ("normalised", [[3 / 6.5**0.5, -2 / 6.5**0.5], [0.0, 2**0.5]]),
        # Of the latents (1 + 4) / 2 = 2.5 and (9 + 16) / 2 = 12.5, of the embeddings (9 + 1) / 2 = 5 and 4 / 2 = 2.
        (
            "concatenated",
            [
                [1 / 2.5**0.5, 2 / 2.5**0.5, 3 / 5**0.5, -1 / 5**0.5],
                [3 / 12.5**0.5, 4 / 12.5**0.5, 0.0, 2**0.5],
            ],
        ),
    ],
)
def test_labelled_latents_by_hand(conditioning, by_hand):
    found = labelled(conditioning, [[1.0, 2.0], [3.0, 4.0]], [[3.0, -1.0], [0.0, 2.0]])
    np.testing.assert_allclose(found, by_hand, rtol=1e-6, atol=1e-7)


def generator(**choice):
    keras.utils.set_random_seed(0)
    shape = NetworkShape(image_size=32, num_classes=2, latent_dim=8, width=0.02, **choice)
    generator = ARCHITECTURES["bagan_gp"].build(shape).generator
    enlarge_weights(generator, 0.3)
    return generator


@pytest.mark.parametrize("conditioning", CONDITIONINGS)
def test_an_embedding_that_shrinks_makes_one_image_only_where_it_multiplies(conditioning):
    """As the embedding of rings did: to a twentieth of its length."""
    network = generator(conditioning=conditioning)
    latents = tf.constant(np.random.default_rng(0).normal(size=(4, 8)), tf.float32)
    before = network([latents, LABELS]).numpy()
    rows = network.get_layer("embedding").get_weights()[0]
    network.get_layer("embedding").set_weights([0.05 * rows])
    after = network([latents, LABELS]).numpy()
    spread = [np.abs(images[0] - images[2]).max() for images in (before, after)]  # of one class
    assert spread[0] > 0.05
    if conditioning == "multiply":
        assert spread[1] < 0.1 * spread[0]
    else:
        np.testing.assert_allclose(after, before, atol=1e-3)  # but for the small constant under the root


def test_multiply_is_the_published_one_and_what_there_was():
    published, named = generator(), generator(conditioning="multiply")
    assert [each.path.split("/", 1)[1:] for each in published.variables] == [
        each.path.split("/", 1)[1:] for each in named.variables
    ]
    for one, other in zip(published.get_weights(), named.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert [layer.name for layer in published.layers[:4]] == ["labels", "latents", "embedding", "labelled_latents"]
    require_same_networks(tiny_config(), tiny_config(conditioning="multiply"))
    with pytest.raises(ConfigError, match="conditioning was 'multiply', now 'normalised'"):
        require_same_networks(tiny_config(), tiny_config(conditioning="normalised"))


@pytest.mark.parametrize("conditioning", ["normalised", "concatenated"])
def test_weights_carry_over_by_the_name_of_the_class(one_device, conditioning):
    config = tiny_config(conditioning=conditioning, width=0.02)
    source, trainer = build_networks(config, 2), GanTrainer(config, (6, 2, 1), one_device)
    names = {"source_classes": ("ring", "normal"), "target_classes": ("normal", "schizont", "ring")}
    transfer_weights(source.generator, source.discriminator, trainer, **names)
    rows = source.generator.get_layer("embedding").get_weights()[0]
    found = trainer.networks.generator.get_layer("embedding").get_weights()[0]
    np.testing.assert_allclose(found, [rows[1], rows.mean(axis=0), rows[0]], rtol=1e-6)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"method": "sagan", "conditioning": "normalised"}, "conditioning.*'normalised'.*sagan.*bagan_gp: multiply, "),
        ({"conditioning": "nonsense"}, "conditioning.*'nonsense'.*multiply, normalised, concatenated"),
    ],
)
def test_what_an_architecture_does_not_have_is_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        require_possible(tiny_config(**settings), CLASS_COUNTS)
