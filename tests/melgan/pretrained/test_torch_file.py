"""Files of torch.save before PyTorch 1.6: tensors as they were saved, and nothing else, ever."""

import hashlib
import pickle
import struct
from collections import OrderedDict

import numpy as np
import pytest

from melgan.pretrained.torch_file import read_torch_file
from tfrecords_tools.foundation.errors import DataError

MAGIC = 0x1950A86A20F9469CFC6C
WEIGHTS = np.arange(24, dtype="<f4").reshape(4, 6) - 7
COUNTER = np.array([321], "<i8")


class Name:
    """A global that a pickle names, though no such module is here."""

    def __init__(self, module, name):
        self.module, self.name = module, name


class Call:
    """A call that a pickle asks for."""

    def __init__(self, module, name, *arguments):
        self.function, self.arguments = Name(module, name), arguments


class Stored:
    """A storage that a pickle refers to."""

    def __init__(self, kind, key, count, word="storage"):
        self.id = (word, Name("torch", kind), key, "cpu", count, None)


class Pickler(pickle._Pickler):
    """Writes names of modules that are not installed, as PyTorch would."""

    def save(self, value, save_persistent_id=True):
        if isinstance(value, Name):
            self.write(f"c{value.module}\n{value.name}\n".encode())
        elif isinstance(value, Call):
            self.save(value.function)
            self.save(value.arguments)
            self.write(pickle.REDUCE)
        elif isinstance(value, Stored):
            self.save(value.id)
            self.write(pickle.BINPERSID)
        else:
            super().save(value, save_persistent_id)


def tensor(storage, shape, strides, offset=0):
    return Call("torch._utils", "_rebuild_tensor_v2", storage, offset, shape, strides, False, OrderedDict())


def write(path, tensors, storages, magic=MAGIC):
    """Writes a file, and returns the SHA-256 of it. Storages are arrays by their keys."""
    with open(path, "wb") as file:
        for value in (magic, 1001, {"little_endian": True}, tensors, list(storages)):
            Pickler(file, protocol=2).dump(value)
        for numbers in storages.values():
            file.write(struct.pack("<q", numbers.size) + numbers.tobytes())
    return hashlib.sha256(path.read_bytes()).hexdigest()


GOOD = {
    "weight": tensor(Stored("FloatStorage", "a", 24), (4, 6), (6, 1)),
    "transposed": tensor(Stored("FloatStorage", "a", 24), (6, 4), (1, 6)),
    "part": tensor(Stored("FloatStorage", "a", 24), (2, 3), (6, 1), offset=8),
    "counter": tensor(Stored("LongStorage", "b", 1), (), ()),
}
STORAGES = {"a": WEIGHTS, "b": COUNTER}


def test_tensors_are_read_with_their_offsets_and_strides(tmp_path):
    path = tmp_path / "a.pth"
    found = read_torch_file(path, write(path, GOOD, STORAGES))
    expected = {"weight": WEIGHTS, "transposed": WEIGHTS.T, "part": WEIGHTS[1:3, 2:5], "counter": COUNTER[0]}
    assert list(found) == list(expected)
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values)
        assert found[name].dtype == values.dtype


def test_a_file_with_another_digest_is_not_parsed(tmp_path, monkeypatch):
    path = tmp_path / "a.pth"
    sha256 = write(path, GOOD, STORAGES)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    monkeypatch.setattr("melgan.pretrained.torch_file._Unpickler", None)
    with pytest.raises(DataError, match=f"{path}.*{hashlib.sha256(content).hexdigest()}.*{sha256}"):
        read_torch_file(path, sha256)


def storage_and(kind="FloatStorage", key="a", count=24, word="storage"):
    return {"weight": tensor(Stored(kind, key, count, word), (4, 6), (6, 1))}


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("os", "system"),
        ("builtins", "eval"),
        ("collections", "Counter"),
        ("torch", "load"),
        ("torch._utils", "_rebuild_parameter"),
    ],
)
def test_whatever_else_a_pickle_asks_for_is_refused(tmp_path, module, name):
    path, proof = tmp_path / "a.pth", tmp_path / "proof"
    sha256 = write(path, GOOD | {"more": Call(module, name, f"touch {proof}")}, STORAGES)
    with pytest.raises(DataError, match=f"{path}.*{module}.{name}"):
        read_torch_file(path, sha256)
    assert not proof.exists()


@pytest.mark.parametrize(
    ("tensors", "storages"),
    [
        (storage_and(count=25), STORAGES),
        (storage_and("HalfStorage"), STORAGES),
        (storage_and(word="module"), STORAGES),
        (storage_and(), {"b": COUNTER}),
        (storage_and(), {"a": WEIGHTS[:3]}),
        ({"weight": tensor(Stored("FloatStorage", "a", 24), (5, 6), (6, 1))}, STORAGES),
        ({"weight": tensor(Stored("FloatStorage", "a", 24), (4, 6), (7, 1))}, STORAGES),
        ({"weight": tensor(Stored("FloatStorage", "a", 24), (4, 6), (6, 1), offset=-1)}, STORAGES),
        ({"weight": tensor(Stored("FloatStorage", "a", 24), (4, 6), (6, -1), offset=5)}, STORAGES),
        ({"weight": tensor(Stored("FloatStorage", "a", 24), (10**9, 10**9), (0, 0))}, STORAGES),
        ({"weight": [1.0]}, {}),
        ([], {}),
        (Call("collections", "OrderedDict", 3), {}),
        (Call("torch", "FloatStorage"), {}),
    ],
)
def test_tensors_that_do_not_fit_their_storages_are_refused(tmp_path, tensors, storages):
    path = tmp_path / "a.pth"
    sha256 = write(path, tensors, storages)
    with pytest.raises(DataError, match=f"^{path}: "):
        read_torch_file(path, sha256)


def test_a_cut_or_lengthened_file_is_refused_even_by_its_own_digest(tmp_path):
    path = tmp_path / "a.pth"
    write(path, GOOD, STORAGES)
    content = path.read_bytes()
    for other in (*(content[:end] for end in range(0, len(content), 7)), content + b"\0", b"PK\3\4" + content):
        path.write_bytes(other)
        with pytest.raises(DataError, match=f"^{path}: "):
            read_torch_file(path, hashlib.sha256(other).hexdigest())


def test_a_file_of_another_kind_or_none_is_refused(tmp_path):
    path = tmp_path / "a.pth"
    sha256 = write(path, GOOD, STORAGES, magic=1)
    with pytest.raises(DataError, match=f"^{path}: "):
        read_torch_file(path, sha256)
    with pytest.raises(DataError, match="nowhere.pth"):
        read_torch_file(tmp_path / "nowhere.pth", sha256)
