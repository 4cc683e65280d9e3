import copy
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privwiz.errors import DataError, UnknownFriend, UnknownItem
from privwiz.items import ProfileItem, profile_items
from privwiz.policy import STATED, Decision, Policy, Suggestion
from privwiz.reasons import Reason

ALLOW, DENY, ASK = Decision.ALLOW, Decision.DENY, Decision.ASK

names = st.text(min_size=1, max_size=8)


def first_guesses(items, friends):
    """Return the reasons of a model that knows nothing."""
    return lambda item, friend: Reason("prior", items[item], friends[friend])


def make(probability, stated=None, friends=None, items=("phone", "email"), reasons=None):
    """Return a policy of alice for the first of these items and friends named f0, f1, ..."""
    probability = np.array(probability, dtype=float)
    known = profile_items(items[: len(probability)])
    who = friends or tuple(f"f{i}" for i in range(probability.shape[1]))
    said = np.zeros(probability.shape, dtype=np.int8) if stated is None else np.array(stated)
    return Policy("alice", known, who, probability, said, reasons or first_guesses(known, who))


@st.composite
def policies(draw):
    """Draw a policy with any names, costs, probabilities and answers."""
    ids = draw(st.lists(names, min_size=1, max_size=3, unique=True))
    items = tuple(ProfileItem(i, 0.5, i, i, draw(st.sampled_from([1.0, 3.0, 5.0, 10.0]))) for i in ids)
    friends = tuple(draw(st.lists(names, max_size=5, unique=True)))
    shape = (len(items), len(friends))
    size = shape[0] * shape[1]
    chances = st.floats(0, 1) | st.sampled_from([0.5, 0.75, 5 / 6, 10 / 11])
    probability = np.array(draw(st.lists(chances, min_size=size, max_size=size))).reshape(shape)
    stated = np.array(draw(st.lists(st.sampled_from([0, 0, 1, -1, 2]), min_size=size, max_size=size)), dtype=np.int8)
    return Policy(draw(names), items, friends, probability, stated.reshape(shape), first_guesses(items, friends))


def test_a_cell_is_a_suggestion_with_its_reason():
    """A cell holds item, friend, decision, probability and reason, as the model gave them."""
    policy = make([[0.9, 0.6, 0.1]])
    assert policy["phone", "f0"] == Suggestion("phone", "f0", ALLOW, 0.9, Reason("prior", policy.items[0], "f0"))
    assert [policy.decision("phone", friend) for friend in policy.friends] == [ALLOW, ASK, DENY]


def test_own_answers_explain_themselves():
    """Where the user spoke, the reason is the user, and the model is not asked."""
    policy = make([[0.1, 0.9, 0.9]], [[1, -1, 2]], reasons=lambda _item, _friend: pytest.fail("asked the model"))
    assert [cell.decision for cell in policy] == [ALLOW, DENY, ASK]
    assert [(cell.reason.kind, cell.reason.answer) for cell in policy] == [("own", "allow"), ("own", "deny"), ("unsure", "")]


def test_reasons_call_friends_by_their_names():
    """Where friends have names, every reason says them: the model's, the user's own, and after a round trip."""
    (phone,) = items = profile_items(["phone"])
    policy = Policy(
        "alice", items, ("u1", "u2"), [[0.9, 0.9]], [[0, 2]], lambda _j, _f: Reason("prior", phone, "Ann"), ("Ann", "Bo")
    )
    for each in (policy, Policy.from_json(policy.to_json()), pickle.loads(pickle.dumps(policy))):  # noqa: S301 - our own bytes
        assert [cell.friend for cell in each] == ["u1", "u2"]
        assert [cell.reason.friend for cell in each] == ["Ann", "Bo"]


def test_reasons_are_found_only_when_they_are_read():
    """Making a policy, and reading decisions and probabilities, finds no reason."""
    policy = make([[0.9]], reasons=lambda _item, _friend: pytest.fail("asked the model"))
    assert policy.view_as("f0") == {"phone": True}
    assert policy.probabilities("phone") == pytest.approx([0.9])
    assert len(policy.table()) == len(policy) == 1


