"""make_shards from and into a bucket: the bytes of a local run, whatever the bucket and the network do meanwhile."""

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.bucket_server import BUCKET, BucketServer, Fault, environment
from tests.conftest import ROOT, command_line
from tests.pipelines.conftest import (
    CLASSIFIER,
    FOLDER,
    artefacts,
    draw_folder,
    only_error,
    start_command,
    succeed,
)
from tfrecords_tools.foundation.files import as_path, is_file, list_files, read_bytes, write_atomically
from tfrecords_tools.foundation.locking import FolderLock
from tfrecords_tools.manifest import read_manifest

pytestmark = pytest.mark.timeout(180)


def upload(folder: Path, to: str) -> str:
    for file in list_files(folder, recursive=True):
        write_atomically(as_path(to) / file.name, (folder / file.name).read_bytes())
    return to


def download(folder: str, to: Path) -> Path:
    to.mkdir()
    for file in list_files(as_path(folder)):
        (to / file.name).write_bytes(read_bytes(as_path(folder) / file.name))
    return to


def without_root(artefacts: dict[str, bytes], root: object) -> dict[str, bytes]:
    """The files that were refused are listed with their whole path."""
    return {name: data.replace(f"{root}/".encode(), b"") for name, data in artefacts.items()}


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_folder(tmp_path_factory.mktemp("bucket") / "images", count=12)


@pytest.fixture(scope="module")
def local(images: Path, launch) -> dict[str, bytes]:
    succeed(launch("make_shards", input=images, output=images.with_name("local"), **FOLDER))
    return without_root(artefacts(images.with_name("local")), images)


def test_a_run_from_and_into_a_bucket_gives_the_bytes_of_a_local_one(
    images: Path, local: dict[str, bytes], bucket: str, launch, tmp_path
):
    source = upload(images, f"{bucket}/images")
    settings = {**FOLDER, "input": source, "output": f"{bucket}/shards"}
    result = launch("make_shards", **settings)
    succeed(result)
    assert "gcsfs" not in result.stderr
    shards = download(f"{bucket}/shards", tmp_path / "shards")
    assert without_root(artefacts(shards), source) == local
    everything = [file.name for file in list_files(as_path(f"{bucket}/shards"), recursive=True)]
    assert sorted(everything) == sorted([*local, "COMPLETED", "config.json", "report.json"])
    before = versions(f"{bucket}/shards", "")
    succeed(launch("make_shards", **settings))
    assert versions(f"{bucket}/shards", "") == before


@dataclass
class FaultWhen(Fault):
    """A fault that waits for a condition."""

    condition: Callable[[], bool] = lambda: True

    def applies(self, method: str, path: str) -> bool:
        matches = self.times > 0 and method == self.method and self.part_of_path in path
        return matches and self.condition() and super().applies(method, path)


def versions(folder: str, ending: str) -> dict[str, int]:
    """What changes when a file of the bucket is written again."""
    return {file.name: file.version for file in list_files(as_path(folder)) if file.name.endswith(ending)}


def test_a_run_killed_in_the_middle_of_an_upload_resumes_without_sending_a_shard_twice(
    images: Path, local: dict[str, bytes], bucket: str, bucket_server: BucketServer, launch, tmp_path
):
    output = f"{bucket}/shards"
    settings = {**FOLDER, "input": images, "output": output}
    second_is_done = as_path(output) / "parts" / "train01.json"
    # One worker: what is sent after the part of a shard is the next shard.
    stalled = FaultWhen("stall", "POST", "/upload/", times=1, condition=lambda: is_file(second_is_done))
    bucket_server.faults.append(stalled)
    run = start_command("make_shards", tmp_path / "log", **settings)
    assert stalled.reached.wait(60), (tmp_path / "log").read_text()
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    stalled.released.set()

    finished = versions(output, ".tfrec")
    assert sorted(name[:7] for name in finished) == ["train00", "train01"]
    assert is_file(as_path(output) / "LOCK")  # of a process that is no more
    result = launch("make_shards", **settings)
    succeed(result)
    assert "2 of 4 shards" in result.stderr
    assert finished.items() <= versions(output, ".tfrec").items()
    assert without_root(artefacts(download(output, tmp_path / "shards")), images) == local


def test_a_second_run_into_one_folder_of_a_bucket_ends_at_once(images: Path, bucket: str, launch):
    lock = FolderLock(as_path(bucket), beat_seconds=0.5)  # as a run of this machine holds it
    error = only_error(launch("make_shards", input=images, output=bucket, **FOLDER))
    lock.release()
    assert error.startswith(f"error: {bucket}: ")


