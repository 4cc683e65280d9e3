import random
import threading
from itertools import combinations

import igraph
import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privwiz.circles import RESOLUTIONS
from privwiz.communities import best_community, canonical_labels, leiden, louvain, match_groups
from privwiz.graphs import build_ego_network
from privwiz.readers import read_snap_ego_network

EGOS = ["0", "107", "348", "414", "686", "698", "1684", "1912", "3437", "3980"]


@st.composite
def networks(draw, max_friends=12):
    """Draw a small ego network, with or without tie strengths."""
    n = draw(st.integers(0, max_friends))
    friends = [f"f{i:02}" for i in range(n)]
    pairs = draw(st.lists(st.sampled_from(list(combinations(friends, 2))), unique=True, max_size=30)) if n > 1 else []
    if draw(st.booleans()):
        weights = draw(st.lists(st.floats(0.01, 100), min_size=len(pairs), max_size=len(pairs)))
        pairs = [(*pair, weight) for pair, weight in zip(pairs, weights, strict=True)]
    return build_ego_network("me", friends, pairs)


def modularity(network, labels, resolution=1.0):
    """Return networkx's modularity of a row of labels."""
    groups = [{network.friends[i] for i in np.flatnonzero(labels == c)} for c in np.unique(labels)]
    assert nx.community.is_partition(network.graph, groups)
    return nx.community.modularity(network.graph, groups, resolution=resolution)


def two_cliques(size=5):
    """Two cliques without a tie between them."""
    names = [f"{clique}{i}" for clique in "ab" for i in range(size)]
    return build_ego_network("me", names, [pair for pair in combinations(names, 2) if pair[0][0] == pair[1][0]])


@pytest.mark.parametrize("find", [leiden, louvain])
def test_two_cliques_are_two_communities(find):
    """Two cliques without a tie between them are two communities, for the fast and for the plain method."""
    assert find(two_cliques(), (1.0,), 0).tolist() == [[0] * 5 + [1] * 5]


@pytest.mark.parametrize("find", [leiden, louvain])
@settings(max_examples=50)
@given(network=networks(), seed=st.integers(0, 5))
def test_communities_are_canonical_partitions(find, network, seed):
    """Every friend is in one community of each level; communities are numbered from the largest; who has no tie is alone."""
    labels = find(network, (0.5, 1.0, 4.0), seed)
    assert labels.shape == (3, network.n)
    assert labels.dtype == np.int32
    for level in labels:
        assert (canonical_labels(level) == level).all()
        sizes = np.bincount(level)
        assert sizes.all()
        assert (np.diff(sizes) <= 0).all()
        assert (sizes[level[network.degree == 0]] == 1).all()


@settings(max_examples=50)
@given(network=networks(), seed=st.integers(0, 5))
def test_equal_seeds_give_equal_communities_and_levels_do_not_depend_on_each_other(network, seed):
    """A level is a function of network, resolution and seed: whichever other levels are asked for, in whatever order."""
    together = leiden(network, (0.5, 2.0), seed)
    assert (together == leiden(network, (0.5, 2.0), seed)).all()
    assert (together[::-1] == leiden(network, (2.0, 0.5), seed)).all()


@settings(max_examples=50)
@given(network=networks(), seed=st.integers(0, 3))
def test_a_start_is_never_made_worse(network, seed):
    """Starting from a partition gives one of at least the same modularity."""
    if len(network.indices):
        start = leiden(network, (1.0,), 9)
        found = leiden(network, (1.0,), seed, start)
        assert modularity(network, found[0]) >= modularity(network, start[0]) - 1e-9


def test_a_start_cannot_hold_friends_without_ties():
    """A friend who lost all ties is alone, whatever the start says."""
    network = build_ego_network("me", "abcd", [("a", "b"), ("b", "c"), ("a", "c")])
    assert leiden(network, (1.0,), 0, np.zeros((1, 4), dtype=np.int32)).tolist() == [[0, 0, 0, 1]]


def test_strong_ties_count_more():
    """Of two otherwise equal friends, the strongly tied one shares the community."""
    ties = [("a", "b", 10.0), ("b", "c", 1.0), ("c", "d", 10.0), ("a", "d", 1.0)]
    assert leiden(build_ego_network("me", "abcd", ties), (1.0,), 0).tolist() == [[0, 0, 1, 1]]
    swapped = [(one, other, 11 - weight) for one, other, weight in ties]
    assert leiden(build_ego_network("me", "abcd", swapped), (1.0,), 0).tolist() == [[0, 1, 1, 0]]


