from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privwiz.answers import AUDIENCE_SHARES, CELL_CHOICES, CIRCLE_SHARES
from privwiz.circles import Circle
from privwiz.errors import DataError
from privwiz.items import CATALOGUE, profile_item
from privwiz.screens import KINDS, MAX_TOGGLES, Screen, Toggle, circle_phrase, disjoint_circles, propose

PHONE = profile_item("phone")
ANN, WORK = ("Ann", "安"), ("“Work” (Ann and Bo)", "“同事”（Ann和Bo）")
AUDIENCE = Toggle(PHONE, ("ann", "bo", "cy"), 0.2, (), 0.3, sure=True)
CIRCLE = Toggle(PHONE, ("ann", "bo"), "some", tuple(CIRCLE_SHARES), 0.3, sure=True, who=WORK)
FRIEND = Toggle(PHONE, ("ann",), "deny", CELL_CHOICES, 0.3, sure=True, who=ANN)


@pytest.mark.parametrize(
    ("toggle", "english", "chinese"),
    [
        (AUDIENCE, "How many of your friends may see your phone number?", "您的电话号码可以给多少好友看？"),
        (CIRCLE, "How many of “Work” (Ann and Bo) may see your phone number?", "“同事”（Ann和Bo）中，多少人可以看您的电话号码？"),
        (FRIEND, "May Ann see your phone number?", "安可以看您的电话号码吗？"),
    ],
    ids=["audience", "circle", "friend"],
)
def test_toggles_ask_in_both_languages(toggle, english, chinese):
    """A toggle asks about its item and its friend, circle or audience, in English and Chinese."""
    assert (toggle.text(), toggle.text("zh")) == (english, chinese)


@pytest.mark.parametrize(
    ("kind", "toggle", "about", "english", "chinese"),
    [
        ("audience", AUDIENCE, ("", ""), "How many of your friends may see each of these?", "下面每一项，可以给多少好友看？"),
        ("circle", CIRCLE, WORK, "What may “Work” (Ann and Bo) see?", "“同事”（Ann和Bo）可以看什么？"),
        ("item", CIRCLE, (PHONE.en, PHONE.zh), "Who may see your phone number?", "谁可以看您的电话号码？"),
        ("friend", FRIEND, ANN, "What may Ann see?", "安可以看什么？"),
        ("cell", FRIEND, ANN, "One question about Ann", "关于安的一个问题"),
    ],
)
def test_screens_have_a_heading_in_both_languages(kind, toggle, about, english, chinese):
    """Every kind of screen says what it is about, in English and Chinese."""
    screen = Screen(kind, (toggle,), about, 1.0, 1.0, 0)
    assert (screen.text(), screen.text("zh")) == (english, chinese)


@pytest.mark.parametrize("words", [FRIEND, Screen("cell", (FRIEND,), ANN, 1.0, 1.0, 0)], ids=["toggle", "screen"])
def test_other_languages_are_refused(words):
    """A language that the library does not speak is refused by name."""
    with pytest.raises(DataError, match=r"language 'fr' is not known; use 'en' \(English\) or 'zh'"):
        words.text("fr")


@pytest.mark.parametrize(
    ("toggle", "answer", "said"),
    [
        *((FRIEND, choice, choice) for choice in ("allow", "deny", "unsure", None)),
        *((CIRCLE, choice, choice) for choice in ("none", "some", "most", "all", "allow", "deny", "unsure", None)),
        *((AUDIENCE, word, share) for word, share in AUDIENCE_SHARES.items()),
        (AUDIENCE, "allow", AUDIENCE_SHARES["most"]),
        (AUDIENCE, "deny", AUDIENCE_SHARES["nobody"]),
        (AUDIENCE, 0, 0.0),
        (AUDIENCE, np.float32(0.25), 0.25),
        (AUDIENCE, "unsure", "unsure"),
        (AUDIENCE, None, None),
    ],
)
def test_legal_answers(toggle, answer, said):
    """A friend takes allow and deny, a circle its four levels too, an audience its words and shares; all take "unsure"."""
    assert toggle.read(answer) == said


@pytest.mark.parametrize(
    ("toggle", "answer"),
    [
        *((FRIEND, bad) for bad in ("all", "most", 0.5, 1, True, "", "Allow", ["allow"])),
        *((CIRCLE, bad) for bad in ("few", "everybody", 0.5, 0, False, b"all")),
        *((AUDIENCE, bad) for bad in ("all", "none", "some", -0.1, 1.1, float("nan"), True, "0.5", 1j)),
    ],
)
def test_illegal_answers(toggle, answer):
    """An answer that the toggle does not offer is refused, even where another kind of toggle would take it."""
    with pytest.raises(DataError, match="is not one of the choices: "):
        toggle.read(answer)


def test_the_message_lists_the_choices():
    """Whoever gives an illegal answer is told the legal ones."""
    with pytest.raises(DataError) as refused:
        CIRCLE.read("few")
    assert str(refused.value) == (
        "answer 'few' about 'phone' is not one of the choices: none, some, most, all, allow, deny, unsure, or None"
    )
    with pytest.raises(DataError) as refused:
        AUDIENCE.read("all")
    choices = "nobody, few, half, most, everybody, allow, deny, unsure, or a share 0..1, or None"
    assert str(refused.value) == f"answer 'all' about 'phone' is not one of the choices: {choices}"


