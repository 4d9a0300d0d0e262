"""Errors that a user, a disk or a network can cause: each message names the place, the value and the remedy."""


class UserError(Exception):
    """An error that ends a command with one line instead of a traceback."""


class ConfigError(UserError, ValueError):
    """A setting, or a combination of settings, that cannot work."""


class DataError(UserError, ValueError):
    """Input files or shards that cannot be used."""


class MissingFileError(DataError):
    """A file that a bucket or a zip file does not have."""


class DamagedFileError(DataError):
    """A file that cannot be taken out of a zip file."""


class CommandError(UserError):
    """A command that cannot start or continue."""


class Preempted(Exception):
    """A training that was asked to stop and has saved a checkpoint; the same command resumes from there."""


def look_up(table: dict, name: str, field: str) -> object:
    """Returns an entry of a table.

    Raises:
      ConfigError: naming the field and the known entries.
    """
    if name not in table:
        raise ConfigError(f"{field} is {name!r}; known are {', '.join(table)}")
    return table[name]
