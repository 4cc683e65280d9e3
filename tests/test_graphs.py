"""Ego networks: what they promise, how they are taken out of graphs and built, and that nothing given is ever changed."""

import pickle
from collections import defaultdict
from fractions import Fraction

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privwiz.errors import DataError, UnknownFriend
from privwiz.graphs import EgoNetwork, build_ego_network, ego_network
from privwiz.profiles import FIELDS, normal_profile
from privwiz.ties import STRONGEST, WEAKEST

LAWS = settings(max_examples=60)

ids = st.one_of(st.integers(0, 30), st.text(st.characters(codec="utf-8"), min_size=1, max_size=4).map(lambda text: "s" + text))
names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=4)
weights = st.floats(WEAKEST, STRONGEST) | st.integers(1, 9)
values = st.one_of(names, st.integers(-5, 5), st.booleans(), st.none(), st.floats(allow_nan=True, allow_infinity=False))
profiles = st.dictionaries(
    st.sampled_from(FIELDS), values | st.lists(values, max_size=3) | st.frozensets(names, max_size=3), max_size=3
)


@st.composite
def graphs(draw, kinds=(nx.Graph, nx.DiGraph, nx.MultiGraph, nx.MultiDiGraph)):
    """Draw any graph with node 0, profiles, self-loops, repeats and, on some edges, weights."""
    graph = draw(st.sampled_from(kinds))()
    people = draw(st.lists(ids, max_size=9, unique=True))
    for person in [0, *people]:
        graph.add_node(person, **draw(profiles))
    pairs = st.tuples(st.sampled_from([0, 0, *people]), st.sampled_from([0, *people]))
    weighted = draw(st.booleans())
    for a, b in draw(st.lists(pairs, max_size=25)):
        stated = draw(st.none() | weights) if weighted else None
        graph.add_edge(a, b, **({} if stated is None else {"weight": stated}))
    return graph


@st.composite
def networks(draw):
    """Draw an ego network of up to seven friends."""
    friends = draw(st.lists(names.filter(lambda name: name != "me"), max_size=7, unique=True))
    pairs = [(a, b) for a in friends for b in friends]
    chosen = draw(st.lists(st.sampled_from(pairs), max_size=12)) if pairs else []
    weighted = draw(st.booleans())
    ties = [(*tie, draw(weights)) if weighted else tie for tie in chosen]
    strengths = draw(st.none() | st.fixed_dictionaries(dict.fromkeys(friends, weights)))
    return build_ego_network("me", friends, ties, {f: draw(profiles) for f in friends}, draw(profiles), strengths)


def content(network):
    """Return all that an ego network holds, in a form that ``==`` compares."""
    arrays = (network.indptr, network.indices, network.weights, network.ego_weights)
    lists = tuple(None if array is None else (array.dtype.name, array.tolist()) for array in arrays)
    return network.ego, network.friends, lists, network.profiles, network.ego_profile


def textbook(graph, ego):
    """Return friends, ties, ego ties (with strengths) and whether any is stated, as the definitions say, the slow way."""
    strongest = defaultdict(float)
    for a, b, weight in graph.edges(data="weight"):
        strongest[frozenset([a, b])] = max(strongest[frozenset([a, b])], 1.0 if weight is None else weight)
    friends = {other for pair in strongest if ego in pair and len(pair) == 2 for other in pair} - {ego}
    among = {pair: weight for pair, weight in strongest.items() if len(pair) == 2 and pair <= friends}
    to_ego = {pair: weight for pair, weight in strongest.items() if len(pair) == 2 and ego in pair}
    stated = {frozenset([a, b]) for a, b, weight in graph.edges(data="weight") if weight is not None}
    return friends, among, to_ego, bool(stated & among.keys()), bool(stated & to_ego.keys())


def snapshot(graph):
    """Return all that a graph holds, as text, in its own order."""
    return repr((graph.graph, list(graph.nodes(data=True)), [(n, dict(a)) for n, a in graph.adjacency()]))


# -- what an ego network promises


@given(networks())
@LAWS
def test_ties_are_canonical(network):
    """The adjacency is symmetric, each row ascending without repeats, without self-ties, in the types documented."""
    dense = network.adjacency.toarray()
    assert (dense == dense.T).all()
    assert (dense.diagonal() == 0).all()
    for i in range(network.n):
        row = network.neighbors(i)
        assert (np.diff(row) > 0).all()
        assert row.tolist() == np.flatnonzero(dense[i]).tolist()
        assert network.degree[i] == len(row)
    assert network.indptr.shape == (network.n + 1,)
    assert {network.indptr.dtype, network.indices.dtype} == {np.dtype(np.int32)}
    assert network.friends == tuple(sorted(network.friends))
    assert set(network.profiles) == set(network.friends)


