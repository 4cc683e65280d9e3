"""Text for a terminal: columns that line up whatever the script, and bars."""

import shutil
import unicodedata
from collections.abc import Collection, Sequence
from itertools import accumulate

from privwiz.words import is_readable

__all__ = ["bar", "cut", "pad", "plain", "render_table", "terminal_width", "text_width"]

_NARROWEST, _WIDEST = 60, 110


def terminal_width() -> int:
    """Return how many columns to fill: those of the terminal, within 60 and 110; 80 where there is no terminal."""
    return min(max(shutil.get_terminal_size((80, 24)).columns - 1, _NARROWEST), _WIDEST)


def plain(text: str) -> str:
    """Return a text with replacements for what steers, turns, hides or breaks the text around it, as a name from a file might."""
    return "".join(character if is_readable(character) else "\N{REPLACEMENT CHARACTER}" for character in text)


def text_width(text: str) -> int:
    """Return how many columns a terminal needs for a text.

    >>> text_width("Bo 波")
    5
    """
    return sum(map(_columns, text))


def cut(text: str, width: int) -> str:
    """Return a text cut to ``width`` columns, made `plain`, and with an ellipsis where something is missing.

    >>> cut("Kingsbrook High School", 12), cut("海州师范大学", 7)
    ('Kingsbrook …', '海州师…')
    """
    text = plain(text)
    if text_width(text) <= width:
        return text
    kept = sum(end <= width - 1 for end in accumulate(map(_columns, text)))
    return f"{text[:kept]}…"


def pad(text: str, width: int, *, right: bool = False) -> str:
    """Return a text filled up with spaces to ``width`` columns, at its end or, if ``right``, before it."""
    space = " " * (width - text_width(text))
    return space + text if right else text + space


def bar(share: float, width: int = 20) -> str:
    """Return a bar that is filled to a share 0..1.

    >>> bar(0.5, 6)
    '███░░░'
    """
    full = min(width, max(0, round(share * width)))
    return "█" * full + "░" * (width - full)


def render_table(
    head: Sequence[str], rows: Sequence[Sequence[str]], right: Collection[int] = (), width: int | None = None
) -> str:
    """Return lines with aligned columns; the last two columns share what is left of ``width`` and are cut to it.

    Parameters
    ----------
    right : collection of int
        Columns that are aligned at their right side.
    """
    table = [list(map(plain, row)) for row in (head, *rows)]
    widths = [max(text_width(row[k]) for row in table) for k in range(len(head))]
    if width is not None:
        left = width - sum(widths[:-2]) - 2 * (len(head) - 1)
        if sum(widths[-2:]) > left:
            widths[-2] = min(widths[-2], max(left // 2, left - widths[-1]))
            widths[-1] = max(1, left - widths[-2])
    lines = (
        "  ".join(pad(cut(cell, widths[k]), widths[k], right=k in right) for k, cell in enumerate(row)).rstrip() for row in table
    )
    return "\n".join(lines)


def _columns(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in ("Cf", "Cc", "Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
