"""Training of translators on images in memory."""

from collections.abc import Iterator, Mapping, Sequence

import tensorflow as tf

from melgan.sources import Sources
from melgan.translation.trainer import TranslationTrainer

_STEPS_PER_CALL = 50


def take_steps(
    trainer: TranslationTrainer, batches: Iterator, first: int, count: int, *, steps_per_call: int = _STEPS_PER_CALL
) -> None:
    """Takes some steps.

    Arguments:
      trainer: is trained.
      batches: without end.
      first: number of the first step.
      count: how many.
      steps_per_call: at most.
    """
    for step in range(first, first + count, steps_per_call):
        steps = min(steps_per_call, first + count - step)
        program, _ = trainer.program_at(step)
        program(batches, tf.constant(step, tf.int64), tf.constant(steps, tf.int64))


def mirrored_examples(sources: Sources, names: Sequence[str], seed: int) -> tf.data.Dataset:
    """Returns images without end, in another order each time, each mirrored at random, as Shin et al. 2018 do.

    Arguments:
      sources: with masks.
      names: of what an example holds: `image`, `mask` `[H, W, 1]`, `label`.
      seed: of the order, and of what is mirrored.
    """
    everything = {"image": sources.images, "mask": sources.masks[..., None], "label": sources.labels}
    examples = tf.data.Dataset.from_tensor_slices({name: everything[name] for name in names})
    shuffled = examples.shuffle(len(sources), seed=seed).repeat()
    return tf.data.Dataset.zip((shuffled, tf.data.Dataset.random(seed=seed))).map(_mirrored)


def _mirrored(example: Mapping[str, tf.Tensor], number: tf.Tensor) -> dict[str, tf.Tensor]:
    """Returns an example whose image and mask are mirrored together if a random number is odd."""
    is_odd = number % 2 == 1
    turned = {name: tf.reverse(example[name], [1]) for name in ("image", "mask") if name in example}
    return {**example, **{name: tf.where(is_odd, turned[name], example[name]) for name in turned}}
