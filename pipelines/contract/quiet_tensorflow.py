"""Imports TensorFlow with the chatter of its C++ start-up put aside; commands that use TensorFlow import this first.

Those lines are written before TensorFlow reads any setting that could silence them. Only the import is covered:
what goes wrong later is shown.
"""

import os

_stderr = os.dup(2)
_nowhere = os.open(os.devnull, os.O_WRONLY)
try:
    os.dup2(_nowhere, 2)
    import tensorflow as tf

    tf.get_logger().setLevel("WARNING")
    tf.config.list_physical_devices()  # looks for drivers, and complains where there are none
finally:
    os.dup2(_stderr, 2)
    os.close(_stderr)
    os.close(_nowhere)
