"""A training among other workers if there are any: its strategy, folder, mirror and surroundings."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from melgan.training.determinism import make_deterministic
from melgan.training.distribution import is_chief, make_strategy, on_any_worker, own_folder, watched_workers
from pipelines.contract.main import sigterm_as_request
from pipelines.contract.workdir import Workdir, open_workdir
from pipelines.training.agreement import require_same_work
from pipelines.training.driver import Surroundings
from pipelines.watches.mirroring import Mirror
from tfrecords_tools.foundation.files import as_path


@dataclass(frozen=True)
class Opened:
    """A training that is to begin, or to go on."""

    workdir: Workdir
    mirror: Mirror
    surroundings: Surroundings


@contextmanager
def opened_training(
    config: Any, command: str, needed_to_go_on: Callable[[Sequence[str]], list[str]]
) -> Iterator[Opened | None]:
    """Opens the folder of a training, as this worker; gives None if it is complete.

    Arguments:
      config: settings of the command, with those of strategies, devices and scratch folders among them.
      command: its name.
      needed_to_go_on: see `Mirror`.
    """
    if config.deterministic:
        make_deterministic()
    with watched_workers(config.strategy, config.heartbeat_seconds):
        strategy = make_strategy(config.strategy)
        mirror = Mirror(config.workdir, config.scratch_dir, needed_to_go_on, own_folder(strategy))
        workdir = open_workdir(as_path(config.workdir), command, config, writable=is_chief(strategy))
        require_same_work(strategy, config, [workdir is None])
        if workdir is None:
            yield None
            return
        with workdir, sigterm_as_request() as stop_requested:
            surroundings = Surroundings(
                strategy=strategy,
                folder=mirror.folder,
                writable=workdir.writable,
                stop_requested=on_any_worker(strategy, stop_requested),
            )
            yield Opened(workdir, mirror, surroundings)
