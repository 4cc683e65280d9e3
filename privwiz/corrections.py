"""Corrections: what a user says of the circles themselves, which holds whatever is found in the ties later.

A circle that has been corrected keeps its id, its members and its name as friends come and go: who leaves the network drops out,
and a new friend joins it, or does not, by its ties, as with any circle. It stands on each level on which its people were a circle
when it was corrected, and there it replaces what was found, so that every level remains a partition: who is put into it leaves
the community it was in on those levels; of two corrections the later one decides. The other levels stay as found. All that is
made of circles follows: what is shown and asked, the likeness of friends and their features. Only what is dismissed still counts
there: the ties that it was found in are as they were, and people whom the user does not see as a group are alike all the same
(both measured: docs/decisions.md).

A group of fewer than three friends is no circle: a corrected circle that shrinks below that is forgotten.
"""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, fields, replace
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from privwiz.circles import MIN_SIZE, Circle, Circles, assemble
from privwiz.errors import DataError
from privwiz.graphs import EgoNetwork
from privwiz.strict_json import expect
from privwiz.words import amount

__all__ = [
    "MAX_NAME",
    "Correction",
    "Dismiss",
    "Merge",
    "Move",
    "Rename",
    "Restore",
    "Split",
    "apply_corrections",
    "read_correction",
    "write_correction",
]

MAX_NAME = 100
"""Names that users give have at most so many characters."""

_UNSHOWABLE = {"Cc", "Cs", "Zl", "Zp"}
_TURNING = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


@dataclass(frozen=True, slots=True)
class Rename:
    """Call a circle what the user calls it, in every language.

    Parameters
    ----------
    circle : str
        Id of a circle, here and below.
    name : str
        Up to `MAX_NAME` characters, at least one of them visible; no control characters.

    Raises
    ------
    DataError
        If the name is none.

    Examples
    --------
    >>> Rename("c1", " ")
    Traceback (most recent call last):
    privwiz.errors.DataError: the name of a circle is empty; give it a name, or leave the name out
    """

    circle: str
    name: str

    def __post_init__(self) -> None:
        _check_name(self.name)


@dataclass(frozen=True, slots=True)
class Merge:
    """Make one circle of several; the first one named keeps its id, and its name unless another is given.

    It stands on every level on which one of them stood.

    Parameters
    ----------
    circles : sequence of str
        Two or more.
    name : str, optional
        As of `Rename`.

    Raises
    ------
    DataError
        If there are fewer than two different circles, or the name is none.
    """

    circles: tuple[str, ...]
    name: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "circles", _several("circles", self.circles))
        if len(set(self.circles)) < 2:
            raise DataError("a merge needs two circles or more; name each once")
        if self.name is not None:
            _check_name(self.name)


@dataclass(frozen=True, slots=True)
class Split:
    """Let some members leave a circle into one of their own; the rest keeps id and name.

    Parameters
    ----------
    circle : str
    members : sequence of str
        Three or more of its friends, but not all.
    name : str, optional
        Of the new circle, as of `Rename`; it is named by what its members share unless given.

    Raises
    ------
    DataError
        If there are fewer than three members, or the name is none.
    """

    circle: str
    members: tuple[str, ...]
    name: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "members", _several("members", self.members))
        if len(set(self.members)) < MIN_SIZE:
            raise DataError(
                f"too few for a circle of their own: {amount(len(set(self.members)), 'friend')}; name {MIN_SIZE} or more"
            )
        if self.name is not None:
            _check_name(self.name)


@dataclass(frozen=True, slots=True)
class Move:
    """Put a friend into a circle, take one out, or both at once.

    Parameters
    ----------
    friend : str
    into : str or None
        The circle to join; None to leave one only.
    out_of : str, optional
        The circle to leave, on whatever level. Without it the friend leaves the circles that it was in on the levels of ``into``.

    Raises
    ------
    DataError
        If no circle is named, or the same one twice.
    """

    friend: str
    into: str | None
    out_of: str | None = None

    def __post_init__(self) -> None:
        if self.into == self.out_of:
            raise DataError("a move needs a circle to join, one to leave, or two different ones; correct `into` and `out_of`")


@dataclass(frozen=True, slots=True)
class Dismiss:
    """Say that this is not a group: it is never shown or asked about again, nor is any circle of nearly the same people.

    That is, one that shares more than half of all who are in either, unless the user has corrected it.
    """

    circle: str


@dataclass(frozen=True, slots=True)
class Restore:
    """Take a `Dismiss` back: the circle is as it was then, and stays so. Its id is in `privwiz.circles.Circles.dismissed`."""

    circle: str


Correction: TypeAlias = Rename | Merge | Split | Move | Dismiss | Restore
"""One thing that a user says of the circles; a later one takes it back (`Restore` for `Dismiss`)."""

_KINDS: Mapping[str, type[Correction]] = {kind.__name__.lower(): kind for kind in (Rename, Merge, Split, Move, Dismiss, Restore)}


class _Group(NamedTuple):
    """People that the user has put together, and the circle that they are on each level."""

    members: frozenset[str]
    circles: tuple[Circle, ...]


