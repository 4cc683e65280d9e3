from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm, truncnorm

from privwiz.answers import (
    AUDIENCE_CUTS,
    AUDIENCE_SHARES,
    CELL_CHOICES,
    CIRCLE_CUTS,
    CIRCLE_SHARES,
    MAJORITY_SLOPE,
    UNSURE,
    Answer,
    Entry,
    evidence,
    observe,
    share_noise,
    standing,
    within_variance,
)
from privwiz.errors import DataError
from privwiz.posterior import PROBIT_VARIANCE

ITEMS = ["phone", "city"]
FRIENDS = ["ann", "bo", "cy", "dee", "eve"]
UNDO = Entry("undo")

groups = st.lists(st.sampled_from(FRIENDS), min_size=1, max_size=5, unique=True).map(tuple)
cell_answers = st.builds(
    Answer, st.sampled_from([*ITEMS, "email"]), groups, st.sampled_from([None, *CELL_CHOICES, UNSURE]), st.just(value=True)
)
group_answers = st.builds(
    Answer,
    st.sampled_from([*ITEMS, "email"]),
    groups,
    st.sampled_from([None, *CELL_CHOICES, *CIRCLE_SHARES, UNSURE]) | st.floats(0, 1),
    st.just(value=False),
)
entries = st.builds(Entry, st.just("circle"), st.lists(cell_answers | group_answers, max_size=4).map(tuple))
logs = st.lists(entries | st.just(UNDO), max_size=12)


def log_of(*answers):
    """Return a log with one entry for each answer (item, friends, value, each)."""
    return [Entry("circle", (Answer(item, tuple(friends), value, each),)) for item, friends, value, each in answers]


def read(*answers, friends=FRIENDS):
    """Return the evidence of such a log."""
    return evidence(log_of(*answers), ITEMS, friends)


def parts(said):
    """Return evidence as values that compare with ``==``."""
    return said.stated.tolist(), said.closed.tolist(), said.answers, said.shown


def closed(*answers, friends=FRIENDS):
    """Return who is closed to the phone number."""
    return {friend for friend, shut in zip(friends, read(*answers, friends=friends).closed[0], strict=True) if shut}


@pytest.mark.parametrize(
    ("value", "each", "message"),
    [
        ("perhaps", False, "answer 'perhaps' about 'phone' is not known; use one of allow, deny, none, some, most, all, unsure"),
        ("perhaps", True, "answer 'perhaps' about 'phone' is not known; use one of allow, deny, unsure"),
        ("most", True, "answer 'most' about 'phone' is not known; use one of allow, deny, unsure"),
        ("", True, "answer '' about 'phone' is not known; use one of allow, deny, unsure"),
        (True, False, "answer True about 'phone' is not known; use one of allow, deny, none, some, most, all, unsure"),
        (True, True, "answer True about 'phone' is not known; use one of allow, deny, unsure"),
        ([], True, "answer [] about 'phone' is not known; use one of allow, deny, unsure"),
        (1.5, False, "answer 1.5 about 'phone': a share must lie in 0..1 and be about a group"),
        (-0.1, False, "answer -0.1 about 'phone': a share must lie in 0..1 and be about a group"),
        (float("nan"), False, "answer nan about 'phone': a share must lie in 0..1 and be about a group"),
        (0.5, True, "answer 0.5 about 'phone': a share must lie in 0..1 and be about a group"),
    ],
)
def test_an_answer_that_cannot_be_is_refused(value, each, message):
    """An answer is refused with its value, its item, and what can be said instead."""
    with pytest.raises(DataError) as error:
        Answer("phone", ("ann",), value, each)
    assert str(error.value) == message


def test_an_answer_about_nobody_is_refused():
    """An answer is about at least one friend."""
    with pytest.raises(DataError, match=r"^an answer about 'phone' must be about at least one friend$"):
        Answer("phone", (), "allow", each=True)


@pytest.mark.parametrize("value", [None, "allow", "deny", "none", "some", "most", "all", "unsure", 0, 0.3, 1])
def test_what_can_be_said_of_a_group(value):
    """A group takes the words of a cell, of a circle, a share, and nothing."""
    assert Answer("phone", ("ann", "bo"), value, each=False).value == value


@given(logs, entries)
def test_undo_retracts_the_last_standing_entry(log, entry):
    """A new entry followed by an undo leaves what stood; an undo alone takes exactly the last that stands, if there is one."""
    kept = standing(log)
    assert standing([*log, entry]) == (*kept, entry)
    assert standing([*log, entry, UNDO]) == kept
    assert standing([*log, UNDO]) == kept[:-1]


