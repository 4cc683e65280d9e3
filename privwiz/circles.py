"""Circles: communities of friends at several resolutions, with names that people recognise and ids that stay."""

from bisect import bisect_left
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from privwiz.communities import (
    MIN_SIZE,
    Labels,
    best_community,
    canonical_labels,
    community_members,
    join_alike,
    leiden,
    louvain,
)
from privwiz.errors import DataError, UnknownFriend
from privwiz.graphs import EgoNetwork
from privwiz.naming import PERSONAL_FIELDS, CircleName, attribute_holders, circle_names, field_text
from privwiz.succession import corrected_groups, keep_corrections, start_from, still_dismissed
from privwiz.words import check_language

__all__ = [
    "MIN_SIZE",
    "RESOLUTIONS",
    "Circle",
    "Circles",
    "Coverage",
    "alike",
    "assemble",
    "assign_friend",
    "attribute_circles",
    "check_resolutions",
    "find_circles",
]

RESOLUTIONS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
"""From a few large circles to many small ones."""

_MAX_ATTRIBUTE_SHARE = 0.8


@dataclass(frozen=True, slots=True)
class Circle:
    """A group of friends.

    Parameters
    ----------
    id : str
        Stays with the circle as the network grows.
    level : int
        Position of its resolution in `Circles.resolutions`; -1 for a circle of friends who share an attribute.
    members : tuple of str
        Ids of friends, sorted.
    name, name_zh : str
        What people read, in English and Chinese.
    lists_people : bool
        Whether the name names or counts members, so that it has to change with them.
    corrected : bool
        Whether the user has corrected it (`privwiz.corrections`): its members and its name stay, whatever is found in the ties.
    """

    id: str
    level: int
    members: tuple[str, ...]
    name: str
    name_zh: str
    lists_people: bool = False
    corrected: bool = False

    def __len__(self) -> int:
        return len(self.members)

    def text(self, language: str = "en") -> str:
        """Return the name in ``language`` (``"en"`` or ``"zh"``)."""
        return self.name_zh if language == "zh" else self.name


class _Found(NamedTuple):
    """A community that is large enough to be a circle, and the circle that it continues, if any."""

    level: int
    positions: npt.NDArray[np.intp]
    members: tuple[str, ...]
    old: Circle | None


@dataclass(frozen=True, slots=True)
class Coverage:
    """How many friends the circles reach.

    Parameters
    ----------
    covered, total, isolated : int
        Friends in at least one circle; all friends; friends without ties to other friends.
    """

    covered: int
    total: int
    isolated: int

    def text(self, language: str = "en") -> str:
        """Say it in ``language`` (``"en"`` or ``"zh"``).

        >>> Coverage(331, 347, 14).text()
        '331 of 347 friends are in a circle. 14 have no mutual friend. 2 are in groups too small for a circle.'
        >>> Coverage(5, 5, 0).text("zh")
        '5 位好友中有 5 位属于某个圈子。'

        Raises
        ------
        DataError
            If the language is not known.
        """
        chinese = check_language(language) == "zh"
        small = self.total - self.covered - self.isolated
        if chinese:
            parts = [f"{self.total} 位好友中有 {self.covered} 位属于某个圈子。"]
            parts += [f"{self.isolated} 位没有共同好友。"] * (self.isolated > 0)
            parts += [f"{small} 位所在的小组太小，不成圈子。"] * (small > 0)
            return "".join(parts)
        parts = [f"{self.covered} of {self.total} friends {_are(self.covered)} in a circle."]
        parts += [f"{self.isolated} {'has' if self.isolated == 1 else 'have'} no mutual friend."] * (self.isolated > 0)
        parts += [f"{small} {_are(small)} in groups too small for a circle."] * (small > 0)
        return " ".join(parts)


