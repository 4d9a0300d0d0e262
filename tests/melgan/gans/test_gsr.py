"""Group spectral regularisation against numbers worked out by hand, and numpy's singular values."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from melgan.gans.combinations import require_possible
from melgan.gans.regularisers.gsr import ClassMatrices, class_weights, gsr, squarest
from melgan.gans.regularisers.interface import GeneratorPass, Subject
from melgan.gans.trainer import GanTrainer
from melgan.layers.normalization import ConditionalBatchNormalization
from tests.melgan.gans.tiny_gan import tiny_config
from tfrecords_tools.foundation.errors import ConfigError

COUNTS = (800, 84)
MADE = GeneratorPass(None, None, tf.constant([0, 1, 1]), None, None, None, None)


@pytest.fixture(scope="module")
def trainer(one_device):
    return GanTrainer(tiny_config(method="sagan", regulariser="gsr", width=16 / 1024), COUNTS, one_device)


@pytest.fixture(scope="module")
def generator(trainer):
    return trainer.networks.generator


@pytest.fixture
def layers(generator):
    """The conditional normalisations, as they are at first."""
    layers = [layer for layer in generator.layers if isinstance(layer, ConditionalBatchNormalization)]
    for layer in layers:
        layer.factors.embeddings.assign(tf.ones_like(layer.factors.embeddings))
        layer.offsets.embeddings.assign(tf.zeros_like(layer.offsets.embeddings))
    return layers


def term(regulariser):
    return regulariser.generator(MADE, None).values.numpy()


def learn(regulariser, times):
    for _ in range(times):
        tf.distribute.get_strategy().run(regulariser.learn, ({},))


@pytest.mark.parametrize(
    ("counts", "weights"), [((800, 234, 84, 710), [0.346, 0.913, 2.365, 0.375]), ((7, 7), [1.0, 1.0])]
)
def test_weights_of_classes_by_hand(counts, weights):
    """The cells: E = 550.8, 208.7, 80.6 and 508.5."""
    np.testing.assert_allclose(class_weights(counts), weights, atol=5e-4)
    assert class_weights(counts).mean() == pytest.approx(1.0)


@pytest.mark.parametrize(("channels", "shape"), [(256, (16, 16)), (128, (8, 16)), (12, (3, 4)), (7, (1, 7))])
def test_matrices_are_as_square_as_can_be(channels, shape):
    assert squarest(channels) == shape


def test_a_generator_whose_classes_add_nothing_pays_nothing_and_can_leave_that_state(generator, layers):
    regulariser = gsr(Subject(generator, COUNTS))
    learn(regulariser, 3)
    np.testing.assert_array_equal(term(regulariser), [0, 0, 0])
    layers[0].offsets.embeddings.assign(tf.ones_like(layers[0].offsets.embeddings))
    assert term(regulariser)[0] > 0


def test_the_largest_singular_value_of_a_diagonal_by_hand(generator, layers):
    """Class 1 adds diag(3, 1, 0, 0) to the gains and a row of ones, of squared length 16, to the offsets of a layer."""
    layer = next(layer for layer in layers if layer.factors.output_dim == 16)
    gains, offsets = np.ones((2, 16)), np.zeros((2, 16))
    gains[1] += np.diag([3.0, 1.0, 0.0, 0.0]).ravel()
    offsets[1] = 1.0
    layer.factors.embeddings.assign(gains)
    layer.offsets.embeddings.assign(offsets)
    regulariser = gsr(Subject(generator, COUNTS))
    learn(regulariser, 4)
    by_hand = class_weights(COUNTS)[1] * (9 + 16) / (len(layers) * 2)
    np.testing.assert_allclose(term(regulariser), [by_hand] * 3, rtol=1e-4)


def test_checkpoints_hold_the_directions(trainer, layers):
    """Of the gains and of the offsets of every layer, one for each class."""
    directions = trainer.checkpointed["regulariser"]
    assert [direction.shape[0] for direction in directions] == [2] * 2 * len(layers)


def test_values_and_gradients_are_those_of_numpy():
    rows = keras.Variable(np.random.default_rng(0).normal(size=(3, 12)), dtype="float32")
    matrices = ClassMatrices(rows, 0.0, number=0)
    for _ in range(40):
        matrices.direction.assign(matrices.next_direction())
    with tf.GradientTape() as tape:
        squares = tf.reduce_sum(tf.square(matrices.unnormalised_direction()), axis=1)
    left, values, right = np.linalg.svd(rows.numpy().reshape(3, 3, 4))
    np.testing.assert_allclose(squares, values[:, 0] ** 2, rtol=1e-4)
    # d s^2 / d W = 2 s u v^T. Miyato et al. 2018, eq. 9 to 12.
    by_hand = 2 * values[:, :1, None] * left[:, :, :1] * right[:, :1]
    np.testing.assert_allclose(
        np.reshape(tape.gradient(squares, rows.value), by_hand.shape), by_hand, rtol=0, atol=2e-3
    )


def test_networks_without_conditional_normalisation_are_refused():
    """Where the embedding multiplies, small means one image."""
    with pytest.raises(ConfigError, match="gsr.*bagan_gp.*sagan.*--regulariser=none"):
        require_possible(tiny_config(regulariser="gsr"), COUNTS)
