"""The help of commands is stored at installation, and counts for the sources that it was written from."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.contract.stored_help import stored_help

COMMAND = "inspect_shards"  # which imports no TensorFlow


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("help") / "help.json"
    code = "from pathlib import Path; from pipelines.contract.stored_help import store_help\n"
    code += f"store_help([{COMMAND!r}], Path({str(file)!r}))"
    subprocess.run([sys.executable, "-c", code], check=True)
    return file


def test_it_is_what_the_command_says(stored: Path):
    asked = [sys.executable, "-m", f"pipelines.{COMMAND}", "--help"]
    said = subprocess.run(asked, check=True, capture_output=True, text=True).stdout
    assert "--contact_sheet" in said
    assert stored_help(COMMAND, stored) == said


def test_that_of_other_sources_does_not_count(stored: Path, tmp_path: Path):
    other = json.loads(stored.read_text()) | {"sources": "0" * 64}
    (tmp_path / "help.json").write_text(json.dumps(other))
    assert stored_help(COMMAND, tmp_path / "help.json") is None


def test_a_damaged_file_does_not_count(tmp_path: Path):
    (tmp_path / "help.json").write_text('{"sources"')
    assert stored_help(COMMAND, tmp_path / "help.json") is None


def test_none_is_stored_of_other_commands_or_without_a_file(stored: Path, tmp_path: Path):
    assert stored_help("train_gan", stored) is None
    assert stored_help(COMMAND, tmp_path / "none.json") is None
