import json
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from privwiz.circles import MIN_SIZE, Circles, alike, assign_friend, find_circles
from privwiz.corrections import (
    MAX_NAME,
    Dismiss,
    Merge,
    Move,
    Rename,
    Restore,
    Split,
    apply_corrections,
    read_correction,
    write_correction,
)
from privwiz.errors import DataError, UnknownFriend
from privwiz.features import friend_features
from privwiz.graphs import build_ego_network
from privwiz.groups import askable_groups
from privwiz.readers import read_snap_ego_network
from privwiz.wizard import Wizard


def clubs(*sizes, extra=(), profiles=None):
    """Cliques of these sizes, called a0 a1 ..., b0 b1 ..., and further ties."""
    names = [f"{'abcdefgh'[clique]}{i}" for clique, size in enumerate(sizes) for i in range(size)]
    ties = [pair for pair in combinations(names, 2) if pair[0][0] == pair[1][0]]
    return build_ego_network("me", {*names, *(end for tie in extra for end in tie)}, [*ties, *extra], profiles or {})


def contents(circles):
    """Everything that circles say but which of them are corrected, to compare them."""
    plain = [(circle.id, circle.level, circle.members, circle.name, circle.name_zh, circle.lists_people) for circle in circles]
    return circles.friends, circles.labels.tolist(), plain


def check_consistent(circles, network):
    """Every level is a partition with its circles numbered from the largest down, and ids are given once."""
    assert circles.friends == network.friends
    for k, level in enumerate(circles.labels):
        groups = [tuple(network.friends[i] for i in np.flatnonzero(level == c)) for c in range(level.max(initial=-1) + 1)]
        assert [circle.members for circle in circles.communities(k)] == [group for group in groups if len(group) >= MIN_SIZE]
        assert sorted(friend for group in groups for friend in group) == list(network.friends)
    assert not [one for one in circles for other in circles.dismissed if alike(one.members, other.members) and not one.corrected]
    assert [circle for k in range(len(circles.resolutions)) for circle in circles.level(k)] == list(circles)
    assert len(circles) == len(list(circles))
    ids = [circle.id for circle in (*circles.circles, *circles.dismissed)]
    assert len(set(ids)) == len(ids)
    assert all(1 <= int(one.removeprefix("c")) <= circles.last_id for one in ids)
    again = Circles.from_dict(json.loads(json.dumps(circles.to_dict())), network)
    assert again.to_dict() == circles.to_dict()
    assert (again.circles, again.dismissed) == (circles.circles, circles.dismissed)
    friend_features(network, circles)


@st.composite
def networks(draw, max_friends=14):
    """Draw a small ego network with some attributes."""
    friends = [f"f{i:02}" for i in range(draw(st.integers(0, max_friends)))]
    pairs = draw(st.lists(st.sampled_from(list(combinations(friends, 2))), unique=True, max_size=40)) if friends[1:] else []
    profiles = {friend: {"school": draw(st.sampled_from(["X", "Y", None]))} for friend in friends}
    return build_ego_network("me", friends, pairs, profiles)


def some_correction(circles):
    """Return a strategy for corrections that these circles allow; None where there are none."""
    ids = [circle.id for circle in circles]
    if not ids:
        return st.sampled_from([Restore(circle.id) for circle in circles.dismissed]) if circles.dismissed else None
    one, names = st.sampled_from(ids), st.one_of(st.none(), st.sampled_from(["Work", "家人", "Old friends", "X"]))
    kinds = [
        st.builds(Rename, one, st.sampled_from(["Work", "家人", "Old friends", "X"])),
        st.builds(Dismiss, one),
        st.builds(Move, st.sampled_from(circles.friends), one),
        one.flatmap(lambda c: st.builds(Move, st.sampled_from(circles[c].members), st.none(), st.just(c))),
    ]
    if len(ids) > 1:
        several = st.lists(one, min_size=2, max_size=3, unique=True).map(tuple)
        kinds.append(st.builds(Merge, several, names))
    if large := [circle for circle in circles if len(circle) > MIN_SIZE]:
        kinds.append(
            st.sampled_from(large).flatmap(
                lambda circle: st.builds(
                    Split,
                    st.just(circle.id),
                    st.lists(st.sampled_from(circle.members), min_size=MIN_SIZE, max_size=len(circle) - 1, unique=True),
                    names,
                )
            )
        )
    if circles.dismissed:
        kinds.append(st.builds(Restore, st.sampled_from([circle.id for circle in circles.dismissed])))
    return st.one_of(kinds)