@given(logs)
def test_what_stands_stands(log):
    """What stands contains no undo, is found again in itself, and is all that evidence is made of."""
    kept = standing(log)
    assert UNDO not in kept
    assert standing(kept) == kept
    assert parts(evidence(log, ITEMS, FRIENDS)) == parts(evidence(kept, ITEMS, FRIENDS))


@given(logs, entries)
def test_undo_restores_all_that_was_known(log, entry):
    """After an answer and its undo, the evidence is what it was."""
    assert parts(evidence([*log, entry, UNDO], ITEMS, FRIENDS)) == parts(evidence(log, ITEMS, FRIENDS))


@given(logs, st.permutations(FRIENDS), st.data())
def test_the_order_of_friends_does_not_matter(log, order, data):
    """Friends listed in another order, in the network and in each answer, give the same evidence in other positions."""
    shuffled = [
        Entry(
            entry.kind,
            tuple(Answer(one.item, tuple(data.draw(st.permutations(one.friends))), one.value, one.each) for one in entry.answers),
        )
        for entry in log
    ]
    said, other = evidence(log, ITEMS, FRIENDS), evidence(shuffled, ITEMS, order)
    at = [order.index(friend) for friend in FRIENDS]
    np.testing.assert_array_equal(said.stated, other.stated[:, at])
    np.testing.assert_array_equal(said.closed, other.closed[:, at])

    def moved(members):
        return tuple(sorted(at[i] for i in members))

    assert tuple((j, moved(members), value, each) for j, members, value, each in said.answers) == other.answers
    assert {(j, moved(members)) for j, members in said.shown} == other.shown


@given(logs, st.sets(st.sampled_from(FRIENDS), max_size=4))
def test_friends_who_left_drop_out(log, gone):
    """Without some friends the evidence is that of a log that never named them, but that leaving opens and closes nothing."""
    left = [friend for friend in FRIENDS if friend not in gone]

    def without(entry):
        named = [(one, kept) for one in entry.answers if (kept := tuple(friend for friend in one.friends if friend not in gone))]
        return Entry(entry.kind, tuple(Answer(one.item, kept, one.value, one.each) for one, kept in named))

    said, never_named = evidence(log, ITEMS, left), evidence([without(entry) for entry in log], ITEMS, left)
    assert parts(replace(said, closed=never_named.closed)) == parts(never_named)
    stayed = [friend not in gone for friend in FRIENDS]
    assert said.closed.tolist() == evidence(log, ITEMS, FRIENDS).closed[:, stayed].tolist()


@given(logs)
def test_the_last_word_about_a_cell_counts(log):
    """A cell is stated as the last answer that holds for each of its friends says, whatever is said of groups."""
    said = evidence(log, ITEMS, FRIENDS)
    expected = np.zeros((2, 5), int)
    for answer in (answer for entry in standing(log) for answer in entry.answers):
        if answer.each and answer.value is not None and answer.item in ITEMS:
            for friend in answer.friends:
                expected[ITEMS.index(answer.item), FRIENDS.index(friend)] = {"allow": 1, "deny": -1, UNSURE: 2}[answer.value]
    np.testing.assert_array_equal(said.stated, expected)


def test_later_answers_replace_earlier_ones():
    """A second answer about the same item and group replaces the first and counts as the later; None replaces nothing."""
    said = read(
        ("phone", ["ann", "bo"], "none", False),
        ("city", ["ann", "bo"], "some", False),
        ("phone", ["bo", "ann"], "most", False),
        ("city", ["ann", "bo"], None, False),
    )
    assert said.answers == ((1, (0, 1), "some", False), (0, (0, 1), "most", False))
    assert said.groups == ((0, 1),)


def test_a_choice_for_each_replaces_what_was_said_of_fewer():
    """A choice for everybody in a circle replaces all earlier answers about its friends alone, and none about others too."""
    said = read(
        ("phone", ["ann"], "allow", True),
        ("phone", ["ann", "bo"], "all", False),
        ("phone", ["ann", "eve"], "some", False),
        ("city", ["ann"], "allow", True),
        ("phone", ["ann", "bo", "cy"], "deny", True),
        ("phone", ["bo"], "allow", True),
    )
    assert said.answers == (
        (0, (0, 4), "some", False),
        (1, (0,), "allow", True),
        (0, (0, 1, 2), "deny", True),
        (0, (1,), "allow", True),
    )
    assert said.stated.tolist() == [[-1, 1, -1, 0, 0], [1, 0, 0, 0, 0]]


