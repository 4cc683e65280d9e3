"""The parts of the page that need no browser: names, circles, the picture, screens, the matrix."""

import unicodedata

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privwiz.answers import CELL_CHOICES, UNSURE
from privwiz.circles import find_circles
from privwiz.corrections import Dismiss, apply_corrections
from privwiz.decisions import Decision
from privwiz.graphs import build_ego_network, ego_network
from privwiz.items import profile_item
from privwiz.policy import Suggestion
from privwiz.reasons import Reason
from privwiz.screens import MAX_TOGGLES, Toggle
from privwiz.wizard import Wizard
from privwiz_api.page.groups import (
    OTHERS,
    Group,
    Place,
    any_group,
    find_group,
    find_place,
    shown_circles,
    shown_groups,
    shown_level,
)
from privwiz_api.page.matrix import cells, count, open_parts
from privwiz_api.page.names import LONGEST_NAME, initials, readable
from privwiz_api.page.people import faces, reason_text
from privwiz_api.page.portrait import draw
from privwiz_api.page.questions import read_values, sections, stamp, suggested


@pytest.fixture(scope="module")
def network():
    """Return the friends of a member of Zachary's karate club."""
    return ego_network(nx.karate_club_graph(), 0)


@pytest.fixture
def wizard(network):
    """Return a wizard about three items."""
    return Wizard(network, items=["phone", "photos", "city"])


def planted(groups, size):
    """Return a network of groups of equal size."""
    graph = nx.planted_partition_graph(groups, size, 0.5, 0.005, seed=1)
    graph.add_edges_from(("me", friend) for friend in list(graph))
    return ego_network(nx.relabel_nodes(graph, {node: str(node) for node in graph}), "me")


@given(st.text(max_size=200))
def test_a_readable_name_is_short_and_plain(text):
    """Whatever the text, what is shown turns and hides nothing, is never empty, and short; and so are its initials."""
    shown = readable(text)
    assert 0 < len(shown) <= LONGEST_NAME
    assert {unicodedata.category(letter) for letter in shown if letter not in "\u200c\u200d"}.isdisjoint(
        {"Cc", "Cf", "Cs", "Zl", "Zp"}
    )
    assert 0 < len(initials(shown)) <= 6


@pytest.mark.parametrize(("groups", "size"), [(2, 10), (5, 50), (20, 50)])
def test_everybody_is_in_one_group(groups, size):
    """At 20, 250 and 1,000 friends the groups share nobody, leave nobody out, and are not too many."""
    circles = find_circles(planted(groups, size))
    shown = shown_groups(circles, "en")
    assert sorted(friend for group in shown for friend in group.members) == sorted(circles.friends)
    assert len(shown) <= 21
    assert {group.id for group in shown} >= {circle.id for circle in circles} & {group.id for group in shown if group.id}


def test_a_circle_of_any_level_is_found(network):
    """A circle is found by its id on whatever level it stands; others are not."""
    circles = find_circles(network)
    groups = shown_groups(circles, "zh")
    for circle in circles:
        assert any_group(circles, groups, circle.id, "zh").members == circle.members
    assert any_group(circles, groups, "c999", "zh") is None
    assert find_group(groups, "c999") is None
    lonely = shown_groups(find_circles(build_ego_network("me", "ab", [])), "en")
    assert [group.id for group in lonely] == [OTHERS]


def test_friends_are_placed_in_a_circle_of_the_page():
    """A group is a listed circle, a part of one, or mostly in one; where half of it or less is, it is in none."""
    groups = (Group("c1", "One", "t0", tuple("abcdef")), Group("c2", "Two", "t1", tuple("ghij")), Group(OTHERS, "", "tx", ("k",)))
    assert find_place(groups, "hgij") == Place(2, "t1", "same")
    assert find_place(groups, "gh") == Place(2, "t1", "part")
    assert find_place(groups, "abg") == Place(1, "t0", "most")
    assert find_place(groups, "abgh") is None
    assert find_place(groups, "k") is None


