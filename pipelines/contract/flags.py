"""Flags of a command: one for every field of its config, with the help text and default declared there."""

import itertools
import types
import typing
from collections.abc import Mapping
from dataclasses import Field, fields
from typing import Any

from absl import flags, logging

from tfrecords_tools.foundation.errors import CommandError, ConfigError
from tfrecords_tools.foundation.settings import Config, Setting, declaration, is_required


def define_flags(config_class: type, flag_values: flags.FlagValues) -> None:
    """Declares one flag for every field of a config class, and one for the name that it had in earlier versions."""
    types_of = typing.get_type_hints(config_class)
    for field in fields(config_class):
        setting, kind = declaration(field), _plain_type(types_of[field.name])
        default = None if is_required(field) else field.default
        help_text = setting.help + (" (required)" if is_required(field) else "")
        _define_flag(field.name, kind, default, help_text, setting.choices, flag_values)
        if setting.formerly:
            _define_flag(setting.formerly, kind, None, f"now --{field.name}", setting.choices, flag_values)


def describe_settings(config_class: type) -> str:
    """Returns every setting with its default and help text, in groups: the required first, the most shared last."""
    required = [field for field in fields(config_class) if is_required(field)]
    lines = ["Required:", *map(_describe_setting, required)] if required else []
    for level, declaring in enumerate(config_class.__mro__):
        own = [each for each in fields(config_class) if each not in required and _level(config_class, each) == level]
        if own:
            lines += ["", (declaring.__doc__ or declaring.__name__).splitlines()[0], *map(_describe_setting, own)]
    lines += [""]
    lines.append("also: --flagfile=FILE reads settings from a file; --verbosity=1 shows the traceback of an error")
    return "\n".join(lines)


def _describe_setting(field: Field) -> str:
    setting = declaration(field)
    choices = f" ({', '.join(setting.choices)})" if setting.choices else ""
    return (
        f"  --{field.name}={'' if is_required(field) else _show(field.default)}".ljust(34) + f" {setting.help}{choices}"
    )


def config_from_flags(config_class: type[Config], flag_values: flags.FlagValues) -> Config:
    """Returns the config that the flags ask for.

    Raises:
      CommandError: for a required flag that was not given, or one that was given by its old name too.
      ConfigError: for a value that the config refuses.
    """
    values = {}
    for field in fields(config_class):
        value = _value_of(field, declaration(field), flag_values)
        if value is None and is_required(field):
            raise CommandError(f"--{field.name} is required: {declaration(field).help}")
        values[field.name] = tuple(itertools.chain(*value)) if isinstance(value, list) else value
    return config_class(**values)


def config_of(config_class: type[Config], settings: Mapping[str, object]) -> Config:
    """Returns the config that settings ask for, told as the values of flags.

    Raises:
      CommandError: for a required one that is missing.
      ConfigError: for one that there is not, or a value that is refused.
    """
    values = flags.FlagValues()
    define_flags(config_class, values)
    try:
        values(["", *as_flags(settings)])
    except flags.Error as error:
        raise ConfigError(str(error)) from error
    return config_from_flags(config_class, values)


def as_flags(settings: Mapping[str, object]) -> list[str]:
    """Returns settings as flags."""
    return [f"--{name}={value}" for name, value in settings.items()]


def _value_of(field: Field, setting: Setting, flag_values: flags.FlagValues) -> Any:
    """Returns the value given by the name of today or, with a warning, by the name of earlier versions."""
    new = flag_values[field.name]
    old = flag_values[setting.formerly] if setting.formerly else None
    if old is None or old.value is None:
        return new.value
    if new.present:
        raise CommandError(f"--{setting.formerly} is the old name of --{field.name}; give the new one alone")
    logging.warning("--%s is now --%s; the old name goes with the next version", setting.formerly, field.name)
    return old.value


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


def _level(config_class: type, field: Field) -> int:
    """Returns how far up, among the classes that a config inherits from, a setting is declared."""
    classes = config_class.__mro__
    return next(level for level, each in enumerate(classes) if field.name in each.__dict__.get("__annotations__", ()))


def _show(default: Any) -> str:
    if isinstance(default, tuple):
        return ",".join(default)
    return "" if default is None else str(default).lower() if isinstance(default, bool) else str(default)
