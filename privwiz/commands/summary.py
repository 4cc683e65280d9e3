"""A policy in a terminal: how many see each item, and how many of each circle."""

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from privwiz.commands.terminal import cut, pad, render_table, terminal_width
from privwiz.commands.texts import tell
from privwiz.decisions import Decision

if TYPE_CHECKING:
    from privwiz.circles import Circle, Circles
    from privwiz.policy import Policy

__all__ = ["policy_summary"]

_MOST_CIRCLES = 12
_MOST_COLUMNS = 12


def policy_summary(policy: "Policy", circles: "Circles", language: str = "en") -> str:
    """Return a table of items x (shown, hidden, to decide), and one of circles x items in percent."""
    first, *others = tell("columns", language).split("|")
    rows = []
    for number, item in enumerate(policy.items, start=1):
        counts = policy.counts(item.id)
        rows.append(
            [
                str(number),
                item.text(language),
                *(str(counts[decision]) for decision in (Decision.ALLOW, Decision.DENY, Decision.ASK)),
            ]
        )
    parts = [render_table(["", first, *others], rows, right=(0, 2, 3, 4)), tell("to_decide", language)]
    if chosen := _partition(circles):
        parts += ["", tell("by_circle", language), *_by_circle(policy, chosen, language)]
    return "\n".join(parts)


def _partition(circles: "Circles") -> "tuple[Circle, ...]":
    """Return the circles of the finest level that has a dozen or fewer: they share nobody, and a screen holds them."""
    levels = [circles.level(k) for k in range(len(circles.resolutions))]
    return next((level for level in reversed(levels) if 0 < len(level) <= _MOST_CIRCLES), ())


def _by_circle(policy: "Policy", circles: "tuple[Circle, ...]", language: str) -> list[str]:
    position = {friend: k for k, friend in enumerate(policy.friends)}
    groups = [(circle.text(language), np.array([position[friend] for friend in circle.members])) for circle in circles]
    outside = np.setdiff1d(np.arange(len(policy.friends)), np.concatenate([members for _, members in groups]))
    if len(outside):
        groups.append((tell("outside", language), outside))
    lines = []
    for start in range(0, len(policy.items), _MOST_COLUMNS):
        columns = range(start, min(start + _MOST_COLUMNS, len(policy.items)))
        name = max(16, min(48, terminal_width() - 6 - 4 * len(columns)))
        lines.append(f"{pad(tell('circle', language), name + 6)}{''.join(f'{j + 1:>4}' for j in columns)}")
        for text, members in groups:
            label = pad(cut(text, name - 1), name)
            lines.append(f"{label}{f'({len(members)})':>6}{''.join(f'{_percent(policy.shown[j, members]):>4}' for j in columns)}")
    return lines


def _percent(shown: npt.NDArray[np.bool_]) -> str:
    """Return the share in percent; only nobody is ``·`` and only everybody 100."""
    if not shown.any():
        return "·"
    return str(100 if shown.all() else min(99, max(1, round(100 * float(shown.mean())))))
