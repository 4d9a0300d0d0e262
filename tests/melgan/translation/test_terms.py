import keras
import numpy as np
import pytest
import tensorflow as tf

from melgan.training.randomness import Draws
from melgan.translation import auggan
from melgan.translation.networks import Direction, Generator
from melgan.translation.objectives import OBJECTIVES
from melgan.translation.passes import Passes
from melgan.translation.terms import TERMS, discriminator_losses, feathered, minus_log_cosine
from melgan.translation.translators import TRANSLATORS
from tests.melgan.translation.tiny_translator import passes_of, tiny_batch, tiny_config, tiny_trainer

SIDE, SIZE = 16, 3


def images(seed):
    return tf.constant(np.random.default_rng(seed).uniform(-1, 1, (SIZE, SIDE, SIDE, 3)), tf.float32)


def generator_of(layer, tied=()):
    """A generator that is a single layer; its taps are the inputs, and they again in another unit."""
    inputs = keras.Input((SIDE, SIDE, 3))
    made, taps = layer(inputs), [inputs, keras.layers.Rescaling(2.0)(inputs)]
    whole, tapped = keras.Model(inputs, {"images": made, "taps": taps}), keras.Model(inputs, taps)
    return Generator(keras.Model(inputs, made), whole, tapped, tied)


def brightened(by):
    """A generator that adds a number."""
    return generator_of(keras.layers.Rescaling(1.0, offset=by))


def discriminator_of(kernel, bias=0.0):
    """A discriminator that weighs the channels of each pixel."""
    network = keras.Sequential([keras.Input((SIDE, SIDE, 3)), keras.layers.Conv2D(1, 1)])
    network.set_weights([np.reshape(kernel, (1, 1, 3, 1)), np.array([bias])])
    return network


def passes_with(generator, *, back=None, discriminator=None, objective="least_squares", projector=None, **settings):
    discriminator = discriminator or discriminator_of([0, 0, 0])
    opposite = None if back is None else Direction(back, discriminator)
    return Passes(
        direction=Direction(generator, discriminator, projector),
        opposite=opposite,
        objective=OBJECTIVES[objective],
        **{"inputs": images(0), "real_images": images(1), "draws": Draws(tf.constant([0, 1]), 0, SIZE, 1)} | settings,
    )


def masks():
    """A square of 4 pixels in the first image, everything in the second, nothing in the third."""
    values = np.zeros((SIZE, SIDE, SIDE, 1), np.float32)
    values[0, 6:10, 6:10] = 1
    values[1] = 1
    return tf.constant(values)


def test_of_networks_that_change_nothing_nothing_is_lost():
    passes = passes_with(brightened(0.0), back=brightened(0.0), masks=masks())
    for term in ("cycle", "identity", "outside"):
        np.testing.assert_array_equal(TERMS[term](passes), np.zeros(SIZE))


def test_distances_by_hand():
    """There 0.3 is added, and 0.1 taken on the way back."""
    passes = passes_with(brightened(0.3), back=brightened(-0.1))
    np.testing.assert_allclose(TERMS["cycle"](passes), [0.2] * SIZE, rtol=1e-5)
    np.testing.assert_allclose(TERMS["identity"](passes), [0.3] * SIZE, rtol=1e-5)
    by_hand = np.abs(images(0) + 0.3 - images(1)).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(TERMS["l1"](passes), by_hand, rtol=1e-5)


def test_outside_counts_from_the_mask_on():
    """Around 4 x 4 pixels lie 20, 28 and 36 that count by 1/4, 1/2 and 3/4; the others count wholly."""
    passes = passes_with(brightened(0.3), masks=masks())
    counted = (20 / 4 + 28 / 2 + 36 * 3 / 4 + SIDE**2 - 100) / SIDE**2
    np.testing.assert_allclose(TERMS["outside"](passes), [0.3 * counted, 0.0, 0.3], rtol=1e-5)


