"""How many faults do the commands withstand? `make faults` prints a table, and ends with exit code 1 if any is not.

Killed at random moments a run resumes and ends in the bytes of an undisturbed one; inputs that can be understood are;
others, and folders that are damaged, are refused in one line. Every trial has an empty folder, and nothing is mocked.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.faults.bad_inputs import bad_inputs
from benchmarks.faults.damages import damages
from benchmarks.faults.kills import kills
from benchmarks.faults.limits import limits
from benchmarks.faults.line import make_line
from benchmarks.faults.trial import Trial


def main() -> None:
    """Runs the trials and prints a table of kinds: tried, held."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=24, help="how many, in all")
    parser.add_argument("--processes", type=int, default=2, help="trials beside each other")
    parser.add_argument("--only", default="", help="trials in whose kind or name this occurs")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        line = Path(folder) / "line"
        print("making the line that trials read")
        make_line(line)
        trials = [trial for trial in _trials(line, arguments.kills) if arguments.only in f"{trial.kind} {trial.name}"]
        failures = run_trials(trials, Path(folder), arguments.processes)
    print(table(trials, failures))
    sys.exit(1 if failures else 0)


def run_trials(trials: list[Trial], folder: Path, processes: int) -> dict[Trial, str]:
    """Runs trials, prints each as it ends, and returns what went wrong with those that did not hold."""

    def attempt(numbered: tuple[int, Trial]) -> str:
        number, trial = numbered
        own = folder / f"trial{number}"
        own.mkdir()
        return trial.run(own)

    failures = {}
    with ThreadPoolExecutor(processes) as pool:
        for trial, failure in zip(trials, pool.map(attempt, enumerate(trials)), strict=True):
            print(f"{'FAILED' if failure else 'held'}  {trial.kind}: {trial.name}  {failure}".rstrip(), flush=True)
            if failure:
                failures[trial] = failure
    return failures


def table(trials: list[Trial], failures: dict[Trial, str]) -> str:
    """Returns how many trials of each kind were tried and held, as Markdown."""
    lines = ["| kind | tried | held |", "| --- | --- | --- |"]
    for kind in dict.fromkeys(trial.kind for trial in trials):
        tried = [trial for trial in trials if trial.kind == kind]
        lines.append(f"| {kind} | {len(tried)} | {sum(trial not in failures for trial in tried)} |")
    return "\n".join([*lines, f"| all | {len(trials)} | {len(trials) - len(failures)} |"])


def _trials(line: Path, num_kills: int) -> Iterator[Trial]:
    yield from bad_inputs()
    yield from damages(line)
    yield from limits(line)
    yield from kills(line, num_kills)


if __name__ == "__main__":
    main()
