"""Many images: what a second worker brings, and the memory that a run takes.

Nothing here imports TensorFlow, because the workers import what this module imports.
"""

import contextlib
import itertools
import re
import struct
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from benchmarks.measuring import Measurement, peak_megabytes, print_measurements
from benchmarks.photos import camera_jpeg, draw_photo
from tfrecords_tools.engines import EngineOptions
from tfrecords_tools.engines.local import run_local
from tfrecords_tools.images import Encoding
from tfrecords_tools.rows import Row, write_rows
from tfrecords_tools.shards import ShardJob, rows_path, write_shard

_JOBS = 16
_FIELDS = ("patient_id", "sex", "age_approx", "anatom_site_general_challenge", "diagnosis", "target")


def measure(*, photo: tuple[int, int] = (6000, 4000), photos: int = 64, rounds: int = 5) -> list[Measurement]:
    """Returns the speed of two workers, and the memory of make_shards.

    Arguments:
      photo: width and height of the photographs.
      photos: how many are converted to 512 pixels a side, in 16 shards; at least 32.
      rounds: how often with one and with two workers.
    """
    with tempfile.TemporaryDirectory() as folder:
        images = Path(folder) / "images"
        _write_photos(images, camera_jpeg(draw_photo(*photo, seed=0)), photos)
        return [_two_workers(Path(folder), images, photos, rounds), *_memory(Path(folder), images, photos)]


def _write_photos(folder: Path, data: bytes, count: int) -> None:
    """Writes files of the same picture that differ in a comment, so that none is a copy of another."""
    for number in range(count):
        path = folder / ("rare", "common")[number % 4 > 0] / f"{number:06d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data[:2] + b"\xff\xfe\x00\x06" + struct.pack(">I", number) + data[2:])


def _two_workers(folder: Path, images: Path, photos: int, rounds: int) -> Measurement:
    """Compares the images a second of two workers and of one, between the first shards and the last.

    By the clock, so whatever else the machine does counts too: the best rounds are compared.
    """
    files = sorted(path.relative_to(images) for path in images.rglob("*.jpg"))
    rates = {1: [], 2: []}
    for number, workers in itertools.product(range(rounds), rates):
        output = folder / f"shards_{number}_{workers}"
        ends = []
        for _ in run_local(_jobs(output, images, files), write_shard, EngineOptions(workers=workers)):
            ends.append(time.perf_counter())
        # The first shard of each worker has its start in it.
        rates[workers].append((len(ends) - workers) / (ends[-1] - ends[workers - 1]) * photos / _JOBS)
    return Measurement(
        what="two workers",
        ours=f"best round: {max(rates[2]):.1f} photographs/s",
        rival=f"one worker, best round: {max(rates[1]):.1f} photographs/s",
        value=max(rates[2]) / max(rates[1]),
        at_least=1.9,
    )


def _jobs(output: Path, images: Path, files: list[Path]) -> list[ShardJob]:
    jobs = []
    for index in range(_JOBS):
        rows = [
            Row(
                source=0,
                file=str(file),
                size=(images / file).stat().st_size,
                version=0,
                crc32c=None,
                fields={"image_name": file.stem, **dict.fromkeys(_FIELDS, 0)},
            )
            for file in files[index::_JOBS]
        ]
        rows_path(output, "train", index).parent.mkdir(parents=True, exist_ok=True)
        write_rows(rows_path(output, "train", index), rows)
        encoding = Encoding(image_size=512)
        jobs.append(
            ShardJob(
                folder=str(output), split="train", index=index, num_classes=1, roots=(str(images),), encoding=encoding
            )
        )
    return jobs


def _memory(folder: Path, images: Path, photos: int) -> list[Measurement]:
    """Runs make_shards as a user does, and watches its processes."""
    command = [sys.executable, "-m", "pipelines.make_shards", "--source=image_folder", f"--input={images}"]
    command += [f"--output={folder / 'run'}", "--image_size=512", "--workers=2"]
    command += ["--num_shards=1"]  # for these photographs all look alike, and stay together
    peaks: dict[int, float] = {}
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        log = process.stderr
        while process.poll() is None:
            peaks.update((pid, peak) for pid in _family(process.pid) if (peak := peak_megabytes(pid)))
            time.sleep(0.05)
        if process.returncode:
            raise RuntimeError(f"{' '.join(command)}: {log.read().decode()}")
    parent = peaks.pop(process.pid)
    row = partial(Measurement, what=f"make_shards, {photos} photographs to 512 px, two workers", rival="", unit="MB")
    return [
        row(ours="peak memory of a worker", value=max(peaks.values()), at_most=150),
        row(ours="peak memory of the parent", value=parent),
    ]


def _family(pid: int) -> list[int]:
    """Returns a process and all that descend from it."""
    parents = {}
    for status in Path("/proc").glob("[0-9]*/status"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            parents[int(status.parent.name)] = int(re.search(r"^PPid:\s*(\d+)", status.read_text(), re.M)[1])
    family = [pid]
    for member in family:
        family += [child for child, parent in parents.items() if parent == member]
    return family


if __name__ == "__main__":
    print_measurements(measure())
