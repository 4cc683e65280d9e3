"""What a user said as cells, the only form that tables of many users' answers have, and what does not fit into it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from privwiz.answers import UNSURE, Entry, evidence, standing
from privwiz.decisions import STATED, Decision
from privwiz.items import ProfileItem

__all__ = ["Cells", "as_cells"]

_SAID = {STATED["allow"]: Decision.ALLOW, STATED["deny"]: Decision.DENY, STATED["not sure"]: Decision.ASK}


@dataclass(frozen=True, eq=False, slots=True)
class Cells:
    """The standing answers of a user.

    Parameters
    ----------
    decisions : mapping of (str, str) to Decision
        Item and friend -> what was said; sorted. Where all that was said is that nobody of a group may see the item, ``deny``.
    groups : int
        Answers about a group as a whole. But for the denials, ``decisions`` has nothing of them.
    several : int
        Answers for each one of several friends at once: of them ``decisions`` has every cell, but not that they are one answer.
    gone : int
        Answers about an item, or about friends, of whom none is there now. The user may find them again, ``decisions`` has none.
    """

    decisions: Mapping[tuple[str, str], Decision]
    groups: int
    several: int
    gone: int


def as_cells(log: Sequence[Entry], items: Sequence[ProfileItem], friends: Sequence[str]) -> Cells:
    """Read a log as cells of these items and friends.

    >>> from privwiz.answers import Answer
    >>> from privwiz.items import profile_items
    >>> said = [Answer("phone", ("ann", "bo"), "none", each=False), Answer("phone", ("cy",), "allow", each=True)]
    >>> cells = as_cells([Entry("circle", tuple(said))], profile_items(["phone"]), ["ann", "bo", "cy"])
    >>> [(friend, decision.value) for (_, friend), decision in cells.decisions.items()], cells.groups
    ([('ann', 'deny'), ('bo', 'deny'), ('cy', 'allow')], 1)
    """
    names = [item.id for item in items]
    found = evidence(log, names, friends)
    stated = np.where((found.stated == STATED["nothing"]) & found.closed, STATED["deny"], found.stated)
    decisions = {(names[j], friends[i]): _SAID[int(stated[j, i])] for j, i in zip(*np.nonzero(stated), strict=True)}
    telling = [(len(members), each) for _, members, value, each in found.answers if value != UNSURE]
    known, there = set(names), set(friends)
    said = [answer for entry in standing(log) for answer in entry.answers if answer.value is not None]
    return Cells(
        dict(sorted(decisions.items())),
        groups=sum(not each for _, each in telling),
        several=sum(each and size > 1 for size, each in telling),
        gone=sum(answer.item not in known or there.isdisjoint(answer.friends) for answer in said),
    )