# Each correction


def test_a_circle_is_renamed_on_every_level():
    """A name holds in both languages and wherever the same people are a circle; an automatic name like it gives way."""
    network = clubs(5, 4, profiles=dict.fromkeys(["b0", "b1", "b2", "b3"], {"school": "Work"}))
    found = find_circles(network)
    assert {circle.name for circle in found.of("b0")} == {"Work"}
    corrected = apply_corrections(found, network, [Rename(found.of("a0")[0].id, " Work ")])
    assert {(circle.name, circle.name_zh, circle.corrected) for circle in corrected.of("a0")} == {("Work", "Work", True)}
    assert {circle.name for circle in corrected.of("b0")} == {"Work: b0, b1 and 2 others"}
    assert corrected.labels.tolist() == found.labels.tolist()


def test_two_circles_may_have_one_name():
    """A user's name is kept though the user gives it twice, also when the circles are found again."""
    network = clubs(5, 4)
    corrected = apply_corrections(CIRCLES, network, [Rename("c1", "Work"), Rename("c2", "Work")])
    for circles in (corrected, find_circles(network, previous=corrected)):
        assert (circles["c1"].name, circles["c2"].name) == ("Work", "Work")


def test_people_are_called_as_the_user_called_them():
    """Of circles of the same people on several levels, the one that the user has corrected stands for all."""
    found = find_circles(clubs(4, 3), resolutions=[0.5, 1])
    assert [circle.id for circle in found.distinct()] == ["c1", "c2"]
    named = tuple(replace(circle, name="Band", corrected=True) if circle.id == "c3" else circle for circle in found)
    assert [circle.name for circle in replace(found, circles=named).distinct()] == ["Band", found["c2"].name]


def test_circles_are_merged():
    """The first circle keeps its id and takes all in, on every level where one of them stood; the others are no more."""
    network = clubs(5, 4, 3, profiles={f"a{i}": {"school": "PKU"} for i in range(5)})
    found = find_circles(network)
    corrected = apply_corrections(found, network, [Merge(("c1", "c2"))])
    everybody = tuple(friend for friend in network.friends if friend[0] != "c")
    assert (corrected["c1"].members, corrected["c1"].name) == (everybody, "PKU")
    assert {circle.members for circle in corrected.of("b0")} == {everybody}
    assert "c2" not in {circle.id for circle in corrected}
    named = apply_corrections(found, network, [Merge(("c2", "c1"), "Neighbours")])
    assert {(circle.name, circle.members) for circle in named.of("b0")} == {("Neighbours", everybody)}
    assert named["c2"].members == everybody


def test_a_merged_circle_without_a_name_is_named_by_all_of_its_people():
    """Where the name of the first circle lists people, the merged one is named anew, the same on all levels."""
    network = clubs(5, 4, 3)
    corrected = apply_corrections(find_circles(network), network, [Merge(("c1", "c2"))])
    assert {circle.name for circle in corrected.of("b0")} == {"Circle of a0, a1 and 7 others"}


def test_a_circle_is_split():
    """Some leave into a circle of their own; the rest keeps the id, and its name unless that lists people."""
    network = clubs(7, 4, profiles={f"a{i}": {"school": "PKU"} for i in range(7)})
    found = find_circles(network)
    corrected = apply_corrections(found, network, [Split("c1", ["a6", "a5", "a4"], "Band")])
    assert (corrected["c1"].members, corrected["c1"].name) == (("a0", "a1", "a2", "a3"), "PKU")
    assert {(circle.members, circle.name) for circle in corrected.of("a5")} == {(("a4", "a5", "a6"), "Band")}
    assert corrected.last_id == found.last_id + len(corrected.of("a5"))
    unnamed = apply_corrections(found, network, [Split("c1", ["a6", "a5", "a4"])])
    assert len({circle.name for circle in unnamed.of("a5")}) == 1
    assert unnamed.of("a5")[0].name not in ("PKU", "")


