"""Tries a multi-worker training out on one machine: starts several local workers, and ends with them.

    python -m pipelines.local_workers --workers=2 -- --shards=SHARDS --workdir=GAN --total_steps=100

What stands after -- are settings of --command, the same for all; TF_CONFIG and --strategy=multi_worker are added.
Every line of a worker's output begins with its number. SIGTERM and Ctrl-C are passed on. When a worker fails all end,
and the exit code is the one of the first that failed. They meet on loopback; TensorFlow itself listens on all
addresses of this machine, without a password: keep its ports behind a firewall.
"""

import json
import os
import secrets
import socket
import sys
from contextlib import ExitStack
from dataclasses import dataclass

from pipelines.contract.launching import command_line, run_together
from pipelines.contract.main import main
from tfrecords_tools.foundation.settings import Settings, require, setting

_LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, kw_only=True)
class LocalWorkersConfig(Settings):
    """Settings of local_workers."""

    workers: int = setting(2, "processes to start")
    command: str = setting(
        "train_gan", "command that they run", choices=("train_gan", "train_translator", "train_classifier")
    )
    settings: tuple[str, ...] = setting((), "settings of the command; simpler: all that stands after --")

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.workers >= 1, "workers", self.workers, "at least 1")


def run(config: LocalWorkersConfig) -> None:
    """Runs the workers to their end; leaves with the exit code of the first that failed."""
    line = command_line(config.command, [*config.settings, "--strategy=multi_worker"])
    sys.exit(run_together([line] * config.workers, _environments(config.workers)))


def _environments(workers: int) -> list[dict[str, str]]:
    common = {
        "cluster": {"worker": [f"{_LOOPBACK}:{port}" for port in _free_ports(workers)]},
        "secret": secrets.token_hex(16),  # other users of this machine see the addresses
    }
    tasks = [{**common, "task": {"type": "worker", "index": index}} for index in range(workers)]
    return [os.environ | {"TF_CONFIG": json.dumps(task)} for task in tasks]


def _free_ports(number: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server((_LOOPBACK, 0))) for _ in range(number)]
        return [each.getsockname()[1] for each in sockets]


if __name__ == "__main__":
    main(LocalWorkersConfig, run, positional="settings")
