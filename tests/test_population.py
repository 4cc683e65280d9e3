"""Users of an existing graph are found, with the circles that their simulated decisions are drawn from."""

import shutil
from pathlib import Path

import networkx as nx
import pytest

from privwiz.circles import find_circles
from privwiz.errors import DataError
from privwiz.population import FEWEST_FRIENDS, MEDIUM_LEVEL, read_population
from privwiz.readers import read_ego_network, read_graph, read_snap_circles, read_snap_ego_network

SAMPLES = Path(__file__).parents[1] / "sample_graphs"
SNAP = SAMPLES / "snap"
TOWN = (SAMPLES / "town/edges.csv", SAMPLES / "town/profiles.csv")


@pytest.fixture
def snap(tmp_path):
    """A copy of the sample folder, to be changed."""
    return Path(shutil.copytree(SNAP, tmp_path / "snap"))


def medium_groups(network, seed=0):
    """Return what `privwiz circles` shows unless told otherwise."""
    return tuple(circle.members for circle in find_circles(network, seed=seed).level(MEDIUM_LEVEL))


def test_circles_made_by_hand_are_taken():
    """In a SNAP folder with circles the user's own circles decide, as they stand in the file."""
    population = read_population(SNAP)
    decider = population.decider("0")
    assert population.users == ("0",)
    assert decider.network.friends == read_snap_ego_network(SNAP, "0").friends
    assert decider.circles == read_snap_circles(SNAP, "0")
    assert (decider.by_hand, decider.strangers) == (True, ())


def test_real_circles_are_taken(ego_facebook):
    """Each of the ten real users decides by the circles made by hand, whole: nobody in them is a stranger."""
    population = read_population(ego_facebook)
    assert len(population.users) == 10
    for user in population.users:
        decider = population.decider(user)
        assert (decider.circles, decider.strangers) == (read_snap_circles(ego_facebook, user), ())
        assert decider.by_hand


def test_who_is_no_friend_is_left_out_of_circles(snap):
    """Members of a circle who are not friends are left out and named; the friends in it stay."""
    one, other = read_snap_ego_network(snap, "0").friends[:2]
    (snap / "0.circles").write_text(f"c0\tzoe\t{one}\t{other}\nc1\tyan\t0\tzoe\n", encoding="utf-8")
    decider = read_population(snap).decider("0")
    assert decider.circles == (tuple(sorted((one, other))), ())
    assert (decider.by_hand, decider.strangers) == (True, ("0", "yan", "zoe"))


@pytest.mark.parametrize("made", [None, "", "c0\n", "c0\t5\nc1\tzoe\t7\n"])
def test_groups_stand_in_where_no_circle_was_made(snap, made):
    """Without a file of circles, or with none of two friends in it, the groups found at the medium level decide."""
    (snap / "0.circles").unlink()
    if made is not None:
        (snap / "0.circles").write_text(made, encoding="utf-8")
    decider = read_population(snap).decider("0", seed=3)
    assert decider.circles == medium_groups(read_snap_ego_network(SNAP, "0"), seed=3)
    assert not decider.by_hand


def test_groups_decide_in_a_graph_file():
    """In a graph file the groups found in the user's network decide; profiles are those of the table."""
    decider = read_population(*TOWN).decider("ada")
    network = read_ego_network(TOWN[0], "ada", TOWN[1])
    assert decider.network.profiles == network.profiles
    assert decider.circles == medium_groups(network)
    assert (decider.by_hand, decider.strangers) == (False, ())


def test_who_has_friends_enough():
    """Of a graph file the users with at least the least number of friends are simulated, in the order of the graph."""
    graph = read_graph(*TOWN)
    users = read_population(*TOWN).users
    assert users == tuple(user for user in graph if len(graph[user]) >= FEWEST_FRIENDS)
    assert 0 < len(users) < len(graph)


@pytest.mark.parametrize(("friends", "users"), [(FEWEST_FRIENDS, ("0",)), (FEWEST_FRIENDS - 1, ())])
def test_the_least_number_of_friends(tmp_path, friends, users):
    """The least number is enough, one less is not; a tie to oneself is no friend. Who has fewer can still be named."""
    star = nx.star_graph(friends)
    star.add_edge(0, 0)
    nx.write_graphml_xml(star, tmp_path / "star.graphml")
    population = read_population(tmp_path / "star.graphml")
    assert population.users == users
    assert population.decider("0").network.n == friends
    assert population.decider("1").network.friends == ("0",)


@pytest.mark.parametrize(
    ("arguments", "user", "message"),
    [
        ((SNAP,), "zoe", "snap: there is no user 'zoe'; the users are 0"),
        (TOWN, "zoe", "edges.csv: 'zoe' is not in the graph; it has 490 users"),
        ((SAMPLES,), "", "sample_graphs: a directory without .edges files"),
        ((SNAP, TOWN[1]), "", "snap: a SNAP folder brings its own profiles"),
    ],
)
def test_what_is_not_there(arguments, user, message):
    """Unknown users, folders without networks and superfluous profiles are told with the path."""
    with pytest.raises(DataError, match=message):
        read_population(*arguments).decider(user)


def test_damaged_circles(snap):
    """A file of circles that is not text is told; it is not passed over for groups."""
    (snap / "0.circles").write_bytes(b"c0 \xff\n")
    with pytest.raises(DataError, match=r"0\.circles, line 1: byte 0xff is not UTF-8"):
        read_population(snap).decider("0")
