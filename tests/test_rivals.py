"""Rivals: their limiting cases, slow oracles of their closed forms, and each of them behind the wizard."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privwiz import DataError, Wizard, rivals
from privwiz.graphs import build_ego_network
from privwiz.predictor import Known, Prediction, predict_checked
from privwiz.readers import read_ego_network
from privwiz.rivals import (
    OTHERS_COUNT,
    PULL,
    RIVALS,
    collaborative_propagation,
    friend_graph,
    label_propagation,
    majority,
    repeat_last,
)

PROPAGATIONS = [label_propagation, collaborative_propagation]
CLIQUES = [("a", "b"), ("a", "c"), ("b", "c"), ("d", "e"), ("d", "f"), ("e", "f")]


def known(network, said, rate=(0.5,)):
    """Say ``(item, friend, label)`` one after the other, of as many items as there are rates."""
    stated = np.zeros((len(rate), network.n), np.int8)
    for item, friend, label in said:
        stated[item, friend] = label
    cells = list(reversed(dict.fromkeys((item, friend) for item, friend, _ in reversed(said))))
    order = np.array([cell for cell in cells if abs(stated[cell]) == 1], np.intp).reshape(-1, 2)
    return Known(network, np.zeros((network.n, 0)), stated, order, np.array(rate, float))


@st.composite
def situations(draw, least=0):
    """Draw a network of up to 8 friends with ties, strengths and profiles, and answers about two items."""
    friends = "abcdefgh"[: draw(st.integers(least, 8))]
    pairs = [(one, other) for one in friends for other in friends if one < other]
    strength = st.sampled_from([1e-9, 0.5, 1.0, 3.0, 1e9])
    ties = draw(st.dictionaries(st.sampled_from(pairs), strength)) if pairs else {}
    towns = {friend: {"location": town} for friend in friends if (town := draw(st.sampled_from(["", "Rome", "Oslo"])))}
    network = build_ego_network("me", friends, [(*pair, weight) for pair, weight in ties.items()], towns)
    cells = st.tuples(st.integers(0, 1), st.integers(0, max(0, len(friends) - 1)), st.sampled_from([-1, 1, 2]))
    rate = draw(st.tuples(st.floats(0, 1), st.floats(0, 1)))
    return known(network, draw(st.lists(cells, max_size=12)) if friends else [], rate)


def rate_of(predictor, seen, item):
    """Return the rate that pulls, by its definition."""
    row = seen.stated[item].tolist()
    allow, deny = row.count(1), row.count(-1)
    if predictor is collaborative_propagation:
        return (OTHERS_COUNT * seen.prior_rate[item] + allow) / (OTHERS_COUNT + allow + deny)
    return (allow + 1) / (allow + deny + 2) if allow + deny else seen.prior_rate[item]


def harmonic(predictor, seen, item):
    """Solve for the harmonic function of one item by the equations of its definition."""
    weight = friend_graph(seen.network)
    told = np.abs(seen.stated[item]) == 1
    value = (seen.stated[item] == 1).astype(float)
    system = np.diag(weight.sum(axis=1) + PULL) - weight
    right = weight[np.ix_(~told, told)] @ value[told] + PULL * rate_of(predictor, seen, item)
    value[~told] = np.linalg.solve(system[np.ix_(~told, ~told)], right)
    return value


def risk(seen, item, cells):
    """Sum the risk of one item over some cells, by propagating anew."""
    f = collaborative_propagation(seen).probability[item, cells]
    return np.minimum(f, 1 - f).sum()


class TestEveryRival:
    """What holds for all of them."""

    @pytest.mark.parametrize("rival", RIVALS.values(), ids=RIVALS)
    @given(seen=situations())
    @settings(max_examples=60)
    def test_probabilities_for_every_cell(self, rival, seen):
        """Whatever the network and the answers, the check of predictors passes, and equal inputs give equal outputs."""
        first, second = predict_checked(rival, seen), predict_checked(rival, seen)
        np.testing.assert_array_equal(first.probability, second.probability)
        assert (first.worth is None) == (rival is not collaborative_propagation)
        if first.worth is not None:
            np.testing.assert_array_equal(first.worth, second.worth)
            assert (first.worth[seen.stated != 0] == 0).all()

    @pytest.mark.parametrize("rival", RIVALS.values(), ids=RIVALS)
    @given(seen=situations())
    @settings(max_examples=20)
    def test_without_answers_the_prior_rate(self, rival, seen):
        """An item without answers is as likely as it is for other users, for every friend."""
        untold = known(seen.network, [], seen.prior_rate)
        np.testing.assert_allclose(rival(untold).probability, np.repeat(seen.prior_rate[:, None], seen.network.n, 1), atol=1e-12)

    @pytest.mark.parametrize("rival", RIVALS.values(), ids=RIVALS)
    @pytest.mark.parametrize("label", [1, -1])
    def test_answers_that_agree_settle_the_item(self, rival, label):
        """Where all of more answers agree than other users count for, everybody is on that side, and the other item stays."""
        network = build_ego_network("me", "abcdefghij", CLIQUES)
        seen = known(network, [(0, friend, label) for friend in range(OTHERS_COUNT + 1)], (0.5 - 0.4 * label, 0.3))
        found = rival(seen).probability
        assert ((found[0] > 0.5) == (label == 1)).all()
        assert found[1] == pytest.approx(0.3)

    @pytest.mark.parametrize("rival", RIVALS.values(), ids=RIVALS)
    @given(seen=situations(), seed=st.integers(0, 99))
    @settings(max_examples=30)
    def test_the_order_of_friends_does_not_count(self, rival, seen, seed):
        """Renaming the friends so that they stand in another order moves the predictions along with them."""
        network = seen.network
        place = np.random.default_rng(seed).permutation(network.n)
        name = {friend: f"{place[i]:02}" for i, friend in enumerate(network.friends)}
        ties = [(name[one], name[other], data["weight"]) for one, other, data in network.graph.edges.data()] if network.n else []
        moved = build_ego_network("me", name.values(), ties, {name[friend]: dict(network.profiles[friend]) for friend in name})
        stated = np.empty_like(seen.stated)
        stated[:, place] = seen.stated
        order = np.array([(item, place[friend]) for item, friend in seen.order], np.intp).reshape(-1, 2)
        there = rival(Known(moved, seen.table, stated, order, seen.prior_rate))
        here = rival(seen)
        np.testing.assert_allclose(there.probability[:, place], here.probability, atol=1e-9)
        if here.worth is not None:
            np.testing.assert_allclose(there.worth[:, place], here.worth, atol=1e-8)


class TestSimpleRules:
    """`majority` and `repeat_last`."""

    def test_majority_counts(self):
        """Two of three answers that allow say (2 + 1) / (3 + 2); not sure is no answer."""
        network = build_ego_network("me", "abcde", [])
        said = [(0, 0, 1), (0, 1, 1), (0, 2, -1), (0, 3, 2)]
        assert majority(known(network, said)).probability == pytest.approx(3 / 5)

    def test_the_last_answer_counts(self):
        """The item follows its last answer in the order in which they were given, not in the order of the friends."""
        network = build_ego_network("me", "abc", [])
        found = repeat_last(known(network, [(0, 2, 1), (1, 0, -1), (0, 0, -1), (1, 2, 1)], (0.5, 0.5))).probability
        assert found[0] == pytest.approx(1 / 3)
        assert found[1] == pytest.approx(2 / 3)


class TestPropagation:
    """The harmonic functions."""

    @pytest.mark.parametrize("predictor", PROPAGATIONS)
    @given(seen=situations())
    @settings(max_examples=60)
    def test_equals_the_equations(self, predictor, seen):
        """The prediction solves the linear system of its definition, item by item."""
        expected = [harmonic(predictor, seen, item) for item in range(2)]
        np.testing.assert_allclose(predictor(seen).probability, expected, atol=1e-9)

    @pytest.mark.parametrize("predictor", PROPAGATIONS)
    def test_each_clique_gets_its_label(self, predictor):
        """One answer in each of two cliques settles its clique, and an answered cell is what was said."""
        network = build_ego_network("me", "abcdef", CLIQUES)
        found = predictor(known(network, [(0, 0, 1), (0, 3, -1)])).probability[0]
        assert found[:3].min() > 0.5 > found[3:].max()
        assert (found[0], found[3]) == (1, 0)

    @pytest.mark.parametrize("predictor", PROPAGATIONS)
    def test_profiles_reach_friends_without_ties(self, predictor):
        """Without any tie, a friend is more like one of the same town than like one of another."""
        towns = {friend: {"location": "Rome" if friend in "abc" else "Oslo"} for friend in "abcdef"}
        found = predictor(known(build_ego_network("me", "abcdef", [], towns), [(0, 0, 1), (0, 3, -1)])).probability[0]
        assert found[1] > 0.5 > found[4]

    def test_strong_ties_carry_more(self):
        """Between an allowed and a denied friend the stronger tie decides."""
        network = build_ego_network("me", "abc", [("a", "b", 3.0), ("b", "c", 1.0)])
        assert label_propagation(known(network, [(0, 0, 1), (0, 2, -1)])).probability[0, 1] > 0.5

    @given(situations())
    @settings(max_examples=40)
    def test_the_graph_is_a_graph(self, seen):
        """Weights are symmetric, not negative and finite, nobody is tied to oneself, and a tie weighs more than none would."""
        weight = friend_graph(seen.network)
        assert (weight == weight.T).all()
        assert np.isfinite(weight).all()
        assert (weight >= 0).all()
        assert not weight.diagonal().any()
        assert (weight[seen.network.adjacency.toarray() > 0] > 0).all()


class TestExpectedRisk:
    """What `collaborative_propagation` asks for."""

    @given(situations())
    @settings(max_examples=60)
    def test_equals_propagating_anew(self, seen):
        """The worth of a cell is the risk now less the risk after each answer, weighed by how likely the answer is."""
        found = collaborative_propagation(seen)
        for item, friend in zip(*np.nonzero(seen.stated == 0), strict=True):
            cells = np.flatnonzero(seen.stated[item] == 0)
            after = []
            for label in (-1, 1):
                stated = seen.stated.copy()
                stated[item, friend] = label
                after.append(risk(Known(seen.network, seen.table, stated, seen.order, seen.prior_rate), item, cells))
            chance = found.probability[item, friend]
            expected = risk(seen, item, cells) - (1 - chance) * after[0] - chance * after[1]
            assert found.worth[item, friend] == pytest.approx(expected, abs=1e-8)

    def test_a_large_clique_is_worth_more_than_a_friend_alone(self):
        """Of two friends equally in doubt, the one with many neighbours is asked first: uncertainty cannot tell them apart."""
        ties = [(one, other) for one in "abcde" for other in "abcde" if one < other]
        found = collaborative_propagation(known(build_ego_network("me", "abcdef", ties), []))
        assert np.ptp(found.probability) == pytest.approx(0)
        assert found.worth[0, 0] > found.worth[0, 5]

    def test_a_sample_of_the_cells_is_enough(self, monkeypatch):
        """Where the risk is summed over a sample only, it is scaled up, and ranks the cells nearly as the whole sum does."""
        rng = np.random.default_rng(0)
        friends = [f"{k:03}" for k in range(120)]
        ties = [
            (friends[i], friends[k]) for i in range(120) for k in range(i) if rng.random() < (0.3 if i % 4 == k % 4 else 0.01)
        ]
        seen = known(build_ego_network("me", friends, ties), [(0, i, 1 if i % 4 else -1) for i in range(12)])
        whole = collaborative_propagation(seen).worth[0, 12:]
        monkeypatch.setattr(rivals, "_MOST_TARGETS", 60)
        sample = collaborative_propagation(seen).worth[0, 12:]
        assert np.corrcoef(whole, sample)[0, 1] > 0.8
        assert sample.sum() == pytest.approx(whole.sum(), rel=0.2)


@pytest.fixture(scope="module")
def town():
    """Return one of the sample networks."""
    return read_ego_network(Path(__file__).parents[1] / "sample_graphs" / "snap")


class TestBehindTheWizard:
    """The same screens, toggles and answers as for the library's own model."""

    @pytest.mark.parametrize("strategy", ["expected-error", "uncertainty", "random"])
    @pytest.mark.parametrize("rival", RIVALS.values(), ids=RIVALS)
    def test_each_rival_plays(self, town, rival, strategy):
        """A rival asks about friends and cells, follows undo, and resumes from its saved form with the same next screen."""
        wizard = Wizard(town, ["phone", "photos", "city"], classifier=rival, strategy=strategy)
        before = wizard.policy().probability
        for kind in ("friend", "cell") * 3:
            screen = wizard.next_screen({kind})
            assert screen.kind == kind
            wizard.answer(screen, ["allow" if int(toggle.friends[0]) % 2 else "deny" for toggle in screen.toggles])
        again = Wizard.from_json(wizard.to_json(), town, classifier=rival)
        np.testing.assert_array_equal(again.policy().probability, wizard.policy().probability)
        assert again.next_screen() == wizard.next_screen()
        while wizard.undo():
            pass
        np.testing.assert_array_equal(wizard.policy().probability, before)

    def test_a_saved_rival_has_to_be_given_again(self, town):
        """A predictor is saved as one of the caller's own, which the file does not hold."""
        with pytest.raises(DataError, match="with a classifier of your own; pass it again"):
            Wizard.from_json(Wizard(town, ["phone"], classifier=majority).to_json(), town)

    def test_the_order_in_which_cells_were_said(self):
        """A predictor sees each cell once, where it was last said, and not those left open."""
        seen = []
        network = build_ego_network("me", "abcd", [])
        wizard = Wizard(network, ["phone", "city"], classifier=lambda known: seen.append(known) or majority(known))
        for item, friends, decision in [
            ("phone", "b", "allow"),
            ("city", "cd", "deny"),
            ("phone", "a", "allow"),
            ("city", "c", "unsure"),
            ("phone", "b", "deny"),
        ]:
            wizard.label(item, list(friends), decision)
        wizard.policy()
        assert seen[-1].order.tolist() == [[1, 3], [0, 0], [0, 1]]

    def test_an_answer_for_a_whole_group_replaces_those_within(self):
        """After an answer for each of several friends, an earlier one about one of them counts no more, also not its place."""
        seen = []
        network = build_ego_network("me", "abc", [])
        wizard = Wizard(network, ["phone"], classifier=lambda known: seen.append(known) or repeat_last(known))
        for friends, decision in ("b", "deny"), ("c", "deny"), ("ab", "allow"):
            wizard.label("phone", list(friends), decision)
        wizard.policy()
        assert seen[-1].order.tolist() == [[0, 2], [0, 0], [0, 1]]
        assert seen[-1].stated.tolist() == [[1, 1, -1]]

    @pytest.mark.parametrize("strategy", ["expected-error", "uncertainty"])
    def test_the_worth_of_its_own_decides(self, strategy):
        """The screen whose cells are worth most together is asked, and its gain is that sum; without a worth doubt decides."""

        def choosy(known):
            probability = np.full(known.stated.shape, 0.9)
            probability[:, 2] = 0.5
            worth = np.zeros(known.stated.shape)
            worth[:, 1] = 3.0
            return Prediction(probability, worth)

        network = build_ego_network("me", "abcd", [])
        screen = Wizard(network, ["phone", "city"], classifier=choosy, strategy=strategy).next_screen({"friend"})
        assert (screen.toggles[0].friends, screen.gain) == (("b",), 6.0)
        doubtful = Wizard(network, ["phone", "city"], classifier=lambda known: Prediction(choosy(known).probability))
        assert doubtful.next_screen({"friend"}).toggles[0].friends == ("c",)

    @pytest.mark.parametrize(
        ("probability", "worth", "message"),
        [
            (np.full((1, 3), 0.5), None, r"a probability of shape \(1, 3\); it must be \(1, 2\), one for each cell"),
            (np.array([[0.5, np.nan]]), None, "a probability that is not a finite number from 0 to 1"),
            (np.array([[0.5, 1.5]]), None, "a probability that is not a finite number from 0 to 1"),
            (np.full((1, 2), 0.5), np.zeros(2), r"a worth of shape \(2,\); it must be \(1, 2\), one for each cell"),
            (np.full((1, 2), 0.5), np.array([[0, np.inf]]), "a worth that is not a finite number$"),
        ],
    )
    def test_what_is_no_prediction_is_refused(self, probability, worth, message):
        """A predictor that gives anything but a probability for every cell, and a finite worth, is an error that says so."""
        wizard = Wizard(build_ego_network("me", "ab", []), ["phone"], classifier=lambda _: Prediction(probability, worth))
        with pytest.raises(DataError, match=message):
            wizard.policy()

    @pytest.mark.parametrize("rival", RIVALS.values(), ids=RIVALS)
    def test_friends_come_and_go(self, rival):
        """A rival judges a new friend by its ties, and a user may lose every friend."""
        wizard = Wizard(build_ego_network("me", "abcdef", CLIQUES), ["phone"], classifier=rival)
        wizard.label("phone", ["a", "b", "c"], "allow")
        wizard.label("phone", ["d", "e", "f"], "deny")
        wizard.add_friend("g", ties=["a", "b", "c"])
        if rival in PROPAGATIONS:
            assert wizard.policy()["phone", "g"].probability > 0.5
        for friend in "abcdefg":
            wizard.remove_friend(friend)
        assert len(wizard.policy()) == 0
        assert wizard.next_screen() is None
