from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privwiz.answers import Answer, Entry, evidence
from privwiz.belief import believe, believe_classic, lay_out
from privwiz.circles import find_circles
from privwiz.classifier import classic_classifier, item_predictor
from privwiz.decisions import Decision, threshold
from privwiz.graphs import build_ego_network
from privwiz.items import profile_items
from privwiz.prior import Prior

ITEMS = profile_items(["phone", "city"])
CLUBS = {club: [f"{club}{k}" for k in range(6)] for club in "abc"}
FRIENDS = [friend for members in CLUBS.values() for friend in members]


def clubs(profiles=None):
    """Return the network of three clubs of six who all know each other, and a loner."""
    ties = [(one, other) for members in CLUBS.values() for one in members for other in members if one < other]
    return build_ego_network("me", [*FRIENDS, "loner"], ties, profiles or {})


def layout_of(network, others=(), items=ITEMS):
    """Lay out a network with the shipped prior."""
    return lay_out(network, find_circles(network), Prior.default(), items, others)


def said(network, *answers, kind="circle", items=ITEMS):
    """Return the evidence of answers (item, friends, value, each)."""
    log = [Entry(kind, (Answer(item, tuple(friends), value, each),)) for item, friends, value, each in answers]
    return evidence(log, [item.id for item in items], network.friends)


def test_circles_come_first_then_everybody_then_other_groups():
    """Rows of a layout: friends; circles of at most four fifths of them, the largest first; everybody; other groups, sorted."""
    network = clubs()
    layout = layout_of(network, [(3, 9), (0, 18), tuple(range(6))])
    everybody = tuple(range(network.n))
    assert layout.groups == (
        *(tuple(map(network.index, circle.members)) for circle in layout.circles),
        everybody,
        (0, 18),
        (3, 9),
    )
    assert layout.everybody == len(layout.circles) == 3
    assert layout.model.mean.shape == (2, network.n + len(layout.groups))
    assert all(len(circle) <= 0.8 * network.n for circle in layout.circles)


def test_at_most_45_circles_are_asked_about():
    """Of very many circles, the 45 largest may be asked about, and the names of the others are still known."""
    triples = [f"{k:03d}{letter}" for k in range(60) for letter in "xyz"]
    ties = [(one, other) for one in triples for other in triples if one < other and one[:3] == other[:3]]
    layout = layout_of(build_ego_network("me", triples, ties))
    assert len(layout.circles) == 45
    assert len(layout.circle_names) > 45


@given(st.permutations([(0, 7), (1, 2, 18), tuple(range(6)), tuple(range(19))]), st.integers(0, 4))
@settings(max_examples=20)
def test_a_layout_fits_the_groups_it_was_made_for(groups, count):
    """A layout is kept for the groups it was made for, in any order and with standard ones among them, and for no others."""
    network = clubs()
    layout = layout_of(network, groups[:count])
    assert layout.fits(groups[:count][::-1])
    assert layout.fits([*groups[:count], layout.groups[0]])
    assert not layout.fits([*groups[:count], (4, 5, 18)])
    if {(0, 7), (1, 2, 18)} & set(groups[:count]):
        assert not layout.fits([])


@pytest.mark.parametrize("n", [0, 1, 2])
def test_tiny_networks(n):
    """A layout and a policy exist for no friend, one, and two; an audience needs two."""
    network = build_ego_network("me", FRIENDS[:n], [])
    layout = layout_of(network)
    assert (layout.everybody is None) == (n < 2)
    assert believe(layout, said(network)).policy().decisions.shape == (2, n)


def test_friends_of_one_name_are_told_apart():
    """A name that several friends have is followed by their ids; a name of its own stands alone."""
    network = clubs({"a0": {"name": "Ann"}, "b0": {"name": "Ann"}, "c0": {"name": "Bo"}, "c1": {"name": "c2"}})
    names = dict(zip(network.friends, layout_of(network).names, strict=True))
    assert [names[friend] for friend in ("a0", "b0", "c0", "a1", "c1", "c2")] == [
        "Ann (a0)",
        "Ann (b0)",
        "Bo",
        "a1",
        "c2 (c1)",
        "c2 (c2)",
    ]
    assert len(set(names.values())) == network.n


def test_who_is_close():
    """Friends are close if they are tied or in one circle; nobody is close to oneself, and a loner to nobody."""
    network = clubs().with_friend("tied", ties=["a0", "b0"])
    close = layout_of(network).close
    at = network.index
    assert close[at("a0"), at("a5")]
    assert close[at("tied"), at("b0")]
    assert not close[at("a1"), at("b1")]
    assert not close[at("loner")].any()
    assert not close.diagonal().any()
    assert (close == close.T).all()
    np.testing.assert_array_equal(layout_of(network).close_to([3, 1]), close[:, [3, 1]])


