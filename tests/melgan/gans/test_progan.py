import keras
import numpy as np
import pytest
import tensorflow as tf

from melgan.gans.architectures import progan
from melgan.gans.architectures.networks import NetworkShape
from melgan.gans.fading import grow
from melgan.gans.trainer import GanTrainer
from melgan.images import to_signed_float
from melgan.training.checkpoints import Checkpoints
from tests.melgan.gans.tiny_gan import (
    CLASS_COUNTS,
    discriminator_gradients,
    enlarge_weights,
    flat,
    generator_gradients,
    program_for_accelerator,
    take_steps,
    tiny_batch,
    tiny_batches,
    tiny_config,
)

LABELS = tf.constant([2, 0, 2, 1])
LATENTS = tf.constant(np.random.default_rng(0).normal(size=(4, 8)), tf.float32)
IMAGES = tf.constant(np.random.default_rng(1).uniform(-1, 1, (4, 32, 32, 3)), tf.float32)


def build(image_size=32, width=0.02):
    keras.utils.set_random_seed(0)
    return progan.build(NetworkShape(image_size=image_size, num_classes=3, latent_dim=8, width=width))


@pytest.fixture(scope="module")
def networks():
    """Networks whose biases are not zero."""
    networks = build()
    enlarge_weights(networks.generator)
    enlarge_weights(networks.discriminator)
    return networks


def grown(networks, degree):
    """Returns the networks at a degree of growth."""
    grow(tf.constant(degree), networks.generator, networks.discriminator.trunk)
    return networks


def enlarged(images, size=32):
    factor = size // images.shape[1]
    return np.repeat(np.repeat(images, factor, axis=1), factor, axis=2)


@pytest.mark.parametrize("level", [1, 2, 3])
def test_fade_begins_with_the_images_of_the_level_before(networks, level):
    smaller = grown(networks, level - 1.0).levels[level - 1].generator([LATENTS, LABELS])
    np.testing.assert_array_equal(networks.levels[level].generator([LATENTS, LABELS]), smaller)


@pytest.mark.parametrize("level", [0, 1, 2, 3])
def test_fade_ends_with_the_images_of_the_level_alone(networks, level):
    generator = networks.levels[level].generator
    alone = keras.Model(generator.input, generator.get_layer(f"to_images_{4 * 2**level}").output)
    images = grown(networks, float(level)).levels[level].generator([LATENTS, LABELS])
    np.testing.assert_array_equal(images, enlarged(alone([LATENTS, LABELS])))


