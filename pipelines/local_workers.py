"""Tries a multi-worker training out on one machine: starts several local workers of train_gan, and ends with them.

    python -m pipelines.local_workers --workers=2 -- --shards=SHARDS --workdir=GAN --total_steps=100

What stands after -- are settings of train_gan, the same for all; TF_CONFIG and --strategy=multi_worker are added.
Every line of a worker's output begins with its number. SIGTERM and Ctrl-C are passed on. When a worker fails all end,
and the exit code is that of the first that failed.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass

from pipelines.contract.main import main
from tfrecords_tools.foundation.settings import require, setting

_POLL_SECONDS = 0.1
_GRACE_SECONDS = 15.0  # the others see a worker fail, and end by themselves with a better message
_TERMINATION_SECONDS = 10.0


@dataclass(frozen=True, kw_only=True)
class LocalWorkersConfig:
    """Settings of local_workers."""

    workers: int = setting(2, "processes to start")
    settings: tuple[str, ...] = setting((), "settings of train_gan; simpler: all that stands after --")

    def __post_init__(self) -> None:
        require(self.workers >= 1, "workers", self.workers, "at least 1")


def run(config: LocalWorkersConfig) -> None:
    """Runs the workers to their end; leaves with the exit code of the first that failed."""
    processes = [_start(config.settings, environment) for environment in _environments(config.workers)]
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: _send(processes, number))
    printers = [
        threading.Thread(target=_print_lines, args=(index, process), daemon=True)
        for index, process in enumerate(processes)
    ]
    for printer in printers:
        printer.start()
    code = _wait(processes)
    for printer in printers:
        printer.join(_TERMINATION_SECONDS)
    sys.exit(code)


def _environments(workers: int) -> list[dict[str, str]]:
    cluster = {"worker": [f"localhost:{port}" for port in _free_ports(workers)]}
    tasks = [{"cluster": cluster, "task": {"type": "worker", "index": index}} for index in range(workers)]
    return [os.environ | {"TF_CONFIG": json.dumps(task)} for task in tasks]


def _free_ports(number: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("localhost", 0))) for _ in range(number)]
        return [each.getsockname()[1] for each in sockets]


def _start(settings: tuple[str, ...], environment: dict[str, str]) -> subprocess.Popen:
    """Starts a worker in a session of its own, which a terminal's Ctrl-C reaches only through this process."""
    return subprocess.Popen(
        [sys.executable, "-m", "pipelines.train_gan", *settings, "--strategy=multi_worker"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def _send(processes: list[subprocess.Popen], number: int) -> None:
    for process in processes:
        if process.poll() is None:
            process.send_signal(number)


def _print_lines(index: int, process: subprocess.Popen) -> None:
    for line in process.stdout:
        sys.stdout.write(f"[{index}] {line.decode(errors='replace').rstrip()}\n")
        sys.stdout.flush()


def _wait(processes: list[subprocess.Popen]) -> int:
    """Waits for all; after a failure, no longer than it takes to end the rest. Returns the first failure's code."""
    failure, failed = 0, None
    while any(process.poll() is None for process in processes):
        codes = [process.poll() for process in processes]
        if failed is None and any(codes):
            failed = time.monotonic()
            failure = next(code for code in codes if code)
        if failed is not None and time.monotonic() - failed > _GRACE_SECONDS:
            _end(processes)
        time.sleep(_POLL_SECONDS)
    code = failure or next((process.returncode for process in processes if process.returncode), 0)
    return 128 - code if code < 0 else code


def _end(processes: list[subprocess.Popen]) -> None:
    _send(processes, signal.SIGTERM)
    deadline = time.monotonic() + _TERMINATION_SECONDS
    while any(process.poll() is None for process in processes) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    _send(processes, signal.SIGKILL)
    for process in processes:
        process.wait()


if __name__ == "__main__":
    main(LocalWorkersConfig, run, positional="settings")