@given(networks())
@LAWS
def test_arrays_are_read_only(network):
    """No array of a network can be written to, not even after pickling."""
    for held in (network, pickle.loads(pickle.dumps(network))):  # noqa: S301 - our own bytes
        for array in (held.indptr, held.indices, held.weights, held.ego_weights, held.degree):
            assert array is None or not array.flags.writeable


def test_the_constructor_leaves_its_arrays_alone():
    """An array that is handed to the constructor stays writeable for its owner."""
    indptr = np.zeros(1, np.int32)
    network = EgoNetwork("me", (), indptr, np.zeros(0, np.int32))
    assert indptr.flags.writeable
    assert not network.indptr.flags.writeable


@given(networks())
@LAWS
def test_pickling_keeps_the_content_and_drops_the_caches(network):
    """A pickled network comes back the same, without what was computed from it."""
    network.graph, network.adjacency  # noqa: B018 - fills the caches
    back = pickle.loads(pickle.dumps(network))  # noqa: S301 - our own bytes
    assert content(back) == content(network)
    assert "graph" not in vars(back)


@given(networks())
@LAWS
def test_the_networkx_graph_round_trips(network):
    """The networkx graph, with the user added to it, gives the same network again."""
    graph = nx.Graph(network.graph)
    graph.add_node("me", **network.ego_profile)
    for k, friend in enumerate(network.friends):
        graph.add_edge("me", friend, **({} if network.ego_weights is None else {"weight": network.ego_weights[k]}))
    assert list(network.graph) == list(network.friends)
    back = ego_network(graph, "me")
    if network.n == 0 or len(network.indices) == 0:  # nothing is left that could say "weighted"
        assert back.friends == network.friends
        assert back.profiles == network.profiles
    else:
        assert content(back) == content(network)


def test_the_networkx_graph_is_frozen():
    """Who holds the networkx graph of a network cannot change it by accident."""
    with pytest.raises(nx.NetworkXError, match="Frozen"):
        build_ego_network("me", ["a"], []).graph.add_node("b")


def test_fields_and_values():
    """``fields`` names what occurs in friends' profiles, sorted; ``values`` has every friend, ``()`` where nothing is known."""
    network = build_ego_network("me", "cab", [], {"a": {"school": ["X", "Y"]}, "b": {"gender": "f", "town": ""}}, {"job": "z"})
    assert network.fields == ("gender", "school")
    assert network.values("school") == (("X", "Y"), (), ())
    assert network.values("shoe size") == ((), (), ())


def test_looking_up_friends():
    """``index`` is the position in ``friends``; a stranger, whatever its type, is an `UnknownFriend`."""
    network = build_ego_network("me", "ba", [])
    assert [network.index(friend) for friend in "ab"] == [0, 1]
    for stranger in ("me", "c", 0, None, []):
        with pytest.raises(UnknownFriend, match="is not a friend in this network"):
            network.index(stranger)


def test_positions_of_several_friends():
    """Positions come in the order asked for; somebody who is no friend is named."""
    network = build_ego_network("me", "abc", [])
    assert network.positions(["c", "a", "c"]) == (2, 0, 2)
    assert network.positions([]) == ()
    with pytest.raises(UnknownFriend, match="'x' is not a friend"):
        network.positions(["a", "x"])


def test_attributes_are_listed_friend_by_friend():
    """Every value of every field is there, numbered as it first comes."""
    profiles = {"a": {"school": ["MIT", "PKU"]}, "c": {"name": "Cy", "school": "PKU"}}
    names, friend, name = build_ego_network("me", "abc", [], profiles).attributes
    assert names == (("school", "MIT"), ("school", "PKU"), ("name", "Cy"))
    assert (friend.tolist(), name.tolist()) == ([0, 0, 2, 2], [0, 1, 2, 1])
    assert [len(part) for part in build_ego_network("me", "", []).attributes] == [0, 0, 0]


def test_neighbors_outside_the_network():
    """A position that no friend has is an IndexError; negative ones count from the end, as in Python."""
    network = build_ego_network("me", "abc", ["ab"])
    assert network.neighbors(-2).tolist() == [0]
    for i in (3, -4):
        with pytest.raises(IndexError):
            network.neighbors(i)


