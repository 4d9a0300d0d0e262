"""The examples of a step with images that have no label: guessed targets, and pairs in which all are mixed."""

from dataclasses import dataclass, replace
from enum import IntEnum

import keras
import numpy as np
import tensorflow as tf

from melgan.classifiers.balanced_head import unlabelled_weights, with_balanced_targets
from melgan.classifiers.mixing import Mixture, draw_coefficients, mix_with, mixup, unmixed
from melgan.classifiers.network import apply_classifier
from melgan.classifiers.semi_supervised import SemiSupervised, align, augment_strongly, confident, sharpen
from melgan.training.randomness import Draws
from melgan.training.stepping import Metrics

_MOMENTUM = 1 - 1 / 128  # of the mean of the guesses, which is published as that of 128 batches
_ALPHA = 0.75  # Berthelot et al. 2019, section 4.1.2

Batch = dict[str, tf.Tensor]


class _Use(IntEnum):
    PARTNERS, COEFFICIENTS, AUGMENTATION = range(32, 35)  # smaller numbers are of mixing


@dataclass(frozen=True)
class Guess:
    """Guesses for some images: targets `[N, C]` and how much each counts `[N]`, of both heads, and metrics of them."""

    targets: tf.Tensor
    weights: tf.Tensor
    balanced_targets: tf.Tensor
    balanced_weights: tf.Tensor
    metrics: Metrics


