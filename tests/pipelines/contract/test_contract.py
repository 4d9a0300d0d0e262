"""The stage contract: flags from fields, the order of what is written, and what is refused."""

import hashlib
import json
import socket
import subprocess
import sys
from dataclasses import dataclass, fields

import pytest
from absl import flags

from pipelines.contract.flags import config_from_flags, define_flags
from pipelines.contract.workdir import digest, is_completed, local_folder, open_workdir, read_run, require_completed
from tests.conftest import ROOT
from tfrecords_tools.foundation.errors import CommandError, ConfigError, DataError
from tfrecords_tools.foundation.files import as_path, list_files, read_text, write_atomically
from tfrecords_tools.foundation.locking import LOCK_FILE
from tfrecords_tools.foundation.settings import setting

STAGES = [
    "make_shards",
    "inspect_shards",
    "train_gan",
    "synthesize",
    "train_classifier",
    "make_submission",
    "report",
    "demo",
]


@dataclass(frozen=True, kw_only=True)
class Config:
    shards: str = setting(help="a folder")
    steps: int = setting(10, "a number")
    rate: float | None = setting(None, "a rate")
    names: tuple[str, ...] = setting(("a",), "names")
    workers: int = setting(1, "how many", changes_result=False)


def _config(*arguments: str) -> Config:
    values = flags.FlagValues()
    define_flags(Config, values)
    values(["program", *arguments])
    return config_from_flags(Config, values)


def test_flags_are_the_fields_with_their_defaults_and_types():
    assert _config("--shards=x") == Config(shards="x", steps=10, rate=None, names=("a",), workers=1)
    given = _config("--shards=x", "--steps=3", "--rate=0.5", "--names=b,c")
    assert given == Config(shards="x", steps=3, rate=0.5, names=("b", "c"))


@pytest.fixture(params=["here", "bucket"])
def folder(request, tmp_path):
    return as_path(str(tmp_path / "run") if request.param == "here" else request.getfixturevalue("bucket"))


def test_a_flag_of_several_values_takes_them_at_once_or_one_by_one():
    for given in (["--names=b,c"], ["--names=b", "--names=c"], ["--names", "b", "--names", "c"]):
        assert _config("--shards=x", *given).names == ("b", "c")
    assert _config("--shards=x", "--names=b,c", "--names=d").names == ("b", "c", "d")
    assert _config("--shards=x", "--names=").names == ()
    assert _config("--shards=x").names == ("a",)


def test_a_required_flag_that_is_missing_is_named_with_its_help():
    with pytest.raises(CommandError, match="--shards is required: a folder"):
        _config()


def test_completed_comes_last_and_vouches_for_the_report(folder):
    workdir = open_workdir(folder, "test", Config(shards="x"))
    assert json.loads(read_text(folder / "config.json"))["steps"] == 10
    with pytest.raises(CommandError, match=f"--shards={folder}: not complete"):
        require_completed(str(folder), "shards")
    workdir.complete({"figure": 1})
    settings, report = read_run(require_completed(str(folder), "shards"))
    assert settings["stage"] == report["stage"] == "test"
    assert report["figure"] == 1
    assert report["versions"]["tensorflow"]
    assert [file.name for file in list_files(folder)] == ["COMPLETED", "config.json", "report.json"]
    assert digest(folder) == hashlib.sha256(read_text(folder / "report.json").encode()).hexdigest()


def test_an_input_folder_that_is_not_there_is_named(tmp_path, bucket):
    with pytest.raises(CommandError, match=f"--shards={tmp_path}/x: no such folder"):
        require_completed(f"{tmp_path}/x", "shards")
    with pytest.raises(CommandError, match=f"--shards={bucket}/x: not complete"):
        require_completed(f"{bucket}/x", "shards")


def test_the_same_settings_go_on_and_others_are_refused_by_name(folder):
    open_workdir(folder, "test", Config(shards="x")).lock.release()
    open_workdir(folder, "test", Config(shards="x", workers=8)).lock.release()
    assert json.loads(read_text(folder / "config.json"))["workers"] == 8
    with pytest.raises(CommandError, match="steps was 10, now 11"):
        open_workdir(folder, "test", Config(shards="x", steps=11))
    with pytest.raises(CommandError, match="stage was 'test', now 'other'"):
        open_workdir(folder, "other", Config(shards="x"))


