"""The folder of a command: the order of what is written, what a refused command leaves, and what is refused."""

import hashlib
import json
import os
import socket
import subprocess
import sys
from dataclasses import replace

import pytest

from pipelines.contract.workdir import (
    Facts,
    digest,
    is_completed,
    local_folder,
    open_workdir,
    read_config,
    read_facts,
    read_raw_settings,
    read_report,
    require_completed,
    require_run,
    require_same_settings,
)
from tests.conftest import ROOT
from tests.pipelines.contract.small_run import CONFIG, SmallConfig, SmallReport, begin
from tfrecords_tools.foundation.errors import CommandError, ConfigError, DataError
from tfrecords_tools.foundation.files import as_path, is_file, list_files, read_text, write_atomically
from tfrecords_tools.foundation.locking import LOCK_FILE, FolderLock


def names_in(folder):
    return [file.name for file in list_files(folder, recursive=True)]


def finish(folder, config=CONFIG, command="test"):
    with open_workdir(folder, command, config) as workdir:
        workdir.begin()
        workdir.complete(SmallReport(metric=1.5))


def test_settings_come_first_and_completed_last_and_vouches_for_the_report(folder):
    with open_workdir(folder, "test", CONFIG) as workdir:
        assert not is_file(folder / "config.json")
        workdir.begin()
        assert json.loads(read_text(folder / "config.json"))["steps"] == 10
        with pytest.raises(CommandError, match=f"--shards={folder}: "):
            require_completed(str(folder), "shards")
        workdir.complete(SmallReport(metric=1.5))
    assert require_completed(str(folder), "shards") == folder
    assert [file.name for file in list_files(folder)] == ["COMPLETED", "config.json", "report.json"]
    assert digest(folder) == hashlib.sha256(read_text(folder / "report.json").encode()).hexdigest()


def test_the_report_holds_its_own_and_command_duration_versions_and_digest_of_the_settings(folder):
    finish(folder)
    assert read_report(folder, SmallReport) == SmallReport(metric=1.5)
    facts = read_facts(folder)
    assert facts.command == "test"
    assert 0 <= facts.seconds < 60
    assert facts.versions["tensorflow"]
    values = json.loads(read_text(folder / "report.json"))
    assert list(values) == ["stage", "figure", "seconds", "config_sha256", "files", "versions"]
    assert values["config_sha256"] == hashlib.sha256(read_text(folder / "config.json").encode()).hexdigest()


def test_settings_are_read_as_they_were_given(folder):
    config = replace(CONFIG, names=("b", "c"), rate=0.5)
    begin(folder, config)
    assert read_config(folder, SmallConfig) == config
    raw = read_raw_settings(folder)
    assert raw == {"shards": "/x", "steps": 10, "rate": 0.5, "names": ["b", "c"], "workers": 1, "init_from": ""}


def test_a_command_that_is_refused_leaves_no_folder_behind(folder):
    with pytest.raises(ZeroDivisionError), open_workdir(folder, "test", CONFIG):
        raise ZeroDivisionError  # by the inputs
    assert names_in(folder) == []
    assert not folder.exists()


def test_a_command_that_is_refused_leaves_a_folder_that_was_there_as_it_was(tmp_path):
    with pytest.raises(ZeroDivisionError), open_workdir(tmp_path, "test", CONFIG):
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []
    begin(tmp_path)
    with pytest.raises(ZeroDivisionError), open_workdir(tmp_path, "test", replace(CONFIG, workers=9)):
        raise ZeroDivisionError
    assert names_in(tmp_path) == ["config.json", "work"]
    assert read_config(tmp_path, SmallConfig).workers == 1


def test_a_folder_that_was_begun_and_holds_no_work_belongs_to_nobody(folder):
    workdir = open_workdir(folder, "test", CONFIG)
    workdir.begin()
    with pytest.raises(ZeroDivisionError), workdir:
        raise ZeroDivisionError
    write_atomically(folder / "tensorboard" / "events.out.tfevents.1795728731.host.7.0.v2", "")
    with open_workdir(folder, "other", replace(CONFIG, steps=11)) as workdir:  # another command, with other settings
        workdir.begin()
        write_atomically(folder / "work", "")
    with pytest.raises(CommandError, match="'other'.*'test'"):
        open_workdir(folder, "test", CONFIG)
    assert read_config(folder, SmallConfig).steps == 11


def test_a_command_that_fails_at_work_leaves_it_to_the_same_settings_alone(folder):
    begin(folder)
    workdir = open_workdir(folder, "test", CONFIG)
    with pytest.raises(ZeroDivisionError), workdir:
        raise ZeroDivisionError
    assert names_in(folder) == ["config.json", "work"]
    with pytest.raises(CommandError, match="steps was 10, now 11"):
        open_workdir(folder, "test", replace(CONFIG, steps=11))
    begin(folder)


