import json
from dataclasses import dataclass
from importlib.resources import files

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from privwiz.audiences import Audience, audience
from privwiz.circles import find_circles
from privwiz.errors import DataError, UnknownFriend
from privwiz.graphs import ego_network
from privwiz.items import profile_items
from privwiz.policy import Decision, Policy
from privwiz.reasons import Reason

VALIDATOR = Draft202012Validator(json.loads(files("privwiz").joinpath("schemas/audiences.schema.json").read_text("utf-8")))


@dataclass(frozen=True)
class Clique:
    """A contact list of a social network: all that an audience needs of a circle."""

    id: str
    members: tuple[str, ...]
    name: str = "List"
    name_zh: str = "名单"


@st.composite
def rows(draw):
    """Draw friends, who of them sees the item, whom the user still has to decide about, and any circles."""
    friends = tuple(draw(st.lists(st.text(min_size=1, max_size=3), max_size=12, unique=True)))
    words = draw(st.lists(st.sampled_from(["allow", "allow", "deny", "ask"]), min_size=len(friends), max_size=len(friends)))
    groups = draw(st.lists(st.sets(st.sampled_from(friends)), max_size=6)) if friends else []
    circles = [Clique(f"c{k}", tuple(sorted(group))) for k, group in enumerate(groups)]
    said = np.array(words, dtype="U5")
    return friends, said == "allow", said == "ask", circles


def mask(friends, chosen):
    """Return which of the friends are chosen."""
    return np.array([friend in chosen for friend in friends])


def make(friends, shown_rows):
    """Return a policy in which exactly these friends are shown each item."""
    items = profile_items(["phone", "email"][: len(shown_rows)])
    probability = np.array([np.where(mask(friends, shown), 0.95, 0.1) for shown in shown_rows])
    stated = np.zeros(probability.shape, dtype=int)
    return Policy("alice", items, friends, probability, stated, lambda j, f: Reason("prior", items[j], friends[f]))


@given(rows())
def test_an_audience_is_loss_free(row):
    """Expanded with the members of the circles, an audience is exactly the friends shown: nobody more, nobody less."""
    friends, shown, asked, circles = row
    members = {circle.id: circle.members for circle in circles}
    seen = audience(friends, shown, asked, circles).expand(members)
    assert seen == {friend for friend, sees in zip(friends, shown, strict=True) if sees}


@given(rows())
def test_circles_make_an_audience_shorter_never_longer(row):
    """With circles there are never more entries than the plain list of people has."""
    friends, shown, asked, circles = row
    said = audience(friends, shown, asked, circles)
    entries = len(said.allow_circles) + len(said.allow_people) + len(said.deny_circles) + len(said.deny_people)
    assert entries <= shown.sum()


@given(rows())
def test_undecided_friends_are_hidden_by_the_rest_already(row):
    """A program that ignores the list of the undecided shows none of them."""
    friends, shown, asked, circles = row
    said = audience(friends, shown, asked, circles)
    assert said.undecided == tuple(friend for friend, asks in zip(friends, asked, strict=True) if asks)
    assert not set(said.undecided) & said.expand({circle.id: circle.members for circle in circles})


@given(rows())
def test_a_friend_who_comes_later_sees_nothing(row):
    """The base is none: somebody who is in no circle and on no list is shown nothing."""
    friends, shown, asked, circles = row
    assert audience(friends, shown, asked, circles).base == "none"


FRIENDS = tuple("abcdefghij")


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        ("", Audience()),
        ("ab", Audience(allow_people=("a", "b"))),
        ("abcd", Audience(allow_circles=("family",))),
        ("abcdi", Audience(allow_circles=("family",), allow_people=("i",))),
        ("abc", Audience(allow_circles=("family",), deny_people=("d",))),
        ("abcdefghi", Audience(allow_circles=("all",))),
        ("abcdghi", Audience(allow_circles=("all",), deny_circles=("pair",))),
    ],
)
def test_circles_are_used_where_they_save_words(shown, expected):
    """People, a circle, a circle with an exception, a circle without a smaller one: whatever is shortest."""
    circles = [Clique("family", tuple("abcd")), Clique("all", tuple("abcdefghi")), Clique("pair", tuple("ef"))]
    assert audience(FRIENDS, mask(FRIENDS, shown), np.zeros(10, dtype=bool), circles) == expected


def test_circles_that_would_mean_two_things_are_refused():
    """Two circles of one id, or one with a member who is no friend, would show an item to somebody unasked."""
    nobody = np.zeros(10, dtype=bool)
    with pytest.raises(DataError, match="two circles have the id 'c'"):
        audience(FRIENDS, nobody, nobody, [Clique("c", ("a",)), Clique("c", ("b",))])
    with pytest.raises(UnknownFriend, match="'eve' is not a friend"):
        audience(FRIENDS, nobody, nobody, [Clique("c", ("a", "eve"))])


def test_the_document_holds_every_item_and_the_circles_it_needs():
    """The document names each circle that an audience uses, with its members, and no other; it fits the published schema."""
    policy = make(FRIENDS, ["abcd", "j"])
    unused = Clique("c2", ("h", "i", "j"))
    document = policy.to_audiences([Clique("c1", tuple("abcd"), "Family", "家人"), unused])
    assert document == {
        "format": "privwiz.audiences/1",
        "ego": "alice",
        "circles": {"c1": {"name": "Family", "name_zh": "家人", "members": ["a", "b", "c", "d"]}},
        "audiences": {
            "phone": {
                "base": "none",
                "allow_circles": ["c1"],
                "allow_people": [],
                "deny_circles": [],
                "deny_people": [],
                "undecided": [],
            },
            "email": {
                "base": "none",
                "allow_circles": [],
                "allow_people": ["j"],
                "deny_circles": [],
                "deny_people": [],
                "undecided": [],
            },
        },
    }
    VALIDATOR.validate(document)
    document["audiences"]["phone"]["base"] = "friends"
    with pytest.raises(ValidationError):
        VALIDATOR.validate(document)


def test_found_circles_describe_a_policy():
    """With the circles found in a network, a policy by circles becomes circle entries, and expands to itself."""
    graph = nx.relabel_nodes(nx.karate_club_graph(), str)
    graph.add_edges_from(("me", friend) for friend in list(graph))
    circles = find_circles(ego_network(graph, "me"))
    largest = circles.circles[0]
    document = make(circles.friends, [largest.members]).to_audiences(circles)
    said = document["audiences"]["phone"]
    assert said["allow_circles"] == [largest.id]
    assert said["allow_people"] == said["deny_people"] == []
    assert document["circles"][largest.id]["members"] == list(largest.members)


def test_the_undecided_are_those_to_ask():
    """The undecided of an item are the friends whose decision is ask."""
    items = profile_items(["phone"])
    policy = Policy("alice", items, ("a", "b"), [[0.6, 0.9]], [[0, 0]], lambda _j, f: Reason("prior", items[0], "ab"[f]))
    assert policy.decision("phone", "a") is Decision.ASK
    assert policy.to_audiences()["audiences"]["phone"]["undecided"] == ["a"]
