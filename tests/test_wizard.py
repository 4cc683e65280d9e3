import json
import pickle
from collections import Counter
from dataclasses import replace

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import RandomForestClassifier
from sklearn.svm import LinearSVC

from privwiz import CATALOGUE, Circle, DataError, Decision, Prior, UnknownFriend, UnknownItem, Wizard, find_circles
from privwiz.answers import AUDIENCE_SHARES
from privwiz.graphs import build_ego_network, ego_network
from privwiz.prior import MOST_SCALE, MOST_WEIGHT
from privwiz.screens import KINDS, MAX_TOGGLES

CLUBS = {club: [f"{club}{k}" for k in range(6)] for club in "abc"}
FRIENDS = [friend for members in CLUBS.values() for friend in members]
TIES = [(one, other) for members in CLUBS.values() for one in members for other in members if one < other]
NETWORK = build_ego_network("me", FRIENDS, TIES)
OTHER = find_circles(build_ego_network("me", ["x"], []))
TWO = ["phone", "city"]
CHOICES = "nobody, few, half, most, everybody, allow, deny, unsure, or a share 0..1, or None"


def guesses(screen):
    """Confirm every toggle as it is."""
    return [toggle.guess for toggle in screen.toggles]


def circle_of(wizard, friend):
    """Return the smallest circle of a friend."""
    return min(wizard.circles.of(friend), key=len)


# A full run


@pytest.mark.parametrize("answering", ["confirm", "skip", "unsure", "words"])
def test_no_toggle_is_shown_twice(answering):
    """Over 40 screens of all kinds no toggle comes twice, whether screens are confirmed, skipped or answered "unsure"."""
    friends = [f"{club}{k}" for club in "abcdef" for k in range(8)]
    ties = [(one, other) for one in friends for other in friends if one < other and one[0] == other[0]]
    wizard, seen = Wizard(build_ego_network("me", friends, ties), seed=1), Counter()
    for number in range(40):
        screen = wizard.next_screen(KINDS, least_gain=0)
        assert (number == 0) == (screen.kind == "audience")
        assert 1 <= len(screen.toggles) <= MAX_TOGGLES
        seen.update((toggle.item, frozenset(toggle.friends)) for toggle in screen.toggles)
        match answering:
            case "confirm":
                wizard.answer(screen, guesses(screen))
            case "skip":
                wizard.skip(screen)
            case "unsure":
                wizard.answer(screen, ["unsure"] * len(screen.toggles))
            case "words":
                wizard.answer(screen, ["few" if not toggle.choices else "deny" for toggle in screen.toggles])
    assert set(seen.values()) == {1}
    assert wizard.progress().screens == 40


@pytest.mark.parametrize("kind", KINDS)
def test_filters(kind):
    """A screen asked for by kind and items has this kind and only these items."""
    wizard = Wizard(NETWORK)
    screen = wizard.next_screen({kind}, ["city", "phone"], least_gain=0)
    assert screen.kind == kind
    assert {toggle.item for toggle in screen.toggles} <= {"phone", "city"}


def test_asking_changes_nothing():
    """The next screen is the same however often it is asked for, and whatever else was asked for in between."""
    wizard = Wizard(NETWORK, items=TWO)
    first = wizard.next_screen()
    wizard.next_screen({"cell"}, least_gain=0)
    wizard.policy()
    assert wizard.next_screen() == first
    assert wizard.log == ()


@pytest.mark.parametrize("n", [0, 1, 2, 3, 5])
def test_it_ends_when_all_is_asked(n):
    """With ``least_gain=0`` the wizard asks until every cell was asked or set, and then says None."""
    network = build_ego_network("me", FRIENDS[:n], [tie for tie in TIES if set(tie) <= set(FRIENDS[:n])])
    wizard = Wizard(network, items=TWO)
    screens = 0
    while (screen := wizard.next_screen(KINDS, least_gain=0)) is not None:
        screens += 1
        wizard.answer(screen, guesses(screen))
    assert screens <= 4 * (n + 2)
    assert (wizard.belief().said.stated != 0).all()
    progress = wizard.progress()
    assert (progress.decided, progress.cells, progress.expected_wrong) == (2 * n, 2 * n, 0)


