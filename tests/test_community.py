"""Synthetic communities are reproducible, complete, and like real networks."""

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privwiz.community import Group, ego_circles, simulate_community, simulate_users
from privwiz.errors import DataError
from privwiz.graphs import FIELDS
from privwiz.regimes import REGIMES
from privwiz.simulate import simulate_policy
from privwiz.snap import read_snap_circles, read_snap_ego_network, snap_egos


@pytest.fixture(scope="module")
def town():
    """A town of the usual size."""
    return simulate_community(people=2000, seed=0)


@pytest.fixture(scope="module")
def village():
    """A small community."""
    return simulate_community(people=120, seed=3)


def shape(network, circles):
    """Return mean number of ties, clustering, and the share of friends in a circle of two or more."""
    covered = {friend for circle in circles if len(circle) >= 2 for friend in circle} & set(network.friends)
    return network.degree.mean(), nx.average_clustering(network.graph), len(covered) / network.n


@settings(max_examples=15)
@given(st.integers(10, 150), st.integers(0, 2**32))
def test_communities_are_well_formed(people, seed):
    """Whatever size and seed: the wanted number of users, names for all, known fields, positive closeness, real groups."""
    community = simulate_community(people, seed)
    assert len(community.users) == people
    assert community.main_user in community.graph
    for _, profile in community.graph.nodes(data=True):
        assert profile["name"]
        assert set(profile) <= {"name", *FIELDS}
    assert all(one != other and 0.1 <= weight <= 10 for one, other, weight in community.graph.edges(data="weight"))
    for group in community.groups:
        assert len(group.members) >= 2
        assert list(group.members) == sorted(set(group.members))
        assert set(group.members) <= set(community.users)


def test_equal_seeds_give_equal_communities(village):
    """The same arguments give the same users, ties, profiles and groups in the same order; another seed gives others."""
    again, other = simulate_community(people=120, seed=3), simulate_community(people=120, seed=4)
    assert list(village.graph.nodes(data=True)) == list(again.graph.nodes(data=True))
    assert list(village.graph.edges(data=True)) == list(again.graph.edges(data=True))
    assert village.groups == again.groups
    assert list(village.graph.edges) != list(other.graph.edges)


def test_degrees_differ_widely(town):
    """Some users have more than 200 friends, some fewer than 10, and the main user is among the best known."""
    degrees = np.array([len(town.friends(user)) for user in town.users])
    assert (degrees > 200).sum() >= 5
    assert (degrees < 10).mean() > 0.1
    assert 180 <= len(town.friends(town.main_user)) <= 280


def test_ego_networks_are_like_real_ones(town):
    """Users with 100 to 250 friends have ties among them, clustering and covered friends as users of real networks do.

    Ten real networks have, on average, 28 ties per friend (4.9 to 79.5), a clustering of .54 (.41 to .68) and 79 % of friends
    in a hand-made circle; those with 150 to 350 friends 14 to 28 ties per friend.
    """
    users = [user for user in town.users if 100 <= len(town.friends(user)) <= 250][::8]
    ties, clustering, covered = np.mean([shape(town.ego_network(user), ego_circles(town, user)) for user in users], axis=0)
    assert 18 <= ties <= 35
    assert 0.42 <= clustering <= 0.62
    assert 0.7 <= covered <= 0.9


def test_real_networks_have_the_shape_that_is_imitated(ego_facebook):
    """The numbers about the ten real networks, which the generator is tuned to, are what the files say."""
    shapes = [
        shape(read_snap_ego_network(ego_facebook, ego), read_snap_circles(ego_facebook, ego)) for ego in snap_egos(ego_facebook)
    ]
    assert np.mean(shapes, axis=0) == pytest.approx([28.0, 0.54, 0.79], abs=0.05)