@given(policies())
def test_a_friend_sees_exactly_what_is_allowed(policy):
    """The view of a friend, the list of who is allowed, the mask and the counts all follow from the decisions."""
    for item in policy.items:
        assert set(policy.allowed(item.id)) == {friend for friend in policy.friends if policy.decision(item.id, friend) is ALLOW}
        assert sum(policy.counts(item.id).values()) == len(policy.friends)
        assert policy.counts(item.id)[ALLOW] == len(policy.allowed(item.id))
    for friend in policy.friends:
        view = policy.view_as(friend)
        assert list(view) == [item.id for item in policy.items]
        assert all(view[item.id] is (policy.decision(item.id, friend) is ALLOW) for item in policy.items)
    assert policy.shown.tolist() == [[decision is ALLOW for decision in row] for row in policy.decisions]


@given(policies())
def test_iteration_goes_through_every_cell_once(policy):
    """Iterating gives every cell, item by item in order of friends, equal to asking for it."""
    cells = list(policy)
    assert [(cell.item, cell.friend) for cell in cells] == list(policy.table())
    assert len(cells) == len(policy)
    assert all(policy[cell.item, cell.friend] == cell for cell in cells)
    assert {(cell.item, cell.friend): cell.decision for cell in cells} == policy.table()


@given(policies(), st.floats(1, 1e6))
def test_raising_the_cost_ratio_never_shows_more(policy, factor):
    """With a higher cost of a wrong allow for every item, nobody sees anything new."""
    dearer = tuple(ProfileItem(i.id, i.sensitivity, i.en, i.zh, i.cost_ratio * factor) for i in policy.items)
    other = Policy(policy.ego, dearer, policy.friends, policy.probability, policy.stated, policy.reasons)
    assert not (other.shown & ~policy.shown).any()
    assert policy.diff(other).counts.shown == 0


@given(policies(), st.data())
def test_differences_of_policies_apply_and_invert(policy, data):
    """The difference between two policies turns one's table into the other's, and back."""
    changed = data.draw(st.lists(st.floats(0, 1), min_size=len(policy), max_size=len(policy)))
    probability = np.array(changed).reshape(policy.probability.shape)
    other = Policy(policy.ego, policy.items, policy.friends, probability, policy.stated, policy.reasons)
    diff = policy.diff(other)
    assert diff.apply(policy.table()) == other.table()
    assert diff.inverse().apply(other.table()) == policy.table()
    assert policy.diff(policy).changes == ()


def test_a_new_friend_is_a_change_from_nothing():
    """Policies before and after a friend came differ in that friend's cells, which were not there before."""
    before, after = make([[0.9]]), make([[0.9, 0.6]])
    (change,) = before.diff(after).changes
    assert change == ("phone", "f1", None, ASK)
    assert before.diff(after).inverse().apply(after.table()) == before.table()


def test_policies_of_two_users_are_not_compared():
    """The difference of two users' policies means nothing and is refused."""
    bob = Policy("bob", profile_items(["phone"]), (), np.zeros((1, 0)), np.zeros((1, 0), dtype=int), first_guesses((), ()))
    with pytest.raises(DataError, match="one policy is of 'alice', the other of 'bob'"):
        make([[0.9]]).diff(bob)


@given(policies())
@settings(max_examples=30)
def test_a_policy_survives_pickling_and_copying(policy):
    """A pickled or copied policy is the same, though what found its reasons is a function that cannot be pickled."""
    for again in (pickle.loads(pickle.dumps(policy)), copy.deepcopy(policy)):  # noqa: S301 - our own bytes
        assert list(again) == list(policy)
        assert again.to_json() == policy.to_json()


def test_a_user_without_friends_has_an_empty_policy():
    """No friends is legal: there is nothing to decide, and nothing breaks."""
    policy = make(np.zeros((2, 0)))
    assert list(policy) == []
    assert policy.allowed("phone") == ()
    assert policy.counts("email") == {ALLOW: 0, DENY: 0, ASK: 0}
    assert policy.diff(policy).text() == "Nothing changes."


