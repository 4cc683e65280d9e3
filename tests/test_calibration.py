"""Recalibration: what it may change and what not, and how it is learnt."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import expit, logit

from privwiz import Decision, Prior, ProfileItem, Wizard
from privwiz.calibration import Calibration, fit_calibration, log_loss
from privwiz.errors import DataError
from privwiz.graphs import build_ego_network

CLUBS = {club: [f"{club}{k}" for k in range(5)] for club in "abc"}
FRIENDS = [friend for members in CLUBS.values() for friend in members]
TIES = [(one, other) for members in CLUBS.values() for one in members for other in members if one < other]
NETWORK = build_ego_network("me", FRIENDS, TIES)
INVITING = Calibration(slope=0, intercept=1)
EXTREME = [INVITING, Calibration(0, 0, -1), Calibration(4, 1, 1), Calibration(4, 1, -1), Calibration(1, -1, 1)]
OUTSIDE = [("slope", -0.1), ("slope", 4.1), ("slope_per_log_answer", -1.1), ("slope_per_log_answer", 1.1), ("intercept", 1.1)]
BOUNDS = {"slope": "0.0 to 4.0", "slope_per_log_answer": "-1.0 to 1.0", "intercept": "-1.0 to 1.0"}

chances = arrays(float, st.integers(0, 8), elements=st.floats(0, 1))
calibrations = st.builds(Calibration, st.floats(0, 4), st.floats(-1, 1), st.floats(-1, 1))
answers = st.integers(0, 1000)


def drawn(calibration, count=60_000, seed=0):
    """Return probabilities of a model, its numbers of answers, and truths drawn as this calibration has it."""
    rng = np.random.default_rng(seed)
    said = rng.choice([0, 3, 12, 60], count)
    probability = expit(rng.normal(0, 2, count))
    margin = calibration.intercept + (calibration.slope + calibration.slope_per_log_answer * np.log1p(said)) * logit(probability)
    return probability, said, rng.random(count) < expit(margin)


@given(chances, answers)
def test_the_default_changes_nothing(probability, said):
    """Without a fit every probability stays, up to a billionth, however much has been said."""
    np.testing.assert_allclose(Calibration().apply(probability, said), probability, atol=2e-9)


@given(calibrations, chances, answers)
def test_the_order_of_cells_stays(calibration, probability, said):
    """Whatever the numbers, a cell that was likelier than another is not less likely afterwards."""
    calibrated = calibration.apply(np.sort(probability), said)
    assert (np.diff(calibrated) >= 0).all()


@given(calibrations, chances, answers)
def test_calibrated_probabilities_are_probabilities(calibration, probability, said):
    """Calibrated probabilities are finite, from 0 to 1, of the same shape and of double precision, also for 0 and 1."""
    certain = np.concatenate([probability, [0.0, 1.0]]).astype(np.float32)[None]
    calibrated = calibration.apply(certain, said)
    assert calibrated.shape == certain.shape
    assert calibrated.dtype == np.float64
    assert ((calibrated >= 0) & (calibrated <= 1)).all()


def test_a_slope_that_would_be_negative_is_zero():
    """Where answers have used up the slope, all cells get the intercept's probability; before that the order shows."""
    calibration = Calibration(slope=1, slope_per_log_answer=-1, intercept=0.5)
    probability = np.array([0.1, 0.9])
    np.testing.assert_allclose(calibration.apply(probability, 10), expit(0.5))
    low, high = calibration.apply(probability, 1)
    assert low < expit(0.5) < high


@given(chances, answers, st.floats(0, 4), st.floats(0, 1), st.floats(-1, 1))
def test_the_formula(probability, said, slope, more, intercept):
    """The log odds are multiplied by a slope that grows with the logarithm of one plus the answers, of 200 at most."""
    inside = np.clip(probability, 1e-3, 1 - 1e-3)
    odds = (inside / (1 - inside)) ** (slope + more * np.log1p(min(said, 200))) * np.exp(intercept)
    expected = np.where(np.isinf(odds), 1, odds / (1 + np.where(np.isinf(odds), 0, odds)))
    np.testing.assert_allclose(Calibration(slope, more, intercept).apply(inside, said), expected, rtol=1e-6, atol=1e-12)


WORTHLESS = [float("nan"), float("inf"), -float("inf"), True, "1", None]


