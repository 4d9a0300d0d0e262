"""local_workers: its workers end together, and so does it."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from melgan.training.checkpoints import whole_steps
from pipelines.local_workers import _environments
from tests.conftest import ROOT
from tests.pipelines.conftest import GAN

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

SETTINGS = {**GAN, "autoencoder_epochs": 0, "disc_steps": 1, "total_steps": 400, "log_every": 1, "steps_per_call": 1}


def command(shards: Path, workdir: Path, **settings: object) -> list[str]:
    own = {**SETTINGS, "shards": shards, "workdir": workdir, **settings}
    flags = [f"--{name}={value}" for name, value in own.items()]
    return [sys.executable, "-m", "pipelines.local_workers", "--workers=2", "--", *flags]


def run(arguments: list[str]) -> subprocess.CompletedProcess:
    return subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=False)


def lines_of(output: str, worker: int) -> list[str]:
    return [line.removeprefix(f"[{worker}] ") for line in output.splitlines() if line.startswith(f"[{worker}] ")]


def test_sigterm_stops_all_and_the_same_command_finishes(shards: Path, tmp_path: Path):
    pipe = subprocess.PIPE
    runner = subprocess.Popen(command(shards, tmp_path / "gan"), cwd=ROOT, stdout=pipe, stderr=pipe, text=True)
    for line in runner.stdout:
        if " gan: " in line:
            break
    runner.send_signal(signal.SIGTERM)
    output, errors = runner.communicate(timeout=300)
    assert (runner.returncode, errors) == (128 + signal.SIGTERM, "")
    last = [lines_of(output, worker)[-1] for worker in range(2)]
    step = whole_steps(tmp_path / "gan" / "checkpoints" / "gan")[-1]
    assert last[0] == last[1]
    assert f"step {step}" in last[0]

    finished = run(command(shards, tmp_path / "gan", total_steps=step + 2))
    assert (finished.returncode, finished.stderr) == (0, ""), finished.stdout
    assert all(lines_of(finished.stdout, worker) for worker in range(2))
    assert (tmp_path / "gan" / "COMPLETED").exists()

    again = run(command(shards, tmp_path / "gan"))
    assert again.returncode == 0
    assert all(str(tmp_path / "gan") in line for line in lines_of(again.stdout, 0)[-1:])
    assert whole_steps(tmp_path / "gan" / "checkpoints" / "gan")[-1] == step + 2


def test_exit_code_is_that_of_the_workers(shards: Path, tmp_path: Path):
    refused = run([*command(shards, tmp_path / "gan"), "--method=pix2pix"])
    assert refused.returncode == 1
    for worker in range(2):
        assert lines_of(refused.stdout, worker)[-1].startswith("error: method is 'pix2pix'; ")
    unknown = run([*command(shards, tmp_path / "gan"), "--no_such_setting=1"])
    assert unknown.returncode == 2


def test_workers_meet_on_loopback_and_share_a_word_that_nobody_else_has():
    first, second = ([json.loads(each["TF_CONFIG"]) for each in _environments(2)] for _ in range(2))
    for config in (*first, *second):
        assert all(address.startswith("127.0.0.1:") for address in config["cluster"]["worker"])
    assert [config["task"]["index"] for config in first] == [0, 1]
    assert len({config["secret"] for config in first}) == 1
    assert first[0]["secret"] != second[0]["secret"]


def test_no_workers_are_refused(shards: Path, tmp_path: Path):
    nobody = run([sys.executable, "-m", "pipelines.local_workers", "--workers=0"])
    assert nobody.returncode == 1
    assert nobody.stderr.startswith("error: workers is 0; ")
    assert len(nobody.stderr.splitlines()) == 1
