"""A learning curve holds what a wizard believes after so many screens, so much effort or so many answers, and no later."""

import networkx as nx
import numpy as np
import pytest

from privwiz.errors import DataError
from privwiz.graphs import ego_network
from privwiz.learning_curve import ITEM, MATRIX, play
from privwiz.simulate import simulate_policy
from privwiz.simulated_user import Habits, SimulatedUser
from privwiz.wizard import Wizard

NETWORK = ego_network(nx.karate_club_graph(), 33)
POLICY = simulate_policy(NETWORK, [NETWORK.friends[:8], NETWORK.friends[6:12]], "mixed", seed=1)
ITEMS = ["phone", "photos", "city"]


def wizard(items=ITEMS, **given):
    """Return a wizard that was told nothing."""
    return Wizard(NETWORK, items, seed=0, **given)


def by_hand(kinds, most, items=ITEMS):
    """Play without `play`; return screens, taps, belief after each screen, the state before the first one first."""
    told, user = wizard(items), SimulatedUser(POLICY, 5)
    states = [(0, 0, told.belief())]
    while len(states) <= most and (screen := told.next_screen(kinds, least_gain=0)) is not None:
        told.answer(screen, [user.answer(toggle) for toggle in screen.toggles])
        states.append((len(states), user.taps, told.belief()))
    return states


def same(point, state):
    """Whether a checkpoint shows this state."""
    screens, taps, belief = state
    return (point.screens, point.taps) == (screens, taps) and np.array_equal(point.probability, belief.probability)


def test_screens_are_counted_one_by_one():
    """The checkpoint of k screens shows what is believed after k screens, whatever the other checkpoints are."""
    states = by_hand(["audience", "circle", "friend"], 6)
    points = list(play(wizard(), SimulatedUser(POLICY, 5), {"screens": [6, 0, 2]}, kinds=["audience", "circle", "friend"]))
    assert [point.at for point in points] == [0, 2, 6]
    assert all(same(point, states[point.at]) for point in points)


def test_effort_is_the_last_state_that_does_not_exceed_it():
    """Screens and taps together are at most the effort, and with the next screen they would be more."""
    states = by_hand(["audience", "friend"], 12)
    spent = [screens + taps for screens, taps, _ in states]
    for point in play(wizard(), SimulatedUser(POLICY, 5), {"effort": range(13)}, kinds=["audience", "friend"]):
        assert same(point, states[max(k for k, effort in enumerate(spent) if effort <= point.at)])


def test_the_last_state_stands_for_all_later_checkpoints():
    """Where nothing is left to ask, later checkpoints show the last state, and what was really spent."""
    states = by_hand(["audience"], 99)
    assert len(states) == 2
    points = list(play(wizard(), SimulatedUser(POLICY, 5), kinds=["audience"]))
    assert len(points) == sum(map(len, MATRIX.values()))
    assert all(same(point, states[-1]) for point in points)


def test_cheap_screens_go_on_past_the_last_screen_checkpoint():
    """Who is asked one thing at a time is asked until the last effort is spent too."""
    points = list(play(wizard(), SimulatedUser(POLICY, 5), {"screens": [3], "effort": [20]}, kinds=["cell"]))
    effort = next(point for point in points if point.unit == "effort")
    assert effort.screens > 3
    assert 19 <= effort.screens + effort.taps <= 20


def test_nothing_is_asked_beyond_the_last_checkpoint():
    """The wizard has been told exactly what the last checkpoint counts."""
    told = wizard()
    list(play(told, SimulatedUser(POLICY, 5), {"screens": [2, 4]}))
    assert len(told.log) == 4


def test_no_checkpoint_no_question():
    """Without checkpoints nothing happens."""
    told = wizard()
    assert list(play(told, SimulatedUser(POLICY, 5), {"screens": []})) == []
    assert told.log == ()


def test_an_answer_about_one_item():
    """With one item and one friend, circle or audience at a time, as many toggles are answered as there are answers."""
    told = wizard(["phone"])
    points = list(play(told, SimulatedUser(POLICY, 5), ITEM, kinds=["audience", "circle", "cell"]))
    assert [(point.at, point.screens) for point in points[:8]] == [(at, at) for at in ITEM["answers"][:8]]
    assert sum(len(entry.answers) for entry in told.log) == len(told.log) == points[-1].screens


def test_only_single_cells_count_as_asked():
    """Cells that audience and circle screens are about have not been asked one by one; friends' and single cells have."""
    (group,) = play(wizard(), SimulatedUser(POLICY, 5), {"screens": [4]}, kinds=["audience", "circle"])
    assert not group.asked.any()
    (friends,) = play(wizard(), SimulatedUser(POLICY, 5), {"screens": [4]}, kinds=["friend"])
    assert friends.asked.sum() == 4 * len(ITEMS)


def test_the_users_own_answers_do_not_overrule_the_belief():
    """The probability of an asked cell is what the model believes of it, not what was said."""
    (point,) = play(wizard(), SimulatedUser(POLICY, 5), {"screens": [3]}, kinds=["friend"])
    assert ((point.probability[point.asked] > 0) & (point.probability[point.asked] < 1)).all()


def test_any_classifier_can_play():
    """A classic classifier plays behind the same screens."""
    told = wizard(classifier="tree", strategy="random")
    points = list(play(told, SimulatedUser(POLICY, 5), {"screens": [1, 5]}))
    assert [point.probability.shape for point in points] == [(3, NETWORK.n)] * 2


def test_overlooked_guesses_cost_nothing():
    """A user who overlooks every wrong guess spends screens only."""
    points = list(play(wizard(), SimulatedUser(POLICY, 5, Habits(overlook=1)), {"screens": [5], "effort": [5]}))
    assert [(point.screens, point.taps) for point in points] == [(5, 0), (5, 0)]


@pytest.mark.parametrize("checkpoints", [{"minutes": [1]}, {"screens": [-1, 3]}])
def test_checkpoints_that_are_none(checkpoints):
    """An unknown unit or a negative point is an error that names it."""
    with pytest.raises(DataError, match=r"minutes|-1"):
        list(play(wizard(), SimulatedUser(POLICY, 5), checkpoints))
