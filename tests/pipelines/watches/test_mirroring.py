"""The copy of a run's folder in a bucket."""

import itertools
import threading
from pathlib import Path

import pytest

from pipelines.artefacts import classifier_run, generator_run
from pipelines.watches.mirroring import Mirror
from tests.bucket_server import BucketServer
from tests.pipelines.test_make_shards_bucket import FaultWhen
from tfrecords_tools.foundation.errors import CommandError
from tfrecords_tools.foundation.files import as_path, list_files, read_text, write_atomically

ENDINGS = ("data-00000-of-00001", "index")


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        write_atomically(folder / name, text)


def write_checkpoint(folder: Path, step: int) -> None:
    checkpoints = folder / "checkpoints" / "gan"
    write(checkpoints, **{f"ckpt-{step}.index": f"index {step}", f"ckpt-{step}.data-00000-of-00001": f"data {step}"})
    write(checkpoints, checkpoint=f"newest {step}")
    write(folder, **{"metrics.jsonl": f"line {step}\n", f"samples/{step}.png": "grid"})


@pytest.fixture
def mirror(bucket: str, tmp_path: Path) -> Mirror:
    """A run in a bucket that has its settings there, and the checkpoint of step 3 in both places."""
    write_atomically(as_path(bucket) / "config.json", "{}")
    mirror = Mirror(bucket, str(tmp_path / "first"), generator_run.needed_to_go_on)
    mirror.fetch()
    write_checkpoint(mirror.folder, 3)
    mirror.send()
    return mirror


def test_local_workdir_is_its_own_folder(tmp_path: Path):
    mirror = Mirror(str(tmp_path), "", generator_run.needed_to_go_on)
    write(tmp_path, file="text")
    mirror.fetch()
    mirror.send()
    assert mirror.folder == tmp_path
    assert [file.name for file in list_files(tmp_path, recursive=True)] == ["file"]


def test_bucket_without_a_local_folder_is_refused():
    with pytest.raises(CommandError, match="^--workdir=gs://bucket/run: .*--scratch_dir"):
        Mirror("gs://bucket/run", "", generator_run.needed_to_go_on)


def test_a_run_that_resumes_elsewhere_has_its_best_generator_and_no_features_are_sent(
    mirror: Mirror, bucket: str, tmp_path: Path
):
    best = {"best.json": "{}", "best_generator.weights.h5": "weights"}
    write(mirror.folder, **best, **{"features/0.npz": "features"})
    mirror.send()
    assert not any(file.name.startswith("features") for file in list_files(as_path(bucket), recursive=True))
    elsewhere = Mirror(bucket, str(tmp_path / "second"), generator_run.needed_to_go_on)
    elsewhere.fetch()
    assert {name: read_text(elsewhere.folder / name) for name in best} == best


def test_only_what_changed_is_sent_and_what_is_gone_is_removed(mirror: Mirror, bucket: str):
    sent = {file.name: file.version for file in list_files(as_path(bucket), recursive=True)}
    write_checkpoint(mirror.folder, 6)
    for path in mirror.folder.glob("checkpoints/gan/ckpt-3.*"):
        path.unlink()
    mirror.send()
    now = {file.name: file.version for file in list_files(as_path(bucket), recursive=True)}
    assert sorted(now) == [
        "checkpoints/gan/checkpoint",
        "checkpoints/gan/ckpt-6.data-00000-of-00001",
        "checkpoints/gan/ckpt-6.index",
        "config.json",
        "metrics.jsonl",
        "samples/3.png",
        "samples/6.png",
    ]
    assert [name for name in sent if now.get(name) == sent[name]] == ["config.json", "samples/3.png"]


