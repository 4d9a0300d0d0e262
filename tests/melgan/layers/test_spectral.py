import keras
import numpy as np
import pytest
import tensorflow as tf

from melgan.gans.trainer import GanTrainer
from melgan.layers.spectral import (
    SpectralConv2D,
    SpectralDense,
    SpectralEmbedding,
    SpectralLayer,
    advance_power_iterations,
)
from melgan.training.checkpoints import Checkpoints
from melgan.training.precision import layers_computing_in
from tests.melgan.gans.tiny_gan import CLASS_COUNTS, flat, take_steps, tiny_batches, tiny_config

KINDS = {
    "dense": (lambda: SpectralDense(5), tf.ones([2, 7])),
    "convolution": (lambda: SpectralConv2D(5, 3), tf.ones([2, 6, 6, 4])),
    "embedding": (lambda: SpectralEmbedding(6, 5), tf.constant([0, 5])),
}


@pytest.fixture(params=KINDS)
def layer(request):
    """A layer with a random kernel."""
    make, inputs = KINDS[request.param]
    layer = make()
    layer(inputs)
    layer.kernel.assign(np.random.default_rng(0).normal(size=layer.kernel.shape))
    return layer


def matrix_of(kernel):
    return np.reshape(kernel, (-1, kernel.shape[-1]))


def network_of(layer, *input_shape):
    inputs = keras.Input(input_shape)
    return keras.Model(inputs, layer(inputs))


def networks_of(trainer):
    discriminator = trainer.networks.discriminator
    return trainer.networks.generator, discriminator.trunk, discriminator.head


def spectral_layers(trainer):
    return [layer for network in networks_of(trainer) for layer in network.layers if isinstance(layer, SpectralLayer)]


def directions(trainer):
    return flat(layer.direction for layer in spectral_layers(trainer))


def test_one_power_iteration_by_hand():
    """W = [[3, 0], [4, 0]], u = (1, 1): v = (3, 4) / 5, W^T v = (5, 0), s = 5."""
    layer = SpectralDense(2)
    network = network_of(layer, 2)
    layer.kernel.assign([[3.0, 0.0], [4.0, 0.0]])
    layer.direction.assign([1.0, 1.0])
    np.testing.assert_allclose(layer.effective_kernel(), [[0.6, 0.0], [0.8, 0.0]], rtol=1e-6)
    np.testing.assert_array_equal(layer.direction, [1.0, 1.0])
    advance_power_iterations(network)
    np.testing.assert_allclose(layer.direction, [1.0, 0.0], rtol=1e-6)


def test_one_step_is_algorithm_1(layer):
    matrix, u = matrix_of(layer.kernel.numpy()), layer.direction.numpy()
    v = matrix @ u / np.linalg.norm(matrix @ u)
    following = matrix.T @ v / np.linalg.norm(matrix.T @ v)
    largest = v @ matrix @ following
    np.testing.assert_allclose(layer.effective_kernel(), layer.kernel / largest, rtol=1e-5)
    np.testing.assert_allclose(layer.next_direction(), following, rtol=1e-5, atol=1e-6)


def test_many_iterations_find_the_largest_singular_value(layer):
    for _ in range(300):
        layer.direction.assign(layer.next_direction())
    largest = np.linalg.svd(matrix_of(layer.kernel.numpy()), compute_uv=False)[0]
    np.testing.assert_allclose(layer.effective_kernel(), layer.kernel / largest, rtol=1e-5)
    singular_values = np.linalg.svd(matrix_of(layer.effective_kernel().numpy()), compute_uv=False)
    assert singular_values[0] == pytest.approx(1.0, rel=1e-5)