def test_it_ends_when_more_would_not_pay():
    """By default the wizard stops by itself, long before everything is asked, when its screens are confirmed as they are."""
    wizard = Wizard(NETWORK, items=TWO)
    screens = 0
    while (screen := wizard.next_screen()) is not None:
        screens += 1
        wizard.answer(screen, guesses(screen))
    assert screens < 10
    assert wizard.next_screen(least_gain=0) is not None


def test_progress():
    """Progress counts screens left behind, cells decided, and what is expected to be wrong; undo takes it back."""
    wizard = Wizard(NETWORK, items=TWO)
    before = wizard.progress()
    assert (before.screens, before.cells) == (0, 36)
    wizard.answer(wizard.next_screen(), ["nobody", "nobody"])
    after = wizard.progress()
    assert after.screens == 1
    assert after.expected_wrong < before.expected_wrong
    assert after.decided == 36
    wizard.label("phone", "a0", "unsure")
    assert wizard.progress().screens == 1
    assert wizard.progress().decided == 35
    wizard.undo()
    wizard.undo()
    assert wizard.progress() == before


# Answers


def test_out_of_date_screens_are_refused():
    """A screen is refused once something else was answered, set or undone, or a friend on it was removed."""
    message = "this screen is out of date: an answer or the network changed after it was made; ask for the next screen"
    for change in (
        lambda wizard, screen: wizard.answer(screen, ["few", "few"]),
        lambda wizard, _: wizard.label("phone", "a0", "deny"),
        lambda wizard, _: wizard.remove_friend("a0"),
        lambda wizard, _: (wizard.label("phone", "a0", "deny"), wizard.undo()),
    ):
        wizard = Wizard(NETWORK, items=TWO)
        screen = wizard.next_screen()
        change(wizard, screen)
        log = wizard.log
        with pytest.raises(DataError) as refused:
            wizard.answer(screen, ["most", "most"])
        assert str(refused.value) == message
        assert wizard.log == log


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        (["few"], "answers needed: 2, one for each toggle; given: 1; None says nothing"),
        (["few", "few", None], "answers needed: 2, one for each toggle; given: 3; None says nothing"),
        ("few", "answers are the text 'few'; give a list, such as ['few']"),
        (["few", "all"], f"answer 'all' about 'city' is not one of the choices: {CHOICES}"),
        ([1.5, None], f"answer 1.5 about 'phone' is not one of the choices: {CHOICES}"),
    ],
)
def test_bad_answers_leave_no_trace(answers, message):
    """Too few or too many answers and illegal ones are refused with the way out, and nothing is recorded."""
    wizard = Wizard(NETWORK, items=TWO)
    screen = wizard.next_screen()
    with pytest.raises(DataError) as refused:
        wizard.answer(screen, answers)
    assert str(refused.value) == message
    assert wizard.log == ()
    assert wizard.next_screen() == screen


def test_a_screen_of_another_wizard():
    """A screen about items that this wizard does not protect is refused."""
    with pytest.raises(UnknownItem, match="'phone' is not one of the profile items; the items are city"):
        Wizard(NETWORK, items=["city"]).skip(Wizard(NETWORK, items=["phone"]).next_screen())


@pytest.mark.parametrize(("word", "share"), AUDIENCE_SHARES.items())
def test_words_and_shares(word, share):
    """A word about the audience and the share it stands for give the same policy."""
    by_word, by_share = Wizard(NETWORK, items=TWO), Wizard(NETWORK, items=TWO)
    by_word.answer(by_word.next_screen(), [word, None])
    by_share.answer(by_share.next_screen(), [share, None])
    assert by_word.policy().to_json() == by_share.policy().to_json()


def test_yes_and_no_about_a_circle():
    """A circle takes allow and deny for most of it: its members move up and down, and nothing is set for any of them."""
    for answer, direction in (("allow", 1), ("deny", -1)):
        wizard = Wizard(NETWORK, items=TWO)
        before = wizard.policy().probability
        screen = wizard.next_screen({"circle"}, least_gain=0)
        wizard.answer(screen, [answer, None])
        members = [NETWORK.index(friend) for friend in screen.toggles[0].friends]
        assert (direction * (wizard.policy().probability - before)[0, members] > 0).all()
        assert not wizard.policy().stated.any()


