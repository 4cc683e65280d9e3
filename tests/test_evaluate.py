import numpy as np
import pytest

from privwiz.classifier import CLASSIC
from privwiz.errors import DataError, UnknownFriend
from privwiz.evaluate import OWN_METHODS, cross_validate
from privwiz.graphs import build_ego_network
from privwiz.items import ProfileItem
from privwiz.metrics import summarise
from privwiz.prior import Prior

FRIENDS = [f"f{number:02}" for number in range(24)]
FAMILY, WORK = FRIENDS[:12], FRIENDS[12:]
NETWORK = build_ego_network(
    "ada", FRIENDS, [(one, other) for group in (FAMILY, WORK) for one in group for other in group if one < other]
)
BY_GROUP = {("phone", friend): "allow" if friend in FAMILY else "deny" for friend in FRIENDS}


def by_chance(items, seed=0):
    """Return answers that are the same for every item, and have nothing to do with the network."""
    allow = np.random.default_rng(seed).permutation(24) < 12
    said = {friend: "allow" if yes else "deny" for friend, yes in zip(FRIENDS, allow.tolist(), strict=True)}
    return {(item, friend): said[friend] for item in items for friend in FRIENDS}


def scores(rows, method):
    """Return the scores of one method."""
    return [row.score for row in rows if row.method == method]


def test_what_follows_the_network_is_predicted():
    """Answers that go by the two groups are predicted from it, and not by what most friends get."""
    rows = cross_validate(NETWORK, BY_GROUP, classifiers=("tree", "logistic"))
    for method in ("privwiz", "no-prior", "tree", "logistic"):
        found = summarise(scores(rows, method))
        assert (found["accuracy"], found["auc"]) == (1, 1)
    assert summarise(scores(rows, "majority"))["accuracy"] <= 0.5


def test_nothing_is_learnt_from_what_is_held_back():
    """Answers by chance are not predicted, though a tree that had seen them would know them all."""
    rows = cross_validate(NETWORK, by_chance(["phone"]), classifiers=("tree", "knn"))
    for method in ("privwiz", "no-prior", "tree", "knn"):
        assert summarise(scores(rows, method))["accuracy"] < 0.65


def test_the_answers_about_a_friend_stay_together():
    """Eight items on which a friend gets the same by chance do not help each other: nothing said of the friend is known."""
    rows = cross_validate(NETWORK, by_chance([f"thing {number}" for number in range(8)]))
    for method in ("privwiz", "no-prior"):
        assert summarise(scores(rows, method))["accuracy"] < 0.65


def test_every_answer_is_held_back_once():
    """Each method and item has one row, over all answers about the item, whether all items are said of a friend or one."""
    said = BY_GROUP | {("city", friend): "allow" for friend in FRIENDS[::2]}
    rows = cross_validate(NETWORK, said, folds=7, classifiers=tuple(CLASSIC))
    assert [(row.method, row.item) for row in rows] == [
        (method, item) for method in (*OWN_METHODS, *CLASSIC) for item in ("phone", "city")
    ]
    assert {(row.user, row.item, row.score.cells) for row in rows} == {("ada", "phone", 24), ("ada", "city", 12)}


def test_the_majority_is_what_the_others_say():
    """With each friend a part of its own, the majority gives each (allow + 1) / (answers + 2) of the others, and ranks nobody."""
    said = {("phone", friend): "deny" if number < 3 else "allow" for number, friend in enumerate(FRIENDS[:10])}
    (score,) = scores(cross_validate(NETWORK, said, folds=10), "majority")
    # 7 allowed: of the 9 others 6 allow; 3 denied: of the 9 others 7 allow
    assert score.brier == pytest.approx(7 * (1 - 7 / 11) ** 2 + 3 * (8 / 11) ** 2)
    assert np.isnan(score.auc)


def test_undecided_and_other_answers_are_passed_over():
    """An "ask", and an answer about an item that is not chosen, are as if they were not there."""
    more = BY_GROUP | dict.fromkeys([("city", friend) for friend in FRIENDS], "ask")
    items = ["phone", "city"]
    assert repr(cross_validate(NETWORK, more, items)) == repr(cross_validate(NETWORK, BY_GROUP, items))
    others = BY_GROUP | {("wall", friend): "allow" for friend in FAMILY}
    assert repr(cross_validate(NETWORK, others, ["phone"])) == repr(cross_validate(NETWORK, BY_GROUP))


def test_an_item_with_few_answers_has_no_row():
    """An item needs as many answers as there are parts."""
    said = BY_GROUP | {("city", friend): "allow" for friend in FRIENDS[:4]}
    assert {row.item for row in cross_validate(NETWORK, said)} == {"phone"}
    assert {row.item for row in cross_validate(NETWORK, said, folds=4)} == {"phone", "city"}


def test_the_seed_deals_the_friends():
    """Equal seeds give equal rows, another seed other ones."""
    said = by_chance(["phone"])
    assert repr(cross_validate(NETWORK, said, seed=1)) == repr(cross_validate(NETWORK, said, seed=1))
    assert repr(cross_validate(NETWORK, said, seed=1)) != repr(cross_validate(NETWORK, said, seed=2))


def test_the_given_prior_is_tried():
    """With the flat prior given, the method with a prior and the one without are the same."""
    rows = cross_validate(NETWORK, by_chance(["phone"]), prior=Prior.flat())
    assert scores(rows, "privwiz") == scores(rows, "no-prior")
    assert scores(cross_validate(NETWORK, by_chance(["phone"])), "privwiz") != scores(rows, "privwiz")


def test_the_cost_ratio_of_the_item_decides_what_is_set():
    """An item where a wrong allow is worse is allowed to fewer by inference."""
    strict = ProfileItem("phone", 0.5, "phone", "电话", cost_ratio=1000)
    rows, careful = cross_validate(NETWORK, BY_GROUP), cross_validate(NETWORK, BY_GROUP, [strict])
    assert scores(rows, "privwiz")[0].set_allow_right > scores(careful, "privwiz")[0].set_allow_right == 0


@pytest.mark.parametrize(
    ("said", "folds", "message"),
    [
        (BY_GROUP, 1, r"1 folds of answers \(allow or deny\) about 24 friends"),
        (BY_GROUP, 25, "25 folds"),
        (dict.fromkeys(BY_GROUP, "ask"), 5, "about 0 friends"),
        ({}, 5, "no profile items"),
        (BY_GROUP | {("phone", "f00"): "perhaps"}, 5, "the answer about 'phone' and 'f00' is 'perhaps'"),
    ],
)
def test_what_cannot_be_held_back_is_refused(said, folds, message):
    """There are at least two parts, a friend for each, and decisions that are some."""
    with pytest.raises(DataError, match=message):
        cross_validate(NETWORK, said, folds=folds)


def test_unknown_names_are_refused():
    """Answers are about friends, and classifiers are known."""
    with pytest.raises(UnknownFriend):
        cross_validate(NETWORK, {("phone", "zoe"): "allow"})
    with pytest.raises(DataError, match="no classifier 'oak'"):
        cross_validate(NETWORK, BY_GROUP, classifiers=["oak"])