def test_repr_is_short():
    """A network of any size prints as one short line."""
    assert repr(build_ego_network("me", "abc", ["ab", "bc"])) == "<EgoNetwork of 'me': 3 friends, 2 ties>"


# -- growing and shrinking


@given(networks(), st.data())
@LAWS
def test_adding_and_removing_a_friend_is_identity(network, data):
    """`without_friend` undoes `with_friend`, wherever the new friend stands in the order and whomever it knows."""
    friend = data.draw(names.filter(lambda name: name != "me" and name not in network.friends))
    known = data.draw(st.lists(st.sampled_from([*network.friends, friend, "me"]), max_size=9))
    ties = dict.fromkeys(known, 2.5) if network.weights is not None else known
    grown = network.with_friend(friend, ties, {"school": "X"}, None if network.ego_weights is None else 3.0)
    assert grown.profiles[friend] == {"school": ("X",)}
    assert {grown.friends[k] for k in grown.neighbors(grown.index(friend))} == set(known) & set(network.friends)
    assert content(grown.without_friend(friend)) == content(network)


@given(networks(), st.data())
@LAWS
def test_a_grown_network_is_as_built_at_once(network, data):
    """Removing a friend and adding it again with its ties gives the same network as before."""
    if network.friends:
        friend = data.draw(st.sampled_from(network.friends))
        i = network.index(friend)
        row = slice(network.indptr[i], network.indptr[i + 1])
        ties = [network.friends[k] for k in network.neighbors(i)]
        if network.weights is not None:
            ties = dict(zip(ties, network.weights[row], strict=True))
        weight = None if network.ego_weights is None else network.ego_weights[i]
        back = network.without_friend(friend).with_friend(friend, ties, network.profiles[friend], weight)
        assert content(back) == content(network)


def test_the_first_weight_makes_a_network_weighted():
    """Strengths that a new friend brings to an unweighted network leave 1 for all that was there."""
    network = build_ego_network("me", "abc", ["ab"]).with_friend("d", {"a": 3.0, "c": None}, weight=2.0)
    assert network.adjacency.toarray().tolist() == [[0, 1, 0, 3], [1, 0, 0, 0], [0, 0, 0, 1], [3, 0, 1, 0]]
    assert network.ego_weights.tolist() == [1, 1, 1, 2]


def test_ties_without_strength_count_one_in_a_weighted_network():
    """A friend who joins a weighted network with a plain list of ties has ties of strength 1."""
    network = build_ego_network("me", "ab", [("a", "b", 5)], ego_weights={"a": 2}).with_friend("c", "a b".split())
    assert network.adjacency.toarray().tolist() == [[0, 5, 1], [5, 0, 1], [1, 1, 0]]
    assert network.ego_weights.tolist() == [2, 1, 1]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("",), DataError, "an id is empty; give every user an id"),
        ((7,), DataError, "7 is not text; give ids as strings, such as '7'"),
        (("x\ud800",), DataError, "the id 'x\\ud800' holds half a character (a lone surrogate); correct it"),
        (("me",), DataError, "'me' is the user; only others can be added as friends"),
        (("a",), DataError, "'a' is a friend already; remove the friend first or use another id"),
        (("c", "ab"), DataError, "ties of 'c' are the text 'ab'; give a list of friends, such as ['ab']"),
        (("c", ["z"]), UnknownFriend, "'z' is not a friend in this network; add the friend first or correct the name"),
        (("c", {"a": 0}), DataError, "the tie 'c' - 'a' has weight 0; a weight is a number from 1e-100 to 1e+100"),
        (("c", [], {}, -1), DataError, "the tie 'me' - 'c' has weight -1; a weight is a number from 1e-100 to 1e+100"),
        (
            ("c", [], {"f": b"x"}),
            DataError,
            "field 'f' in the profile of 'c' holds b'x'; give text, numbers or a list of these",
        ),
    ],
)
def test_friends_that_cannot_be_added(arguments, error, message):
    """Each friend that cannot be added is refused with a message that says why and what to do."""
    with pytest.raises(error) as caught:
        build_ego_network("me", "ab", []).with_friend(*arguments)
    assert str(caught.value) == message


def test_a_stranger_cannot_be_removed():
    """Only friends can be removed."""
    with pytest.raises(UnknownFriend, match="'z' is not a friend"):
        build_ego_network("me", "ab", []).without_friend("z")


# -- taking an ego network out of a graph


