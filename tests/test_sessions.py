import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from sklearn.ensemble import RandomForestClassifier

from privwiz import DataError, KernelScales, Prior, ProfileItem, Wizard
from privwiz.answers import AUDIENCE_SHARES
from privwiz.corrections import Dismiss, Merge, Rename
from privwiz.graphs import build_ego_network
from privwiz.screens import KINDS
from privwiz.sessions import fingerprint, read_session, write_session

CLUBS = {club: [f"{club}{k}" for k in range(5)] for club in "abc"}
FRIENDS = [friend for members in CLUBS.values() for friend in members]
TIES = [(one, other) for members in CLUBS.values() for one in members for other in members if one < other]
NETWORK = build_ego_network("me", FRIENDS, TIES)
TWO = ["phone", "city"]


def some_wizard(**arguments):
    """Return a wizard that has heard something of every kind."""
    wizard = Wizard(NETWORK, items=TWO, **arguments)
    wizard.answer(wizard.next_screen(), ["few", 0.75])
    wizard.answer(wizard.next_screen({"circle"}, least_gain=0), ["unsure", "most"])
    wizard.label("phone", ["a0", "b0"], "deny")
    wizard.skip(wizard.next_screen({"cell"}, least_gain=0))
    wizard.undo()
    return wizard


class Sessions(RuleBasedStateMachine):
    """At any point of any session, what is saved and restored is the same wizard."""

    def __init__(self):
        """Start a session without answers."""
        super().__init__()
        self.wizard = Wizard(NETWORK, items=TWO, seed=3)
        self.newcomers = 0

    @rule(kind=st.sampled_from(KINDS), data=st.data())
    def answer(self, kind, data):
        """Answer, leave open, or skip the toggles of a screen."""
        screen = self.wizard.next_screen({kind}, least_gain=0)
        if screen is not None:
            legal = [[*(toggle.choices or AUDIENCE_SHARES), "unsure", None] for toggle in screen.toggles]
            self.wizard.answer(screen, [data.draw(st.sampled_from(choices)) for choices in legal])

    @precondition(lambda self: len(self.wizard.circles))
    @rule(kind=st.sampled_from([Rename, Dismiss, Merge]), data=st.data())
    def correct(self, kind, data):
        """Name a circle, say that it is no group, or merge it with another one."""
        first, second = (data.draw(st.sampled_from(list(self.wizard.circles))).id for _ in range(2))
        if kind is Merge and first != second:
            self.wizard.correct(Merge((first, second)))
        else:
            self.wizard.correct(Dismiss(first) if kind is Dismiss else Rename(first, "Work"))

    @precondition(lambda self: self.wizard.network.n)
    @rule(item=st.sampled_from(TWO), decision=st.sampled_from(["allow", "deny", "unsure"]), data=st.data())
    def label(self, item, decision, data):
        """Set one friend, a few friends, or a circle."""
        friends = st.sampled_from(self.wizard.network.friends)
        whom = [friends, st.lists(friends, min_size=1, max_size=4)]
        whom += [st.sampled_from(list(self.wizard.circles))] if len(self.wizard.circles) else []
        self.wizard.label(item, data.draw(st.one_of(whom)), decision)

    @rule()
    def undo(self):
        """Take back the last thing that stands."""
        self.wizard.undo()

    @rule(data=st.data())
    def add_friend(self, data):
        """Add a friend with some ties."""
        ties = (
            data.draw(st.lists(st.sampled_from(self.wizard.network.friends), max_size=4, unique=True))
            if self.wizard.network.n
            else []
        )
        self.newcomers += 1
        self.wizard.add_friend(f"new{self.newcomers}", ties=ties, profile={"school": "PKU"})

    @precondition(lambda self: self.wizard.network.n)
    @rule(data=st.data())
    def remove_friend(self, data):
        """Remove a friend."""
        self.wizard.remove_friend(data.draw(st.sampled_from(self.wizard.network.friends)))

    @rule()
    def look(self):
        """Look at the policy, so that what is computed once is there to be wrong later."""
        self.wizard.policy()

    @rule()
    def go_on_elsewhere(self):
        """Save, restore, and go on with the restored wizard."""
        self.wizard = Wizard.from_json(self.wizard.to_json(), self.wizard.network)

    @invariant()
    def a_restored_wizard_is_the_same(self):
        """It has the same state, in every bit the same policy, and the same next screen."""
        text = self.wizard.to_json()
        again = Wizard.from_json(text, self.wizard.network)
        assert again.to_json() == text
        assert again.log == self.wizard.log
        assert again.circles.circles == self.wizard.circles.circles
        ours, theirs = self.wizard.policy(), again.policy()
        assert np.array_equal(theirs.probability, ours.probability)
        assert np.array_equal(theirs.stated, ours.stated)
        assert theirs.to_json() == ours.to_json()
        assert again.next_screen(KINDS, least_gain=0) == self.wizard.next_screen(KINDS, least_gain=0)


TestSessions = Sessions.TestCase
TestSessions.settings = settings(max_examples=25, stateful_step_count=12, deadline=None)


