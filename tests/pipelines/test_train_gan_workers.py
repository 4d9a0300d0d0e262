"""train_gan on two workers: however one of them ends, all end with a reason, and the same command resumes."""

import json
import os
import signal
import time
from pathlib import Path

import pytest

from melgan.training.checkpoints import whole_steps
from tests.pipelines.conftest import GAN, start_command
from tests.pipelines.test_train_gan_resume import assert_equal
from tests.ports import free_ports

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

SETTINGS = {
    **GAN,
    "autoencoder_epochs": 0,
    "total_steps": 60,
    "checkpoint_every": 4,
    "strategy": "multi_worker",
    "heartbeat_seconds": 10,
}


class Workers:
    """Two processes of train_gan."""

    def __init__(self, shards: Path, workdir: Path, logs: Path, **settings: object) -> None:
        self.addresses = [f"localhost:{port}" for port in free_ports(2)]
        self.workdir = workdir
        self.logs = [logs / f"worker{place}" for place in range(2)]
        own = {**SETTINGS, **settings, "shards": shards, "workdir": workdir}
        self.processes = [
            start_command("train_gan", log, environment=self._environment(place), **own)
            for place, log in enumerate(self.logs)
        ]

    def _environment(self, place: int) -> dict[str, str]:
        task = {"cluster": {"worker": self.addresses}, "task": {"type": "worker", "index": place}}
        return {**os.environ, "TF_CONFIG": json.dumps(task)}

    def wait_for_a_checkpoint(self) -> None:
        folder = self.workdir / "checkpoints" / "gan"
        before, end = whole_steps(folder)[-1:], time.monotonic() + 300
        while whole_steps(folder)[-1:] == before:
            assert not any(process.poll() for process in self.processes), self.messages()
            assert time.monotonic() < end
            time.sleep(0.05)

    def end(self, place: int) -> tuple[int, str]:
        """Returns a worker's exit code and its last line; a traceback would stand before it."""
        code, output = self.processes[place].wait(timeout=300), self.logs[place].read_text()
        assert "Traceback" not in output, output
        return code, output.strip().splitlines()[-1]

    def messages(self) -> str:
        self.kill()
        return "\n".join(log.read_text()[-3000:] for log in self.logs)

    def kill(self) -> None:
        for process in self.processes:
            process.kill()

    def name(self, place: int) -> str:
        return f"worker {place} ({self.addresses[place]})"


@pytest.fixture
def start(shards: Path, tmp_path_factory: pytest.TempPathFactory):
    started = []

    def start(workdir: Path, **settings: object) -> Workers:
        started.append(Workers(shards, workdir, tmp_path_factory.mktemp("logs"), **settings))
        return started[-1]

    yield start
    for workers in started:
        workers.kill()


def kill_one(workers: Workers, place: int) -> None:
    workers.processes[place].kill()
    code, message = workers.end(1 - place)
    assert code == 1
    assert message.startswith(f"error: {workers.name(place)} ")
    workers.processes[place].wait()


def stop_one(workers: Workers, place: int) -> None:
    """Also the stopped worker ends, once it continues."""
    begin = time.monotonic()
    workers.processes[place].send_signal(signal.SIGSTOP)
    code, message = workers.end(1 - place)
    assert code == 1
    assert message.startswith(f"error: {workers.name(place)} ")
    assert " 10 s" in message
    assert time.monotonic() - begin < 60
    workers.processes[place].send_signal(signal.SIGCONT)
    code, message = workers.end(place)
    assert code == 1
    assert message.startswith(f"error: {workers.name(place)}")


def preempt_one(workers: Workers, place: int) -> None:
    workers.processes[place].send_signal(signal.SIGTERM)
    ends = [workers.end(each) for each in range(2)]
    assert ends[0] == ends[1]
    code, message = ends[0]
    assert code == 128 + signal.SIGTERM
    step = whole_steps(workers.workdir / "checkpoints" / "gan")[-1]
    assert f"step {step}" in message


def test_however_a_worker_ends_the_finished_run_is_the_undisturbed_one(start, tmp_path: Path):
    """Three ends in one run, then a start that finishes; worker 0 is the chief."""
    undisturbed = start(tmp_path / "undisturbed")
    assert [undisturbed.end(place)[0] for place in range(2)] == [0, 0]
    disturbed = tmp_path / "disturbed"
    for disturb, place in ((kill_one, 1), (stop_one, 0), (preempt_one, 1)):
        workers = start(disturbed)
        workers.wait_for_a_checkpoint()
        disturb(workers, place)
    assert not (disturbed / "COMPLETED").exists()
    workers = start(disturbed)
    assert [workers.end(place)[0] for place in range(2)] == [0, 0], workers.messages()
    assert_equal(disturbed, tmp_path / "undisturbed")


def test_what_the_workers_cannot_do_is_refused_before_anything_is_written(start, tmp_path: Path):
    workers = start(tmp_path / "odd", global_batch_size=7)
    for place in range(2):
        code, message = workers.end(place)
        assert code == 1
        assert message.startswith("error: global_batch_size is 7; ")
        assert "2 replicas" in message
    assert not (tmp_path / "odd").exists()
