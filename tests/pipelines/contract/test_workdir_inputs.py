"""The inputs of a command's folder, and the files that it was completed with: changed, moved, made again or gone."""

import json
import shutil
from pathlib import Path

import pytest

from pipelines.contract.inputs import file_input
from pipelines.contract.workdir import folder_input, open_workdir, read_config, require_completed
from tests.pipelines.contract.small_run import CONFIG, SmallConfig, SmallReport, begin
from tfrecords_tools.foundation.errors import CommandError, DataError
from tfrecords_tools.foundation.files import list_files, remove, write_atomically


def given(folder, text="1"):
    """An input folder of the digest of its one file."""
    with open_workdir(folder, "make", SmallConfig(shards=text)) as workdir:
        workdir.begin()
        write_atomically(folder / "data.txt", text)
        workdir.complete(SmallReport(metric=1.5), ["data.txt"])
    return folder


def forget(folder):
    for file in list_files(folder, recursive=True):
        remove(folder / file.name)


def test_a_folder_begun_with_other_inputs_is_refused_with_what_has_changed(folder, tmp_path):
    source, table = given(tmp_path / "source"), tmp_path / "table.csv"
    table.write_text("a")
    with open_workdir(folder, "test", CONFIG) as workdir:
        workdir.begin({"shards": folder_input(source), "boxes": file_input(table)})
        write_atomically(folder / "work", "")
        workdir.begin({"shards": folder_input(source), "boxes": file_input(table)})
        table.write_text("b")
        with pytest.raises(CommandError, match=f"--boxes {table}") as refused:
            workdir.begin({"shards": folder_input(source), "boxes": file_input(table)})
        assert "--shards" not in str(refused.value)
        with pytest.raises(CommandError, match=f"--boxes {table} has gone"):
            workdir.begin({"shards": folder_input(source)})
        table.write_text("a")
        inputs = {"shards": folder_input(source), "boxes": file_input(table), "weights": file_input(table)}
        with pytest.raises(CommandError, match=f"--weights {table} has come"):
            workdir.begin(inputs)


def test_a_folder_made_again_with_the_same_artefacts_is_the_same_input(tmp_path):
    first = folder_input(given(tmp_path / "source"))
    forget(tmp_path / "source")
    assert folder_input(given(tmp_path / "source")) == first
    forget(tmp_path / "source")
    assert folder_input(given(tmp_path / "source", "2")) != first


def test_a_complete_folder_whose_inputs_are_others_now_is_refused_and_one_whose_inputs_are_away_is_not(tmp_path):
    source, folder = given(tmp_path / "source"), tmp_path / "run"
    with open_workdir(folder, "test", CONFIG) as workdir:
        workdir.begin({"shards": folder_input(source)})
        workdir.complete(SmallReport(metric=1.5))
    assert open_workdir(folder, "test", CONFIG) is None
    forget(source)
    assert open_workdir(folder, "test", CONFIG) is None
    given(source, "2")
    with pytest.raises(CommandError, match=f"^{folder}: .*--shards {source}"):
        open_workdir(folder, "test", CONFIG)


def test_a_run_goes_on_and_is_complete_wherever_its_folder_and_its_inputs_have_been_moved_or_from_where_they_are_named(
    tmp_path, monkeypatch
):
    """Begun by relative names in one folder, resumed by others in another, and found complete in a third."""

    def run(place, source, completes=False):
        monkeypatch.chdir(tmp_path / place)
        workdir = open_workdir(Path("run"), "test", SmallConfig(shards=str(source)))
        if workdir is None:
            return "complete"
        with workdir:
            workdir.begin({"shards": folder_input(source)})
            write_atomically(Path("run/work"), "")
            if completes:
                workdir.complete(SmallReport(metric=1.5))
        return "worked"

    (tmp_path / "first").mkdir()
    given(tmp_path / "first" / "source")
    assert run("first", Path("source")) == "worked"
    shutil.move(tmp_path / "first", tmp_path / "second")
    assert run("second", Path("source")) == "worked"
    assert run("second", Path("../second/source"), completes=True) == "worked"
    shutil.move(tmp_path / "second", tmp_path / "third")
    assert run("third", tmp_path / "third" / "source") == "complete"
    given(tmp_path / "third" / "other", "2")
    with pytest.raises(CommandError, match="shards was .*/second/source', now .*/third/other"):
        run("third", Path("other"))


def test_a_run_that_is_half_done_refuses_other_contents_at_another_place(tmp_path):
    with open_workdir(tmp_path / "run", "test", SmallConfig(shards=f"{tmp_path}/a")) as workdir:
        workdir.begin({"shards": folder_input(given(tmp_path / "a"))})
        write_atomically(tmp_path / "run" / "work", "")
    with (
        open_workdir(tmp_path / "run", "test", SmallConfig(shards=f"{tmp_path}/b")) as workdir,
        pytest.raises(CommandError, match=f"--shards {tmp_path}/b holds something else"),
    ):
        workdir.begin({"shards": folder_input(given(tmp_path / "b", "2"))})


def test_a_folder_of_an_earlier_version_which_tells_nothing_of_its_inputs_is_resumed(tmp_path):
    begin(tmp_path)
    settings = json.loads((tmp_path / "config.json").read_text())
    assert settings.pop("inputs") == {}
    (tmp_path / "config.json").write_text(json.dumps(settings))
    with open_workdir(tmp_path, "test", CONFIG) as workdir:
        workdir.begin({"shards": folder_input(given(tmp_path.parent / "source"))})
    assert read_config(tmp_path, SmallConfig) == CONFIG


@pytest.mark.parametrize("name", ["report.json", "config.json", "data.txt"])
@pytest.mark.parametrize("gone", [False, True])
def test_a_complete_folder_with_a_file_changed_or_gone_is_refused_by_its_name(tmp_path, name, gone):
    folder = given(tmp_path / "source")
    text = (folder / name).read_text()
    assert require_completed(str(folder), "shards") == folder
    if gone:
        (folder / name).unlink()
    else:
        (folder / name).write_text(text.replace("1", "3"))
    with pytest.raises((DataError, FileNotFoundError), match=f"{folder / name}"):
        require_completed(str(folder), "shards")