def test_a_mask_is_feathered_over_three_pixels():
    mask = np.zeros((1, 9, 9, 1), np.float32)
    mask[0, 4, 4] = 1
    np.testing.assert_allclose(feathered(tf.constant(mask))[0, 4, :, 0], [0, 0.25, 0.5, 0.75, 1, 0.75, 0.5, 0.25, 0])


@pytest.mark.parametrize(
    ("objective", "logit", "generator", "discriminator"),
    [
        ("least_squares", 0.0, 0.25, 0.25),
        ("least_squares", 0.5, 0.0, 0.5),
        ("sigmoid_cross_entropy", 0.0, np.log(2), np.log(2)),
    ],
)
def test_adversarial_losses_by_hand(objective, logit, generator, discriminator):
    """Of a discriminator that says the same of every patch; its two terms are halved."""
    passes = passes_with(brightened(0.3), discriminator=discriminator_of([0, 0, 0], logit), objective=objective)
    np.testing.assert_allclose(TERMS["adversarial"](passes), [generator] * SIZE, rtol=1e-6)
    np.testing.assert_allclose(discriminator_losses(passes), [discriminator] * SIZE, rtol=1e-6)


@pytest.mark.parametrize("objective", sorted({translator.objective for translator in TRANSLATORS.values()}))
def test_the_generator_is_drawn_towards_what_is_taken_for_real(objective):
    """The discriminator takes red for real and blue for fake: red must grow, blue fall, and green is of no matter."""
    convolution = keras.layers.Conv2D(3, 1)
    generator = generator_of(convolution)
    passes = passes_with(generator, discriminator=discriminator_of([0.1, 0.0, -0.1]), objective=objective)
    with tf.GradientTape() as tape:
        losses = TERMS["adversarial"](passes)
    np.testing.assert_array_equal(np.sign(tape.gradient(losses, convolution.bias.value)), [-1, 0, 1])


def test_the_discriminators_losses_have_no_gradient_by_the_generator():
    convolution = keras.layers.Conv2D(3, 1)
    passes = passes_with(generator_of(convolution), discriminator=discriminator_of([0.1, 0.0, -0.1]))
    with tf.GradientTape() as tape:
        losses = discriminator_losses(passes)
    assert tape.gradient(losses, convolution.bias.value) is None


@pytest.mark.parametrize(
    ("cosine", "loss"), [(1.0, 0.0), (0.5**0.5, 0.5 * np.log(2)), (0.0, np.log(10) + 1), (-1.0, np.log(10) + 11)]
)
def test_tied_weights_lose_by_their_angle(cosine, loss):
    cosine = tf.constant(cosine)
    with tf.GradientTape() as tape:
        tape.watch(cosine)
        found = minus_log_cosine(cosine)
    assert float(found) == pytest.approx(loss, abs=1e-5)
    assert float(tape.gradient(found, cosine)) == pytest.approx(-1 / max(float(cosine), 0.1), rel=1e-5)


@pytest.mark.parametrize(
    ("ones", "others", "loss"),
    [
        ([[1.0, 2.0], [3.0]], [[1.0, 2.0], [3.0]], 0.0),
        ([[1.0, 2.0], [3.0]], [[2.0, 4.0], [6.0]], 0.0),
        ([[1.0, 0.0], [0.0]], [[1.0, 0.0], [1.0]], 0.5 * np.log(2)),
    ],
    ids=["equal", "longer", "45 degrees"],
)
def test_all_tied_weights_are_one_vector(ones, others, loss):
    tied = tuple((keras.Variable(one), keras.Variable(other)) for one, other in zip(ones, others, strict=True))
    passes = passes_with(generator_of(keras.layers.Rescaling(1.0), tied))
    np.testing.assert_allclose(TERMS["tying"](passes), [loss] * SIZE, atol=1e-6)


def projector(layer):
    patches = [keras.Input((SIDE * SIDE, 3)) for _ in range(2)]
    return keras.Model(patches, [layer(each) for each in patches])