def test_a_friend_is_moved():
    """Who joins a circle leaves the one it was in on the same levels; who only leaves is alone there."""
    network = clubs(5, 4, 4)
    found = find_circles(network)
    moved = apply_corrections(found, network, [Move("a0", into="c2")])
    assert moved["c2"].members == ("a0", "b0", "b1", "b2", "b3")
    assert all("a0" not in circle.members for circle in moved.of("a1"))
    assert {circle.members for circle in moved.of("a0")} == {moved["c2"].members}
    left = apply_corrections(found, network, [Move("a0", into=None, out_of="c1")])
    assert left.of("a0") == ()
    assert left["c1"].members == ("a1", "a2", "a3", "a4")
    both = apply_corrections(found, network, [Move("a0", into="c2", out_of="c1")])
    assert (both["c1"].members, both["c2"].members) == (left["c1"].members, moved["c2"].members)


def test_what_is_no_group_is_not_asked_about_again():
    """A dismissed circle is gone on every level, also after finding again, as are circles and shared attributes like it.

    In the kernel and the features it stays.
    """
    profiles = {f"a{i}": {"school": "PKU"} for i in range(6)}
    network = build_ego_network("me", clubs(6, 5).friends, [*combinations([f"a{i}" for i in range(6)], 2)], profiles,
                                {"school": "PKU"})  # fmt: skip
    found = find_circles(network)
    assert any(alike(group.members, profiles) and group.level >= 0 for group in askable_groups(network, found))
    corrected = apply_corrections(found, network, [Dismiss("c1")])
    assert corrected.labels.tolist() == found.labels.tolist()
    for circles in (corrected, find_circles(network, seed=5, previous=corrected)):
        assert circles.of("a0") == ()
        assert not [group for group in askable_groups(network, circles) if alike(group.members, profiles)]
    smaller = network.without_friend("a3")
    assert find_circles(smaller, previous=corrected).of("a0") == ()
    assert find_circles(network, previous=find_circles(smaller, previous=corrected)).of("a0") == ()


def test_a_dismissal_is_taken_back():
    """A restored circle is as it was, on all levels, and it stays."""
    network = clubs(6, 4)
    found = find_circles(network)
    restored = apply_corrections(found, network, [Dismiss("c1"), Restore("c1")])
    assert contents(restored) == contents(found)
    assert restored.dismissed == ()
    assert restored["c1"].corrected


def test_the_later_correction_decides_where_a_friend_is():
    """Who is put elsewhere on one level leaves a circle corrected before on all of its levels."""
    network = clubs(6, 4, 4, extra=[("b0", "c0"), ("b1", "c1")])
    found = find_circles(network, resolutions=[0.25, 2])
    coarse, fine = (found.level(k) for k in range(2))
    assert [len(circle) for circle in coarse] == [8, 6]
    assert [len(circle) for circle in fine] == [6, 4, 4]
    corrected = apply_corrections(found, network, [Rename(coarse[1].id, "Band"), Move("a5", into=fine[1].id)])
    assert {circle.members for circle in corrected if circle.name == "Band"} == {("a0", "a1", "a2", "a3", "a4")}
    assert [circle.level for circle in corrected.of("a5")] == [1]


# What never holds


CIRCLES = find_circles(clubs(5, 4))


