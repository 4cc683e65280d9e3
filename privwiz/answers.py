"""What the user said: an append-only log of confirmed screens and own choices, and what it means for the posterior."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from privwiz.errors import DataError
from privwiz.posterior import PROBIT_VARIANCE, Observations

__all__ = [
    "AUDIENCE_CUTS",
    "AUDIENCE_SHARES",
    "CELL_CHOICES",
    "CIRCLE_CUTS",
    "CIRCLE_SHARES",
    "MAJORITY_SLOPE",
    "UNSURE",
    "Answer",
    "Entry",
    "Evidence",
    "evidence",
    "observe",
    "share_noise",
    "standing",
    "within_variance",
]

UNSURE = "unsure"
CELL_CHOICES = ("allow", "deny")
CIRCLE_SHARES = {"none": 0.06, "some": 0.31, "most": 0.69, "all": 0.94}
"""Share of a circle that each answer stands for: about the mean of the stretch between its `CIRCLE_CUTS`, on the probit scale."""
AUDIENCE_SHARES = {"nobody": 0.0, "few": 0.2, "half": 0.5, "most": 0.8, "everybody": 1.0}
"""Share of all friends that each answer stands for."""
CIRCLE_CUTS = (0.15, 0.5, 0.85)
"""Shares at which the right answer about a circle turns from none to some, to most, to all."""
AUDIENCE_CUTS = (0.06, 0.35, 0.65, 0.94)
"""Shares at which the right answer about all friends turns from nobody to few, to half, to most, to everybody."""
MAJORITY_SLOPE = 1.5
"""A yes or no about a circle is what the majority gets: it follows the circle's latent more sharply than one friend's does."""

_EXTREME_NOISE, _MIDDLE_NOISE = 0.2, 0.08
_EDGE = 0.02
_LEAST_WITHIN = 0.2
_STATED = {"allow": 1, "deny": -1, UNSURE: 2}

_Closings: TypeAlias = dict[frozenset[str], frozenset[str]]
"""Groups that were closed to one item -> who of them still is."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One thing said about one item.

    Parameters
    ----------
    item : str
    friends : tuple of str
        Whom it is about, as they were when it was said.
    value : str, float or None
        ``"allow"``, ``"deny"``; ``"none"``, ``"some"``, ``"most"``, ``"all"``; a share 0..1; ``"unsure"``; None where a toggle
        was shown and nothing said.
    each : bool
        True when it holds for every one of ``friends`` (a cell, or a choice made for a whole circle): then no share can be
        said. False when it is about the group as a whole, and so says nothing certain about any one of them.

    Raises
    ------
    DataError
        If the value is none of these, or there are no friends.

    Examples
    --------
    >>> Answer("phone", ("ann", "bo"), "perhaps", each=True)
    Traceback (most recent call last):
    privwiz.errors.DataError: answer 'perhaps' about 'phone' is not known; use one of allow, deny, unsure
    """

    item: str
    friends: tuple[str, ...]
    value: str | float | None
    each: bool

    def __post_init__(self) -> None:
        choices = (*CELL_CHOICES, UNSURE) if self.each else (*CELL_CHOICES, *CIRCLE_SHARES, UNSURE)
        if isinstance(self.value, int | float) and not isinstance(self.value, bool):
            if self.each or not 0 <= self.value <= 1:
                raise DataError(f"answer {self.value!r} about {self.item!r}: a share must lie in 0..1 and be about a group")
        elif self.value is not None and self.value not in choices:
            raise DataError(f"answer {self.value!r} about {self.item!r} is not known; use one of {', '.join(choices)}")
        if not self.friends:
            raise DataError(f"an answer about {self.item!r} must be about at least one friend")


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the log.

    Parameters
    ----------
    kind : str
        The kind of a screen the user has left; ``"label"``, a choice of the user's own; or ``"undo"``, which retracts the last
        entry that still stands.
    answers : tuple of Answer
        Empty for ``"undo"``.
    """

    kind: str
    answers: tuple[Answer, ...] = ()


