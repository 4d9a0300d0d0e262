"""Two replicas train as one device does, but for rounding."""

import numpy as np
import pytest

from tests.melgan.single_image import replica_singan
from tests.melgan.training.test_distribution import run_processes

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def test_two_replicas_do_what_one_device_does(tmp_path, one_device):
    one = replica_singan.two_steps(one_device)
    run_processes(tmp_path, "mirrored", num_devices=2, environments=[{}], script=replica_singan)
    with np.load(tmp_path / "found.npz") as file:
        two = dict(file)
    assert two.pop("replicas") == 2
    assert two.keys() == one.keys()
    for name, values in one.items():
        largest = np.abs(values).max()
        assert largest > 1e-4
        np.testing.assert_allclose(two[name], values, rtol=0, atol=1e-5 * largest, err_msg=name)