def test_a_word_about_a_group_never_replaces_the_users_own_choice():
    """What was said of a friend itself stays when the friend is the last of a group that is then spoken of."""
    said = read(("phone", ["ann"], "deny", True), ("phone", ["ann", "zoe"], "all", False))
    assert said.answers == ((0, (0,), "deny", True), (0, (0,), "all", False))
    assert said.stated[0, 0] == -1


def test_a_friend_named_twice_is_one_friend():
    """An answer that names one friend twice is about one friend."""
    assert read(("phone", ["ann", "ann"], "allow", True)).answers == ((0, (0,), "allow", True),)


def test_shown_is_all_that_need_not_be_asked():
    """Every toggle that was on a screen counts as shown, also unanswered; so does every cell that the user has said."""
    said = read(
        ("phone", ["ann", "bo"], None, False), ("city", ["cy", "dee"], "deny", True), ("city", ["bo", "ann"], "some", False)
    )
    assert said.shown == {(0, (0, 1)), (1, (0, 1)), (1, (2, 3)), (1, (2,)), (1, (3,))}


@pytest.mark.parametrize("value", ["none", "deny", 0, 0.0])
def test_what_closes_a_group(value):
    """That nobody in a group may see an item closes its cells, of this item alone."""
    said = read(("phone", ["ann", "bo"], value, False))
    assert said.closed.tolist() == [[True, True, False, False, False], [False] * 5]


@pytest.mark.parametrize("value", ["some", "most", "all", "allow", 0.1, 1])
def test_what_opens_a_group_again(value):
    """Any other answer about the same group reopens it, and about a group within it reopens that part."""
    shut = ("phone", FRIENDS[:3], "none", False)
    assert closed(shut, ("phone", FRIENDS[:3], value, False)) == set()
    assert closed(shut, ("phone", ["bo"], value, False)) == {"ann", "cy"}
    assert closed(shut, ("phone", ["bo"], value, False), shut) == {"ann", "bo", "cy"}


@pytest.mark.parametrize("value", ["some", "most", "all", "allow", 0.5, UNSURE, None])
def test_what_leaves_a_group_closed(value):
    """Half of all friends says nothing of the family: an answer about a larger or another group leaves a group closed."""
    shut = ("phone", ["ann", "bo"], "none", False)
    for other in (FRIENDS, ["ann", "bo", "cy"], ["bo", "cy"], ["dee"]):
        assert closed(shut, ("phone", other, value, False)) == {"ann", "bo"}


@pytest.mark.parametrize("value", [UNSURE, None])
def test_not_sure_reopens_nothing(value):
    """Who is not sure, or says nothing, of a closed group has not opened it."""
    shut = ("phone", ["ann", "bo"], "none", False)
    assert closed(shut, ("phone", ["ann", "bo"], value, False)) == {"ann", "bo"}


def test_own_choices_close_nothing():
    """A choice for each one is stated, not closed; and does not open what is closed for the friends whom it leaves out."""
    assert closed(("phone", ["ann", "bo"], "deny", True)) == set()
    assert closed(("phone", ["ann", "bo"], "none", False), ("phone", ["ann"], "allow", True)) == {"ann", "bo"}


def test_a_friend_who_joins_is_in_no_closed_group():
    """A group is closed as it was when it was spoken of: whoever joined later is not in it."""
    assert closed(("phone", ["ann", "zoe"], "none", False), friends=[*FRIENDS, "new"]) == {"ann"}


def observations(*answers, friends=FRIENDS):
    """Return what is observed; a share is seen as value 10 item + row + share, with variance share."""
    said = read(*answers, friends=friends)
    row_of = {group: len(friends) + g for g, group in enumerate(said.groups)}
    return observe(said, row_of, lambda item, row, share: (10 * item + row + share, share))


