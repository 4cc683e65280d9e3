"""A screen of the wizard as the page shows it: sections of rows, each with its choices and the suggestion."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from privwiz.answers import AUDIENCE_SHARES, CELL_CHOICES, UNSURE
from privwiz.circles import Circle
from privwiz.screens import Screen, Toggle
from privwiz_api.page.names import named, readable

__all__ = ["Choice", "Row", "Section", "crowd", "read_values", "sections", "stamp", "suggested"]


@dataclass(frozen=True, slots=True)
class Choice:
    """One answer that can be given: its value, the key of its text, and whether it is filled in."""

    value: str
    text: str
    checked: bool
    suggested: bool


@dataclass(frozen=True, slots=True)
class Row:
    """One toggle.

    Parameters
    ----------
    number : int
        Position among the toggles of the screen: the field ``a`` and this number holds its answer.
    item : str
        Id of the item.
    label : str
        What it is about where the section does not say it: the item, or a circle.
    size : int
        Of the group, if the row is about one; 0 where the section says who they are.
    question : str
        The whole question, for those who hear it.
    choices : tuple of Choice
        The last one is "not sure".
    suggestion : str
        Key of the text of the suggestion.
    sure : bool
        Whether the suggestion was filled in.
    """

    number: int
    item: str
    label: str
    size: int
    question: str
    choices: tuple[Choice, ...]
    suggestion: str
    sure: bool


@dataclass(frozen=True, slots=True)
class Section:
    """Rows about the same people, or about everybody: then there is no title.

    Parameters
    ----------
    title : str
    size : int
    circle : str
        Id of the circle that it is about, if it is one that the user can correct.
    rows : tuple of Row
    """

    title: str
    size: int
    circle: str
    rows: tuple[Row, ...]


def sections(
    screen: Screen, circles: Mapping[tuple[str, ...], Circle], language: str, filled: Sequence[str | None] | None = None
) -> tuple[Section, ...]:
    """Arrange a screen.

    Parameters
    ----------
    screen : Screen
    circles : mapping
        Members -> the circle, for all that may be asked about.
    language : str
    filled : sequence of str or None, optional
        What each toggle is set to so far; what is preset unless given.
    """
    if screen.kind == "audience":
        return (Section("", 0, "", tuple(_row(k, toggle, language, filled) for k, toggle in enumerate(screen.toggles))),)
    found: dict[tuple[str, ...], list[Row]] = {}
    titles: dict[tuple[str, ...], str] = {}
    for k, toggle in enumerate(screen.toggles):
        key = () if screen.kind == "item" else toggle.friends
        titles[key] = "" if screen.kind == "item" else _who(toggle, circles, language)
        row = _row(k, toggle, language, filled)
        if screen.kind == "item":
            row = _about_circle(row, toggle, circles, language)
        found.setdefault(key, []).append(row)
    return tuple(
        Section(titles[friends], len(friends), _correctable(circles.get(friends)), tuple(rows)) for friends, rows in found.items()
    )


def stamp(screen: Screen) -> str:
    """Return what tells this screen from any other: answers to another one must not be taken for answers to it."""
    told = [screen.kind, screen.position, *([toggle.item, *toggle.friends] for toggle in screen.toggles)]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:24]


def crowd(friends: Sequence[str]) -> str:
    """Return what tells these friends from any others: a button must not be about people whom the user did not see."""
    return hashlib.sha256(json.dumps(sorted(friends)).encode()).hexdigest()[:16]


def read_values(form: Mapping[str, str]) -> tuple[str | None, ...]:
    """Read what a form says about each toggle: None where nothing was said. Whether a toggle takes it is for the wizard to say.

    >>> read_values({"screen": "x", "rows": "3", "a0": "most", "a2": "unsure"})
    ('most', None, 'unsure')
    """
    rows = form.get("rows", "")
    count = int(rows) if rows.isdecimal() and len(rows) < 3 else 0
    return tuple(form.get(f"a{k}") or None for k in range(count))


def suggested(screen: Screen, values: Sequence[str | None]) -> tuple[str | None, ...]:
    """Return the values with the suggestion where nothing was said."""
    return tuple(value or toggle.likeliest for value, toggle in zip(values, screen.toggles, strict=False))


def _values(toggle: Toggle) -> tuple[str, ...]:
    return toggle.choices or tuple(AUDIENCE_SHARES)


def _row(number: int, toggle: Toggle, language: str, filled: Sequence[str | None] | None) -> Row:
    vocabulary = "friend" if toggle.choices == CELL_CHOICES else "circle" if toggle.choices else "audience"
    sure = toggle.preset is not None
    chosen = toggle.preset if filled is None else filled[number]
    choices = tuple(
        Choice(value, f"{vocabulary}_{value}", value == chosen, value == toggle.likeliest) for value in (*_values(toggle), UNSURE)
    )
    question, suggestion = readable(toggle.text(language), 200), f"{vocabulary}_{toggle.likeliest}"
    return Row(number, toggle.item, named(toggle.profile_item, language), 0, question, choices, suggestion, sure)


def _about_circle(row: Row, toggle: Toggle, circles: Mapping[tuple[str, ...], Circle], language: str) -> Row:
    label = _who(toggle, circles, language)
    return Row(row.number, "", label, len(toggle.friends), row.question, row.choices, row.suggestion, row.sure)


def _who(toggle: Toggle, circles: Mapping[tuple[str, ...], Circle], language: str) -> str:
    known = circles.get(toggle.friends)
    return readable(toggle.who[language == "zh"] if known is None else known.text(language), 90)


def _correctable(circle: Circle | None) -> str:
    """Return the id of a circle that was found among ties; friends who share an attribute are no matter of opinion."""
    return circle.id if circle is not None and circle.level >= 0 else ""
