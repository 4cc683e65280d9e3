"""Simulated policies follow their specification: same draws, same matrices, and sensible limits."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privwiz.errors import DataError, UnknownFriend, UnknownItem
from privwiz.graphs import build_ego_network
from privwiz.items import CATALOGUE
from privwiz.regimes import BUILD_REGIMES, REGIMES, Regime
from privwiz.simulate import sample_answers, simulate_policy
from privwiz.snap import read_snap_circles, read_snap_ego_network, snap_egos

ITEMS = [item.id for item in CATALOGUE]
PURE = Regime(name="pure", index=9, cell_spread=0.0, denied_people=0.0, allowed_people=0.0, slip=0.0)
"""Only circles decide: no exceptions, no slips."""


def fixed_network():
    """Return 40 friends in a ring of chords, with attributes, and three overlapping circles."""
    names = [f"f{k:02}" for k in range(40)]
    ties = [(names[k], names[(k * k + step) % 40]) for k in range(30) for step in (1, 2, 5)]
    profiles = {
        name: {"gender": "f" if k % 3 else "m", "school": ["A", "B"][k % 2], "employer": "Mill" if k < 9 else (), "last_name": ()}
        for k, name in enumerate(names)
    }
    network = build_ego_network("ego", names, ties, profiles, {"school": "A", "employer": "Mill"})
    return network, [names[:9], names[6:20], names[18:30]]


@st.composite
def networks(draw):
    """Draw a small network with a school for some friends, and circles among the friends."""
    names = [f"f{k}" for k in range(draw(st.integers(0, 9)))]
    if not names:
        return build_ego_network("ego", [], []), []
    pick = st.sampled_from(names)
    ties = draw(st.lists(st.tuples(pick, pick), max_size=20))
    profiles = draw(
        st.dictionaries(pick, st.fixed_dictionaries({"school": st.sampled_from("AB"), "gender": st.sampled_from("fm")}))
    )
    circles = draw(st.lists(st.lists(pick, max_size=5), max_size=4))
    return build_ego_network("ego", names, ties, profiles, {"school": "A"}), circles


def fingerprint(policies):
    """Return a short hash of the matrices of some policies, before and after exceptions."""
    digest = hashlib.sha256()
    for policy in policies:
        digest.update(np.packbits(policy.allow).tobytes() + np.packbits(policy.clean).tobytes())
    return digest.hexdigest()[:16]


def test_fixed_network_gives_the_known_matrices():
    """The draws and their order are part of the specification: these hashes are those of its first implementation."""
    network, circles = fixed_network()
    found = {name: fingerprint(simulate_policy(network, circles, name, seed) for seed in range(20)) for name in BUILD_REGIMES}
    assert found == {
        "circle": "44bb45adfba00feb",
        "mixed": "c598145cee21944d",
        "noisy": "c1ec4cb44d3350a6",
        "idio": "bcd4ca663e78d7f9",
        "cohesive": "e09221e08e80d7ab",
    }


def test_real_networks_give_the_known_matrices(ego_facebook):
    """On ten real networks, five regimes and two seeds each, every matrix is that of the first implementation."""
    policies = (
        simulate_policy(read_snap_ego_network(ego_facebook, ego), read_snap_circles(ego_facebook, ego), regime, seed)
        for ego in snap_egos(ego_facebook)
        for regime in BUILD_REGIMES
        for seed in (0, 1)
    )
    assert fingerprint(policies) == "d704eb4c2dd7685b"


@settings(max_examples=50)
@given(networks(), st.sampled_from(sorted(REGIMES)), st.integers(0, 99))
def test_what_is_narrower_is_never_shown_alone(drawn, regime, seed):
    """Before exceptions, who may see the phone number, year of birth or address may see e-mail, birthday or city."""
    rows = dict(zip(ITEMS, simulate_policy(*drawn, regime, seed).clean, strict=True))
    for narrow, wide in (("phone", "email"), ("birth_year", "birthday"), ("address", "city")):
        assert (rows[narrow] <= rows[wide]).all()


@settings(max_examples=50)
@given(networks(), st.integers(0, 99))
def test_members_of_the_same_circles_are_treated_alike(drawn, seed):
    """Without rules, exceptions and slips, two friends in exactly the same circles of two or more get the same decisions."""
    network, circles = drawn
    policy = simulate_policy(network, circles, PURE, seed)
    real = [circle for circle in map(set, circles) if len(circle) >= 2]
    groups = {}
    for friend, decisions in zip(policy.friends, policy.allow.T.tolist(), strict=True):
        groups.setdefault(tuple(friend in circle for circle in real), []).append(decisions)
    assert all(decisions == alike[0] for alike in groups.values() for decisions in alike)


@settings(max_examples=50)
@given(networks(), st.sampled_from(sorted(REGIMES)), st.permutations(ITEMS))
def test_items_select_rows(drawn, regime, items):
    """Asking for some items, in any order, returns their rows of the whole matrix."""
    some = items[:5]
    whole, part = simulate_policy(*drawn, regime), simulate_policy(*drawn, regime, items=some)
    rows = [ITEMS.index(item) for item in some]
    assert [item.id for item in part.items] == some
    assert (part.allow == whole.allow[rows]).all()
    assert (part.clean == whole.clean[rows]).all()


def test_a_friend_in_no_circle_joins_the_nearest_when_filled():
    """With ``fill``, who is in no circle is treated like the circle that most of its ties lead to."""
    inside, outside = ["a", "b", "c"], ["x", "y", "z"]
    ties = [("new", "a"), ("new", "b"), ("new", "x"), ("a", "b"), ("x", "y")]
    network = build_ego_network("ego", [*inside, *outside, "new", "alone"], ties)
    for seed in range(20):
        policy = simulate_policy(network, [inside, outside], replace(PURE, fill=True), seed)
        column = dict(zip(policy.friends, policy.allow.T.tolist(), strict=True))
        assert column["new"] == column["a"]


def test_regimes_users_and_seeds_draw_independently():
    """Another seed, another regime or another user gives another policy; the same arguments give the same."""
    network, circles = fixed_network()
    other = build_ego_network("other", network.friends, [])
    variants = [
        simulate_policy(network, circles, "mixed", 0),
        simulate_policy(network, circles, "mixed", 1),
        simulate_policy(network, circles, "noisy", 0),
        simulate_policy(other, [], "mixed", 0),
    ]
    assert len({policy.allow.tobytes() for policy in variants}) == len(variants)
    assert (variants[0].allow == simulate_policy(network, circles).allow).all()


def test_every_item_and_friend_is_decided():
    """The cells are every item of the catalogue for every friend, as the read-only matrix says."""
    network, circles = fixed_network()
    policy = simulate_policy(network, circles)
    cells = {(item, friend): decision for item, friend, decision in policy.cells()}
    assert len(cells) == policy.allow.size == 12 * 40
    assert cells["phone", "f07"] == ("allow" if policy.allow[ITEMS.index("phone"), 7] else "deny")
    assert not policy.allow.flags.writeable
    assert not policy.clean.flags.writeable


@pytest.mark.parametrize("seed", range(5))
def test_no_circle_decides_in_the_stress_regime(seed):
    """Under stress, other circles, or none, change nothing."""
    network, circles = fixed_network()
    policy = simulate_policy(network, circles, "stress", seed)
    assert fingerprint([policy]) == fingerprint([simulate_policy(network, [], "stress", seed)])
    assert fingerprint([policy]) == fingerprint([simulate_policy(network, [circle[1:] for circle in circles], "stress", seed)])


@pytest.mark.parametrize("regime", REGIMES)
def test_a_user_without_friends_has_an_empty_policy(regime):
    """No friends and no circles are legal."""
    policy = simulate_policy(build_ego_network("ego", [], []), [], regime)
    assert policy.allow.shape == (12, 0)
    assert sample_answers(policy, 10) == ()


def test_answers_are_cells_of_the_policy():
    """The answers are true, about the wanted number of different friends for each item, and the same for the same seed."""
    policy = simulate_policy(*fixed_network())
    answers = sample_answers(policy, 10, seed=3)
    assert set(answers) <= set(policy.cells())
    assert [sum(item == wanted for item, *_ in answers) for wanted in ITEMS] == [10] * 12
    assert len(set(answers)) == 120
    assert answers == sample_answers(policy, 10, seed=3) != sample_answers(policy, 10, seed=4)
    assert sorted(sample_answers(policy, 99)) == sorted(policy.cells())


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"circles": [["f01", "bob"]]}, UnknownFriend, "'bob' is not a friend in this network"),
        ({"regime": "calm"}, DataError, "'calm' is not a regime; the regimes are circle, mixed, noisy, idio, cohesive"),
        ({"items": ["phone", "shoe"]}, UnknownItem, "'shoe' is not one of the profile items"),
        ({"items": ["phone", "phone"]}, DataError, "profile items named twice: phone"),
        ({"seed": -1}, DataError, "seed is -1; it must be 0 or more"),
    ],
)
def test_wrong_arguments_are_named(arguments, error, message):
    """A wrong argument raises an error that names it."""
    network, _ = fixed_network()
    with pytest.raises(error, match=message):
        simulate_policy(network, **{"circles": [], **arguments})


def test_answers_need_a_number():
    """Negative numbers of answers and negative seeds are refused."""
    policy = simulate_policy(*fixed_network())
    with pytest.raises(DataError, match="per_item is -1 and seed is 0"):
        sample_answers(policy, -1)
    with pytest.raises(DataError, match="per_item is 1 and seed is -2"):
        sample_answers(policy, 1, seed=-2)
