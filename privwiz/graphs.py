"""Ego networks: one user's friends, the ties among them, their profiles."""

from bisect import bisect_left
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain
from typing import Any, NamedTuple, TypeAlias

import networkx as nx
import numpy as np
import numpy.typing as npt
from scipy import sparse

from privwiz.errors import DataError, UnknownFriend
from privwiz.profiles import FIELDS, Profile, check_id, normal_profile
from privwiz.ties import Floats, Ints, canonical_ties, tie_weights
from privwiz.words import amount

__all__ = ["FIELDS", "Attributes", "EgoNetwork", "Profile", "build_ego_network", "ego_network"]

Tie: TypeAlias = tuple[str, str] | tuple[str, str, float]

_NOTHING: Mapping[str, Any] = {}


class Attributes(NamedTuple):
    """What the profiles of all friends say, friend by friend.

    Parameters
    ----------
    names : tuple of (field, value)
        Each once, in the order in which they first come.
    friend, name : int arrays of shape (entries,)
        Whose, ascending, and which of ``names``.
    """

    names: tuple[tuple[str, str], ...]
    friend: npt.NDArray[np.intp]
    name: npt.NDArray[np.intp]

    def profiles(self, n: int) -> list[Profile]:
        """Return the profiles of ``n`` friends that say this.

        >>> Attributes((("school", "MIT"), ("school", "PKU")), np.array([1, 1]), np.array([0, 1])).profiles(2)
        [{}, {'school': ('MIT', 'PKU')}]
        """
        profiles: list[dict[str, tuple[str, ...]]] = [{} for _ in range(n)]
        for friend, name in zip(self.friend.tolist(), self.name.tolist(), strict=True):
            field, value = self.names[name]
            profiles[friend][field] = (*profiles[friend].get(field, ()), value)
        return [*profiles]


