"""Users as the library knows them: an id, and a profile that holds one or many values of each field."""

import math
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np

from privwiz.errors import DataError
from privwiz.tables import text_of

__all__ = ["FIELDS", "Profile", "check_id", "normal_profile"]

FIELDS = (
    "gender",
    "hometown",
    "location",
    "school",
    "school_year",
    "concentration",
    "employer",
    "last_name",
    "language",
    "locale",
    "position",
)
"""The profile fields that every network can be compared on; a network may have others beside them."""

Profile: TypeAlias = Mapping[str, tuple[str, ...]]
"""Field -> its values, sorted, without repeats; a field that is missing is not in it."""

_FLOATS = (float, np.floating)
_SEVERAL = (list, tuple, set, frozenset)


def check_id(name: object) -> None:
    """Check that ``name`` can be the id of a user: text, not empty, with nothing that UTF-8 cannot hold.

    Raises
    ------
    DataError
        If it cannot.
    """
    if not isinstance(name, str):
        raise DataError(f"{name!r} is not text; give ids as strings, such as {str(name)!r}")
    if not name:
        raise DataError("an id is empty; give every user an id")
    try:
        name.encode()
    except UnicodeEncodeError:
        raise DataError(f"the id {name!r} holds half a character (a lone surrogate); correct it") from None


def normal_profile(raw: Mapping[Any, object], whose: str) -> dict[str, tuple[str, ...]]:
    """Bring a user's attributes into the form of a `Profile`: text only, sorted, without repeats and missing values.

    Raises
    ------
    DataError
        If a value is something else than text, numbers, booleans or a list, tuple or set of these, or a field has an empty name.

    Examples
    --------
    >>> normal_profile({"school": ["PKU", "MIT", "PKU"], "born": 1990.0, "town": None}, "bo")
    {'born': ('1990',), 'school': ('MIT', 'PKU')}
    """
    profile: dict[str, tuple[str, ...]] = {}
    for key, value in raw.items():
        name = key if type(key) is str else str(key)
        if not name:
            raise DataError(f"the profile of {whose!r} has a field without a name; name it")
        if type(value) is str:
            values: tuple[str, ...] = (value,) if value else ()
        else:
            try:
                texts = {*map(_text, value)} if isinstance(value, _SEVERAL) else {_text(value)}
            except TypeError:
                raise DataError(
                    f"field {name!r} in the profile of {whose!r} holds {value!r:.80}; give text, numbers or a list of these"
                ) from None
            texts.discard("")
            values = tuple(sorted(texts))
        if values:
            profile[name] = tuple(sorted({*profile[name], *values})) if name in profile else values
    return dict(sorted(profile.items())) if len(profile) > 1 else profile


def _text(value: object) -> str:
    return "" if isinstance(value, _FLOATS) and math.isnan(value) else text_of(value)
