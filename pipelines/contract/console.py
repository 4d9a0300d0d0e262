"""The console command `melgan`: every command by a short name; their list is there at once, as it imports none."""

import ast
import difflib
import runpy
import sys
from pathlib import Path

import melgan
from pipelines.contract.commands import COMMANDS
from pipelines.contract.stored_help import stored_help

_PITCH = "melgan: from imbalanced medical images to a Kaggle submission, with synthetic images of the rare class"
_HELP, _VERSION = {"-h", "-help", "--help"}, {"--version", "version"}


def main() -> None:
    """Runs the command that the first argument names, with the others; without any, lists all commands."""
    name, *arguments = sys.argv[1:] or ["--help"]
    if name in {*_HELP, "help"}:
        print(_overview())
        return
    if name in _VERSION:
        print(f"melgan {melgan.__version__}")
        return
    if name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, n=1)
        remedy = f"did you mean {near[0]}?" if near else "melgan --help lists the commands"
        print(f"error: melgan has no command {name!r}; {remedy}", file=sys.stderr)
        sys.exit(2)
    if not _HELP.isdisjoint(arguments) and (text := stored_help(COMMANDS[name])):
        print(text, end="")
        return
    sys.argv = [f"melgan {name}", *arguments]
    runpy.run_module(f"pipelines.{COMMANDS[name]}", run_name="__main__", alter_sys=True)


def _overview() -> str:
    lines = [_PITCH, "", "usage: melgan COMMAND --setting=value ...", ""]
    width = max(map(len, COMMANDS))
    lines += [f"  {name:<{width}}  {_summary(command)}" for name, command in COMMANDS.items()]
    lines += ["", "melgan COMMAND --help lists the settings of a command, the required ones first, with an example."]
    return "\n".join(lines)


def _summary(command: str) -> str:
    """Returns the first line of a command's docstring, from its source: to import it may take seconds."""
    source = Path(__file__).parents[1] / f"{command}.py"
    return (ast.get_docstring(ast.parse(source.read_text(encoding="utf-8"))) or "").splitlines()[0]
