from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr, ndtri

from privwiz import Decision, ProfileItem, Wizard
from privwiz.answers import AUDIENCE_SHARES, CIRCLE_CUTS
from privwiz.asking import LEAST_GAIN, STRATEGIES, ask
from privwiz.decisions import threshold
from privwiz.graphs import build_ego_network
from privwiz.posterior import PROBIT_VARIANCE, predict
from privwiz.screens import KINDS, MAX_TOGGLES

CLUBS = {club: [f"{club}{k}" for k in range(5)] for club in "abc"}
FRIENDS = [friend for members in CLUBS.values() for friend in members]
TIES = [(one, other) for members in CLUBS.values() for one in members for other in members if one < other]
NETWORK = build_ego_network("me", FRIENDS, TIES)
QUESTIONS = ("circle", "circles", "item", "friend", "cell")


def asked(wizard, kinds=QUESTIONS, strategy="expected-error", least_gain=0.0, seed=0, items=None):
    """Ask about all items of a wizard, as it would itself."""
    positions = range(len(wizard.items)) if items is None else items
    return ask(wizard.belief(), kinds, positions, strategy, least_gain, len(wizard.log), seed)


def wizard_groups(wizard):
    """Return the members of every group that a wizard may ask about."""
    return [circle.members for circle in wizard.belief().layout.circles]


def taught(items=("phone", "city"), classifier="gp"):
    """Return a wizard that knows that one club sees all and another nothing."""
    wizard = Wizard(NETWORK, items=items, classifier=classifier)
    for item in wizard.items:
        wizard.label(item.id, CLUBS["a"][:2], "allow")
        wizard.label(item.id, CLUBS["b"][:2], "deny")
    return wizard


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_audience_comes_first(strategy):
    """Where the audience may be asked and was not, it is the next screen, by every strategy and whatever has to pay."""
    assert asked(taught(), KINDS, strategy, least_gain=np.inf).kind == "audience"


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_has_its_shape(kind):
    """Audience, circle and friend screens ask one group about all items, item screens one item about circles, others several."""
    screen = asked(taught(), {kind})
    items, groups = {toggle.item for toggle in screen.toggles}, {toggle.friends for toggle in screen.toggles}
    circles = {tuple(members) for members in CLUBS.values()}
    assert screen.kind == kind
    match kind:
        case "audience":
            assert (items, groups) == ({"phone", "city"}, {NETWORK.friends})
        case "circle":
            assert items == {"phone", "city"}
            assert len(groups) == 1
            assert groups <= circles
        case "circles":
            assert 2 <= len(groups) <= 4
            assert groups <= set(wizard_groups(taught()))
        case "item":
            assert len(items) == 1
            assert groups == circles
        case "friend":
            assert items == {"phone", "city"}
            assert len(groups) == 1
            assert len(min(groups)) == 1
        case "cell":
            assert len(screen.toggles) == 1
            assert len(min(groups)) == 1


@given(st.floats(0, 3), st.sets(st.sampled_from(QUESTIONS), min_size=1))
@settings(max_examples=30)
def test_a_screen_pays(least_gain, kinds):
    """A screen sets right at least ``least_gain`` cells per unit of effort, or there is none."""
    screen = asked(taught(), kinds, least_gain=least_gain)
    assert screen is None or screen.gain >= least_gain * screen.effort


@given(st.floats(0, 2))
@settings(max_examples=20)
def test_no_screen_that_pays_is_missed(least_gain):
    """Of all screens that pay the one with the largest gain is taken, even when one with a larger gain does not pay."""
    wizard = taught(["phone"])
    alone = [asked(wizard, {kind}, least_gain=least_gain) for kind in QUESTIONS]
    gains = [screen.gain for screen in alone if screen is not None]
    best = asked(wizard, QUESTIONS, least_gain=least_gain)
    assert (best is None) == (not gains)
    assert best is None or best.gain == pytest.approx(max(gains), rel=1e-4)


def test_the_default_stops():
    """Once everything but one club is known for sure, no question about it is worth more than the taps it saves."""
    wizard = Wizard(NETWORK, items=["phone"])
    wizard.label("phone", FRIENDS[:-1], "deny")
    assert asked(wizard, least_gain=LEAST_GAIN) is None
    assert asked(wizard, least_gain=0) is not None


def test_uncertainty_takes_the_cell_most_in_doubt():
    """Uncertainty sampling asks about the cell whose probability is nearest to one half."""
    wizard = taught()
    toggle = asked(wizard, {"cell"}, "uncertainty").toggles[0]
    belief = wizard.belief()
    assert min(toggle.probability, 1 - toggle.probability) == belief.doubt.max()


@pytest.mark.parametrize("classifier", ["gp", "tree"])
def test_random_takes_any(classifier):
    """The random strategy takes different friends for different seeds, also with a classic classifier."""
    wizard = taught(classifier=classifier)
    assert len({asked(wizard, {"friend"}, "random", seed=seed).toggles[0].friends for seed in range(20)}) > 5