@pytest.mark.parametrize(
    ("correction", "message"),
    [
        (Rename("c99", "Work"), "there is no circle 'c99'"),
        (Merge(("c1", "c99")), "there is no circle 'c99'"),
        (Split("c1", ["a0", "a1", "b0"]), "'b0' is not in circle 'c1'; look its members up, or move the friend there first"),
        (Split("c1", ["a0", "a1", "a2", "a3", "a4"]), "all members would leave circle 'c1'"),
        (Split("c99", ["a0", "a1", "a2"]), "there is no circle 'c99'"),
        (Move("a0", "c99"), "there is no circle 'c99'"),
        (Move("a0", "c1", "c2"), "'a0' is not in circle 'c2'"),
        (Move("a0", None, "c99"), "there is no circle 'c99'"),
        (Dismiss("c99"), "there is no circle 'c99'"),
        (Restore("c1"), "there is no dismissed circle 'c1'"),
    ],
    ids=str,
)
def test_corrections_of_what_is_not_there(correction, message):
    """A circle or member that is not there is said, and the wizard is as it was."""
    wizard = Wizard(clubs(5, 4), items=["phone"], circles=CIRCLES)
    with pytest.raises(DataError, match=message):
        wizard.correct(correction)
    assert wizard.circles is CIRCLES
    assert wizard.corrections == ()


def test_corrections_about_strangers():
    """Somebody who is no friend can neither be moved nor split off."""
    for correction in (Move("zoe", "c1"), Split("c1", ["a0", "a1", "zoe"])):
        with pytest.raises(UnknownFriend, match="'zoe' is not a friend"):
            apply_corrections(CIRCLES, clubs(5, 4), [correction])


def test_circles_of_other_friends_are_not_corrected():
    """Circles are corrected together with their own network only."""
    with pytest.raises(DataError, match="of other friends than the network"):
        apply_corrections(CIRCLES, clubs(5, 5), [])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Rename("c1", ""), "the name of a circle is empty"),
        (lambda: Rename("c1", " \u200b "), "the name of a circle is empty"),
        (lambda: Rename("c1", "x" * (MAX_NAME + 1)), f"has 101 characters; {MAX_NAME} is the most"),
        (lambda: Rename("c1", "a\nb"), r"holds control characters \('a\\nb'\)"),
        (lambda: Rename("c1", "a\u202eb"), r"holds control characters \('a\\u202eb'\)"),
        (lambda: Rename("c1", "a\ud800"), r"holds control characters \('a\\ud800'\)"),
        (lambda: Rename("c1", 7), "the name of a circle is 7; it must be a text"),
        (lambda: Merge(["c1"]), "a merge needs two circles or more"),
        (lambda: Merge(["c1", "c1"]), "a merge needs two circles or more"),
        (lambda: Merge("c1"), r"circles are the text 'c1'; give a list, such as \['c1'\]"),
        (lambda: Merge(["c1", "c2"], ""), "the name of a circle is empty"),
        (lambda: Split("c1", []), "too few for a circle of their own: 0 friends; name 3 or more"),
        (lambda: Split("c1", ["a", "b", "b"]), "too few for a circle of their own: 2 friends"),
        (lambda: Split("c1", ["a", "b", "c"], "\t"), "the name of a circle is empty"),
        (lambda: Move("a", None), "a move needs a circle to join"),
        (lambda: Move("a", "c1", "c1"), "two different ones"),
    ],
)
def test_corrections_that_make_no_sense(make, message):
    """What no circles could make sense of is refused at once."""
    with pytest.raises(DataError, match=message):
        make()


@pytest.mark.parametrize("name", ["Work", "家人 👨‍👩‍👧", "أصدقاء", "O'Brien & <b>", "x" * MAX_NAME])
def test_names_of_all_kinds(name):
    """A name is any line of text, in any script."""
    assert apply_corrections(CIRCLES, clubs(5, 4), [Rename("c1", name)])["c1"].name == name


# JSON