def test_an_answer_about_the_audience_becomes_its_share():
    """After "half of all friends" and "few", the mean probability over the friends is near the share that was stated."""
    network = clubs()
    layout = layout_of(network)
    everybody = network.friends
    belief = believe(layout, said(network, ("phone", everybody, 0.5, False), ("city", everybody, 0.2, False)))
    assert belief.probability.mean(axis=1) == pytest.approx([0.5, 0.2], abs=0.07)


def test_a_circle_answer_moves_the_circle_most():
    """An answer of "all" about a club raises its members more than anybody else, "none" lowers them more."""
    network = clubs()
    layout = layout_of(network)
    for value, sign in (("all", 1), ("allow", 1), ("none", -1), ("deny", -1)):
        moved = (
            believe(layout, said(network, ("phone", CLUBS["a"], value, False))).probability
            - believe(layout, said(network)).probability
        )
        assert (sign * moved[0, :6]).min() > (sign * moved[0, 6:]).max()


def test_a_group_that_shrank_to_one_friend():
    """An answer about a circle of which one friend is left is an answer about that friend's share, and no error."""
    network = clubs()
    for value in ("none", "some", "most", "all", "allow", "deny", 0.8):
        told = said(network, ("phone", ["a0", "gone", "left"], value, False))
        assert told.groups == ()
        before, after = (believe(layout_of(network), answers).probability[0, 0] for answers in (said(network), told))
        assert (after > before) == (value in ("most", "all", "allow", 0.8))


@given(st.sampled_from(["none", "deny", 0]), st.lists(st.sampled_from(FRIENDS), max_size=8), st.sampled_from([1.0, 5.0, 50.0]))
@settings(max_examples=30)
def test_whoever_is_in_a_closed_group_is_never_allowed_by_inference(value, allowed, cost):
    """After "none", "deny" or "nobody" about a group, only an own allow of the very cell shows the item to a member."""
    network, items = clubs(), tuple(replace(item, cost_ratio=cost) for item in ITEMS)
    closed = network.friends if value == 0 else CLUBS["a"]
    answers = [("phone", closed, value, False), *(("phone", [friend], "allow", True) for friend in allowed)]
    answers += [("city", [friend], "allow", True) for friend in FRIENDS]
    belief = believe(layout_of(network, items=items), said(network, *answers, items=items))
    policy = belief.policy()
    for friend in set(closed) - set(allowed):
        assert policy.decision("phone", friend) is not Decision.ALLOW
    assert (belief.granted <= belief.probability).all()
    assert (belief.granted[belief.said.closed] <= threshold(cost)).all()
    assert (belief.granted == belief.probability)[~belief.said.closed].all()


def test_what_is_closed_is_never_granted_by_inference():
    """However likely the model thinks it, a closed cell has less than a half, and an open one its probability."""
    network = clubs()
    answers = said(network, ("phone", FRIENDS, "allow", True), ("city", FRIENDS[:-1], "allow", True))
    closed = np.zeros(answers.closed.shape, bool)
    closed[1] = True
    untold = replace(answers, stated=np.zeros_like(answers.stated), closed=closed)
    belief = believe(layout_of(network, answers.groups), untold)
    assert belief.probability.max(axis=1).min() > threshold(ITEMS[1].cost_ratio)
    assert belief.granted[1].max() < 0.5
    assert (belief.granted[0] == belief.probability[0]).all()
    policy = belief.policy()
    assert policy.allowed("phone")
    assert not policy.allowed("city")


def test_doubt_is_zero_where_the_user_has_said():
    """The probability to be wrong is that of the less likely decision, and zero for cells that the user has set or left open."""
    network = clubs()
    belief = believe(layout_of(network), said(network, ("phone", ["a0"], "deny", True), ("phone", ["a1"], "unsure", True)))
    assert belief.doubt[0, :2].tolist() == [0, 0]
    assert belief.doubt[0, 2] == min(belief.probability[0, 2], 1 - belief.probability[0, 2])
    assert (belief.doubt <= 0.5).all()


def test_a_classic_classifier_starts_from_the_rate_of_the_prior():
    """Without answers a classic classifier predicts one rate per item for everybody; its posterior and reasons are none."""
    network = clubs()
    belief = believe_classic(layout_of(network), said(network), item_predictor(classic_classifier("tree", 0)))
    assert np.ptp(belief.probability, axis=1).tolist() == [0, 0]
    assert belief.posterior is None
    assert {cell.reason.kind for cell in belief.policy()} == {"prior"}


def test_a_classic_classifier_learns_circles():
    """Two answers from each of two clubs teach a decision tree the rest of the clubs."""
    network = clubs()
    answers = [("phone", [friend], "allow", True) for friend in CLUBS["a"][:2]]
    answers += [("phone", [friend], "deny", True) for friend in CLUBS["b"][:2]]
    probability = believe_classic(
        layout_of(network), said(network, *answers), item_predictor(classic_classifier("tree", 0))
    ).probability[0]
    assert probability[:6].min() > 0.5 > probability[6:12].max()