class Guesser:
    """Makes labelled and unlabelled images of a batch the examples of one step.

    Arguments:
      method: of SEMI_SUPERVISED, with the user's settings.
      model: guesses; without dropout, by moving statistics.
      priors: fractions of the classes in each stream, as they are known or taken to be `[S, C]`.
      class_ratios: images of the rarest class for one of each class `[C]`, for the balanced head.
      total_steps: of the training.
      num_labelled, num_unlabelled: images of a replica's batch.
    """

    def __init__(
        self,
        method: SemiSupervised,
        model: keras.Model,
        *,
        priors: np.ndarray,
        class_ratios: np.ndarray,
        total_steps: int,
        num_labelled: int,
        num_unlabelled: int,
    ) -> None:
        self._method, self._model, self._total_steps = method, model, total_steps
        num_classes = priors.shape[1]
        wanted = np.full_like(priors, 1 / num_classes) if method.alignment == "uniform" else priors
        self._wanted, self._class_ratios = tf.constant(wanted, tf.float32), class_ratios
        self._num_labelled, self._num_unlabelled = num_labelled, num_unlabelled
        self.predicted = tf.Variable(tf.fill(priors.shape, 1 / num_classes), trainable=False)  # mean of the guesses

    def examples(self, batch: Batch, draws: Draws, step: tf.Tensor) -> tuple[Mixture, Metrics]:
        """Returns what a replica learns from in a step, and metrics of the guesses.

        The batches of the mixture have for each example, beside what batches have, `weight`: how much it counts in a
        mean over the batch.
        """
        unlabelled, labelled = self._divided(batch)
        guess, count = self._guess(unlabelled, step), self._method.num_trained
        trained = unlabelled["views"][:, :count]
        flat = tf.reshape(trained, [-1, *trained.shape[2:]])
        if self._method.is_strong:
            flat = augment_strongly(flat, replace(draws.fold(_Use.AUGMENTATION), batch_size=flat.shape[0]))
        guessed = {name: tf.repeat(of, count, axis=0) for name, of in self._guessed(unlabelled, guess).items()}
        rows = _joined(self._labelled(labelled), guessed)
        return self._mixed(tf.concat([labelled["images"], flat], axis=0), rows, draws), guess.metrics

    def update(self, metrics: Metrics) -> None:
        """Moves the mean of the guesses, outside of replicas, by the sums that metrics of all replicas hold."""
        num_streams, num_classes = self.predicted.shape
        sums = tf.stack([metrics[_name(s, c)] for s in range(num_streams) for c in range(num_classes)])
        sums = tf.reshape(sums, self.predicted.shape)
        counts = tf.reduce_sum(sums, axis=1, keepdims=True)
        moved = _MOMENTUM * self.predicted + (1 - _MOMENTUM) * tf.math.divide_no_nan(sums, counts)
        self.predicted.assign(tf.where(counts > 0, moved, self.predicted))

    def _divided(self, batch: Batch) -> tuple[Batch, Batch]:
        """Returns the unlabelled and the labelled images of a batch; their images as float, in views and alone."""
        views = batch["views"] if "views" in batch else batch["image"][:, None]
        whole = {name: values for name, values in batch.items() if name not in ("views", "image")}
        whole |= {"views": tf.cast(views, tf.float32), "images": tf.cast(batch["image"], tf.float32)}
        order = tf.argsort(tf.cast(batch["is_labelled"], tf.int32), stable=True)
        parts = order[: self._num_unlabelled], order[self._num_unlabelled :]
        unlabelled, labelled = ({name: tf.gather(values, rows) for name, values in whole.items()} for rows in parts)
        return unlabelled, labelled

    def _guess(self, batch: Batch, step: tf.Tensor) -> Guess:
        """Returns the guesses for unlabelled images."""
        method, views = self._method, batch["views"]
        count, num_views = views.shape[:2]
        metadata = batch.get("metadata")
        outputs = apply_classifier(
            self._model,
            tf.reshape(views, [count * num_views, *views.shape[2:]]),
            None if metadata is None else tf.repeat(metadata, num_views, axis=0),
            training=False,
        )
        raw = guesses = tf.stop_gradient(_mean_over_views(outputs.logits, num_views))
        if method.alignment != "none":
            guesses = align(raw, *(tf.gather(of, batch["stream"]) for of in (self._wanted, self.predicted)))
        balanced = tf.stop_gradient(_mean_over_views(outputs.predicted, num_views))
        return Guess(
            targets=sharpen(guesses, method.temperature),
            weights=confident(guesses, method.confidence),
            balanced_targets=balanced,
            balanced_weights=unlabelled_weights(
                balanced, self._class_ratios, tf.cast(step, tf.float32) / self._total_steps
            ),
            metrics=self._sums(raw, batch["stream"]),
        )

    def _sums(self, guesses: tf.Tensor, stream: tf.Tensor) -> Metrics:
        """Returns the sum of the guesses for images of each stream."""
        num_streams, num_classes = self.predicted.shape
        sums = tf.transpose(tf.one_hot(stream, num_streams)) @ guesses
        return {_name(s, c): sums[s, c] for s in range(num_streams) for c in range(num_classes)}

    def _labelled(self, batch: Batch) -> Batch:
        """Returns the rows of labelled images: all together count as much as a batch."""
        scale = (self._num_labelled + self._num_unlabelled) / self._num_labelled
        rows = with_balanced_targets(batch, self._class_ratios)
        own = {"weight": scale * tf.cast(batch["is_labelled"], tf.float32)}
        return rows | own | {"balanced_weight": scale * rows["balanced_weight"]}

    def _guessed(self, batch: Batch, guess: Guess) -> Batch:
        """Returns the rows of unlabelled images with what was guessed: all together count as much as a batch."""
        scale = (self._num_labelled + self._num_unlabelled) / (self._num_unlabelled * self._method.num_trained)
        scale *= 1 - tf.cast(batch["is_labelled"], tf.float32)  # where rounding has put one more that has a label
        own = {"targets": guess.targets, "weight": scale * guess.weights}
        own |= {"balanced_targets": guess.balanced_targets, "balanced_weight": scale * guess.balanced_weights}
        return batch | own

    def _mixed(self, images: tf.Tensor, rows: Batch, draws: Draws) -> Mixture:
        """Returns examples, mixed in pairs of any kind if the method does so; each keeps the larger part of itself."""
        if not self._method.mixes:
            return unmixed(images, rows)
        own_draws = replace(draws, batch_size=images.shape[0])
        partners = tf.argsort(own_draws.fold(_Use.PARTNERS).uniform())
        coefficients = draw_coefficients(own_draws.fold(_Use.COEFFICIENTS), _ALPHA)
        return mix_with(images, rows, mixup, partners, tf.maximum(coefficients, 1 - coefficients), own_draws)


def _name(stream: int, label: int) -> str:
    return f"guesses_of_stream{stream}_class{label}"


def _mean_over_views(logits: tf.Tensor, num_views: int) -> tf.Tensor:
    """Returns mean probabilities `[N, C]` of logits `[N V, C]`."""
    probabilities = tf.nn.softmax(logits)
    return tf.reduce_mean(tf.reshape(probabilities, [-1, num_views, logits.shape[1]]), axis=1)


def _joined(*batches: Batch) -> Batch:
    names = [name for name in batches[0] if name not in ("views", "images")]
    return {name: tf.concat([batch[name] for batch in batches], axis=0) for name in names}
