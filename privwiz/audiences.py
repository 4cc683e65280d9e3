"""Audiences: who may see an item, said with circles, people and exceptions, as social networks store it."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from privwiz.errors import DataError, UnknownFriend

__all__ = ["AUDIENCES_FORMAT", "Audience", "Group", "audience", "audiences_document"]

AUDIENCES_FORMAT = "privwiz.audiences/1"


class Group(Protocol):
    """What is needed of a circle here: `privwiz.circles.Circle` is one, a contact list of the social network can be."""

    @property
    def id(self) -> str:
        """What refers to it."""
        ...

    @property
    def name(self) -> str:
        """Its name in English."""
        ...

    @property
    def name_zh(self) -> str:
        """Its name in Chinese."""
        ...

    @property
    def members(self) -> tuple[str, ...]:
        """The friends in it."""
        ...


@dataclass(frozen=True, slots=True)
class Audience:
    """Who may see one item: a base, and circles and people allowed on top of it. Whoever is denied does not see it in any case.

    Parameters
    ----------
    base : str
        Always ``"none"``: a base of all friends would show the item to everyone who becomes a friend later.
    allow_circles, deny_circles : tuple of str
        Ids of circles.
    allow_people, deny_people : tuple of str
        Friends.
    undecided : tuple of str
        Friends about whom the user has not decided. For information: none of them is allowed by the rest.
    """

    base: str = "none"
    allow_circles: tuple[str, ...] = ()
    allow_people: tuple[str, ...] = ()
    deny_circles: tuple[str, ...] = ()
    deny_people: tuple[str, ...] = ()
    undecided: tuple[str, ...] = ()

    def expand(self, members: Mapping[str, Iterable[str]]) -> frozenset[str]:
        """Return the friends who see the item, given the members of each circle.

        >>> sorted(Audience(allow_circles=("c1",), deny_people=("bob",)).expand({"c1": ["ann", "bob", "carol"]}))
        ['ann', 'carol']
        """
        allowed = set(self.allow_people).union(*(members[circle] for circle in self.allow_circles))
        return frozenset(allowed.difference(self.deny_people, *(members[circle] for circle in self.deny_circles)))


def audience(
    friends: tuple[str, ...], shown: npt.NDArray[np.bool_], asked: npt.NDArray[np.bool_], circles: Iterable[Group] = ()
) -> Audience:
    """Say one row of a policy with as few circles, people and exceptions as a greedy choice finds.

    Loss-free: ``audience(...).expand(members)`` is exactly the friends shown. A circle is used where it saves more entries
    than it and its exceptions cost.

    Parameters
    ----------
    friends : tuple of str, length n
    shown, asked : bool arrays of shape (n,)
        Who sees the item, and about whom the user still has to decide.
    circles : iterable of `Group`
        Circles that may be used; without any, the audience is a list of people.

    Raises
    ------
    DataError
        If two circles have one id.
    UnknownFriend
        If a circle has a member who is not one of ``friends``: it would be shown the item unasked.
    """
    groups = tuple(circles)
    members = _membership(friends, groups)
    allowing = _cover(members, shown, ~shown)
    reached = np.any(members[allowing], axis=0)
    exceptions = np.logical_and(reached, ~shown)
    harmless = ~np.any(members & shown, axis=1, keepdims=True)
    denying = _cover(members & harmless, exceptions, np.zeros_like(shown))
    remaining = exceptions & ~np.any(members[denying], axis=0)

    def people(chosen: npt.NDArray[np.bool_]) -> tuple[str, ...]:
        return tuple(friends[f] for f in np.flatnonzero(chosen))

    return Audience(
        allow_circles=tuple(groups[c].id for c in allowing),
        allow_people=people(shown & ~reached),
        deny_circles=tuple(groups[c].id for c in denying),
        deny_people=people(remaining),
        undecided=people(asked),
    )


def audiences_document(
    ego: str,
    items: Iterable[str],
    friends: tuple[str, ...],
    shown: npt.NDArray[np.bool_],
    asked: npt.NDArray[np.bool_],
    circles: Iterable[Group] = (),
) -> dict[str, Any]:
    """Return the audience of every item and the circles they use, as a JSON document of the format `AUDIENCES_FORMAT`.

    ``shown`` and ``asked`` are bool arrays of shape (J, n); the rest, and the errors, are those of `audience`.
    """
    groups = tuple(circles)
    audiences = {item: audience(friends, shown[j], asked[j], groups) for j, item in enumerate(items)}
    used = {circle for one in audiences.values() for circle in one.allow_circles + one.deny_circles}
    return {
        "format": AUDIENCES_FORMAT,
        "ego": ego,
        "circles": {
            group.id: {"name": group.name, "name_zh": group.name_zh, "members": list(group.members)}
            for group in groups
            if group.id in used
        },
        "audiences": {item: {key: _plain(value) for key, value in asdict(one).items()} for item, one in audiences.items()},
    }


def _plain(value: str | tuple[str, ...]) -> str | list[str]:
    return value if isinstance(value, str) else list(value)


def _membership(friends: tuple[str, ...], groups: tuple[Group, ...]) -> npt.NDArray[np.bool_]:
    """Return who is in which circle: bool array of shape (circles, n)."""
    position = {friend: f for f, friend in enumerate(friends)}
    members = np.zeros((len(groups), len(friends)), dtype=bool)
    seen = set()
    for c, group in enumerate(groups):
        if group.id in seen:
            raise DataError(f"two circles have the id {group.id!r}; an exported rule could mean either, give each its own")
        seen.add(group.id)
        for member in group.members:
            if member not in position:
                raise UnknownFriend(member)
            members[c, position[member]] = True
    return members


def _cover(members: npt.NDArray[np.bool_], wanted: npt.NDArray[np.bool_], unwanted: npt.NDArray[np.bool_]) -> list[int]:
    """Choose circles while one saves entries: people newly covered, less one for the circle and one per new exception."""
    chosen: list[int] = []
    missing, spared = wanted.astype(np.int64), unwanted.astype(np.int64)
    counts = members.astype(np.int64)
    while len(counts):
        saving = counts @ missing - 1 - counts @ spared
        best = int(np.argmax(saving))
        if saving[best] <= 0:
            break
        chosen.append(best)
        missing[members[best]] = 0
        spared[members[best]] = 0
    return chosen
