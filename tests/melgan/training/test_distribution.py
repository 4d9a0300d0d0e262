import json
import os
import re
import subprocess
import sys
import time
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from melgan.training.checkpoints import Checkpoints
from melgan.training.distribution import STRATEGIES, is_chief, make_strategy, per_replica_batch_size
from tests.melgan.gans.tiny_gan import flat
from tests.melgan.training import replica_gradients, starting_worker
from tests.melgan.without_tracing import without_tracing
from tests.ports import free_ports
from tfrecords_tools.foundation.errors import ConfigError

# Every method is traced in every process: minutes, on a machine that does other things as well.
pytestmark = pytest.mark.timeout(1800)

ROOT = Path(replica_gradients.__file__).parents[3]


@pytest.fixture(scope="module")
def single(one_device):
    """What two steps of a method give on one device."""

    @cache
    def two_steps(method):
        with without_tracing():
            return replica_gradients.two_steps_of(method, one_device)

    return two_steps


@pytest.fixture(scope="module")
def mirrored(tmp_path_factory):
    return run_processes(tmp_path_factory.mktemp("mirrored"), "mirrored", num_devices=2, environments=[{}])


@pytest.fixture(scope="module")
def multi_worker(tmp_path_factory):
    environments = environments_of(free_ports(2))
    return run_processes(tmp_path_factory.mktemp("multi"), "multi_worker", num_devices=1, environments=environments)


@pytest.fixture(params=replica_gradients.METHODS_OF)
def folder(request):
    """What the processes of two replicas wrote."""
    return request.getfixturevalue(request.param)


@pytest.fixture(params=[(name, method) for name, methods in replica_gradients.METHODS_OF.items() for method in methods])
def found(request):
    """A method, and the folder of what the processes of two replicas found of it."""
    name, method = request.param
    return request.getfixturevalue(name), method


def environments_of(ports):
    cluster = {"worker": [f"localhost:{port}" for port in ports]}
    tasks = [{"cluster": cluster, "task": {"type": "worker", "index": index}} for index in range(len(ports))]
    return [{"TF_CONFIG": json.dumps(task)} for task in tasks]


