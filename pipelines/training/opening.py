"""A training among other workers if there are any: its strategy, folder, mirror and surroundings."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from melgan.training.determinism import make_deterministic
from melgan.training.distribution import is_chief, make_strategy, on_any_worker, own_folder, watched_workers
from pipelines.contract.inputs import Input
from pipelines.contract.main import sigterm_as_request
from pipelines.contract.workdir import Workdir, folder_input, is_completed, open_workdir
from pipelines.training.agreement import require_same_work
from pipelines.training.driver import Surroundings
from pipelines.training.tracking import tracking
from pipelines.watches.mirroring import Mirror
from tfrecords_tools.foundation.files import as_path


@dataclass(frozen=True)
class Opened:
    """A training that is to begin, or to go on.

    Attributes:
      workdir: its folder.
      mirror: its folder on this machine.
      strategy: under which it trains.
      track: sends the tracker new lines of metrics.
    """

    workdir: Workdir
    mirror: Mirror
    strategy: tf.distribute.Strategy
    track: Callable[[], None]

    def begin(self, inputs: Mapping[str, Input]) -> None:
        """Begins the folder, and fetches what a run that resumes needs."""
        self.workdir.begin(inputs)
        self.mirror.fetch()

    @contextmanager
    def surroundings(self) -> Iterator[Surroundings]:
        """Gives the surroundings of a loop, in which SIGTERM is a request to stop."""
        with sigterm_as_request() as stop_requested:
            yield Surroundings(
                strategy=self.strategy,
                folder=self.mirror.folder,
                writable=self.workdir.writable,
                stop_requested=on_any_worker(self.strategy, stop_requested),
                track=self.track,
            )


def inputs_of(config: Any) -> dict[str, Input]:
    """Returns the inputs of the training of a generator: its shards, and the run whose weights it starts from."""
    inputs = {"shards": folder_input(config.shards)}
    if config.init_from and is_completed(as_path(config.init_from)):  # a run that has begun needs it no more
        inputs["init_from"] = folder_input(config.init_from)
    return inputs


@contextmanager
def opened_training(
    config: Any,
    command: str,
    needed_to_go_on: Callable[[Sequence[str]], list[str]],
    *,
    find_left: Callable[[], Sequence[object]] = tuple,
) -> Iterator[Opened | None]:
    """Opens the folder of a training, as this worker; gives None if it is complete.

    Arguments:
      config: settings of the command, with those of strategies, devices and scratch folders among them.
      command: its name.
      needed_to_go_on: see `Mirror`.
      find_left: finds the parts of the work that are left to do, which all workers must agree on.
    """
    if config.deterministic:
        make_deterministic()
    with watched_workers(config.strategy, config.heartbeat_seconds):
        strategy = make_strategy(config.strategy)
        mirror = Mirror(config.workdir, config.scratch_dir, needed_to_go_on, own_folder(strategy))
        workdir = open_workdir(as_path(config.workdir), command, config, writable=is_chief(strategy))
        require_same_work(strategy, config, [workdir is None, *find_left()])
        with tracking(config, command, mirror.folder, writable=is_chief(strategy)) as track:
            if workdir is None:
                yield None
                return
            with workdir:
                yield Opened(workdir, mirror, strategy, track)
