"""What every benchmark shares: contenders measured in turn, and the rows of the table."""

import json
import os
import re
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One row of the table.

    `value` is a ratio (`unit` is "x": the rival's time over ours) or an amount in `unit`; it should be at least
    `at_least`, or at most `at_most`; a row with neither is there to compare.
    """

    what: str
    ours: str
    rival: str
    value: float
    unit: str = "x"
    at_least: float | None = None
    at_most: float | None = None

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None if there is none."""
        if self.at_least is not None:
            return self.value >= self.at_least
        return None if self.at_most is None else self.value <= self.at_most


def stay_on_one_core() -> None:
    """Keeps this process, with all threads, on one core, where the system can; for rates per core."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def cpu_seconds(
    contenders: Mapping[str, Callable[[], object]], rounds: int, *, in_a_row: int = 1
) -> dict[str, list[float]]:
    """Returns CPU seconds of this process, all threads, that each contender took in each round.

    The contenders run in turn, so that whatever else the machine does meets all of them; a first round is not counted.
    A contender that runs several times `in_a_row` does so once more before it is timed, so that, as in a worker that
    has long been at work, no time goes into memory that the contender before it has given back.
    """
    seconds = {name: [] for name in contenders}
    for number in range(rounds + 1):
        for name, contender in contenders.items():
            if in_a_row > 1:
                contender()
            start = time.process_time()
            for _ in range(in_a_row):
                contender()
            if number:
                seconds[name].append(time.process_time() - start)
    return seconds


def times_faster(ours: Sequence[float], rival: Sequence[float]) -> float:
    """Returns the median over the rounds of the rival's time over ours."""
    return statistics.median(other / own for own, other in zip(ours, rival, strict=True))


def per_second(count: int, seconds: Sequence[float]) -> str:
    """Returns the median rate of a contender that treats `count` images a round, as text."""
    rate = count / statistics.median(seconds)
    return f"{rate:.1f}/s" if rate < 100 else f"{rate:.0f}/s"


def peak_megabytes(pid: int | str = "self") -> float:
    """Returns the most memory that a process ever held, 0 if it has ended. Linux only."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    peak = re.search(r"^VmHWM:\s*(\d+) kB", status, re.M)
    return int(peak[1]) / 1000 if peak else 0.0


def print_measurements(measurements: Iterable[Measurement]) -> None:
    """Prints measurements as JSON, one a line, for the process that collects them."""
    for measurement in measurements:
        sys.stdout.write(json.dumps(asdict(measurement)) + "\n")
