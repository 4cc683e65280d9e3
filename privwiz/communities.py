"""Communities of friends as arrays: which friend is in which group, at every resolution."""

import random
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeAlias

import networkx as nx
import numpy as np
import numpy.typing as npt

from privwiz.graphs import EgoNetwork

__all__ = [
    "MIN_SIZE",
    "Labels",
    "best_community",
    "canonical_labels",
    "community_members",
    "igraph_random",
    "join_alike",
    "leiden",
    "louvain",
    "match_groups",
]

Labels: TypeAlias = npt.NDArray[np.int32]
Ints: TypeAlias = npt.NDArray[np.intp]

MIN_SIZE = 3
"""Communities of fewer friends are no circles."""

MIN_JACCARD = 0.1
"""A community continues an old one only if they overlap by at least this much."""

# One reaches the modularity of Louvain on real networks (benchmarks/circles.py); a start adds another.
_ITERATIONS = 1
_IGRAPH_RANDOM = threading.Lock()


def leiden(network: EgoNetwork, resolutions: Sequence[float], seed: int, start: Labels | None = None) -> Labels:
    """Communities of high modularity by the Leiden algorithm, one partition per resolution.

    Traag, Waltman & van Eck, "From Louvain to Leiden: guaranteeing well-connected communities", Scientific Reports 9, 5233
    (2019), https://doi.org/10.1038/s41598-019-41695-z, with modularity at a resolution (Reichardt & Bornholdt, Physical Review E
    74, 016110 (2006), https://doi.org/10.1103/PhysRevE.74.016110). Safe to call from several threads at once; each level depends
    on the network, its resolution, the seed and its start only.

    Parameters
    ----------
    network : EgoNetwork
        Ties count by their strength.
    resolutions : sequence of float, length k
        The higher, the smaller the communities.
    seed : int
        Equal seeds give equal results.
    start : int array of shape (k, n), optional
        Partitions to improve on; without them every friend starts alone.

    Returns
    -------
    int32 array of shape (k, n)
        Canonical (see `canonical_labels`). A friend without ties is alone.
    """
    alone = np.tile(np.arange(network.n, dtype=np.int32), (len(resolutions), 1))
    if not len(network.indices):
        return alone
    from igraph import GraphBase

    graph, weights = network.igraph, None
    if network.weights is not None:
        weights = network.weights[np.repeat(np.arange(network.n), network.degree) < network.indices].tolist()
    labels = alone
    with igraph_random(seed) as generator:
        for level, resolution in enumerate(resolutions):
            generator.seed(int(seed))
            # Not by `Graph.community_leiden`, which would wrap a clustering around it that takes a tenth of the time.
            found, _ = GraphBase.community_leiden(
                graph,
                edge_weights=weights,
                resolution=resolution,
                normalize_resolution=True,
                initial_membership=None if start is None else _first(network, start[level]),
                n_iterations=_ITERATIONS,
            )
            labels[level] = canonical_labels(np.array(found))
    return labels


def _first(network: EgoNetwork, start: Labels) -> list[int]:
    """Return a partition to improve on, in which friends without ties are alone."""
    communities: list[int] = _compact(np.where(network.degree > 0, start, -1 - np.arange(network.n))).tolist()
    return communities


def louvain(network: EgoNetwork, resolutions: Sequence[float], seed: int) -> Labels:
    """Do the same by networkx's Louvain method: slower, without a start, but plain to read; the oracle of `leiden`.

    Blondel, Guillaume, Lambiotte & Lefebvre, "Fast unfolding of communities in large networks", Journal of Statistical Mechanics
    P10008 (2008), https://doi.org/10.1088/1742-5468/2008/10/P10008.
    """
    labels = np.zeros((len(resolutions), network.n), dtype=np.int32)
    for level, resolution in enumerate(resolutions):
        communities = nx.community.louvain_communities(network.graph, resolution=resolution, seed=int(seed)) if network.n else []
        for number, community in enumerate(communities):
            labels[level, [network.index(friend) for friend in community]] = number
        labels[level] = canonical_labels(labels[level])
    return labels


def canonical_labels(labels: npt.NDArray[np.integer]) -> Labels:
    """Renumber communities 0, 1, 2 ... from the largest down; of equals, the one with the first friend comes first.

    >>> canonical_labels(np.array([7, 3, 9, 3, 9])).tolist()
    [2, 0, 1, 0, 1]
    """
    n = len(labels)
    if n and not 0 <= labels.min() <= labels.max() < n:
        labels = _compact(labels)
    size = np.bincount(labels)
    numbers = np.arange(n)
    first = np.zeros(len(size), np.intp)
    first[labels[::-1]] = numbers[::-1]
    rank = np.empty(len(size), dtype=np.int32)
    rank[np.lexsort((first, -size))] = numbers[: len(size)]
    renumbered: Labels = rank[labels]
    return renumbered