@pytest.mark.slow
def test_a_bucket_that_is_busy_now_and_then_costs_time_only(
    images: Path, local: dict[str, bytes], bucket: str, bucket_server: BucketServer, launch, tmp_path
):
    source = upload(images, f"{bucket}/images")
    faults = [
        bucket_server.inject("503", method, part, times=2)
        for method, part in (("POST", "/upload/"), ("GET", "alt=media"), ("GET", "/o?"), ("DELETE", "/o/"))
    ]
    result = launch("make_shards", input=source, output=f"{bucket}/shards", **FOLDER)
    succeed(result)
    assert [fault.times for fault in faults] == [0, 0, 0, 0]
    assert "503" not in result.stderr
    assert without_root(artefacts(download(f"{bucket}/shards", tmp_path / "shards")), source) == local


def test_an_image_that_arrives_damaged_is_named(images: Path, bucket: str, bucket_server: BucketServer, launch):
    source = upload(images, f"{bucket}/images")
    settings = {**FOLDER, "input": source, "output": f"{bucket}/shards"}
    fault = bucket_server.inject("corrupt", "GET", "005.jpg?alt=media", times=3)
    error = only_error(launch("make_shards", **settings))
    assert fault.times == 0
    assert error.startswith(f"error: {source}/a/005.jpg: ")
    assert "3 times" in error
    succeed(launch("make_shards", **settings))


@pytest.mark.slow
def test_a_bucket_that_is_gone_is_one_line(images: Path, bucket: str, bucket_server: BucketServer, launch, tmp_path):
    """Both at a time, because it takes half a minute to give a bucket up."""
    bucket_server.inject("503", "GET", "/o")

    def lose(place: str) -> subprocess.CompletedProcess:
        return launch("make_shards", **{**FOLDER, "input": images, "output": tmp_path / place, place: bucket})

    with ThreadPoolExecutor() as pool:
        for result in pool.map(lose, ("input", "output")):
            error = only_error(result)
            assert error.startswith(f"error: {bucket}")
            assert "503 (backend error, 503)" in error
            assert "gcsfs" not in result.stderr


def test_a_bucket_that_does_not_exist_is_named(images: Path, bucket: str, launch, tmp_path):
    del bucket  # but its server is there
    settings = {**FOLDER, "input": "gs://no-such-bucket/images", "output": tmp_path / "out"}
    error = only_error(launch("make_shards", **settings))
    assert error.startswith("error: gs://no-such-bucket/images: ")
    settings = {**FOLDER, "input": images, "output": "gs://no-such-bucket/shards"}
    error = only_error(launch("make_shards", **settings))
    assert error.startswith("error: gs://no-such-bucket/shards: ")


@pytest.fixture
def refusing_server() -> Iterator[Callable[[int], str]]:
    """Starts servers that answer every request with a status, as Google does to who has no credentials, or no leave."""
    servers = []

    def start(status: int) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = b'{"error": {"code": %d, "message": "caller has no storage.objects.get access"}}' % status
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments) -> None:
                del arguments

        servers.append(ThreadingHTTPServer(("127.0.0.1", 0), Handler))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("status", [401, 403])
def test_who_may_not_read_a_bucket_is_told_to_log_in(status: int, refusing_server, tmp_path):
    command = command_line("make_shards", **FOLDER, input=f"gs://{BUCKET}/images", output=tmp_path / "out")
    surroundings = environment(refusing_server(status))
    result = subprocess.run(command, cwd=ROOT, env=surroundings, capture_output=True, text=True, check=False)
    error = only_error(result)
    assert error.startswith(f"error: gs://{BUCKET}/images: ")
    assert f"{status} (caller has no storage.objects.get" in error
    assert "gcloud auth application-default login" in error


@pytest.mark.slow
def test_training_reads_shards_of_a_bucket_through_a_cache_that_repairs_itself(
    shards: Path, bucket: str, bucket_server: BucketServer, launch, tmp_path
):
    settings = {**CLASSIFIER, "epochs": 1, "folds": 0, "cache_dir": tmp_path / "cache"}
    upload(shards, bucket)
    succeed(launch("train_classifier", shards=bucket, workdir=tmp_path / "first", **settings))
    cached = sorted((tmp_path / "cache").rglob("*.tfrec"))
    assert [path.name for path in cached] == [shard.file for shard in read_manifest(shards).split("train")]

    intact = cached[0].read_bytes()
    cached[0].write_bytes(intact[:-1])
    once = bucket_server.inject("503", "GET", f"{cached[0].name}?alt=media", times=1)
    never = bucket_server.inject("corrupt", "GET", f"{cached[1].name}?alt=media", times=1)
    succeed(launch("train_classifier", shards=bucket, workdir=tmp_path / "second", **settings))
    assert (once.times, never.times) == (0, 1)
    assert cached[0].read_bytes() == intact
    tables = [(tmp_path / run / "oof.csv").read_bytes() for run in ("first", "second")]
    assert tables[0] == tables[1]