def test_labels():
    """A label holds for a friend, several friends, or everybody in a circle; "ask" is "unsure" and stays hidden."""
    wizard = Wizard(NETWORK, items=TWO)
    circle = circle_of(wizard, "a0")
    wizard.label("phone", circle, Decision.DENY)
    wizard.label("city", ["b0", "b1", "b0"], "allow")
    wizard.label("city", "c0", Decision.ASK)
    policy = wizard.policy()
    assert {policy.decision("phone", friend) for friend in circle.members} == {Decision.DENY}
    assert policy.allowed("city")[:2] == ("b0", "b1")
    assert wizard.log[1].answers[0].friends == ("b0", "b1")
    assert policy["city", "c0"].decision is Decision.ASK
    assert policy["city", "c0"].reason.kind == "unsure"
    assert policy.stated[1, NETWORK.index("b2")] == 0


@pytest.mark.parametrize(
    ("item", "friend", "decision", "error", "message"),
    [
        ("shoe", "a0", "deny", UnknownItem, "'shoe' is not one of the profile items; the items are phone, city"),
        (
            "phone",
            "zed",
            "deny",
            UnknownFriend,
            "'zed' is not a friend in this network; add the friend first or correct the name",
        ),
        ("phone", ["a0", "zed"], "deny", UnknownFriend, "'zed' is not a friend"),
        ("phone", Circle("c1", 0, ("a0", "x"), "X", "X"), "deny", UnknownFriend, "'x' is not a friend"),
        ("phone", "a0", "maybe", DataError, "answer 'maybe' about 'phone' is not known; use one of allow, deny, unsure"),
        ("phone", "a0", "most", DataError, "answer 'most' about 'phone' is not known; use one of allow, deny, unsure"),
        ("phone", [], "deny", DataError, "an answer about 'phone' must be about at least one friend"),
    ],
)
def test_bad_labels_leave_no_trace(item, friend, decision, error, message):
    """A label of an unknown item, friend or decision is refused with the way out, and nothing is recorded."""
    wizard = Wizard(NETWORK, items=TWO)
    with pytest.raises(error, match=message):
        wizard.label(item, friend, decision)
    assert wizard.log == ()


def test_undo():
    """Undo retracts screens and labels, the last first, returns what it retracted, and has nothing to do on an empty log."""
    wizard = Wizard(NETWORK, items=TWO)
    assert wizard.undo() is None
    screen = wizard.next_screen()
    wizard.answer(screen, ["few", "most"])
    wizard.label("phone", "a0", "allow")
    assert wizard.undo().kind == "label"
    assert wizard.undo().kind == "audience"
    assert wizard.undo() is None
    assert [entry.kind for entry in wizard.log] == ["audience", "label", "undo", "undo"]
    assert replace(wizard.next_screen(), position=0) == screen


# Arguments


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"items": "phone"}, "items are the text 'phone'; give a list, such as ['phone']"),
        ({"items": []}, "no profile items; name at least one, such as 'phone'"),
        ({"items": ["phone", "phone"]}, "profile items named twice: phone"),
        ({"seed": -1}, "seed -1 cannot be used; give a whole number from 0 up"),
        ({"seed": True}, "seed True cannot be used; give a whole number from 0 up"),
        ({"seed": 1.5}, "seed 1.5 cannot be used; give a whole number from 0 up"),
        ({"strategy": "best"}, "strategy 'best' is not known; choose one of expected-error, random, uncertainty"),
        ({"circles": OTHER}, "the circles are of other friends than the network; find the circles of this network"),
    ],
)
def test_bad_arguments(arguments, message):
    """Items, seeds, strategies and circles that cannot be used are refused with the way out."""
    with pytest.raises(DataError) as refused:
        Wizard(NETWORK, **arguments)
    assert str(refused.value) == message


