"""Strangers at the port where workers meet: whatever they do, the workers meet as if they were not there."""

import contextlib
import socket
import threading
import time

import psutil
import pytest

from melgan.training.cluster import Cluster, Task
from melgan.training.first_lines import FirstLines
from melgan.training.listening import listen
from melgan.training.meeting import meet
from tests.ports import free_ports
from tfrecords_tools.foundation.errors import ConfigError

pytestmark = pytest.mark.timeout(60)

SOON = 3.0  # seconds; a stranger who says nothing is listened to for longer


@pytest.fixture
def cluster():
    return Cluster(tuple(Task("worker", index, f"127.0.0.1:{port}") for index, port in enumerate(free_ports(2))), 0)


@pytest.fixture
def leader(cluster):
    """A leader that waits for worker 1, and what has become of it."""
    outcome = {}
    thread = threading.Thread(target=lambda: outcome.update(met=meet(cluster, seconds=30)), daemon=True)
    thread.start()
    end = time.monotonic() + 10
    while time.monotonic() < end:
        with contextlib.suppress(OSError), call(cluster):
            break
        time.sleep(0.01)
    return thread, outcome


def call(cluster):
    return socket.create_connection(("127.0.0.1", cluster.leader.port), 5)


def assert_worker_is_welcome(cluster, leader, seconds=SOON):
    thread, outcome = leader
    begin = time.monotonic()
    with meet(Cluster(cluster.tasks, 1), seconds=20)[0] as connection:
        thread.join(10)
        assert time.monotonic() - begin < seconds
        assert list(outcome["met"]) == [1]
        assert outcome["met"][1].getpeername() == connection.getsockname()
    outcome["met"][1].close()


def is_hung_up_on(connection):
    connection.settimeout(10)
    try:
        return connection.recv(1) == b""
    except ConnectionError:
        return True


def test_many_who_say_nothing(cluster, leader):
    with contextlib.ExitStack() as stack:
        silent = [stack.enter_context(call(cluster)) for _ in range(300)]
        assert_worker_is_welcome(cluster, leader)
        assert all(is_hung_up_on(connection) for connection in silent)


@pytest.mark.parametrize(
    "words",
    [
        b"\n",
        b"GET / HTTP/1.1\r\nHost: leader\r\n\r\n",
        b"\xff\xfe\x00\n",
        b"[" * 1000 + b"\n",
        b'[1, ["a:1"]]\n',
        b"1\n",
        b"-1 {token}\n",
        b"0 {token}\n",
        b"2 {token}\n",
        b"999999 {token}\n",
        b"9999999999999999999 {token}\n",
        b"1 {token} \n",
        b"1 {token}\nalive\n",
        b"1 " + b"0" * 64 + b"\n",
    ],
)
def test_who_says_something_else_than_a_worker_is_hung_up_on(cluster, leader, words):
    with call(cluster) as stranger:
        stranger.sendall(words.replace(b"{token}", cluster.token.encode()))
        answer = stranger.makefile("rb").read()
        assert answer == b"" or answer.startswith(b"refused: ")
        assert not any(str(task.port).encode() in answer for task in cluster.tasks)
        assert_worker_is_welcome(cluster, leader)


def test_who_goes_in_the_middle_of_a_word(cluster, leader):
    for _ in range(3):
        with call(cluster) as stranger:
            stranger.sendall(b"1 " + cluster.token[:10].encode())
    assert_worker_is_welcome(cluster, leader)


def test_who_sends_without_an_end_is_hung_up_on(cluster, leader):
    with call(cluster) as stranger:
        sent = 0
        with contextlib.suppress(ConnectionError):
            while sent < 2**30:
                sent += stranger.send(bytes(65536))
        assert sent < 2**26
        assert_worker_is_welcome(cluster, leader)


def test_who_calls_a_thousand_times_and_goes_on(cluster, leader):
    over, calls = threading.Event(), []

    def keep_calling():
        while not over.is_set():
            with contextlib.suppress(OSError):
                calls.append(call(cluster))

    caller = threading.Thread(target=keep_calling)
    caller.start()
    try:
        while len(calls) < 1000:
            time.sleep(0.01)
        assert_worker_is_welcome(cluster, leader, seconds=15)
    finally:
        over.set()
        caller.join()
        for connection in calls:
            connection.close()


def test_a_slow_line_is_not_waited_for(cluster, monkeypatch):
    monkeypatch.setattr("melgan.training.first_lines._SECONDS", 0.5)
    with listen(cluster) as listener, FirstLines(listener) as lines, call(cluster) as slow, call(cluster) as quick:
        quick.sendall(b"word\n")
        begin, heard = time.monotonic(), []
        while time.monotonic() - begin < 1.5:
            with contextlib.suppress(OSError):
                slow.sendall(b"a")
            heard += [line for _, line in lines.wait(0.1)]
        assert heard == ["word"]
        assert is_hung_up_on(slow)


def listening():
    return {each.laddr for each in psutil.Process().net_connections() if each.status == psutil.CONN_LISTEN}


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "localhost"])
def test_a_worker_listens_on_its_own_address_alone(host):
    port, before = free_ports(1)[0], listening()
    with listen(Cluster((Task("worker", 0, f"{host}:{port}"), Task("worker", 1, f"{host}:1")), 0)):
        ((ip, its_port),) = listening() - before
    assert its_port == port
    assert ip in ({"127.0.0.1", "::1"} if host == "localhost" else {host})


def test_a_name_for_loopback_is_not_listened_on_where_others_come_from_elsewhere(monkeypatch):
    """As on machines that know themselves as 127.0.1.1; here 127.0.0.1 stands for the address in the network."""
    monkeypatch.setattr("melgan.training.listening._is_loopback", lambda address: address == "127.0.1.1")
    tasks = (Task("worker", 0, f"127.0.1.1:{free_ports(1)[0]}"), Task("worker", 1, "127.0.0.2:1"))
    with listen(Cluster(tasks, 0)) as listener:
        assert listener.getsockname()[0] == "127.0.0.1"


@pytest.mark.parametrize(("host", "named"), [("203.0.113.1", "no such address"), ("no-such-host.invalid", "not known")])
def test_an_address_of_another_machine_is_refused(host, named):
    tasks = (Task("worker", 0, f"{host}:{free_ports(1)[0]}"), Task("worker", 1, "127.0.0.1:1"))
    with pytest.raises(ConfigError, match=rf"TF_CONFIG: worker 0 \({host}.*{named}"):
        meet(Cluster(tasks, 0), seconds=1)


def test_a_port_that_another_address_has_is_refused_before_tensorflow_takes_all():
    with socket.create_server(("127.0.0.2", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ConfigError, match=rf"TF_CONFIG: worker 0 \({address}\).*port"):
            listen(Cluster((Task("worker", 0, address),), 0))
