"""Measurements of a benchmark on a GPU: parts in processes of their own, a line of JSON for each, a table.

What is known is on disk before the next part can fail, so that a run that is cut short keeps what it has.
"""

import pipelines.contract.quiet_tensorflow  # noqa: F401

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow as tf

_FILE = "measurements.jsonl"
_LOG = "parts.log"


class Measurements:
    """The measurements of one part.

    Arguments:
      path: file that they are appended to.
      part: its name.
      tiny: whether sizes measure nothing.
      seconds: how long the part may take; `late` tells when they are over.
    """

    def __init__(self, path: Path, part: str, *, tiny: bool, seconds: float) -> None:
        self.tiny = tiny
        self._path, self._part, self._end = path, part, time.monotonic() + seconds

    @property
    def late(self) -> bool:
        """Whether the time of the part is over."""
        return time.monotonic() > self._end

    def earlier(self) -> list[dict[str, Any]]:
        """Returns all measurements in the file so far, those of other parts too."""
        return read_measurements(self._path.parent)

    @contextlib.contextmanager
    def line(self, what: str, **settings: Any) -> Iterator[dict[str, Any]]:
        """Gives the line of a measurement to fill in and appends it, in place of the value an error if one comes."""
        line, started = {"part": self._part, "what": what, **settings}, time.monotonic()
        try:
            yield line
        except Exception as error:  # what cannot be measured must not take the rest along
            line["error"] = f"{type(error).__name__}: {str(error)[:400]}"
            traceback.print_exc()
        line["took_s"] = round(time.monotonic() - started, 1)
        with open(self._path, "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


@dataclass(frozen=True)
class Part:
    """A part of a benchmark: what it measures, and the seconds that it may take."""

    measure: Callable[[Measurements], None]
    seconds: float


def main(
    module: str,
    parts: Mapping[str, Part],
    *,
    processes: int = 1,
    prepare: Callable[[], None] = lambda: None,
    default_seconds: float = 400,
) -> None:
    """Runs the parts named on the command line, by default all, in processes of their own; prints the table.

    Arguments:
      module: of the benchmark, to be run with -m.
      parts: by name, in the order of their worth: time that runs out is lost to the last ones.
      processes: how many parts run together; only one if they are timed.
      prepare: called at the start of each part, before it uses the GPU.
      default_seconds: for all.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {module}")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(parts)}")
    parser.add_argument("--seconds", type=float, default=default_seconds, help="after which nothing more is begun")
    parser.add_argument("--out", type=Path, default=Path("runs/gpu"), help="folder of the measurements")
    parser.add_argument("--tiny", action="store_true", help="sizes that measure nothing, for a try without a GPU")
    parser.add_argument("--only", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    unknown = set(arguments.parts) - set(parts)
    if unknown:
        parser.error(f"unknown part {', '.join(sorted(unknown))}; there are {', '.join(parts)}")
    arguments.out.mkdir(parents=True, exist_ok=True)
    if arguments.only:
        (name,) = arguments.parts
        prepare()
        parts[name].measure(Measurements(arguments.out / _FILE, name, tiny=arguments.tiny, seconds=arguments.seconds))
        return
    before = len(read_measurements(arguments.out))
    _run_parts(module, {name: parts[name] for name in arguments.parts or parts}, processes, arguments)
    print_table(read_measurements(arguments.out)[before:])


def _run_parts(module: str, parts: Mapping[str, Part], processes: int, arguments: argparse.Namespace) -> None:
    end = time.monotonic() + arguments.seconds

    def run(name: str) -> None:
        left = end - time.monotonic()
        seconds = left if arguments.tiny else min(parts[name].seconds, left)
        if seconds < 5:
            print(f"{name}: no time left", flush=True)
            return
        command = [sys.executable, "-m", module, name, "--only", f"--seconds={seconds}", f"--out={arguments.out}"]
        with open(arguments.out / _LOG, "ab") as log:
            try:
                grace = min(30.0, max(end - time.monotonic() - seconds, 0.0))
                code = subprocess.run(
                    command + ["--tiny"] * arguments.tiny, stdout=log, stderr=log, timeout=seconds + grace, check=False
                ).returncode
            except subprocess.TimeoutExpired:
                code = "stopped, out of time"
        print(f"{name}: {'done' if code == 0 else code}, {end - time.monotonic():.0f} s left", flush=True)

    with ThreadPoolExecutor(processes) as pool:
        list(pool.map(run, parts))


def read_measurements(folder: Path) -> list[dict[str, Any]]:
    """Returns all measurements in a folder, none if there are none."""
    path = folder / _FILE
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.is_file() else []


def print_table(measurements: Sequence[Mapping[str, Any]]) -> None:
    """Prints measurements, one a line."""
    for measurement in measurements:
        rounded = {
            name: float(f"{value:.4g}") if isinstance(value, float) else value for name, value in measurement.items()
        }
        print("  ".join(f"{name}={value}" for name, value in rounded.items()))


def first(tensors: Any) -> float:
    """Returns a number of the last tensor of a structure, once it and all before it are computed."""
    return float(tf.cast(tf.reshape(tf.nest.flatten(tensors)[-1], [-1])[0], tf.float32).numpy())


def median_seconds(run: Callable[[], Any], *, budget: float = 3.0, rounds: int = 5) -> tuple[float, float]:
    """Returns the median seconds of `run()` over the rounds, and the spread of its middle half over the median.

    It runs twice before that. Each round runs it as often as fits into its part of the budget, in seconds.
    """
    first(run())
    started = time.perf_counter()
    first(run())
    repeats = max(1, int(budget / rounds / max(time.perf_counter() - started, 1e-6)))
    seconds = []
    for _ in range(rounds):
        started = time.perf_counter()
        for _ in range(repeats - 1):
            run()
        first(run())
        seconds.append((time.perf_counter() - started) / repeats)
    low, middle, high = statistics.quantiles(seconds, n=4)
    return middle, (high - low) / middle


def forget_peak() -> None:
    """Lets the peak of the GPU's memory begin anew."""
    if tf.config.list_physical_devices("GPU"):
        tf.config.experimental.reset_memory_stats("GPU:0")


def peak_megabytes() -> float | None:
    """Returns the most memory of the GPU that tensors held since `forget_peak`; None without a GPU."""
    if not tf.config.list_physical_devices("GPU"):
        return None
    return round(tf.config.experimental.get_memory_info("GPU:0")["peak"] / 1e6)


def without_gpu() -> dict[str, str]:
    """Returns the environment of a process that sees no GPU."""
    return {**os.environ, "CUDA_VISIBLE_DEVICES": "-1"}