@pytest.mark.parametrize("classifier", ["svm", 7, LinearSVC()], ids=["name", "number", "without probabilities"])
def test_bad_classifiers(classifier):
    """A classifier that is not known, or gives no probabilities, is refused before anything is asked."""
    with pytest.raises(DataError):
        Wizard(NETWORK, classifier=classifier)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"kinds": "cell"}, DataError, r"kinds are the text 'cell'; give a list, such as \['cell'\]"),
        ({"kinds": []}, DataError, r"kinds \[\] cannot be used; choose from audience, circle, circles, item, friend, cell"),
        ({"kinds": {"cell", "group"}}, DataError, r"kinds \['cell', 'group'\] cannot be used; choose from"),
        ({"items": "phone"}, DataError, r"items are the text 'phone'; give a list, such as \['phone'\]"),
        ({"items": []}, DataError, "no items to ask about; name at least one, or leave `items` out"),
        ({"items": ["shoe"]}, UnknownItem, "'shoe' is not one of the profile items; the items are phone, city"),
    ],
)
def test_bad_filters(arguments, error, message):
    """Kinds and items that cannot be asked about are refused with the way out."""
    with pytest.raises(error, match=message):
        Wizard(NETWORK, items=TWO).next_screen(**arguments)


def test_an_item_named_twice_is_asked_once():
    """Naming an item twice in the filter does not show its toggle twice."""
    assert len(Wizard(NETWORK, items=TWO).next_screen(items=["phone", "phone"]).toggles) == 1


# Safety

cells = st.tuples(st.sampled_from(TWO), st.sampled_from(FRIENDS))
decisions = st.sampled_from(["allow", "deny", "unsure"])
steps = st.lists(st.one_of(cells, st.sampled_from(["audience", "circle", "item", "friend", "cell"])), max_size=8)


def walk(wizard, drawn, data, spare=()):
    """Take steps at random: own choices, and answers to screens; nothing is said of the single cells to ``spare``."""
    for step in drawn:
        if isinstance(step, tuple):
            if step not in spare:
                wizard.label(*step, data.draw(decisions))
            continue
        screen = wizard.next_screen({step}, least_gain=0)
        if screen is None:
            continue
        answers = []
        for toggle in screen.toggles:
            legal = toggle.choices or tuple(AUDIENCE_SHARES)
            own = len(toggle.friends) == 1 and (toggle.item, toggle.friends[0]) in spare
            answers.append(None if own else data.draw(st.sampled_from([*legal, "unsure", None])))
        wizard.answer(screen, answers)


@given(cells, steps, st.data())
@settings(max_examples=30)
def test_own_choices_stand(cell, drawn, data):
    """Whatever else is answered later, a cell that the user has denied, allowed or left open stays so, by the user's word."""
    for said, expected, kind in (
        ("deny", Decision.DENY, "own"),
        ("unsure", Decision.ASK, "unsure"),
        ("allow", Decision.ALLOW, "own"),
    ):
        wizard = Wizard(NETWORK, items=TWO)
        wizard.label(*cell, said)
        walk(wizard, drawn, data, spare={cell})
        assert wizard.policy()[cell].decision is expected
        assert wizard.policy()[cell].reason.kind == kind


@given(st.sampled_from(["audience", "circle"]), st.lists(cells, max_size=12), st.data())
@settings(max_examples=20)
def test_nobody_means_nobody(kind, drawn, data):
    """After "nobody" or "none" about a group, choices about single cells allow only those very cells in it."""
    wizard = Wizard(NETWORK, items=TWO)
    screen = wizard.next_screen({kind}, least_gain=0)
    wizard.answer(screen, ["nobody" if kind == "audience" else "none", None])
    own = set()
    for cell in drawn:
        decision = data.draw(decisions)
        wizard.label(*cell, decision)
        own = own | {cell} if decision == "allow" else own - {cell}
    policy = wizard.policy()
    closed = set(screen.toggles[0].friends)
    assert closed & set(policy.allowed("phone")) == closed & {friend for item, friend in own if item == "phone"}


def test_nobody_in_a_circle_outlives_everybody():
    """Who is in a circle of which nobody may see the item is not shown it because "everybody" may, or all of a larger circle."""
    wizard = Wizard(NETWORK, items=["phone"])
    circle = circle_of(wizard, "a0")
    screen = wizard.next_screen({"circle"}, least_gain=0)
    while set(screen.toggles[0].friends) != set(circle.members):
        wizard.answer(screen, ["all"])
        screen = wizard.next_screen({"circle"}, least_gain=0)
    wizard.answer(screen, ["none"])
    wizard.answer(wizard.next_screen({"audience"}), ["everybody"])
    assert not set(wizard.policy().allowed("phone")) & set(circle.members)
    assert wizard.policy()["phone", "a0"].reason.kind == "circle"


