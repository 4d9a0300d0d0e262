"""A step of a translator on two replicas is that of one device, but for rounding."""

import numpy as np
import pytest

from tests.melgan.training.test_distribution import run_processes
from tests.melgan.translation import replica_translator

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What a process of two replicas wrote."""
    folder = tmp_path_factory.mktemp("mirrored")
    return run_processes(folder, "mirrored", num_devices=2, environments=[{}], script=replica_translator)


@pytest.mark.parametrize("method", replica_translator.METHODS)
def test_a_step_of_two_replicas_is_that_of_one(folder, one_device, method):
    """Within a hundred-thousandth of the largest gradient."""
    with np.load(folder / f"{method}.npz") as file:
        two = dict(file)
    assert two.pop("replicas") == 2
    one = replica_translator.one_step(one_device, method)
    assert one.keys() == two.keys()
    for name, value in one.items():
        largest = np.abs(value).max()
        assert largest > 1e-3
        np.testing.assert_allclose(two[name], value, rtol=0, atol=1e-5 * largest)
