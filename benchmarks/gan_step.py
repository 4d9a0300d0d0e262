"""A training step of BAGAN-GP: time and memory against the published step, and what each change gave.

What makes ours fast, for equal results: one pass over the real images serves the right and the wrong labels; the
penalty carries no zeros back through the convolutions (`LeakyReLU`); what follows from the label alone is computed once
for every class (`PerLabel`); two linear layers are one (`TwoLinear`); and the step is one `tf.function`, so that
nothing is computed that no gradient needs.
"""

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.measuring import Measurement, print_measurements

_PUBLISHED = ("published", "published, one tf.function")
_CHANGES = (
    "without a shared pass",
    "without LeakyReLU",
    "without PerLabel",
    "without TwoLinear",
    "without any",
)


@dataclass
class Answers:
    """What a contender measured: CPU seconds of each counted step, losses of every step `[3]`, and peak memory."""

    seconds: list[float] = field(default_factory=list)
    losses: list[list[float]] = field(default_factory=list)
    megabytes: float = 0.0


def measure(
    *,
    width: float = 1.0,
    batch_size: int = 128,
    disc_steps: int = 5,
    rounds: int = 2,
    changes: Sequence[str] = _CHANGES,
) -> list[Measurement]:
    """Returns time and memory against the published step, and without each of the changes.

    Arguments:
      width: factor on the published filters.
      batch_size: images a step.
      disc_steps: discriminator steps to one of the generator; the changes are measured with one.
      rounds: steps of each contender that are timed, after one that is not.
      changes: which of `benchmarks.gan_contender.VARIANTS` ours is compared with.
    """
    gan = {"width": width, "global_batch_size": batch_size, "ema_decay": 0.0}
    against = _race(("ours", *_PUBLISHED), gan | {"disc_steps": disc_steps}, rounds)
    without = _race(("ours", *changes), gan | {"disc_steps": 1}, rounds)
    return [*_against_published(against, batch_size, disc_steps), *_by_change(without)]


def _race(names: Sequence[str], gan: dict, rounds: int) -> dict[str, Answers]:
    """Lets contenders take steps in turn, each in a process of its own."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as processes:
        (Path(folder) / "settings.json").write_text(json.dumps({"gan": gan, "steps": rounds + 1}))
        subprocess.run(_command("inputs", folder), check=True)
        started = {}
        for name in names:
            process = subprocess.Popen(
                _command(name, folder), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
            )
            processes.enter_context(process)
            processes.callback(process.stdin.close)
            started[name] = process
        answers = {name: Answers() for name in names}
        for step in range(rounds + 1):
            for name, process in started.items():
                _take_step(process, answers[name], counted=step > 0)
    return answers


def _command(name: str, folder: str) -> list[str]:
    return [sys.executable, "-m", "benchmarks.gan_contender", name, folder]


def _take_step(process: subprocess.Popen, answers: Answers, *, counted: bool) -> None:
    process.stdin.write("\n")
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"{' '.join(process.args)}: ended")
    answer = json.loads(line)
    answers.losses.append(answer["losses"])
    answers.megabytes = answer["megabytes"]
    if counted:
        answers.seconds.append(answer["seconds"])


def _against_published(answers: Mapping[str, Answers], batch_size: int, disc_steps: int) -> list[Measurement]:
    what = f"bagan_gp, 64 px, batch {batch_size}, {disc_steps} + 1 steps"
    ours, *rivals = (answers[name] for name in ("ours", *_PUBLISHED))
    labels = ("published step, nothing compiled", "published step, one tf.function")
    measurements = []
    for label, rival, target in zip(labels, rivals, (0.60, None), strict=True):
        measurements.append(
            Measurement(
                what=what,
                ours=_seconds(ours),
                rival=f"{label}: {_seconds(rival)}",
                value=_ratio(ours, rival),
                unit="of its time",
                at_most=target,
            )
        )
        measurements.append(
            Measurement(
                what=f"{what}, peak memory",
                ours=f"{ours.megabytes:.0f} MB",
                rival=f"{label}: {rival.megabytes:.0f} MB",
                value=ours.megabytes / rival.megabytes,
                unit="of its memory",
                at_most=1,
            )
        )
    return [*measurements, *_equality(what, ours, rivals[0])]


def _equality(what: str, ours: Answers, published: Answers) -> Iterator[Measurement]:
    """Yields the difference of the losses in the first step, and in the last, by when training has amplified it."""
    for place, bound in ((0, 1), (-1, None)):
        pairs = zip(ours.losses[place], published.losses[place], strict=True)
        yield Measurement(
            what=f"{what}, equal results",
            ours=f"losses of step {range(len(ours.losses))[place] + 1}",
            rival="published step: largest relative difference",
            value=1e6 * max(abs(own - other) / abs(other) for own, other in pairs),
            unit="millionths",
            at_most=bound,
        )


def _by_change(answers: dict[str, Answers]) -> list[Measurement]:
    ours = answers.pop("ours")
    return [
        Measurement(
            what="bagan_gp, 1 + 1 steps, what each change gave",
            ours=f"{_seconds(ours)}, {ours.megabytes:.0f} MB",
            rival=f"{name}: {_seconds(rival)}, {rival.megabytes:.0f} MB",
            value=_ratio(ours, rival),
            unit="of its time",
        )
        for name, rival in answers.items()
    ]


def _ratio(ours: Answers, rival: Answers) -> float:
    """Returns the median over the rounds of our time over the rival's."""
    return statistics.median(own / other for own, other in zip(ours.seconds, rival.seconds, strict=True))


def _seconds(answers: Answers) -> str:
    return f"{statistics.median(answers.seconds):.2f} s"


if __name__ == "__main__":
    print_measurements(measure())
