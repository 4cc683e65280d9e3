import json
import threading
from itertools import combinations

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privwiz.circles import MIN_SIZE, RESOLUTIONS, Circle, Circles, Coverage, assign_friend, attribute_circles, find_circles
from privwiz.errors import DataError, UnknownFriend
from privwiz.graphs import build_ego_network, ego_network
from privwiz.readers import read_snap_ego_network


def cliques(*sizes, extra=(), profiles=None):
    """Cliques of these sizes, called a0 a1 ..., b0 b1 ..., and further ties."""
    names = [f"{'abcdef'[clique]}{i}" for clique, size in enumerate(sizes) for i in range(size)]
    ties = [pair for pair in combinations(names, 2) if pair[0][0] == pair[1][0]]
    names += [end for tie in extra for end in tie]
    return build_ego_network("me", names, [*ties, *extra], profiles or {})


@st.composite
def networks(draw, max_friends=14):
    """Draw a small ego network with some attributes."""
    n = draw(st.integers(0, max_friends))
    friends = [f"f{i:02}" for i in range(n)]
    pairs = draw(st.lists(st.sampled_from(list(combinations(friends, 2))), unique=True, max_size=40)) if n > 1 else []
    profiles = {friend: {"school": draw(st.sampled_from(["X", "Y", None]))} for friend in friends}
    return build_ego_network("me", friends, pairs, profiles)


def contents(circles):
    """Everything that circles say, to compare them."""
    return circles.resolutions, circles.friends, circles.labels.tolist(), circles.circles, circles.isolated, circles.last_id


def check_consistent(circles, network):
    """Labels, members, ids and names fit each other and the network."""
    assert circles.friends == network.friends
    assert circles.labels.shape == (len(circles.resolutions), network.n)
    for k, level in enumerate(circles.labels):
        groups = [tuple(network.friends[i] for i in np.flatnonzero(level == c)) for c in range(level.max(initial=-1) + 1)]
        assert [circle.members for circle in circles.level(k)] == [group for group in groups if len(group) >= MIN_SIZE]
        assert nx.community.is_partition(network.graph, groups)
        assert len({circle.name for circle in circles.level(k)}) == len({circle.name_zh for circle in circles.level(k)})
        assert len({circle.name for circle in circles.level(k)}) == len(circles.level(k))
    assert [circle for k in range(len(circles.resolutions)) for circle in circles.level(k)] == list(circles)
    assert len({circle.id for circle in circles}) == len(circles)
    assert all(1 <= int(circle.id.removeprefix("c")) <= circles.last_id for circle in circles)
    assert circles.isolated == int((network.degree == 0).sum())


@pytest.mark.parametrize("method", ["leiden", "networkx"])
def test_two_cliques_are_two_circles(method):
    """Two cliques and a loner are two circles with everybody where they belong, by both methods."""
    network = cliques(5, 4, extra=[])
    network = network.with_friend("z")
    circles = find_circles(network, method=method, resolutions=[1])
    assert [(circle.id, circle.level, circle.members) for circle in circles] == [
        ("c1", 0, ("a0", "a1", "a2", "a3", "a4")),
        ("c2", 0, ("b0", "b1", "b2", "b3")),
    ]
    assert circles.coverage == Coverage(9, 10, 1)


@pytest.mark.parametrize("method", ["leiden", "networkx"])
@settings(max_examples=40)
@given(network=networks(), seed=st.integers(0, 3))
def test_what_is_found_is_consistent(method, network, seed):
    """For any network: partitions, circles of three or more, unique ids and names, equal for equal seeds."""
    circles = find_circles(network, seed=seed, method=method)
    check_consistent(circles, network)
    assert contents(circles) == contents(find_circles(network, seed=seed, method=method))
    assert circles.resolutions == RESOLUTIONS


