"""The words that people read, in English and Simplified Chinese, wherever more than one module says them."""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence

from privwiz.errors import DataError

__all__ = [
    "AUDIENCES",
    "DECISIONS",
    "LANGUAGES",
    "LEVELS",
    "amount",
    "check_language",
    "is_readable",
    "join_names",
    "list_some",
    "nearest_audience",
    "say",
]

LANGUAGES = ("en", "zh")

_UNREADABLE = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
_JOINERS = "\u200c\u200d"

DECISIONS: Mapping[str, Mapping[str, str]] = {
    "allow": {"en": "shown", "zh": "可见"},
    "deny": {"en": "hidden", "zh": "不可见"},
    "ask": {"en": "hidden until you decide", "zh": "暂不可见，等您决定"},
}
"""What a decision means for the friend it is about."""

LEVELS: Mapping[str, Mapping[str, str]] = {
    "allow": {"en": "allow", "zh": "允许"},
    "deny": {"en": "do not allow", "zh": "不允许"},
    "none": {"en": "none of them", "zh": "都不行"},
    "some": {"en": "some of them", "zh": "一部分人可以"},
    "most": {"en": "most of them", "zh": "大多数人可以"},
    "all": {"en": "all of them", "zh": "都可以"},
}
"""What a toggle about one friend (allow, deny) or about a circle (none, some, most, all) can be set to."""

AUDIENCES: Mapping[str, Mapping[str, str]] = {
    "nobody": {"en": "nobody", "zh": "没有人"},
    "few": {"en": "few people", "zh": "少数人"},
    "half": {"en": "about half of your friends", "zh": "大约一半好友"},
    "most": {"en": "most people", "zh": "大多数人"},
    "everybody": {"en": "everybody", "zh": "所有人"},
}
"""How many of all friends may see an item, from the fewest to the most."""


def amount(number: int, one: str, several: str | None = None) -> str:
    """Return how many there are of something, where only English is spoken.

    >>> amount(1, "user"), amount(1234, "user"), amount(2, "process", "processes")
    ('1 user', '1,234 users', '2 processes')
    """
    return f"{number:,} {one if number == 1 else several or f'{one}s'}"


def list_some(names: Iterable[str], limit: int = 10) -> str:
    """Return the first ``limit`` names in a row, with dots where there are more, where only English is spoken.

    >>> list_some(["ann", "bo"], 2), list_some(["ann", "bo", "cy"], 2)
    ('ann, bo', 'ann, bo ...')
    """
    listed = list(names)
    return ", ".join(listed[:limit]) + (" ..." if len(listed) > limit else "")


def is_readable(character: str) -> bool:
    """Whether a character stands for itself, and does not steer, turn, hide or break the text around it.

    The joiners of several scripts and of emoji are readable.

    >>> is_readable("a"), is_readable("\N{RIGHT-TO-LEFT OVERRIDE}"), is_readable("\N{ZERO WIDTH JOINER}")
    (True, False, True)
    """
    return character in _JOINERS or unicodedata.category(character) not in _UNREADABLE


def check_language(language: str) -> str:
    """Return ``language`` if its words are known.

    Raises
    ------
    DataError
        For anything but ``"en"`` and ``"zh"``.
    """
    if language not in LANGUAGES:
        raise DataError(f"language {language!r} is not known; use 'en' (English) or 'zh' (Simplified Chinese)")
    return language


def say(words: Mapping[str, Mapping[str, str]], key: str, language: str = "en") -> str:
    """Look up one word of `DECISIONS`, `LEVELS` or `AUDIENCES`.

    >>> say(DECISIONS, "ask"), say(LEVELS, "most", "zh")
    ('hidden until you decide', '大多数人可以')

    Raises
    ------
    DataError
        If the word or the language is not known.
    """
    check_language(language)
    if key not in words:
        raise DataError(f"{key!r} is not known here; use one of {', '.join(words)}")
    return words[key][language]


def nearest_audience(share: float) -> str:
    """Return the key of `AUDIENCES` for a share of all friends; nobody and everybody only where that is exactly true.

    >>> [nearest_audience(share) for share in (0, 0.02, 0.5, 0.7, 0.99, 1)]
    ['nobody', 'few', 'half', 'most', 'most', 'everybody']

    Raises
    ------
    DataError
        If ``share`` does not lie in 0..1.
    """
    if not 0 <= share <= 1:
        raise DataError(f"a share of friends of {share} makes no sense; it must lie in 0..1")
    if share in {0, 1}:
        return "everybody" if share else "nobody"
    return "few" if share < 0.35 else "half" if share <= 0.65 else "most"


def join_names(names: Sequence[str], language: str = "en", *, limit: int = 2) -> str:
    """Join names as in a sentence; more than ``limit + 1`` of them are cut to the first ``limit`` and a number.

    >>> join_names(["Ann", "Bo", "Carol"]), join_names(["Ann", "Bo", "Carol", "Dan"])
    ('Ann, Bo and Carol', 'Ann, Bo and 2 others')
    >>> join_names(["Ann", "Bo"], "zh"), join_names(["Ann", "Bo", "Carol", "Dan"], "zh")
    ('Ann和Bo', 'Ann、Bo等4人')

    Raises
    ------
    DataError
        If the language is not known.
    """
    chinese = check_language(language) == "zh"
    comma, last = ("、", "和") if chinese else (", ", " and ")
    if not names:
        return say(AUDIENCES, "nobody", language)
    if len(names) == 1:
        return names[0]
    if len(names) <= limit + 1:
        return comma.join(names[:-1]) + last + names[-1]
    shown = comma.join(names[:limit])
    return f"{shown}等{len(names)}人" if chinese else f"{shown} and {len(names) - limit} others"