def test_the_same_settings_resume_and_others_are_refused_by_name(folder):
    begin(folder)
    begin(folder, replace(CONFIG, workers=8))
    assert json.loads(read_text(folder / "config.json"))["workers"] == 8
    with pytest.raises(CommandError, match=f"{folder}: .*steps was 10, now 11"):
        open_workdir(folder, "test", replace(CONFIG, steps=11))
    with pytest.raises(CommandError, match="steps was 10, now 11.*names was .'a'., now .'b'."):
        open_workdir(folder, "test", replace(CONFIG, steps=11, names=("b",)))
    with pytest.raises(CommandError, match="'test'.*'other'") as refused:
        open_workdir(folder, "other", replace(CONFIG, steps=11))
    assert "steps" not in str(refused.value)  # of another command all settings differ
    assert names_in(folder) == ["config.json", "work"]


def test_settings_of_an_earlier_version_have_the_names_and_defaults_of_today(folder):
    """Then --init_from was --resume_from, and there was no setting `names`."""
    earlier = {"stage": "test", "shards": "/x", "steps": 10, "rate": None, "workers": 4, "resume_from": "runs/gan"}
    write_atomically(folder / "config.json", json.dumps(earlier))
    write_atomically(folder / "work", "")
    assert read_config(folder, SmallConfig) == replace(CONFIG, workers=4, init_from="runs/gan")
    with pytest.raises(CommandError, match="init_from was '.*/runs/gan', now ''"):
        open_workdir(folder, "test", CONFIG)
    with pytest.raises(CommandError, match="names"):
        open_workdir(folder, "test", replace(CONFIG, init_from="runs/gan", names=("b",)))
    begin(folder, replace(CONFIG, init_from="runs/gan"))
    assert read_raw_settings(folder)["init_from"] == os.path.abspath("runs/gan")
    assert "resume_from" not in read_raw_settings(folder)


def test_a_decisive_setting_of_another_version_that_is_unknown_today_is_refused_by_name(folder):
    begin(folder)
    settings = json.loads(read_text(folder / "config.json"))
    write_atomically(folder / "config.json", json.dumps(settings | {"flavour": "mint"}))
    with pytest.raises(CommandError, match="flavour.*'mint'"):
        open_workdir(folder, "test", CONFIG)


@pytest.mark.parametrize("text", ["", "{", "[1]", '"x"'], ids=["empty", "cut", "list", "text"])
def test_settings_that_are_damaged_are_named_by_their_file(folder, text):
    write_atomically(folder / "config.json", text)
    write_atomically(folder / "work", "")
    with pytest.raises(DataError, match=f"{folder}/config.json: "):
        open_workdir(folder, "test", CONFIG)


@pytest.mark.parametrize("kind", [SmallReport, Facts])
@pytest.mark.parametrize("text", ["", "{", "[1]", '{"seconds": "long"}'], ids=["empty", "cut", "list", "lacking"])
def test_a_report_that_is_damaged_is_named_by_its_file(folder, text, kind):
    finish(folder)
    write_atomically(folder / "report.json", text)
    with pytest.raises(DataError, match=f"{folder}/report.json: "):
        read_report(folder, kind)


def test_settings_of_equal_names_are_the_same_and_every_other_is_named():
    require_same_settings("place", {"a": 1, "b": [2]}, {"a": 1, "b": [2]})
    with pytest.raises(CommandError) as refused:
        require_same_settings("place", {"a": 1, "b": 2, "c": 3}, {"a": 1, "b": 5, "d": 4})
    message = str(refused.value)
    assert message.startswith("place: ")
    for expected in ("b was 2, now 5", "c was 3, now None", "d was None, now 4"):
        assert expected in message
    assert "a was" not in message


def test_a_folder_of_another_command_is_refused_by_both_commands(folder):
    with pytest.raises(CommandError, match=f"--gan={folder}: "):
        require_run(str(folder), "gan", "test")  # not there yet
    finish(folder)
    assert require_run(str(folder), "gan", "test") == folder
    with pytest.raises(CommandError, match=f"--gan={folder}: .*test.*train_gan"):
        require_run(str(folder), "gan", "train_gan")


def test_an_input_folder_that_is_not_there_is_named(tmp_path, bucket):
    for path in (f"{tmp_path}/x", f"{bucket}/x"):
        with pytest.raises(CommandError, match=f"--shards={path}: "):
            require_completed(path, "shards")


def test_a_folder_with_something_else_in_it_is_left_alone(folder):
    write_atomically(folder / "thesis" / "thesis.txt", "mine")
    with pytest.raises(CommandError, match=f"{folder}: .*config.json"):
        open_workdir(folder, "test", CONFIG)
    assert names_in(folder) == ["thesis/thesis.txt"]


def test_a_complete_folder_needs_no_work(folder):
    finish(folder)
    before = list_files(folder)
    assert open_workdir(folder, "test", CONFIG) is None
    assert list_files(folder) == before


