"""Metrics of generated images from their features: time and memory of ours, against torch-fidelity.

Both compute from the same arrays, each in a process of its own, so that neither brings the other's libraries along.
Features are drawn: like those of Inception they are not negative, and have far fewer dimensions than columns.
"""

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from benchmarks.measuring import Measurement, print_measurements, stay_on_one_core

_CLASSES = 1008
_DIMENSIONS = 32
_EXACT = ("FID", "precision", "recall")  # without chance; KID and the splits of IS are drawn by torch-fidelity


def measure(
    *, images: int = 10_000, width: int = 2048, rounds: int = 1, rival: str | None = sys.executable
) -> list[Measurement]:
    """Returns time, differences and memory.

    Arguments:
      images: generated ones, and as many real ones.
      width: features of an image.
      rounds: how often each contender computes all metrics, in a new process.
      rival: the Python that torch-fidelity is installed in; if None, ours is measured alone.
    """
    ours, others = [], []
    with tempfile.TemporaryDirectory() as folder:
        _draw(Path(folder), images, width)
        for _ in range(rounds):
            ours.append(_run(sys.executable, "ours", folder))
            if rival is not None:
                others.append(_run(rival, "torch-fidelity", folder))
    what = f"IS, FID, KID, precision and recall of {images} + {images} images, {width} features"
    return [*_against(what, ours, others), _memory(what, ours, others)]


def _draw(folder: Path, images: int, width: int) -> None:
    rng = np.random.default_rng(0)
    mixing = rng.standard_normal((_DIMENSIONS, width), np.float32)
    for name, spread, mean in (("features", 0.9, 0.1), ("reference", 1.0, 0.0)):
        vectors = (mean + spread * rng.standard_normal((images, _DIMENSIONS), np.float32)) @ mixing
        vectors += 0.5 * rng.standard_normal(vectors.shape, np.float32)
        np.save(folder / f"{name}.npy", np.maximum(vectors, 0) / 8)
    np.save(folder / "logits.npy", 2 * rng.standard_normal((images, _CLASSES), np.float32))


def _run(python: str, name: str, folder: str) -> dict:
    command = [python, "-m", "benchmarks.metrics_contender", name, folder]
    return json.loads(subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout.splitlines()[-1])


def _against(what: str, ours: Sequence[dict], others: Sequence[dict]) -> Iterator[Measurement]:
    """Yields our time over the rival's, and how far the metrics differ."""
    if not others:
        return
    yield Measurement(
        what=what,
        ours=f"KID of all pairs: {_seconds(ours)}",
        rival=f"torch-fidelity, KID of 100 subsets: {_seconds(others)}",
        value=statistics.median(
            own["cpu_seconds"] / other["cpu_seconds"] for own, other in zip(ours, others, strict=True)
        ),
        unit="of its time",
        at_most=1,
    )
    own, other = ours[-1]["values"], others[-1]["values"]
    yield Measurement(
        what=f"{what}, equal results",
        ours=", ".join(f"{name} {own[name]:.4f}" for name in _EXACT),
        rival="torch-fidelity: largest relative difference",
        value=1e6 * max(abs(own[name] - other[name]) / abs(other[name]) for name in _EXACT),
        unit="millionths",
        at_most=1000,
    )


def _memory(what: str, ours: Sequence[dict], others: Sequence[dict]) -> Measurement:
    own = max(answer["megabytes"] for answer in ours)
    other = max((answer["megabytes"] for answer in others), default=None)
    return Measurement(
        what=f"{what}, peak memory",
        ours=f"{own:.0f} MB",
        rival="" if other is None else f"torch-fidelity: {other:.0f} MB",
        value=own,
        unit="MB",
        at_most=3000,
    )


def _seconds(answers: Sequence[dict]) -> str:
    cpu, clock = (statistics.median(answer[name] for answer in answers) for name in ("cpu_seconds", "clock_seconds"))
    return f"{cpu:.1f} s, {clock:.1f} s by the clock"


if __name__ == "__main__":
    stay_on_one_core()
    print_measurements(measure())