@pytest.mark.parametrize(("classifier", "strategy"), [("gp", "uncertainty"), ("gp", "random"), ("tree", "expected-error")])
def test_those_that_know_no_gain_ask_on(classifier, strategy):
    """The baselines and the classic classifiers ask as long as there is anything to ask, whatever has to pay."""
    assert asked(taught(classifier=classifier), {"cell"}, strategy, least_gain=np.inf) is not None


def test_equal_states_ask_equally():
    """The next screen depends on belief, position and seed alone."""
    assert asked(taught()) == asked(taught())


def test_of_very_many_items_all_are_asked_in_the_end():
    """Of 60 items, 24 are weighed at a time; the audience of each is asked all the same, in screens of at most 12."""
    wizard = Wizard(NETWORK, items=[f"thing{k}" for k in range(60)])
    seen = []
    while (screen := asked(wizard, {"audience"})) is not None:
        assert len(screen.toggles) <= 12
        seen += [toggle.item for toggle in screen.toggles]
        wizard.skip(screen)
    assert sorted(seen) == sorted(item.id for item in wizard.items)


def test_screens_of_several_circles_go_through_all_groups():
    """Such screens ask about at most four groups, one after the other, until all was asked, and nothing twice.

    Groups on one screen that share somebody are not asked about for the same item.
    """
    wizard, seen = taught(["phone", "city"]), []
    while (screen := asked(wizard, {"circles"})) is not None:
        shown = [(toggle.item, toggle.friends) for toggle in screen.toggles]
        groups = list(dict.fromkeys(friends for _, friends in shown))
        assert len(groups) <= 4
        assert shown == sorted(shown, key=lambda cell: groups.index(cell[1]))
        assert screen.kind == "circles"
        friends = Counter((item, friend) for item, group in shown for friend in group)
        assert set(friends.values()) == {1}
        seen += shown
        wizard.answer(screen, [toggle.guess for toggle in screen.toggles])
    assert len(seen) == len(set(seen))
    assert set(seen) == {(item, group) for item in ("phone", "city") for group in wizard_groups(wizard)}


@given(st.lists(st.sampled_from(["none", "some", "most", "all", "unsure", None]), min_size=1, max_size=12), st.integers(0, 99))
@settings(max_examples=8)
def test_ten_screens_of_several_circles(answers, seed):
    """Whatever is answered, each of ten such screens has at most 12 toggles about 4 groups, and no toggle comes twice."""
    wizard, seen = Wizard(NETWORK, seed=seed), set()
    for _ in range(10):
        screen = wizard.next_screen({"circles"}, least_gain=0)
        if screen is None:
            assert len(seen) == len(wizard_groups(wizard)) * len(wizard.items)
            break
        shown = {(toggle.item, toggle.friends) for toggle in screen.toggles}
        assert len({friends for _, friends in shown}) <= 4
        assert len(shown) == len(screen.toggles) <= MAX_TOGGLES
        assert not shown & seen
        seen |= shown
        wizard.answer(screen, [answers[k % len(answers)] for k in range(len(screen.toggles))])


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_asks_about_several_circles(strategy):
    """All strategies take a screen of several circles where nothing else is allowed, the same each time."""
    screen = asked(taught(), {"circles"}, strategy)
    assert screen.kind == "circles"
    assert asked(taught(), {"circles"}, strategy) == screen


def test_where_there_is_no_group_no_screen_is_about_several():
    """Without a circle or another group of three, there is no screen of several circles, while friends can be asked about."""
    wizard = Wizard(build_ego_network("me", ["a", "b"], [("a", "b")]), items=["phone"])
    assert asked(wizard, {"circles"}) is None
    assert asked(wizard, {"friend"}) is not None


def test_only_the_items_asked_for_appear():
    """A screen is about the items that were named, in the order of the wizard."""
    wizard = taught(["phone", "city", "work"])
    assert [toggle.item for toggle in asked(wizard, {"friend"}, items=[0, 2]).toggles] == ["phone", "work"]


answers_about_a_group = st.sampled_from(["none", "some", "most", "all", "allow", "deny", "unsure", None])
costs = st.sampled_from([1.0, 2.0, 5.0, 20.0])


@st.composite
def beliefs(draw):
    """Draw a wizard after some screens and labels, with items of different cost."""
    items = [ProfileItem(name, 0.5, name, name, draw(costs)) for name in ("phone", "city")]
    wizard = Wizard(NETWORK, items=items, seed=draw(st.integers(0, 5)))
    if draw(st.booleans()):
        screen = wizard.next_screen()
        wizard.answer(screen, draw(st.lists(st.sampled_from([0, 0.2, 0.5, 0.8, 1, None]), min_size=2, max_size=2)))
    for kind in draw(st.lists(st.sampled_from(["circle", "item"]), max_size=2)):
        screen = wizard.next_screen({kind}, least_gain=0)
        if screen is not None:
            wizard.answer(screen, [draw(answers_about_a_group) for _ in screen.toggles])
    for friend in draw(st.lists(st.sampled_from(FRIENDS), max_size=5)):
        wizard.label(draw(st.sampled_from(["phone", "city"])), friend, draw(st.sampled_from(["allow", "deny", "unsure"])))
    return wizard


