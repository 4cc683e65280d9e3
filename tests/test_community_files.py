"""What is written about a community can be read again, by the readers that users have."""

import csv

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privwiz.community import ego_circles, simulate_community, simulate_users
from privwiz.community_files import write_community, write_decisions, write_snap_ego_network
from privwiz.errors import DataError, UnknownFriend
from privwiz.graphs import FIELDS, build_ego_network, normal_profile
from privwiz.readers import read_graph, read_snap_circles, read_snap_ego_network
from privwiz.simulate import sample_answers, simulate_policy
from privwiz.tables import read_table


@pytest.fixture(scope="module")
def village():
    """A small community."""
    return simulate_community(people=60, seed=2)


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_tables_hold_the_whole_community(village, tmp_path, ending):
    """Edges, closeness, profiles and groups read from the tables are those of the community."""
    paths = write_community(village, tmp_path / "new" / "folder", users=["ada"], ending=ending)
    folder = tmp_path / "new" / "folder"
    assert [path.name for path in paths] == [f"{name}{ending}" for name in ("edges", "profiles", "groups", "policies", "answers")]
    graph = read_graph(folder / f"edges{ending}", folder / f"profiles{ending}")
    tied = [user for user in village.users if village.friends(user)]
    assert set(graph) == set(tied)
    assert {frozenset(edge): edge_weight for *edge, edge_weight in graph.edges(data="weight")} == {
        frozenset(edge): edge_weight for *edge, edge_weight in village.graph.edges(data="weight")
    }
    assert all(graph.nodes[user] == normal_profile(village.graph.nodes[user], user) for user in tied)
    rows = read_table(folder / f"groups{ending}", ["kind", "name", "user"]).rows()
    assert sorted(rows) == sorted((group.kind, group.name, user) for group in village.groups for user in group.members)


def test_policies_and_answers_are_those_of_the_simulator(village, tmp_path):
    """The decisions of the users named, in this regime and with this seed, and answers drawn from them, are in the tables."""
    write_community(village, tmp_path, users=["ada", village.users[9]], regime="idio", seed=4, answers_per_item=3)
    policies = [policy for _, policy in simulate_users(village, ["ada", village.users[9]], "idio", 4)]
    columns = ["user", "item", "friend", "decision"]
    assert list(read_table(tmp_path / "policies.csv", columns).rows()) == [
        (policy.ego, *cell) for policy in policies for cell in policy.cells()
    ]
    assert list(read_table(tmp_path / "answers.csv", columns).rows()) == [
        (policy.ego, *cell) for policy in policies for cell in sample_answers(policy, 3, 4)
    ]


def test_everybody_has_a_policy_unless_users_are_named(village, tmp_path):
    """By default the policies of all users who have friends are written; with no users named, tables with a header only."""
    write_community(village, tmp_path)
    with (tmp_path / "policies.csv").open(encoding="utf-8", newline="") as file:
        assert {row["user"] for row in csv.DictReader(file)} == {user for user in village.users if village.friends(user)}
    write_community(village, tmp_path, users=[])
    assert (tmp_path / "answers.csv").read_text(encoding="utf-8") == "user,item,friend,decision\n"


def test_decisions_alone_are_the_same_tables(village, tmp_path):
    """Policies written without their community are the tables that stand beside the community, byte by byte."""
    policies = [policy for _, policy in simulate_users(village, ["ada", village.users[9]], "idio", 4)]
    paths = write_decisions(policies, tmp_path / "alone", answers_per_item=3, seed=4)
    write_community(village, tmp_path / "all", users=["ada", village.users[9]], regime="idio", seed=4, answers_per_item=3)
    assert [path.name for path in paths] == ["policies.csv", "answers.csv"]
    assert all(path.read_bytes() == (tmp_path / "all" / path.name).read_bytes() for path in paths)
    assert sorted((tmp_path / "alone").iterdir()) == sorted(paths)


