"""Files of weights, read into a model; no code is read from them."""

import os

import keras

from tfrecords_tools.foundation.errors import DataError

# What h5py and Keras raise for a file that is damaged, of another network or no file of weights at all.
_REFUSALS = (OSError, ValueError, RuntimeError, KeyError, TypeError)


def load_weights(
    model: keras.Model, path: str | os.PathLike, *, skip_mismatch: bool = False, by_name: bool = False
) -> None:
    """Loads a .weights.h5 file, or one of Keras 2.

    Arguments:
      model: takes the weights.
      path: of the file, on this machine.
      skip_mismatch: leave weights as they are where the file has none of their shape.
      by_name: the file is of Keras 2, and layers are found by their names; those that are not keep their weights.

    Raises:
      DataError: naming the file, if it cannot be read or does not fit.
    """
    try:  # Keras takes False for a choice too, and refuses it for files of its own
        model.load_weights(path, skip_mismatch=skip_mismatch, by_name=by_name or None)
    except _REFUSALS as error:
        reason = next(iter(str(error).strip("'\"").splitlines()), type(error).__name__)
        raise DataError(f"{path}: no weights of {model.name} ({reason}); put back the file that was written") from error
