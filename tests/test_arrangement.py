from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privwiz.arrangement import arrange
from privwiz.circles import find_circles
from privwiz.graphs import build_ego_network
from privwiz.readers import read_snap_ego_network


@st.composite
def networks(draw):
    """Draw a small ego network and communities for it."""
    n = draw(st.integers(0, 15))
    friends = [f"f{i:02}" for i in range(n)]
    pairs = draw(st.lists(st.sampled_from(list(combinations(friends, 2))), unique=True, max_size=40)) if n > 1 else []
    network = build_ego_network("me", friends, pairs)
    return network, find_circles(network, resolutions=[draw(st.sampled_from([0.5, 1.0, 4.0]))]).labels[0]


def distances(points):
    """All distances between points, and infinity on the diagonal."""
    apart = np.sqrt(((points[:, None] - points[None]) ** 2).sum(axis=2))
    np.fill_diagonal(apart, np.inf)
    return apart


@settings(max_examples=50)
@given(networks())
def test_everybody_has_a_place_of_their_own_in_the_right_disc(drawn):
    """Positions are finite, all different, and inside the disc of the friend's community; discs do not overlap."""
    network, labels = drawn
    arrangement = arrange(network, labels)
    assert arrangement.positions.shape == (network.n, 2)
    assert np.isfinite(arrangement.positions).all()
    assert np.isfinite(arrangement.centres).all()
    assert (distances(arrangement.positions) > 0.3).all()
    from_centre = np.sqrt(((arrangement.positions - arrangement.centres[labels]) ** 2).sum(axis=1))
    assert (from_centre <= arrangement.radii[labels]).all()
    assert (distances(arrangement.centres) > arrangement.radii[:, None] + arrangement.radii - 0.1).all()


@settings(max_examples=20)
@given(networks())
def test_equal_input_gives_equal_pictures(drawn):
    """The arrangement is a pure function of the network and the communities."""
    first, second = arrange(*drawn), arrange(*drawn)
    assert (first.positions == second.positions).all()
    assert (first.centres == second.centres).all()


def test_friends_without_ties_lie_below():
    """Who has no ties lies in rows below all discs."""
    network = build_ego_network("me", [f"f{i:02}" for i in range(40)], [("f00", "f01"), ("f01", "f02"), ("f00", "f02")])
    labels = find_circles(network, resolutions=[1]).labels[0]
    arrangement = arrange(network, labels)
    assert arrangement.positions[3:, 1].max() < (arrangement.centres[0] - arrangement.radii[0])[1]


@pytest.mark.parametrize("other", "bdefh")
def test_discs_that_are_tied_lie_side_by_side(other):
    """Of eight equal cliques, the only two with ties between them lie next to each other, whichever they are."""
    names = [f"{clique}{i}" for clique in "abcdefgh" for i in range(6)]
    ties = [pair for pair in combinations(names, 2) if pair[0][0] == pair[1][0]] + [(f"a{i}", f"{other}{i}") for i in range(3)]
    labels = np.repeat(np.arange(8, dtype=np.int32), 6)
    arrangement = arrange(build_ego_network("me", names, ties), labels)
    apart = distances(arrangement.centres)
    assert apart[0, "abcdefgh".index(other)] < 1.05 * apart.min()


@pytest.mark.parametrize(("ego", "level"), [("0", 1), ("107", 0), ("1684", 4)])
def test_real_networks_stay_legible(ego_facebook, ego, level):
    """On real networks up to 1,045 friends dots do not hide each other, and discs do not overlap by more than a hair."""
    network = read_snap_ego_network(ego_facebook, ego)
    labels = find_circles(network).labels[level]
    arrangement = arrange(network, labels)
    nearest = distances(arrangement.positions).min(axis=1)
    assert np.quantile(nearest, 0.02) > 0.5
    assert nearest.min() > 0.2
    assert (distances(arrangement.centres) > arrangement.radii[:, None] + arrangement.radii - 0.1).all()
