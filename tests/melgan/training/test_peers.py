import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from melgan.training.cluster import Cluster, Task
from melgan.training.meeting import meet
from melgan.training.peers import Peers
from tests.bucket_server import wait_for
from tests.melgan.training import watched_worker
from tests.ports import free_ports
from tfrecords_tools.foundation.errors import ConfigError

ROOT = Path(watched_worker.__file__).parents[3]
HEARTBEAT_SECONDS = 4


class Worker:
    """A process of watched_worker.py."""

    def __init__(self, addresses, index, meeting_seconds=60, secret=""):
        task = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}, "secret": secret}
        command = [sys.executable, watched_worker.__file__, str(HEARTBEAT_SECONDS), str(meeting_seconds)]
        environment = os.environ | {"PYTHONPATH": str(ROOT), "TF_CONFIG": json.dumps(task)}
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            command, env=environment, stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT, text=True
        )
        self.name = f"worker {index} ({addresses[index]})"

    def say(self, line):
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def wait_for(self, text):
        """Reads what it says up to a line with a text."""
        while text not in (line := self.process.stdout.readline()):
            assert line, f"ended without saying {text!r}"

    def end(self):
        """Returns the exit code and the rest of what it said."""
        code = self.process.wait(timeout=60)
        return code, self.process.stdout.read().strip()


@pytest.fixture
def start():
    workers = []

    def start(addresses, index, **settings):
        workers.append(Worker(addresses, index, **settings))
        return workers[-1]

    yield start
    for worker in workers:
        worker.process.kill()
        worker.process.communicate()


@pytest.fixture
def addresses():
    return [f"localhost:{port}" for port in free_ports(3)]


@pytest.fixture
def three(start, addresses):
    """Three workers that have met."""
    workers = [start(addresses, index) for index in range(3)]
    for worker in workers:
        worker.wait_for("together")
    return workers


def assert_only_line_names(line, worker, *others):
    """The last word of a worker that ends because of another one: an error of one line, about that one alone."""
    assert line.startswith(f"error: {worker.name} ")
    assert "\n" not in line
    assert not any(other.name in line for other in others)


def assert_all_end_because_of(victim, workers):
    """Returns the line that all of them say."""
    ends = [worker.end() for worker in workers]
    assert ends == [ends[0]] * len(workers)
    assert ends[0][0] == 1
    assert_only_line_names(ends[0][1], victim, *workers)
    return ends[0][1]


@pytest.mark.parametrize("lost", [0, 1])
def test_all_name_the_worker_that_was_killed(three, lost):
    victim = three.pop(lost)
    victim.process.kill()
    assert_all_end_because_of(victim, three)


@pytest.mark.parametrize("lost", [0, 2])
def test_all_name_the_worker_that_hangs_and_it_ends_when_it_goes_on(three, lost):
    victim = three.pop(lost)
    victim.process.send_signal(signal.SIGSTOP)
    assert f" {HEARTBEAT_SECONDS} s" in assert_all_end_because_of(victim, three)
    victim.process.send_signal(signal.SIGCONT)
    code, message = victim.end()
    assert code == 1
    assert message.startswith(f"error: {victim.name}, this worker, ")


def test_a_short_stop_is_no_loss(three):
    three[1].process.send_signal(signal.SIGSTOP)
    time.sleep(HEARTBEAT_SECONDS / 4)
    three[1].process.send_signal(signal.SIGCONT)
    for worker in three:
        worker.say("leave")
    assert [worker.end() for worker in three] == [(0, "left")] * 3


def test_nobody_leaves_before_the_last_one_is_done(three):
    three[0].say("leave")
    three[1].say("leave")
    time.sleep(1.5)
    assert [worker.process.poll() for worker in three] == [None] * 3
    three[2].say("leave")
    assert [worker.end() for worker in three] == [(0, "left")] * 3


@pytest.mark.parametrize("failing", [0, 2])
def test_error_of_one_ends_the_others_and_sends_the_reader_to_its_messages(three, failing):
    victim = three.pop(failing)
    victim.say("fail")
    assert "messages" in assert_all_end_because_of(victim, three)
    assert victim.end() == (3, "")


def test_error_of_all_leaves_the_word_to_each(three):
    for worker in three:
        worker.say("fail")
    assert [worker.end() for worker in three] == [(3, "")] * 3


def test_worker_killed_while_the_others_wait_for_it_to_finish_is_lost(three):
    three[0].say("leave")
    three[1].process.kill()
    code, message = three[0].end()
    assert code == 1
    assert_only_line_names(message, three[1], three[0], three[2])