@dataclass(frozen=True, eq=False)
class Circles:
    """The circles of one network at every resolution. Iterates circles, level by level, the largest of a level first.

    What the user has dismissed stays among ``labels`` and ``circles``, for what is computed, and is passed over by all that lists
    or looks up circles.

    Parameters
    ----------
    resolutions : tuple of float, length k
        One per level.
    friends : tuple of str, length n
        As in the network.
    labels : int32 array of shape (k, n)
        Number of each friend's community per level, 0 for the largest; of equals, the one with the first friend has the lower
        number. Everybody has one, if need be alone. Read-only. Numbers change as the network grows; ids stay.
    circles : tuple of `Circle`
        The communities of at least `MIN_SIZE` friends: on each level those numbered 0, 1, 2 ... in this order.
    isolated : int
        Number of friends without ties to other friends.
    last_id : int
        The largest number given to a circle so far; none is given again.
    dismissed : tuple of `Circle`
        Circles as they were when the user said that they are no groups.
    """

    resolutions: tuple[float, ...]
    friends: tuple[str, ...]
    labels: Labels
    circles: tuple[Circle, ...]
    isolated: int = 0
    last_id: int = 0
    dismissed: tuple[Circle, ...] = ()

    def __post_init__(self) -> None:
        self.labels.setflags(write=False)

    def __repr__(self) -> str:
        return f"<Circles: {len(self.circles)} circles of {len(self.friends)} friends at {len(self.resolutions)} resolutions>"

    def __iter__(self) -> Iterator[Circle]:
        return (circle for circle in self.circles if circle.id not in self._hidden)

    def __len__(self) -> int:
        return len(self.circles) - len(self._hidden)

    def __getitem__(self, circle_id: str) -> Circle:
        """Return the circle of this id.

        Raises
        ------
        DataError
            If there is no such circle.
        """
        for circle in self:
            if circle.id == circle_id:
                return circle
        raise DataError(
            f"there is no circle {circle_id!r}; its friends may have left it, look the circle up in the list of circles"
        )

    def level(self, k: int) -> tuple[Circle, ...]:
        """Return the circles at level ``k``, the largest first.

        Raises
        ------
        DataError
            If there is no such level.
        """
        if not 0 <= k < len(self.resolutions):
            raise DataError(f"there is no level {k}; the levels are 0 to {len(self.resolutions) - 1}")
        return tuple(circle for circle in self._levels[k] if circle.id not in self._hidden)

    def communities(self, k: int) -> tuple[Circle, ...]:
        """Return the circles at level ``k``, dismissed or not: number c holds the friends labelled c. Raises as `level` does."""
        self.level(k)
        return self._levels[k]

    @cached_property
    def _levels(self) -> tuple[tuple[Circle, ...], ...]:
        return tuple(tuple(circle for circle in self.circles if circle.level == k) for k in range(len(self.resolutions)))

    @cached_property
    def _hidden(self) -> frozenset[str]:
        """Ids of the circles that are nearly the same people as a dismissed one, and that the user has not made."""
        return frozenset(
            circle.id
            for circle in self.circles
            if not circle.corrected and any(alike(circle.members, one.members) for one in self.dismissed)
        )

    def of(self, friend: str) -> tuple[Circle, ...]:
        """Return the circles that a friend is in, level by level.

        Raises
        ------
        UnknownFriend
            If the friend is not in the network.
        """
        i = bisect_left(self.friends, friend)
        if self.friends[i : i + 1] != (friend,):
            raise UnknownFriend(friend)
        found = (level[c] for level, c in zip(self._levels, self.labels[:, i].tolist(), strict=True) if c < len(level))
        return tuple(circle for circle in found if circle.id not in self._hidden)

    def distinct(self) -> tuple[Circle, ...]:
        """Return one circle for each set of members: the first that the user has corrected, else the one on the first level."""
        chosen: dict[tuple[str, ...], Circle] = {}
        for circle in self:
            if circle.corrected > chosen.setdefault(circle.members, circle).corrected:
                chosen[circle.members] = circle
        return tuple(chosen.values())

    @property
    def coverage(self) -> Coverage:
        """How many friends are in a circle, on whatever level, dismissed or not."""
        covered = {friend for level in self._levels for circle in level for friend in circle.members}
        return Coverage(len(covered), len(self.friends), self.isolated)

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as data for a JSON document; `from_dict` reads it."""
        from privwiz.circles_json import write_circles

        return write_circles(self)

    @classmethod
    def from_dict(cls, document: Mapping[str, Any], network: EgoNetwork | None = None) -> "Circles":
        """Read what `to_dict` wrote.

        Parameters
        ----------
        document : mapping
            A parsed JSON document.
        network : EgoNetwork, optional
            If given, its friends must be those of the circles.

        Raises
        ------
        DataError
            If the document is of another format, damaged or contradicts itself, or is about other friends.
        """
        from privwiz.circles_json import read_circles

        circles = read_circles(document)
        if network is not None and circles.friends != network.friends:
            raise DataError("these circles are of other friends than the network; find the circles of this network")
        return circles


def find_circles(
    network: EgoNetwork,
    *,
    seed: int = 0,
    method: Literal["leiden", "networkx"] = "leiden",
    resolutions: Sequence[float] = RESOLUTIONS,
    previous: Circles | None = None,
) -> Circles:
    """Find the circles of a network at several resolutions.

    Parameters
    ----------
    network : EgoNetwork
        Circles come from the ties, by their strength; profiles only name them.
    seed : int
        Equal seeds give equal circles.
    method : {"leiden", "networkx"}
        Leiden through igraph (`privwiz.communities.leiden`), or the slow and plain Louvain of networkx.
    resolutions : sequence of float
        One level each; the higher, the smaller the circles.
    previous : Circles, optional
        The circles of the network as it was. The search starts from them (Leiden only), and a circle takes over the id of the old
        circle that it is paired with by the one-to-one matching of largest total overlap on its level, if their Jaccard index is
        at least .1. Friends may have come and gone. What the user has corrected stays as it is, less the friends who are gone,
        plus the new friends who have more ties with it beyond chance than with any other community; what the user has dismissed
        stays so (`privwiz.corrections`).

    Raises
    ------
    DataError
        If a resolution is not a finite number above 0, one comes twice, or the method is not known.

    Examples
    --------
    >>> import networkx as nx
    >>> from privwiz.graphs import ego_network
    >>> cliques = nx.disjoint_union(nx.complete_graph(4), nx.complete_graph(3))
    >>> cliques.add_edges_from(("ego", friend) for friend in list(cliques))
    >>> for circle in find_circles(ego_network(cliques, "ego"), resolutions=[1]):
    ...     print(circle.id, circle.members, circle.name)
    c1 ('0', '1', '2', '3') Circle of 0, 1 and 2 others
    c2 ('4', '5', '6') Circle of 4, 5 and 6
    """
    gammas = check_resolutions(resolutions)
    if method == "leiden":
        labels = leiden(network, gammas, seed, None if previous is None else start_from(network, gammas, previous))
    elif method == "networkx":
        labels = louvain(network, gammas, seed)
    else:
        raise DataError(f"method {method!r} is not known; use 'leiden' or 'networkx'")
    if previous is None:
        return assemble(network, gammas, labels, [{} for _ in gammas])
    labels, kept = keep_corrections(network, gammas, labels, previous)
    dismissed = still_dismissed(network, gammas, previous)
    return assemble(network, gammas, labels, kept, previous.last_id, dismissed)


def assign_friend(circles: Circles, network: EgoNetwork, friend: str) -> Circles:
    """Put one new friend into circles at once, by its ties; all others stay where they are.

    On each level the friend joins the community that it has the most ties with beyond chance, or stays alone if there is none
    (`privwiz.communities.best_community`); a circle that the user has corrected, on all of its levels or on none. Ids and names
    stay, except for names that list people. Much cheaper than `find_circles` and nearly as good; call
    ``find_circles(..., previous=...)`` when there is time.

    Parameters
    ----------
    circles : Circles
        Of the network without the friend.
    network : EgoNetwork
        With the friend.
    friend : str
        Who is new.

    Raises
    ------
    UnknownFriend
        If the friend is not in the network.
    DataError
        If the circles are of other friends than the rest of the network.
    """
    place = network.index(friend)
    if network.friends[:place] + network.friends[place + 1 :] != circles.friends:
        raise DataError(
            f"these circles are not of the network without {friend!r}; add one friend at a time, or find the circles again"
        )
    alone = circles.labels.max(initial=-1) + 1
    labels = np.insert(circles.labels, place, alone, axis=1)
    for level, gamma in zip(labels, circles.resolutions, strict=True):
        community = best_community(network, place, level, gamma)
        level[place] = alone if community < 0 else community
    kept = [dict(enumerate(circles.communities(k))) for k in range(len(labels))]
    join_alike(labels, place, corrected_groups(kept), alone)
    return assemble(network, circles.resolutions, labels, kept, circles.last_id, circles.dismissed, keep_names=True)


def attribute_circles(network: EgoNetwork, attributes: Collection[tuple[str, str]] | None = None) -> tuple[Circle, ...]:
    """Return the friends who share one attribute as circles, for every attribute of at least 3 and less than 80 % of all friends.

    With ``attributes``, each a field and a value, for these only. The largest first; level -1; ids such as ``"a:school=538"``. No
    circle is made of the fields in `privwiz.naming.PERSONAL_FIELDS`.

    Examples
    --------
    >>> from privwiz.graphs import build_ego_network
    >>> network = build_ego_network("me", "abcd", [], dict.fromkeys("abc", {"school": "PKU"}))
    >>> for circle in attribute_circles(network):
    ...     print(circle.id, circle.members, circle.name, circle.name_zh)
    a:school=PKU ('a', 'b', 'c') All with school PKU 学校为 PKU 的好友
    """
    found = [
        Circle(
            f"a:{field}={value}",
            -1,
            tuple(network.friends[i] for i in friends),
            f"All with {field_text(field)} {value}",
            f"{field_text(field, 'zh')}为 {value} 的好友",
        )
        for (field, value), friends in attribute_holders(network, at_least=MIN_SIZE).items()
        if (attributes is None or (field, value) in attributes)
        and field not in PERSONAL_FIELDS
        and len(friends) < _MAX_ATTRIBUTE_SHARE * network.n
    ]
    return tuple(sorted(found, key=lambda circle: (-len(circle), circle.id)))


def check_resolutions(resolutions: Sequence[float]) -> tuple[float, ...]:
    """Return the resolutions as numbers.

    Raises
    ------
    DataError
        If there is none, one is not a finite number above 0, or one comes twice.
    """
    try:
        gammas = tuple(float(gamma) for gamma in resolutions)
    except (TypeError, ValueError):
        gammas = ()
    if not gammas or not all(0 < gamma < float("inf") for gamma in gammas) or len(set(gammas)) < len(gammas):
        raise DataError(f"resolutions are {resolutions!r}; give different finite numbers above 0, such as [0.5, 1]")
    return gammas


def alike(some: Collection[str], others: Collection[str]) -> bool:
    """Whether more than half of all who are in either group are in both.

    >>> alike("abc", "abcd"), alike("abc", "abcdef")
    (True, False)
    """
    return 2 * len(set(some) & set(others)) > len({*some, *others})


def assemble(
    network: EgoNetwork,
    resolutions: tuple[float, ...],
    labels: Labels,
    kept: Sequence[Mapping[int, Circle]],
    last_id: int = 0,
    dismissed: tuple[Circle, ...] = (),
    *,
    keep_names: bool = False,
) -> Circles:
    """Make circles of communities.

    Parameters
    ----------
    network : EgoNetwork
    resolutions : tuple of float, length k
    labels : int array of shape (k, n)
        Community of each friend on each level, numbered in any way.
    kept : sequence of mapping, length k
        Community -> the circle whose id, and correctness, it takes over; communities without anybody in them are passed over.
    last_id : int
        Ids that are given here follow this one.
    dismissed : tuple of `Circle`
    keep_names : bool
        Whether the circles that are kept keep their names, all but those about people that have changed; else only those that
        the user has corrected do.
    """
    numbered = np.array([canonical_labels(level) for level in labels], dtype=np.int32).reshape(labels.shape)
    renumbered = [dict(zip(raw.tolist(), level.tolist(), strict=True)) for raw, level in zip(labels, numbered, strict=True)]
    continued = [
        {number[raw]: circle for raw, circle in old.items() if raw in number}
        for number, old in zip(renumbered, kept, strict=True)
    ]
    found = [
        _Found(k, group, tuple(network.friends[i] for i in group.tolist()), continued[k].get(c))
        for k, level in enumerate(numbered)
        for c, group in enumerate(community_members(level))
    ]
    names = _names_that_stay(found, keep_all=keep_names)
    rest = [number for number in range(len(found)) if number not in names]
    names.update(zip(rest, circle_names(network, [found[number].positions for number in rest], names.values()), strict=True))
    circles = []
    for number, (k, _, members, old) in enumerate(found):
        if old is None:
            last_id += 1
        corrected = old is not None and old.corrected
        en, zh, lists_people = names[number]
        circles.append(Circle(f"c{last_id}" if old is None else old.id, k, members, en, zh, lists_people, corrected))
    isolated = int((network.degree == 0).sum())
    return Circles(resolutions, network.friends, numbered, tuple(circles), isolated, last_id, dismissed)


def _names_that_stay(found: Sequence[_Found], *, keep_all: bool) -> dict[int, CircleName]:
    """Return the names that are kept, by position in ``found``: of all or only of corrected circles.

    Names about people that have changed are not. Where circles of one name are not the same people, one that the user has
    corrected keeps it, else one that has not changed.
    """
    names: dict[int, CircleName] = {}
    owner: dict[str, tuple[str, ...]] = {}
    kept = [
        (number, members, old, old.members != members) for number, (_, _, members, old) in enumerate(found) if old is not None
    ]
    for number, members, old, changed in sorted(kept, key=lambda one: (not one[2].corrected, one[3])):
        if (keep_all or old.corrected) and not (changed and old.lists_people):
            texts = (old.name, old.name_zh)
            if old.corrected or all(owner.get(text, members) == members for text in texts):
                names[number] = CircleName(*texts, old.lists_people)
                owner |= dict.fromkeys(texts, members)
    return names


def _are(number: int) -> str:
    return "is" if number == 1 else "are"
