import os
import subprocess
import sys

import pytest
import tensorflow as tf
from tensorflow.python.distribute.cluster_resolver import slurm_cluster_resolver

from melgan.training.cluster import cluster_from_environment
from melgan.training.slurm import expand_nodes, tf_config_of_step
from tests.conftest import ROOT
from tests.melgan.training import watched_worker
from tfrecords_tools.foundation.errors import ConfigError

STEP = {
    "SLURM_JOB_ID": "1000",
    "SLURM_STEP_ID": "2",
    "SLURM_STEP_NODELIST": "gpu[09-10],big",
    "SLURM_STEP_TASKS_PER_NODE": "2(x2),1",
    "SLURM_PROCID": "3",
    "SLURMD_NODENAME": "gpu10",
}
FIRST_PORT = 20000 + 16 * (1002 - 750)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("gpu7", ["gpu7"]),
        ("gpu[01-03,07],login1", ["gpu01", "gpu02", "gpu03", "gpu07", "login1"]),
        ("n[8-11]", ["n8", "n9", "n10", "n11"]),
        ("n[098-101].cluster", ["n098.cluster", "n099.cluster", "n100.cluster", "n101.cluster"]),
        ("rack[1-2]n[3,5],b-1", ["rack1n3", "rack1n5", "rack2n3", "rack2n5", "b-1"]),
    ],
)
def test_nodes_are_written_out_in_the_order_of_slurm(text, names):
    assert expand_nodes(text) == names


@pytest.mark.parametrize("text", ["n[1-2],m5,o[3-4,6,7-9]", "a,b,c", "tux[000-012]"])
def test_nodes_are_those_that_tensorflow_reads(text):
    assert expand_nodes(text) == slurm_cluster_resolver.expand_hostlist(text)


@pytest.mark.parametrize("text", ["", ",", "n[1", "n1]", "n[a-b]", "n[1-2-3]", "n[]", "n[[1]]", "n1,,n2", "n 1"])
def test_what_is_no_list_of_nodes_is_refused(text):
    with pytest.raises(ConfigError, match=r"^SLURM_STEP_NODELIST [^\n]*$"):
        expand_nodes(text)


def test_every_task_is_a_worker_with_a_port_of_its_own():
    config = tf_config_of_step(STEP)
    ports = (FIRST_PORT, FIRST_PORT + 1)
    both = [f"{node}:{port}" for node in ("gpu09", "gpu10") for port in ports]
    assert config["cluster"] == {"worker": [*both, f"big:{FIRST_PORT}"]}
    assert config["task"] == {"type": "worker", "index": 3}


def test_tasks_of_a_step_agree_and_other_steps_and_jobs_have_other_ports():
    def common(**other):
        config = tf_config_of_step(STEP | other)
        return str((config["cluster"], config["secret"]))

    assert common() == common(SLURM_PROCID="4", SLURMD_NODENAME="big")
    others = {common(SLURM_STEP_ID="3"), common(SLURM_JOB_ID="1001"), common(SLURM_JOB_ID="1750")}
    assert len({common(), *others}) == 4
    ports = [tf_config_of_step(STEP | {"SLURM_JOB_ID": str(job)})["cluster"]["worker"][1] for job in range(750)]
    numbers = [int(address.rpartition(":")[2]) for address in ports]
    assert len(set(numbers)) == 750
    assert (min(numbers), max(numbers)) == (20001, 20001 + 16 * 749)


@pytest.mark.parametrize(
    ("other", "named"),
    [
        ({"SLURM_STEP_NODELIST": ""}, "SLURM_STEP_NODELIST .*srun"),
        ({"SLURM_STEP_NODELIST": "a,b"}, "2 nodes.*3"),
        ({"SLURM_STEP_TASKS_PER_NODE": "2(x"}, r"SLURM_STEP_TASKS_PER_NODE is '2\(x'"),
        ({"SLURM_PROCID": "5"}, "SLURM_PROCID is 5.*5 tasks"),
        ({"SLURM_PROCID": "-1"}, "SLURM_PROCID is '-1'"),
        ({"SLURMD_NODENAME": "big"}, "big.*gpu10.*--distribution=block"),
    ],
)
def test_variables_that_cannot_be_right_are_named_in_one_line(other, named):
    with pytest.raises(ConfigError, match=named) as error:
        tf_config_of_step(STEP | other)
    assert "\n" not in str(error.value)


@pytest.fixture
def in_step(monkeypatch):
    # Both are put back afterwards, whatever becomes of them.
    monkeypatch.setenv("TF_CONFIG", "")
    for name, value in STEP.items():
        monkeypatch.setenv(name, value)


def test_the_cluster_is_that_of_the_step_where_tf_config_is_not_set(in_step):
    cluster = cluster_from_environment()
    assert (str(cluster.own), len(cluster.tasks)) == (f"worker 3 (gpu10:{FIRST_PORT + 1})", 5)
    assert cluster_from_environment() == cluster
    resolver = (
        tf.distribute.cluster_resolver.TFConfigClusterResolver()
    )  # by which TensorFlow's strategy finds the workers
    assert (resolver.task_type, resolver.task_id) == ("worker", 3)
    assert resolver.cluster_spec().task_address("worker", 4) == f"big:{FIRST_PORT}"


def test_tf_config_counts_more_than_slurm(in_step, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 0}}')
    assert str(cluster_from_environment().own) == "worker 0 (a:1)"


def test_two_tasks_on_one_node_meet():
    step = STEP | {
        "SLURM_JOB_ID": str(os.getpid()),
        "SLURM_STEP_NODELIST": "localhost",
        "SLURM_STEP_TASKS_PER_NODE": "2",
        "SLURMD_NODENAME": "localhost",
        "PYTHONPATH": str(ROOT),
    }
    common = {name: value for name, value in os.environ.items() if name != "TF_CONFIG"} | step
    tasks = [
        subprocess.Popen(
            [sys.executable, watched_worker.__file__, "30", "60"],
            env=common | {"SLURM_PROCID": str(rank)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in (0, 1)
    ]
    for task in tasks:
        task.stdin.write("leave\n")
        task.stdin.flush()
    assert [task.communicate(timeout=100)[0].split() for task in tasks] == [["together", "left"]] * 2
