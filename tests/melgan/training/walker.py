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
    def checkpointed_by_device(self):
        return {}

    @property
    def checkpointed(self):
        return {"position": self.position, "attempt": self.attempt}

    def program_at(self, step):
        del step
        return self.walk, None

    def walk(self, batches, first, num_steps):
        positions = []
        for _ in range(int(num_steps)):
            for _ in range(self.batches_per_step):
                self.position.assign_add(next(batches) + float(self.attempt))
            positions.append(self.position.read_value())
        self.calls.append((int(first), int(num_steps)))
        return {"length": tf.ones(len(positions)), "loss": tf.stack(positions)}


class Strider(Walker):
    """Takes two batches a step."""

    batches_per_step = 2


class Returner(Walker):
    """From step 5 on it walks back."""

    def program_at(self, step):
        return (self.walk, 5) if step < 5 else (self.walk_back, None)

    def walk_back(self, batches, first, num_steps):
        return self.walk((-length for length in batches), first, num_steps)