@given(steps, cells, decisions, st.data())
@settings(max_examples=30)
def test_undo_restores_the_policy_to_the_bit(drawn, cell, decision, data):
    """After undo the policy is what it was, in every bit, also when what was undone was about a group never heard of before."""
    wizard = Wizard(NETWORK, items=TWO)
    walk(wizard, drawn, data)
    before, screen = wizard.policy(), wizard.next_screen(least_gain=0)
    item, friend = cell
    group = data.draw(st.sampled_from([friend, [friend, "a0", "b3", "c5"], circle_of(wizard, friend)]))
    wizard.label(item, group, decision)
    wizard.policy()
    wizard.undo()
    after = wizard.policy()
    assert np.array_equal(after.probability, before.probability)
    assert np.array_equal(after.stated, before.stated)
    assert after.to_json() == before.to_json()
    assert (screen is None) == (wizard.next_screen(least_gain=0) is None)


@given(st.lists(st.sampled_from([1.0, 2.0, 5.0, 30.0]), min_size=2, max_size=2), steps, st.data())
@settings(max_examples=20)
def test_a_higher_cost_adds_no_allow(costs, drawn, data):
    """With equal answers, a wrong allow that costs more never shows an item to more friends."""
    wizard = Wizard(NETWORK, items=TWO)
    walk(wizard, drawn, data)
    shown = []
    document = json.loads(wizard.to_json())
    for cost in sorted(costs):
        for item in document["items"]:
            item["cost_ratio"] = cost
        shown.append(Wizard.from_json(json.dumps(document), NETWORK).policy().shown)
    assert not (shown[1] & ~shown[0]).any()


# Friends who come and go


def test_adding_a_friend():
    """A new friend gets a suggestion for every item and joins the circles of its ties; what was set for others stays set."""
    wizard = Wizard(NETWORK)
    wizard.answer(wizard.next_screen(), ["half"] * 12)
    wizard.label("phone", CLUBS["a"], "allow")
    wizard.label("phone", CLUBS["b"], "deny")
    stated = wizard.policy().stated
    suggestions = wizard.add_friend("new", ties=["a0", "a1", "a2", "a3"], profile={"school": "PKU"})
    assert list(suggestions) == [item.id for item in CATALOGUE]
    assert suggestions == {item.id: wizard.policy()[item.id, "new"] for item in CATALOGUE}
    assert all(cell.friend == "new" and cell.reason.text("zh") for cell in suggestions.values())
    assert {circle.id for circle in wizard.circles.of("new")} & {circle.id for circle in wizard.circles.of("a0")}
    stranger = wizard.add_friend("stranger")
    assert suggestions["phone"].probability > stranger["phone"].probability
    others = [wizard.network.index(friend) for friend in FRIENDS]
    assert np.array_equal(wizard.policy().stated[:, others], stated)


@pytest.mark.parametrize("word", AUDIENCE_SHARES)
@pytest.mark.parametrize("teach", [None, "allow"])
def test_a_stranger_is_never_allowed(word, teach):
    """A new friend without ties and profile is shown nothing before the user says so, even if everybody may see everything."""
    wizard = Wizard(NETWORK)
    wizard.answer(wizard.next_screen(), [word] * 12)
    if teach:
        for item in wizard.items:
            wizard.label(item.id, FRIENDS, teach)
    assert Decision.ALLOW not in {cell.decision for cell in wizard.add_friend("stranger").values()}