@dataclass(frozen=True, eq=False)
class EgoNetwork:
    """One user's friends, the ties among them, and profiles. The ego itself is not a node.

    Build one with `ego_network`, `build_ego_network` or a reader, which validate; the constructor trusts what it is given.

    Parameters
    ----------
    ego : str
        The user's id.
    friends : tuple of str, length n
        Sorted. Every array about friends is in this order.
    indptr, indices : int32 arrays, shapes (n + 1,) and (2 m,)
        Ties among friends in compressed sparse row form: symmetric, no self-ties, each row sorted. Read-only.
    weights : float64 array of shape (2 m,), or None
        Strength of each tie, positive; None when the network is unweighted. Read-only.
    profiles : mapping friend -> `Profile`
        Has every friend, an empty profile where nothing is known.
    ego_profile : `Profile`
        The user's own.
    ego_weights : float64 array of shape (n,), or None
        Strength of the tie between the user and each friend. Read-only.

    Examples
    --------
    >>> network = build_ego_network("ann", ["cy", "bo"], [("bo", "cy")], {"bo": {"school": "PKU"}})
    >>> network.friends, network.neighbors(0).tolist(), network.values("school")
    (('bo', 'cy'), [1], (('PKU',), ()))
    >>> network.with_friend("dee", ties=["bo"]).degree.tolist()
    [2, 1, 1]
    """

    ego: str
    friends: tuple[str, ...]
    indptr: Ints
    indices: Ints
    weights: Floats | None = None
    profiles: Mapping[str, Profile] = field(default_factory=dict)
    ego_profile: Profile = field(default_factory=dict)
    ego_weights: Floats | None = None

    def __post_init__(self) -> None:
        for name in ("indptr", "indices", "weights", "ego_weights"):
            array = getattr(self, name)
            if array is not None:
                object.__setattr__(self, name, _read_only(array))

    def __repr__(self) -> str:
        return f"<EgoNetwork of {self.ego!r}: {self.n} friends, {len(self.indices) // 2} ties>"

    def __getstate__(self) -> dict[str, Any]:
        """Pickle the fields only: what is cached is cheap to make again and may be large."""
        return {name: vars(self)[name] for name in self.__dataclass_fields__}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.__post_init__()

    @property
    def n(self) -> int:
        """Number of friends."""
        return len(self.friends)

    @cached_property
    def _positions(self) -> dict[str, int]:
        return {friend: position for position, friend in enumerate(self.friends)}

    def index(self, friend: str) -> int:
        """Return the position of ``friend`` in ``friends``.

        Raises
        ------
        UnknownFriend
            If there is no such friend.
        """
        try:
            return self._positions[friend]
        except (KeyError, TypeError):
            raise UnknownFriend(friend) from None

    def positions(self, friends: Iterable[str]) -> tuple[int, ...]:
        """Return the positions of some friends, in their order; raises `UnknownFriend` as `index` does."""
        try:
            return tuple(map(self._positions.__getitem__, friends))
        except KeyError as error:
            raise UnknownFriend(error.args[0]) from None

    def neighbors(self, i: int) -> Ints:
        """Return the positions of the friends tied to friend number ``i``, ascending (a read-only view).

        Raises
        ------
        IndexError
            If there is no friend number ``i``.
        """
        i = range(self.n)[i]
        return self.indices[self.indptr[i] : self.indptr[i + 1]]

    @cached_property
    def adjacency(self) -> "sparse.csr_array[np.float64, tuple[int, int]]":
        """Tie strengths (1 where the network is unweighted), symmetric, shape (n, n). Shares memory: do not write to it."""
        data = np.ones(len(self.indices)) if self.weights is None else self.weights
        return sparse.csr_array((data, self.indices, self.indptr), shape=(self.n, self.n))

    @cached_property
    def degree(self) -> Ints:
        """Number of ties of each friend to other friends, shape (n,)."""
        return _read_only(np.diff(self.indptr))

    @cached_property
    def graph(self) -> nx.Graph:
        """The same as a networkx graph, frozen: friends with their profiles as attributes, ties with ``weight`` if weighted."""
        graph = nx.Graph()
        graph.add_nodes_from((friend, dict(self.profiles[friend])) for friend in self.friends)
        rows = np.repeat(np.arange(self.n, dtype=np.int32), self.degree)
        once = rows < self.indices
        ends = [[self.friends[k] for k in end[once].tolist()] for end in (rows, self.indices)]
        if self.weights is None:
            graph.add_edges_from(zip(*ends, strict=True))
        else:
            graph.add_weighted_edges_from(zip(*ends, self.weights[once].tolist(), strict=True))
        return nx.freeze(graph)

    @cached_property
    def igraph(self) -> Any:
        """The ties as an igraph graph, each once and without weights, in the order of ``indices``. Do not change it."""
        import igraph

        rows = np.repeat(np.arange(self.n), self.degree)
        once = rows < self.indices
        # An iterator of pairs is what igraph reads fastest: faster than a list of them or a numpy array.
        return igraph.Graph(self.n, zip(rows[once].tolist(), self.indices[once].tolist(), strict=True))

    @cached_property
    def fields(self) -> tuple[str, ...]:
        """Names of the fields that occur in a friend's profile, sorted."""
        return tuple(sorted(set().union(*(self.profiles[friend] for friend in self.friends))))

    @cached_property
    def attributes(self) -> Attributes:
        """All values of all fields of all friends."""
        numbers: dict[tuple[str, str], int] = {}
        number_of = numbers.setdefault
        own = [
            [number_of((name, value), len(numbers)) for name, values in self.profiles[friend].items() for value in values]
            for friend in self.friends
        ]
        friend = np.repeat(np.arange(self.n), np.fromiter(map(len, own), np.intp, self.n))
        return Attributes(tuple(numbers), friend, np.fromiter(chain.from_iterable(own), np.intp, len(friend)))

    def values(self, field: str) -> tuple[tuple[str, ...], ...]:
        """Return each friend's values of ``field``, in the order of ``friends``; ``()`` where it is missing."""
        return tuple(self.profiles[friend].get(field, ()) for friend in self.friends)

    def with_friend(
        self,
        friend: str,
        ties: Iterable[str] | Mapping[str, float] = (),
        profile: Mapping[str, object] | None = None,
        weight: float | None = None,
    ) -> "EgoNetwork":
        """Return the network with one friend more.

        Parameters
        ----------
        friend : str
            The id of the new friend.
        ties : iterable of str, or mapping of str to float
            The friends that the new friend knows; a mapping gives the strengths, else each is 1. A tie to the new friend itself
            or to the user says nothing and is dropped.
        profile : mapping, optional
            As the node attributes of `ego_network`.
        weight : float, optional
            Strength of the tie between the user and the new friend. The first strength that an unweighted network receives makes
            it weighted, with 1 for all that is there.

        Raises
        ------
        DataError
            If the id cannot be used, is a friend already or is the user, or a strength is not a finite number above 0.
        UnknownFriend
            If ``ties`` names somebody who is not a friend.
        """
        check_id(friend)
        if friend == self.ego:
            raise DataError(f"{friend!r} is the user; only others can be added as friends")
        if friend in self._positions:
            raise DataError(f"{friend!r} is a friend already; remove the friend first or use another id")
        if isinstance(ties, str):
            raise DataError(f"ties of {friend!r} are the text {ties!r}; give a list of friends, such as [{ties!r}]")
        others = [other for other in ties if other not in (friend, self.ego)]
        place = bisect_left(self.friends, friend)
        known = np.array([self.index(other) for other in others], dtype=np.int64)
        rows, cols = (end + (end >= place) for end in (self._rows(), self.indices.astype(np.int64)))
        strengths = [ties[other] for other in others] if isinstance(ties, Mapping) else [None] * len(others)
        added = tie_weights(strengths, lambda k: (friend, others[k]))
        weights = None
        if self.weights is not None or added is not None:
            weights = np.concatenate([_or_ones(self.weights, len(rows)), _or_ones(added, len(others))])
        indptr, indices, weights = canonical_ties(
            self.n + 1,
            np.concatenate([rows, np.full(len(others), place)]),
            np.concatenate([cols, known + (known >= place)]),
            weights,
        )
        ego_weights = self.ego_weights
        if ego_weights is not None or weight is not None:
            given = _or_ones(tie_weights([weight], lambda _: (self.ego, friend)), 1)
            ego_weights = np.insert(_or_ones(ego_weights, self.n), place, given)
        return replace(
            self,
            friends=(*self.friends[:place], friend, *self.friends[place:]),
            indptr=indptr,
            indices=indices,
            weights=weights,
            profiles={**self.profiles, friend: normal_profile(profile or {}, friend)},
            ego_weights=ego_weights,
        )

    def without_friend(self, friend: str) -> "EgoNetwork":
        """Return the network with one friend less; the opposite of `with_friend`.

        Raises
        ------
        UnknownFriend
            If there is no such friend.
        """
        place = self.index(friend)
        rows, cols = self._rows(), self.indices.astype(np.int64)
        stay = (rows != place) & (cols != place)
        rows, cols = (end[stay] - (end[stay] > place) for end in (rows, cols))
        indptr, indices, weights = canonical_ties(self.n - 1, rows, cols, None if self.weights is None else self.weights[stay])
        return replace(
            self,
            friends=self.friends[:place] + self.friends[place + 1 :],
            indptr=indptr,
            indices=indices,
            weights=weights,
            profiles={other: profile for other, profile in self.profiles.items() if other != friend},
            ego_weights=None if self.ego_weights is None else np.delete(self.ego_weights, place),
        )

    def _rows(self) -> npt.NDArray[np.int64]:
        return np.repeat(np.arange(self.n, dtype=np.int64), self.degree)


