"""Flags of a command: one for every field of its config, with the help text and default declared there."""

import itertools
import types
import typing
from dataclasses import fields
from typing import Any, TypeVar

from absl import flags

from tfrecords_tools.foundation.errors import CommandError

Config = TypeVar("Config")


def define_flags(config_class: type, flag_values: flags.FlagValues) -> None:
    """Declares one flag for every field of a config class, with its help text and default."""
    types_of = typing.get_type_hints(config_class)
    for field in fields(config_class):
        default = None if _is_required(field) else field.default
        help_text = field.metadata["help"] + (" (required)" if _is_required(field) else "")
        _define_flag(
            field.name, _plain_type(types_of[field.name]), default, help_text, field.metadata["choices"], flag_values
        )


def describe_settings(config_class: type) -> str:
    """Returns every setting with its default and help text, in the order of the fields."""
    lines = ["settings:"]
    for field in fields(config_class):
        default = "REQUIRED" if _is_required(field) else _show(field.default)
        choices = f" ({', '.join(field.metadata['choices'])})" if field.metadata["choices"] else ""
        lines.append(f"  --{field.name}={default}".ljust(34) + f" {field.metadata['help']}{choices}")
    lines.append("also: --flagfile=FILE reads settings from a file; --verbosity=1 shows the traceback of an error")
    return "\n".join(lines)


def config_from_flags(config_class: type[Config], flag_values: flags.FlagValues) -> Config:
    """Returns the config that the flags ask for.

    Raises:
      CommandError: for a required flag that was not given.
      ConfigError: for a value that the config refuses.
    """
    values = {}
    for field in fields(config_class):
        value = flag_values[field.name].value
        if value is None and _is_required(field):
            raise CommandError(f"--{field.name} is required: {field.metadata['help']}")
        values[field.name] = tuple(itertools.chain(*value)) if isinstance(value, list) else value
    return config_class(**values)


def _define_flag(
    name: str, kind: type, default: Any, help_text: str, choices: tuple[str, ...] | None, flag_values: flags.FlagValues
) -> None:
    if kind is tuple:  # --name=a,b and --name=a --name=b are the same
        given = None if default is None else list(default)
        flags.DEFINE_multi(flags.ListParser(), flags.ListSerializer(","), name, given, help_text, flag_values)
        return
    if choices:
        flags.DEFINE_enum(name, default, list(choices), help_text, flag_values=flag_values)
        return
    define = {
        bool: flags.DEFINE_boolean,
        int: flags.DEFINE_integer,
        float: flags.DEFINE_float,
        str: flags.DEFINE_string,
    }[kind]
    define(name, default, help_text, flag_values=flag_values)


def _plain_type(annotation: Any) -> type:
    """Returns int for `int | None`, tuple for `tuple[str, ...]`, and so on."""
    if isinstance(annotation, types.UnionType):
        annotation = next(member for member in typing.get_args(annotation) if member is not type(None))
    return typing.get_origin(annotation) or annotation


def _show(default: Any) -> str:
    if isinstance(default, tuple):
        return ",".join(default)
    return "" if default is None else str(default).lower() if isinstance(default, bool) else str(default)


def _is_required(field: Any) -> bool:
    return not isinstance(field.default, (str, int, float, bool, tuple, types.NoneType))