def test_the_audience_is_not_asked_again_for_one_more_friend():
    """A friend more does not bring back the questions about all friends."""
    wizard = Wizard(NETWORK, items=TWO)
    wizard.answer(wizard.next_screen(), ["few", "most"])
    wizard.add_friend("new", ties=["a0"])
    assert wizard.next_screen({"audience"}) is None
    assert wizard.next_screen(least_gain=0).kind != "audience"


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("a0",), DataError),
        (("me",), DataError),
        (("",), DataError),
        (("new", ["nobody"]), UnknownFriend),
        (("new", "a0"), DataError),
    ],
)
def test_a_friend_that_cannot_be_added_changes_nothing(arguments, error):
    """A friend already there, the user, an empty name and unknown ties are refused, and nothing changes."""
    wizard = Wizard(NETWORK, items=TWO)
    before = wizard.policy(), wizard.network, wizard.circles
    with pytest.raises(error):
        wizard.add_friend(*arguments)
    assert wizard.network is before[1]
    assert wizard.circles is before[2]
    assert wizard.policy().to_json() == before[0].to_json()


def test_removing_a_friend_and_adding_it_again():
    """A friend who left is in no policy; when it comes back, the user's own word about it counts again."""
    wizard = Wizard(NETWORK, items=TWO)
    wizard.label("phone", ["a0", "a1"], "deny")
    wizard.label("city", "a0", "allow")
    wizard.remove_friend("a0")
    policy = wizard.policy()
    assert "a0" not in policy.friends
    assert policy.decision("phone", "a1") is Decision.DENY
    with pytest.raises(UnknownFriend):
        wizard.label("phone", "a0", "deny")
    suggestions = wizard.add_friend("a0", ties=CLUBS["a"][1:])
    assert suggestions["phone"].decision is Decision.DENY
    assert suggestions["city"].decision is Decision.ALLOW
    assert wizard.network.friends == NETWORK.friends


def test_removing_somebody_unknown():
    """Only a friend can be removed; otherwise nothing changes."""
    wizard = Wizard(NETWORK, items=TWO)
    with pytest.raises(UnknownFriend, match="'zed' is not a friend"):
        wizard.remove_friend("zed")
    assert wizard.network is NETWORK


@pytest.mark.parametrize("answer", ["none", "some", "most", "all", "allow", "deny"])
def test_a_circle_that_loses_its_members(answer):
    """An answer about a circle outlives all but one, and then all, of its members."""
    wizard = Wizard(NETWORK, items=TWO)
    screen = wizard.next_screen({"circle"}, least_gain=0)
    wizard.answer(screen, [answer, answer])
    for friend in screen.toggles[0].friends:
        wizard.remove_friend(friend)
        assert len(wizard.policy()) == 2 * wizard.network.n
        assert all(cell.reason.text() for cell in wizard.policy())
        wizard.next_screen(KINDS, least_gain=0)


def test_friends_can_all_leave():
    """A user may lose every friend, and gain one again."""
    wizard = Wizard(build_ego_network("me", ["x", "y"], [("x", "y")]), items=TWO)
    wizard.answer(wizard.next_screen(), ["few", "most"])
    wizard.remove_friend("x")
    wizard.remove_friend("y")
    assert len(wizard.policy()) == 0
    assert wizard.next_screen() is None
    assert set(wizard.add_friend("z")) == set(TWO)


def test_circles_can_be_found_again():
    """Finding the circles anew keeps the ids of those that are still there, and every answer."""
    wizard = Wizard(NETWORK, items=TWO)
    wizard.label("phone", "a0", "deny")
    for number in range(4):
        wizard.add_friend(f"new{number}", ties=[f"new{other}" for other in range(number)])
    before = {(circle.level, circle.members): circle.id for circle in wizard.circles}
    wizard.find_circles_again()
    assert tuple(f"new{number}" for number in range(4)) in {circle.members for circle in wizard.circles}
    after = {(circle.level, circle.members): circle.id for circle in wizard.circles}
    assert all(before[key] == after[key] for key in before.keys() & after.keys())
    assert wizard.policy().decision("phone", "a0") is Decision.DENY


# Strategies and classifiers


@pytest.mark.parametrize("strategy", ["random", "uncertainty"])
def test_baseline_strategies(strategy):
    """The baselines ask screens of any kind, never twice the same, and give a full policy."""
    wizard, seen = Wizard(NETWORK, items=TWO, strategy=strategy), Counter()
    for _ in range(12):
        screen = wizard.next_screen()
        seen.update((toggle.item, toggle.friends) for toggle in screen.toggles)
        wizard.answer(screen, guesses(screen))
    assert set(seen.values()) == {1}
    assert len(list(wizard.policy())) == 36


