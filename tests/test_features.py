"""Friend features: each column against plain sentences in Python, the laws they keep, and the real networks."""

import math
from collections import Counter
from dataclasses import replace

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privwiz.circles import Circles, find_circles
from privwiz.errors import DataError
from privwiz.features import FEATURES, LEVELS, friend_features
from privwiz.graphs import FIELDS, build_ego_network
from privwiz.snap import read_snap_ego_network

SNAP_USERS = ("0", "107", "348", "414", "686", "698", "1684", "1912", "3437", "3980")
STRENGTH_COLUMNS = ("user_tie_rank", "user_tie_unknown", "tie_strength")

profiles = st.dictionaries(
    st.sampled_from([*FIELDS, "favourite_food"]), st.lists(st.sampled_from("abc"), min_size=1, max_size=2), max_size=6
)
strengths = st.floats(0.01, 100)


def circles_of(network, labels, resolutions=(1.0, 2.0, 8.0)):
    """Circles with these community numbers; the named circles themselves are not read by the features."""
    labels = np.array(labels, np.int32).reshape(len(resolutions), network.n)
    return Circles(resolutions=resolutions, friends=network.friends, labels=labels, circles=())


@st.composite
def described_users(draw, min_size=0, max_size=8):
    """What is known about some user: arguments for `build_ego_network`, and a community number per level and friend."""
    friends = draw(st.lists(st.text("pqrst", min_size=1, max_size=3), min_size=min_size, max_size=max_size, unique=True))
    friends.sort()
    pairs = [(a, b) for a in friends for b in friends if a < b]
    tied = draw(st.lists(st.sampled_from(pairs), unique=True)) if pairs else []
    weighted, known = draw(st.booleans()), draw(st.booleans())
    return {
        "friends": friends,
        "ties": [(*pair, draw(strengths)) if weighted else pair for pair in tied],
        "profiles": {friend: draw(profiles) for friend in friends},
        "ego_profile": draw(profiles),
        "ego_weights": {friend: draw(strengths) for friend in friends} if known and friends else None,
    }, [draw(st.lists(st.integers(0, 3), min_size=len(friends), max_size=len(friends))) for _ in LEVELS]


def table_of(user, labels):
    """Features of a drawn user: friend -> column -> value."""
    network = build_ego_network("me", **user)
    features = friend_features(network, circles_of(network, labels))
    return {
        friend: dict(zip(features.names, row.tolist(), strict=True))
        for friend, row in zip(network.friends, features.values, strict=True)
    }


def assert_same(table, expected):
    """Both tables have the same friends, columns and, up to rounding, values."""
    assert table.keys() == expected.keys()
    for friend, row in table.items():
        assert row == pytest.approx(expected[friend], abs=1e-9), friend


def plain_features(network, circles):
    """Every column for every friend as its description says it, friend by friend and slowly."""
    graph, friends, me = network.graph, network.friends, network.ego_profile
    clustering, core, pagerank = (
        nx.clustering(graph),
        nx.core_number(graph),
        nx.pagerank(graph, weight=None, max_iter=1000, tol=1e-12),
    )
    everyone = [w for _, _, w in graph.edges.data("weight", default=1)]
    table = {}
    for i, friend in enumerate(friends):
        own = [w for _, _, w in graph.edges(friend, data="weight", default=1)]
        degree = len(own)
        profile = network.profiles[friend]
        row = {
            "log_degree": math.log(1 + degree),
            "degree_share": degree / len(friends),
            "degree_rank": midrank([graph.degree(other) for other in friends], degree),
            "clustering": clustering[friend],
            "core": core[friend] / max(1, *core.values()),
            "log_pagerank": math.log(pagerank[friend] * len(friends)),
            "isolated": degree == 0,
            "user_tie_rank": 0.5,
            "user_tie_unknown": network.ego_weights is None,
            "tie_strength": 0.5,
        }
        if network.ego_weights is not None:
            row["user_tie_rank"] = midrank(network.ego_weights.tolist(), network.ego_weights[i])
        if own:
            row["tie_strength"] = np.mean(own) / (np.mean(own) + np.mean(everyone))
        for level, label in zip(LEVELS, circles.labels.tolist(), strict=True):
            members = [other for other, number in zip(friends, label, strict=True) if number == label[i]]
            inside, pairs = graph.subgraph(members), math.comb(len(members), 2)
            row |= {
                f"{level}_size_share": len(members) / len(friends),
                f"{level}_log_size": math.log(len(members)),
                f"{level}_density": inside.number_of_edges() / pairs if pairs else 0,
                f"{level}_ties_inside": inside.degree(friend) / degree if degree else 0,
                f"{level}_reach": inside.degree(friend) / (len(members) - 1) if pairs else 0,
                f"{level}_alone": members == [friend],
            }
            if level == "medium":
                circle = [network.profiles[other] for other in members]
        for field in FIELDS:
            values = Counter(value for other in circle for value in other.get(field, ()))
            most = max(values.values(), default=0)
            counts = most >= 2 and len(circle) >= 3
            row |= {
                f"same_{field}": agree(profile, me, field),
                f"has_{field}": field in profile,
                f"user_without_{field}": field not in me,
                f"circle_same_{field}": np.mean([agree(other, me, field) for other in circle]),
                f"circle_mode_{field}": most / len(circle) if counts else 0,
                f"has_mode_{field}": counts and any(values[value] == most for value in profile.get(field, ())),
            }
        row["shared_fields"] = sum(row[f"same_{field}"] for field in FIELDS if field not in ("gender", "locale"))
        row["completeness"] = sum(field in profile for field in FIELDS) / len(FIELDS)
        table[friend] = {name: float(row[name]) for name in FEATURES}
    return table


