"""The Makefile: variables of the command line become settings of the command."""

import os
import shlex
import subprocess

import pytest

from tests.conftest import ROOT


def command_of(*arguments: str) -> list[str]:
    """Returns what `make` would run, without the interpreter."""
    command = ["make", "--dry-run", "--no-print-directory", *arguments]
    # The tests may run under a `make` of their own, which hands its variables on.
    apart = {name: value for name, value in os.environ.items() if "MAKE" not in name and name not in ("ARGS", "MFLAGS")}
    run = subprocess.run(command, cwd=ROOT, env=apart, capture_output=True, text=True, check=True)
    lines = run.stdout.splitlines()
    return shlex.split(lines[-1])[1:]


@pytest.mark.parametrize(
    ("target", "command"),
    [
        ("shards", "make_shards"),
        ("gan", "train_gan"),
        ("synthetic", "synthesize"),
        ("evaluation", "evaluate_gan"),
        ("classifier", "train_classifier"),
        ("submission", "make_submission"),
        ("predict", "predict"),
        ("report", "report"),
    ],
)
def test_any_variable_becomes_the_setting_of_its_name(target, command):
    _, module, *flags = command_of(target, "OUTPUT=o", "NEW_SETTING=a b's", "EMPTY=", "ARGS=--verbosity=1 --x=2")
    assert module == f"pipelines.{command}"
    assert sorted(flags) == ["--new_setting=a b's", "--output=o", "--verbosity=1", "--x=2"]


@pytest.mark.parametrize(
    ("target", "alias", "flag"),
    [
        ("gan", "STEPS", "total_steps"),
        ("gan", "BATCH", "global_batch_size"),
        ("gan", "RESUME_FROM", "resume_from"),
        ("classifier", "BATCH", "batch_size"),
        ("classifier", "FRACTION", "synthetic_fraction"),
        ("evaluation", "INCEPTION_WEIGHTS", "weights"),
        ("submission", "CLASSIFIERS", "runs"),
        ("report", "RUN_FOLDERS", "runs"),
        ("report", "RUNS", "runs"),
    ],
)
def test_short_and_former_names_stay(target, alias, flag):
    assert command_of(target, f"{alias}=7")[2:] == [f"--{flag}=7"]


def test_what_is_no_setting_is_not_passed_on():
    assert command_of("gan", "VENV=/elsewhere", "PYTHON=python3", "EXTRAS=dev", "FOLD=1") == [
        "-m",
        "pipelines.train_gan",
        "--fold=1",
    ]


def test_workers_of_gan_are_local_processes_and_those_of_shards_a_setting():
    started = command_of("gan", "WORKERS=3", "WORKDIR=g")
    assert started == ["-m", "pipelines.local_workers", "--workers=3", "--", "--workdir=g"]
    assert command_of("shards", "WORKERS=3") == ["-m", "pipelines.make_shards", "--workers=3"]


def test_paths_of_inspect_are_plain_arguments():
    assert command_of("inspect", "PATHS=a b", "VERIFY=true") == [
        "-m",
        "pipelines.inspect_shards",
        "a",
        "b",
        "--verify=true",
    ]


@pytest.mark.parametrize(
    ("variables", "folder"), [([], "runs/demo"), (["RUNS=/x"], "/x/demo"), (["WORKDIR=/x y"], "/x y")]
)
def test_the_demo_has_a_folder_of_its_own(variables, folder):
    assert command_of("demo", *variables) == ["-m", "pipelines.demo", f"--workdir={folder}"]
