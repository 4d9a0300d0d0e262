"""Runs whose results are equal bit for bit."""

import tensorflow as tf


def make_deterministic() -> None:
    """Lets this process compute the same bits in every run; call it before anything else uses TensorFlow.

    Operations use deterministic algorithms or refuse, and start one after the other: `AddN`, which sums the gradients
    of a tensor that is used several times, begins with whichever of its inputs nothing else holds any more, so that the
    order of three or more terms would depend on how far the operations beside it are.
    """
    tf.config.experimental.enable_op_determinism()
    tf.config.threading.set_inter_op_parallelism_threads(1)