def test_networks_without_ties_and_without_friends():
    """Without ties everybody is alone; without friends there are levels of nobody."""
    for find in (leiden, louvain):
        assert find(build_ego_network("me", "abc", []), (1.0, 2.0), 0).tolist() == [[0, 1, 2]] * 2
        assert find(build_ego_network("me", [], []), (1.0, 2.0), 0).shape == (2, 0)


def test_threads_get_what_one_thread_gets():
    """Several threads at once get the communities that one alone gets, though igraph has one random generator for all."""
    network = build_ego_network(
        "me", map(str, range(60)), (tuple(map(str, tie)) for tie in nx.gnp_random_graph(60, 0.1, 3).edges)
    )
    alone = [leiden(network, RESOLUTIONS, seed) for seed in range(8)]
    found = {}

    def work(seed):
        found[seed] = [leiden(network, RESOLUTIONS, seed) for _ in range(5)]

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all((again == alone[seed]).all() for seed in range(8) for again in found[seed])


def test_igraphs_generator_is_left_as_it_was():
    """Afterwards igraph draws from Python's `random` again, whose state we do not touch."""
    random.seed(5)
    expected = igraph.Graph.Erdos_Renyi(20, 0.3).get_edgelist()
    random.seed(5)
    leiden(two_cliques(), RESOLUTIONS, 0)
    assert igraph.Graph.Erdos_Renyi(20, 0.3).get_edgelist() == expected


def test_no_worse_than_networkx_on_real_networks(ego_facebook):
    """At resolution 1, modularity is that of networkx's Louvain or more: on average within .001, on each network .01."""
    fast, plain = [], []
    for ego in EGOS:
        network = read_snap_ego_network(ego_facebook, ego)
        fast.append(np.mean([modularity(network, leiden(network, (1.0,), seed)[0]) for seed in range(3)]))
        plain.append(np.mean([modularity(network, louvain(network, (1.0,), seed)[0]) for seed in range(3)]))
    assert np.mean(fast) >= np.mean(plain) - 0.001
    assert np.min(np.subtract(fast, plain)) > -0.01


@given(st.lists(st.integers(-5, 5), max_size=20))
def test_canonical_labels_keep_the_partition(labels):
    """Renumbering keeps who is together, and a second time changes nothing."""
    renumbered = canonical_labels(np.array(labels, dtype=np.int64))
    together = [[a == b for a in labels] for b in labels]
    assert [[a == b for a in renumbered] for b in renumbered] == together
    assert (canonical_labels(renumbered) == renumbered).all()


def test_the_largest_total_overlap_wins():
    """Pairs are one to one with the largest sum of overlaps, which the greedy choice can miss; little overlap is no pair."""
    # Jaccard of old 0 with new 0 is 4/9, the largest; but 3/7 (with new 1) + 2/6 (old 1 with new 0) is more than 4/9 + 0.
    old, new = [np.arange(7), np.array([7, 8])], [np.array([0, 1, 2, 3, 7, 8]), np.array([4, 5, 6])]
    assert match_groups(old, new, 9) == {0: 1, 1: 0}
    assert match_groups([np.arange(10)], [np.array([9, *range(10, 20)])], 20) == {}
    assert match_groups([], [np.array([0])], 1) == {}


@settings(max_examples=50)
@given(network=networks(), data=st.data())
def test_the_best_community_adds_most_modularity(network, data):
    """The chosen community is the one where modularity, computed from its definition, becomes largest; else alone."""
    if not len(network.indices):
        return
    i = data.draw(st.integers(0, network.n - 1))
    resolution = data.draw(st.sampled_from([0.5, 1.0, 4.0]))
    labels = np.array(data.draw(st.lists(st.integers(0, 3), min_size=network.n, max_size=network.n)))
    labels[i] = 9
    values = {}
    for community in {9, *labels.tolist()}:
        trial = labels.copy()
        trial[i] = community
        values[community] = modularity(network, trial, resolution)
    best = best_community(network, i, labels, resolution)
    assert values[9 if best == -1 else best] == pytest.approx(max(values.values()), abs=1e-9)