def community_members(level: Labels) -> list[npt.NDArray[np.intp]]:
    """Return the positions of the members of each community that is large enough to be a circle, community 0 first.

    >>> [group.tolist() for group in community_members(np.array([1, 0, 0, 2, 0, 1, 1], dtype=np.int32))]
    [[1, 2, 4], [0, 5, 6]]
    """
    sizes = np.bincount(level)
    ends = np.cumsum(sizes[sizes >= MIN_SIZE])
    return np.split(np.argsort(level, kind="stable")[: ends[-1]], ends[:-1]) if len(ends) else []


def match_groups(old: Sequence[Ints], new: Sequence[Ints], n: int) -> dict[int, int]:
    """Pair groups one to one so that their Jaccard overlaps add up to the most.

    Parameters
    ----------
    old, new : sequences of int arrays
        Members of each group, numbers below ``n``; the groups of one sequence are disjoint.
    n : int
        Number of different members.

    Returns
    -------
    dict
        Number of a new group -> number of its old one; only pairs that overlap by at least 0.1.

    >>> match_groups([np.array([0, 1, 2]), np.array([3, 4])], [np.array([4, 5]), np.array([0, 1])], 6)
    {0: 1, 1: 0}
    """
    from scipy.optimize import linear_sum_assignment  # half a second to load, and needed only as a network grows

    if not old or not new:
        return {}
    before, after = (np.full(n, -1), np.full(n, -1))
    for labels, groups in ((before, old), (after, new)):
        for number, group in enumerate(groups):
            labels[group] = number
    both = (before >= 0) & (after >= 0)
    common = np.zeros((len(old), len(new)))
    np.add.at(common, (before[both], after[both]), 1)
    sizes = [np.array([len(group) for group in groups]) for groups in (old, new)]
    jaccard = common / (sizes[0][:, None] + sizes[1][None, :] - common)
    pairs = zip(*linear_sum_assignment(jaccard, maximize=True), strict=True)
    return dict(sorted((int(b), int(a)) for a, b in pairs if jaccard[a, b] >= MIN_JACCARD))


def best_community(network: EgoNetwork, i: int, labels: Labels, resolution: float) -> int:
    """Return the community that friend ``i`` adds most modularity to; -1 if it adds none to any, as without ties.

    The gain is the strength of the friend's ties with the community beyond what chance would give at this resolution: one local
    move of `leiden`. Of equals, the lower number.

    Parameters
    ----------
    network : EgoNetwork
        With the friend.
    i : int
        Position of the friend.
    labels : int array of shape (n,)
        Community of each friend; that of friend ``i`` does not count.
    resolution : float
        As in `leiden`.

    Examples
    --------
    >>> from privwiz.graphs import build_ego_network
    >>> network = build_ego_network("me", "abcde", [("a", "b"), ("c", "d"), ("d", "e")])
    >>> best_community(network, 4, np.array([0, 0, 1, 1, 9]), 1.0)
    1
    """
    neighbors = network.neighbors(i)
    if not len(neighbors):
        return -1
    strength: npt.NDArray[np.float64] = np.asarray(network.adjacency.sum(axis=1))
    others = np.delete(np.arange(network.n), i)
    total = np.bincount(labels[others], strength[others])
    ties = np.bincount(labels[neighbors], network.adjacency.data[network.indptr[i] : network.indptr[i + 1]], len(total))
    gain = ties - resolution * strength[i] * total / strength.sum()
    return int(gain.argmax()) if gain.max() > 0 else -1


def join_alike(labels: Labels, i: int, groups: Iterable[Mapping[int, int]], alone: int) -> None:
    """Let a friend, in place, be in a group that stands on several levels on all of these or on none: as on the first of them.

    Parameters
    ----------
    labels : int array of shape (k, n)
        Community of each friend on each level.
    i : int
        Position of the friend.
    groups : iterable of mapping
        Level -> community, for each group; of groups that share a level, the earlier one goes first.
    alone : int
        A community for the friend where it leaves one of these.

    Examples
    --------
    >>> labels = np.array([[0, 0, 0], [1, 1, 2], [5, 5, 3]], dtype=np.int32)
    >>> join_alike(labels, 2, [{0: 0, 1: 1}, {2: 3, 1: 2}], alone=9)
    >>> labels[:, 2].tolist()
    [0, 1, 9]
    """
    taken: set[int] = set()
    for places in groups:
        first = min(places)
        joins = labels[first, i] == places[first] and taken.isdisjoint(places)
        taken.update(places if joins else ())
        for level, community in places.items():
            if joins:
                labels[level, i] = community
            elif labels[level, i] == community:
                labels[level, i] = alone


def _compact(labels: npt.NDArray[np.integer]) -> npt.NDArray[np.intp]:
    numbers: npt.NDArray[np.intp] = np.unique(labels, return_inverse=True)[1]
    return numbers


@contextmanager
def igraph_random(seed: int) -> Iterator[random.Random]:
    """Let igraph, which has one generator per process, draw from a seeded one, and put its default back afterwards."""
    import igraph

    with _IGRAPH_RANDOM:
        generator = random.Random(int(seed))  # noqa: S311 - for repeatable results, not for secrets
        igraph.set_random_number_generator(generator)
        try:
            yield generator
        finally:
            igraph.set_random_number_generator(random)
