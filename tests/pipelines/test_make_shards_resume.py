"""make_shards when it is killed, when the disk is full, and when what it began with is no longer there."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tests.bucket_server import wait_for
from tests.conftest import ROOT, command_line
from tests.pipelines.conftest import (
    FOLDER,
    artefacts,
    draw_folder,
    finished_shards,
    jpeg,
    only_error,
    picture,
    start_command,
    succeed,
)
from tfrecords_tools.example import parse
from tfrecords_tools.records import read_records

MOMENTS = 20


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_folder(tmp_path_factory.mktemp("resume") / "images")


@pytest.fixture(scope="module")
def undisturbed(images: Path, launch) -> Path:
    succeed(launch("make_shards", input=images, output=images.with_name("undisturbed"), **FOLDER))
    return images.with_name("undisturbed")


def identities(folder: Path, names: list[str]) -> dict[str, tuple[int, int]]:
    """Inode and time of files: those of a file that was written again differ."""
    status = {name: (folder / name).stat() for name in names}
    return {name: (known.st_ino, known.st_mtime_ns) for name, known in status.items()}


def kill(process: subprocess.Popen, *, with_workers: bool = True) -> None:
    """Kills a stage and its workers at once, or it alone, so that they must notice."""
    (os.killpg if with_workers else os.kill)(process.pid, signal.SIGKILL)
    process.wait()


def survivors(session: int) -> list[str]:
    """The processes of a session that still run."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            name, rest = (folder / "stat").read_text().rsplit(") ", 1)
        except (FileNotFoundError, ProcessLookupError):
            continue
        state, _, _, own_session, *_ = rest.split()
        if int(own_session) == session and state != "Z":
            found.append(name)
    return found


def kill_when(condition: Callable[[], bool], log: Path, **settings: object) -> None:
    """Runs make_shards until the condition holds, and kills it."""
    process = start_command("make_shards", log, **settings)
    while process.poll() is None and not condition():
        time.sleep(0.002)
    assert process.returncode is None, log.read_text()
    kill(process)


def moment(rng: np.random.Generator, number: int, seconds: float, output: Path) -> Callable[[], bool]:
    """Every other kill comes at a random time of a run of so many seconds, which may be while it still starts; the
    others, whatever the machine's load, at a random time while shards are written."""
    if number % 2:
        end = time.monotonic() + rng.uniform(0, seconds)
        return lambda: time.monotonic() >= end
    wanted, more = len(finished_shards(output)) + rng.integers(1, 4), rng.uniform(0, 0.1)

    def is_due() -> bool:
        due = len(list((output / "parts").glob("t*.json"))) >= wanted
        if due:
            time.sleep(more)
        return due

    return is_due


@pytest.mark.slow
def test_kills_at_any_moment_change_no_byte_and_cost_no_finished_shard(tmp_path):
    images = tmp_path / "images"
    for number in range(96):
        path = images / "ab"[number % 2] / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(jpeg(picture(number, side=512)))
    settings = {**FOLDER, "input": images, "image_size": 256, "num_shards": 12, "workers": 2}
    log, undisturbed = tmp_path / "log", tmp_path / "undisturbed"
    began = time.monotonic()
    assert start_command("make_shards", log, output=undisturbed, **settings).wait() == 0
    seconds = time.monotonic() - began

    rng = np.random.default_rng(0)
    kills, kept, ended, sessions, output = 0, 0, False, [], tmp_path / "0"
    finished: dict[str, tuple[int, int]] = {}
    while kills < MOMENTS or not ended:
        process = start_command("make_shards", log, output=output, **settings)
        sessions.append(process.pid)
        is_due = moment(rng, kills, seconds, output) if kills < MOMENTS else lambda: False
        while process.poll() is None and not is_due():
            time.sleep(0.002)
        ended = process.poll() is not None
        if not ended:
            kill(process, with_workers=bool(rng.random() < 0.5))
            kills += 1
            finished.update(identities(output, finished_shards(output)))
            continue
        assert process.returncode == 0, log.read_text()
        assert artefacts(output) == artefacts(undisturbed)
        assert identities(output, list(finished)) == finished
        assert not [path for path in output.iterdir() if path.name.startswith(".") or path.is_dir()]
        kept += len(finished)
        finished, output = {}, tmp_path / str(len(sessions))  # it reached its end between two kills: another one
    assert kept >= MOMENTS // 4
    wait_for(lambda: not any(survivors(session) for session in sessions))


@pytest.mark.parametrize("file", ["config.json", "manifest.json", "report.json"])
def test_a_kill_between_two_of_the_last_files_costs_no_shard(images: Path, undisturbed: Path, launch, tmp_path, file):
    settings = {"input": images, "output": tmp_path / "out", **FOLDER}
    kill_when((tmp_path / "out" / file).exists, tmp_path / "log", **settings)
    written = identities(tmp_path / "out", [path.name for path in (tmp_path / "out").glob("*.tfrec")])
    assert len(written) == (0 if file == "config.json" else FOLDER["num_shards"])
    succeed(launch("make_shards", **settings))
    assert identities(tmp_path / "out", list(written)) == written
    assert artefacts(tmp_path / "out") == artefacts(undisturbed)
    assert not (tmp_path / "out" / "parts").exists()


