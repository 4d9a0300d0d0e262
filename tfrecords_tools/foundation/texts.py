"""Texts that users chose, such as names of classes, images and folders, as a line of a terminal, a log or a page."""

import re
from collections.abc import Sequence

# Control characters, among them those that command a terminal; ends of lines; halves of characters, as the names of
# files that are not UTF-8 have them, and others that XML does not know.
_CONTROL = "\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff"
_TURNING = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # the direction of what is written after them
_LONGEST_FILE_NAME = 50  # letters, of at most four bytes each


def in_one_line(text: str) -> str:
    r"""Returns a text with every character that would not stay in its place as an escape, such as `\x1b` or `\n`."""
    return re.sub(f"[{_CONTROL}{_TURNING}]", lambda found: found[0].encode("unicode_escape").decode(), text)


def has_control_characters(text: str) -> bool:
    """Returns whether a text holds control characters, ends of lines or halves of characters."""
    return re.search(f"[{_CONTROL}]", text) is not None


def first_names(names: Sequence[str], most: int) -> str:
    """Returns names as a list in a sentence; of more than `most`, the first and how many there are more."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def as_file_name(text: str) -> str:
    """Returns a text as a part of the name of a file: letters, digits, `-` and `_` of any language, others as `_`.

    It is shortened so that the name stays below the 255 bytes that file systems allow.
    """
    return re.sub(r"[^\w-]", "_", text)[:_LONGEST_FILE_NAME]