def standing(log: Sequence[Entry]) -> tuple[Entry, ...]:
    """Return the entries that no later undo has retracted.

    >>> standing([Entry("label"), Entry("audience"), Entry("undo")])
    (Entry(kind='label', answers=()),)
    """
    kept: list[Entry] = []
    for entry in log:
        if entry.kind != "undo":
            kept.append(entry)
        elif kept:
            kept.pop()
    return tuple(kept)


@dataclass(frozen=True, eq=False)
class Evidence:
    """The standing answers, in the positions of one network and one choice of items.

    Parameters
    ----------
    stated : int8 array of shape (J, n)
        What the user said of each cell itself: 1 allow, -1 deny, 2 not sure, 0 nothing.
    closed : bool array of shape (J, n)
        Cells of groups of which the user said that nobody in them may see the item, and nothing else since of that group or
        of one within it. (An answer about a larger group, such as "half of all friends", takes nothing of that back.)
    answers : tuple of (item, members, value, each)
        What is known in the order it was said, members as sorted positions: of each item and group the last answer about the
        group as a whole, and the last for each one in it. The latter replaces all earlier answers about friends who are all
        among the group.
    shown : frozenset of (item, members)
        Every toggle that has been shown, answered or not, and every cell that the user has said.
    """

    stated: npt.NDArray[np.int8]
    closed: npt.NDArray[np.bool_]
    answers: tuple[tuple[int, tuple[int, ...], str | float, bool], ...]
    shown: frozenset[tuple[int, tuple[int, ...]]]

    @cached_property
    def groups(self) -> tuple[tuple[int, ...], ...]:
        """The groups of two or more friends that answers are about, in the order first asked."""
        return tuple(dict.fromkeys(members for _, members, _, _ in self.answers if len(members) > 1))


def evidence(log: Sequence[Entry], items: Sequence[str], friends: Sequence[str]) -> Evidence:
    """Read the log for this network: friends who have left drop out of their groups, later answers replace earlier ones.

    Answers about items that are not among ``items``, or about nobody who is still a friend, are passed over.

    Examples
    --------
    >>> log = [Entry("circle", (Answer("phone", ("ann", "bo", "cy"), "none", each=False),))]
    >>> log.append(Entry("label", (Answer("phone", ("bo",), "allow", each=True),)))
    >>> said = evidence(log, ["phone"], ["ann", "bo", "dee"])
    >>> said.stated.tolist(), said.closed.tolist()
    ([[0, 1, 0]], [[True, True, False]])
    >>> said.answers
    ((0, (0, 1), 'none', False), (0, (1,), 'allow', True))
    """
    item_at = {item: k for k, item in enumerate(items)}
    friend_at = {friend: k for k, friend in enumerate(friends)}
    cells: dict[tuple[int, int], int] = {}
    closings: list[_Closings] = [{} for _ in items]
    last: dict[tuple[int, tuple[int, ...], bool], str | float] = {}
    shown = set()
    for answer in (answer for entry in standing(log) for answer in entry.answers):
        members = tuple(sorted({friend_at[friend] for friend in answer.friends if friend in friend_at}))
        if answer.item not in item_at or not members:
            continue
        j = item_at[answer.item]
        shown.add((j, members))
        if answer.value is None:
            continue
        if answer.each:
            for member in members:
                cells[j, member] = _STATED[str(answer.value)]
                shown.add((j, (member,)))
            _drop_within(last, j, members)
        else:
            _open_or_close(closings[j], frozenset(answer.friends), answer.value)
        last.pop((j, members, answer.each), None)
        last[j, members, answer.each] = answer.value
    stated = np.zeros((len(items), len(friends)), np.int8)
    if cells:
        stated[tuple(np.array(list(cells)).T)] = list(cells.values())
    closed = np.zeros(stated.shape, bool)
    for j, closing in enumerate(closings):
        closed[j, sorted(friend_at[friend] for friend in set().union(*closing.values()) if friend in friend_at)] = True
    answers = tuple((j, members, value, each) for (j, members, each), value in last.items())
    return Evidence(stated, closed, answers, frozenset(shown))


