"""JSON documents as dataclasses, so that every file has one type, one reader and one writer.

JSON has no numbers that are not finite: they stand as null in files, and are read as NaN where a number is due.
"""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, field, fields, is_dataclass
from typing import Any, TypeVar

import cattrs
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override

from tfrecords_tools.foundation.errors import DataError
from tfrecords_tools.foundation.files import AnyPath, read_text, write_atomically

Document = TypeVar("Document")

_KEY, _OMITTED = "key", "omitted"


def stored(key: str = "", *, default: Any = MISSING, omit_default: bool = False) -> Any:
    """Declares a field of a document that stands in the file by another name, or only if it differs from its default.

    Arguments:
      key: its name in the file; the name of the field by default.
      default: its value unless another is given.
      omit_default: whether the file leaves it out where it has the default.
    """
    return field(default=default, metadata={_KEY: key, _OMITTED: omit_default})


def as_plain(document: Any) -> Any:
    """Returns a dataclass, and all that it holds, as JSON has it: dictionaries, lists, finite numbers, texts, None."""
    return json_values(_CONVERTER.unstructure(document))


def json_values(values: Any) -> Any:
    """Returns dictionaries, lists and what they hold with None in the place of numbers that are not finite."""
    if isinstance(values, Mapping):
        return {name: json_values(value) for name, value in values.items()}
    if isinstance(values, (list, tuple)):
        return [json_values(value) for value in values]
    return None if isinstance(values, float) and not math.isfinite(values) else values


def from_plain(kind: type[Document], values: Mapping[str, Any]) -> Document:
    """Returns the dataclass that plain values stand for; keys that it does not know are left out.

    Raises:
      ValueError: naming the first key that is missing or cannot be read.
    """
    try:
        return _CONVERTER.structure(values, kind)
    except cattrs.BaseValidationError as error:
        raise ValueError(cattrs.transform_error(error)[0]) from error


def to_text(document: Any) -> str:
    """Returns a document as the text of its file."""
    return json.dumps(as_plain(document), indent=1) + "\n"


def write_document(path: AnyPath, document: Any) -> None:
    """Writes a document atomically."""
    write_atomically(path, to_text(document))


def read_plain(path: AnyPath, remedy: str) -> dict[str, Any]:
    """Returns the values of a JSON file.

    Raises:
      DataError: with the remedy, if the file holds no JSON object.
    """
    try:
        values = json.loads(read_text(path))
    except ValueError as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path}: damaged ({error}); {remedy}") from error
    if not isinstance(values, dict):
        raise DataError(f"{path}: damaged (a JSON {type(values).__name__} where an object should be); {remedy}")
    return values


def read_document(path: AnyPath, kind: type[Document], remedy: str) -> Document:
    """Returns a document.

    Raises:
      DataError: with the remedy, if the file is damaged.
    """
    values = read_plain(path, remedy)
    try:
        return from_plain(kind, values)
    except ValueError as error:
        raise DataError(f"{path}: damaged ({error}); {remedy}") from error


def _overrides(kind: type) -> dict[str, Any]:
    return {each.name: _override(each) for each in fields(kind) if each.metadata.get(_KEY) is not None}


def _override(of: Field) -> Any:
    return override(rename=of.metadata[_KEY] or None, omit_if_default=of.metadata[_OMITTED])


def _make_converter() -> cattrs.Converter:
    converter = cattrs.Converter()
    converter.register_structure_hook(float, lambda value, _: math.nan if value is None else float(value))

    def structure(kind: type) -> Callable:
        return make_dict_structure_fn(kind, converter, **_overrides(kind))

    def unstructure(kind: type) -> Callable:
        return make_dict_unstructure_fn(kind, converter, **_overrides(kind))

    converter.register_structure_hook_factory(is_dataclass, structure)
    converter.register_unstructure_hook_factory(is_dataclass, unstructure)
    return converter


_CONVERTER = _make_converter()
