"""Synthetic communities: a believable town with families, schools, workplaces, neighbourhoods, clubs and friendships."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import networkx as nx
import numpy as np

from privwiz.errors import DataError
from privwiz.graphs import EgoNetwork, ego_network
from privwiz.regimes import Regime
from privwiz.simulate import SimulatedPolicy, simulate_policy
from privwiz.town.families import MAIN_USER, raise_families
from privwiz.town.lives import lead_lives
from privwiz.town.profiles import write_profiles
from privwiz.town.ties import tie_people

__all__ = ["FEWEST_PEOPLE", "Community", "Group", "ego_circles", "simulate_community", "simulate_users"]

FEWEST_PEOPLE = 10
"""Size of the smallest town."""

_PEOPLE_PER_PLACE = 800
_SMALLEST_CIRCLE = 2


@dataclass(frozen=True, slots=True)
class Group:
    """A real group of a community.

    Parameters
    ----------
    kind : str
        ``"family"``, ``"relatives"``, ``"class"``, ``"school"``, ``"university"``, ``"course"``, ``"work"``, ``"team"``,
        ``"neighbourhood"``, ``"club"`` or ``"friends"``.
    name : str
        For people to read: ``"Harrow Software, design"``.
    members : tuple of str, sorted
        Ids of the users in it, at least 2.
    """

    kind: str
    name: str
    members: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Community:
    """A social network in which it is known why people know each other.

    Parameters
    ----------
    graph : networkx.Graph
        Frozen. Nodes are user ids with profiles as attributes: the fields of `privwiz.graphs.FIELDS` and ``name``, each
        a string or, where there are several values, a tuple of strings; what a user does not tell is not there. The
        edge attribute ``weight`` is closeness: 0.1 (know each other by sight) to 10 (live together).
    groups : tuple of Group
        The real groups; they overlap, and not all members of a group know each other.
    main_user : str
        A user with many friends of all kinds, good for a first look.
    """

    graph: nx.Graph
    groups: tuple[Group, ...]
    main_user: str

    @property
    def users(self) -> tuple[str, ...]:
        """Ids of all users, in the order of the graph."""
        return tuple(self.graph)

    def ego_network(self, user: str) -> EgoNetwork:
        """Return the ego network of ``user``.

        Raises
        ------
        DataError
            There is no such user.
        """
        return ego_network(self.graph, user)

    def around(self, users: Iterable[str]) -> "Community":
        """Return the part of the community that holds the whole ego networks of ``users``, the first one as main user.

        Raises
        ------
        DataError
            No user is named, or one is not in the community.
        """
        chosen = tuple(dict.fromkeys(users))
        if not chosen:
            raise DataError("no users to keep; name at least one")
        return self._among({friend for user in chosen for friend in (user, *self.friends(user))}, chosen[0])

    def among(self, users: Iterable[str]) -> "Community":
        """Return the part of the community that holds ``users`` only, the first one as main user.

        Raises
        ------
        DataError
            No user is named, or one is not in the community.
        """
        chosen = tuple(dict.fromkeys(users))
        for user in chosen:
            self.friends(user)
        if not chosen:
            raise DataError("no users to keep; name at least one")
        return self._among(set(chosen), chosen[0])

    def _among(self, kept: set[str], main_user: str) -> "Community":
        graph = nx.Graph()
        graph.add_nodes_from((user, profile) for user, profile in self.graph.nodes(data=True) if user in kept)
        graph.add_edges_from(edge for edge in self.graph.edges(data=True) if edge[0] in kept and edge[1] in kept)
        groups = (Group(group.kind, group.name, tuple(user for user in group.members if user in kept)) for group in self.groups)
        return Community(nx.freeze(graph), tuple(group for group in groups if len(group.members) > 1), main_user)

    def friends(self, user: str) -> tuple[str, ...]:
        """Return the friends of ``user``.

        Raises
        ------
        DataError
            There is no such user.
        """
        if user not in self.graph:
            raise DataError(f"{user!r} is not a user of this community; one that is: {self.main_user!r}")
        return tuple(self.graph[user])

    def groups_of(self, user: str) -> tuple[Group, ...]:
        """Return the groups that ``user`` is in, in the order of ``groups``."""
        return self._groups_of.get(user, ())

    @cached_property
    def _groups_of(self) -> dict[str, tuple[Group, ...]]:
        found: dict[str, list[Group]] = {user: [] for user in self.graph}
        for group in self.groups:
            for user in group.members:
                found[user].append(group)
        return {user: tuple(groups) for user, groups in found.items()}


def simulate_community(people: int = 2000, seed: int = 0) -> Community:
    """Draw a town and who knows whom in it.

    Founding couples have children and grandchildren, who marry, go to school, study, work, live in streets, join clubs
    and make close friends; incomers join, and outsiders keep in touch from elsewhere. Two members of a group know each
    other with a probability that grows with the sociability of both and depends on the kind of group; friends introduce
    their friends to each other; some people meet by chance. Profiles leave out what people do not tell.

    Parameters
    ----------
    people : int, default 2000
        Number of users, at least `FEWEST_PEOPLE`. Among 2,000 the main user, ``"ada"``, has about 220 friends.
    seed : int, default 0
        0 or more; equal arguments give equal communities.

    Raises
    ------
    DataError
        There are too few people, or the seed is negative.

    Examples
    --------
    >>> community = simulate_community(people=60, seed=1)
    >>> len(community.graph), community.main_user
    (60, 'ada')
    >>> community.graph.nodes["ada"]["name"]
    'Ada Lin'
    """
    if people < FEWEST_PEOPLE:
        raise DataError(f"people is {people}; a community has at least {FEWEST_PEOPLE}")
    if seed < 0:
        raise DataError(f"seed is {seed}; it must be 0 or more")
    rng = np.random.default_rng(seed)
    places = max(1, round(people / _PEOPLE_PER_PLACE))
    register = raise_families(people, places, rng)
    lives, gatherings = lead_lives(register, places, rng)
    users = [person for person in register if person.online]
    one, other, closeness = tie_people(users, gatherings, rng)
    profiles = write_profiles(users, lives, rng)
    ids = [person.id for person in users]
    graph = nx.Graph()
    graph.add_nodes_from(zip(ids, profiles, strict=True))
    graph.add_weighted_edges_from(
        (ids[i], ids[j], weight) for i, j, weight in zip(one.tolist(), other.tolist(), closeness.tolist(), strict=True)
    )
    groups = (Group(found.kind, found.name, tuple(sorted(register[key].id for key in found.members))) for found in gatherings)
    return Community(nx.freeze(graph), tuple(groups), MAIN_USER)


def ego_circles(community: Community, user: str) -> tuple[tuple[str, ...], ...]:
    """Return the user's real circles: the friends in each group of the user, sorted, each set of two or more once.

    Raises
    ------
    DataError
        There is no such user.
    """
    friends = set(community.friends(user))
    circles = (tuple(member for member in group.members if member in friends) for group in community.groups_of(user))
    return tuple(dict.fromkeys(circle for circle in circles if len(circle) >= _SMALLEST_CIRCLE))


def simulate_users(
    community: Community,
    users: Iterable[str] | None = None,
    regimes: str | Regime | Iterable[str | Regime] = "mixed",
    seed: int = 0,
) -> Iterator[tuple[EgoNetwork, SimulatedPolicy]]:
    """Yield the ego network and a simulated policy of each user, regime by regime for each.

    Parameters
    ----------
    community : Community
    users : iterable of str, optional
        Default all, in the order of the graph.
    regimes : str, Regime, or iterable of these, default "mixed"
    seed : int, default 0
        Passed to `simulate_policy`, which adds the user and the regime to it.

    Raises
    ------
    DataError
        A user or regime is unknown, or the seed negative.
    """
    chosen = [regimes] if isinstance(regimes, str | Regime) else list(regimes)
    for user in community.users if users is None else users:
        network, circles = community.ego_network(user), ego_circles(community, user)
        for regime in chosen:
            yield network, simulate_policy(network, circles, regime, seed)