@given(graphs())
@LAWS
def test_extraction_is_as_the_definitions_say(graph):
    """Friends, ties and strengths out of any kind of graph are those of the slow, literal version."""
    network = ego_network(graph, 0)
    friends, among, to_ego, weighted, ego_weighted = textbook(graph, 0)
    assert network.friends == tuple(sorted(map(str, friends)))
    dense = network.adjacency.toarray()
    expected = np.zeros_like(dense)
    for pair, weight in among.items():
        i, j = (network.index(str(person)) for person in pair)
        expected[i, j] = expected[j, i] = weight if weighted else 1.0
    assert (dense == expected).all()
    assert (network.weights is not None) == weighted
    assert (network.ego_weights is not None) == ego_weighted
    if ego_weighted:
        assert network.ego_weights.tolist() == [
            next(weight for pair, weight in to_ego.items() if friend in map(str, pair - {0})) for friend in network.friends
        ]


@given(graphs())
@LAWS
def test_the_given_graph_is_never_changed(graph):
    """Extraction changes nothing in the graph: no node, edge, attribute or order; nor does work on the network's own graph."""
    before = snapshot(graph)
    network = ego_network(graph, 0)
    for friend in network.friends:
        network.graph.nodes[friend]["more"] = "x"
    assert snapshot(graph) == before
    assert all("more" not in profile for profile in network.profiles.values())


@given(graphs(), st.randoms(use_true_random=False))
@LAWS
def test_the_order_of_nodes_and_edges_means_nothing(graph, random):
    """The same graph, its nodes and edges added in another order, gives the same network."""
    nodes, edges = list(graph.nodes(data=True)), list(graph.edges(data=True))
    random.shuffle(nodes)
    random.shuffle(edges)
    other = graph.__class__()
    other.add_nodes_from(nodes)
    other.add_edges_from(
        (b, a, data) if not graph.is_directed() and random.random() < 0.5 else (a, b, data) for a, b, data in edges
    )
    assert content(ego_network(other, 0)) == content(ego_network(graph, 0))


@given(graphs(), st.permutations(range(50)))
@LAWS
def test_renaming_users_only_renames(graph, numbers):
    """New ids give the same network under the new names: the same ties, strengths and profiles."""
    renamed = dict(zip(graph, (f"u{number:02}" for number in numbers), strict=False))
    network, other = ego_network(graph, 0), ego_network(nx.relabel_nodes(graph, renamed), renamed[0])
    new = {str(node): name for node, name in renamed.items()}
    order = [other.index(new[friend]) for friend in network.friends]
    assert (other.adjacency.toarray()[np.ix_(order, order)] == network.adjacency.toarray()).all()
    assert [other.profiles[new[friend]] for friend in network.friends] == list(network.profiles.values())


@given(graphs())
@LAWS
def test_a_graph_and_plain_data_build_the_same(graph):
    """`build_ego_network` from the lists that describe a graph's neighbourhood equals `ego_network` of the graph."""
    friends, among, to_ego, weighted, ego_weighted = textbook(graph, 0)
    built = build_ego_network(
        "0",
        map(str, friends),
        [(*map(str, pair), weight) if weighted else tuple(map(str, pair)) for pair, weight in among.items()],
        {str(node): data for node, data in graph.nodes(data=True)},
        graph.nodes[0],
        {str(*(pair - {0})): weight for pair, weight in to_ego.items()} if ego_weighted else None,
    )
    assert content(built) == content(ego_network(graph, 0))


def test_extraction_looks_at_the_neighbourhood_only():
    """What is far from the user is not looked at: defects there do no harm."""
    graph = nx.Graph([("me", "a"), ("a", "far")])
    graph.add_edge("far", 1, weight="nonsense")
    graph.add_edge("far", "1", weight=-1)
    graph.nodes["far"]["photo"] = b"..."
    assert content(ego_network(graph, "me")) == content(build_ego_network("me", ["a"], []))


def test_views_are_graphs_too():
    """A subgraph view gives what its copy gives."""
    graph = nx.karate_club_graph()
    view = nx.subgraph_view(graph, filter_node=lambda node: node % 3 != 1)
    assert content(ego_network(view, 0)) == content(ego_network(view.copy(), 0))


def test_an_ego_without_friends():
    """An ego with no friends, or tied only to itself, is legal and every property works."""
    graph = nx.Graph([("me", "me"), ("a", "b")])
    network = ego_network(graph, "me")
    assert (network.n, network.friends, network.indptr.tolist(), network.degree.tolist(), network.fields) == (0, (), [0], [], ())
    assert network.adjacency.shape == (0, 0)
    assert len(network.graph) == 0
    assert network.with_friend("a", []).without_friend("a").friends == ()


