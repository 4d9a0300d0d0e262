import json

import pytest

from melgan.training.cluster import Task, cluster_from_environment
from tfrecords_tools.foundation.errors import ConfigError

WORKERS = ["one:2222", "two:2222"]


@pytest.fixture
def read(monkeypatch):
    def read(cluster, task):
        monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": cluster, "task": task}))
        return cluster_from_environment()

    return read


def test_worker_0_leads_where_there_is_no_chief(read):
    cluster = read({"worker": WORKERS}, {"type": "worker", "index": 1})
    assert cluster.leader == Task("worker", 0, "one:2222")
    assert str(cluster.own) == "worker 1 (two:2222)"
    assert (cluster.own.host, cluster.own.port) == ("two", 2222)


def test_the_chief_leads_wherever_it_is_listed(read):
    cluster = read({"worker": WORKERS, "chief": ["[::1]:80"]}, {"type": "worker", "index": "0"})
    assert [str(task) for task in cluster.tasks] == ["chief 0 ([::1]:80)", "worker 0 (one:2222)", "worker 1 (two:2222)"]
    assert (cluster.place, cluster.leader.host) == (1, "::1")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "strategy is 'multi_worker', but TF_CONFIG is not set; set it on each worker, as {"),
        ("{", "TF_CONFIG is no JSON (Expecting property name"),
        ("[]", "TF_CONFIG has no 'cluster'; it must look like {"),
        ('{"cluster": {"worker": ["a:1"]}}', "TF_CONFIG has no 'task'; it must look like {"),
    ],
)
def test_text_that_is_no_configuration_is_refused(monkeypatch, text, message):
    if text is None:
        monkeypatch.delenv("TF_CONFIG", raising=False)
    else:
        monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(ConfigError) as error:
        cluster_from_environment()
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("cluster", "task", "message"),
    [
        ({"worker": "one:1"}, ("worker", 0), "cluster worker is 'one:1'; it must be a list of host:port"),
        ({"worker": ["one"]}, ("worker", 0), "cluster worker lists 'one'; it must be host:port"),
        ({"worker": ["one:0"]}, ("worker", 0), "cluster worker lists 'one:0'; it must be host:port"),
        ({"worker": [3]}, ("worker", 0), "cluster worker lists 3; it must be host:port"),
        ({"worker": WORKERS, "ps": ["x:1"]}, ("worker", 0), "cluster has ps; only chief and worker are known here"),
        ({"chief": WORKERS}, ("chief", 0), "cluster has 2 chiefs; there can be one, the rest are workers"),
        ({"worker": ["a:1", "a:1"]}, ("worker", 0), "worker 1 (a:1) has the address of worker 0 (a:1); each needs"),
        ({"worker": WORKERS}, ("worker", 2), "task is type 'worker', index 2; the cluster has worker 0 (one:2222), w"),
        ({"worker": WORKERS}, ("chief", 0), "task is type 'chief', index 0; the cluster has worker 0 (one:2222), w"),
        ({"worker": WORKERS}, ("worker", -1), "task is type 'worker', index -1; the cluster has worker 0"),
        ({"worker": WORKERS}, ("worker", None), "task is type 'worker', index None; the cluster has worker 0"),
    ],
)
def test_configuration_that_cannot_be_right_is_refused(read, cluster, task, message):
    with pytest.raises(ConfigError) as error:
        read(cluster, dict(zip(("type", "index"), task, strict=True)))
    assert str(error.value).startswith(f"TF_CONFIG: {message}")
