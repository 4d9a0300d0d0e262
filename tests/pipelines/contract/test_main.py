"""The entry of every command: its help, its exit codes, and one line for what a user got wrong."""

import os
import signal
import subprocess
import sys
from dataclasses import fields

import pytest

from pipelines.contract.main import sigterm_as_request
from tests.conftest import ROOT
from tests.pipelines.contract.configs import COMMANDS
from tfrecords_tools.foundation.settings import declaration


@pytest.mark.parametrize("name", COMMANDS)
def test_help_shows_every_flag_with_its_default(name: str):
    shown = subprocess.run(
        [sys.executable, "-m", f"pipelines.{name}", "--help"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert shown.returncode == 0
    for field in fields(COMMANDS[name]):
        assert f"  --{field.name}=" in shown.stdout
        assert declaration(field).help in shown.stdout


def test_an_unknown_flag_ends_with_one_line_and_code_2():
    command = [sys.executable, "-m", "pipelines.make_shards", "--sauce=phantom"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert "sauce" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_an_argument_without_a_flag_ends_with_code_1_and_is_named():
    command = [sys.executable, "-m", "pipelines.make_shards", "phantom"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "'phantom'" in result.stderr + result.stdout
    assert "Traceback" not in result.stderr


def test_an_error_that_a_user_can_repair_is_one_line_and_with_verbosity_1_a_traceback(tmp_path):
    command = [sys.executable, "-m", "pipelines.make_shards", "--source=phantom", f"--output={tmp_path}/out"]
    wrong = [*command, "--quality=101"]
    short, long = (
        subprocess.run([*wrong, *more], cwd=ROOT, capture_output=True, text=True, check=False)
        for more in ([], ["--verbosity=1"])
    )
    assert short.returncode == 1
    (line,) = short.stderr.strip().splitlines()
    assert line.startswith("error: quality is 101; ")
    assert "Traceback" in long.stderr
    assert not (tmp_path / "out").exists()


def test_sigterm_is_a_request_within_the_context_and_ends_the_process_after_it():
    before = signal.getsignal(signal.SIGTERM)
    with sigterm_as_request() as requested:
        assert not requested()
        os.kill(os.getpid(), signal.SIGTERM)
        assert requested()
    assert requested()
    assert signal.getsignal(signal.SIGTERM) == before


def test_lines_are_told_apart_and_command_no_terminal_whatever_a_folder_is_called(tmp_path):
    folder = tmp_path / "a\nerror: forged\x1b[31m\u202eb"
    folder.mkdir()
    (folder / "manifest.json").write_text("{}")
    command = [sys.executable, "-m", "pipelines.inspect_shards", folder, f"{folder}/none"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    *logged, error = result.stderr.splitlines()
    assert error.startswith(f"error: {tmp_path}/a\\nerror: forged\\x1b[31m\\u202eb/none: ")
    assert any(line.startswith(r"    error: forged\x1b[31m\u202eb/manifest.json: ") for line in logged)
    assert not {"\x1b", "\u202e"} & set(result.stderr)


def test_of_what_libraries_log_only_warnings_are_for_users():
    """matplotlib's fonts alone tell hundreds of lines when a PDF is written."""
    script = """
import logging as standard_logging
from dataclasses import dataclass
from absl import logging
from pipelines.contract.main import main
from tfrecords_tools.foundation.settings import Settings

@dataclass(frozen=True, kw_only=True)
class NoConfig(Settings):
    pass

def run(config):
    library = standard_logging.getLogger("fontTools.subset")
    library.info("pruned")
    library.warning("no such glyph")
    logging.info("page: study.html")

main(NoConfig, run)
"""
    result = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert [line.split(" ", 1)[1] for line in result.stderr.splitlines()] == ["no such glyph", "page: study.html"]
