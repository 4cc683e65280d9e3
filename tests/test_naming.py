from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privwiz.circles import find_circles
from privwiz.errors import DataError, UnknownFriend
from privwiz.graphs import build_ego_network
from privwiz.naming import CircleName, attribute_holders, attribute_text, circle_names, display_name, field_text
from privwiz.readers import read_snap_ego_network


def network_of(profiles, ties=()):
    """An ego network with these profiles, its friends called by their keys."""
    return build_ego_network("me", list(profiles), ties, profiles)


def same(friends, profile):
    """The same profile for each of these friends."""
    return {friend: profile for friend in friends}  # noqa: C420 - not changed, so it may be one object


def names_of(network, *groups):
    """The English names of groups given as ids."""
    positions = [np.array([network.index(friend) for friend in group]) for group in groups]
    return [name.en for name in circle_names(network, positions)]


def test_people_are_called_by_their_name():
    """A friend is called by the profile's name; without one, or with a mere number for it, by the id."""
    network = network_of({"u1": {"name": "Ann"}, "u2": {"name": "123"}, "u3": {}, "u4": {"name": "王芳"}})
    assert [display_name(network, friend) for friend in network.friends] == ["Ann", "u2", "u3", "王芳"]
    with pytest.raises(UnknownFriend):
        display_name(network, "u9")


@pytest.mark.parametrize(
    ("field", "value", "en", "zh"),
    [
        ("school", "Peking University", "Peking University", "Peking University"),
        ("school", "538", "school 538", "学校 538"),
        ("employer", "ACME", "ACME", "ACME"),
        ("school_year", "2009", "school year 2009", "2009届"),
        ("school_year", "12", "school year 12", "届别 12"),
        ("school_year", "1899", "school year 1899", "届别 1899"),
        ("hometown", "Berlin", "from Berlin", "来自Berlin"),
        ("location", "上海", "living in 上海", "现居上海"),
        ("location", "137", "location 137", "所在地 137"),
        ("last_name", "Li", "last name Li", "姓氏 Li"),
        ("language", "Chinese", "speaking Chinese", "说Chinese"),
        ("chess_club", "true", "chess club true", "chess club true"),
        ("school", "{0}", "{0}", "{0}"),
    ],
)
def test_attributes_in_words(field, value, en, zh):
    """A value that people can read stands by itself or in a phrase; a number is read with its field, unless it is a year."""
    assert (attribute_text(field, value), attribute_text(field, value, "zh")) == (en, zh)


def test_only_two_languages():
    """Another language is an error that names the two there are."""
    for say in (lambda: field_text("school", "fr"), lambda: attribute_text("school", "PKU", "fr")):
        with pytest.raises(DataError, match=r"'en' .* 'zh'"):
            say()


def test_holders_of_attributes():
    """Each attribute is listed with who has it; rare ones can be left out."""
    network = network_of({"a": {"school": ["X", "Y"]}, "b": {"school": "Y"}, "c": {}})
    assert attribute_holders(network) == {("school", "X"): [0], ("school", "Y"): [0, 1]}
    assert attribute_holders(network, at_least=2) == {("school", "Y"): [0, 1]}


def test_a_circle_is_named_by_what_its_members_share():
    """What most members have and few others do is the name; a second field joins if most members have both."""
    school = {"school": "Peking University", "school_year": 2009}
    network = network_of({**same("abc", school), **same("defg", {"school": "MIT"})})
    assert names_of(network, "abc", "defg") == ["Peking University, 2009", "MIT"]
    assert [name.zh for name in circle_names(network, [np.arange(3)])] == ["Peking University，2009届"]


def test_a_name_is_true_for_most_members():
    """An attribute of exactly half of the members, however rare elsewhere, does not name the circle; of more it does."""
    network = network_of({**same("ab", {"school": "X"}), "c": {"school": "X"}, **same("defgh", {})})
    assert names_of(network, "abde") == ["Circle of a, b and 2 others"]
    assert names_of(network, "abcde") == ["X"]


def test_two_attributes_name_a_circle_only_if_most_members_have_both():
    """Two attributes that most members have each, but few have both, are not put together."""
    only = {"school": "X"}, {"employer": "Y"}, {"school": "X", "employer": "Y"}
    profiles = dict(zip("abcde", [only[0], only[0], only[1], only[1], only[2]], strict=True))
    network = network_of({**profiles, **same("uvwxyz", {})})
    assert names_of(network, "abcde") == ["Y"]


def test_what_everybody_has_names_nothing():
    """An attribute as common outside as inside is no name."""
    network = network_of(same("abcdefgh", {"school": "X"}))
    assert names_of(network, "abcd") == ["Circle of a, b and 2 others"]


@pytest.mark.parametrize("field", ["gender", "locale", "religion", "political", "birthday", "first_name", "name"])
def test_some_fields_never_name_a_circle(field):
    """No circle is called by gender, belief, birthday or what its members are called."""
    network = network_of({**same("abc", {field: "X"}), **same("def", {})})
    assert "X" not in names_of(network, "abc")[0].replace("Circle of X, X and X", "")


