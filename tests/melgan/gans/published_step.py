"""The training step of BAGAN-GP as it was published, transcribed without regard to speed.

Huang and Jafari 2021; the authors' code: github.com/GH920/improved-bagan-gp, codes/improved_bagan_gp.py, 64 px.
Nothing here comes from melgan. What differs from the published step:
- The random numbers are arguments. The weights of the mixes are uniform (theirs are normal; Gulrajani et al. 2017,
  algorithm 1, and the paper have them uniform), and a wrong label is never the right one.
- Gradients of embeddings are dense, as in the Keras of the time: the Adam of Keras 3 squares those of one label before
  it sums them.
"""

from collections.abc import Sequence
from typing import NamedTuple

import keras
import tensorflow as tf
from keras import layers


class DiscriminatorNumbers(NamedTuple):
    """Random numbers of a discriminator step: latents [N, Z], labels and wrong labels [N], mix weights [N, 1, 1, 1]."""

    latents: tf.Tensor
    fake_labels: tf.Tensor
    wrong_labels: tf.Tensor
    mix_weights: tf.Tensor


class StepNumbers(NamedTuple):
    """Random numbers of a step: those of its discriminator steps, and latents [N, Z], labels [N] of the generator's."""

    discriminator: Sequence[DiscriminatorNumbers]
    latents: tf.Tensor
    fake_labels: tf.Tensor


class PublishedStep:
    """Networks, optimizers and the training step.

    `filters` are those of the convolutions from the image inwards, `label_units` those of the label's embedding in the
    discriminator; the defaults are the published ones.
    """

    def __init__(self, num_classes, *, latent_dim=128, filters=(64, 128, 128, 256), label_units=512):
        self.generator = build_generator(num_classes, latent_dim, filters)
        self.discriminator = build_discriminator(num_classes, filters, label_units)
        self.generator_optimizer = keras.optimizers.Adam(0.0002, beta_1=0.5, beta_2=0.9)
        self.discriminator_optimizer = keras.optimizers.Adam(0.0002, beta_1=0.5, beta_2=0.9)
        self.generator_optimizer.build(self.generator.trainable_variables)
        self.discriminator_optimizer.build(self.discriminator.trainable_variables)

    def set_weights(self, generator, discriminator):
        """Takes over weights: each network's in the order in which its builder makes layers."""
        for weight, value in zip(self.generator.weights, generator, strict=True):
            weight.assign(value)
        convolutions_first = [
            weight
            for kind in (layers.Conv2D, layers.Embedding, layers.Dense)
            for layer in self.discriminator.layers
            if isinstance(layer, kind)
            for weight in layer.weights
        ]
        for weight, value in zip(convolutions_first, discriminator, strict=True):
            weight.assign(value)

    def train_step(self, real_images, labels, numbers):
        """Trains on images [N, 64, 64, 3] in [-1, 1] with labels [N].

        Returns discriminator losses [disc_steps], penalties [disc_steps], generator loss [].
        """
        losses = [self.train_discriminator(real_images, labels, own) for own in numbers.discriminator]
        discriminator_losses, penalties = zip(*losses, strict=True)
        generator_loss = self.train_generator(numbers.latents, numbers.fake_labels)
        return tf.stack(discriminator_losses), tf.stack(penalties), generator_loss

    def train_discriminator(self, real_images, labels, numbers):
        with tf.GradientTape() as tape:
            fake_images = self.generator([numbers.latents, numbers.fake_labels], training=True)
            fake_logits = self.discriminator([fake_images, numbers.fake_labels], training=True)
            real_logits = self.discriminator([real_images, labels], training=True)
            wrong_label_logits = self.discriminator([real_images, numbers.wrong_labels], training=True)
            loss = (
                cross_entropy(wrong_label_logits, tf.zeros_like)
                + cross_entropy(fake_logits, tf.zeros_like)
                + cross_entropy(real_logits, tf.ones_like)
            )
            penalty = self.gradient_penalty(real_images, fake_images, labels, numbers.mix_weights)
            total = loss + 10.0 * penalty
        apply(self.discriminator_optimizer, tape, total, self.discriminator.trainable_variables)
        return loss, penalty

    def gradient_penalty(self, real_images, fake_images, labels, mix_weights):
        mixed = real_images + mix_weights * (fake_images - real_images)
        with tf.GradientTape() as tape:
            tape.watch(mixed)
            logits = self.discriminator([mixed, labels], training=True)
        gradients = tape.gradient(logits, mixed)
        norms = tf.sqrt(tf.reduce_sum(tf.square(gradients), axis=[1, 2, 3]))
        return tf.reduce_mean((norms - 1.0) ** 2)

    def train_generator(self, latents, fake_labels):
        with tf.GradientTape() as tape:
            fake_images = self.generator([latents, fake_labels], training=True)
            fake_logits = self.discriminator([fake_images, fake_labels], training=True)
            loss = cross_entropy(fake_logits, tf.ones_like)
        apply(self.generator_optimizer, tape, loss, self.generator.trainable_variables)
        return loss


def cross_entropy(logits, targets_like):
    return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(labels=targets_like(logits), logits=logits))


def apply(optimizer, tape, loss, variables):
    gradients = [tf.convert_to_tensor(gradient) for gradient in tape.gradient(loss, variables)]
    optimizer.apply_gradients(zip(gradients, variables, strict=True))


def build_generator(num_classes, latent_dim, filters):
    """Latents times embedding, then transposed convolutions from 4 x 4 to 64 x 64."""
    latents, labels = keras.Input((latent_dim,)), keras.Input((1,), dtype="int32")
    embedded = layers.Flatten()(layers.Embedding(num_classes, latent_dim)(labels))
    x = layers.LeakyReLU(0.2)(layers.Dense(4 * 4 * filters[3])(layers.multiply([latents, embedded])))
    x = layers.Reshape((4, 4, filters[3]))(x)
    for number in reversed(filters[:3]):
        x = layers.Conv2DTranspose(number, 4, strides=2, padding="same", kernel_initializer=normal())(x)
        x = layers.LeakyReLU(0.2)(layers.BatchNormalization()(x))
    images = layers.Conv2DTranspose(3, 4, strides=2, padding="same", activation="tanh", kernel_initializer=normal())(x)
    return keras.Model([latents, labels], images)


def build_discriminator(num_classes, filters, label_units):
    """Strided convolutions from 64 x 64 to 4 x 4, times what a dense layer makes of the label's embedding."""
    images, labels = keras.Input((64, 64, 3)), keras.Input((1,), dtype="int32")
    x = images
    for number in filters:
        x = layers.Conv2D(number, 4, strides=2, padding="same", kernel_initializer=normal())(x)
        x = layers.LeakyReLU(0.2)(x)
    embedded = layers.Flatten()(layers.Embedding(num_classes, label_units)(labels))
    embedded = layers.LeakyReLU(0.2)(layers.Dense(4 * 4 * filters[3])(embedded))
    x = layers.Dense(label_units)(layers.multiply([layers.Flatten()(x), embedded]))
    return keras.Model([images, labels], layers.Dense(1)(x))


def normal():
    return keras.initializers.RandomNormal(stddev=0.02)
