"""A trainer small enough to follow by hand."""

import tensorflow as tf


class Walker:
    """A trainer of one weight, which moves by what each batch holds; its loss is where it then stands.

    In an attempt that is not the first, every step is longer by the number of the attempt.
    """

    batches_per_step = 1

    def __init__(self):
        self.position = tf.Variable(0.0)
        self.attempt = tf.Variable(0)
        self.calls = []

    @property
    def checkpointed(self):
        return {"position": self.position, "attempt": self.attempt}

    def train_steps(self, batches, step, num_steps):
        positions = []
        for _ in range(int(num_steps)):
            for _ in range(self.batches_per_step):
                self.position.assign_add(next(batches) + float(self.attempt))
            positions.append(self.position.read_value())
        self.calls.append((int(step), int(num_steps)))
        return {"length": tf.ones(len(positions)), "loss": tf.stack(positions)}


class Strider(Walker):
    """Takes two batches a step."""

    batches_per_step = 2