def test_what_a_run_needs_to_resume_is_fetched_and_all_else_cleared(mirror: Mirror, bucket: str, tmp_path: Path):
    other = Mirror(bucket, str(tmp_path / "second"), generator_run.needed_to_go_on)
    write_checkpoint(other.folder, 9)  # of another time
    other.fetch()
    files = {file.name: read_text(other.folder / file.name) for file in list_files(other.folder, recursive=True)}
    assert files == {
        "checkpoints/gan/checkpoint": "newest 3",
        "checkpoints/gan/ckpt-3.data-00000-of-00001": "data 3",
        "checkpoints/gan/ckpt-3.index": "index 3",
        "metrics.jsonl": "line 3\n",
    }
    before = list_files(as_path(bucket), recursive=True)
    other.send()
    assert list_files(as_path(bucket), recursive=True) == before


@pytest.mark.parametrize("sent", range(5))
def test_the_bucket_has_a_whole_checkpoint_and_its_metrics_at_every_moment(
    mirror: Mirror, bucket: str, bucket_server: BucketServer, sent: int
):
    """The run is looked at after some of the five files that it sends."""
    write_checkpoint(mirror.folder, 6)
    for path in mirror.folder.glob("checkpoints/gan/ckpt-3.*"):
        path.unlink()
    uploads = itertools.count()
    stalled = FaultWhen("stall", "POST", "/upload/", times=1, condition=lambda: next(uploads) == sent)
    bucket_server.faults.append(stalled)
    sending = threading.Thread(target=mirror.send)
    sending.start()
    assert stalled.reached.wait(30)
    found = {file.name for file in list_files(as_path(bucket), recursive=True)}
    metrics, state = (read_text(as_path(bucket) / name) for name in ("metrics.jsonl", "checkpoints/gan/checkpoint"))
    stalled.released.set()
    sending.join()

    whole = [step for step in (3, 6) if {f"checkpoints/gan/ckpt-{step}.{end}" for end in ENDINGS} <= found]
    assert whole == ([3, 6] if sent == 4 else [3])
    assert metrics == ("line 6\n" if sent > 1 else "line 3\n")
    assert state == "newest 3"


def test_workers_beside_the_chief_fetch_into_folders_of_their_own_and_send_nothing(
    mirror: Mirror, bucket: str, tmp_path: Path
):
    other = Mirror(bucket, str(tmp_path / "first"), generator_run.needed_to_go_on, "worker_1")
    other.fetch()
    assert (other.folder / "metrics.jsonl").read_text() == "line 3\n"
    write_checkpoint(other.folder, 9)
    other.send()
    assert (mirror.folder / "metrics.jsonl").read_text() == "line 3\n"
    assert read_text(as_path(bucket) / "metrics.jsonl") == "line 3\n"


def test_a_second_fold_finds_what_the_first_has_written(mirror: Mirror):
    write(mirror.folder, **{"tensorboard/fold0/events": "of this process"})
    mirror.fetch()
    assert (mirror.folder / "tensorboard" / "fold0" / "events").is_file()


def test_of_a_fold_that_is_done_a_classifier_needs_its_predictions_alone():
    of_fold = ("best.weights.h5", "checkpoints/checkpoint", "checkpoints/ckpt-3.index")
    names = [f"fold{fold}/{name}" for fold in (1, 11) for name in of_fold]
    others = ["config.json", "fold1/predictions.csv", "metrics.jsonl", "tensorboard/fold11/events"]
    needed = classifier_run.needed_to_go_on([*names, *others])
    assert sorted(needed) == sorted([*names[3:], "fold1/predictions.csv", "metrics.jsonl"])


def test_weights_come_before_the_metrics_that_tell_of_them_and_predictions_last(bucket: str, tmp_path: Path):
    mirror = Mirror(bucket, str(tmp_path), classifier_run.needed_to_go_on)
    mirror.fetch()
    names = ["fold0/predictions.csv", "fold0/checkpoints/ckpt-3.index", "metrics.jsonl", "zoo/best.weights.h5"]
    write(mirror.folder, **dict.fromkeys(names, "text"))
    mirror.send()
    versions = {file.name: file.version for file in list_files(as_path(bucket), recursive=True)}
    assert sorted(versions, key=versions.get) == names[::-1]
