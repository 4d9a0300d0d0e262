"""Imports TensorFlow with the chatter of its C++ start-up put aside; commands that use TensorFlow import this first.

Those lines are written before TensorFlow reads any setting that could silence them. Only the import is covered:
what goes wrong later is shown.

On a terminal a line says what is waited for, and goes when it is there.

TensorFlow takes the memory of a GPU as it needs it, not all at once, so that commands can share one.
"""

import os
import sys

_stderr = os.dup(2)
_nowhere = os.open(os.devnull, os.O_WRONLY)
_shown = sys.stderr.isatty()
if _shown:
    print("loading TensorFlow ...", end="", file=sys.stderr, flush=True)
try:
    os.dup2(_nowhere, 2)
    import tensorflow as tf

    tf.get_logger().setLevel("WARNING")
    for gpu in tf.config.list_physical_devices("GPU"):  # looks for drivers, and complains where there are none
        tf.config.experimental.set_memory_growth(gpu, True)
finally:
    os.dup2(_stderr, 2)
    os.close(_stderr)
    os.close(_nowhere)
    if _shown:
        print("\r\x1b[2K", end="", file=sys.stderr, flush=True)
