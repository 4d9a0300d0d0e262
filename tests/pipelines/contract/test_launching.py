"""Commands as processes: what ends them, their exit codes, and where their output goes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.contract.flags import as_flags
from pipelines.contract.launching import command_line, run_command, started
from tests.bucket_server import wait_for
from tests.conftest import ROOT
from tfrecords_tools.foundation.errors import CommandError

PHANTOM = {"source": "phantom", "image_size": 32, "num_images": 100, "num_shards": 2, "workers": 1}


@pytest.fixture(autouse=True)
def in_root(monkeypatch):
    monkeypatch.chdir(ROOT)


def test_settings_become_flags():
    assert as_flags({"shards": "x y", "fold": 0, "balance": True}) == ["--shards=x y", "--fold=0", "--balance=True"]
    assert command_line("report", ["--runs=a,b"]) == [sys.executable, "-m", "pipelines.report", "--runs=a,b"]


def test_a_command_that_fails_is_named_with_its_exit_code_and_its_log(tmp_path):
    log = tmp_path / "logs" / "shards.log"
    settings = {**PHANTOM, "output": tmp_path / "shards"}
    with pytest.raises(CommandError, match=f"make_shards .*1.*{log}"):
        run_command("make_shards", {**settings, "quality": 101}, log=log)
    assert "quality is 101" in log.read_text()
    run_command("make_shards", settings, log=log)
    assert (tmp_path / "shards" / "COMPLETED").exists()
    assert log.read_text().splitlines()[0].startswith("error: quality is 101")  # it is added to


def test_without_a_log_the_output_goes_where_that_of_the_caller_goes(tmp_path, capfd):
    with pytest.raises(CommandError, match="make_shards .*2"):
        run_command("make_shards", {"sauce": 1})
    assert "sauce" in capfd.readouterr().err


def test_a_process_ends_with_its_context(tmp_path):
    settings = {**PHANTOM, "num_images": 100_000, "output": tmp_path / "shards"}
    with started("make_shards", settings, log=tmp_path / "log") as process:
        assert process.poll() is None
    assert process.returncode == -9


def test_a_process_ends_when_the_one_that_started_it_is_killed(tmp_path):
    settings = {**PHANTOM, "num_images": 100_000, "output": str(tmp_path / "shards")}
    code = (
        "import sys; from pathlib import Path; from pipelines.contract.launching import started; "
        f"folder = Path({str(tmp_path)!r}); context = started('make_shards', {settings!r}, log=folder / 'log'); "
        "process = context.__enter__(); print(process.pid, flush=True); process.wait()"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    child = int(parent.stdout.readline())
    wait_for((tmp_path / "shards").exists, seconds=60)
    parent.kill()
    parent.wait()
    wait_for(lambda: not Path(f"/proc/{child}").exists(), seconds=30)


def run_together(*programs: str) -> subprocess.CompletedProcess:
    """Runs Python programs together, in a process of their own that leaves with their exit code."""
    code = (
        "import json, os, sys; from pipelines.contract.launching import run_together; "
        "lines = [[sys.executable, '-c', program] for program in json.loads(sys.argv[1])]; "
        "environments = [{**os.environ, 'NUMBER': str(number)} for number in range(len(lines))]; "
        "sys.exit(run_together(lines, environments))"
    )
    command = [sys.executable, "-c", code, json.dumps(programs)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_every_line_of_processes_that_run_together_begins_with_the_number_of_its_process():
    program = "import os, sys; print('I am', os.environ['NUMBER']); print('to stderr', file=sys.stderr)"
    result = run_together(program, program)
    assert (result.returncode, result.stderr) == (0, "")
    assert sorted(result.stdout.splitlines()) == ["[0] I am 0", "[0] to stderr", "[1] I am 1", "[1] to stderr"]


@pytest.mark.parametrize(
    ("programs", "code"),
    [
        (("import sys; sys.exit(3)", "import time; time.sleep(1)"), 3),
        (("import time; time.sleep(1)", "import sys; sys.exit(5)"), 5),
        (("import os; os.kill(os.getpid(), 15)", "pass"), 128 + 15),
    ],
)
def test_the_exit_code_is_that_of_the_first_process_that_failed(programs, code):
    assert run_together(*programs).returncode == code


def test_processes_end_when_the_one_that_started_them_is_killed(tmp_path):
    """Killed with -9, it can tell them nothing."""
    worker = (
        "import os, pathlib, time; from pipelines.contract.launching import end_with_parent; end_with_parent(); "
        f"pathlib.Path({str(tmp_path)!r}, os.environ['NUMBER']).write_text(str(os.getpid())); time.sleep(120)"
    )
    code = (
        "import os, sys; from pipelines.contract.launching import run_together; "
        f"run_together([[sys.executable, '-c', {worker!r}]] * 2, [{{**os.environ, 'NUMBER': str(n)}} for n in (0, 1)])"
    )
    with subprocess.Popen([sys.executable, "-c", code]) as parent:
        wait_for(lambda: len([path for path in tmp_path.iterdir() if path.read_text()]) == 2)
        workers = [int(path.read_text()) for path in tmp_path.iterdir()]
        parent.kill()
    wait_for(lambda: not any(is_running(pid) for pid in workers))


def is_running(pid: int) -> bool:
    """Whether a process is there and no zombie; nobody waits for an orphan here but the first process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