def test_a_kill_before_the_settings_are_written_leaves_a_folder_to_resume_in(
    images: Path, undisturbed: Path, launch, tmp_path
):
    output = tmp_path / "out"
    output.mkdir()
    unfinished = output / ".unfinished-0123456789abcdef-config.json"
    unfinished.write_text('{"sta')
    succeed(launch("make_shards", input=images, output=output, **FOLDER))
    assert artefacts(output) == artefacts(undisturbed)
    assert not unfinished.exists()


def test_a_folder_of_other_things_is_left_alone(images: Path, launch, tmp_path):
    (tmp_path / "thesis.txt").write_text("chapter 1")
    error = only_error(launch("make_shards", input=images, output=tmp_path, **FOLDER))
    assert error.startswith(f"error: {tmp_path}: ")
    assert "config.json" in error
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.fixture
def begun(images: Path, tmp_path: Path) -> dict:
    """Settings of a run that was killed after its first shard."""
    settings = {"input": images, "output": tmp_path / "out", **FOLDER}
    kill_when(lambda: bool(finished_shards(tmp_path / "out")), tmp_path / "log", **settings)
    return settings


def test_other_settings_are_refused_in_a_folder_that_was_begun(begun: dict, launch):
    finished = identities(begun["output"], finished_shards(begun["output"]))
    error = only_error(launch("make_shards", **{**begun, "image_size": 48, "quality": 90}))
    assert error.startswith(f"error: {begun['output']}: ")
    assert "image_size was 32, now 48" in error
    assert "quality was 95, now 90" in error
    succeed(launch("make_shards", **{**begun, "workers": 2, "max_rejected": 7}))  # these change no result
    assert identities(begun["output"], list(finished)) == finished


def test_a_second_run_into_one_folder_ends_and_does_not_disturb_the_first(
    images: Path, undisturbed: Path, launch, tmp_path
):
    settings = {"input": images, "output": tmp_path / "out", **FOLDER}
    first = start_command("make_shards", tmp_path / "log", **settings)
    wait_for((tmp_path / "out" / "config.json").exists)
    os.killpg(first.pid, signal.SIGSTOP)  # so that it cannot end before the second begins
    error = only_error(launch("make_shards", **settings))
    assert error.startswith(f"error: {tmp_path / 'out'}: ")
    os.killpg(first.pid, signal.SIGCONT)
    assert first.wait() == 0
    assert artefacts(tmp_path / "out") == artefacts(undisturbed)


@pytest.mark.parametrize("duplicates", ["together", "bytes"])
def test_an_image_that_changed_between_two_runs_is_named(duplicates: str, launch, tmp_path):
    images, output = draw_folder(tmp_path / "images"), tmp_path / "out"
    settings = {"input": images, "output": output, **FOLDER, "duplicates": duplicates}
    kill_when(lambda: bool(finished_shards(output)), tmp_path / "log", **settings)
    shard = finished_shards(output)[0]
    record = parse(next(iter(read_records(output / shard))))
    image = images / record["image_name"][0].decode()
    if not image.suffix:
        image = next(images.glob(f"*/{image.name}.jpg"))
    original, written = image.read_bytes(), identities(output, [shard])
    repainted = jpeg(picture(99)).ljust(len(original), b"\0")[: len(original)]

    for changed in (repainted, original + b"\0"):
        image.write_bytes(changed)
        error = only_error(launch("make_shards", **settings))
        assert error.startswith(f"error: {image}: ")
        assert identities(output, [shard]) == written

    image.write_bytes(original)  # as the message says; that its time is another one does no harm
    succeed(launch("make_shards", **settings))
    assert identities(output, [shard]) == written


@dataclass(frozen=True)
class SmallDisk:
    """A file system of a few kilobytes, which only processes that are started through `inside` see under `path`."""

    path: Path
    inside: tuple[str, ...]
    from_outside: Path

    def run(self, *command: object) -> subprocess.CompletedProcess:
        return subprocess.run([*self.inside, *map(str, command)], cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[SmallDisk]:
    path = tmp_path / "disk"
    path.mkdir()
    holder = subprocess.Popen(["unshare", "--user", "--map-root-user", "--mount", "sleep", "600"])
    own = os.readlink("/proc/self/ns/mnt")
    try:
        wait_for(lambda: holder.poll() is not None or os.readlink(f"/proc/{holder.pid}/ns/mnt") != own)
        entering = ("--user", "--mount", "--preserve-credentials", f"--wd={ROOT}")
        inside = ("nsenter", f"--target={holder.pid}", *entering)
        disk = SmallDisk(path, inside, Path(f"/proc/{holder.pid}/root{path}"))
        mounted = disk.run("mount", "-t", "tmpfs", "-o", "size=72k", "tmpfs", path)
        if mounted.returncode:
            pytest.skip(f"needs leave to mount a small disk in a namespace of its own: {mounted.stderr.strip()}")
        yield disk
    finally:
        holder.kill()
        holder.wait()


def test_a_full_disk_is_named_and_once_there_is_room_the_run_resumes(
    small_disk: SmallDisk, images: Path, undisturbed: Path
):
    output = small_disk.path / "out"
    command = command_line("make_shards", input=images, output=output, **FOLDER)
    error = only_error(small_disk.run(*command))
    assert re.match(f"error: {output}(/parts)?: No space left on device; ", error)
    seen = small_disk.from_outside / "out"
    finished = identities(seen, finished_shards(seen))
    assert finished
    assert not list(seen.glob(".*"))
    succeed(small_disk.run("mount", "-o", "remount,size=10m", small_disk.path))
    succeed(small_disk.run(*command))
    assert identities(seen, list(finished)) == finished
    assert artefacts(seen) == artefacts(undisturbed)
