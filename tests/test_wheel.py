"""`make wheel` gives a wheel that works where there is no clone of the repository."""

import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

import melgan
from pipelines.contract.commands import COMMANDS
from tests.conftest import ROOT
from tests.test_makefile import command_of

PACKAGES = ("melgan", "pipelines", "tfrecords_tools")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built of a copy, as building leaves files behind; by the build tools of this environment, without a network."""
    folder = tmp_path_factory.mktemp("wheel")
    source = shutil.copytree(ROOT, folder / "source", ignore=lambda *_: (".git", ".venv", "runs", "tests", "build"))
    command = [sys.executable, *command_of("wheel", "ARGS=--no-build-isolation")]
    for each in ([sys.executable, "-m", "pipelines.contract.stored_help"], command):
        subprocess.run(each, cwd=source, check=True, capture_output=True)
    (built,) = (source / "dist").iterdir()
    return built


@pytest.fixture(scope="module")
def environment(wheel, tmp_path_factory):
    """A fresh environment with the wheel. What the wheel requires it finds where this one has it."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, symlinks=True)
    packages = next(folder.glob("lib/python*/site-packages"))
    # As plain paths: of the files .pth in these folders, one would bring the clone in.
    (packages / "required.pth").write_text("\n".join(path for path in sys.path if Path(path).name == "site-packages"))
    command = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        folder / "bin" / "python",
        "install",
        "--no-deps",
        "--ignore-installed",
        wheel,
    ]
    subprocess.run(command, check=True, capture_output=True)
    return folder


@pytest.fixture
def call(environment, tmp_path):
    def call(*command):
        kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        return subprocess.Popen(
            [environment / "bin" / command[0], *command[1:]],
            cwd=tmp_path,
            env=kept,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    return call


def output_of(process, timeout=300):
    output = process.communicate(timeout=timeout)[0]
    assert process.returncode == 0, output
    return output


def test_it_has_every_file_of_the_packages_and_nothing_else(wheel):
    paths = (path for package in PACKAGES for path in (ROOT / package).rglob("*") if path.is_file())
    listed = {str(path.relative_to(ROOT)) for path in paths if "__pycache__" not in path.parts}
    files = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert listed - files == set()
    assert {name.partition("/")[0] for name in files} == set(PACKAGES)
    assert wheel.name == f"melgan-{melgan.__version__}-py3-none-any.whl"


def test_its_package_is_the_one_that_is_installed(call, environment):
    for package in PACKAGES:
        place = output_of(call("python", "-c", f"import {package}; print({package}.__file__)"))
        assert environment in Path(place.strip()).parents


def test_the_console_command_lists_all_commands(call):
    assert set(COMMANDS) <= set(output_of(call("melgan", "--help")).split())


def test_it_brings_the_help_of_all_commands(call):
    """So `melgan COMMAND --help` needs to import none of them."""
    code = "from pipelines.contract.stored_help import stored_help as h; print(*map(h, {}), sep='')"
    told = output_of(call("python", "-c", code.format(list(COMMANDS.values()))))
    assert told.count("--flagfile=FILE") == len(COMMANDS)
    assert "--total_steps=20000" in told.split()


def test_shards_are_made(call, tmp_path):
    output_of(call("melgan", "shards", "--source=phantom", "--num_images=100", "--image_size=32", "--output=shards"))
    assert (tmp_path / "shards" / "COMPLETED").is_file()


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_whole_line_runs_from_shards_to_the_report(call, tmp_path):
    """The demo, with next to no work."""
    told = output_of(call("melgan", "demo", "--workdir=demo", "--quick"), timeout=1700)
    for name in ("shards", "gan", "synthetic", "evaluation", "with_synthetic", "submission", "study", "report"):
        assert (tmp_path / "demo" / name / "COMPLETED").is_file(), name
    page = tmp_path / "demo" / "report" / "report.html"
    assert told.splitlines()[-1].endswith(str(page))
    assert "with_synthetic" in page.read_text()
