"""Decisions: allow, deny or ask; the rule that takes them, and the difference between two tables of them."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from functools import cache, cached_property
from itertools import pairwise
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from privwiz.errors import DataError
from privwiz.items import ProfileItem, profile_item
from privwiz.strict_json import expect, read_json
from privwiz.words import DECISIONS, check_language, join_names, say

__all__ = [
    "DECIDED",
    "DIFF_FORMAT",
    "STATED",
    "Change",
    "Decision",
    "DecisionTable",
    "DiffCounts",
    "PolicyDiff",
    "decide",
    "decide_numbers",
    "read_decision",
    "threshold",
]

DIFF_FORMAT = "privwiz.policy-diff/1"

STATED: Mapping[str, int] = {"nothing": 0, "allow": 1, "deny": -1, "not sure": 2}
"""What the user said about one cell, and its number in ``Policy.stated``."""


class Decision(StrEnum):
    """What holds for one item and one friend. Only ``ALLOW`` shows the item; ``ASK`` hides it until the user decides."""

    ALLOW = "allow"
    DENY = "deny"
    ASK = "ask"

    def text(self, language: str = "en") -> str:
        """Say what it means for the friend: "shown", "hidden", "hidden until you decide"."""
        return say(DECISIONS, self.value, language)


DecisionTable = Mapping[tuple[str, str], Decision]
"""(Item, friend) -> decision: what a service stores and enforces, without probabilities and reasons."""


@cache
def threshold(cost_ratio: float) -> float:
    """Return the probability above which allowing has the lower expected cost: c / (1 + c), never rounded down.

    Allowing costs c (1 - p) and denying costs p, so allow if p > c / (1 + c) (Elkan 2001, "The Foundations of
    Cost-Sensitive Learning", section 2). Where that number has no exact float the next larger one is taken: rounding can
    turn an ``allow`` into an ``ask``, never the other way round.

    >>> threshold(3), threshold(1e300)
    (0.75, 1.0)

    Raises
    ------
    DataError
        If the cost ratio is not a finite number from 1 up.
    """
    if not 1 <= cost_ratio < float("inf"):
        raise DataError(f"the cost ratio is {cost_ratio}; it must be a finite number from 1 up")
    exact = Fraction(cost_ratio) / (1 + Fraction(cost_ratio))
    nearest = float(exact)
    return nearest if nearest >= exact else float(np.nextafter(nearest, 1.0))


DECIDED = (Decision.DENY, Decision.ASK, Decision.ALLOW)
"""Every decision, from the safest on."""


def decide(
    items: tuple[ProfileItem, ...], probability: npt.NDArray[np.float64], stated: npt.NDArray[np.int8]
) -> npt.NDArray[np.object_]:
    """Take the decision of every cell.

    The user's own answer wins: allow -> `Decision.ALLOW`, deny -> `Decision.DENY`, not sure -> `Decision.ASK`. Else
    `Decision.ALLOW` above the `threshold` of the item's cost ratio, `Decision.ASK` from 1/2 up to it, `Decision.DENY` below
    and for anything that cannot be compared.

    Parameters
    ----------
    items : tuple of `ProfileItem`, length J
    probability : float64 array of shape (J, n)
        Of "allow".
    stated : int8 array of shape (J, n)
        Numbers of `STATED`.

    Returns
    -------
    object array of shape (J, n)
        Of `Decision`.
    """
    # Looked up, because numpy turns a text that is assigned to a cell into its plain `str`.
    return np.array(DECIDED, dtype=object)[decide_numbers(items, probability, stated)]


def decide_numbers(
    items: tuple[ProfileItem, ...], probability: npt.NDArray[np.float64], stated: npt.NDArray[np.int8]
) -> npt.NDArray[np.int8]:
    """Do the same in numbers: int8 array of shape (J, n), positions in `DECIDED`."""
    limits = np.array([threshold(item.cost_ratio) for item in items], dtype=np.float64)[:, None]
    unsaid = stated == STATED["nothing"]
    ask = unsaid & (probability >= 0.5) | (stated == STATED["not sure"])
    allow = unsaid & (probability > limits) | (stated == STATED["allow"])
    return np.where(allow, 2, ask).astype(np.int8)


class Change(NamedTuple):
    """One cell whose decision differs; None where one of the two tables does not have the cell."""

    item: str
    friend: str
    before: Decision | None
    after: Decision | None


class DiffCounts(NamedTuple):
    """How many cells are shown from now on, are no longer shown, and wait for the user from now on.

    An allow that becomes an ask counts as no longer shown and as waiting.
    """

    shown: int
    hidden: int
    asked: int


@dataclass(frozen=True)
class PolicyDiff:
    """What changes from one table of decisions to another: to look at before it is applied, to apply, to take back.

    Parameters
    ----------
    ego : str
        Whose policy.
    changes : tuple of `Change`
        Sorted by item, then friend; each cell at most once, each with two different decisions.

    Raises
    ------
    DataError
        If a cell comes twice or a change changes nothing.
    """

    ego: str
    changes: tuple[Change, ...]

    def __post_init__(self) -> None:
        ordered = tuple(sorted(self.changes, key=lambda change: (change.item, change.friend)))
        for change in ordered:
            if change.before == change.after:
                raise DataError(f"the change of item {change.item!r} for friend {change.friend!r} changes nothing; leave it out")
        for change, following in pairwise(ordered):
            if change[:2] == following[:2]:
                raise DataError(f"the change of item {change.item!r} for friend {change.friend!r} comes twice; keep one")
        object.__setattr__(self, "changes", ordered)

    @classmethod
    def between(cls, ego: str, before: DecisionTable, after: DecisionTable) -> "PolicyDiff":
        """Compare two tables of one user.

        >>> PolicyDiff.between("alice", {("phone", "bob"): Decision.ASK}, {("phone", "bob"): Decision.ALLOW}).counts
        DiffCounts(shown=1, hidden=0, asked=0)
        """
        cells = before.keys() | after.keys()
        changes = (Change(*cell, before.get(cell), after.get(cell)) for cell in cells)
        return cls(ego, tuple(change for change in changes if change.before != change.after))

    def inverse(self) -> "PolicyDiff":
        """Return the diff that takes this one back."""
        return PolicyDiff(self.ego, tuple(Change(c.item, c.friend, c.after, c.before) for c in self.changes))

    def apply(self, table: DecisionTable) -> dict[tuple[str, str], Decision]:
        """Return ``table`` with the changes made.

        Raises
        ------
        DataError
            If a cell is not as it was when the diff was made: something else changed it since, and would be lost.
        """
        changed = dict(table)
        for change in self.changes:
            cell = (change.item, change.friend)
            if table.get(cell) != change.before:
                raise DataError(
                    f"item {change.item!r} for friend {change.friend!r} is {_word(table.get(cell))}, but the diff was made when "
                    f"it was {_word(change.before)}; make the diff again from the present policy"
                )
            if change.after is None:
                del changed[cell]
            else:
                changed[cell] = change.after
        return changed

    @cached_property
    def counts(self) -> DiffCounts:
        """How many cells become visible, stop being visible, and wait for the user."""
        return DiffCounts(len(_shown(self.changes)), len(_hidden(self.changes)), len(_asked(self.changes)))

    def text(self, language: str = "en", names: Mapping[str, str] = MappingProxyType({})) -> str:
        """Say what changes: one line in all, then one line for each item that somebody sees from now on, or no longer sees.

        Parameters
        ----------
        language : str
        names : mapping of str to str
            Id of a friend -> what people call the friend; the id where it is missing.

        Raises
        ------
        DataError
            If the language is not known.
        """
        chinese = check_language(language) == "zh"
        if not self.changes:
            return "没有变化。" if chinese else "Nothing changes."
        shown, hidden, asked = self.counts
        if chinese:
            parts = [f"新增可见 {shown} 处", f"不再可见 {hidden} 处", f"等您决定 {asked} 处"]
            lines = ["；".join(parts) + "。"]
        else:
            lines = [f"{shown} newly shown, {hidden} no longer shown, {asked} newly waiting for your decision."]
        for item in sorted({change.item for change in self.changes}):
            changes = [change for change in self.changes if change.item == item]
            gains = [names.get(change.friend, change.friend) for change in _shown(changes)]
            losses = [names.get(change.friend, change.friend) for change in _hidden(changes)]
            name = profile_item(item).text(language)
            if gains:
                lines.append(_GAIN[chinese].format(item=name, friends=join_names(gains, language)))
            if losses:
                lines.append(_LOSS[chinese].format(item=name, friends=join_names(losses, language)))
        return "\n".join(lines)

    def to_json(self, indent: int | None = None) -> str:
        """Write it as JSON, described in ``docs/formats.md``."""
        rows = [[c.item, c.friend, c.before, c.after] for c in self.changes]
        document = {"format": DIFF_FORMAT, "ego": self.ego, "changes": rows}
        return json.dumps(document, ensure_ascii=False, indent=indent, separators=None if indent else (",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "PolicyDiff":
        """Read what `to_json` wrote.

        Raises
        ------
        DataError
            If the text is not such a document; says what is wrong with it.
        """
        document = read_json(text, DIFF_FORMAT)
        ego = expect(document.get("ego"), str, "'ego'")
        rows = expect(document.get("changes"), list, "'changes'")
        return cls(ego, tuple(_read_change(row, f"'changes'[{number}]") for number, row in enumerate(rows)))


_GAIN = ("{item}: newly shown to {friends}", "{item}：新增可见：{friends}")
_LOSS = ("{item}: no longer shown to {friends}", "{item}：不再可见：{friends}")


def _shown(changes: Iterable[Change]) -> list[Change]:
    return [change for change in changes if change.after == Decision.ALLOW]


def _hidden(changes: Iterable[Change]) -> list[Change]:
    return [change for change in changes if change.before == Decision.ALLOW]


def _asked(changes: Iterable[Change]) -> list[Change]:
    return [change for change in changes if change.after == Decision.ASK]


def _word(decision: Decision | None) -> str:
    return "not there" if decision is None else repr(decision.value)


def _read_change(row: object, where: str) -> Change:
    values = expect(row, list, where)
    if len(values) != 4:
        raise DataError(f"{where} has {len(values)} parts; it needs item, friend, before, after")
    before, after = (None if value is None else read_decision(value, where) for value in values[2:])
    return Change(expect(values[0], str, where), expect(values[1], str, where), before, after)


def read_decision(value: object, where: str) -> Decision:
    """Return the decision named ``value``; raises `DataError` for anything else, with ``where`` it stands."""
    name = expect(value, str, where)
    if name not in set(Decision):
        raise DataError(f"{where} is {name!r:.40}; a decision is one of {', '.join(Decision)}")
    return Decision(name)