@dataclass(frozen=True, slots=True)
class _Change:
    """What a correction comes to: groups that stand, circles that are dismissed, circles that no longer are."""

    groups: tuple[_Group, ...] = ()
    gone: tuple[Circle, ...] = ()
    back: tuple[Circle, ...] = ()


def apply_corrections(circles: Circles, network: EgoNetwork, corrections: Iterable[Correction]) -> Circles:
    """Correct circles, one correction after the other.

    What comes out knows what was corrected: `privwiz.circles.find_circles` with it as ``previous``, and
    `privwiz.circles.assign_friend`, keep the corrections.

    Parameters
    ----------
    circles : Circles
        Of this network, corrected before or not.
    network : EgoNetwork
    corrections : iterable of Correction

    Raises
    ------
    DataError
        If the circles are of other friends than the network, a correction names a circle that is not there or a friend who is
        not in the circle, or a split leaves nobody behind.
    UnknownFriend
        If a correction names somebody who is not a friend.

    Examples
    --------
    >>> import networkx as nx
    >>> from privwiz.circles import find_circles
    >>> from privwiz.graphs import ego_network
    >>> network = ego_network(nx.karate_club_graph(), 0)
    >>> found = find_circles(network)
    >>> corrected = apply_corrections(found, network, [Rename("c1", "Old friends"), Move("11", into="c1")])
    >>> corrected["c1"].name, set(corrected["c1"].members) - set(found["c1"].members)
    ('Old friends', {'11'})
    >>> grown = find_circles(network.with_friend("new"), previous=corrected)
    >>> grown["c1"] == corrected["c1"]
    True
    """
    if circles.friends != network.friends:
        raise DataError("these circles are of other friends than the network; find the circles of this network")
    for correction in corrections:
        circles = _carry_out(circles, network, _change(circles, network, correction))
    return circles


def write_correction(correction: Correction) -> dict[str, Any]:
    """Return a correction as data for a JSON document.

    >>> write_correction(Rename("c3", "Work"))
    {'kind': 'rename', 'circle': 'c3', 'name': 'Work'}
    """
    values = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(correction).items()}
    return {"kind": type(correction).__name__.lower(), **values}


def read_correction(data: Mapping[str, Any]) -> Correction:
    """Read what `write_correction` wrote; what is optional may be left out.

    >>> read_correction({"kind": "merge", "circles": ["c1", "c2"]})
    Merge(circles=('c1', 'c2'), name=None)

    Raises
    ------
    DataError
        If the kind is not known, something is missing, too much or of the wrong type, or the correction makes no sense.
    """
    given = dict(expect(data, dict, "a correction"))
    name = expect(given.pop("kind", None), str, "the kind of a correction")
    if name not in _KINDS:
        raise DataError(f"a correction of kind {name!r:.40} is not known; the kinds are {', '.join(_KINDS)}")
    known = {one.name: one for one in fields(_KINDS[name])}
    if extra := given.keys() - known.keys():
        raise DataError(f"a correction of kind {name!r} has no {min(extra)!r:.40}; it has {', '.join(known)}")
    values: dict[str, Any] = {}
    for key, one in known.items():
        where, value = f"{key!r} of a correction", given.get(key)
        if key in ("circles", "members"):
            values[key] = [expect(text, str, where) for text in expect(value, list, where)]
        elif value is not None or (one.default is MISSING and key != "into"):
            values[key] = expect(value, str, where)
        else:
            values[key] = None
    return _KINDS[name](**values)


def _check_name(name: str) -> None:
    text = expect(name, str, "the name of a circle")
    if not any(character.isprintable() and not character.isspace() for character in text):
        raise DataError("the name of a circle is empty; give it a name, or leave the name out")
    if len(text) > MAX_NAME:
        raise DataError(f"the name of a circle has {len(text)} characters; {MAX_NAME} is the most, shorten it")
    if any(unicodedata.category(c) in _UNSHOWABLE or unicodedata.bidirectional(c) in _TURNING for c in text):
        raise DataError(f"the name of a circle holds control characters ({text!a:.60}); leave line breaks and the like out")


def _several(what: str, ids: Sequence[str]) -> tuple[str, ...]:
    if isinstance(ids, str):
        raise DataError(f"{what} are the text {ids!r}; give a list, such as [{ids!r}]")
    return tuple(ids)


def _change(circles: Circles, network: EgoNetwork, correction: Correction) -> _Change:
    match correction:
        case Rename(circle, name):
            return _Change((_named(_group(circles, circle), name),))
        case Merge(several, name):
            return _Change((_merged([_group(circles, circle) for circle in several], name),))
        case Split(circle, members, name):
            _check_members(circles, network, members, circle)
            return _Change(_parted(circles, _group(circles, circle), frozenset(members), name))
        case Move(friend, into, out_of):
            return _Change(_moved(circles, network, friend, into, out_of))
        case Dismiss(circle):
            return _Change(gone=_group(circles, circle).circles)
        case Restore(circle):
            return _restored(circles, circle)
        case _:
            raise DataError(f"a correction is {correction!r:.80}; give a Rename, Merge, Split, Move, Dismiss or Restore")