@pytest.mark.parametrize(("groups", "size"), [(2, 10), (5, 50), (20, 50)])
def test_the_picture_shows_everybody_inside_its_frame(groups, size):
    """At 20, 250 and 1,000 friends there is a dot for each, inside the frame, and few lines; twice the same picture."""
    network = planted(groups, size)
    circles = find_circles(network)
    tones = ("t0",) * network.n
    picture = draw(network, circles, network.friends, tones)
    assert len(picture.dots) == network.n
    assert all(0 <= dot.x <= picture.width and 0 <= dot.y <= picture.height and 3 <= dot.r <= 16 for dot in picture.dots)
    assert picture.lines.count("M") <= 2 * network.n
    assert max(picture.width, picture.height) == 1000
    assert draw(network, find_circles(network), network.friends, tones) == picture


def test_a_dismissed_circle_leaves_no_disc(network):
    """A number stands on the disc of its own circle, whichever circle the user has dismissed."""
    circles, tones = find_circles(network), ("t0",) * network.n
    whole = draw(network, circles, network.friends, tones)
    shown = shown_circles(circles)
    level = shown_level(circles)
    for gone in shown:
        left = apply_corrections(circles, network, [Dismiss(gone.id)])
        assert shown_level(left) == level
        picture = draw(network, left, network.friends, tones)
        places = {circle.id: (disc.x, disc.y) for circle, disc in zip(shown, whole.discs, strict=True)}
        assert [(disc.x, disc.y) for disc in picture.discs] == [places[circle.id] for circle in shown_circles(left)]
        assert [disc.number for disc in picture.discs] == list(range(1, len(shown)))


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_screen_is_shown_whole_and_only_what_is_sure_is_filled_in(wizard, network, language):
    """Every toggle is one row with each of its answers; what the model is not sure of is not filled in."""
    kinds = set()
    for _ in range(12):
        screen = wizard.next_screen(least_gain=0)
        circles = {circle.members: circle for circle in wizard.belief().layout.circles}
        shown = sections(screen, circles, language)
        rows = sorted((row for section in shown for row in section.rows), key=lambda row: row.number)
        assert [row.number for row in rows] == list(range(len(screen.toggles)))
        for row, toggle in zip(rows, screen.toggles, strict=True):
            assert [choice.value for choice in row.choices][-1] == UNSURE
            assert sum(choice.suggested for choice in row.choices) == 1
            assert [choice.value for choice in row.choices if choice.suggested] == [toggle.likeliest]
            checked = [choice.value for choice in row.choices if choice.checked]
            assert checked == [value for value in (toggle.preset,) if value is not None]
            assert toggle.sure or not checked
            assert row.sure == bool(checked)
        filled = suggested(screen, (None,) * len(rows))
        wizard.answer(screen, filled)
        kinds.add(screen.kind)
    assert len(kinds) > 2


@pytest.mark.parametrize(
    ("guess", "sure", "likeliest", "filled"),
    [(0.5, True, "half", "half"), (0.5, False, "half", None), (0.5, True, "most", None), (0.5, False, "few", None)],
)
def test_what_is_filled_in_is_sure_and_the_likeliest_answer(guess, sure, likeliest, filled):
    """An answer is filled in only if the model is sure of it, and only if it seldom has to be changed."""
    assert Toggle(profile_item("phone"), ("ann", "bo"), guess, (), 0.4, sure, likeliest=likeliest).preset == filled


def test_a_stamp_is_of_one_screen(wizard):
    """The same state gives the same stamp; another answer before it, another one."""
    screen = wizard.next_screen()
    assert stamp(screen) == stamp(wizard.next_screen())
    wizard.label("phone", wizard.network.friends[0], "deny")
    assert stamp(wizard.next_screen()) != stamp(screen)


@given(st.dictionaries(st.text(max_size=4), st.text(max_size=4)), st.text(max_size=4))
def test_any_form_is_read(form, rows):
    """Whatever a form holds, at most 99 values are read, and those are texts or nothing."""
    values = read_values({**form, "rows": rows})
    assert len(values) <= 99
    assert all(value is None or isinstance(value, str) for value in values)
    assert MAX_TOGGLES <= 99


