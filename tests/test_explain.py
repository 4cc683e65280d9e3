from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privwiz import Wizard
from privwiz.answers import UNSURE, Answer, Entry, evidence
from privwiz.belief import believe, lay_out
from privwiz.circles import find_circles
from privwiz.explain import explain_untold
from privwiz.graphs import build_ego_network
from privwiz.items import profile_items
from privwiz.prior import Prior
from privwiz.words import nearest_audience

ITEMS = profile_items(["phone", "city"])
IDS = [item.id for item in ITEMS]
CLUBS = {club: [f"{club}{k}" for k in range(5)] for club in "abc"}
FRIENDS = [friend for members in CLUBS.values() for friend in members]
TIES = [(one, other) for members in CLUBS.values() for one in members for other in members if one < other]
PROFILES = {friend: {"school": {"a": "PKU", "b": "MIT", "c": "ETH"}[friend[0]]} for friend in FRIENDS}
NETWORK = build_ego_network("me", [*FRIENDS, "loner"], [*TIES, ("a0", "b0")], PROFILES)
CIRCLES = find_circles(NETWORK)

answers = st.one_of(
    st.tuples(st.just(tuple(NETWORK.friends)), st.sampled_from([0.0, 0.2, 0.5, 0.8, 1.0, UNSURE]), st.just(value=False)),
    st.tuples(
        st.sampled_from([tuple(members) for members in CLUBS.values()] + [("a0", "c3"), ("b1",)]),
        st.sampled_from(["none", "some", "most", "all", "allow", "deny", UNSURE]),
        st.just(value=False),
    ),
    st.tuples(
        st.lists(st.sampled_from(NETWORK.friends), min_size=1, max_size=6, unique=True).map(tuple),
        st.sampled_from(["allow", "deny", UNSURE]),
        st.just(value=True),
    ),
)
logs = st.lists(st.tuples(st.sampled_from(IDS), answers), max_size=8)


def belief_of(log):
    """Return the belief after answers (item, (friends, value, each))."""
    entries = [Entry("label", (Answer(item, friends, value, each),)) for item, (friends, value, each) in log]
    said = evidence(entries, IDS, NETWORK.friends)
    return believe(lay_out(NETWORK, CIRCLES, Prior.default(), ITEMS, said.groups), said)


def slow_sums(belief, item, friend):
    """Add up, answer by answer and pair by pair, what can be said for the guess of a cell; also return the prior's part."""
    model, posterior, n = belief.layout.model, belief.posterior, NETWORK.n
    told = [answer for answer in belief.said.answers if answer[2] != UNSURE]
    terms = []
    for k in range(len(told)):
        row, about = int(posterior.observations.row[k]), int(posterior.observations.item[k])
        covariance = model.shared[row, friend] + (about == item) * model.specific[row, friend]
        covariance += model.trust * model.mean[about, row] * model.mean[item, friend]
        terms.append(float(covariance * posterior.dual[k]))
    prior = float(model.mean[item, friend])
    way = 1 if prior + sum(terms) > 0 else -1
    circles = [set(circle.members) for circle in belief.layout.circles]
    sums = defaultdict(float)
    for (about, members, value, each), term in zip(told, terms, strict=True):
        yes = value in ("allow", "all", "most") or (not isinstance(value, str) and value > 0.5)
        no = value in ("deny", "none") or (not isinstance(value, str) and value < 0.5)
        if term * way <= 0 or (yes and way < 0) or (no and way > 0):
            continue
        tied = set(NETWORK.neighbors(friend).tolist())
        name = NETWORK.friends[friend]
        near = [
            i for i in members if i != friend and (i in tied or any({name, NETWORK.friends[i]} <= circle for circle in circles))
        ]
        if not isinstance(value, str):
            sums["audience", about, nearest_audience(value)] += term * way
        elif len(members) > 1 and friend in members:
            sums["circle", about, value, members] += term * way
        elif each and near:
            sums["friends", about, value] += term * way * len(near) / len(members)
    assert n == len(model.mean[0]) - len(belief.layout.groups)
    return dict(sums), prior * way


@given(logs)
@settings(max_examples=60)
def test_the_reason_is_the_largest_sum(log):
    """The reason is what moved the cell most, found again by a slow loop: of its own item if anything did, else of others."""
    belief = belief_of(log)
    policy = belief.policy()
    for cell in policy:
        reason, item, friend = cell.reason, IDS.index(cell.item), NETWORK.index(cell.friend)
        if reason.kind in ("own", "unsure") or belief.said.closed[item, friend]:
            continue
        sums, prior = slow_sums(belief, item, friend)
        if reason.kind == "prior":
            assert max(sums.values(), default=0.0) <= max(prior, 0.0) + 1e-5
        else:
            given = [
                total for subject, total in sums.items() if subject[:3] == (reason.kind, IDS.index(reason.item.id), reason.answer)
            ]
            own = [total for subject, total in sums.items() if subject[1] == item]
            assert max(given) == pytest.approx(max(own or sums.values()), abs=1e-5)
            assert max(sums.values()) >= prior - 1e-5


