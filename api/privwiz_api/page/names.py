"""Names and other texts that people wrote, made safe to read."""

import re
import unicodedata

from privwiz.items import ProfileItem
from privwiz.words import is_readable

__all__ = ["LONGEST_NAME", "LONGEST_TITLE", "initials", "named", "readable"]

LONGEST_NAME = 60
"""Longer names are cut, with an ellipsis."""

LONGEST_TITLE = 90
"""As of the name of a circle, which may name two people."""


def readable(text: str, longest: int = LONGEST_NAME) -> str:
    r"""Return a text without what turns, hides or breaks the text around it, cut to ``longest`` characters.

    >>> readable("Ann\u202e<b>"), readable("x" * 100, 5), readable("\u200b ")
    ('Ann<b>', 'xxxx…', '?')
    """
    kept = (c if is_readable(c) else " " * c.isspace() for c in text[: 8 * longest])
    shown = " ".join("".join(kept).split())
    return (shown if len(shown) <= longest else f"{shown[: longest - 1].rstrip()}…") or "?"


def initials(name: str) -> str:
    """Return one or two letters for a name.

    >>> initials("Ada Lin"), initials("ada"), initials("傅俊杰"), initials("Wei (wei.lin)"), initials("🙂")
    ('AL', 'A', '俊杰', 'W', '🙂')
    """
    words = [word for word in re.split(r"[\s.,_()-]+", re.sub(r"\(.*\)", "", name)) if word] or [name]
    if unicodedata.east_asian_width(words[0][0]) == "W" and unicodedata.category(words[0][0]) == "Lo":
        return words[0][-2:]
    letters = [word[0] for word in (words[0], *words[1:][-1:])]
    return "".join(letters).upper()


def named(item: ProfileItem, language: str) -> str:
    """Return what to call an item where its name stands alone.

    >>> from privwiz.items import profile_item
    >>> named(profile_item("phone"), "en"), named(profile_item("phone"), "zh")
    ('Phone number', '电话号码')
    """
    text = readable(item.text(language))
    return text[0].upper() + text[1:]
