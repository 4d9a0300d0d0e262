"""The console command: all commands by a short name."""

import json
import subprocess
import sys
from importlib.metadata import version

import melgan
from pipelines.contract.commands import COMMANDS
from tests.pipelines.contract.configs import COMMANDS as MODULES

CONSOLE = [sys.executable, "-c", "from pipelines.contract.console import main; main()"]


def run(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([*CONSOLE, *arguments], capture_output=True, text=True, check=False)


def test_every_command_has_a_name_and_a_summary_without_tensorflow():
    assert set(COMMANDS.values()) == set(MODULES)
    code = (
        "import json, sys\nfrom pipelines.contract.console import main\n"
        "sys.argv = ['melgan']\nmain()\nprint(json.dumps(sorted(sys.modules)))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    listed, modules = shown.rsplit("\n[", 1)
    for name, command in COMMANDS.items():
        (line,) = (line for line in listed.splitlines() if line.split()[:1] == [name])
        assert len(line.split()) > 3, command
    assert not {"tensorflow", "keras", "pandas", "numpy"} & set(json.loads("[" + modules))


def test_a_command_gets_its_settings_and_gives_its_exit_code():
    done = run("shards", "--source=nothing", "--output=x")
    assert (done.returncode, done.stderr.startswith("error: ")) == (1, True)
    assert "nothing" in done.stderr
    done = run("inspect", "--help")
    assert done.returncode == 0
    assert "--contact_sheet" in done.stdout


def test_a_name_that_is_none_leads_to_the_nearest():
    done = run("submision", "--runs=a")
    assert (done.returncode, done.stdout) == (2, "")
    assert "submission" in done.stderr
    assert "--help" in run("brew").stderr


def test_the_version_is_that_of_the_package():
    assert run("--version").stdout == f"melgan {version('melgan')}\n"
    assert melgan.__version__ == version("melgan")
