"""Programs that run a few times only, as those of tests do."""

import tensorflow as tf


def leave_programs_as_traced() -> None:
    """Spares TensorFlow the search for faster graphs, which takes longer than what it saves in a few steps."""
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