@pytest.mark.parametrize(("name", "value"), [*OUTSIDE, *((name, value) for name in BOUNDS for value in WORTHLESS)])
def test_numbers_that_cannot_be_are_refused(name, value):
    """Each number of a calibration is finite and within its bounds, so that no calibration alone makes the model sure."""
    with pytest.raises(DataError) as error:
        Calibration(**{name: value})
    assert str(error.value) == f"calibration: {name} is {value!r}; it must be a number from {BOUNDS[name]}"


def test_more_than_200_answers_count_as_200():
    """No slope grows without end."""
    calibration, probability = Calibration(1, 0.5, 0.1), np.array([0.2, 0.7])
    np.testing.assert_array_equal(calibration.apply(probability, 200), calibration.apply(probability, 10**6))
    assert (calibration.apply(probability, 199) != calibration.apply(probability, 200)).all()


def test_whole_numbers_become_floats():
    """A calibration from whole numbers is that from floats, so that it is written to JSON in one way."""
    assert repr(Calibration(1, 0, 0)) == repr(Calibration())


@pytest.mark.parametrize(
    "planted",
    [Calibration(0.5), Calibration(2.0, 0.0, -0.9), Calibration(0.6, 0.2, 0.4), Calibration(1.4, -0.15, 0.0)],
)
def test_a_fit_recovers_what_was_planted(planted):
    """From truths drawn by a known calibration, slope, its growth with answers and intercept are found to within 0.06."""
    probability, said, allow = drawn(planted)
    found = fit_calibration(probability, said, allow, np.ones(len(said)))
    for name in ("slope", "slope_per_log_answer", "intercept"):
        assert getattr(found, name) == pytest.approx(getattr(planted, name), abs=0.06)
        assert round(getattr(found, name), 4) == getattr(found, name)


def test_a_fit_of_calibrated_probabilities_is_the_identity():
    """Where a model is as often right as it says, hardly anything changes: no probability by more than 0.01."""
    probability, said, allow = drawn(Calibration())
    found = fit_calibration(probability, said, allow, np.ones(len(said)))
    inside = np.linspace(0, 1, 101)
    for number in (0, 3, 60):
        np.testing.assert_allclose(found.apply(inside, number), inside, atol=0.01)


def test_a_fit_is_no_worse_than_none():
    """On its own data the fitted calibration has no larger log-loss than the one that changes nothing, also for few cells."""
    for seed in range(20):
        probability, said, allow = drawn(Calibration(0.5, 0.1, 0.5), count=30, seed=seed)
        found = fit_calibration(probability, said, allow, np.ones(30))
        fitted = [log_loss(found.apply(probability[k : k + 1], int(said[k])), allow[k : k + 1])[0] for k in range(30)]
        assert np.mean(fitted) <= log_loss(probability, allow).mean() + 1e-4


def test_cells_count_by_their_weight():
    """Twice the weight is the same as the cell twice, no weight the same as no cell, and all weights doubled are the same."""
    probability, said, allow = drawn(Calibration(0.5), count=200)
    weight = np.arange(200) % 3
    found = fit_calibration(probability, said, allow, weight)
    repeated = fit_calibration(*(np.repeat(part, weight) for part in (probability, said, allow)), np.ones(weight.sum()))
    doubled = fit_calibration(probability, said, allow, 2 * weight)
    for name in ("slope", "slope_per_log_answer", "intercept"):
        assert getattr(repeated, name) == pytest.approx(getattr(found, name), abs=2e-3)
        assert getattr(doubled, name) == pytest.approx(getattr(found, name), abs=2e-3)


@pytest.mark.parametrize("allowed", [True, False])
def test_a_fit_from_one_class_is_finite(allowed):
    """Where everything was allowed, or nothing, there is a finite calibration, and it leans to what was seen."""
    found = fit_calibration(np.full(20, 0.5), np.zeros(20), np.full(20, allowed), np.ones(20))
    assert (found.apply(np.array([0.5]), 0)[0] > 0.5) == allowed


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=8))
def test_the_log_loss_is_minus_the_logarithm(cells):
    """The log-loss is minus the logarithm of the probability of the truth, zero when certain of it, and finite for 0 and 1."""
    probability, allow = (np.array(column) for column in zip(*cells, strict=True))
    found = log_loss(probability, allow)
    assert np.isfinite(found).all()
    truth = np.clip(np.where(allow, probability, 1 - probability), 1e-9, 1 - 1e-9)
    np.testing.assert_allclose(found, -np.log(truth), rtol=1e-5, atol=1e-8)
    assert float(log_loss(np.array([1.0]), np.array([True]))[0]) < 1e-8


# In a wizard