def test_an_ego_without_friends_has_no_circles():
    """No friends, no circles, and a coverage of nobody."""
    circles = find_circles(build_ego_network("me", [], []))
    assert (len(circles), circles.distinct(), circles.coverage) == (0, (), Coverage(0, 0, 0))


def test_threads_find_what_one_thread_finds():
    """Two threads at once find exactly what one finds alone."""
    graph = nx.gnp_random_graph(50, 0.15, seed=1)
    network = build_ego_network("me", map(str, graph), [(str(a), str(b)) for a, b in graph.edges])
    alone = [contents(find_circles(network, seed=seed)) for seed in range(2)]
    found = [[], []]
    threads = [
        threading.Thread(target=lambda s=seed: found[s].extend(contents(find_circles(network, seed=s)) for _ in range(10)))
        for seed in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [[alone[0]] * 10, [alone[1]] * 10]


def test_circles_are_looked_up():
    """By id, by level, by friend; once per set of members; unknown ones are errors that say what to do."""
    circles = find_circles(cliques(4, 3), resolutions=[0.5, 1])
    assert [circle.id for circle in circles] == ["c1", "c2", "c3", "c4"]
    assert circles["c2"] is circles.circles[1]
    assert circles.level(1) == circles.circles[2:]
    assert [circle.id for circle in circles.of("b0")] == ["c2", "c4"]
    assert [circle.id for circle in circles.distinct()] == ["c1", "c2"]
    assert repr(circles) == "<Circles: 4 circles of 7 friends at 2 resolutions>"
    with pytest.raises(DataError, match="no circle 'c9'"):
        circles["c9"]
    for level in (-1, 2):
        with pytest.raises(DataError, match=f"no level {level}; the levels are 0 to 1"):
            circles.level(level)
    with pytest.raises(UnknownFriend, match="'zoe'"):
        circles.of("zoe")


def test_a_circle_knows_its_size_and_its_name_in_two_languages():
    """``len`` counts members; ``text`` gives the name in English or Chinese."""
    circle = Circle("c1", 0, ("a", "b", "c"), "Circle of a, b and c", "a、b和c的圈子")
    assert (len(circle), circle.text(), circle.text("zh")) == (3, "Circle of a, b and c", "a、b和c的圈子")


def test_a_friend_in_a_pair_is_in_no_circle():
    """Pairs are no circles; coverage counts their friends neither as covered nor as isolated."""
    circles = find_circles(cliques(3, extra=[("y", "z")]), resolutions=[1])
    assert circles.of("y") == ()
    assert circles.coverage == Coverage(3, 5, 0)


@pytest.mark.parametrize(
    ("coverage", "en", "zh"),
    [
        (Coverage(5, 5, 0), "5 of 5 friends are in a circle.", "5 位好友中有 5 位属于某个圈子。"),
        (
            Coverage(1, 3, 1),
            "1 of 3 friends is in a circle. 1 has no mutual friend. 1 is in groups too small for a circle.",
            "3 位好友中有 1 位属于某个圈子。1 位没有共同好友。1 位所在的小组太小，不成圈子。",
        ),
        (Coverage(0, 0, 0), "0 of 0 friends are in a circle.", "0 位好友中有 0 位属于某个圈子。"),
    ],
)
def test_coverage_in_words(coverage, en, zh):
    """The coverage statement says who is in a circle and who is not, and why, in both languages."""
    assert (coverage.text(), coverage.text("zh")) == (en, zh)
    with pytest.raises(DataError, match="'fr'"):
        coverage.text("fr")


@pytest.mark.parametrize("resolutions", [[], [0], [-1.0], [float("inf")], [float("nan")], [1, 1.0], ["x"], None, 3])
def test_resolutions_are_checked(resolutions):
    """Resolutions are different finite numbers above 0, at least one."""
    with pytest.raises(DataError, match="give different finite numbers above 0"):
        find_circles(cliques(3), resolutions=resolutions)


def test_methods_are_checked():
    """An unknown method is an error that names the known ones."""
    with pytest.raises(DataError, match="'louvain' is not known; use 'leiden' or 'networkx'"):
        find_circles(cliques(3), method="louvain")


def test_ids_follow_circles_as_the_network_changes():
    """Circles keep their ids when friends come and go; a new circle gets a new id, and no id is ever given again."""
    before = find_circles(cliques(5, 4), resolutions=[1])
    assert {circle.id: circle.members[0] for circle in before} == {"c1": "a0", "c2": "b0"}
    # The second clique grows beyond the first, which changes the order but not the ids; a third one is new.
    grown = find_circles(cliques(5, 7, 3), resolutions=[1], previous=before)
    assert {circle.id: circle.members[0] for circle in grown} == {"c1": "a0", "c2": "b0", "c3": "c0"}
    assert [circle.id for circle in grown] == ["c2", "c1", "c3"]
    shrunk = find_circles(cliques(2, 7), resolutions=[1], previous=grown)
    assert [circle.id for circle in shrunk] == ["c2"]
    again = find_circles(cliques(5, 7, 3), resolutions=[1], previous=shrunk)
    assert {circle.id: circle.members[0] for circle in again} == {"c2": "b0", "c4": "a0", "c5": "c0"}


def test_levels_are_matched_by_resolution():
    """A level continues the old level of the same resolution, wherever that stood; a new level gets new ids."""
    before = find_circles(cliques(4, 4), resolutions=[1, 2])
    after = find_circles(cliques(4, 4), resolutions=[2, 0.5, 1], previous=before)
    assert [[circle.id for circle in after.level(k)] for k in range(3)] == [["c3", "c4"], ["c5", "c6"], ["c1", "c2"]]


@settings(max_examples=40)
@given(network=networks(), seed=st.integers(0, 3), method=st.sampled_from(["leiden", "networkx"]))
def test_finding_again_keeps_every_id_of_a_circle_that_stays(network, seed, method):
    """Found again from their predecessors, circles with the same members keep their ids, and consistency holds."""
    before = find_circles(network, seed=seed)
    after = find_circles(network, seed=seed + 1, method=method, previous=before)
    check_consistent(after, network)
    for k in range(len(RESOLUTIONS)):
        old, new = ({circle.members: circle.id for circle in circles.level(k)} for circles in (before, after))
        if old.keys() == new.keys():
            assert old == new
    assert after.last_id >= before.last_id


@settings(max_examples=40)
@given(network=networks(), data=st.data())
def test_a_new_friend_moves_nobody_else(network, data):
    """Assigning a friend leaves all others together as they were, keeps all ids, and gives consistent circles."""
    before = find_circles(network)
    ties = data.draw(st.lists(st.sampled_from(network.friends), unique=True)) if network.n else []
    friend = data.draw(st.sampled_from(["a", "f055", "z"]))
    grown = network.with_friend(friend, ties, {"school": "X"})
    after = assign_friend(before, grown, friend)
    check_consistent(after, grown)
    i = grown.index(friend)
    for old, new in zip(before.labels, np.delete(after.labels, i, axis=1), strict=True):
        assert ((old[:, None] == old) == (new[:, None] == new)).all()
    for circle in before:
        assert set(after[circle.id].members) - {friend} == set(circle.members)
        if not circle.lists_people and circle.members == after[circle.id].members:
            assert circle.name == after[circle.id].name
    if not ties:
        assert after.of(friend) == ()
        assert after.circles == before.circles


def test_a_new_friend_joins_the_circle_of_its_ties():
    """A friend who knows one clique joins it on every level; a third one makes a circle of a pair, with a new id."""
    network = cliques(4, 4, extra=[("y", "z")])
    before = find_circles(network)
    after = assign_friend(before, network.with_friend("new", ["b0", "b1", "b2"]), "new")
    assert all(circle.members == ("b0", "b1", "b2", "b3", "new") for circle in after.of("new"))
    assert [circle.id for circle in after.of("new")] == [circle.id for circle in before.of("b0")]
    assert after.of("new")[0].name.startswith("Circle of b0, b1 and 3 others")
    assert after.of("a0") == before.of("a0") or {c.id for c in after.of("a0")} == {c.id for c in before.of("a0")}
    third = assign_friend(before, network.with_friend("x", ["y", "z"]), "x")
    assert {circle.id for circle in third.of("x")}.isdisjoint({circle.id for circle in before})


def test_names_of_attributes_stay_unless_two_circles_would_share_one():
    """If a friend joins a circle on one level and not on another, the one that stays as it was keeps the name by attributes."""
    network = cliques(5, 5, 5, 5, profiles={f"a{i}": {"school": "PKU"} for i in range(5)})
    before = find_circles(network, resolutions=[0.5, 3])
    assert [circle.name for circle in before.of("a0")] == ["PKU", "PKU"]
    # Two ties into each of two cliques are reason enough to join one at the low resolution, but chance at the high one.
    after = assign_friend(before, network.with_friend("new", [f"{c}{i}" for c in "abcd" for i in range(3)]), "new")
    low, high = after.of("a0")
    assert (len(low), len(high)) == (6, 5)
    assert high.name == "PKU"
    assert low.name.startswith("PKU: ")


def test_only_one_friend_at_a_time_is_assigned():
    """Circles that are not those of the network without the friend are refused, as is a friend who is not there."""
    network = cliques(3)
    before = find_circles(network)
    grown = network.with_friend("x").with_friend("y")
    with pytest.raises(DataError, match="not of the network without 'y'"):
        assign_friend(before, grown, "y")
    with pytest.raises(UnknownFriend):
        assign_friend(before, network, "x")


def test_circles_of_shared_attributes():
    """Attributes of three or more friends, and of fewer than four in five, make circles, the largest first."""
    profiles = {
        "a": {"school": "X", "employer": "E", "name": "Ann", "religion": "R", "language": "en"},
        "b": {"school": "X", "employer": "E", "name": "Ann", "religion": "R", "language": "en"},
        "c": {"school": "X", "name": "Ann", "religion": "R", "language": "en"},
        "d": {"school": "X", "language": "en"},
        "e": {"school": ["Y", "Z"], "language": "en"},
        "f": {"school": ["Y", "Z"]},
        "g": {"school": "Z"},
    }
    found = attribute_circles(build_ego_network("me", profiles, [], profiles))
    assert [(circle.id, circle.members) for circle in found] == [
        ("a:language=en", ("a", "b", "c", "d", "e")),
        ("a:school=X", ("a", "b", "c", "d")),
        ("a:school=Z", ("e", "f", "g")),
    ]
    assert (found[1].level, found[1].name, found[1].name_zh) == (-1, "All with school X", "学校为 X 的好友")
    assert attribute_circles(build_ego_network("me", profiles, [], profiles), {("school", "Z")}) == found[2:]
    four = {friend: {"school": "X"} for friend in "abcd"} | {"e": {}}
    assert attribute_circles(build_ego_network("me", four, [], four)) == ()
    assert attribute_circles(build_ego_network("me", [], [])) == ()


@settings(max_examples=40)
@given(networks())
def test_circles_survive_json(network):
    """Written as JSON and read again, circles are the same in every respect."""
    circles = find_circles(network)
    again = Circles.from_dict(json.loads(json.dumps(circles.to_dict())), network)
    assert contents(again) == contents(circles)
    assert again.labels.dtype == np.int32


def test_labels_cannot_be_changed():
    """Circles are a value: their labels are read-only, found or read."""
    circles = find_circles(cliques(3))
    for found in (circles, Circles.from_dict(circles.to_dict())):
        with pytest.raises(ValueError, match="read-only"):
            found.labels[0, 0] = 1


def _set(**changes):
    return lambda document: document | changes


def _circle(**changes):
    return lambda document: document | {"circles": [document["circles"][0] | changes, *document["circles"][1:]]}


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda _: [], r"circles is \[\]; it must be an object"),
        (_set(format="privwiz.policy/1"), "format of the circles is 'privwiz.policy/1'"),
        (_set(format=None), "format of the circles is None"),
        (_set(resolutions=[]), "different finite numbers above 0"),
        (_set(resolutions=[True, 2.0]), "a resolution is True; it must be a number"),
        (_set(resolutions=None), "'resolutions' is missing; it must be a list"),
        (_set(friends=["b0", "a0"]), "not sorted or come twice"),
        (_set(friends=["a0", "a0"]), "not sorted or come twice"),
        (_set(friends=[1]), "a friend is 1; it must be a text"),
        (_set(labels=[[0] * 7]), "labels for 1 levels, but 2 resolutions"),
        (_set(labels=[[0] * 7, [0] * 6]), "7 numbers from 0 to 6, one per friend"),
        (_set(labels=[[0] * 7, [0] * 6 + [7]]), "7 numbers from 0 to 6, one per friend"),
        (_set(labels=[[0] * 7, [0] * 6 + [1e300]]), "7 numbers from 0 to 6, one per friend"),
        (_set(labels=[[0] * 7, [0] * 6 + [True]]), "7 numbers from 0 to 6, one per friend"),
        (_set(labels=[[0] * 7, "0000000"]), "labels of a level is '0000000'; it must be a list"),
        (_set(labels=[[0] * 7, [1, 1, 1, 1, 0, 0, 0]]), "not numbered from the largest down"),
        (_set(circles=[]), "there are 0 circles, but 4 by the labels"),
        (_set(circles=[1, 2, 3, 4]), "a circle is 1; it must be an object"),
        (_set(isolated=-1), r"isolated friends is -1; it must lie in 0..7"),
        (_set(isolated=None), "'isolated' is missing; it must be a whole number"),
        (_set(last_id=3), "'c4' is not the id of a circle up to 'c3'"),
        (_circle(id="c2"), "two circles have the same id"),
        (_circle(id="c01"), "'c01' is not the id of a circle"),
        (_circle(id="c" + "9" * 5000), "is not the id of a circle"),
        (_circle(name=None), "'name' of a circle is missing; it must be a text"),
        (_circle(lists_people=1), "'lists_people' of circle 'c1' is 1; it must be true or false"),
    ],
)
def test_damaged_documents_are_refused(damage, message):
    """Whatever is wrong with a document of circles, the error says what, and no circles come out."""
    document = json.loads(json.dumps(find_circles(cliques(4, 3), resolutions=[0.5, 1]).to_dict()))
    with pytest.raises(DataError, match=message):
        Circles.from_dict(damage(document))


def test_circles_of_another_network_are_refused():
    """Circles that are read for a network with other friends are refused."""
    document = find_circles(cliques(4)).to_dict()
    with pytest.raises(DataError, match="other friends than the network"):
        Circles.from_dict(document, cliques(5))


def test_real_circles(ego_facebook):
    """On a real network: several levels of named circles, nearly everybody with ties covered, ids kept as a friend joins."""
    network = read_snap_ego_network(ego_facebook, "3980")
    circles = find_circles(network)
    check_consistent(circles, network)
    assert circles.coverage.covered + circles.isolated >= 0.9 * network.n
    friend = network.friends[int(network.degree.argmax())]
    rest = network.without_friend(friend)
    before = find_circles(rest, previous=find_circles(rest))
    for after in (assign_friend(before, network, friend), find_circles(network, previous=before)):
        check_consistent(after, network)
        kept = [{circle.id for circle in before.of(other)} <= {circle.id for circle in after.of(other)} for other in rest.friends]
        assert np.mean(kept) > 0.7


def test_karate_club():
    """From a networkx graph to circles, as users do it."""
    circles = find_circles(ego_network(nx.karate_club_graph(), 0))
    assert circles.coverage == Coverage(14, 16, 2)
