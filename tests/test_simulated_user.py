"""The simulated user: says the truth, but for its habits; and what a tap is."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privwiz.answers import CELL_CHOICES
from privwiz.errors import DataError
from privwiz.graphs import build_ego_network
from privwiz.items import profile_items
from privwiz.screens import Toggle
from privwiz.simulate import SimulatedPolicy
from privwiz.simulated_user import Habits, SimulatedUser
from privwiz.wizard import Wizard

FRIENDS = tuple(f"f{k:02}" for k in range(20))
ITEMS = profile_items(["phone", "city"])
PHONE, CITY = ITEMS
EXACT = Habits(slip=0, share_deviation=0, level_slip=0)
LEVELS = ("none", "some", "most", "all")
FORMS = {"friend": CELL_CHOICES, "circle": LEVELS, "audience": ()}

seeds = st.integers(0, 10_000)


def policy(allowed=7):
    """Return the policy that shows the phone to the first so many friends, and the city to the others."""
    allow = np.arange(20) < allowed
    table = np.array([allow, ~allow])
    return SimulatedPolicy(ITEMS, FRIENDS, table, table, "me")


def about(form, friends=FRIENDS, guess=None, item=PHONE):
    """Return a toggle of this form about these friends."""
    default = {"friend": "deny", "circle": "none", "audience": 0.0}[form]
    return Toggle(item, tuple(friends), default if guess is None else guess, FORMS[form], 0.5, sure=False)


@st.composite
def toggles(draw):
    """Draw a toggle of any form about some friends, with any guess."""
    form = draw(st.sampled_from(sorted(FORMS)))
    most = 1 if form == "friend" else 20
    friends = draw(st.lists(st.sampled_from(FRIENDS), min_size=1, max_size=most, unique=True))
    guess = draw(st.sampled_from(FORMS[form]) if FORMS[form] else st.floats(0, 1))
    return about(form, friends, guess, draw(st.sampled_from(ITEMS)))


@given(st.integers(0, 20), st.sampled_from(FRIENDS), seeds)
def test_without_slips_a_friend_gets_the_truth(allowed, friend, seed):
    """Without slips the answer about one friend is what the policy decides, of each item for itself."""
    user = SimulatedUser(policy(allowed), seed, EXACT)
    shown = FRIENDS.index(friend) < allowed
    assert user.answer(about("friend", [friend])) == ("allow" if shown else "deny")
    assert user.answer(about("friend", [friend], item=CITY)) == ("deny" if shown else "allow")


@pytest.mark.parametrize(
    ("allowed", "level", "share"),
    [
        (0, "none", 0.0),
        (1, "none", 0.0),
        (2, "none", 0.2),
        (3, "none", 0.2),
        (4, "some", 0.2),
        (6, "some", 0.2),
        (8, "some", 0.5),
        (10, "some", 0.5),
        (11, "most", 0.5),
        (12, "most", 0.5),
        (14, "most", 0.8),
        (16, "most", 0.8),
        (18, "all", 0.8),
        (19, "all", 1.0),
        (20, "all", 1.0),
    ],
)
def test_without_slips_a_group_gets_its_share(allowed, level, share):
    """A circle changes its word above shares of 15, 50 and 85 %, an audience above 6, 35, 65 and 94 %."""
    user = SimulatedUser(policy(allowed), 0, EXACT)
    assert user.answer(about("circle")) == level
    assert user.answer(about("audience")) == share


def test_a_group_is_its_members():
    """The share is that of the members, not of all friends."""
    user = SimulatedUser(policy(7), 0, EXACT)
    assert [user.answer(about("circle", FRIENDS[start : start + 5])) for start in (0, 5, 10)] == ["all", "some", "none"]


@given(st.lists(toggles(), max_size=8), seeds, st.sampled_from([EXACT, Habits(), Habits(0.5, 0.3, 0.5)]))
def test_taps_are_answers_that_differ_from_the_guess(shown, seed, habits):
    """A tap is counted where the answer is not what the toggle guessed, and nowhere else; every answer is one that it takes."""
    user = SimulatedUser(policy(), seed, habits)
    said = [user.answer(toggle) for toggle in shown]
    assert user.taps == sum(value != toggle.guess for value, toggle in zip(said, shown, strict=True))
    assert [toggle.read(value) for value, toggle in zip(said, shown, strict=True)] == said


@given(st.lists(toggles(), max_size=8), seeds, st.floats(0, 1))
def test_who_overlooks_all_never_taps(shown, seed, slip):
    """With overlook = 1 every guess is left as it is, at no tap."""
    user = SimulatedUser(policy(), seed, Habits(slip=slip, overlook=1))
    assert [user.answer(toggle) for toggle in shown] == [toggle.guess for toggle in shown]
    assert user.taps == 0


@given(st.integers(0, 20), st.sampled_from(FRIENDS), seeds)
def test_who_always_slips_is_always_wrong_about_a_friend(allowed, friend, seed):
    """With slip = 1 the answer about one friend is the opposite of what the policy decides."""
    user = SimulatedUser(policy(allowed), seed, Habits(slip=1))
    assert user.answer(about("friend", [friend])) == ("deny" if FRIENDS.index(friend) < allowed else "allow")


@given(st.integers(0, 20), seeds)
def test_a_level_slip_is_one_level(allowed, seed):
    """With level_slip = 1 the answer about a circle is one level off, or stays at the end of the scale; audiences do not slip."""
    exact, other = SimulatedUser(policy(allowed), seed, EXACT), SimulatedUser(policy(allowed), seed, Habits(0, 0, 1))
    true, said = (LEVELS.index(user.answer(about("circle"))) for user in (exact, other))
    assert abs(said - true) == 1 or said == true in (0, 3)
    assert exact.answer(about("audience")) == other.answer(about("audience"))


@given(st.lists(toggles(), max_size=10), seeds)
@settings(max_examples=50)
def test_equal_seeds_give_equal_answers(shown, seed):
    """Equal seeds and toggles give equal answers and taps, whatever the habits."""
    habits = Habits(0.5, 0.5, 0.5, 0.5)
    one, other = (SimulatedUser(policy(), seed, habits) for _ in range(2))
    assert [one.answer(toggle) for toggle in shown] == [other.answer(toggle) for toggle in shown]
    assert one.taps == other.taps


def test_slips_are_as_frequent_as_they_should_be():
    """Of 2000 answers about friends a fifth are wrong with slip = 0.2, and half of the wrong guesses stay with overlook = 0.5."""
    user = SimulatedUser(policy(20), 3, Habits(slip=0.2))
    assert np.mean([user.answer(about("friend", ["f00"])) == "deny" for _ in range(2000)]) == pytest.approx(0.2, abs=0.03)
    user = SimulatedUser(policy(20), 3, Habits(slip=0, overlook=0.5))
    assert np.mean([user.answer(about("friend", ["f00"])) == "deny" for _ in range(2000)]) == pytest.approx(0.5, abs=0.04)
    assert user.taps == pytest.approx(1000, abs=80)


def test_a_share_is_as_uncertain_as_it_should_be():
    """Of 2000 answers about an audience of which half allow, those off by a word are as many as the deviation makes."""
    user = SimulatedUser(policy(10), 3, Habits(share_deviation=0.15))
    said = [user.answer(about("audience")) for _ in range(2000)]
    assert np.mean([value == 0.5 for value in said]) == pytest.approx(0.683, abs=0.04)
    assert np.mean([value > 0.5 for value in said]) == pytest.approx(0.159, abs=0.03)


@pytest.mark.parametrize("name", ["slip", "level_slip", "overlook"])
@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan")])
def test_habits_that_cannot_be_are_refused(name, value):
    """A probability of a habit lies between 0 and 1."""
    with pytest.raises(DataError) as error:
        Habits(**{name: value})
    assert str(error.value) == f"{name} of a simulated user is {value!r}; it must lie in 0..1"


@pytest.mark.parametrize("value", [-0.1, float("nan")])
def test_a_deviation_that_cannot_be_is_refused(value):
    """The deviation of a share is 0 or more, and may be above 1."""
    with pytest.raises(DataError) as error:
        Habits(share_deviation=value)
    assert str(error.value) == f"share_deviation of a simulated user is {value!r}; it must lie in 0..inf"
    assert Habits(share_deviation=2).share_deviation == 2


@pytest.mark.parametrize("toggle", [about("friend", ["nobody"]), about("circle", ["f00", "nobody"])])
def test_who_is_not_in_the_policy_cannot_be_asked_about(toggle):
    """A toggle about somebody, or something, that the policy does not have is a KeyError, and no tap."""
    user = SimulatedUser(policy())
    with pytest.raises(KeyError):
        user.answer(toggle)
    with pytest.raises(KeyError):
        user.answer(about("friend", ["f00"], item=profile_items(["wall"])[0]))
    assert user.taps == 0


def test_a_wizard_learns_what_an_exact_user_says():
    """After an exact user answered all there is to ask about single friends, the policy is the user's."""
    truth = policy()
    wizard, user = Wizard(build_ego_network("me", FRIENDS, []), ITEMS), SimulatedUser(truth, 0, EXACT)
    while (screen := wizard.next_screen({"friend"}, least_gain=0)) is not None:
        wizard.answer(screen, [user.answer(toggle) for toggle in screen.toggles])
    assert [(cell.item, cell.friend, cell.decision) for cell in wizard.policy()] == list(truth.cells())
