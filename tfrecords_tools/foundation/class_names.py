"""Which names a class may have: nearly any."""

from collections.abc import Sequence

from tfrecords_tools.foundation.errors import DataError
from tfrecords_tools.foundation.texts import has_control_characters

ALL_CLASSES = "all classes"  # stands beside the names of classes for all of them together


def require_class_names(classes: Sequence[str], place: str) -> None:
    """Does nothing if every table, page and picture can show the names of some classes, and tell them apart.

    Raises:
      DataError: naming the first that is blank, holds control characters or stands for something else; `place` begins
        the message.
    """
    reasons = {
        "is blank": lambda name: not name.strip(),
        "holds control characters": has_control_characters,
        "stands for all of them in the metrics": lambda name: name == ALL_CLASSES,
    }
    for name in classes:
        for reason, holds in reasons.items():
            if holds(name):
                raise DataError(f"{place}: the name of a class, {name!r}, {reason}; give it another")