def test_counts_add_up_and_open_parts_come_first(wizard):
    """Counts are those of the policy; what waits is listed once, the largest part first; open cells lead the list of cells."""
    wizard.answer(wizard.next_screen(), ["half", "half", "most"])
    policy, groups = wizard.policy(), shown_groups(wizard.circles, "en")
    for item in policy.items:
        whole = count(policy, item.id, policy.friends)
        assert (whole.shown, whole.hidden, whole.undecided) == tuple(
            policy.counts(item.id)[decision] for decision in (Decision.ALLOW, Decision.DENY, Decision.ASK)
        )
        assert sum(count(policy, item.id, group.members).total for group in groups) == len(policy.friends)
    parts = open_parts(policy, policy.items, groups, "zh")
    assert sum(len(part.friends) for part in parts) == int(np.sum(policy.decisions == Decision.ASK))
    assert [len(part.friends) for part in parts] == sorted((len(part.friends) for part in parts), reverse=True)
    listed = cells(policy, [("phone", friend) for friend in policy.friends], "en")
    order = [cell.decision == "ask" for cell in listed]
    assert order == sorted(order, reverse=True)
    assert all(cell.reason.endswith(".") for cell in listed)
    assert {cell.decision for cell in listed} <= {*CELL_CHOICES, "ask"}


@pytest.mark.parametrize(
    ("decision", "item", "answer", "friends", "en", "zh"),
    [
        (
            "deny",
            "phone",
            "few",
            1,
            "You said few of your friends may see your phone number.",
            "您说过只有少数好友可以看到您的电话号码。",
        ),
        (
            *("deny", "email", "few", 1),
            "This goes by what you said about your phone number. You said few of your friends may see your phone number.",
            "这是根据您对电话号码的回答推断的。您说过只有少数好友可以看到您的电话号码。",
        ),
        (
            *("ask", "phone", "most", 1),
            "You said most of your friends may see your phone number. It is not clear yet whether Bo is among them.",
            "您说过大多数好友可以看到您的电话号码。还不清楚Bo是否在其中。",
        ),
        (
            *("ask", "phone", "everybody", 1),
            "You said everybody may see your phone number. That is not enough yet to be sure.",
            "您说过所有人都可以看到您的电话号码。但这还不足以确定。",
        ),
        (
            *("ask", "phone", "most", 3),
            "You said most of your friends may see your phone number. It is not clear yet which of these are among them.",
            "您说过大多数好友可以看到您的电话号码。还不清楚其中包括哪些人。",
        ),
    ],
)
def test_a_reason_says_what_it_rests_on(decision, item, answer, friends, en, zh):
    """A reason from another item says that it is one; where the wizard asks, it says what is open."""
    cell = Suggestion(item, "bo", Decision(decision), 0.4, Reason("audience", profile_item("phone"), "Bo", answer))
    assert (reason_text(cell, "en", friends), reason_text(cell, "zh", friends)) == (en, zh)


def test_a_photo_comes_from_where_it_may():
    """A photo is a picture in the profile or at a known origin; an address elsewhere, and what is no picture, is not loaded."""
    photo = "data:image/png;base64,iVBORw0KGgo="
    profiles = {"a": {"photo": photo}, "b": {"photo": "https://evil.example/x.png"}, "c": {"photo": "data:text/html;base64,AAAA"}}
    profiles["d"] = {"photo": ["https://photos.example.evil/d.jpg", "https://photos.example/d.jpg"]}
    wizard = Wizard(build_ego_network("me", "abcd", [], profiles), items=["phone"])
    groups = shown_groups(wizard.circles, "en")
    assert [face.photo for face in faces(wizard, groups).values()] == [photo, "", "", ""]
    known = faces(wizard, groups, ["https://photos.example"])
    assert [face.photo for face in known.values()] == [photo, "", "", "https://photos.example/d.jpg"]