def calibrated(calibration, items=("phone", "city")):
    """Return a wizard with the shipped prior, calibrated otherwise."""
    return Wizard(NETWORK, items=items, prior=replace(Prior.default(), calibration=calibration))


def test_a_wizard_is_calibrated():
    """A wizard's probabilities are those without calibration, calibrated by the number of answers that it has."""
    calibration, (plain, other) = Calibration(0.5, 0.3, 0.2), (calibrated(Calibration()), calibrated(Calibration(0.5, 0.3, 0.2)))
    for number in range(3):
        np.testing.assert_allclose(
            other.policy().probability, calibration.apply(plain.policy().probability, 2 * number), rtol=1e-9
        )
        for wizard in (plain, other):
            screen = wizard.next_screen({"friend"}, least_gain=0)
            wizard.answer(screen, ["allow", "deny"])


def test_what_says_nothing_counts_for_nothing():
    """Answers that leave a cell open teach the model nothing, and make it no surer."""
    wizard = calibrated(Calibration(1, 0.5, 0))
    before = wizard.policy().probability
    for friend in FRIENDS[:5]:
        wizard.label("phone", friend, "unsure")
    np.testing.assert_array_equal(wizard.policy().probability, before)


@pytest.mark.parametrize("kind", ["circle", "circles", "item", "audience"])
@pytest.mark.parametrize("value", ["none", "some", "deny"])
def test_no_calibration_allows_what_was_closed(kind, value):
    """Who is in a group of which "none" or "deny" was said is denied, even where the calibration allows everything else."""
    items = [ProfileItem(name, 0.5, name, name, 1.0) for name in ("phone", "city")]
    wizard = calibrated(INVITING, items)
    screen = wizard.next_screen({kind}, least_gain=0)
    said = value if kind != "audience" else {"none": "nobody", "some": "few", "deny": "deny"}[value]
    wizard.answer(screen, [said] * len(screen.toggles))
    asked = {(toggle.item, friend) for toggle in screen.toggles for friend in toggle.friends}
    closed = asked if value != "some" else set()
    for cell in wizard.policy():
        assert cell.decision is (Decision.DENY if (cell.item, cell.friend) in closed else Decision.ALLOW)


@pytest.mark.parametrize("calibration", EXTREME)
@given(st.lists(st.sampled_from(["none", "some", "most", "all", "deny", "unsure"]), min_size=6, max_size=6))
@settings(max_examples=8)
def test_no_calibration_allows_what_any_answer_closed(calibration, said):
    """Whatever is said of other groups, and however extreme the calibration, nobody in a closed group is allowed by inference."""
    items = [ProfileItem(name, 0.5, name, name, 1.0) for name in ("phone", "city")]
    wizard = calibrated(calibration, items)
    for start, kind in ((0, "circles"), (3, "audience")):
        screen = wizard.next_screen({kind}, least_gain=0)
        words = {"none": "deny", "some": "few", "all": "everybody"} if kind == "audience" else {}
        wizard.answer(screen, [words.get(said[start + k % 3], said[start + k % 3]) for k in range(len(screen.toggles))])
    policy, closed = wizard.policy(), wizard.belief().said.closed
    assert (policy.probability[closed] < 0.5).all()
    assert {policy.decision(items[j].id, FRIENDS[i]) for j, i in np.argwhere(closed).tolist()} <= {Decision.DENY}


@pytest.mark.parametrize("calibration", EXTREME)
@settings(max_examples=15)
@given(said=st.dictionaries(st.tuples(st.sampled_from(["phone", "city"]), st.sampled_from(FRIENDS)), st.sampled_from("ady")))
def test_no_calibration_overrules_the_user(calibration, said):
    """What the user has said of a friend stands under any calibration, and what was left open stays hidden."""
    wizard = calibrated(calibration)
    words = {"a": "allow", "d": "deny", "y": "unsure"}
    for (item, friend), letter in said.items():
        wizard.label(item, friend, words[letter])
    policy = wizard.policy()
    expected = {"a": Decision.ALLOW, "d": Decision.DENY, "y": Decision.ASK}
    assert [policy.decision(*cell) for cell in said] == [expected[letter] for letter in said.values()]


def test_a_classic_classifier_is_not_calibrated():
    """The calibration was learnt for the library's own model; another classifier's probabilities stay as they are."""
    prior = replace(Prior.default(), calibration=INVITING)
    plain = replace(prior, calibration=Calibration())
    policies = [Wizard(NETWORK, items=["phone"], prior=one, classifier="tree").policy() for one in (prior, plain)]
    np.testing.assert_array_equal(policies[0].probability, policies[1].probability)
