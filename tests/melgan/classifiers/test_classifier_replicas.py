"""A step of a classifier on two replicas is that of one device, but for rounding."""

from functools import cache

import numpy as np
import pytest

from tests.melgan.classifiers import replica_classifier
from tests.melgan.training.test_distribution import environments_of, run_processes
from tests.melgan.without_tracing import without_tracing
from tests.ports import free_ports

pytestmark = pytest.mark.timeout(1800)


@pytest.fixture(scope="module")
def single(one_device):
    """What a step of a recipe gives on one device."""
    return without_tracing()(cache(lambda recipe: replica_classifier.one_step(one_device, recipe)))


@pytest.fixture(scope="module", params=["mirrored", "multi_worker"])
def folder(request, tmp_path_factory):
    """What the processes of two replicas wrote: one with two devices, or two workers."""
    environments = [{}] if request.param == "mirrored" else environments_of(free_ports(2))
    return run_processes(
        tmp_path_factory.mktemp(request.param),
        request.param,
        num_devices=2 // len(environments),
        environments=environments,
        script=replica_classifier,
    )


def both(folder, recipe):
    with np.load(folder / f"chief_{recipe}.npz") as file:
        found = dict(file)
    assert found.pop("replicas") == 2
    return found


@pytest.mark.parametrize("recipe", [name for name in replica_classifier.RECIPES if "parts" not in name])
def test_a_step_of_two_replicas_is_that_of_one(folder, single, recipe):
    """Within a hundred-thousandth of the largest gradient of the network, and of the largest moving statistic."""
    one, two = single(recipe), both(folder, recipe)
    for name in ("gradients", "statistics"):
        largest = np.abs(one[name]).max()
        assert largest > 1e-2
        for replica in np.atleast_2d(two[name]):
            np.testing.assert_allclose(replica, np.ravel(one[name]), rtol=0, atol=1e-5 * largest)
    for name in ("loss", "auxiliary_loss"):
        np.testing.assert_allclose(two[name], one[name], rtol=1e-5)


@pytest.mark.parametrize("recipe", replica_classifier.RECIPES)
def test_replicas_have_the_same_statistics_bit_for_bit(folder, recipe):
    replicas = list(both(folder, recipe)["statistics"])
    for path in folder.glob(f"other_{recipe}.npz"):
        with np.load(path) as file:
            replicas += list(file["statistics"])
    assert len(replicas) == 2
    np.testing.assert_array_equal(*replicas)
