"""Settings beside the presets on two replicas, which do and remember what one device does."""

import numpy as np
import pytest

from tests.melgan.training import replica_variants
from tests.melgan.training.replica_gradients import LOSSES, NETWORKS
from tests.melgan.training.test_distribution import run_processes

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mirrored")
    return run_processes(folder, "mirrored", num_devices=2, environments=[{}], script=replica_variants)


@pytest.mark.parametrize("name", replica_variants.NAMES)
def test_two_replicas_do_and_remember_what_one_device_does(folder, one_device, name):
    one = replica_variants.found_by(one_device, name)
    with np.load(folder / f"{name}.npz") as file:
        two = dict(file)
    assert len(two["memory"]) == 2
    np.testing.assert_array_equal(two["memory"][0], two["memory"][1])
    assert np.abs(one["memory"]).max() > 0.01
    np.testing.assert_allclose(two["memory"][:1], one["memory"], rtol=1e-4, atol=1e-5 * np.abs(one["memory"]).max())
    for step in range(2):
        for loss in LOSSES:
            np.testing.assert_allclose(two[f"{loss} {step}"], one[f"{loss} {step}"], rtol=1e-5, atol=1e-6)
        for network in NETWORKS:
            gradient = one[f"{network} {step}"]
            largest = np.abs(gradient).max()
            assert largest > 1e-4
            np.testing.assert_allclose(two[f"{network} {step}"], gradient, rtol=0, atol=1e-5 * largest)