@pytest.mark.parametrize(
    "correction",
    [
        Rename("c1", "Work"),
        Merge(("c1", "c2")),
        Merge(("c1", "c2"), "Both"),
        Split("c1", ("a", "b", "c"), "Band"),
        Move("a", "c1"),
        Move("a", None, "c1"),
        Dismiss("c1"),
        Restore("c1"),
    ],
    ids=str,
)
def test_corrections_survive_json(correction):
    """What is written is read again, with or without what is optional."""
    data = json.loads(json.dumps(write_correction(correction)))
    assert read_correction(data) == correction
    assert read_correction({key: value for key, value in data.items() if value is not None}) == correction


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], r"a correction is \[\]; it must be an object"),
        ({}, "the kind of a correction is missing"),
        ({"kind": "delete"}, "kind 'delete' is not known; the kinds are rename, merge, split, move, dismiss, restore"),
        ({"kind": "rename", "circle": "c1"}, "'name' of a correction is missing"),
        ({"kind": "rename", "circle": 1, "name": "x"}, "'circle' of a correction is 1; it must be a text"),
        ({"kind": "dismiss", "circle": "c1", "all": True}, "a correction of kind 'dismiss' has no 'all'; it has circle"),
        ({"kind": "merge", "circles": "c1"}, "'circles' of a correction is 'c1'; it must be a list"),
        ({"kind": "merge", "circles": ["c1", None]}, "'circles' of a correction is missing"),
        ({"kind": "split", "circle": "c1", "members": ["a"]}, "too few for a circle of their own: 1 friend; name 3 or more"),
        ({"kind": "move", "friend": "a"}, "a move needs a circle"),
    ],
)
def test_damaged_corrections(data, message):
    """Whatever is wrong with a written correction is said."""
    with pytest.raises(DataError, match=message):
        read_correction(data)


@pytest.mark.parametrize("correction", ["x", None, {"kind": "rename", "circle": "c1", "name": "x"}, Rename])
def test_what_is_no_correction_is_refused(correction):
    """Anything but a correction is refused with what to give, and the wizard is as it was."""
    wizard = Wizard(build_ego_network("me", ["ann", "bo"], []), items=["phone"])
    before = wizard.to_json()
    with pytest.raises(DataError, match=r"; give a Rename, Merge, Split, Move, Dismiss or Restore$"):
        wizard.correct(correction)
    assert wizard.to_json() == before


def test_circles_written_before_there_were_corrections():
    """The earlier format of circles is read as circles that nobody has corrected."""
    document = CIRCLES.to_dict() | {"format": "privwiz.circles/1"}
    del document["dismissed"]
    for row in document["circles"]:
        del row["corrected"]
    assert Circles.from_dict(document).circles == CIRCLES.circles


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ({"dismissed": None}, "'dismissed' is missing; it must be a list"),
        ({"level": 6}, "the level of a dismissed circle is 6; the levels are 0 to 5"),
        ({"members": ["a0", "a1"]}, "the members of a dismissed circle are too few, not sorted or come twice"),
        ({"members": ["a1", "a0", "a2"]}, "the members of a dismissed circle are too few, not sorted or come twice"),
        ({"id": "c2"}, "two circles have the same id"),
        ({"corrected": 1}, "'corrected' of circle 'c1' is 1; it must be true or false"),
    ],
)
def test_damaged_dismissals(damage, message):
    """Whatever is wrong with written dismissals is said."""
    document = json.loads(json.dumps(apply_corrections(CIRCLES, clubs(5, 4), [Dismiss("c1")]).to_dict()))
    if "dismissed" in damage:
        document |= damage
    else:
        document["dismissed"][0] |= damage
    with pytest.raises(DataError, match=message):
        Circles.from_dict(document)


# Laws


@settings(max_examples=60)
@given(network=networks(), data=st.data())
def test_corrections_that_say_what_is_so(network, data):
    """To say of circles what they are already changes nothing that is shown, asked or computed."""
    found = find_circles(network)
    assert apply_corrections(found, network, []) is found
    if len(found):
        circle = data.draw(st.sampled_from(found.circles))
        idle = [Move(circle.members[0], into=circle.id)]
        if not circle.lists_people:
            idle.append(Move(circle.members[-1], into=circle.id))
        assert contents(apply_corrections(found, network, idle)) == contents(found)
        if circle.name == circle.name_zh:
            assert contents(apply_corrections(found, network, [Rename(circle.id, circle.name)])) == contents(found)


