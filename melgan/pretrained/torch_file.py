"""Files of weights that `torch.save` wrote before PyTorch 1.6, read into arrays without PyTorch and without its rights.

The format is that of `_legacy_save` and `_legacy_load` in torch/serialization.py of PyTorch: five pickles (a magic
number, the version of the protocol, facts on the system, the object, the keys of its storages), then the storages in
the order of their keys, each as an int64 count and that many numbers.

A pickle may call whatever its reader finds for it. This one finds three kinds of names, all of them harmless.
"""

import hashlib
import math
import os
import pickle
from collections import OrderedDict
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import as_strided

from tfrecords_tools.foundation.errors import DataError

_MAGIC, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
_STORAGES = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}
_COUNT = np.dtype("<i8")

# What unpickling raises for contents that are no pickle, or one that asks for something else.
_REFUSALS = (pickle.UnpicklingError, EOFError, ValueError, LookupError, TypeError, AttributeError, OverflowError)


@dataclass(frozen=True)
class _Storage:
    """The numbers of one or more tensors, which come later in the file."""

    key: str
    dtype: np.dtype
    count: int


@dataclass(frozen=True)
class _Tensor:
    """A part of a storage: from an offset on, with a stride for each axis."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read_torch_file(path: str | os.PathLike, sha256: str) -> dict[str, np.ndarray]:
    """Returns the tensors of a state dictionary by name; nothing is read from a file with another digest.

    Arguments:
      path: of the file.
      sha256: of its contents, in hexadecimal.

    Raises:
      DataError: naming the file, if it cannot be read, is not that file, or holds something else than tensors.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise DataError(f"{path}: its SHA-256 is {found}, not {sha256}; it was cut or changed")
    try:
        return _read_tensors(BytesIO(content))
    except _REFUSALS as error:
        raise DataError(f"{path}: no file of weights of torch.save ({error})") from error


def _read_tensors(file: BytesIO) -> dict[str, np.ndarray]:
    magic, protocol = _Unpickler(file).load(), _Unpickler(file).load()
    if (magic, protocol) != (_MAGIC, _PROTOCOL):
        raise ValueError("it does not begin as such")
    _Unpickler(file).load()  # sizes of C types on the system that wrote it
    unpickler = _Unpickler(file)
    tensors, keys = unpickler.load(), _Unpickler(file).load()
    numbers = {key: _read_storage(file, unpickler.storages[key]) for key in keys}
    if file.read(1):
        raise ValueError("something follows the last tensor")
    return {name: _part(numbers[tensor.storage.key], tensor) for name, tensor in tensors.items()}


def _read_storage(file: BytesIO, storage: _Storage) -> np.ndarray:
    (count,) = np.frombuffer(file.read(_COUNT.itemsize), _COUNT)
    if count != storage.count:
        raise ValueError(f"storage {storage.key} has {count} numbers, not {storage.count}")
    return np.frombuffer(file.read(count * storage.dtype.itemsize), storage.dtype, count)


def _part(numbers: np.ndarray, tensor: _Tensor) -> np.ndarray:
    strides = [stride * numbers.itemsize for stride in tensor.strides]
    return as_strided(numbers[tensor.offset :], tensor.shape, strides, writeable=False).copy()


class _Unpickler(pickle.Unpickler):
    """Reads state dictionaries; whatever else a pickle names is refused before it is looked for."""

    def __init__(self, file: BytesIO) -> None:
        super().__init__(file)
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> object:
        """Returns what stands for a name of PyTorch."""
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuild_tensor
        if module == "torch" and name in _STORAGES:
            return _STORAGES[name]
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")

    def persistent_load(self, pid: tuple) -> _Storage:
        """Returns the storage that a tensor names: ("storage", type, key, device, count, view)."""
        kind, dtype, key, _, count, view = pid
        if kind != "storage" or view is not None:
            raise pickle.UnpicklingError(f"it refers to {kind!r}")
        return self.storages.setdefault(key, _Storage(key, dtype, count))


def _rebuild_tensor(
    storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: object
) -> _Tensor:
    last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    if min(offset, *shape, *strides, storage.count - 1 - last) < 0 or math.prod(shape) > storage.count:
        raise pickle.UnpicklingError(f"a tensor reaches out of storage {storage.key}")
    return _Tensor(storage, offset, shape, strides)
