from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import balanced_accuracy_score, brier_score_loss, f1_score, roc_auc_score

from privwiz.decisions import STATED, Decision, decide, threshold
from privwiz.errors import DataError
from privwiz.items import CATALOGUE
from privwiz.metrics import (
    BINS,
    METRICS,
    ItemScore,
    bootstrap,
    item_scores,
    paired_bootstrap,
    ranking,
    summarise,
)

LIMIT = threshold(5)
COUNTS = [part.name for part in fields(ItemScore) if part.name.startswith(("true_", "false_"))]
SET = [part.name for part in fields(ItemScore) if part.name.startswith("set_")]

# Multiples of 1/8, so that ties, one half and the bins' edges happen.
chances = st.integers(0, 8).map(lambda eighths: eighths / 8) | st.floats(0, 1)
cells = st.lists(st.tuples(chances, st.booleans()), min_size=1, max_size=30)


def score_of(*pairs):
    """Return the score of one item whose cells are pairs (probability, truth), all of them counted."""
    probability, allow = (np.array([pairs], dtype=float).reshape(1, -1, 2)[..., k] for k in (0, 1))
    return item_scores(probability, allow == 1, np.full(probability.shape, fill_value=True), np.array([LIMIT]))[0]


def simulated(users, seed, skill=0.7):
    """Return the scores of two items of each of several users whose levels differ, and which user each score is of."""
    rng = np.random.default_rng(seed)
    scores = []
    for _ in range(users):
        allow = rng.random((2, 40)) < rng.uniform(0.1, 0.9)
        probability = np.where(rng.random(allow.shape) < rng.uniform(skill - 0.2, skill + 0.2), allow, ~allow) * 0.8 + 0.1
        scores += item_scores(probability, allow, np.full(allow.shape, fill_value=True), np.full(2, LIMIT))
    return scores, [k // 2 for k in range(2 * users)]


def same(first, second):
    """Whether two results are equal, NaN being equal to itself."""
    return first.keys() == second.keys() and np.array_equal(list(first.values()), list(second.values()), equal_nan=True)


def test_the_counts_of_a_small_example():
    """Every count of an example that can be worked out by hand."""
    # allowed: 0.95 shown, 0.7 asked, 0.3 hidden; denied: 0.9 shown, 0.5 asked, 0.05 hidden
    score = score_of((0.95, 1), (0.7, 1), (0.3, 1), (0.9, 0), (0.5, 0), (0.05, 0))
    assert score.nontrivial
    assert score.cells == 6
    assert [getattr(score, name) for name in COUNTS] == [2, 2, 1, 1]
    assert [getattr(score, name) for name in SET] == [1, 1, 1, 1]
    assert score.ask == 2
    # Of the nine pairs the allowed one is ahead in: 0.95 of all 3, 0.7 of 2, 0.3 of 1.
    assert score.auc == pytest.approx(6 / 9)
    assert score.brier == pytest.approx(0.05**2 + 0.3**2 + 0.7**2 + 0.9**2 + 0.5**2 + 0.05**2)
    assert score.bin_count == (1, 0, 0, 1, 0, 1, 0, 1, 0, 2)
    assert score.bin_allowed == (0, 0, 0, 1, 0, 0, 0, 1, 0, 1)
    assert score.bin_probability == pytest.approx((0.05, 0, 0, 0.3, 0, 0.5, 0, 0.7, 0, 1.85))


def test_what_a_small_example_amounts_to():
    """Every metric of the same example, from its definition."""
    found = summarise([score_of((0.95, 1), (0.7, 1), (0.3, 1), (0.9, 0), (0.5, 0), (0.05, 0))])
    assert found["accuracy"] == found["balanced_accuracy"] == pytest.approx(1 / 2)
    assert found["minority_f1"] == pytest.approx(2 * 1 / (2 * 1 + 2 + 1))  # deny, of two equally frequent classes
    assert found["false_allow"] == pytest.approx(2 / 3)
    # |sum of probability - allowed| over the six cells, in the bins of 0.05, 0.3, 0.5, 0.7 and 0.9
    assert found["calibration_error"] == pytest.approx((0.05 + 0.7 + 0.5 + 0.3 + 0.85) / 6)
    assert found["set_share"] == pytest.approx(4 / 6)
    assert found["set_accuracy"] == found["wrong_among_allowed"] == pytest.approx(1 / 2)
    assert found["ask_share"] == pytest.approx(2 / 6)
    assert found["cost"] == pytest.approx((5 + 1 + 1) / 6)  # shown wrongly; 0.3 hidden and 0.7 asked, both wrongly


def test_only_counted_cells_count():
    """What is not counted changes nothing but whether the item is nontrivial, and may be no number at all."""
    probability, allow = np.array([[0.9, np.nan, 0.2]]), np.array([[True, False, False]])
    some = item_scores(probability, allow, np.array([[True, False, True]]), np.array([LIMIT]))[0]
    assert some == score_of((0.9, 1), (0.2, 0))


@pytest.mark.parametrize(("allowed", "nontrivial"), [(0, False), (1, False), (2, True), (18, True), (19, False), (20, False)])
def test_nontrivial_is_a_tenth_of_all_friends(allowed, nontrivial):
    """An item is nontrivial where a tenth of the friends or more gets the rarer decision, whoever is counted."""
    allow = (np.arange(20) < allowed)[None]
    nobody = np.full((1, 20), fill_value=False)
    assert item_scores(np.full((1, 20), 0.5), allow, nobody, np.array([LIMIT]))[0].nontrivial is nontrivial


@given(cells)
def test_counts_add_up(pairs):
    """Right and wrong predictions, decisions and questions, and bins each count every cell once."""
    score = score_of(*pairs)
    assert score.cells == len(pairs)
    assert sum(getattr(score, name) for name in COUNTS) == score.cells
    assert sum(getattr(score, name) for name in SET) + score.ask == score.cells
    assert len(score.bin_count) == len(score.bin_probability) == len(score.bin_allowed) == BINS
    assert sum(score.bin_count) == score.cells
    assert sum(score.bin_allowed) == score.true_allow + score.false_deny
    assert all(allowed <= count for allowed, count in zip(score.bin_allowed, score.bin_count, strict=True))


@given(cells)
def test_decisions_are_those_of_the_policy(pairs):
    """What is set and what is asked is counted as `privwiz.decisions.decide` takes it."""
    score = score_of(*pairs)
    probability = np.array([[chance for chance, _ in pairs]])
    taken = decide(CATALOGUE[:1], probability, np.full(probability.shape, STATED["nothing"], np.int8))[0]
    assert score.set_allow_right + score.set_allow_wrong == np.sum(taken == Decision.ALLOW)
    assert score.set_deny_right + score.set_deny_wrong == np.sum(taken == Decision.DENY)
    assert score.ask == np.sum(taken == Decision.ASK)


@given(cells)
def test_scikit_learn_agrees(pairs):
    """Accuracy within the classes, F1 of the rarer class, area under the curve and Brier score are scikit-learn's."""
    probability, truth = np.array([chance for chance, _ in pairs]), np.array([allow for _, allow in pairs])
    found = summarise([score_of(*pairs)])
    assert found["accuracy"] == pytest.approx(np.mean((probability >= 0.5) == truth))
    assert found["brier"] == pytest.approx(brier_score_loss(truth, probability, pos_label=1))
    if truth.all() or not truth.any():
        assert np.isnan([found["balanced_accuracy"], found["minority_f1"], found["auc"]]).all()
        return
    rarer = truth.sum() < (~truth).sum()
    assert found["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(truth, probability >= 0.5))
    assert found["minority_f1"] == pytest.approx(f1_score(truth == rarer, (probability >= 0.5) == rarer, zero_division=0))
    assert found["auc"] == pytest.approx(roc_auc_score(truth, probability))


@given(hnp.arrays(float, st.integers(2, 20), elements=chances))
def test_the_ranking_of_the_opposite_is_the_opposite(probability):
    """Exchanging the classes turns the area under the curve round; a constant probability ranks by chance."""
    allow = np.arange(len(probability)) % 2 == 0
    assert ranking(probability, allow) == pytest.approx(1 - ranking(probability, ~allow))
    assert ranking(np.full(len(probability), 0.3), allow) == 0.5


@given(cells, st.randoms(use_true_random=False))
def test_the_order_of_cells_is_nothing(pairs, random):
    """The same cells in another order have the same score, up to rounding of the sums."""
    mixed = list(pairs)
    random.shuffle(mixed)
    first, second = summarise([score_of(*pairs)]), summarise([score_of(*mixed)])
    assert list(first.values()) == pytest.approx(list(second.values()), nan_ok=True)


def test_perfect_predictions():
    """Who knows the truth is right everywhere, asks nothing and costs nothing."""
    allow = np.random.default_rng(0).random((3, 50)) < 0.4
    scores = item_scores(allow.astype(float), allow, np.full(allow.shape, fill_value=True), np.full(3, LIMIT))
    best = dict.fromkeys(METRICS, 0.0) | dict.fromkeys(
        ["accuracy", "balanced_accuracy", "minority_f1", "auc", "set_share", "set_accuracy"], 1.0
    )
    assert summarise(scores) == best


def test_means_are_over_items_and_rates_over_cells():
    """Accuracy gives each item of a user the same weight, the false allow rate each cell."""
    large, small = score_of(*[(0.1, 0)] * 9), score_of((0.9, 0))
    found = summarise([large, small])
    assert found["accuracy"] == pytest.approx(1 / 2)
    assert found["false_allow"] == pytest.approx(1 / 10)


def test_calibration_is_pooled():
    """Two items that are off in opposite ways in the same bin cancel out: calibration is that of the pooled cells."""
    assert summarise([score_of((0.55, 1)), score_of((0.55, 0))])["calibration_error"] == pytest.approx(0.05)


def test_nothing_to_divide_by_is_not_a_number():
    """A metric with a zero denominator is NaN: all without cells, and what needs a class that is not there."""
    empty = item_scores(*(np.zeros((1, 3), kind) for kind in (float, bool, bool)), np.array([LIMIT]))
    assert np.isnan(list(summarise([]).values())).all()
    assert np.isnan(list(summarise(empty).values())).all()
    allowed = summarise([score_of((0.6, 1), (0.7, 1))])
    missing = {name for name, value in allowed.items() if np.isnan(value)}
    assert missing == {"balanced_accuracy", "minority_f1", "false_allow", "auc", "set_accuracy", "wrong_among_allowed"}


def test_an_item_without_counted_cells_weighs_nothing():
    """Where every cell of an item was asked, the item does not enter the means."""
    empty = item_scores(*(np.zeros((1, 3), kind) for kind in (float, bool, bool)), np.array([LIMIT]))
    full = score_of((0.9, 1), (0.4, 1), (0.2, 0))
    assert summarise([full, *empty]) == summarise([full])


@pytest.mark.parametrize(
    ("probability", "shape", "limits", "message"),
    [
        ([[0.5, 1.5]], (1, 2), 1, r"1\.5; it must lie in 0\.\.1"),
        ([[0.5, np.nan]], (1, 2), 1, "is nan"),
        ([[0.5, 0.5]], (2, 1), 1, "shapes"),
        ([[0.5, 0.5]], (1, 2), 2, "shapes"),
        ([0.5], (1,), 1, "shapes"),
    ],
)
def test_what_cannot_be_scored_is_refused(probability, shape, limits, message):
    """Numbers that are no probabilities and arrays that do not fit are refused with what is wrong."""
    yes = np.full(shape, fill_value=True)
    with pytest.raises(DataError, match=message):
        item_scores(np.array(probability), yes, yes, np.full(limits, LIMIT))


def test_the_value_of_the_bootstrap_is_the_summary():
    """The bootstrap gives the metrics of the scores themselves, between the ends of their intervals."""
    scores, users = simulated(30, seed=1)
    found = bootstrap(scores, users, resamples=200)
    assert {name: interval.value for name, interval in found.items()} == pytest.approx(summarise(scores))
    for name in ("accuracy", "balanced_accuracy", "minority_f1", "false_allow", "auc", "brier", "set_accuracy", "cost"):
        assert found[name].low < found[name].value < found[name].high


def test_equal_seeds_give_equal_intervals():
    """The seed alone decides the resamples."""
    scores, users = simulated(10, seed=1)
    first = bootstrap(scores, users, resamples=50, seed=3)
    assert same(first, bootstrap(scores, users, resamples=50, seed=3))
    assert not same(first, bootstrap(scores, users, resamples=50, seed=4))


def test_the_bootstrap_of_equal_users_is_a_point():
    """Where all users are alike there is nothing to vary."""
    scores = [score_of((0.95, 1), (0.7, 1), (0.3, 1), (0.9, 0), (0.5, 0), (0.05, 0))] * 8
    for interval in bootstrap(scores, range(8), resamples=50).values():
        assert interval == pytest.approx([interval.value] * 3)


def test_whole_units_are_drawn():
    """Repeating every score within its user changes no interval: the number of users counts, not that of scores."""
    scores, users = simulated(12, seed=2)
    once, thrice = bootstrap(scores, users, resamples=50), bootstrap(scores * 3, users * 3, resamples=50)
    for name in METRICS:
        assert once[name] == pytest.approx(thrice[name])
    as_many = bootstrap(scores * 3, range(3 * len(scores)), resamples=50)
    assert as_many["accuracy"].high - as_many["accuracy"].low < once["accuracy"].high - once["accuracy"].low


def test_the_interval_covers():
    """Of 200 samples of 25 users about 95 % have intervals that hold the mean of the population (at least 88 %: five sigma)."""
    rng = np.random.default_rng(0)
    covered = 0
    for sample in range(200):
        rights = rng.integers(0, 11, 25)  # of ten cells, uniform from 0 to 10: the mean accuracy is one half
        scores = [score_of(*[(0.9, 1)] * right, *[(0.1, 1)] * (10 - right)) for right in rights.tolist()]
        low, high = bootstrap(scores, range(25), resamples=200, seed=sample)["accuracy"][1:]
        covered += low <= 0.5 <= high
    assert 0.88 * 200 <= covered < 200


def test_one_unit_has_no_interval():
    """From a single user nothing can be said about others."""
    scores, _ = simulated(1, seed=0)
    interval = bootstrap(scores, ["ada"] * len(scores))["accuracy"]
    assert interval.value == summarise(scores)["accuracy"]
    assert np.isnan([interval.low, interval.high]).all()


def test_a_metric_that_is_nowhere_defined_has_no_interval():
    """NaN stays NaN; resamples where a metric is not defined are left out for it, and the rest gives the interval."""
    nowhere = bootstrap([score_of((0.9, 1)), score_of((0.2, 1))], "ab")["auc"]
    assert np.isnan(nowhere).all()
    once = bootstrap([score_of((0.9, 1), (0.2, 0)), score_of((0.2, 1))], "ab", resamples=100)["auc"]
    assert once == (1, 1, 1)
    assert np.isnan(bootstrap([], [])["accuracy"]).all()


def test_a_method_does_not_differ_from_itself():
    """The paired difference of a method with itself is exactly zero, in whatever order the scores come."""
    scores, users = simulated(10, seed=3)
    found = paired_bootstrap(scores, users, scores[::-1], users[::-1], resamples=50)
    assert found == dict.fromkeys(METRICS, (0, 0, 0))


def test_pairs_tell_more_than_two_intervals():
    """The difference is the difference of the values, its sign turns round, and its interval is that of paired users."""
    scores, users = simulated(30, seed=4)
    others = [replace(score, true_allow=score.true_allow - 1, false_deny=score.false_deny + 1) for score in scores]
    kept = [k for k, other in enumerate(others) if other.true_allow >= 0]
    scores, others, users = ([values[k] for k in kept] for values in (scores, others, users))
    found = paired_bootstrap(scores, users, others, users, resamples=100)["accuracy"]
    # One cell of forty is wrong in every item: users differ much, the two methods differ by the same for each.
    assert found == pytest.approx((1 / 40, 1 / 40, 1 / 40))
    back = paired_bootstrap(others, users, scores, users, resamples=100)["accuracy"]
    assert back == pytest.approx((-1 / 40, -1 / 40, -1 / 40))


def test_what_cannot_be_resampled_is_refused():
    """Units must fit the scores, pairs the units, and there must be a resample."""
    scores, users = simulated(3, seed=0)
    with pytest.raises(DataError, match="6 scores have 5 units"):
        bootstrap(scores, users[1:])
    with pytest.raises(DataError, match="resamples is 0"):
        bootstrap(scores, users, resamples=0)
    with pytest.raises(DataError, match="'2' has scores of one method only"):
        paired_bootstrap(scores, users, scores[:4], users[:4])