def ego_network(graph: nx.Graph, ego: Hashable, *, weight: str | None = "weight") -> EgoNetwork:
    """Take one user's ego network out of a social graph, which is not changed.

    The cost is that of the user's neighbourhood, however large the graph is.

    Parameters
    ----------
    graph : networkx.Graph
        Any kind. In a directed graph two people are tied if either direction is there; of several edges between two people
        (parallel ones, or both directions) the strongest counts; self-loops are dropped. Node attributes are the profiles: each
        value a string, number or boolean, or a list, tuple or set of these; None, NaN, ``""`` and empty collections mean missing.
        Numbers become text (``1990.0`` becomes ``"1990"``), booleans ``"true"`` and ``"false"``.
    ego : node
        The user. Friends are its neighbours; ids that are not strings become ``str(id)``.
    weight : str, optional
        The edge attribute that holds the strength of a tie, a finite number above 0. An edge without it counts 1; if no tie among
        the friends has it, ``weights`` is None, and if no tie of the user has it, ``ego_weights`` is. None ignores strengths.

    Raises
    ------
    DataError
        If the user is not in the graph, two ids are the same as text, a strength is not a finite number above 0, or a profile
        holds something else than text and numbers.

    Examples
    --------
    >>> import networkx as nx
    >>> network = ego_network(nx.karate_club_graph(), 4, weight=None)
    >>> network
    <EgoNetwork of '4': 3 friends, 2 ties>
    >>> network.friends, network.values("club")
    (('0', '10', '6'), (('Mr. Hi',), ('Mr. Hi',), ('Mr. Hi',)))
    """
    if not isinstance(graph, nx.Graph):
        raise DataError(f"a social graph is a networkx graph, not {type(graph).__name__}; read files with read_graph")
    if ego not in graph:
        raise DataError(_missing_user(graph, ego))
    around = set(nx.all_neighbors(graph, ego)) - {ego}
    names = {node: node if type(node) is str else str(node) for node in around}
    nodes = sorted(around, key=names.__getitem__)
    friends = tuple(names[node] for node in nodes)
    _check_names([(ego, str(ego)), *names.items()])
    rows, cols, strengths = _ties_among(graph, nodes, weight)
    weights = tie_weights(strengths, lambda k: (friends[rows[k]], friends[cols[k]]))
    indptr, indices, weights = canonical_ties(len(nodes), rows, cols, weights)
    position, ego_strengths = _ties_of(graph, ego, nodes, weight)
    ego_weights = tie_weights(ego_strengths, lambda k: (str(ego), friends[position[k]]))
    if ego_weights is not None:
        strongest = np.zeros(len(nodes))
        np.maximum.at(strongest, position, ego_weights)
        ego_weights = strongest
    attributes = graph.nodes
    return EgoNetwork(
        str(ego),
        friends,
        indptr,
        indices,
        weights,
        {friend: normal_profile(attributes[node], friend) for friend, node in zip(friends, nodes, strict=True)},
        normal_profile(attributes[ego], str(ego)),
        ego_weights,
    )