def test_gradient_takes_the_singular_vectors_as_constants(layer):
    """Of sum(G * W / s): (G - sum(G * W) / s v u'^T) / s. Miyato et al. 2018, eq. 12."""
    weights = np.random.default_rng(1).normal(size=layer.kernel.shape).astype(np.float32)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(weights * layer.effective_kernel())
    matrix, u = matrix_of(layer.kernel.numpy()), layer.direction.numpy()
    v = matrix @ u / np.linalg.norm(matrix @ u)
    following = matrix.T @ v / np.linalg.norm(matrix.T @ v)
    s = v @ matrix @ following
    by_hand = (matrix_of(weights) - np.sum(weights * layer.kernel) / s * np.outer(v, following)) / s
    np.testing.assert_allclose(matrix_of(tape.gradient(loss, layer.kernel.value)), by_hand, rtol=1e-4, atol=1e-5)


def test_kernel_of_zeros_stays_zero(layer):
    layer.kernel.assign(tf.zeros_like(layer.kernel))
    np.testing.assert_array_equal(layer.effective_kernel(), np.zeros(layer.kernel.shape))
    assert np.isfinite(layer.next_direction()).all()


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_norm_is_taken_in_single_precision(precision):
    with layers_computing_in(precision):
        layer = SpectralDense(5)
        layer(tf.ones([2, 7]))
    assert layer.effective_kernel().dtype == precision
    assert layer.next_direction().dtype == "float32"
    layer.kernel.assign(1e6 * layer.kernel.value)  # more than half precision holds
    matrix, u = layer.kernel.numpy(), layer.direction.numpy()
    by_hand = matrix / np.linalg.norm(matrix.T @ (matrix @ u) / np.linalg.norm(matrix @ u))
    np.testing.assert_allclose(tf.cast(layer.effective_kernel(), tf.float32), by_hand, rtol=0.01)


@pytest.fixture(scope="module")
def trainer(one_device):
    return GanTrainer(tiny_config(method="sagan", width=0.02), CLASS_COUNTS, one_device)


def test_every_kernel_has_a_direction(trainer):
    """But for the tables of conditional normalisation."""
    for network in networks_of(trainer):
        kernels = [weight for weight in network.trainable_variables if len(weight.shape) > 1]
        tables = [kernel for kernel in kernels if "factors" in kernel.path or "offsets" in kernel.path]
        layers = [layer for layer in network.layers if isinstance(layer, SpectralLayer)]
        assert len(kernels) - len(tables) == len(layers) > 0


def test_a_training_step_takes_one_iteration_from_the_kernels_before_it(trainer):
    before, expected = directions(trainer), flat(layer.next_direction() for layer in spectral_layers(trainer))
    take_steps(trainer, tiny_batches())
    np.testing.assert_allclose(directions(trainer), expected, rtol=1e-5, atol=1e-6)
    assert not np.isclose(before, expected).all()


def test_looking_at_the_networks_changes_no_direction(trainer):
    before = directions(trainer)
    latents, labels = tf.zeros([4, 8]), tf.constant([0, 1, 0, 1])
    for training in (False, True):
        images = trainer.networks.generator([latents, labels], training=training)
    trainer.networks.discriminator(images, labels)
    np.testing.assert_array_equal(directions(trainer), before)


def test_checkpoint_holds_the_directions_and_training_goes_on_bit_for_bit(
    op_determinism, trainer, one_device, tmp_path
):
    def weights():
        return flat(value for part in ("generator", "ema_generator", "trunk", "head") for value in checkpointed(part))

    def checkpointed(part):
        return trainer.checkpointed[part].variables

    checkpoints = Checkpoints(tmp_path, trainer, one_device)
    checkpoints.save(2)
    saved = directions(trainer)
    take_steps(trainer, tiny_batches(2), first=2, count=2)
    undisturbed = weights()
    assert not np.array_equal(directions(trainer), saved)
    assert checkpoints.restore() == 2
    np.testing.assert_array_equal(directions(trainer), saved)
    take_steps(trainer, tiny_batches(2), first=2, count=2)
    np.testing.assert_array_equal(weights(), undisturbed)