class Corrections(RuleBasedStateMachine):
    """Whatever the user corrects, and whoever comes and goes, circles stay consistent and corrected ones stay as they are."""

    def __init__(self):
        """Start with three clubs that know each other a little."""
        super().__init__()
        extra = [("a0", "b0"), ("a1", "b1"), ("b2", "c0"), ("a0", "c0"), ("d0", "a2"), ("d0", "b0")]
        self.network = clubs(6, 5, 4, extra=extra, profiles={f"a{i}": {"school": "PKU"} for i in range(6)})
        self.circles = find_circles(self.network)
        self.newcomers = 0

    def corrected(self):
        """Return the circles that have been corrected: ids -> members and name."""
        groups = {}
        for circle in self.circles:
            if circle.corrected:
                groups.setdefault(circle.members, []).append(circle)
        return groups

    def check_kept(self, before, friend, *, joined=False):
        """Check that all corrected circles that are large enough are as before, but for one friend, on all their levels."""
        for members, standing in before.items():
            rest = set(members) - {friend}
            if len(rest) < MIN_SIZE:
                continue
            now = [self.circles[circle.id] for circle in standing]
            assert len({circle.members for circle in now}) == 1
            assert set(now[0].members) - {friend} == rest
            assert joined or friend not in now[0].members
            assert [circle.level for circle in now] == [circle.level for circle in standing]
            assert all(was.lists_people or circle.name == was.name for circle, was in zip(now, standing, strict=True))

    @rule(data=st.data())
    def correct(self, data):
        """Correct something; the same correction of the same circles gives the same circles."""
        if (strategy := some_correction(self.circles)) is not None:
            correction = data.draw(strategy)
            after = apply_corrections(self.circles, self.network, [correction])
            same = apply_corrections(Circles.from_dict(self.circles.to_dict()), self.network, [correction])
            assert same.to_dict() == after.to_dict()
            match correction:
                case Rename(circle, name):
                    assert after[circle].name == name
                case Merge(several, _):
                    assert set(after[several[0]].members) == {f for one in several for f in self.circles[one].members}
                case Split(_, members, _):
                    assert tuple(sorted(members)) in {circle.members for circle in after if circle.corrected}
                case Move(friend, into, out_of):
                    assert into is None or friend in after[into].members
                    assert out_of is None or friend not in {f for c in after if c.id == out_of for f in c.members}
                case Dismiss(circle):
                    dismissed = self.circles[circle].members
                    assert not [one for one in after if one.members == dismissed]
                    assert not [one for one in after if alike(one.members, dismissed) and not one.corrected]
                case Restore(circle):
                    members = next(one.members for one in self.circles.dismissed if one.id == circle)
                    assert after[circle].members == members
            self.circles = after

    @rule(data=st.data())
    def come(self, data):
        """Add a friend."""
        ties = data.draw(st.lists(st.sampled_from(self.network.friends), unique=True, max_size=5)) if self.network.n else []
        before, friend = self.corrected(), data.draw(st.sampled_from(["a", "n", "z"])) + f"{self.newcomers:02}"
        self.newcomers += 1
        network = self.network.with_friend(friend, ties)
        if data.draw(st.booleans()):
            self.circles = assign_friend(self.circles, network, friend)
        else:
            self.circles = find_circles(network, previous=self.circles)
        self.network = network
        self.check_kept(before, friend, joined=True)

    @precondition(lambda self: self.network.n > 1)
    @rule(data=st.data())
    def go(self, data):
        """Remove a friend."""
        before, friend = self.corrected(), data.draw(st.sampled_from(self.network.friends))
        self.network = self.network.without_friend(friend)
        self.circles = find_circles(self.network, previous=self.circles)
        self.check_kept(before, friend)

    @rule(seed=st.integers(0, 3))
    def find_again(self, seed):
        """Extract the circles anew."""
        before = self.corrected()
        self.circles = find_circles(self.network, seed=seed, previous=self.circles)
        self.check_kept(before, None)

    @invariant()
    def consistent(self):
        """Levels are partitions, ids are unique, and it all survives JSON."""
        check_consistent(self.circles, self.network)

    @invariant()
    def nothing_dismissed_is_asked_about(self):
        """No group to ask about is nearly the same people as a dismissed circle, unless the user made it."""
        for group in askable_groups(self.network, self.circles):
            assert group.corrected or not any(alike(group.members, circle.members) for circle in self.circles.dismissed)


