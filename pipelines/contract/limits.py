"""Limits that a setting gives as a count or as a fraction: 100, 0.01 and 1%."""

import math
import re
from fractions import Fraction

from tfrecords_tools.foundation.errors import ConfigError


def allowed_of(limit: str, total: int, field: str) -> int:
    """Returns how many of a total a limit allows, a fraction of them rounded down.

    Arguments:
      limit: a whole number counts; a number with a point, from 0.0 to 1.0, or a percentage, is a fraction.
      total: how many there are.
      field: the setting, for the message.

    Raises:
      ConfigError: for anything else.
    """
    if re.fullmatch(r"[0-9]+", limit):
        return int(limit)
    if match := re.fullmatch(r"([0-9]*\.?[0-9]+|[0-9]+\.)(%?)", limit):
        fraction = Fraction(match[1]) / (100 if match[2] else 1)  # exact: 0.07 of 100 is 7
        if fraction <= 1:
            return math.floor(fraction * total)
    raise ConfigError(f"{field} is {limit}; it must be a count such as 100, or a fraction such as 0.01 or 1%")
