"""The exceptions that users meet."""


class ConfigError(ValueError):
    """A setting, or a combination of settings, that cannot work; the message names the field and the remedy."""


class CannotJudge(ValueError):
    """A metric that these images do not allow; the message says why. Other metrics may be possible."""


class Preempted(Exception):
    """The training was asked to stop and has saved a checkpoint; the same command goes on from there."""


def look_up(table: dict, name: str, field: str) -> object:
    """Returns an entry of a table.

    Raises:
      ConfigError: naming the field and the known entries.
    """
    if name not in table:
        raise ConfigError(f"{field} is {name!r}; known are {', '.join(table)}")
    return table[name]