def _drop_within(last: dict[tuple[int, tuple[int, ...], bool], str | float], item: int, members: tuple[int, ...]) -> None:
    """Forget what was said of this item and friends who are all among these."""
    if len(members) == 1:
        for each in (False, True):
            last.pop((item, members, each), None)
        return
    whole = frozenset(members)
    for key in [key for key in last if key[0] == item and whole.issuperset(key[1])]:
        del last[key]


def _open_or_close(closings: _Closings, members: frozenset[str], value: str | float) -> None:
    """Close a group of whom nobody may see the item; any other answer about a group reopens it, also within groups around it.

    Groups are compared as they were when the answers were given: who leaves the network reopens nothing.
    """
    if value in ("none", "deny", 0):
        closings[members] = members
    elif value != UNSURE:
        for group, rest in closings.items():
            if members <= group:
                closings[group] = rest - members


def within_variance(variance: npt.NDArray[np.floating], members: npt.NDArray[np.intp], row: int) -> float:
    """How much the members of a group differ from its mean: the average of their variances less the variance of the mean.

    Parameters
    ----------
    variance : float array of shape (R,)
        Of each row's latent.
    members : int array
    row : int
        Of the group.
    """
    return max(_LEAST_WITHIN, float(variance[members].mean() - variance[row]))


def share_noise(share: float, within: npt.NDArray[np.floating] | float) -> npt.NDArray[np.floating] | float:
    """Noise variance of a stated share as an observation of a group's mean latent, where members' latents vary by ``within``.

    A share near 0 or 1 leaves open how far away the latent is, so it is noisier.
    """
    relative = _EXTREME_NOISE if not 0.1 <= share <= 0.9 else _MIDDLE_NOISE
    return relative * (PROBIT_VARIANCE + within)


def observe(
    said: Evidence, row_of: Mapping[tuple[int, ...], int], seen_share: Callable[[int, int, float], tuple[float, float]]
) -> Observations:
    """Turn answers into observations of rows of a model.

    One friend's answer is a yes or no of that friend's latent. A yes or no about a circle is one of its mean, with slope
    `MAJORITY_SLOPE`. A share is a Gaussian observation of the mean, at the value and with the variance that ``seen_share``
    gives; so is an answer for each one of a circle, as a share just above 0 or just below 1. ``"unsure"`` says nothing.

    Parameters
    ----------
    said : Evidence
    row_of : mapping
        Where each of ``said.groups`` stands in the model.
    seen_share : callable
        Item, row, share (strictly between 0 and 1) -> value and variance, such as `privwiz.belief.Layout.seen_share`.

    Returns
    -------
    Observations
        One for each of ``said.answers`` that is not ``"unsure"``, in the same order.
    """
    row, item, value, variance, slope = [], [], [], [], []
    for j, members, said_value, each in said.answers:
        if said_value == UNSURE:
            continue
        single = len(members) == 1
        where = members[0] if single else row_of[members]
        if said_value in CELL_CHOICES and (single or not each):
            seen, noise, steep = float(said_value == "allow"), 0.0, 1.0 if single else MAJORITY_SLOPE
        else:
            (seen, noise), steep = seen_share(j, where, _share(said_value)), 1.0
        row.append(where)
        item.append(j)
        value.append(seen)
        variance.append(noise)
        slope.append(steep)
    return Observations(
        np.array(row, np.intp), np.array(item, np.intp), np.array(value, float), np.array(variance, float), np.array(slope, float)
    )


def _share(value: str | float) -> float:
    if isinstance(value, str):
        value = {"deny": 0.0, "allow": 1.0, **CIRCLE_SHARES}[value]
    return min(max(value, _EDGE), 1 - _EDGE)