def test_absent_workers_are_named(start, addresses):
    worker = start(addresses, 1, meeting_seconds=3)
    leader = start(addresses, 0, meeting_seconds=1)
    code, message = leader.end()
    assert code == 1
    assert re.search(rf"worker 2 \({addresses[2]}\) .* 1 s", message.splitlines()[-1])
    code, message = worker.end()
    assert code == 1
    assert re.search(rf"worker 0 \({addresses[0]}\) .* 3 s", message.splitlines()[-1])


def test_second_worker_with_one_index_is_refused(start, addresses):
    leader, first = start(addresses, 0), start(addresses, 1)
    leader.wait_for(f"] waiting for worker 2 ({addresses[2]})")
    code, message = start(addresses, 1).end()
    assert code == 1
    assert re.search(rf"error: TF_CONFIG.*{re.escape(leader.name)}.*{re.escape(first.name)}", message.splitlines()[-1])


def test_worker_may_be_started_again_while_the_others_wait(start, addresses):
    leader, first = start(addresses, 0), start(addresses, 1)
    leader.wait_for(f"] waiting for worker 2 ({addresses[2]})")
    first.process.kill()
    first.process.wait()
    others = [start(addresses, 2)]
    time.sleep(1)  # all have come, but one of them has gone again
    others.append(start(addresses, 1))
    for worker in (leader, *others):
        worker.wait_for("together")


@pytest.mark.parametrize("cluster", [{"addresses": "127.0.0.2:1"}, {"secret": "other"}])
def test_worker_with_another_tf_config_is_refused_without_a_word_on_the_right_one(start, addresses, cluster):
    leader = start(addresses[:2], 0, meeting_seconds=30, secret="word")
    other = [*addresses[:2], cluster["addresses"]] if "addresses" in cluster else addresses[:2]
    code, message = start(other, 1, secret=cluster.get("secret", "word")).end()
    assert code == 1
    assert message.splitlines()[-1].startswith(f"error: TF_CONFIG: {leader.name} refuses worker 1 ")
    assert ", ".join(other) in message
    leader.wait_for(" refused: ")
    start(addresses[:2], 1, secret="word")
    leader.wait_for("together")


def test_the_leader_says_again_and_again_whom_it_waits_for(addresses, monkeypatch, caplog):
    monkeypatch.setattr("melgan.training.meeting._NOTICE_SECONDS", 0.2)
    caplog.set_level("INFO", logger="absl")
    tasks = tuple(Task("worker", index, address) for index, address in enumerate(addresses[:2]))
    with pytest.raises(ConfigError, match="worker 1"):
        meet(Cluster(tasks, 0), seconds=1.2)
    assert len(caplog.messages) >= 2
    assert all(str(tasks[1]) in message for message in caplog.messages)


def test_who_has_finished_says_again_and_again_whom_it_waits_for(caplog, monkeypatch):
    monkeypatch.setattr("melgan.training.peers._NOTICE_SECONDS", 0.2)
    caplog.set_level("INFO", logger="absl")
    tasks = tuple(Task("worker", index, f"127.0.0.1:{index + 1}") for index in range(2))
    ours, theirs = socket.socketpair()
    peers = Peers(Cluster(tasks, 0), {1: ours}, heartbeat_seconds=30)
    leaving = threading.Thread(target=peers.leave)
    leaving.start()
    wait_for(lambda: len(caplog.messages) >= 2)
    theirs.sendall(b"done\n")
    theirs.close()
    leaving.join()
    assert all(str(tasks[1]) in message for message in caplog.messages)


def test_words_that_no_worker_says_are_not_taken_for_news():
    tasks = tuple(Task("worker", index, f"127.0.0.1:{index + 1}") for index in range(2))
    ours, theirs = socket.socketpair()
    peers = Peers(Cluster(tasks, 0), {1: ours}, heartbeat_seconds=30)
    theirs.sendall(b"done\n\xff\xfe\nGET / HTTP/1.1\r\n")
    theirs.close()
    peers.leave()


@pytest.mark.parametrize("place", [0, 1])
def test_port_in_use_is_refused(place):
    with socket.create_server(("", 0)) as taken:
        tasks = [Task("worker", index, "localhost:1") for index in range(2)]
        tasks[place] = Task("worker", place, f"localhost:{taken.getsockname()[1]}")
        with pytest.raises(ConfigError, match=r"TF_CONFIG.*worker \d \(localhost:\d+\).*\(Addr"):
            meet(Cluster(tuple(tasks), place), seconds=1)