def test_isolated_friends_and_friends_without_profile():
    """A friend who knows no other friend has no ties; one of whom nothing is known has an empty profile."""
    network = ego_network(nx.star_graph(["me", "a", "b"]), "me")
    assert (network.friends, network.degree.tolist(), network.profiles) == (("a", "b"), [0, 0], {"a": {}, "b": {}})


def test_directed_ties_count_in_either_direction():
    """Following or being followed makes a friend; of two directions the stronger counts."""
    graph = nx.DiGraph([("me", "a"), ("b", "me"), ("b", "a", {"weight": 2}), ("a", "b", {"weight": 3})])
    network = ego_network(graph, "me")
    assert (network.friends, network.weights.tolist(), network.ego_weights) == (("a", "b"), [3, 3], None)


def test_ids_stay_as_they_are():
    """Ids keep case, spaces, and composed or decomposed letters apart, and may be very long."""
    people = ["\u00e9", "e\u0301", "E", " e", "王芳", "🧙", "x" * 100_000]
    network = ego_network(nx.star_graph(["me", *people]), "me")
    assert set(network.friends) == set(people)


def test_ids_that_are_not_text_become_text():
    """Numbers and tuples as ids are their ``str``."""
    graph = nx.star_graph([0, 10, 9, (1, 2)])
    assert ego_network(graph, 0).friends == ("(1, 2)", "10", "9")


def test_weights_can_be_ignored_or_named():
    """``weight=None`` ignores strengths, another name reads them from another attribute."""
    graph = nx.complete_graph(["me", "a", "b"])
    nx.set_edge_attributes(graph, -1, "weight")
    nx.set_edge_attributes(graph, 4, "calls")
    assert ego_network(graph, "me", weight=None).weights is None
    network = ego_network(graph, "me", weight="calls")
    assert (network.weights.tolist(), network.ego_weights.tolist()) == ([4, 4], [4, 4])


@pytest.mark.parametrize("weight", [float("nan"), float("inf"), 0, -1, 0.0, "2", 10**400, [1], 1e101, 1e-101])
@pytest.mark.parametrize("kind", [nx.Graph, nx.DiGraph, nx.MultiGraph])
@pytest.mark.parametrize("tie", [("a", "b"), ("me", "a")])
def test_weights_that_are_none(weight, kind, tie):
    """A weight that is not a number within the limits is refused, with the tie and the value."""
    graph = kind([("me", "a"), ("me", "b")])
    graph.add_edge(*tie, weight=weight)
    with pytest.raises(DataError) as caught:
        ego_network(graph, "me")
    expected = f"the tie {tie[0]!r} - {tie[1]!r} has weight {weight!r}; a weight is a number from 1e-100 to 1e+100"
    assert str(caught.value) == expected


@pytest.mark.parametrize(
    ("graph", "ego", "message"),
    [
        ({"me": ["a"]}, "me", "a social graph is a networkx graph, not dict; read files with read_graph"),
        (nx.Graph(), "me", "'me' is not in the graph; it has no users at all"),
        (nx.path_graph(9), "0", "'0' is not in the graph; it has 9 users, such as 0, 1, 2"),
        (nx.path_graph(2), ["0"], "['0'] is not in the graph; it has 2 users, such as 0, 1"),
        (nx.star_graph(["me", 1, "1"]), "me", "the ids '1' and 1 are the same as text; rename one of them"),
        (nx.star_graph([1, "1"]), 1, "the ids '1' and 1 are the same as text; rename one of them"),
        (nx.star_graph(["me", ""]), "me", "an id is empty; give every user an id"),
        (nx.star_graph(["me", "\udc80"]), "me", "the id '\\udc80' holds half a character (a lone surrogate); correct it"),
    ],
)
def test_graphs_without_an_ego_network(graph, ego, message):
    """Each graph that cannot be used is refused with a message that says what is wrong."""
    with pytest.raises(DataError) as caught:
        ego_network(graph, ego)
    assert str(caught.value) == message


# -- profiles