@pytest.mark.parametrize("strategy", ["expected-error", "random", "uncertainty"])
@pytest.mark.parametrize(
    "classifier",
    ["tree", "logistic", "naive-bayes", "knn", "forest", RandomForestClassifier(n_estimators=5, random_state=0)],
    ids=["tree", "logistic", "naive-bayes", "knn", "forest", "own"],
)
def test_classic_classifiers(classifier, strategy):
    """Behind the same wizard a classic classifier asks about friends and cells only, and gives a full policy with reasons."""
    wizard = Wizard(NETWORK, items=TWO, classifier=classifier, strategy=strategy)
    assert wizard.next_screen({"audience", "circle", "item"}) is None
    for kinds in (None, {"friend"}, {"cell"}, KINDS, None):
        screen = wizard.next_screen(kinds)
        assert screen.kind in ("friend", "cell")
        club = screen.toggles[0].friends[0][0]
        wizard.answer(screen, ["allow" if club == "a" else "deny"] * len(screen.toggles))
    policy = wizard.policy()
    assert len(policy) == 36
    assert {cell.reason.kind for cell in policy} == {"own", "prior"}
    assert np.isfinite(policy.probability).all()


def test_a_classifier_of_the_users_own_learns():
    """A classifier of the caller's own predicts the rest of a club from answers about some, and is itself left untouched."""
    own = RandomForestClassifier(n_estimators=20, random_state=0)
    wizard = Wizard(NETWORK, items=TWO, classifier=own)
    wizard.label("phone", CLUBS["a"][:4], "allow")
    wizard.label("phone", CLUBS["b"][:4], "deny")
    probability = dict(zip(NETWORK.friends, wizard.policy().probabilities("phone"), strict=True))
    assert probability["a5"] > 0.5 > probability["b5"]
    assert not hasattr(own, "estimators_")


# Unusual networks


def test_no_ties_and_no_profiles():
    """Friends who do not know each other and tell nothing make no circle; audience, friends and cells can still be asked."""
    wizard = Wizard(build_ego_network("me", FRIENDS, []), items=TWO)
    assert len(wizard.circles) == 0
    kinds = {wizard.next_screen({kind}, least_gain=0).kind for kind in ("audience", "friend", "cell")}
    assert kinds == {"audience", "friend", "cell"}
    assert wizard.next_screen({"circle", "item"}, least_gain=0) is None
    assert len(list(wizard.policy())) == 36


@pytest.mark.parametrize("count", [1, 13, 300])
def test_one_item_and_very_many(count):
    """One item or hundreds: no screen has more than 12 toggles, and the policy is full."""
    wizard = Wizard(NETWORK, items=[f"thing {number}" for number in range(count)])
    assert len(wizard.next_screen().toggles) == min(count, MAX_TOGGLES)
    for _ in range(3):
        screen = wizard.next_screen(KINDS, least_gain=0)
        assert len(screen.toggles) <= MAX_TOGGLES
        wizard.answer(screen, guesses(screen))
    assert wizard.policy().decisions.shape == (count, 18)


def test_names_of_any_script():
    """Names in any script, with braces, quotes and percent signs, come through questions, reasons and JSON as they are."""
    friends = ["阿强", "Zoë", "{item}", 'a"b', "%s", "👩‍👧"]
    ties = [(one, other) for one in friends for other in friends if one < other]
    network = build_ego_network("我", friends, ties)
    wizard = Wizard(network, items=["phone", "住址"])
    wizard.label("phone", "阿强", "deny")
    texts = []
    while (screen := wizard.next_screen(KINDS, least_gain=0)) is not None:
        texts += [toggle.text(language) for toggle in screen.toggles for language in ("en", "zh")]
        wizard.skip(screen)
    for friend in friends[1:]:
        assert any(f"May {friend} see your phone number?" == text for text in texts)
    assert Wizard.from_json(wizard.to_json(), network).policy().to_json() == wizard.policy().to_json()