def test_arrays_are_the_policys_own():
    """Changing the arrays a policy was made from does not change it, and its own cannot be changed."""
    probability, stated = np.array([[0.1]]), np.zeros((1, 1), dtype=np.int64)
    items = profile_items(["phone"])
    policy = Policy("alice", items, ("f0",), probability, stated, first_guesses(items, ("f0",)))
    probability[:] = 1
    stated[:] = 1
    assert policy.decision("phone", "f0") is DENY
    for array in (policy.probability, policy.stated, policy.decisions, policy.shown, policy.probabilities("phone")):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 1


@pytest.mark.parametrize("asked", ["phone", "ab", ("phone",)])
def test_a_policy_is_asked_for_a_cell(asked):
    """An item alone, even of two letters, is no cell; the error says how one is asked for."""
    with pytest.raises(DataError, match=r"is no cell of the policy; ask for policy\[item, friend\]"):
        make([[0.9]])[asked]


def test_unknown_names_are_refused():
    """An item or friend that the policy does not cover is an error that says so, never a silent deny."""
    policy = make([[0.9]])
    for call in (lambda: policy["shoes", "f0"], lambda: policy.allowed("shoes"), lambda: policy.probabilities("shoes")):
        with pytest.raises(UnknownItem, match="'shoes' is not one of the profile items; the items are phone"):
            call()
    for call in (lambda: policy["phone", "eve"], lambda: policy.view_as("eve"), lambda: policy.decision("phone", "eve")):
        with pytest.raises(UnknownFriend, match="'eve' is not a friend in this network"):
            call()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"probability": [[0.5]]}, r"probability has shape \(1, 1\); 1 items and 2 friends need \(1, 2\)"),
        ({"stated": [[0]]}, r"stated has shape \(1, 1\)"),
        ({"probability": [[0.5, float("nan")]]}, "the probability of item 'phone' for friend 'b' is nan; it must lie in 0..1"),
        ({"probability": [[1.0000001, 0.5]]}, "for friend 'a' is 1.0000001; it must lie in 0..1"),
        ({"probability": [[-0.1, 0.5]]}, "for friend 'a' is -0.1"),
        ({"probability": [[float("inf"), 0.5]]}, "for friend 'a' is inf"),
        (
            {"stated": [[0, 3]]},
            r"stated of item 'phone' for friend 'b' is 3; .* 0 \(nothing\), 1 \(allow\), -1 \(deny\), 2 \(not sure\)",
        ),
        ({"stated": [[0, 257]]}, "for friend 'b' is 257"),
        ({"stated": [[0.5, 0]]}, "for friend 'a' is 0.5"),
        ({"friends": ("a", "a")}, "friend 'a' comes twice in the policy of 'alice'; list each friend once"),
        ({"friends": ("a", "")}, "'' is not a name"),
        ({"friends": ("a", 7)}, "7 is not a name"),
        ({"friends": ("a", "\ud800")}, "holds half a character"),
        ({"names": ("Ann",)}, "1 names for 2 friends; give each friend a name, or none at all"),
        ({"ego": ""}, "'' is not a name"),
        ({"items": ()}, "no profile items"),
        ({"items": profile_items(["phone"]) * 2}, "profile items named twice: phone"),
    ],
)
def test_a_policy_that_means_nothing_is_refused(change, message):
    """Wrong shapes, numbers and names are refused with the cell or name that is wrong."""
    items = profile_items(["phone"])
    good = {"ego": "alice", "items": items, "friends": ("a", "b"), "probability": [[0.5, 0.5]], "stated": [[0, 0]]}
    with pytest.raises(DataError, match=message):
        Policy(**good | change, reasons=first_guesses(items, ("a", "b")))


def test_what_was_said_is_documented():
    """The numbers of ``stated`` are fixed: files and other modules rely on them."""
    assert STATED == {"nothing": 0, "allow": 1, "deny": -1, "not sure": 2}