def test_a_folder_with_something_else_in_it_is_left_alone(folder):
    write_atomically(folder / "thesis" / "thesis.txt", "mine")
    with pytest.raises(CommandError, match="not empty"):
        open_workdir(folder, "test", Config(shards="x"))
    assert [file.name for file in list_files(folder, recursive=True)] == ["thesis/thesis.txt"]


def test_a_complete_folder_needs_no_work(folder):
    open_workdir(folder, "test", Config(shards="x")).complete({})
    assert open_workdir(folder, "test", Config(shards="x")) is None


def test_a_run_that_was_killed_before_its_first_file_can_be_started_again(bucket):
    write_atomically(as_path(bucket) / LOCK_FILE, json.dumps({"host": socket.gethostname(), "pid": 2**22 + 1}))
    workdir = open_workdir(as_path(bucket), "test", Config(shards="x"))
    workdir.complete({})
    assert is_completed(as_path(bucket))


def test_workers_beside_the_chief_neither_lock_nor_write(tmp_path):
    chief = open_workdir(tmp_path, "test", Config(shards="x"))
    other = open_workdir(tmp_path, "test", Config(shards="x"), writable=False)
    other.complete({"figure": 1})
    assert (chief.writable, other.writable) == (True, False)
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]


def test_a_stage_that_writes_here_only_refuses_a_bucket(tmp_path):
    assert local_folder(str(tmp_path), "workdir") == tmp_path
    with pytest.raises(CommandError, match="--workdir=gs://bucket/run: this stage writes to a local folder only"):
        local_folder("gs://bucket/run", "workdir")


def test_two_runs_at_a_time_in_one_folder_are_refused_with_one_line(tmp_path):
    settings = ["--source=phantom", "--num_images=100", "--num_shards=2", "--workers=1", f"--output={tmp_path / 'run'}"]
    command = [sys.executable, "-m", "pipelines.make_shards", *settings]
    waiting = (
        "import sys, time; from pathlib import Path; from tfrecords_tools.locking import FolderLock; "
        "Path(sys.argv[1]).mkdir(); lock = FolderLock(Path(sys.argv[1])); print('held', flush=True); time.sleep(60)"
    )
    holder = [sys.executable, "-c", waiting, str(tmp_path / "run")]
    with subprocess.Popen(holder, cwd=ROOT, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout.readline() == "held\n"
        second = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        first.kill()
    assert second.returncode == 1
    assert second.stderr.strip().splitlines() == [
        f"error: {tmp_path / 'run'}: another run is at work in this folder; wait for its end, or choose another folder"
    ]
    again = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr


def test_a_run_refuses_a_folder_that_it_holds_already(tmp_path):
    first = open_workdir(tmp_path, "test", Config(shards="x"))
    with pytest.raises(DataError, match=f"{tmp_path}: another run is at work in this folder"):
        open_workdir(tmp_path, "test", Config(shards="x"))
    first.lock.release()


def test_config_errors_name_field_value_and_remedy():
    from pipelines.make_shards import MakeShardsConfig

    with pytest.raises(ConfigError, match="quality is 101; it must be from 1 to 100"):
        MakeShardsConfig(source=("phantom",), output="x", quality=101)


@pytest.mark.parametrize("name", STAGES)
def test_help_shows_every_flag_with_its_default(name: str):
    shown = subprocess.run(
        [sys.executable, "-m", f"pipelines.{name}", "--help"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert shown.returncode == 0
    module = __import__(f"pipelines.{name}", fromlist=["x"])
    config_class = next(value for key, value in vars(module).items() if key.lower() == f"{name}config".replace("_", ""))
    for field in fields(config_class):
        assert f"  --{field.name}=" in shown.stdout
        assert field.metadata["help"] in shown.stdout


def test_an_unknown_flag_ends_with_one_line_and_code_2():
    command = [sys.executable, "-m", "pipelines.make_shards", "--sauce=phantom"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert "sauce" in result.stderr
    assert "Traceback" not in result.stderr