def build_ego_network(
    ego: str,
    friends: Iterable[str],
    ties: Iterable[Tie],
    profiles: Mapping[str, Mapping[str, object]] = _NOTHING,
    ego_profile: Mapping[str, object] = _NOTHING,
    ego_weights: Mapping[str, float] | None = None,
) -> EgoNetwork:
    """Build an ego network from plain Python data, checking it.

    Parameters
    ----------
    ego : str
        The user's id.
    friends : iterable of str
        In any order; who is named twice is one friend.
    ties : iterable of (friend, friend) or (friend, friend, weight)
        In any order and direction; of repeats the strongest counts; a tie of a friend to itself or to the user is dropped. A tie
        without weight counts 1 beside others that have one.
    profiles : mapping friend -> profile
        As the node attributes of `ego_network`. Profiles of people who are not friends are left out.
    ego_profile : mapping
        The user's own.
    ego_weights : mapping friend -> weight, optional
        Strength of the tie between the user and each friend; 1 for friends it does not name.

    Raises
    ------
    DataError
        If an id is not a non-empty string, the user is among the friends, a tie or weight names somebody who is not a friend, a
        weight is not a number above 0, or a profile holds something else than text and numbers.

    Examples
    --------
    >>> build_ego_network("ann", ["bo", "cy"], [("cy", "bo", 2.5), ("bo", "cy", 1)]).weights.tolist()
    [2.5, 2.5]
    """
    people = set(friends)
    for name in (ego, *people):
        check_id(name)
    if ego in people:
        raise DataError(f"{ego!r} is the user and cannot be a friend too; leave it out of the friends")
    order = tuple(sorted(people))
    position = {friend: k for k, friend in enumerate(order)}
    position[ego] = -1
    rows, cols, strengths = [], [], []
    for tie in ties:
        first, second = position.get(tie[0]), position.get(tie[1])
        if first is None or second is None:
            name = tie[0] if first is None else tie[1]
            wrong = f"the tie {tie[0]!r} - {tie[1]!r} names {name!r}, who is not a friend of {ego!r}; add the friend first"
            raise DataError(wrong)
        if first != second and first >= 0 and second >= 0:
            rows.append(first)
            cols.append(second)
            strengths.append(tie[2] if len(tie) == 3 else None)
    weights = tie_weights(strengths, lambda k: (order[rows[k]], order[cols[k]]))
    indptr, indices, weights = canonical_ties(len(order), np.array(rows, np.int64), np.array(cols, np.int64), weights)
    to_ego = None
    if ego_weights is not None:
        stranger = next((name for name in ego_weights if position.get(name, -1) < 0), None)
        if stranger is not None:
            raise DataError(f"ego_weights names {stranger!r}, who is not a friend of {ego!r}; add the friend first")
        to_ego = _or_ones(tie_weights([ego_weights.get(friend) for friend in order], lambda k: (ego, order[k])), len(order))
    return EgoNetwork(
        ego,
        order,
        indptr,
        indices,
        weights,
        {friend: normal_profile(profiles.get(friend, _NOTHING), friend) for friend in order},
        normal_profile(ego_profile, ego),
        to_ego,
    )


