"""Settings: each declared once, as a dataclass field with its help text, from which commands make their flags."""

from collections.abc import Sequence
from dataclasses import MISSING, field
from typing import Any

from tfrecords_tools.foundation.errors import ConfigError


def setting(
    default: Any = MISSING, help: str = "", *, choices: Sequence[str] | None = None, changes_result: bool = True
) -> Any:
    """Declares a dataclass field as a setting.

    Arguments:
      default: its value unless the user gives another; without one the setting is required.
      help: one line for `--help`.
      choices: the values allowed, where they are few.
      changes_result: False for settings such as the number of workers, which may differ when a run goes on.
    """
    metadata = {"help": help, "choices": tuple(choices) if choices else None, "changes_result": changes_result}
    return field(default=default, metadata=metadata)


def require(condition: bool, name: str, value: Any, allowed: str) -> None:
    """Raises ConfigError that names the field, its value and what is allowed, unless the condition holds."""
    if not condition:
        raise ConfigError(f"{name} is {value}; it must be {allowed}")