@given(logs)
@settings(max_examples=60)
def test_every_reason_is_true(log):
    """Every cell has a reason in both languages; friends named are close and were answered so; a circle named has the friend."""
    belief = belief_of(log)
    names = {circle.name: circle.members for circle in CIRCLES}
    said = {(item, friend, value) for item, (friends, value, each) in log if each for friend in friends}
    for cell in belief.policy():
        reason = cell.reason
        assert reason.text("en")
        assert reason.text("zh")
        friend = NETWORK.index(cell.friend)
        if reason.kind == "friends":
            assert 1 <= len(set(reason.friends)) == len(reason.friends) <= 3
            for near in reason.friends:
                assert belief.layout.close[friend, NETWORK.index(near)]
                assert (reason.item.id, near, reason.answer) in said
        elif reason.kind == "circle":
            assert all(reason.circle)
            assert cell.friend in names.get(reason.circle[0], (cell.friend,))


@settings(max_examples=30)
@given(logs)
def test_the_reasons_of_one_friend(log):
    """Explained by themselves, the cells of a friend have the reasons that they have among all."""
    belief = belief_of(log)
    everybody = belief.policy()
    for number, friend in enumerate(NETWORK.friends):
        alone = belief.policy([number])
        assert [alone[item, friend] for item in IDS] == [everybody[item, friend] for item in IDS]


def test_a_loner_is_close_to_nobody():
    """Answers about others are no "friends close to" a friend without ties or circles, however much they moved the guess."""
    belief = belief_of([("phone", (tuple(FRIENDS), "deny", True))])
    assert belief.policy()["phone", "loner"].reason.kind == "prior"


def test_friends_are_named_by_weight():
    """Of close friends the one whose answer moved the cell most is named first: one of the same circle before one only tied."""
    policy = belief_of([("phone", (("b0",), "deny", True)), ("phone", (("a1",), "deny", True))]).policy()
    assert policy["phone", "a0"].reason.friends == ("a1", "b0")


def test_only_close_friends_are_named():
    """Of an answer about several people at once, those who are close are named and the others not."""
    policy = belief_of([("phone", (("c0", "b1"), "deny", True))]).policy()
    assert policy["phone", "b2"].reason.friends == ("b1",)


def test_a_closed_cell_rests_on_the_answer_that_closed_it():
    """Whoever is hidden because nobody in the circle may see the item is told so, whatever else moved the guess."""
    log = [("phone", (tuple(CLUBS["a"]), "none", False)), ("phone", (tuple(CLUBS["a"][:4]), "allow", True))]
    reason = belief_of(log).policy()["phone", "a4"].reason
    assert str(reason) == "a4 is in “PKU”; you said nobody there may see your phone number."
    reason = belief_of([("phone", (NETWORK.friends, 0.0, False))]).policy()["phone", "a4"].reason
    assert str(reason) == "You said nobody may see your phone number."


def test_a_group_that_is_no_circle_is_called_by_its_people():
    """An answer about a group that has no name any more names its people, in both languages."""
    reason = belief_of([("phone", (("a0", "c3"), "none", False))]).policy()["phone", "a0"].reason
    assert reason.circle == ("Circle of a0 and c3", "a0和c3的圈子")
    assert str(reason) == "a0 is in “Circle of a0 and c3”; you said nobody there may see your phone number."


def test_without_answers_everything_is_a_first_guess():
    """The reason of every cell is the prior until something is said."""
    assert {cell.reason.kind for cell in belief_of([]).policy()} == {"prior"}


def test_untold_reasons():
    """A model that can give no reasons calls every cell a first guess."""
    reason = explain_untold(ITEMS, NETWORK.friends)(1, 2)
    assert (reason.kind, reason.item.id, reason.friend) == ("prior", "city", NETWORK.friends[2])


def test_every_kind_of_reason_on_a_real_run():
    """One run of the wizard gives reasons of all six kinds, each a sentence in English and in Chinese."""
    wizard = Wizard(NETWORK, items=["phone", "city", "work"])
    wizard.answer(wizard.next_screen(), ["few", "everybody", "half"])
    screen = wizard.next_screen({"circle"}, least_gain=0)
    wizard.answer(screen, ["none", "all", "all"])
    wizard.label("phone", ["c0", "c1", "b0", "a0"], "deny")
    wizard.label("city", "a0", "unsure")
    wizard.label("work", ["c0", "b0"], "deny")
    cells = list(wizard.policy())
    texts = {cell.reason.kind: (cell.reason.text("en"), cell.reason.text("zh")) for cell in cells}
    assert {"own", "unsure", "circle", "friends", "audience"} <= set(texts)
    assert all(english.endswith(".") and chinese.endswith("。") for english, chinese in texts.values())