def _ties_among(
    graph: nx.Graph, nodes: list[Any], weight: str | None
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], list[object]]:
    """Return every tie among ``nodes`` at least once, as positions and strengths, without self-ties."""
    adjacency = graph._adj  # noqa: SLF001 - plain dictionaries: the public views cost more than all else here
    directed, position, others = graph.is_directed(), {node: k for k, node in enumerate(nodes)}, set(nodes)
    shared = []
    for node in nodes:
        others.discard(node)
        shared.append(adjacency[node].keys() & others)
        if directed:
            others.add(node)
    rows = np.repeat(np.arange(len(nodes), dtype=np.int64), [len(known) for known in shared])
    cols = np.fromiter(map(position.__getitem__, chain.from_iterable(shared)), np.int64, len(rows))
    if weight is None:
        return rows, cols, []
    edges = [data[other] for data, known in zip(map(adjacency.__getitem__, nodes), shared, strict=True) for other in known]
    if not graph.is_multigraph():
        return rows, cols, [edge.get(weight) for edge in edges]
    parallel = [len(edge) for edge in edges]
    strengths = [data.get(weight) for edge in edges for data in edge.values()]
    return np.repeat(rows, parallel), np.repeat(cols, parallel), strengths


def _ties_of(graph: nx.Graph, ego: Hashable, nodes: list[Any], weight: str | None) -> tuple[list[int], list[object]]:
    """Return the ties of the user to ``nodes``, as positions and strengths."""
    if weight is None:
        return [], []
    directions = (graph.succ, graph.pred) if graph.is_directed() else (graph.adj,)
    edges = [(k, way[ego][node]) for way in directions for k, node in enumerate(nodes) if node in way[ego]]
    if graph.is_multigraph():
        edges = [(k, data) for k, parallel in edges for data in parallel.values()]
    return [k for k, _ in edges], [data.get(weight) for _, data in edges]


def _or_ones(weights: Floats | None, size: int) -> Floats:
    return np.ones(size) if weights is None else weights


def _check_names(named: list[tuple[Hashable, str]]) -> None:
    by_name: dict[str, Hashable] = {}
    for node, name in named:
        if name in by_name:
            first, second = sorted([by_name[name], node], key=repr)
            raise DataError(f"the ids {first!r} and {second!r} are the same as text; rename one of them")
        by_name[name] = node
        check_id(name)


def _missing_user(graph: nx.Graph, ego: object) -> str:
    some = ", ".join(repr(node) for node, _ in zip(graph, range(3), strict=False))
    return f"{ego!r} is not in the graph; " + (
        f"it has {amount(len(graph), 'user')}, such as {some}" if some else "it has no users at all"
    )


def _read_only(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    view = array.view()
    view.flags.writeable = False
    return view