def test_decisions_about_nobody(tmp_path):
    """Who has no friends has no rows, wherever in the order; the tables have their columns all the same."""
    nobody, somebody = build_ego_network("me", [], []), build_ego_network("you", ["bo"], [])
    policies = [simulate_policy(network, []) for network in (nobody, somebody, nobody)]
    for some, users in ((policies, {"you"}), (policies[:1], set()), ([], set())):
        for path in write_decisions(some, tmp_path):
            assert set(read_table(path, ["user", "item", "friend", "decision"])["user"]) == users


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"users": ["zed"]}, "'zed'"),
        ({"regime": "calm"}, "'calm' is not a regime"),
        ({"seed": -1}, "seed is -1; it must be 0 or more"),
        ({"answers_per_item": -1}, "per_item is -1"),
        ({"ending": ".xls"}, "ends in '.xls'; a table ends in '.csv' or '.parquet'"),
    ],
)
def test_wrong_arguments_are_named(village, tmp_path, arguments, message):
    """A wrong argument is named in the error."""
    with pytest.raises(DataError, match=message):
        write_community(village, tmp_path, **arguments)


def test_a_folder_that_cannot_be_made(village, tmp_path):
    """Where a file is in the way of the folder, the error names the folder."""
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    with pytest.raises(DataError, match="file: the folder cannot be made"):
        write_community(village, tmp_path / "file")


def test_a_snap_folder_has_the_same_network(village, tmp_path):
    """Read from a SNAP folder, friends are numbers in their order, with the same ties, circles and shared values."""
    network, circles = village.ego_network("ada"), ego_circles(village, "ada")
    paths = write_snap_ego_network(network, circles, tmp_path)
    assert {path.name for path in paths} == {f"0.{part}" for part in ("edges", "feat", "featnames", "egofeat", "circles")}
    number = {friend: str(k) for k, friend in enumerate(network.friends, start=1)}
    read = read_snap_ego_network(tmp_path, "0")
    assert set(read.friends) == set(number.values())
    assert {frozenset(edge) for edge in read.graph.edges} == {
        frozenset((number[one], number[other])) for one, other in network.graph.edges
    }
    assert read_snap_circles(tmp_path, "0") == tuple(tuple(sorted(number[member] for member in circle)) for circle in circles)
    for field in FIELDS:
        same = {
            one: {other for other in network.friends if shared(network.profiles, field, one, other)} for one in network.friends
        }
        for one, others in same.items():
            found = {other for other in number.values() if shared(read.profiles, field, number[one], other)}
            assert found == {number[other] for other in others}
        own = network.ego_profile.get(field, ())
        assert len(read.ego_profile.get(field, ())) == len(own)
    assert "name" not in read.fields


def shared(profiles, field, one, other):
    """Return whether two people share a value of a field."""
    return not set(profiles[one].get(field, ())).isdisjoint(profiles[other].get(field, ()))


@settings(max_examples=25)
@given(st.dictionaries(st.text("abcäö;\t 林", min_size=1, max_size=4), st.sampled_from(["x;y", "a b", "海州"]), max_size=5))
def test_any_names_and_values_survive_a_snap_folder(tmp_path_factory, schools):
    """Names and values that the format could not hold are numbers in it, so they cannot damage it."""
    folder = tmp_path_factory.mktemp("snap")
    network = build_ego_network("me", schools, [], {friend: {"school": school} for friend, school in schools.items()})
    write_snap_ego_network(network, [network.friends[:2]], folder)
    read = read_snap_ego_network(folder, "0")
    assert read.n == network.n
    assert sum(bool(values) for values in read.values("school")) == network.n
    assert len({value for values in read.values("school") for value in values}) == len(set(schools.values()))


def test_snap_names_and_members_are_checked(tmp_path):
    """The user's number must not be a friend's, and circles hold friends only."""
    network = build_ego_network("me", ["bo", "cy"], [])
    with pytest.raises(DataError, match="'2' is the number of a friend; call the user '0' or something else"):
        write_snap_ego_network(network, [], tmp_path, name="2")
    with pytest.raises(UnknownFriend, match="'ann' is not a friend"):
        write_snap_ego_network(network, [["ann"]], tmp_path)
    assert not list(tmp_path.iterdir())