def test_a_circle_that_lists_its_people_is_not_followed_by_them():
    """The people of a circle are named once: in its name, or after it."""
    members = ("a", "b", "c")
    by_people = Circle("c1", 0, members, "Circle of Ann, Bo and Cy", "Ann、Bo和Cy的圈子", lists_people=True)
    assert circle_phrase(by_people, ["Ann", "Bo", "Cy"]) == ("“Circle of Ann, Bo and Cy”", "“Ann、Bo和Cy的圈子”")
    assert circle_phrase(Circle("c1", 0, members, "Work", "同事"), ["Ann", "Bo", "Cy"])[0] == "“Work” (Ann, Bo and Cy)"


@st.composite
def groups_of_friends(draw):
    """Draw a number of friends and some groups of 2 or more of them, as sorted positions."""
    n = draw(st.integers(2, 40))
    group = st.sets(st.integers(0, n - 1), min_size=2).map(lambda members: tuple(sorted(members)))
    return n, draw(st.lists(group, max_size=30, unique=True))


@given(groups_of_friends())
def test_circles_asked_about_together_share_nobody(drawn):
    """Sets of circles for one item are disjoint, of 2 to 12 circles, and different."""
    n, groups = drawn
    sets = disjoint_circles(n, [np.array(group) for group in groups])
    assert len(set(sets)) == len(sets) <= 3
    for chosen in sets:
        assert 2 <= len(chosen) <= MAX_TOGGLES
        assert not any(set(groups[a]) & set(groups[b]) for a, b in combinations(chosen, 2))


@st.composite
def agendas(draw):
    """Draw the arguments of `propose`."""
    n, circles = draw(groups_of_friends())
    circles = [group for group in circles if len(group) < n]
    items = sorted(draw(st.sets(st.integers(0, 29), min_size=1)))
    groups = [*circles, tuple(range(n))]
    askable = [*groups, *((i,) for i in range(n))]
    shown = draw(st.frozensets(st.tuples(st.integers(0, 29), st.sampled_from(askable)), max_size=60))
    doubt = np.random.default_rng(draw(st.integers(0, 99))).random((30, n)) / 2
    return draw(st.sets(st.sampled_from(KINDS))), items, groups, len(circles), len(circles), shown, doubt


@given(agendas())
def test_what_is_proposed(agenda):
    """Proposals have the kinds and items asked for, at most 12 toggles of one shape, and nothing that was shown before."""
    kinds, items, groups, circles, _, shown, doubt = agenda
    n = doubt.shape[1]
    for proposal in propose(*agenda, np.random.default_rng(0)):
        assert proposal.kind in kinds
        assert 1 <= len(proposal.cells) == len(set(proposal.cells)) <= MAX_TOGGLES
        asked_items, asked_rows = ({cell[part] for cell in proposal.cells} for part in (0, 1))
        assert asked_items <= set(items)
        assert not shown & {(j, groups[row - n] if row >= n else (row,)) for j, row in proposal.cells}
        several = {"audience": n + circles, "circle": None, "friend": None, "cell": None, "item": None}
        assert proposal.kind == "item" or len(asked_rows) == 1
        assert proposal.kind != "item" or len(asked_items) == 1
        assert several[proposal.kind] in {None, *asked_rows}


@given(agendas())
def test_everything_not_shown_can_be_proposed(agenda):
    """Of the audience, and of each circle, every item that was not shown for it is in exactly one proposal of its kind."""
    _, items, groups, circles, everybody, shown, doubt = agenda
    n = doubt.shape[1]
    found = Counter(
        (proposal.kind, cell)
        for proposal in propose({"audience", "circle"}, items, groups, circles, everybody, shown, doubt, np.random.default_rng(0))
        for cell in proposal.cells
    )
    assert set(found.values()) <= {1}
    expected = {("circle", (j, n + g)) for g in range(circles) for j in items if (j, groups[g]) not in shown}
    nearly_all = {j for j, group in shown if len(group) > 0.8 * n}
    expected |= {("audience", (j, n + everybody)) for j in items if j not in nearly_all}
    assert set(found) == expected


def test_the_audience_is_not_asked_again_for_a_newcomer():
    """An audience asked before one of ten friends joined counts as asked; one asked before half of them joined does not."""
    friends = tuple(range(10))
    doubt = np.full((1, 10), 0.5)
    for asked, expected in ((9, 0), (5, 1)):
        shown = frozenset({(0, friends[:asked])})
        assert len(propose({"audience"}, [0], [friends], 0, 0, shown, doubt, np.random.default_rng(0))) == expected


def test_single_cells_include_those_most_in_doubt():
    """The cell most in doubt is always among those proposed, however many there are."""
    doubt = np.full((len(CATALOGUE), 100), 0.1)
    doubt[3, 77] = 0.4
    proposals = propose({"cell"}, range(len(CATALOGUE)), [], 0, None, frozenset(), doubt, np.random.default_rng(0))
    assert ((3, 77),) in {proposal.cells for proposal in proposals}