def test_mirrored_inputs_are_mirrored_back_before_patches_are_compared():
    """A generator that changes nothing goes along with every mirroring; one that shifts images does not."""
    same = projector(keras.layers.Identity())
    passes = passes_with(brightened(0.0), projector=same, mirrors=True)
    was_mirrored = ~np.isclose(passes.shown, passes.inputs).all(axis=(1, 2, 3))
    assert 0 < was_mirrored.sum() < SIZE
    for queries, keys in passes.contrasts:
        np.testing.assert_array_equal(queries, keys)
    keys = passes.contrasts[0][1]
    np.testing.assert_array_equal(keys, tf.reshape(passes.inputs, keys.shape))
    shifted = generator_of(keras.layers.Lambda(lambda images: tf.roll(images, 1, axis=2)))
    (of_mirrored, _), _ = passes_with(shifted, projector=same, mirrors=True).contrasts
    (of_others, _), _ = passes_with(shifted, projector=same).contrasts
    differ = ~np.isclose(of_mirrored, of_others).all(axis=(1, 2))
    np.testing.assert_array_equal(differ, was_mirrored)


def test_kept_images_are_contrasted_half_of_the_time_where_they_are_at_all():
    same = projector(keras.layers.Identity())
    twice = passes_with(brightened(0.0), projector=same, contrasts_kept=True, temperature=0.5)
    of_translated, of_kept = (
        TERMS["nce"](passes_with(brightened(0.0), projector=same, temperature=0.5, inputs=images(seed)))
        for seed in (0, 1)
    )
    np.testing.assert_allclose(TERMS["nce"](twice), (of_translated + of_kept) / 2, rtol=1e-5)


def test_keys_have_no_gradient():
    dense = keras.layers.Dense(3)
    passes = passes_with(brightened(0.3), projector=projector(dense))
    with tf.GradientTape(persistent=True) as tape:
        (queries, keys), _ = passes.contrasts
    assert tape.gradient(queries, dense.kernel.value) is not None
    assert tape.gradient(keys, dense.kernel.value) is None


def test_the_parsing_reaches_the_encoder_but_not_the_decoder_of_images(one_device):
    """Of a generator whose parsing has a weight; without one, it has no parsing at all."""
    trainer = tiny_trainer(one_device)
    weights = trainer.directions[0].generator.whole.trainable_variables
    with tf.GradientTape() as tape:
        losses = TERMS["parsing"](passes_of(trainer)[0])
    reached = {
        variable.path.split("/")[-2]
        for variable, gradient in zip(weights, tape.gradient(losses, weights), strict=True)
        if gradient is not None and np.abs(gradient).max() > 0
    }
    assert {"first", "down_1", "down_2", "block_1_1", "parse_1", "parse_2", "parsing"} <= reached
    assert reached.isdisjoint({"up_1", "up_2", "last"})
    assert "parsing" not in auggan.build(tiny_config(parsing_weight=0.0, tying_weight=0.0), 3).whole.output


def test_the_discriminator_of_pix2pix_sees_the_condition(one_device):
    trainer, batch = tiny_trainer(one_device, "pix2pix"), tiny_batch()
    others = {"label": 1 - batch["label"], "mask": 255 - batch["mask"]}
    (passes,) = passes_of(trainer, batch)
    logits = passes.logits(passes.real_images)
    for name, other in others.items():
        (swapped,) = passes_of(trainer, batch | {name: other})
        assert not np.isclose(swapped.logits(passes.real_images), logits, atol=1e-4).all()
    np.testing.assert_array_equal(passes.inputs[:, 0, 0, 4], 1 - 2 * batch["label"])


def test_without_the_skin_colour_it_is_not_told(one_device):
    for told in (True, False):
        (passes,) = passes_of(tiny_trainer(one_device, "pix2pix", skin_colour=told))
        assert np.any(passes.inputs[..., 1:4]) == told