@given(beliefs(), st.sampled_from(KINDS))
@settings(max_examples=60)
def test_guesses_are_legal_and_sure_ones_safe(wizard, kind):
    """A guess is one of the choices; a sure allow is above the threshold of its cost, and the policy would allow it."""
    screen = asked(wizard, {kind})
    if screen is None:
        return
    policy = wizard.policy()
    for toggle in screen.toggles:
        assert toggle.read(toggle.guess) == toggle.guess
        assert toggle.likeliest in (toggle.choices or AUDIENCE_SHARES)
        assert 0 <= toggle.probability <= 1
        if len(toggle.friends) == 1:
            assert toggle.guess == toggle.likeliest == ("allow" if toggle.probability >= 0.5 else "deny")
            decision = policy.decision(toggle.item, toggle.friends[0])
            stated = policy[toggle.item, toggle.friends[0]].reason.kind in ("own", "unsure")
            assert stated or toggle.sure == (decision is not Decision.ASK)
            assert stated or (toggle.sure and toggle.guess == "allow") == (decision is Decision.ALLOW)
            if toggle.sure and toggle.guess == "allow":
                assert toggle.probability > threshold(toggle.profile_item.cost_ratio)
        elif toggle.sure and toggle.guess in ("most", "all", 0.8, 1.0):
            assert toggle.probability >= 0.5


def test_a_guess_about_a_group_is_sure_only_if_that_is_certain_enough():
    """Any guess but "none" is sure only where the share reaches that level with the certainty of the item's threshold."""
    for value in (None, "allow"):
        wizard = Wizard(NETWORK, items=["phone"])
        if value:
            wizard.label("phone", [friend for friend in FRIENDS if friend != "a0"], value)
        belief = wizard.belief()
        mean, variance = (part[0, 0] for part in predict(belief.layout.model, belief.posterior, np.array([NETWORK.n])))
        toggles = {toggle.friends: toggle for toggle in asked(wizard, {"item"}).toggles}
        toggle = toggles[tuple(NETWORK.friends[i] for i in belief.layout.groups[0])]
        level = toggle.choices.index(toggle.guess)
        scale = np.sqrt(PROBIT_VARIANCE + belief.layout.spread[NETWORK.n] ** 2)
        reached = ndtr((mean - scale * ndtri(CIRCLE_CUTS[level - 1])) / np.sqrt(variance)) if level else 1.0
        if value:
            assert toggle.guess in ("most", "all")
        assert toggle.sure == (level == 0 or reached > threshold(5))
    likely = Wizard(NETWORK, items=[ProfileItem("city", 0.25, "city", "城市", 50.0)])
    likely.answer(likely.next_screen(), ["most"])
    toggles = asked(likely, {"item"}).toggles
    assert {toggle.guess for toggle in toggles} <= {"most", "all"}
    assert not any(toggle.sure for toggle in toggles)


def test_before_any_answer_the_likeliest_differs_from_item_to_item():
    """As long as all is open the expected audience is "half" for every item; the likeliest follows what people usually say."""
    toggles = {toggle.item: toggle for toggle in Wizard(NETWORK).next_screen().toggles}
    assert {toggle.guess for toggle in toggles.values()} == {0.5}
    assert {toggles[item].likeliest for item in ("phone", "address")} <= {"nobody", "few"}
    assert {toggles[item].likeliest for item in ("city", "work")} <= {"most", "everybody"}


def test_a_closed_group_is_never_presented_as_sure_to_be_allowed():
    """A toggle about a group presets nothing while one in it is kept out by an answer about another group."""
    wizard = Wizard(NETWORK, items=["phone"])
    wizard.label("phone", FRIENDS, "allow")
    belief = wizard.belief()
    assert all(toggle.sure for toggle in asked(wizard, {"item"}).toggles)
    closed = np.zeros_like(belief.said.closed)
    closed[0, NETWORK.index("b3")] = True
    shut = replace(belief, said=replace(belief.said, closed=closed))
    screen = ask(shut, {"item"}, [0], "expected-error", 0.0, 0, 0)
    assert {toggle.friends[0][0]: toggle.sure for toggle in screen.toggles} == {"a": True, "b": False, "c": True}


def test_a_closed_friend_is_never_presented_as_sure_to_be_allowed():
    """After "none" about a circle, a toggle about one of its members presets no allow, however many others are allowed."""
    wizard = Wizard(NETWORK, items=[ProfileItem("phone", 0.5, "phone", "电话", 1.0)])
    screen = wizard.next_screen({"circle"}, least_gain=0)
    wizard.answer(screen, ["none"])
    closed = set(screen.toggles[0].friends)
    wizard.label("phone", [friend for friend in FRIENDS if friend not in closed], "allow")
    wizard.label("phone", sorted(closed)[:4], "allow")
    last = max(closed)
    shown = [wizard.next_screen({"friend"}, least_gain=0)]
    while shown[-1] is not None and shown[-1].toggles[0].friends != (last,):
        wizard.skip(shown[-1])
        shown.append(wizard.next_screen({"friend"}, least_gain=0))
    toggle = shown[-1].toggles[0]
    assert toggle.friends == (last,)
    assert not (toggle.sure and toggle.guess == "allow")