def midrank(values, own):
    """Share of the values below ``own``, equal ones counted half."""
    return sum((value < own) + (value == own) / 2 for value in values) / len(values)


def agree(profile, other, field):
    """Whether two profiles have a value of this field in common."""
    return bool(set(profile.get(field, ())) & set(other.get(field, ())))


@given(described_users(min_size=1))
@settings(max_examples=60)
def test_every_column_is_what_its_description_says(drawn):
    """The vectorised columns equal the plain ones, for any ties, strengths, profiles and communities."""
    user, labels = drawn
    network = build_ego_network("me", **user)
    assert_same(table_of(user, labels), plain_features(network, circles_of(network, labels)))


@given(described_users())
@settings(max_examples=60)
def test_finite_and_of_one_shape_for_every_user(drawn):
    """Whoever the user is, also without friends, ties or profiles, the columns are `FEATURES` and every number is finite."""
    user, labels = drawn
    network = build_ego_network("me", **user)
    features = friend_features(network, circles_of(network, labels))
    assert features.names == tuple(FEATURES)
    assert features.values.shape == (network.n, len(FEATURES))
    assert features.values.dtype == np.float64
    assert np.isfinite(features.values).all()


@given(described_users(), st.randoms(use_true_random=False))
@settings(max_examples=50)
def test_renaming_friends_carries_the_rows_along(drawn, random):
    """A friend's features depend on nobody's name, and so not on the order of the friends."""
    user, labels = drawn
    friends = user["friends"]
    new = dict(zip(friends, random.sample([f"f{k}" for k in range(len(friends))], len(friends)), strict=True))
    order = sorted(range(len(friends)), key=lambda i: new[friends[i]])
    renamed = {
        "friends": [new[friend] for friend in friends],
        "ties": [(new[a], new[b], *weight) for a, b, *weight in user["ties"]],
        "profiles": {new[friend]: profile for friend, profile in user["profiles"].items()},
        "ego_profile": user["ego_profile"],
        "ego_weights": user["ego_weights"] and {new[friend]: weight for friend, weight in user["ego_weights"].items()},
    }
    expected = {new[friend]: row for friend, row in table_of(user, labels).items()}
    assert_same(table_of(renamed, [[label[i] for i in order] for label in labels]), expected)


@given(described_users(), st.permutations(range(4)), st.integers(0, 1000))
@settings(max_examples=50)
def test_renumbering_communities_changes_nothing(drawn, numbers, gap):
    """The number of a community carries no meaning: circle columns could not be federated otherwise."""
    user, labels = drawn
    renumbered = [[numbers[community] * (gap + 1) for community in label] for label in labels]
    assert table_of(user, renumbered) == table_of(user, labels)


@given(described_users(), st.permutations("abc"))
@settings(max_examples=50)
def test_renaming_values_changes_nothing(drawn, letters):
    """A profile value matters only by being equal to another, so anonymised values give the same features."""
    user, labels = drawn
    code = dict(zip("abc", letters, strict=True))

    def recode(profile):
        return {field: [code[value] for value in values] for field, values in profile.items()}

    recoded = {friend: recode(profile) for friend, profile in user["profiles"].items()}
    changed = user | {"profiles": recoded, "ego_profile": recode(user["ego_profile"])}
    assert table_of(changed, labels) == table_of(user, labels)


@given(described_users(), st.sampled_from([0.5, 4.0, 1024.0]))
@settings(max_examples=50)
def test_the_unit_of_strength_does_not_matter(drawn, factor):
    """Strengths count relative to the network's, because every network measures them in a unit of its own."""
    user, labels = drawn
    scaled = user | {
        "ties": [(a, b, *(weight * factor for weight in weights)) for a, b, *weights in user["ties"]],
        "ego_weights": user["ego_weights"] and {f: weight * factor for f, weight in user["ego_weights"].items()},
    }
    assert_same(table_of(scaled, labels), table_of(user, labels))


