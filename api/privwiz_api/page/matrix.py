"""The policy as the page shows it: how many of each group see each item, and every cell with its reason."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from privwiz.decisions import STATED, Decision, DecisionTable
from privwiz.items import ProfileItem
from privwiz.policy import Policy
from privwiz_api.page.groups import Group
from privwiz_api.page.names import named
from privwiz_api.page.people import reason_text

__all__ = [
    "Cell",
    "Count",
    "ItemChange",
    "OpenPart",
    "cells",
    "changes",
    "count",
    "counts",
    "open_parts",
    "side_effects",
    "worked_out",
]


@dataclass(frozen=True, slots=True)
class Count:
    """How many see an item, do not see it, and do not see it until the user decides."""

    shown: int
    hidden: int
    undecided: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.shown + self.hidden + self.undecided

    @property
    def word(self) -> str:
        """Say it in one word: ``"all"``, ``"none"``, or ``"some"`` where it differs or is not decided."""
        if self.shown == self.total:
            return "all"
        return "none" if self.hidden == self.total else "some"


@dataclass(frozen=True, slots=True)
class Cell:
    """One item for one friend: what holds, and why in one sentence."""

    item: str
    label: str
    friend: str
    decision: str
    reason: str
    own: bool


@dataclass(frozen=True, slots=True)
class OpenPart:
    """What waits for the user of one item in one circle: the friends, and why for the first of them."""

    item: ProfileItem
    group: Group
    friends: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class ItemChange:
    """What accepting changes for one item: how many see it today and afterwards, and who is new and no longer among them."""

    item: ProfileItem
    today: int
    after: Count
    gains: tuple[str, ...]
    losses: tuple[str, ...]


def count(policy: Policy, item: str, friends: Sequence[str]) -> Count:
    """Count what some friends see of an item."""
    at = {known: f for f, known in enumerate(policy.friends)}
    row = [known.id for known in policy.items].index(item)
    decisions = policy.decisions[row, [at[friend] for friend in friends]] if friends else np.array([], dtype=object)
    shown, hidden, asked = (int((decisions == decision).sum()) for decision in (Decision.ALLOW, Decision.DENY, Decision.ASK))
    return Count(shown, hidden, asked)


def counts(policy: Policy, groups: Sequence[Group]) -> dict[tuple[str, str], Count]:
    """Return (item, id of the group) -> `Count`."""
    return {(item.id, group.id): count(policy, item.id, group.members) for item in policy.items for group in groups}


def cells(policy: Policy, pairs: Sequence[tuple[str, str]], language: str) -> list[Cell]:
    """Return the cells of some (item, friend), those that are not decided first, else in the order given."""
    label = {item.id: named(item, language) for item in policy.items}
    found = []
    for item, friend in pairs:
        suggestion = policy[item, friend]
        own = suggestion.reason.kind in ("own", "unsure")
        text = reason_text(suggestion, language)
        found.append(Cell(item, label[item], friend, suggestion.decision.value, text, own))
    return sorted(found, key=lambda cell: cell.decision != Decision.ASK)


def open_parts(policy: Policy, items: Sequence[ProfileItem], groups: Sequence[Group], language: str) -> list[OpenPart]:
    """Return what waits for the user, by item and circle, the largest part first."""
    row = {item.id: j for j, item in enumerate(policy.items)}
    column = {friend: f for f, friend in enumerate(policy.friends)}
    parts = []
    for item in items:
        for group in groups:
            waiting = tuple(friend for friend in group.members if policy.decisions[row[item.id], column[friend]] == Decision.ASK)
            if waiting:
                reason = reason_text(policy[item.id, waiting[0]], language, len(waiting))
                parts.append(OpenPart(item, group, waiting, reason))
    return sorted(parts, key=lambda part: -len(part.friends))


def changes(policy: Policy, before: DecisionTable, items: Sequence[ProfileItem]) -> list[ItemChange]:
    """Compare what is in force with what would be after accepting, item by item."""
    rows = []
    for item in items:
        today = [friend for friend in policy.friends if before.get((item.id, friend)) == Decision.ALLOW]
        then = policy.allowed(item.id)
        gains, losses = sorted(set(then).difference(today)), sorted(set(today).difference(then))
        rows.append(ItemChange(item, len(today), count(policy, item.id, policy.friends), tuple(gains), tuple(losses)))
    return rows


def worked_out(policy: Policy, before: DecisionTable, items: Collection[str]) -> frozenset[tuple[str, str]]:
    """Return the cells (item, friend) of some items that are newly shown though the user said nothing about the very cell."""
    unsaid = policy.shown & (policy.stated == STATED["nothing"])
    cells = ((policy.items[j].id, policy.friends[f]) for j, f in np.argwhere(unsaid).tolist())
    return frozenset(cell for cell in cells if cell[0] in items and before.get(cell) != Decision.ALLOW)


def side_effects(
    before: Policy, after: Policy, items: Sequence[ProfileItem], item: str, friends: Sequence[str]
) -> tuple[int, int]:
    """Count the cells of some items that a choice newly shows, and no longer shows, besides those that it is about."""
    if (before.friends, before.items) != (after.friends, after.items):
        return 0, 0  # The network or the catalogue has changed meanwhile: there is nothing to compare.
    ids = [known.id for known in after.items]
    counted = np.repeat(np.isin(ids, [known.id for known in items])[:, None], len(after.friends), axis=1)
    counted[ids.index(item), np.isin(after.friends, friends)] = False
    newly, no_longer = after.shown & ~before.shown, before.shown & ~after.shown
    return int((newly & counted).sum()), int((no_longer & counted).sum())