def test_friends_of_one_name_are_asked_about_unmistakably():
    """Two friends of one name are told apart by their ids in questions and reasons."""
    names = {"a0": {"name": "Ann"}, "a1": {"name": "Ann"}, "a2": {"name": "Bo"}}
    wizard = Wizard(build_ego_network("me", FRIENDS, TIES, names), items=["phone"])
    texts = set()
    while (screen := wizard.next_screen({"cell"}, least_gain=0)) is not None:
        texts.add(screen.toggles[0].text())
        wizard.skip(screen)
    assert len(texts) == len(FRIENDS)
    assert {
        "May Ann (a0) see your phone number?",
        "May Ann (a1) see your phone number?",
        "May Bo see your phone number?",
    } <= texts
    wizard.label("phone", "a0", "deny")
    assert wizard.policy()["phone", "a1"].reason.text() == "You hid your phone number from Ann (a0), close to Ann (a1)."


def test_a_prior_that_knows_nothing():
    """With a flat prior every cell is a coin before the first answer, and answers teach all the same."""
    wizard = Wizard(NETWORK, items=TWO, prior=Prior.flat())
    assert set(wizard.policy().probability.ravel()) == {0.5}
    wizard.label("phone", CLUBS["a"][:3], "deny")
    assert wizard.policy()["phone", "a5"].decision is Decision.DENY


def test_a_prior_of_absurd_numbers_is_refused_in_words():
    """Where the numbers of a prior, each legal, together leave nothing that can be computed with, asking says what to do."""
    prior = Prior.default()
    absurd = replace(
        prior, weights=np.full_like(prior.weights, MOST_WEIGHT), scales=replace(prior.scales, mean=MOST_SCALE, trust=MOST_SCALE)
    )
    with pytest.raises(DataError, match=r"^the numbers of the prior are too large to compute with; train it again, with smaller"):
        Wizard(NETWORK, prior=absurd).next_screen(KINDS)


def test_what_is_not_a_network_a_prior_or_an_id_is_refused_in_words():
    """A graph for a network, a path for a prior and a number for a friend's id each give an error that says what to give."""
    network = ego_network(nx.karate_club_graph(), 0)
    with pytest.raises(DataError, match=r"the network is a Graph; make an EgoNetwork of it with ego_network\(graph, user\)"):
        Wizard(nx.karate_club_graph(), items=["phone"])
    with pytest.raises(DataError, match=r"the prior is a str; give what Prior\.load or Prior\.default returns"):
        Wizard(network, items=["phone"], prior="prior.json")
    with pytest.raises(UnknownFriend, match="1 is not a friend in this network; ids are texts here, such as '1'"):
        Wizard(network, items=["phone"]).label("phone", 1, "deny")


def test_a_wizard_can_be_pickled_at_any_time():
    """Before and after it has computed something, a wizard survives pickling, as a cache or another process needs it."""
    wizard = Wizard(NETWORK, TWO)
    for _ in range(2):
        back = pickle.loads(pickle.dumps(wizard))  # noqa: S301 - our own bytes
        assert back.policy().to_json() == wizard.policy().to_json()
        assert back.to_json() == wizard.to_json()
        wizard.label("phone", FRIENDS[0], "allow")
        wizard.policy()


def test_a_fork_shares_what_was_computed():
    """Nothing is computed again for a fork before it goes its own way."""
    wizard = Wizard(NETWORK, TWO)
    assert wizard.belief() is wizard.fork().belief()


def test_a_fork_goes_its_own_way():
    """What is said to a fork changes nothing in the wizard it was forked from; replaying it there gives the same policy."""
    network = ego_network(nx.karate_club_graph(), 0)
    wizard = Wizard(network, items=["phone"])
    before = wizard.policy().to_json()
    fork = wizard.fork()
    fork.label("phone", network.friends[0], "allow")
    assert wizard.policy().to_json() == before
    wizard.replay(fork.log)
    assert wizard.policy().to_json() == fork.policy().to_json() != before


def test_a_log_from_elsewhere_gives_the_same_policy():
    """A wizard that is made with a log is the wizard that heard it."""
    network = ego_network(nx.karate_club_graph(), 0)
    wizard = Wizard(network, items=["phone"])
    wizard.answer(wizard.next_screen(), ["few"])
    again = Wizard(network, items=["phone"], log=wizard.log)
    assert again.log == wizard.log
    assert again.policy().to_json() == wizard.policy().to_json()