def test_equal_logs_give_equal_policies():
    """The policy depends on network, answers and prior alone: a new wizard with the same log has the same one, in every bit."""
    one, other = some_wizard(), some_wizard()
    assert np.array_equal(one.policy().probability, other.policy().probability)
    assert one.to_json() == other.to_json()


def test_a_session_comes_back_as_it_was():
    """Reading what was written gives the same session, and equal groups of friends are written once."""
    text = some_wizard().to_json()
    assert write_session(read_session(text)) == text
    groups = json.loads(text)["groups"]
    assert len({tuple(group) for group in groups}) == len(groups)


def test_items_of_ones_own_come_back():
    """Names, sensitivity and cost of items that the caller made are part of what is saved."""
    items = (ProfileItem("shoe", 0.1, "shoe size", "鞋码", 2.5),)
    assert Wizard.from_json(Wizard(NETWORK, items=items).to_json(), NETWORK).items == items


@pytest.mark.parametrize("strategy", ["expected-error", "random", "uncertainty"])
@pytest.mark.parametrize("classifier", ["gp", "tree", "knn"])
def test_strategy_classifier_and_seed_come_back(strategy, classifier):
    """A restored wizard goes on by the same strategy, classifier and seed."""
    wizard = Wizard(NETWORK, items=TWO, seed=11, strategy=strategy, classifier=classifier)
    wizard.label("phone", ["a0", "b0"], "deny")
    wizard.label("phone", ["a1", "c0"], "allow")
    again = Wizard.from_json(wizard.to_json(), NETWORK)
    assert again.to_json() == wizard.to_json()
    assert again.next_screen() == wizard.next_screen()
    assert again.policy().to_json() == wizard.policy().to_json()


def test_a_classifier_of_ones_own_has_to_be_passed_again():
    """A classifier that the caller made is not saved: it is asked for, and with it the policy is the same."""
    own = RandomForestClassifier(n_estimators=5, random_state=0)
    wizard = Wizard(NETWORK, items=TWO, classifier=own)
    wizard.label("phone", CLUBS["a"], "deny")
    wizard.label("phone", CLUBS["b"], "allow")
    with pytest.raises(DataError) as refused:
        Wizard.from_json(wizard.to_json(), NETWORK)
    assert str(refused.value) == "these answers were given with a classifier of your own; pass it again as `classifier`"
    assert Wizard.from_json(wizard.to_json(), NETWORK, classifier=own).policy().to_json() == wizard.policy().to_json()


def test_another_classifier_is_refused():
    """A classifier cannot be slipped under answers that were given with one of the library's own."""
    with pytest.raises(DataError) as refused:
        Wizard.from_json(some_wizard().to_json(), NETWORK, classifier=RandomForestClassifier())
    assert str(refused.value) == "these answers were given with the classifier 'gp'; leave `classifier` out"


def test_friends_who_came_and_went_meanwhile():
    """Restored with a network that has changed, a wizard knows the friends of today, and answers about the others count."""
    wizard = some_wizard()
    today = NETWORK.without_friend("a0").with_friend("zoe", ties=["c0", "c1"])
    again = Wizard.from_json(wizard.to_json(), today)
    policy = again.policy()
    assert policy.friends == today.friends
    assert policy["phone", "b0"].reason.kind == "own"
    assert {circle.id for circle in again.circles.of("b1")} == {circle.id for circle in wizard.circles.of("b1")}
    again.add_friend("a0")
    assert again.policy()["phone", "a0"].reason.kind == "own"


def test_another_user_is_refused():
    """Answers of one user are not applied to another's network."""
    with pytest.raises(DataError) as refused:
        Wizard.from_json(some_wizard().to_json(), replace(NETWORK, ego="you"))
    assert str(refused.value) == "these answers are of user 'me', the network is of 'you'; give that user's network"


def test_another_prior_is_refused():
    """Answers given with one prior are not read with another; the fingerprint tells any two apart."""
    with pytest.raises(DataError) as refused:
        Wizard.from_json(some_wizard().to_json(), NETWORK, Prior.flat())
    assert str(refused.value) == "these answers were given with another prior; pass the same prior as before"
    assert fingerprint(Prior.flat()) != fingerprint(Prior.flat(KernelScales(level=8.5)))
    assert fingerprint(Prior.default()) == fingerprint(Prior.from_json(Prior.default().to_json()))
    flat = some_wizard(prior=Prior.flat())
    assert Wizard.from_json(flat.to_json(), NETWORK, Prior.flat()).policy().to_json() == flat.policy().to_json()


def edited(**changes):
    """Return a saved wizard with some entries replaced."""
    return json.dumps(json.loads(some_wizard().to_json()) | changes)


def without(name):
    """Return a saved wizard without one entry."""
    document = json.loads(some_wizard().to_json())
    del document[name]
    return json.dumps(document)


def with_answer(**changes):
    """Return a saved wizard with its first answer changed."""
    document = json.loads(some_wizard().to_json())
    document["log"][0]["answers"][0] |= changes
    return json.dumps(document)


def with_circles(**changes):
    """Return a saved wizard with its circles changed."""
    document = json.loads(some_wizard().to_json())
    document["circles"] |= changes
    return json.dumps(document)