def _merged(groups: Sequence[_Group], name: str | None) -> _Group:
    standing: dict[int, Circle] = {}
    for group in groups:
        for circle in group.circles:
            standing.setdefault(circle.level, circle)
    merged = _Group(frozenset().union(*(group.members for group in groups)), tuple(standing.values()))
    if name is not None:
        return _named(merged, name)
    first = groups[0].circles[0]
    if first.lists_people:
        return _unnamed(merged)
    return merged._replace(circles=tuple(replace(one, name=first.name, name_zh=first.name_zh) for one in merged.circles))


def _parted(circles: Circles, whole: _Group, leaving: frozenset[str], name: str | None) -> tuple[_Group, _Group]:
    if leaving == whole.members:
        first = whole.circles[0].id
        raise DataError(f"all members would leave circle {first!r}; name those who belong together, but not all")
    own = (replace(old, id=f"c{number}") for number, old in enumerate(whole.circles, start=circles.last_id + 1))
    apart = _Group(leaving, tuple(own))
    return whole._replace(members=whole.members - leaving), _unnamed(apart) if name is None else _named(apart, name)


def _moved(circles: Circles, network: EgoNetwork, friend: str, into: str | None, out_of: str | None) -> tuple[_Group, ...]:
    network.index(friend)
    groups = []
    if out_of is not None:
        _check_members(circles, network, (friend,), out_of)
        left = _group(circles, out_of)
        groups.append(left._replace(members=left.members - {friend}))
    if into is not None:
        joined = _group(circles, into)
        groups.append(joined._replace(members=joined.members | {friend}))
    return tuple(groups)


def _restored(circles: Circles, circle_id: str) -> _Change:
    members = next((circle.members for circle in circles.dismissed if circle.id == circle_id), None)
    if members is None:
        raise DataError(f"there is no dismissed circle {circle_id!r}; look it up in the list of dismissed circles")
    back = tuple(circle for circle in circles.dismissed if circle.members == members)
    return _Change((_Group(frozenset(members), back),), back=back)


def _group(circles: Circles, circle_id: str) -> _Group:
    """Return a circle with those of the same people on other levels."""
    members = circles[circle_id].members
    first, *others = sorted((circle for circle in circles if circle.members == members), key=lambda one: one.id != circle_id)
    return _Group(frozenset(members), (first, *others))


def _named(group: _Group, name: str) -> _Group:
    text = name.strip()
    return group._replace(circles=tuple(replace(one, name=text, name_zh=text, lists_people=False) for one in group.circles))


def _unnamed(group: _Group) -> _Group:
    """Have a group named anew, the same on all of its levels."""
    return group._replace(circles=tuple(replace(one, members=(), lists_people=True) for one in group.circles))


def _check_members(circles: Circles, network: EgoNetwork, friends: Iterable[str], circle_id: str) -> None:
    members = circles[circle_id].members
    for friend in friends:
        network.index(friend)
        if friend not in members:
            raise DataError(f"{friend!r} is not in circle {circle_id!r}; look its members up, or move the friend there first")


def _carry_out(circles: Circles, network: EgoNetwork, change: _Change) -> Circles:
    """Put the groups of the change, and those corrected before as far as it leaves them, in the place of what was found."""
    n, gone = network.n, {circle.id for circle in change.gone}
    labels = circles.labels.copy()
    kept = [
        {number: circle for number, circle in enumerate(circles.communities(k)) if circle.id not in gone}
        for k in range(len(labels))
    ]
    groups = [*_standing(circles, change.groups, gone), *change.groups]
    for circle in circles:
        if circle.corrected and circle.id not in gone:
            at = np.array(network.positions(circle.members))
            labels[circle.level, at] = n + at
    placed = [(group.members, replace(circle, corrected=True)) for group in groups for circle in group.circles]
    for number, (members, circle) in enumerate(placed, start=2 * n):
        labels[circle.level, list(network.positions(members))] = number
        kept[circle.level][number] = circle
    last_id = max([circles.last_id, *(int(circle.id.removeprefix("c")) for _, circle in placed)])
    dismissed = (*(circle for circle in circles.dismissed if circle not in change.back), *change.gone)
    return assemble(network, circles.resolutions, labels, kept, last_id, dismissed, keep_names=True)


def _standing(circles: Circles, newer: Sequence[_Group], gone: set[str]) -> list[_Group]:
    """Return the groups corrected before, but those gone or newer, less whom a newer one takes on one of their levels."""
    touched = gone.union(circle.id for group in newer for circle in group.circles)
    older: dict[tuple[str, ...], tuple[Circle, ...]] = {}
    for circle in circles:
        if circle.corrected and circle.id not in touched:
            older[circle.members] = (*older.get(circle.members, ()), circle)
    groups = []
    for members, standing in older.items():
        levels = {circle.level for circle in standing}
        robbing = [group.members for group in newer if levels.intersection(circle.level for circle in group.circles)]
        groups.append(_Group(frozenset(members).difference(*robbing), standing))
    return groups
