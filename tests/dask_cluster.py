"""A Dask scheduler and its workers on loopback, as processes that share nothing with the tests but files."""

import os
import re
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from tests.conftest import ROOT


class DaskCluster:
    """Ends with its context. `config` is a file of Dask's settings, `path` what the processes import from."""

    def __init__(self, *scheduler_flags: str, config: str = "", path: Path = ROOT) -> None:
        self._stack = ExitStack()
        self._environment = {**os.environ, "PYTHONPATH": str(path), "DASK_CONFIG": config}
        flags = ("--host=127.0.0.1", "--port=0", "--no-dashboard", "--dashboard-address=127.0.0.1:0", *scheduler_flags)
        self.scheduler = self._start("scheduler", *flags)
        addresses = (
            re.search(r"\w+://127\.0\.0\.1:\d+", line) for line in self.scheduler.stderr if "Scheduler" in line
        )
        self.address = next(match[0] for match in addresses if match)

    def __enter__(self) -> "DaskCluster":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def start_worker(self, *flags: str) -> subprocess.Popen:
        """Starts a worker, which is not started again if it dies."""
        known = ("--host=127.0.0.1", "--nthreads=1", "--no-nanny", "--no-dashboard")
        return self._start("worker", self.address, *known, *flags)

    def _start(self, kind: str, *flags: str) -> subprocess.Popen:
        command = [sys.executable, "-m", f"distributed.cli.dask_{kind}", *flags]
        process = subprocess.Popen(command, env=self._environment, cwd="/", stderr=subprocess.PIPE, text=True)
        self._stack.callback(process.communicate)
        self._stack.callback(process.kill)
        return process