def test_halfway_images_are_the_mean_of_both_levels(networks):
    first, last = (np.asarray(grown(networks, degree).levels[2].generator([LATENTS, LABELS])) for degree in (1.0, 2.0))
    assert np.abs(first - last).max() > 0.1
    halfway = grown(networks, 1.5).levels[2].generator([LATENTS, LABELS])
    np.testing.assert_allclose(halfway, (first + last) / 2, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("level", [1, 2, 3])
def test_fade_begins_with_the_logits_of_the_level_before(networks, level):
    smaller = grown(networks, level - 1.0).levels[level - 1].discriminator(IMAGES, LABELS)
    larger = networks.levels[level].discriminator(IMAGES, LABELS)
    np.testing.assert_allclose(larger, smaller, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("degree", "level"), [(0.0, 0), (0.3, 1), (1.0, 1), (1.9, 2), (3.0, 3)])
def test_whole_networks_are_those_of_the_level(networks, degree, level):
    at_level = grown(networks, degree).levels[level]
    whole = networks.generator([LATENTS, LABELS])
    np.testing.assert_allclose(whole, at_level.generator([LATENTS, LABELS]), rtol=1e-5, atol=1e-6)
    logits = networks.discriminator(IMAGES, LABELS)
    np.testing.assert_allclose(logits, at_level.discriminator(IMAGES, LABELS), rtol=1e-4, atol=1e-5)


def test_level_sees_no_detail_below_its_resolution(networks):
    """At level 1, of 8 px, squares of 4 x 4 px count by their mean only; so they do where level 2 begins to fade."""
    noise = np.random.default_rng(2).normal(size=(4, 8, 4, 8, 4, 3)).astype(np.float32)
    noise -= noise.mean(axis=(2, 4), keepdims=True)
    noisy = IMAGES + noise.reshape(IMAGES.shape)

    def logits(level):
        return [networks.levels[level].discriminator(images, LABELS) for images in (IMAGES, noisy)]

    grown(networks, 1.0)
    for level in (1, 2):
        np.testing.assert_allclose(*logits(level), rtol=1e-4, atol=1e-5)
    grown(networks, 2.0)
    assert not np.allclose(*logits(2), rtol=1e-2)


def test_published_filters():
    """At 256 px, of a width of a sixteenth: 512 becomes 32."""
    networks = build(256, width=1 / 16)
    generator, trunk = networks.generator, networks.discriminator.trunk

    def shape(network, name):
        return tuple(network.get_layer(name).kernel.shape)

    assert shape(generator, "dense") == (16, 16 * 32)
    assert shape(generator, "innermost") == (3, 3, 32, 32)
    sizes = (8, 16, 32, 64, 128, 256)
    assert [shape(generator, f"up_{n}_1")[2:] for n in sizes] == [(32, 32)] * 3 + [(32, 16), (16, 8), (8, 4)]
    assert [shape(generator, f"up_{n}_2")[2:] for n in sizes] == [(n, n) for n in (32, 32, 32, 16, 8, 4)]
    assert [shape(trunk, f"down_{n}_1")[2:] for n in sizes] == [(n, n) for n in (32, 32, 32, 16, 8, 4)]
    assert [shape(trunk, f"down_{n}_2")[2:] for n in sizes] == [(32, 32)] * 3 + [(16, 32), (8, 16), (4, 8)]
    assert shape(trunk, "innermost") == (3, 3, 33, 32)  # with the map of the minibatch
    assert shape(trunk, "features") == (16 * 32, 32)
    assert [shape(generator, f"to_images_{n}")[2:] for n in (4, 256)] == [(32, 3), (4, 3)]
    assert [shape(trunk, f"from_images_{n}")[2:] for n in (4, 256)] == [(3, 32), (3, 4)]
    assert len(networks.levels) == 7


def test_projection_head_by_hand():
    """psi(features) + <row of the class, features>, a kernel and rows of standard normals over sqrt(10)."""
    head = build().discriminator.head
    features = np.random.default_rng(0).normal(size=(4, 10)).astype(np.float32)
    logit, rows = head.get_layer("logit"), np.asarray(head.get_layer("embedding").kernel) / np.sqrt(10)
    logit.bias.assign([0.3])
    linear = features @ np.asarray(logit.kernel)[:, 0] / np.sqrt(10) + 0.3
    by_hand = linear + [features[n] @ rows[label] for n, label in enumerate(LABELS.numpy())]
    np.testing.assert_allclose(head([tf.constant(features), LABELS]), by_hand, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("level", range(4))
def test_every_level_is_fit_for_an_accelerator(one_device, level):
    """As the whole networks are: static shapes and no call of a library in the program that XLA is given."""
    trainer = GanTrainer(tiny_config(method="progan", width=0.02), CLASS_COUNTS, one_device)
    program = program_for_accelerator(trainer, level=level)
    assert "[<=" not in program
    assert "custom-call" not in program
    assert f"[4,{4 * 2**level},{4 * 2**level}," in program


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_half_precision_is_near(one_device, precision):
    losses = {}
    for each in ("float32", precision):
        trainer = GanTrainer(tiny_config(method="progan", precision=each), CLASS_COUNTS, one_device)
        images, labels = to_signed_float(tiny_batch()["image"]), tf.constant(tiny_batch()["label"])
        fakes = trainer.step_at(2).generate(labels, trainer.draws(0))
        gradients, terms = discriminator_gradients(trainer, images, labels, trainer.draws(0), fakes=fakes, level=2)
        losses[each] = [terms[name] for name in ("discriminator_loss", "penalty", "real_sign")]
        assert {value.dtype for value in [fakes[0], *gradients]} == {tf.float32}
    np.testing.assert_allclose(losses[precision], losses["float32"], rtol=0.02, atol=0.02)
    assert losses[precision][0] != losses["float32"][0]


def test_levels_have_all_weights_between_them_and_each_has_finite_gradients(one_device):
    trainer = GanTrainer(tiny_config(method="progan", width=0.02), CLASS_COUNTS, one_device)
    images, labels = to_signed_float(tiny_batch()["image"]), tf.constant(tiny_batch()["label"])
    trained = {"discriminator": set(), "generator": set()}
    for level in range(4):
        step = trainer.step_at(level)
        gradients = {
            "discriminator": discriminator_gradients(trainer, images, labels, trainer.draws(0), level=level)[0],
            "generator": generator_gradients(trainer, images, labels, trainer.draws(0), level=level)[0],
        }
        for name, own in gradients.items():
            variables = getattr(step, name).trainable_variables
            assert len(own) == len(variables)
            assert np.isfinite(flat(own)).all()
            trained[name] |= set(map(id, variables))
    for name, found in trained.items():
        assert found == set(map(id, getattr(trainer.networks, name).trainable_variables))


def make_trainer(strategy):
    """Returns a trainer of 2 steps a phase: level 0 in steps 0 and 1, level 1 fades in in 2 and 3."""
    trainer = GanTrainer(tiny_config(method="progan", phase_epochs=1.0), CLASS_COUNTS, strategy)
    trainer.start_average()
    return trainer


def train(trainer, step, num_steps):
    return take_steps(trainer, tiny_batches(step), first=step, count=num_steps)


def state(trainer):
    parts = trainer.checkpointed.items()
    return {name: flat(part.variables) for name, part in parts if hasattr(part, "variables")}


@pytest.mark.usefixtures("eager")
def test_training_that_goes_on_inside_a_fade_is_bitwise_the_undisturbed_one(tmp_path, one_device, op_determinism):
    """From step 3 on: in steps 4 and 5 level 1 is there, and the optimizers began anew. One call, or three."""
    undisturbed = make_trainer(one_device)
    train(undisturbed, 1, 2)
    Checkpoints(tmp_path, undisturbed, one_device).save(3)
    losses = train(undisturbed, 3, 3)
    resumed = make_trainer(one_device)
    assert Checkpoints(tmp_path, resumed, one_device).restore() == 3
    parts = [train(resumed, step, 1) for step in (3, 4, 5)]
    for name, values in losses.items():
        assert values.shape == (3,)
        np.testing.assert_array_equal(np.concatenate([part[name] for part in parts]), values)
    expected = state(undisturbed)
    assert len(expected) == 6
    for name, values in state(resumed).items():
        np.testing.assert_array_equal(values, expected[name], err_msg=name)


def test_programs_are_those_of_the_level_and_change_where_phases_begin(one_device):
    trainer = make_trainer(one_device)
    programs, changes = zip(*[trainer.program_at(step) for step in range(14)], strict=True)
    assert changes == (2, 2, 4, 4, 6, 6, 8, 8, 10, 10, 12, 12, None, None)
    levels = [0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3]
    assert [list(dict.fromkeys(map(id, programs))).index(id(program)) for program in programs] == levels


@pytest.mark.usefixtures("eager")
def test_layers_join_when_their_level_does(one_device):
    """In step 2, the first of the fade, level 1 counts for nothing yet; in step 3 it learns, and the average sees it.

    Step 4 begins another phase, and with it the optimizers begin anew.
    """
    trainer = make_trainer(one_device)
    iterations = trainer.checkpointed["generator_optimizer"].iterations
    names = ("up_8_1", "up_16_1")

    def weights(network):
        return [flat(network.get_layer(name).weights) for name in names]

    before = weights(trainer.networks.generator)
    train(trainer, 2, 1)
    np.testing.assert_array_equal(weights(trainer.networks.generator), before)
    assert float(trainer.average.generator.get_layer("fade_8").share) == 0.0
    train(trainer, 3, 1)
    for network in (trainer.networks.generator, trainer.average.generator):
        joined, later = weights(network)
        assert not np.array_equal(joined, before[0])
        np.testing.assert_array_equal(later, before[1])
        assert [float(network.get_layer(f"fade_{size}").share) for size in (8, 16, 32)] == [0.5, 0.0, 0.0]
    images = np.asarray(trainer.average.generator([LATENTS, tf.constant([0, 1, 0, 1])]))
    np.testing.assert_array_equal(images, enlarged(images[:, ::4, ::4]))
    assert int(iterations) == 2
    train(trainer, 4, 1)
    assert int(iterations) == 1
