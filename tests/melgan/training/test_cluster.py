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


def test_the_token_is_that_of_all_workers_of_a_run_and_of_no_other(monkeypatch):
    def token(**other):
        config = {"cluster": {"worker": WORKERS}, "task": {"type": "worker", "index": 0}, "secret": "word", **other}
        monkeypatch.setenv("TF_CONFIG", json.dumps(config))
        return cluster_from_environment().token

    assert token() == token(task={"type": "worker", "index": 1})
    others = [token(secret="other"), token(secret=""), token(cluster={"worker": [*WORKERS, "three:2222"]})]
    assert len({token(), *others}) == 4
    with pytest.raises(ConfigError, match="TF_CONFIG: secret"):
        token(secret=3)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (None, ["'multi_worker'", "TF_CONFIG"]),
        ("{", ["TF_CONFIG", "'{'"]),
        ("[]", ["TF_CONFIG", "'cluster'"]),
        ('{"cluster": {"worker": ["a:1"]}}', ["TF_CONFIG", "'task'"]),
    ],
)
def test_text_that_is_no_configuration_is_refused(monkeypatch, text, named):
    """With an example of one that is."""
    if text is None:
        monkeypatch.delenv("TF_CONFIG", raising=False)
    else:
        monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(ConfigError) as error:
        cluster_from_environment()
    assert all(part in str(error.value) for part in [*named, '{"cluster": '])
    assert "\n" not in str(error.value)


ALL = "worker 0 (one:2222), worker 1 (two:2222)"


@pytest.mark.parametrize(
    ("cluster", "task", "named"),
    [
        ({"worker": "one:1"}, ("worker", 0), ["cluster worker", "'one:1'", "host:port"]),
        ({"worker": ["one"]}, ("worker", 0), ["cluster worker", "'one'", "host:port"]),
        ({"worker": ["one:0"]}, ("worker", 0), ["cluster worker", "'one:0'", "host:port"]),
        ({"worker": [3]}, ("worker", 0), ["cluster worker", " 3", "host:port"]),
        ({"worker": WORKERS, "ps": ["x:1"]}, ("worker", 0), ["cluster", " ps", "chief", "worker"]),
        ({"chief": WORKERS}, ("chief", 0), ["cluster", " 2 chiefs"]),
        ({"worker": ["a:1", "a:1"]}, ("worker", 0), ["worker 1 (a:1)", "worker 0 (a:1)"]),
        ({"worker": WORKERS}, ("worker", 2), ["task", "type 'worker'", "index 2", ALL]),
        ({"worker": WORKERS}, ("chief", 0), ["task", "type 'chief'", "index 0", ALL]),
        ({"worker": WORKERS}, ("worker", -1), ["task", "type 'worker'", "index -1", ALL]),
        ({"worker": WORKERS}, ("worker", None), ["task", "type 'worker'", "index None", ALL]),
    ],
)
def test_configuration_that_cannot_be_right_is_refused(read, cluster, task, named):
    with pytest.raises(ConfigError) as error:
        read(cluster, dict(zip(("type", "index"), task, strict=True)))
    assert str(error.value).startswith("TF_CONFIG: ")
    assert all(part in str(error.value) for part in named)