@pytest.mark.parametrize(
    ("friends", "value", "each", "row", "seen", "variance", "slope"),
    [
        (["bo"], "allow", True, 1, 1, 0, 1),
        (["bo"], "deny", True, 1, 0, 0, 1),
        (["ann", "bo"], "allow", False, 5, 1, 0, MAJORITY_SLOPE),
        (["ann", "bo"], "deny", False, 5, 0, 0, MAJORITY_SLOPE),
        (["ann", "bo"], "allow", True, 5, 15.98, 0.98, 1),
        (["ann", "bo"], "deny", True, 5, 15.02, 0.02, 1),
        (["ann", "bo"], "none", False, 5, 15.06, 0.06, 1),
        (["ann", "bo"], "some", False, 5, 15.31, 0.31, 1),
        (["ann", "bo"], "most", False, 5, 15.69, 0.69, 1),
        (["ann", "bo"], "all", False, 5, 15.94, 0.94, 1),
        (["ann", "bo"], 0.4, False, 5, 15.4, 0.4, 1),
        (["ann", "bo"], 0, False, 5, 15.02, 0.02, 1),
        (["ann", "bo"], 1, False, 5, 15.98, 0.98, 1),
        (["bo", "gone"], "allow", True, 1, 1, 0, 1),
        (["bo", "gone"], "allow", False, 1, 1, 0, 1),
        (["bo", "gone"], "some", False, 1, 11.31, 0.31, 1),
    ],
)
def test_each_kind_of_answer_is_one_kind_of_observation(friends, value, each, row, seen, variance, slope):
    """A friend: yes or no; a majority: yes or no, steeper; a share, and a choice for each of several: Gaussian at that share."""
    found = observations(("city", friends, value, each))
    assert (found.row.tolist(), found.item.tolist()) == ([row], [1])
    assert (found.value.tolist(), found.variance.tolist(), found.slope.tolist()) == ([pytest.approx(seen)], [variance], [slope])


def test_not_sure_is_no_observation():
    """Neither "unsure" nor silence is observed; without answers there is no observation."""
    assert len(observations(("phone", ["ann"], UNSURE, True), ("city", ["ann", "bo"], UNSURE, False))) == 0
    assert len(observations(("phone", ["ann"], None, True))) == 0
    assert len(observations()) == 0


@given(logs)
def test_every_other_answer_is_observed_once(log):
    """Observations are the answers that are not "unsure", in their order."""
    said = evidence(log, ITEMS, FRIENDS)
    row_of = {group: 5 + g for g, group in enumerate(said.groups)}
    found = observe(said, row_of, lambda *_: (0.0, 1.0))
    told = [(j, members) for j, members, value, _ in said.answers if value != UNSURE]
    assert found.item.tolist() == [j for j, _ in told]
    assert found.row.tolist() == [members[0] if len(members) == 1 else row_of[members] for _, members in told]


@pytest.mark.parametrize(("shares", "cuts"), [(CIRCLE_SHARES, CIRCLE_CUTS), (AUDIENCE_SHARES, AUDIENCE_CUTS)])
def test_each_share_lies_in_its_own_stretch(shares, cuts):
    """The share that an answer stands for lies between the cuts at which that answer is the right one."""
    assert np.searchsorted(cuts, list(shares.values())).tolist() == list(range(len(shares)))


def test_circle_shares_are_the_means_of_their_stretches():
    """On the probit scale, each word stands for the mean of its stretch, to a hundredth of a share."""
    edges = [-np.inf, *norm.ppf(CIRCLE_CUTS), np.inf]
    means = [truncnorm.mean(low, high) for low, high in pairwise(edges)]
    np.testing.assert_allclose(list(CIRCLE_SHARES.values()), norm.cdf(means), atol=0.01)


def test_share_noise_grows_with_what_is_not_known():
    """An extreme share says less than one in the middle, and any share less of a group whose members differ more."""
    assert share_noise(0.5, 0) == pytest.approx(0.08 * PROBIT_VARIANCE)
    assert share_noise(0.02, 1.0) == share_noise(0.98, 1.0) == pytest.approx(0.2 * (PROBIT_VARIANCE + 1))
    np.testing.assert_array_less(share_noise(0.5, np.array([0.0, 1.0])), share_noise(0.5, np.array([1.0, 2.0])))


def test_within_variance_is_that_of_the_members_around_their_mean():
    """Independent members of variance 3 and a mean of variance 3/4 differ by 9/4; members all alike by the least of 0.2."""
    shared, specific = np.diag([1.0, 1, 1, 1, 0.25]), np.diag([2.0, 2, 2, 2, 0.5])
    assert within_variance((shared + specific).diagonal(), np.arange(4), 4) == pytest.approx(2.25)
    assert within_variance(np.ones(5), np.arange(4), 4) == 0.2


def test_who_leaves_reopens_nothing():
    """A group that was closed stays closed when a friend leaves, though an answer about others then looks like one inside it."""
    log = [Entry("circle", (group_answer("none", "abcd"),)), Entry("circle", (group_answer("all", "abz"),))]
    assert evidence(log, ["phone"], list("abcdz")).closed.tolist() == [[True, True, True, True, False]]
    assert evidence(log, ["phone"], list("abcd")).closed.tolist() == [[True, True, True, True]]


def group_answer(value, friends):
    """Return an answer about a group as a whole."""
    return Answer("phone", tuple(friends), value, each=False)