def run_processes(folder, strategy, *, num_devices, environments, script=replica_gradients):
    command = [sys.executable, script.__file__, strategy, str(num_devices), str(folder)]
    common = os.environ | {"PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""}
    logs = [folder / f"{index}.log" for index in range(len(environments))]
    processes = [
        subprocess.Popen(command, env=common | own, stdout=log.open("w"), stderr=subprocess.STDOUT)
        for own, log in zip(environments, logs, strict=True)
    ]
    try:
        codes = [process.wait(timeout=1500) for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert not any(codes), "\n".join(log.read_text()[-3000:] for log in logs)
    return folder


def facts(folder, process="chief"):
    return json.loads((folder / f"{process}.json").read_text())


def both(folder, method, process="chief"):
    with np.load(folder / f"{process}_{method}.npz") as file:
        return dict(file)


def test_two_replicas_took_part(folder):
    assert facts(folder)["replicas"] == 2


@pytest.mark.parametrize("step", [0, 1])
@pytest.mark.parametrize("network", replica_gradients.NETWORKS)
def test_gradients_of_two_replicas_sum_to_those_of_one(found, single, network, step):
    folder, method = found
    one = single(method)[f"{network} {step}"]
    largest = np.abs(one).max()
    assert largest > 1e-4
    np.testing.assert_allclose(both(folder, method)[f"{network} {step}"], one, rtol=0, atol=1e-6 * largest)


def test_losses_of_two_replicas_are_those_of_one(found, single):
    folder, method = found
    double = both(folder, method)
    for name in (*replica_gradients.LOSSES, "strength"):
        for step in range(2):
            one = single(method)[f"{name} {step}"]
            # The loss of a critic is a difference, and may be much smaller than the logits that it is computed from.
            np.testing.assert_allclose(double[f"{name} {step}"], one, rtol=1e-5, atol=1e-6)


def test_moving_moments_and_directions_are_equal_on_two_replicas(found, single):
    """Bit for bit among the replicas, and those of one device but for rounding."""
    folder, method = found
    (one,) = single(method)["statistics"]
    replicas = both(folder, method)["statistics"]
    assert len(replicas) == (2 if folder.name.startswith("mirrored") else 1)  # the other process: see below
    np.testing.assert_array_equal(replicas, replicas[:1].repeat(len(replicas), axis=0))
    np.testing.assert_allclose(replicas[0], one, rtol=0, atol=1e-5 * np.abs(one).max(initial=0))


def test_checkpoint_of_two_replicas_restores_on_one(folder, one_device):
    trainer = replica_gradients.make_trainer(one_device)
    generator = trainer.networks.generator
    generator.set_weights([0 * weight for weight in generator.get_weights()])
    assert Checkpoints(folder / "checkpoints", trainer, one_device).restore() == replica_gradients.STEP
    np.testing.assert_array_equal(flat(generator.variables), np.float32(facts(folder)["weights"]))


def test_what_two_replicas_cannot_do_is_refused(folder):
    assert re.search("global_batch_size.* 7.* 2 ", facts(folder)["odd_batch"])
    assert re.search("xla.*'on'", facts(folder)["xla_on"])


def test_workers_agree_and_only_one_is_chief(multi_worker):
    for method in replica_gradients.METHODS_OF["multi_worker"]:
        other = both(multi_worker, method, "other")
        for name, value in both(multi_worker, method).items():
            np.testing.assert_array_equal(value, other[name])
    assert [facts(multi_worker, process)["chief"] for process in ("chief", "other")] == [True, False]


def test_workers_ask_one_another(multi_worker):
    for process in ("chief", "other"):
        found = facts(multi_worker, process)
        assert (found["nobody"], found["somebody"]) == (False, True)
        assert re.search(r"the step.*\[7, 4\]", found["other_step"])


def test_worker_lost_while_tensorflow_starts_ends_the_others():
    ports = free_ports(2)
    command = [sys.executable, starting_worker.__file__]
    common, pipe = os.environ | {"PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""}, subprocess.PIPE
    leader, other = (
        subprocess.Popen(command, env=common | own, stdout=pipe, stderr=subprocess.STDOUT, text=True)
        for own in environments_of(ports)
    )
    try:
        while "together" not in (line := leader.stdout.readline()):
            assert line
        time.sleep(2)  # the leader is at TensorFlow's door by now; earlier or later, it must end
        other.kill()
        output, _ = leader.communicate(timeout=60)
    finally:
        leader.kill()
        other.kill()
    assert leader.returncode == 1
    assert output.splitlines()[-1].startswith(f"error: worker 1 (localhost:{ports[1]}) ")
    assert "Traceback" not in output


def test_workers_save_apart_and_restore_the_chiefs(multi_worker):
    saved = {path.relative_to(multi_worker).as_posix() for path in multi_worker.glob("checkpoints/**/*.index")}
    assert saved == {"checkpoints/ckpt-5.index", "checkpoints/worker_1/ckpt-5.index"}
    assert facts(multi_worker, "other")["restored_step"] == replica_gradients.STEP


@pytest.mark.parametrize("name", ["one_device", "mirrored"])
def test_strategy_on_this_machine(name):
    strategy = make_strategy(name)
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    assert strategy.num_replicas_in_sync == (1 if name == "one_device" else len(devices))
    assert is_chief(strategy)


def test_multi_worker_without_a_cluster_is_refused(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    with pytest.raises(ConfigError, match="strategy.*'multi_worker'.*TF_CONFIG"):
        make_strategy("multi_worker")


def test_missing_hardware_and_unknown_names_are_refused(monkeypatch):
    monkeypatch.delenv("TPU_NAME", raising=False)
    with pytest.raises(ConfigError, match="strategy.*'tpu'.*TPU_NAME"):
        make_strategy("tpu")
    with pytest.raises(ConfigError, match=f"strategy.*'pmap'.*{', '.join(STRATEGIES)}"):
        make_strategy("pmap")


def test_one_device_takes_the_whole_batch(one_device):
    assert per_replica_batch_size(one_device, 7, "global_batch_size") == 7
