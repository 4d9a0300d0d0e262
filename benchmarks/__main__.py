"""Runs every benchmark in a process of its own, prints the table and writes it to docs/benchmarks.md."""

import datetime
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.measuring import Measurement

ROOT = Path(__file__).resolve().parent.parent
SUBJECTS = (
    "images",
    "reading",
    "engines",
    "planning",
    "gan_step",
    "gan_overhead",
    "gan_scaling",
    "classifier_step",
    "image_metrics",
)
PACKAGES = (
    "tensorflow",
    "keras",
    "numpy",
    "scipy",
    "pandas",
    "Pillow",
    "protobuf",
    "opencv-python-headless",
    "webdataset",
    "torch",
    "torch-fidelity",
)

_METHOD = """\
Written by `make bench`. Ours and its rivals run in turn, in rounds; a ratio (x) is the median over the rounds of the
rival's time over ours. Images are converted several in a row, as a worker does. Times are CPU seconds of a process that
is kept on one core, so rates are per core; only "two workers" is by the clock, once the workers have started, and needs
a machine that does nothing else. Photographs are drawn (benchmarks/photos.py) and have the mean size of a file of the
Kaggle set. Ours writes JPEG of quality 95 and 4:4:4, OpenCV of quality 95 and 4:2:0, its default. Reading decodes at a
reduced scale (`ratio` of `tf.io.decode_jpeg`) where the stored images are at least twice as large as those asked for,
stays uint8, and decodes with a thread a core; the limit tunes itself (`tf.data.AUTOTUNE`).

The ratios depend on the photograph: the larger its file, the nearer the limit, and the slower against OpenCV. A side of
4000 pixels must be decoded at 1/4, because 1/8 would leave 500, less than the 512 asked for.

A training step is compared the other way round: ours over the rival's, two steps of each after one that does not count.
The rival is a transcription of the published step (tests/melgan/gans/published_step.py): separate passes for real, fake
and wrong-label pairs, run operation by operation as published, or as one `tf.function`. Every contender has a process
of its own on one core, and all start from the same weights, images and random numbers; their losses are compared too.
What each change gave is measured by putting the plain thing back in its place (benchmarks/gan_contender.py), with one
discriminator step. What the loop and the pipeline cost is measured around a network of a twentieth of the width and set
against a step at published widths. Two replicas are processes on one core each, by the clock. How more of them fare is
told on paper, with the formula and the assumptions of benchmarks/gan_scaling.py: no overlap of exchange and arithmetic.

A step of a classifier is compared with `keras.Model.fit` on the same network, optimizer, batch in memory and losses of
the class; the loss of fit's second head is a plain one, and fit keeps no average of the weights, which ours does.
Neither is compiled by XLA. What the loop and the pipeline cost is measured around small_cnn, as that of the GAN.

Metrics of images are computed from features that are drawn and read from disk, without any network, by ours and by
torch-fidelity with its defaults, each in a process of its own on one core. Starting, importing and reading do not count
as time; all that the process ever held counts as memory.
"""


def main() -> None:
    """Measures, prints and writes the table."""
    measurements, load = [], os.getloadavg()[0]
    for subject in SUBJECTS:
        sys.stderr.write(f"measuring {subject}\n")
        command = [sys.executable, "-m", f"benchmarks.{subject}"]
        lines = subprocess.run(command, cwd=ROOT, check=True, text=True, stdout=subprocess.PIPE).stdout.splitlines()
        measurements += [Measurement(**json.loads(line)) for line in lines]
    text = "\n".join(
        [
            "# Benchmarks",
            "",
            _METHOD,
            *table(measurements),
            "",
            *machine(),
            f"- others on the machine: {load:.1f} processes that wanted a core",
            "",
        ]
    )
    sys.stdout.write(text)
    (ROOT / "docs" / "benchmarks.md").write_text(text, encoding="utf-8")


def table(measurements: Sequence[Measurement]) -> Iterator[str]:
    """Yields the lines of the Markdown table of measurements."""
    yield "| what | ours | rival | measured | target | met |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for row in measurements:
        space = "" if row.unit == "x" else " "
        target = ""
        if row.met is not None:
            bound, limit = ("at least", row.at_least) if row.at_most is None else ("at most", row.at_most)
            target = f"{bound} {limit:g}{space}{row.unit}"
        digits = 2 if row.unit == "x" or row.unit.startswith("of its ") else 1
        met = {None: "", True: "yes", False: "**no**"}[row.met]
        measured = f"{row.value:.{digits}f}{space}{row.unit}"
        yield f"| {row.what} | {row.ours} | {row.rival} | {measured} | {target} | {met} |"


def machine() -> Iterator[str]:
    """Yields lines that say where and with what was measured."""
    processor = next((line.split(":")[1].strip() for line in _proc("cpuinfo") if line.startswith("model name")), "")
    memory = next((int(line.split()[1]) / 1e6 for line in _proc("meminfo") if line.startswith("MemTotal")), 0)
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES)
    yield f"- {datetime.date.today()}, {processor or platform.processor()}, {os.cpu_count()} cores, {memory:.0f} GB"
    yield f"- {platform.system()} {platform.release()}, Python {platform.python_version()}, {versions}"


def _proc(name: str) -> list[str]:
    path = Path("/proc") / name
    return path.read_text().splitlines() if path.is_file() else []


if __name__ == "__main__":
    main()