def test_an_unknown_field_names_a_circle_only_if_people_can_read_it():
    """A number in a field that nobody knows is no name; a word is."""
    assert names_of(network_of({**same("abc", {"x_date": "157"}), "d": {}}), "abc") == ["Circle of a, b and c"]
    assert names_of(network_of({**same("abc", {"chess_club": "Rooks"}), "d": {}}), "abc") == ["Chess club Rooks"]


def test_our_words_begin_with_a_capital_and_values_stay():
    """A name that begins with a word of ours has a capital; one that begins with a value is as its owners write it."""
    network = network_of({**same("abc", {"employer": "eBay"}), **same("def", {"hometown": "ulm"}), "g": {}})
    assert names_of(network, "abc", "def") == ["eBay", "From ulm"]


def test_the_best_connected_members_lead():
    """Without a shared attribute a circle is named by those with the strongest ties inside it, and how many more there are."""
    ties = [("d", "a", 1.0), ("d", "b", 1.0), ("d", "c", 1.0), ("c", "a", 1.0), ("b", "z", 9.0)]
    network = network_of({**same("abcdz", {}), "d": {"name": "Dan"}}, ties)
    (name,) = circle_names(network, [np.arange(4)])
    assert name == CircleName("Circle of Dan, a and 2 others", "Dan、a等4人的圈子", lists_people=True)


def test_three_members_are_all_named():
    """Nobody is an "other" alone: three members are all named."""
    assert names_of(network_of(same("abc", {})), "abc") == ["Circle of a, b and c"]


def test_two_circles_never_share_a_name():
    """Where one name fits several, the circle it fits best keeps it; then people are added, then numbers."""
    network = network_of({**same("abcdef", {"school": "X"}), **same("uvwxyz", {})})
    assert names_of(network, "abcduv", "abcdef") == ["X: a, b and 4 others", "X"]
    anns = network_of({f"u{i}": {"name": "Ann"} for i in range(9)})
    assert names_of(anns, ["u0", "u1", "u2"], ["u3", "u4", "u5"], ["u6", "u7", "u8"]) == [
        "Circle of Ann, Ann and Ann",
        "Circle of Ann, Ann and Ann (2)",
        "Circle of Ann, Ann and Ann (3)",
    ]


def test_a_third_person_tells_circles_apart():
    """Two circles of one size with the same two leaders are told apart by naming more members."""
    ties = [("a", "b"), *(pair for other in "cdef" for pair in (("a", other), ("b", other)))]
    network = network_of(same("abcdef", {}), ties)
    assert names_of(network, "abcd", "abef") == ["Circle of a, b and 2 others", "Circle of a, b, e and f"]


def test_taken_names_are_not_given_again():
    """A name in use, in either language, is not given to another circle."""
    network = network_of(same("abcd", {}))
    taken = CircleName("Circle of a, b and 2 others", "别的圈子", lists_people=True)
    assert circle_names(network, [np.arange(4)], [taken])[0].en == "Circle of a, b, c and d"


def test_no_groups_and_equal_groups():
    """No groups have no names; groups with the same members share one."""
    network = network_of(same("abc", {}))
    assert circle_names(network, []) == ()
    first, second = circle_names(network, [np.arange(3), np.arange(3)])
    assert first == second


@st.composite
def described_networks(draw):
    """Draw a network whose friends have few different attributes, so that many circles compete for a name."""
    n = draw(st.integers(3, 12))
    profile = st.dictionaries(
        st.sampled_from(["school", "employer", "name", "club"]), st.sampled_from(["X", "Y", "7"]), max_size=3
    )
    friends = [f"f{i:02}" for i in range(n)]
    ties = draw(st.lists(st.sampled_from(list(combinations(friends, 2))), unique=True, max_size=30))
    return build_ego_network("me", friends, ties, {friend: draw(profile) for friend in friends})


@settings(max_examples=50)
@given(described_networks())
def test_names_tell_all_circles_apart(network):
    """In both languages, two circles of a network have the same name only if they have the same members."""
    circles = find_circles(network, resolutions=(0.5, 1.0, 2.0))
    for language in ("en", "zh"):
        members = {}
        for circle in circles:
            assert circle.text(language)
            assert members.setdefault(circle.text(language), circle.members) == circle.members


@pytest.mark.parametrize("ego", ["0", "698", "3980"])
def test_names_of_real_circles_are_true(ego_facebook, ego):
    """On real networks, an attribute in a name is one that more than half of the members have; names are unique."""
    network = read_snap_ego_network(ego_facebook, ego)
    texts = {attribute_text(*key): set(friends) for key, friends in attribute_holders(network).items()}
    circles = find_circles(network)
    for circle in circles:
        said = set() if circle.name.startswith("Circle of ") else set(circle.name.partition(":")[0].lower().split(", "))
        holders = [friends for text, friends in texts.items() if text.lower() in said]
        assert len(holders) >= len(said)
        if said:
            assert len(set.intersection(*holders) & {network.index(m) for m in circle.members}) > len(circle) / 2
    assert len({circle.name for circle in circles.distinct()}) == len(circles.distinct())
