"""Reading our own JSON documents: versioned, unambiguous, and with an error that says what to do."""

import json
from typing import Any, TypeVar

from privwiz.errors import DataError

__all__ = ["expect", "read_json"]

T = TypeVar("T")

_KINDS = {str: "a text", int: "a whole number", float: "a number", list: "a list", dict: "an object", bool: "true or false"}


def read_json(text: str, format_name: str) -> dict[str, Any]:
    """Parse one document of the format ``format_name``, such as ``"privwiz.policy/1"``.

    Stricter than `json.loads`: a key that comes twice in one object (which readers resolve differently) and the
    non-standard NaN and Infinity are refused.

    Raises
    ------
    DataError
        If the text is not JSON, not an object, or of another format or version.
    """
    try:
        document = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except DataError:
        raise
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"this is not a JSON document ({error}); the file is damaged or cut off: take a whole copy, or make it anew"
        ) from None
    fields: dict[str, Any] = expect(document, dict, "the document")
    found = expect(fields.get("format"), str, "'format'")
    if found != format_name:
        name, version = format_name.rsplit("/", 1)
        if found.rsplit("/", 1)[0] == name:
            raise DataError(
                f"the format is {found!r:.60}, but this privwiz reads version {version}; export it again from this privwiz"
            )
        raise DataError(f"the format is {found!r:.60}; a document of format {format_name!r} is needed here")
    return fields


def expect(value: object, kind: type[T], where: str) -> T:
    """Return ``value`` if it has the JSON type ``kind``; a whole number passes as `float`, true and false never as numbers.

    Raises
    ------
    DataError
        If it has another type.
    """
    if kind is float and type(value) is int and abs(value) < 2**53:
        value = float(value)
    if type(value) is not kind:
        found = "missing" if value is None else f"{value!r:.40}"
        raise DataError(f"{where} is {found}; it must be {_KINDS[kind]}")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = sorted({key for key in keys if keys.count(key) > 1})
        raise DataError(
            f"the key {twice[0]!r} comes twice in one object; the file was edited or damaged: take a whole copy, or make it anew"
        )
    return document


def _no_constant(name: str) -> float:
    raise DataError(f"{name} is not a number that a file of ours can hold; export it again")
