"""Groups to ask about: what they may consist of, and what they are called."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privwiz.circles import MIN_SIZE, find_circles
from privwiz.graphs import build_ego_network
from privwiz.groups import askable_groups, shared_groups, tie_groups
from privwiz.naming import PERSONAL_FIELDS
from privwiz.screens import NEARLY_ALL

NEVER = sorted({*PERSONAL_FIELDS, "gender", "locale"})
FIELDS = ["school", "employer", "hometown", *NEVER]


@st.composite
def networks(draw):
    """Draw a network of up to 14 friends, who and whose user have a few attributes."""
    n = draw(st.integers(0, 14))
    profile = st.dictionaries(st.sampled_from(FIELDS), st.sampled_from(["X", "Y"]), max_size=3)
    friends = [f"f{i:02}" for i in range(n)]
    pairs = list(combinations(friends, 2))
    ties = draw(st.lists(st.sampled_from(pairs), unique=True, max_size=40)) if pairs else []
    return build_ego_network("me", friends, ties, {friend: draw(profile) for friend in friends}, draw(profile))


def clubs(*sizes):
    """Return a network of clubs of these sizes, whose members all know each other."""
    friends = [f"{chr(97 + club)}{k}" for club, size in enumerate(sizes) for k in range(size)]
    return build_ego_network("me", friends, [(x, y) for x, y in combinations(friends, 2) if x[0] == y[0]])


def star(leaves, loners=0, profiles=None, own=None):
    """Return a network of a hub that knows all leaves, and of loners."""
    names = [f"leaf{k}" for k in range(leaves)]
    friends = ["hub", *names, *(f"loner{k}" for k in range(loners))]
    return build_ego_network("me", friends, [("hub", leaf) for leaf in names], profiles or {}, own or {})


@given(networks())
@settings(max_examples=60)
def test_the_laws_of_a_group(network):
    """A group has at least 3 friends, each once and in order, and at most four fifths of all; no two have the same members."""
    groups = askable_groups(network, find_circles(network))
    for group in groups:
        assert list(group.members) == sorted(set(group.members) & set(network.friends))
        assert MIN_SIZE <= len(group) <= NEARLY_ALL * network.n
    assert len({group.members for group in groups}) == len(groups)
    assert len({group.id for group in groups}) == len(groups)


@given(networks())
@settings(max_examples=60)
def test_all_that_fits_is_there_circles_first(network):
    """Circles come first, the largest at the front; then what friends share with the user; then those of many and few ties."""
    circles = find_circles(network)
    found = [group.members for group in askable_groups(network, circles)]
    fitting = [circle.members for circle in circles.distinct() if len(circle) <= NEARLY_ALL * network.n]
    assert set(found[: len(fitting)]) == set(fitting)
    assert [len(members) for members in found[: len(fitting)]] == sorted(map(len, fitting), reverse=True)
    others = [group.members for group in (*shared_groups(network), *tie_groups(network))]
    assert found[len(fitting) :] == [members for members in dict.fromkeys(others) if members not in set(fitting)]


@given(networks())
@settings(max_examples=60)
def test_friends_of_equal_degree_stand_or_fall_together(network):
    """A group by mutual friends is all friends from some number of them up, or all down from one, and its name counts them."""
    degree = dict(zip(network.friends, network.degree.tolist(), strict=True))
    for group in tie_groups(network):
        inside = {degree[friend] for friend in group.members}
        outside = {degree[friend] for friend in set(network.friends) - set(group.members)}
        count = len(group)
        if "most" in group.name:
            assert min(inside) > max(outside)
            assert min(inside) > 0
            assert group.text("zh") == f"共同好友最多的{count}位好友"
        else:
            assert max(inside) < min(outside)
            assert group.text("zh") == f"共同好友最少的{count}位好友"
        assert group.text("en") == f"The {count} friends with {'most' if 'most' in group.name else 'fewest'} mutual friends"
        assert group.lists_people


@given(networks())
@settings(max_examples=60)
def test_a_shared_group_is_all_who_have_what_the_user_has(network):
    """The members are exactly the friends with one attribute of the user's own; gender, locale and personal fields make none."""
    for group in shared_groups(network):
        field, _, value = group.id.removeprefix("a:").partition("=")
        assert field not in NEVER
        assert value in network.ego_profile[field]
        assert set(group.members) == {friend for friend in network.friends if value in network.profiles[friend].get(field, ())}


@pytest.mark.parametrize("field", NEVER)
def test_what_nobody_should_be_sorted_by_makes_no_group(field):
    """What half of the friends have in common with the user is a group, unless it is personal, gender or locale."""
    friends = [f"f{k}" for k in range(8)]
    for name, expected in ((field, 0), ("school", 1)):
        network = build_ego_network("me", friends, [], dict.fromkeys(friends[:4], {name: "X"}), {name: "X"})
        groups = askable_groups(network, find_circles(network))
        assert len(shared_groups(network)) == expected
        assert [group.members for group in groups if group.id.startswith("a:")] == [tuple(friends[:4])] * expected


