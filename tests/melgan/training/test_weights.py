"""Files of weights: what is no such file is refused by its name, whatever h5py makes of it."""

import h5py
import keras
import numpy as np
import pytest

from melgan.training.weights import load_weights
from tfrecords_tools.foundation.errors import DataError


def network(units: int = 3) -> keras.Model:
    inputs = keras.Input((4,))
    hidden = keras.layers.Dense(units, name="hidden")(inputs)
    return keras.Model(inputs, keras.layers.Dense(2, name="last")(hidden), name="small")


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "good.weights.h5"
    network().save_weights(path)
    return path


def test_weights_are_those_that_were_saved(file):
    saved, loaded = network(), network()
    saved.load_weights(file)
    load_weights(loaded, file)
    for first, second in zip(saved.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(first, second)


def cut(path):
    path.write_bytes(path.read_bytes()[:-1000])


def of_other_shapes(path):
    network(5).save_weights(path)


def of_something_else(path):
    with h5py.File(path, "w") as other:
        other["thesis"] = np.zeros(3)


def linked_to_another_file(path):
    path.with_name("secret.h5").write_bytes(path.read_bytes())
    with h5py.File(path, "a") as file:
        del file["layers/dense/vars/0"]
        file["layers/dense/vars/0"] = h5py.ExternalLink("secret.h5", "/layers/dense/vars/0")


def stored_in_another_file(path):
    path.with_name("secret").write_bytes(b"secret" * 8)
    with h5py.File(path, "a") as file:
        del file["layers/dense/vars/0"]
        file.create_dataset("layers/dense/vars/0", (4, 3), "f4", external=[(str(path.with_name("secret")), 0, 48)])


@pytest.mark.parametrize(
    "spoil",
    [
        cut,
        of_other_shapes,
        of_something_else,
        linked_to_another_file,
        stored_in_another_file,
        lambda path: path.write_bytes(b""),
        lambda path: path.write_text("no weights"),
        lambda path: path.unlink(),
    ],
    ids=["cut", "of other shapes", "of something else", "linked", "stored elsewhere", "empty", "text", "gone"],
)
def test_what_is_no_file_of_these_weights_is_refused_by_its_name(file, spoil):
    spoil(file)
    with pytest.raises(DataError, match=f"^{file}: "):
        load_weights(network(), file)


def test_any_damage_is_a_refusal_or_other_numbers_and_no_other_error(file):
    good, rng, refused = file.read_bytes(), np.random.default_rng(0), 0
    for _ in range(60):
        damaged, start = bytearray(good), int(rng.integers(len(good) - 200))
        damaged[start : start + 200] = rng.bytes(200)
        file.write_bytes(bytes(damaged))
        try:
            load_weights(network(), file)
        except DataError:
            refused += 1
    assert refused > 10
