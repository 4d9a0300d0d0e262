"""The entry of every command: settings become flags, errors become one line and an exit code."""

import contextlib
import logging as standard_logging
import signal
import sys
from collections.abc import Callable, Iterator

from absl import app, flags, logging

from pipelines.contract.failures import as_one_line
from pipelines.contract.flags import config_from_flags, define_flags, describe_settings
from pipelines.contract.launching import end_with_parent
from pipelines.contract.temporary import own_temporary_folder
from tfrecords_tools.foundation.errors import Preempted
from tfrecords_tools.foundation.settings import Config
from tfrecords_tools.foundation.texts import in_one_line


def main(config_class: type[Config], run: Callable[[Config], None], *, positional: str = "") -> None:
    """Runs a command from the command line: exit code 0, or 1 with one line on what to do (2 for a wrong flag).

    Tools may take plain arguments: `positional` names the setting, of many values, that they are added to.
    """
    if {"-h", "-help", "--help"} & set(sys.argv[1:]):
        print(sys.modules["__main__"].__doc__, describe_settings(config_class), sep="\n")
        return
    define_flags(config_class, flags.FLAGS)

    def guarded(arguments: list[str]) -> None:
        if positional:
            flags.FLAGS[positional].value = [*flags.FLAGS[positional].value, arguments[1:]]
        elif len(arguments) > 1:
            raise app.UsageError(f"unknown argument {arguments[1]!r}; settings are given as --name=value")
        sys.stdout.reconfigure(errors="backslashreplace")  # as stderr is: not every terminal has every letter
        _log_plain_lines()
        end_with_parent()
        with _one_line_errors(), own_temporary_folder():
            run(config_from_flags(config_class, flags.FLAGS))

    app.run(guarded, flags_parser=_parse_flags)


@contextlib.contextmanager
def sigterm_as_request() -> Iterator[Callable[[], bool]]:
    """Takes SIGTERM, by which clusters announce the end of a machine, as a request; gives what tells whether it came.

    After the context it ends the process at once, as before.
    """
    received = []
    before = signal.signal(signal.SIGTERM, lambda *_: received.append(True))
    try:
        yield lambda: bool(received)
    finally:
        signal.signal(signal.SIGTERM, before)


class _PlainLines(standard_logging.Formatter):
    """Time and message. Whatever texts of users are in it, they command no terminal, and no line looks like another."""

    def formatMessage(self, record: standard_logging.LogRecord) -> str:  # noqa: N802
        """Returns the message; all of its lines but the first are indented."""
        return "\n    ".join(map(in_one_line, super().formatMessage(record).split("\n")))


def _log_plain_lines() -> None:
    handler = logging.get_absl_handler()
    handler.setFormatter(_PlainLines("%(asctime)s %(message)s", datefmt="%H:%M:%S"))
    # Libraries log here too, TensorFlow even under the same name; of that, only warnings are for users.
    handler.addFilter(lambda line: line.levelno >= standard_logging.WARNING or _is_own(line))


def _is_own(line: standard_logging.LogRecord) -> bool:
    return line.name == logging.get_absl_logger().name and "tensorflow" not in line.pathname


def _parse_flags(arguments: list[str]) -> list[str]:
    try:
        return flags.FLAGS(arguments)
    except flags.Error as error:
        print(f"error: {in_one_line(str(error))}; --help lists the settings", file=sys.stderr)
        sys.exit(2)


@contextlib.contextmanager
def _one_line_errors() -> Iterator[None]:
    """Ends the process with one line for what a user can repair; with --verbosity=1 also with the traceback."""
    try:
        yield
    except Preempted as stopped:
        print(in_one_line(str(stopped)), file=sys.stderr)
        sys.exit(128 + signal.SIGTERM)
    except KeyboardInterrupt:
        print("interrupted; start the same command again to resume", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        line = as_one_line(error)
        if not line or flags.FLAGS.verbosity >= 1:
            raise
        print(f"error: {in_one_line(line)}", file=sys.stderr)
        sys.exit(1)
