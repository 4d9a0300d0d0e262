"""Settings: each declared once, as a dataclass field with its help text, from which commands make their flags."""

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any, TypeVar

from tfrecords_tools.foundation.errors import ConfigError

Config = TypeVar("Config")

IMAGE_SIZE = 128  # pixels: the default of all commands, so that what is stored, drawn and trained on has one size


class Settings:
    """The base of every config, a frozen dataclass of settings.

    A config may inherit settings that several have. Each checks its own in `__post_init__`, then calls the next one.
    """

    def __post_init__(self) -> None:
        """Checks the values."""


_DECLARATION = "setting"


@dataclass(frozen=True, kw_only=True)
class Setting:
    """The declaration of a setting.

    Attributes:
      help: one line for `--help`.
      choices: the values allowed, where they are few.
      changes_result: False for settings such as the number of workers, which may differ when a run resumes.
      same_baseline: False where two runs that differ in it still are the same baseline, and may be compared.
      is_path: True for the path of something that is read: it is told by its contents, wherever it lies.
      words: values of such a setting that are no path.
      formerly: the name of this setting in earlier versions.
      earlier: what versions without this setting did, where that is not its default.
    """

    help: str = ""
    choices: tuple[str, ...] | None = None
    changes_result: bool = True
    same_baseline: bool = True
    is_path: bool = False
    words: tuple[str, ...] = ()
    formerly: str = ""
    earlier: Any = MISSING


def setting(
    default: Any = MISSING,
    help: str = "",
    *,
    choices: Sequence[str] | None = None,
    changes_result: bool = True,
    same_baseline: bool = True,
    is_path: bool = False,
    words: Sequence[str] = (),
    formerly: str = "",
    earlier: Any = MISSING,
) -> Any:
    """Declares a dataclass field as a setting.

    Arguments:
      default: its value unless the user gives another; without one the setting is required.
      help, choices, changes_result, same_baseline, is_path, words, formerly, earlier: see `Setting`.
    """
    declared = Setting(
        help=help,
        choices=tuple(choices) if choices else None,
        changes_result=changes_result,
        same_baseline=same_baseline and changes_result,
        is_path=is_path,
        words=tuple(words),
        formerly=formerly,
        earlier=default if earlier is MISSING else earlier,
    )
    return field(default=default, metadata={_DECLARATION: declared})


def declaration(of: Field) -> Setting:
    """Returns the declaration of a field."""
    return of.metadata[_DECLARATION]


def setting_of(config_class: type, name: str) -> Setting:
    """Returns the declaration of the setting of a name."""
    return next(declaration(each) for each in fields(config_class) if each.name == name)


def is_required(of: Field) -> bool:
    """Returns whether a setting has no default."""
    return of.default is MISSING


def baseline_settings(config_class: type) -> tuple[str, ...]:
    """Returns the names of the settings in which runs of the same baseline agree."""
    return tuple(each.name for each in fields(config_class) if declaration(each).same_baseline)


def result_settings(config_class: type) -> tuple[str, ...]:
    """Returns the names of the settings that decide a result, and so must stay when a run resumes."""
    return tuple(each.name for each in fields(config_class) if declaration(each).changes_result)


def path_settings(config_class: type) -> tuple[str, ...]:
    """Returns the names of the settings that are paths of what is read."""
    return tuple(each.name for each in fields(config_class) if declaration(each).is_path)


def read_settings(config_class: type[Config], stored: Mapping[str, Any]) -> Config:
    """Returns the config that stored settings stand for; what came after they were stored is as it was before.

    Arguments:
      config_class: a dataclass of settings.
      stored: settings by name, as JSON holds them; settings that the class does not have are left out.
    """
    known = current_names(config_class, stored)
    values = {each.name: known[each.name] for each in fields(config_class) if each.name in known}
    return config_class(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})


def inherited(config: Any, config_class: type[Config]) -> Config:
    """Returns those settings of a config that it has from a class that it inherits from."""
    return config_class(**{each.name: getattr(config, each.name) for each in fields(config_class)})


def current_names(config_class: type, stored: Mapping[str, Any]) -> dict[str, Any]:
    """Returns stored settings by the names of today, completed by those that came later, as it was before them."""
    renamed = {declaration(each).formerly: each.name for each in fields(config_class) if declaration(each).formerly}
    known = {renamed.get(name, name): value for name, value in stored.items()}
    defaults = {each.name: declaration(each).earlier for each in fields(config_class) if not is_required(each)}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in defaults.items()} | known


def differences(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """Returns every setting that differs, with both values, as text; empty where all agree."""
    names = [name for name in {**found, **wanted} if found.get(name) != wanted.get(name)]
    return "; ".join(f"{name} was {found.get(name)!r}, now {wanted.get(name)!r}" for name in names)


def require(condition: bool, name: str, value: Any, allowed: str) -> None:
    """Raises ConfigError that names the setting, its value and what is allowed, unless the condition holds."""
    if not condition:
        raise ConfigError(f"{name} is {value}; it must be {allowed}")