BROKEN = "the saved wizard is damaged ({}); start again or restore a copy"
DAMAGED = {
    "not JSON": (
        "{",
        (
            "this is not a JSON document (Expecting property name enclosed in double quotes: line 1 column 2 (char 1)); "
            "the file is damaged or cut off: take a whole copy, or make it anew"
        ),
    ),
    "empty": (
        "",
        (
            "this is not a JSON document (Expecting value: line 1 column 1 (char 0)); the file is damaged or cut off: "
            "take a whole copy, or make it anew"
        ),
    ),
    "a list": ("[]", "the document is []; it must be an object"),
    "no format": ("{}", "'format' is missing; it must be a text"),
    "later version": (
        lambda: edited(format="privwiz.wizard/2"),
        ("the format is 'privwiz.wizard/2', but this privwiz reads version 1; export it again from this privwiz"),
    ),
    "a policy": (
        lambda: edited(format="privwiz.policy/1"),
        ("the format is 'privwiz.policy/1'; a document of format 'privwiz.wizard/1' is needed here"),
    ),
    "a key twice": (
        '{"format": "privwiz.wizard/1", "ego": "a", "ego": "b"}',
        ("the key 'ego' comes twice in one object; the file was edited or damaged: take a whole copy, or make it anew"),
    ),
    "no log": (lambda: without("log"), BROKEN.format("KeyError: 'log'")),
    "no groups": (lambda: without("groups"), BROKEN.format("KeyError: 'groups'")),
    "ego is a number": (lambda: edited(ego=7), "ego is 7; it must be a text"),
    "seed is a text": (lambda: edited(seed="0"), "seed is '0'; it must be a whole number"),
    "seed below zero": (lambda: edited(seed=-1), "seed -1 cannot be used; give a whole number from 0 up"),
    "strategy unknown": (
        lambda: edited(strategy="best"),
        ("strategy 'best' is not known; choose one of expected-error, random, uncertainty"),
    ),
    "no items": (lambda: edited(items=[]), "no profile items; name at least one, such as 'phone'"),
    "an item is a text": (
        lambda: edited(items=["phone"]),
        BROKEN.format("TypeError: string indices must be integers, not 'str'"),
    ),
    "an item without cost": (
        lambda: edited(items=[{"id": "phone", "sensitivity": 0.5, "en": "", "zh": ""}]),
        BROKEN.format("KeyError: 'cost_ratio'"),
    ),
    "a cost below one": (
        lambda: edited(items=[{"id": "x", "sensitivity": 0.5, "en": "", "zh": "", "cost_ratio": 0}]),
        "cost ratio of item 'x' is 0.0; it must be a finite number from 1 up",
    ),
    "log is an object": (lambda: edited(log={}), "log is {}; it must be a list"),
    "unknown entry": (
        lambda: edited(log=[{"kind": "poll", "answers": []}]),
        ("the log has an entry of kind 'poll', which this version does not know; use a newer privwiz"),
    ),
    "unknown group": (lambda: with_answer(group=99), BROKEN.format("IndexError: list index out of range")),
    "group below zero": (
        lambda: with_answer(group=-1),
        ("the group of an answer is -1; the saved wizard is damaged, start again or restore a copy"),
    ),
    "empty group": (lambda: edited(groups=[[], [], [], []]), "an answer about 'phone' must be about at least one friend"),
    "friend is a number": (lambda: edited(groups=[[1]]), "a friend is 1; it must be a text"),
    "unknown answer": (
        lambda: with_answer(value="perhaps"),
        ("answer 'perhaps' about 'phone' is not known; use one of allow, deny, none, some, most, all, unsure"),
    ),
    "share above one": (
        lambda: with_answer(value=1.5),
        "answer 1.5 about 'phone': a share must lie in 0..1 and be about a group",
    ),
    "share of a cell": (
        lambda: with_answer(each=True),
        "answer 0.2 about 'phone': a share must lie in 0..1 and be about a group",
    ),
    "answer is true": (lambda: with_answer(value=True), "an answer is True; it must be a number"),
    "each is a number": (lambda: with_answer(each=1), "'each' of an answer is 1; it must be true or false"),
    "circles are a list": (lambda: edited(circles=[]), "circles is []; it must be an object"),
    "circles of another format": (
        lambda: with_circles(format="circles"),
        ("the format of the circles is 'circles'; 'privwiz.circles/2' is needed here, find the circles again"),
    ),
    "circles without friends": (lambda: with_circles(friends=None), "'friends' is missing; it must be a list"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_sessions(name):
    """Whatever is wrong with a saved wizard is said, with what to do."""
    text, message = DAMAGED[name]
    with pytest.raises(DataError) as refused:
        Wizard.from_json(text if isinstance(text, str) else text(), NETWORK)
    assert str(refused.value) == message


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_sessions_cut_off_anywhere(share):
    """A saved wizard that was cut off is refused as such."""
    text = some_wizard().to_json()
    with pytest.raises(DataError, match="this is not a JSON document"):
        Wizard.from_json(text[: int(len(text) * share)], NETWORK)