TestCorrections = Corrections.TestCase
TestCorrections.settings = settings(max_examples=60, stateful_step_count=12, deadline=None)


# In the wizard


def test_the_wizard_asks_about_corrected_circles():
    """Corrected circles are asked about by the user's name, and the answer counts for just their members."""
    network = clubs(6, 5, 5)
    wizard = Wizard(network, items=["phone", "city"])
    wizard.correct(Merge(("c1", "c2"), "Neighbours"))
    wizard.correct(Dismiss("c3"))
    screens = []
    while (screen := wizard.next_screen({"circle"}, least_gain=0)) is not None:
        screens.append(screen)
        wizard.answer(screen, ["none"] * len(screen.toggles))
    about = {screen.about[0]: set(screen.toggles[0].friends) for screen in screens}
    merged = {friend for friend in network.friends if friend[0] in "ab"}
    assert [friends for name, friends in about.items() if "Neighbours" in name] == [merged]
    assert not [friends for friends in about.values() if alike(friends, [f"c{i}" for i in range(5)])]
    assert wizard.policy()["phone", "a0"].decision == "deny"


def test_a_wizard_keeps_its_corrections():
    """Saved and restored, also with another network, a wizard has the same corrections, circles and policy."""
    network = clubs(6, 5, 5)
    wizard = Wizard(network, items=["phone"], seed=2)
    wizard.correct(Split("c1", ["a0", "a1", "a2"], "Band"))
    wizard.correct(Dismiss("c2"))
    wizard.label("phone", wizard.circles.of("a0")[0], "deny")
    again = Wizard.from_json(wizard.to_json(), network)
    assert again.corrections == wizard.corrections == (Split("c1", ("a0", "a1", "a2"), "Band"), Dismiss("c2"))
    assert again.to_json() == wizard.to_json()
    assert again.policy().to_json() == wizard.policy().to_json()
    grown = Wizard.from_json(wizard.to_json(), network.with_friend("new", ["a0", "a1", "a2"]).without_friend("c0"))
    assert grown.circles.of("a0")[0].members == ("a0", "a1", "a2", "new")
    assert {circle.name for circle in grown.circles.of("new")} == {"Band"}


def test_a_new_friend_joins_a_corrected_circle_by_its_ties():
    """A friend who knows the band joins the band, not the rest of the circle that it was found in, on every level."""
    network = clubs(8, 4)
    wizard = Wizard(network, items=["phone"])
    wizard.correct(Split("c1", ["a0", "a1", "a2"], "Band"))
    band = [circle.id for circle in wizard.circles.of("a0")]
    wizard.add_friend("new", ties=["a0", "a1", "a2"])
    assert [circle.id for circle in wizard.circles.of("new")] == band
    wizard.remove_friend("a3")
    wizard.find_circles_again()
    assert {circle.members for circle in wizard.circles.of("new")} == {("a0", "a1", "a2", "new")}


def test_a_session_without_corrections_is_read():
    """A wizard saved before there were corrections has none."""
    wizard = Wizard(clubs(4, 3), items=["phone"])
    document = json.loads(wizard.to_json())
    del document["corrections"]
    assert Wizard.from_json(json.dumps(document), wizard.network).corrections == ()


def test_corrections_on_a_real_network(ego_facebook):
    """On a real network corrected circles outlive every friend who leaves and comes back."""
    network = read_snap_ego_network(ego_facebook, "3980")
    found = find_circles(network)
    merged = apply_corrections(found, network, [Merge(tuple(circle.id for circle in found.level(3)[:2]), "Both")])
    both = next(circle for circle in merged if circle.name == "Both")
    for friend in network.friends[::5]:
        rest = network.without_friend(friend)
        without = find_circles(rest, previous=merged)
        assert set(without[both.id].members) == set(both.members) - {friend}
        again = assign_friend(without, network, friend)
        assert set(again[both.id].members) - {friend} == set(both.members) - {friend}
        check_consistent(again, network)
