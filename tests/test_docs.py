"""The docs name what there is: files, commands and settings; the site is built, and the notebook runs."""

import importlib
import re
import subprocess
import sys
import typing
from dataclasses import fields
from functools import cache

import nbclient
import nbformat
import pytest

from pipelines.contract.commands import COMMANDS
from tests.conftest import ROOT

PAGES = sorted(
    str(page.relative_to(ROOT))
    for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    if "_build" not in str(page)
)
OF_ALL_COMMANDS = {"help", "flagfile", "verbosity"}
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


@cache
def settings_of(command: str) -> set[str]:
    """The settings of a command, by its name among the modules."""
    config = typing.get_type_hints(importlib.import_module(f"pipelines.{command}").run)["config"]
    return {field.name for field in fields(config)} | OF_ALL_COMMANDS


def lines_of(page: str) -> list[str]:
    """The lines of the code blocks of a page, with those that go on put together."""
    blocks = re.findall(r"^```[\w{}-]*\n(.*?)^```", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in re.sub(r"\\\n\s*", " ", block).splitlines()]


def unknown_settings(line: str) -> list[str]:
    """What a line gives to `melgan COMMAND`, `python -m pipelines.COMMAND` or `make TARGET`, and they do not know."""
    for name, given in re.findall(r"\bmelgan (?!-)(\w+)\b([^|&;]*)", line):
        if name not in COMMANDS:
            return [name]
        return sorted(set(re.findall(r"--(\w+)", given.partition(" -- ")[0])) - settings_of(COMMANDS[name]))
    for name, given in re.findall(r"-m pipelines\.([a-z_]+)\b([^|&;]*)", line):
        return sorted(set(re.findall(r"--(\w+)", given.partition(" -- ")[0])) - settings_of(name))
    for target, given in re.findall(r"\bmake ([a-z-]+)\b([^|&;]*)", line):
        return sorted(set(re.findall(r"\b([A-Z][A-Z_]*)=", given)) - variables_of(target))
    return []


@cache
def variables_of(target: str) -> set[str]:
    """The variables that mean something to a target of the Makefile."""
    own = set(re.search(r"^OWN = (.*)$", MAKEFILE, re.MULTILINE)[1].split())
    for names in re.findall(rf"^{target}: OWN \+= (.*)$", MAKEFILE, re.MULTILINE):
        own |= set(names.split())
    for names in re.findall(rf"^{target}: ALIASES = (.*)$", MAKEFILE, re.MULTILINE):
        own |= {name.partition("=")[0] for name in names.split()}
    commands = re.search(rf"^{target}: .*?##.*\n((?:\t.*\n)*)", MAKEFILE, re.MULTILINE)
    assert commands, f"make has no target {target}"
    for command in re.findall(r"call command,(\w+)", commands[1]):
        own |= {name.upper() for name in settings_of(command)}
    return own


def test_the_tests_that_show_what_happens_are_there():
    named = re.findall(r"`([\w/]+\.py)`", (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8"))
    places = (ROOT / "tests", ROOT / "tests" / "pipelines")
    assert len(set(named)) > 40
    assert [name for name in named if not any((place / name).is_file() for place in places)] == []


@pytest.mark.parametrize("page", PAGES)
def test_commands_of_the_docs_have_the_settings_that_they_are_given(page):
    assert [(line, unknown_settings(line)) for line in lines_of(page) if unknown_settings(line)] == []


def test_a_setting_that_there_is_not_would_be_found():
    assert unknown_settings("srun melgan gan --shards=a --total_step=7") == ["total_step"]
    assert unknown_settings("!melgan gann --shards=a") == ["gann"]
    assert unknown_settings("make gan STEPS=7 STEPZ=8") == ["STEPZ"]
    assert unknown_settings("TF_CONFIG=x python -m pipelines.train_gan --fold=0 --folds=0") == ["folds"]


def test_every_recipe_tells_its_price_and_whether_it_was_run():
    recipes = [page for page in PAGES if page.startswith("docs/recipes/") and not page.endswith("README.md")]
    assert len(recipes) >= 8
    table = (ROOT / "docs" / "recipes" / "README.md").read_text(encoding="utf-8")
    for page in recipes:
        text = (ROOT / page).read_text(encoding="utf-8")
        assert re.search(r"^\*\*(Run|Not run)", text, re.MULTILINE), page
        assert "## What it costs" in text, page
        assert page.rpartition("/")[2] in table


@pytest.mark.slow
def test_the_site_is_built_without_a_warning(tmp_path):
    command = [sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", "--quiet", "docs", str(tmp_path)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert "melgan.api.training_batches" in (tmp_path / "api.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_notebook_runs_and_is_kept_without_output(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    notebook = nbformat.read(ROOT / "docs" / "quickstart.ipynb", as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not any(cell.outputs for cell in cells)
    nbclient.NotebookClient(notebook, timeout=500, resources={"metadata": {"path": str(tmp_path)}}).execute()
    kinds = {kind for cell in cells for output in cell.outputs for kind in output.get("data", {})}
    assert {"image/png", "text/html"} <= kinds
    assert (tmp_path / "runs" / "quickstart" / "gan" / "COMPLETED").is_file()