def test_what_a_killed_run_left_unfinished_is_cleared_away(tmp_path):
    (tmp_path / ".unfinished-0123456789abcdef-config.json").write_text('{"sta')
    begin(tmp_path)
    (tmp_path / "fold0").mkdir()
    (tmp_path / "fold0" / ".unfinished-0123456789abcdef-best.weights.h5").write_text("")
    finish(tmp_path)
    assert names_in(tmp_path) == ["COMPLETED", "config.json", "report.json", "work"]


def test_a_run_that_was_killed_before_its_first_file_can_be_started_again(bucket, monkeypatch):
    monkeypatch.setitem(FolderLock.__init__.__kwdefaults__, "beat_seconds", 0.5)  # a dead one is told by its silence
    write_atomically(as_path(bucket) / LOCK_FILE, json.dumps({"host": socket.gethostname(), "pid": 2**22 + 1}))
    finish(as_path(bucket))
    assert is_completed(as_path(bucket))


def test_workers_beside_the_chief_neither_lock_nor_write(tmp_path):
    with open_workdir(tmp_path, "test", CONFIG) as chief:
        chief.begin()
        with open_workdir(tmp_path, "test", replace(CONFIG, steps=11), writable=False) as other:
            other.begin()
            other.complete(SmallReport(metric=1))
        assert (chief.writable, other.writable) == (True, False)
        assert names_in(tmp_path) == ["config.json"]
        assert read_config(tmp_path, SmallConfig).steps == 10
        chief.complete(SmallReport(metric=1))
    assert open_workdir(tmp_path, "test", CONFIG, writable=False) is None


def test_workers_beside_the_chief_leave_the_folder_of_a_refused_run_to_the_chief(tmp_path):
    """Whoever is the last to see that the inputs are wrong: the folder is gone."""
    for chief_is_last in (True, False):
        chief = open_workdir(tmp_path / "run", "test", CONFIG)
        other = open_workdir(tmp_path / "run", "test", CONFIG, writable=False)
        for workdir in (other, chief) if chief_is_last else (chief, other):
            with pytest.raises(ZeroDivisionError), workdir:
                raise ZeroDivisionError
        assert not (tmp_path / "run").exists()


def test_a_command_that_writes_here_only_refuses_a_bucket(tmp_path):
    assert local_folder(str(tmp_path), "workdir") == tmp_path
    with pytest.raises(CommandError, match="--workdir=gs://bucket/run: "):
        local_folder("gs://bucket/run", "workdir")


def test_two_runs_at_a_time_in_one_folder_are_refused_with_one_line(tmp_path):
    settings = ["--source=phantom", "--num_images=100", "--num_shards=2", "--workers=1", f"--output={tmp_path / 'run'}"]
    command = [sys.executable, "-m", "pipelines.make_shards", *settings]
    waiting = (
        "import sys, time; from pathlib import Path; from tfrecords_tools.foundation.locking import FolderLock; "
        "Path(sys.argv[1]).mkdir(); lock = FolderLock(Path(sys.argv[1])); print('held', flush=True); time.sleep(60)"
    )
    holder = [sys.executable, "-c", waiting, str(tmp_path / "run")]
    with subprocess.Popen(holder, cwd=ROOT, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout.readline() == "held\n"
        second = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        first.kill()
    assert second.returncode == 1
    (line,) = second.stderr.strip().splitlines()
    assert line.startswith(f"error: {tmp_path / 'run'}: ")
    again = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr


def test_a_run_refuses_a_folder_that_it_holds_already(tmp_path):
    with open_workdir(tmp_path, "test", CONFIG), pytest.raises(DataError, match=f"{tmp_path}: "):
        open_workdir(tmp_path, "test", CONFIG)


def test_config_errors_name_field_value_and_remedy():
    from pipelines.make_shards import MakeShardsConfig

    with pytest.raises(ConfigError, match="quality is 101; .*1 to 100"):
        MakeShardsConfig(source=("phantom",), output="x", quality=101)


@pytest.mark.parametrize("steps", [10, 11])
def test_a_folder_that_another_run_completes_while_this_one_waits_for_its_lock_is_left_alone(
    folder, steps, monkeypatch
):
    """The other run ends between the first look and the lock."""

    def other_run_ends(path):
        monkeypatch.undo()
        finish(folder)
        return FolderLock(path)

    monkeypatch.setattr("pipelines.contract.workdir.FolderLock", other_run_ends)
    if steps == 10:
        assert open_workdir(folder, "test", CONFIG) is None
    else:
        with pytest.raises(CommandError, match="steps was 10, now 11"):
            open_workdir(folder, "test", replace(CONFIG, steps=steps))
    assert is_completed(folder)
    assert not is_file(folder / LOCK_FILE)
    assert open_workdir(folder, "test", CONFIG) is None