def test_only_what_the_user_has_too_makes_a_group():
    """An attribute of friends that the user does not have makes no group, and one that two friends have makes none either."""
    friends = [f"f{k}" for k in range(9)]
    profiles = {friend: {"school": "X" if k < 4 else "Y", "employer": "Z" if k < 2 else "W"} for k, friend in enumerate(friends)}
    network = build_ego_network("me", friends, [], profiles, {"school": "X", "employer": "Z"})
    (group,) = shared_groups(network)
    assert (group.id, group.members, group.level) == ("a:school=X", tuple(friends[:4]), -1)
    assert (group.text("en"), group.text("zh")) == ("All with school X", "学校为 X 的好友")


def test_at_most_twelve_shared_groups():
    """Of twenty attributes shared with the user, the twelve that most friends have make groups."""
    friends = [f"f{k:02}" for k in range(40)]
    own = {f"club{j:02}": "X" for j in range(20)}
    profiles = {friend: {field: "X" for j, field in enumerate(own) if k < j + 4} for k, friend in enumerate(friends)}
    groups = shared_groups(build_ego_network("me", friends, [], profiles, own))
    assert [len(group) for group in groups] == list(range(23, 11, -1))


def test_a_circle_keeps_its_name():
    """Where a circle, those of a school and those of many ties are the same friends, the group is the circle."""
    network = clubs(5, 1, 1, 1, 1)
    profiles = dict.fromkeys([friend for friend in network.friends if friend[0] == "a"], {"school": "X"})
    ties = [(x, y) for x, y in combinations(sorted(profiles), 2)]
    same = build_ego_network("me", network.friends, ties, profiles, {"school": "X"})
    (circle,) = find_circles(same).distinct()
    assert [group.members for group in (*shared_groups(same), *tie_groups(same))].count(circle.members) >= 2
    assert askable_groups(same, find_circles(same))[0] == circle
    assert [group.members for group in askable_groups(same, find_circles(same))].count(circle.members) == 1


def test_closest_and_most_distant_friends():
    """In a chain of clubs of 1 to 5, about the first 10, 30 and 50 % are the largest clubs, the last 15 and 30 % the smallest."""
    network = clubs(5, 4, 3, 2, 1, 1, 1, 1)
    names = {group.name: group.members for group in tie_groups(network)}
    assert list(names) == [
        "The 5 friends with most mutual friends",
        "The 9 friends with most mutual friends",
        "The 4 friends with fewest mutual friends",
        "The 6 friends with fewest mutual friends",
    ]
    assert {friend[0] for friend in names["The 9 friends with most mutual friends"]} == {"a", "b"}
    assert {friend[0] for friend in names["The 4 friends with fewest mutual friends"]} == set("efgh")


@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_where_there_are_too_few_friends_there_is_no_group(n):
    """Of up to three friends no group has three and leaves a fifth out, whatever they share."""
    friends = [f"f{k}" for k in range(n)]
    network = build_ego_network(
        "me", friends, list(combinations(friends, 2)), dict.fromkeys(friends, {"city": "X"}), {"city": "X"}
    )
    assert (askable_groups(network, find_circles(network)), shared_groups(network), tie_groups(network)) == ((), (), ())


@pytest.mark.parametrize("size", [5, 40])
def test_where_all_have_equally_many_ties_there_is_no_group(size):
    """Without a tie, or where all know all, nobody is closer than others."""
    friends = [f"f{k}" for k in range(size)]
    for ties in ([], list(combinations(friends, 2))):
        assert tie_groups(build_ego_network("me", friends, ties)) == ()


def test_nobody_without_a_mutual_friend_is_close():
    """Where most friends are loners, those with most mutual friends are the few who have any."""
    groups = {group.id: group.members for group in tie_groups(star(2, loners=20))}
    assert groups == {"t:most-3": ("hub", "leaf0", "leaf1")}


@given(networks(), st.integers(0, 99))
@settings(max_examples=40)
def test_other_names_for_friends_change_no_group(network, seed):
    """With friends renamed, groups of shared attributes and of ties are the same ones, with their members renamed."""
    other = dict(zip(network.friends, np.random.default_rng(seed).permutation([f"g{i}" for i in range(network.n)]), strict=True))
    ties = [(str(other[x]), str(other[y])) for x, y in ties_of(network)]
    profiles = {str(other[friend]): network.profiles[friend] for friend in network.friends}
    renamed = build_ego_network("me", sorted(profiles), ties, profiles, network.ego_profile)
    for made in (shared_groups, tie_groups):
        expected = {group.id: ({str(other[friend]) for friend in group.members}, group.name) for group in made(network)}
        assert {group.id: (set(group.members), group.name) for group in made(renamed)} == expected


def ties_of(network):
    """Return the ties of a network as pairs of friends."""
    rows, columns = network.adjacency.nonzero()
    return [(network.friends[i], network.friends[j]) for i, j in zip(rows, columns, strict=True) if i < j]