def test_what_profile_values_become():
    """Values become sorted text without repeats; what is missing leaves no trace."""
    raw = {
        "text": "PKU",
        "year": 1990.0,
        "many": ("b", "a", "b", None, ""),
        "set": {2, 1},
        "yes": True,
        "half": 0.5,
        "third": Fraction(1, 3),
        "numpy": [np.int64(3), np.float32(0.1), np.bool_(0), np.str_("s"), np.float64("nan")],
        "nothing": None,
        "nan": float("nan"),
        "blank": "",
        "none": [],
        7: "lucky",
        "7": "unlucky",
    }
    assert normal_profile(raw, "bo") == {
        "7": ("lucky", "unlucky"),
        "half": ("0.5",),
        "many": ("a", "b"),
        "numpy": ("0.1", "3", "false", "s"),
        "set": ("1", "2"),
        "text": ("PKU",),
        "third": ("1/3",),
        "year": ("1990",),
        "yes": ("true",),
    }


@given(profiles)
@LAWS
def test_a_normal_profile_stays_as_it_is(raw):
    """Normalising twice is normalising once, and fields come sorted."""
    profile = normal_profile(raw, "bo")
    assert normal_profile(profile, "bo") == profile
    assert list(profile) == sorted(profile)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"photo": b"..."}, "field 'photo' in the profile of 'bo' holds b'...'; give text, numbers or a list of these"),
        ({"job": {"at": "PKU"}}, "field 'job' in the profile of 'bo' holds {'at': 'PKU'}; give text, numbers or a list of these"),
        ({"l": [["x"]]}, "field 'l' in the profile of 'bo' holds [['x']]; give text, numbers or a list of these"),
        ({"": "x"}, "the profile of 'bo' has a field without a name; name it"),
    ],
)
def test_values_that_no_profile_holds(raw, message):
    """A value that is not text, a number or a list of these is refused, with user and field."""
    with pytest.raises(DataError) as caught:
        normal_profile(raw, "bo")
    assert str(caught.value) == message


# -- building from plain data


@given(st.data())
@LAWS
def test_building_does_not_depend_on_order(data):
    """Friends and ties in any order, direction and number of repeats build the same network."""
    friends = data.draw(st.lists(names.filter(lambda name: name != "me"), min_size=1, max_size=6, unique=True))
    ties = data.draw(st.lists(st.tuples(st.sampled_from(friends), st.sampled_from(friends), weights), max_size=9))
    shuffled = data.draw(st.permutations([(b, a, weight) for a, b, weight in ties]))
    again = data.draw(st.permutations(friends * 2))
    assert content(build_ego_network("me", again, [*shuffled, *ties])) == content(build_ego_network("me", friends, ties))


def test_what_building_leaves_out():
    """Self-ties, ties to the user and profiles of people who are not friends add nothing."""
    network = build_ego_network("me", "ab", ["aa", ("me", "b", 9.0), "ab"], {"z": {"f": "x"}})
    assert content(network) == content(build_ego_network("me", "ab", ["ab"]))


def test_ego_weights_default_to_one():
    """Friends whom ``ego_weights`` does not name have strength 1."""
    assert build_ego_network("me", "ab", [], ego_weights={"b": 2}).ego_weights.tolist() == [1, 2]
    assert build_ego_network("me", "ab", [], ego_weights={}).ego_weights.tolist() == [1, 1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((3, "ab", []), "3 is not text; give ids as strings, such as '3'"),
        (("", "ab", []), "an id is empty; give every user an id"),
        (("me", [1], []), "1 is not text; give ids as strings, such as '1'"),
        (("me", ["me"], []), "'me' is the user and cannot be a friend too; leave it out of the friends"),
        (("me", "ab", ["az"]), "the tie 'a' - 'z' names 'z', who is not a friend of 'me'; add the friend first"),
        (("me", "ab", [("me", "z")]), "the tie 'me' - 'z' names 'z', who is not a friend of 'me'; add the friend first"),
        (
            ("me", "ab", [("a", "b", float("nan"))]),
            "the tie 'a' - 'b' has weight nan; a weight is a number from 1e-100 to 1e+100",
        ),
        (("me", "ab", [], {}, {}, {"z": 1}), "ego_weights names 'z', who is not a friend of 'me'; add the friend first"),
        (("me", "ab", [], {}, {}, {"a": 0}), "the tie 'me' - 'a' has weight 0; a weight is a number from 1e-100 to 1e+100"),
    ],
)
def test_data_that_build_no_network(arguments, message):
    """Plain data that contradict themselves are refused with a message that says what is wrong."""
    with pytest.raises(DataError) as caught:
        build_ego_network(*arguments)
    assert str(caught.value) == message