def test_circles_are_the_users_groups_among_friends(village):
    """A user's circles are the friends in each of the user's groups, two or more, each set once."""
    for user in village.users:
        circles = ego_circles(village, user)
        friends = set(village.friends(user))
        groups = [set(group.members) & friends for group in village.groups if user in group.members]
        assert {frozenset(circle) for circle in circles} == {frozenset(group) for group in groups if len(group) >= 2}
        assert len(set(circles)) == len(circles)


def test_the_ego_network_has_profiles_and_closeness(village):
    """A user's ego network holds the user's own profile, those of the friends, and the closeness of every tie."""
    network = village.ego_network("ada")
    assert network.ego_profile["name"] == ("Ada Lin",)
    assert set(network.friends) == set(village.friends("ada"))
    assert network.weights is not None
    friend = network.friends[0]
    assert network.ego_weights[0] == village.graph["ada"][friend]["weight"]


def test_the_part_around_users_has_their_whole_networks(village):
    """What is cut out around some users leaves their ego networks and circles as they were."""
    users = village.users[20], village.users[50]
    part = village.around(users)
    assert part.main_user == users[0]
    assert len(part.users) < len(village.users)
    for user in users:
        before, after = village.ego_network(user), part.ego_network(user)
        assert (before.friends, before.profiles, before.ego_profile) == (after.friends, after.profiles, after.ego_profile)
        assert (before.indices == after.indices).all()
        assert (before.weights == after.weights).all()
        assert set(ego_circles(village, user)) == set(ego_circles(part, user))


def test_among_keeps_exactly_the_users_named(village):
    """What is cut out among some users has them, the ties among them, and their groups of two or more."""
    users = village.users[:30]
    part = village.among(users)
    assert part.users == users
    assert nx.utils.graphs_equal(part.graph, nx.Graph(village.graph.subgraph(users)))
    assert {(group.kind, group.name) for group in part.groups} < {(group.kind, group.name) for group in village.groups}
    assert all(set(group.members) <= set(users) for group in part.groups)


def test_simulated_users_are_policies_on_their_real_circles(village):
    """Every user comes with each regime, and the policy is that of the simulator on the user's ego network and circles."""
    found = list(simulate_users(village, ["ada", village.users[7]], ["mixed", REGIMES["idio"]], seed=5))
    assert [network.ego for network, _ in found] == ["ada", "ada", village.users[7], village.users[7]]
    network, policy = found[1]
    expected = simulate_policy(network, ego_circles(village, "ada"), "idio", 5)
    assert (policy.allow == expected.allow).all()
    assert [network.ego for network, _ in simulate_users(village)] == list(village.users)


def test_groups_of_a_user(village):
    """The groups of a user are those with the user in them; somebody unknown is in none."""
    groups = village.groups_of("ada")
    assert groups
    assert all("ada" in group.members and isinstance(group, Group) for group in groups)
    assert village.groups_of("nobody") == ()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda _: simulate_community(people=9), "people is 9; a community has at least 10"),
        (lambda _: simulate_community(people=10, seed=-1), "seed is -1; it must be 0 or more"),
        (lambda village: village.friends("zed"), "'zed' is not a user of this community; one that is: 'ada'"),
        (lambda village: ego_circles(village, "zed"), "'zed' is not a user of this community; one that is: 'ada'"),
        (lambda village: village.ego_network("zed"), "'zed'"),
        (lambda village: village.around(["ada", "zed"]), "'zed' is not a user of this community; one that is: 'ada'"),
        (lambda village: village.among(["zed"]), "'zed' is not a user of this community; one that is: 'ada'"),
        (lambda village: village.around([]), "no users to keep; name at least one"),
        (lambda village: village.among([]), "no users to keep; name at least one"),
        (lambda village: next(simulate_users(village, ["ada"], "calm")), "'calm' is not a regime"),
    ],
)
def test_wrong_arguments_are_named(village, call, message):
    """Too few people, a negative seed, unknown users and regimes raise a `DataError` that names them."""
    with pytest.raises(DataError, match=message):
        call(village)