@given(described_users())
@settings(max_examples=50)
def test_strengths_enter_only_the_columns_on_strength(drawn):
    """Without its strengths a network keeps all other columns, and has the neutral value in these."""
    user, labels = drawn
    plain = table_of(user | {"ties": [tie[:2] for tie in user["ties"]], "ego_weights": None}, labels)
    expected = {friend: row | dict.fromkeys(STRENGTH_COLUMNS, 0.5) for friend, row in table_of(user, labels).items()}
    for row in expected.values():
        row["user_tie_unknown"] = 1.0
    assert plain == expected


def test_extreme_strengths_stay_finite():
    """Neither overflow nor underflow of the strengths makes a feature undefined."""
    user = {"friends": ["a", "b", "c"], "ties": [("a", "b", 1e100), ("b", "c", 1e100), ("a", "c", 1e-100)]}
    rows = table_of(user, np.zeros((3, 3), int))
    assert all(0 <= row["tie_strength"] <= 1 for row in rows.values())
    assert rows["b"]["tie_strength"] > rows["a"]["tie_strength"]


def test_fields_that_only_some_networks_have_are_left_out():
    """A field outside `FIELDS` changes nothing, because no other user could learn from it."""
    user = {"friends": ["a", "b", "c"], "ties": [("a", "b")], "profiles": {"a": {"school": "PKU"}}}
    labels = np.zeros((3, 3), int)
    more = user | {"profiles": {"a": {"school": "PKU", "team": "red"}, "b": {"team": "red"}}, "ego_profile": {"team": "red"}}
    assert table_of(more, labels) == table_of(user, labels)


@pytest.mark.parametrize(
    ("resolutions", "used"),
    [((0.25, 0.5, 1.0, 2.0, 4.0, 8.0), (2, 3, 5)), ((0.5, 3.0), (0, 1, 1)), ((1.0,), (0, 0, 0)), ((8.0, 1.0, 2.0), (1, 2, 0))],
)
def test_a_missing_level_is_replaced_by_the_nearest(resolutions, used):
    """Each described level is the one whose resolution is nearest by ratio, wherever it stands."""
    network = build_ego_network("me", "abcdefg", [])
    labels = np.array([np.minimum(np.arange(7), level) for level in range(len(resolutions))])
    features = friend_features(network, circles_of(network, labels, resolutions))
    shares = features.values[:, [features.names.index(f"{level}_size_share") for level in LEVELS]]
    assert shares[-1].tolist() == pytest.approx([(7 - level) / 7 for level in used])


def test_circles_of_other_friends_are_refused():
    """Circles that were found before a friend came or went are an error, not a shifted table."""
    network = build_ego_network("me", ["a", "b"], [])
    circles = find_circles(network)
    message = "these circles are of other friends; find the circles of this network, then its features"
    with pytest.raises(DataError, match=f"^{message}$"):
        friend_features(network.with_friend("c"), circles)


def test_the_table_cannot_be_changed():
    """Features are facts about a network: neither the table, nor the list of columns can be written to."""
    network = build_ego_network("me", ["a", "b"], [("a", "b")])
    features = friend_features(network, find_circles(network))
    with pytest.raises(ValueError, match="read-only"):
        features.values[0, 0] = 1
    with pytest.raises(TypeError):
        FEATURES["more"] = "more"


def test_every_column_is_described_in_one_sentence():
    """Every name has a description that reads as one sentence, and no two columns have the same."""
    assert all(text[0].isupper() or text[0] == "1" for text in FEATURES.values())
    assert all(text.endswith(".") and ". " not in text for text in FEATURES.values())
    assert len(set(FEATURES.values())) == len(FEATURES)


def test_real_networks_have_finite_columns_that_vary(ego_facebook):
    """On the ten real networks every number is finite, and every column but those on strength tells somebody from somebody."""
    tables = []
    for user in SNAP_USERS:
        network = read_snap_ego_network(ego_facebook, user)
        tables.append(friend_features(network, find_circles(network)).values)
    values = np.concatenate(tables)
    assert np.isfinite(values).all()
    constant = [name for name, column in zip(FEATURES, values.T, strict=True) if np.ptp(column) == 0]
    assert set(constant) == set(STRENGTH_COLUMNS)


def test_a_real_network_as_the_plain_version_sees_it(ego_facebook):
    """On a real network with its real circles every column equals the plain one."""
    network = read_snap_ego_network(ego_facebook, "3980")
    circles = find_circles(network)
    features = friend_features(network, circles)
    levels = [circles.resolutions.index(resolution) for resolution in LEVELS.values()]
    plain = plain_features(network, replace(circles, labels=circles.labels[levels]))
    expected = np.array([list(plain[friend].values()) for friend in network.friends])
    np.testing.assert_allclose(features.values, expected, atol=1e-9)
