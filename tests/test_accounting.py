"""What a training gives away: epsilon and delta over rounds, and the noise for a wanted epsilon."""

import json
import math
import subprocess
import sys
from dataclasses import fields
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp
from scipy.stats import norm

from privwiz.errors import DataError
from privwiz.federated.accounting import PrivacySpent, SamplingWarning, epsilon, multiplier_for, spent_by
from privwiz.prior import Prior

MULTIPLIERS = st.floats(0.1, 1000)
ROUNDS = st.integers(1, 1000)
DELTAS = st.floats(1e-9, 1e-2)


def sampled(function, *values):
    """Call with a participation below 1, and see that it warns."""
    with pytest.warns(SamplingWarning, match="choose when to connect"):
        return function(*values)


def discrete_gaussian_masses(variance, shift=0, width=36):
    """Probabilities of the integers from -width to width."""
    masses = np.exp(-((np.arange(-width, width + 1) - shift) ** 2) / (2 * variance))
    return masses / masses.sum()


def pair_of_worlds(variance, participation, rounds):
    """Joint probabilities of all rounds' sums without and with a device that moves each sum by 1, as two flat arrays."""
    absent, present = discrete_gaussian_masses(variance, 0, 25), discrete_gaussian_masses(variance, 1, 25)
    present = (1 - participation) * absent + participation * present
    joint = np.ones(1), np.ones(1)
    for _ in range(rounds):
        joint = tuple(np.outer(all_before, one).ravel() for all_before, one in zip(joint, (absent, present), strict=True))
    return joint


def exact_delta(spent, worlds):
    """Delta at this epsilon, by the definition: the larger of both directions."""
    one, other = worlds
    return max(np.maximum(p - math.exp(spent) * q, 0).sum() for p, q in ((one, other), (other, one)))


def renyi_divergence(order, p, q):
    """By the definition, over all outcomes."""
    return logsumexp(order * np.log(p) + (1 - order) * np.log(q)) / (order - 1)


@pytest.mark.parametrize(
    ("participation", "multiplier", "rounds", "delta", "expected"),
    [(1.0, 2.0, 100, 1e-5, 35.08), (1.0, 10.0, 20, 1e-5, 1.914), (0.01, 1.0, 1000, 1e-6, 2.437), (0.1, 2.0, 100, 1e-5, 2.581)],
)
def test_known_figures(participation, multiplier, rounds, delta, expected):
    """Figures for the continuous Gaussian, computed apart from this library and with other orders, come out within 0.4 %."""
    values = (multiplier, rounds, delta, participation)
    spent = epsilon(*values) if participation == 1 else sampled(epsilon, *values)
    assert spent == pytest.approx(expected, rel=4e-3)


def test_whole_orders_cost_little():
    """For rarely sampled devices, epsilon is above the 1.765 that fractional orders give, which are proven for another noise."""
    assert 1.765 < sampled(epsilon, 0.8, 1000, 1e-7, 0.001) < 1.1 * 1.765


def test_rounding_does_not_hide_what_is_spent():
    """A loss per round below the precision of floats still counts over very many rounds (compared with the Gaussian limit)."""
    participation, multiplier, rounds, delta = 0.01, 1e8, 10**17, 1e-6
    spent = sampled(epsilon, multiplier, rounds, delta, participation)
    mu = participation / multiplier * math.sqrt(rounds)
    assert norm.cdf(mu / 2) - norm.cdf(-mu / 2) > 100 * delta  # so zero would be wrong
    assert norm.cdf(mu / 2 - spent / mu) - math.exp(spent) * norm.cdf(-mu / 2 - spent / mu) <= delta


def test_known_multipliers():
    """Epsilon 2 at delta 1e-6 over 500 rounds takes a multiplier of 53.3; with secret sampling of one in a hundred, 0.994."""
    assert multiplier_for(2, 1e-6, 500) == pytest.approx(53.3, abs=0.05)
    assert sampled(multiplier_for, 2, 1e-6, 500, 0.01) == pytest.approx(0.994, rel=4e-3)


@pytest.mark.parametrize("variance", [1, 2, 4, 9])
@pytest.mark.parametrize("rounds", [1, 2, 3])
@pytest.mark.parametrize("participation", [1.0, 0.5, 0.1])
def test_the_discrete_gaussian_gives_away_no_more(variance, rounds, participation):
    """By the definition of (epsilon, delta), summed over all integers: the real noise keeps what the accounting promises."""
    worlds = pair_of_worlds(variance, participation, rounds)
    for delta in (0.05, 1e-3, 1e-6):
        values = (math.sqrt(variance), rounds, delta, participation)
        spent = epsilon(*values) if participation == 1 else sampled(epsilon, *values)
        assert exact_delta(spent, worlds) <= delta + 1e-12
    assert exact_delta(0.7 * spent, worlds) > delta  # the check can fail: at 1e-6, the promise is not much too large


@pytest.mark.parametrize("variance", [1, 4])
@pytest.mark.parametrize("order", [2, 3, 5, 8])
@pytest.mark.parametrize("participation", [1.0, 0.3, 0.01])
def test_divergences_of_the_sampled_discrete_gaussian(variance, order, participation):
    """At whole orders they are exactly the continuous Gaussian's (its binomial formula), and the reverse ones are not larger."""
    absent, present = discrete_gaussian_masses(variance), discrete_gaussian_masses(variance, 1)
    mixed = (1 - participation) * absent + participation * present
    moment = sum(
        math.comb(order, i) * (1 - participation) ** (order - i) * participation**i * math.exp((i * i - i) / (2 * variance))
        for i in range(order + 1)
    )
    forward = renyi_divergence(order, mixed, absent)
    assert forward == pytest.approx(math.log(moment) / (order - 1), rel=1e-9)
    assert renyi_divergence(order, absent, mixed) <= forward * (1 + 1e-9)


def test_tighter_accounting_would_be_wrong():
    """At a standard deviation of 1, the discrete Gaussian gives away more than the continuous one: no loss distributions here."""
    continuous = norm.cdf(0.5) - norm.cdf(-0.5)  # delta at epsilon 0
    assert exact_delta(0.0, pair_of_worlds(1, 1.0, 1)) > continuous + 0.01


@given(MULTIPLIERS, ROUNDS, DELTAS)
def test_never_above_the_closed_form(multiplier, rounds, delta):
    """Zero-concentrated privacy rho = rounds / (2 m^2) has the bound rho + 2 sqrt(rho ln(1 / delta)); ours is never worse."""
    rho = rounds / (2 * multiplier**2)
    bound = rho + 2 * math.sqrt(rho * math.log(1 / delta))
    assert 0 <= epsilon(multiplier, rounds, delta) <= bound * (1 + 1e-9)


@given(MULTIPLIERS, ROUNDS, DELTAS)
def test_monotone(multiplier, rounds, delta):
    """More rounds, less noise or a smaller delta never cost less."""
    spent = epsilon(multiplier, rounds, delta)
    assert epsilon(multiplier, rounds + 1, delta) >= spent
    assert epsilon(multiplier * 0.9, rounds, delta) >= spent
    assert epsilon(multiplier, rounds, delta * 0.5) >= spent


def test_rarer_participation_costs_less():
    """Epsilon falls with the probability of taking part, down from that of every round."""
    spent = [sampled(epsilon, 1.0, 50, 1e-5, participation) for participation in (0.001, 0.01, 0.1, 0.5, 0.9, 1 - 1e-9)]
    assert all(fewer < more for fewer, more in pairwise(spent))
    assert spent[-1] == pytest.approx(epsilon(1.0, 50, 1e-5), rel=1e-6)


@settings(max_examples=15)
@given(st.floats(0.05, 50), DELTAS, ROUNDS)
def test_the_multiplier_keeps_the_promise(wanted, delta, rounds):
    """The multiplier for an epsilon spends no more than that, and a slightly smaller one would."""
    multiplier = multiplier_for(wanted, delta, rounds)
    assert epsilon(multiplier, rounds, delta) <= wanted < epsilon(multiplier * (1 - 3e-6), rounds, delta)


def test_the_multiplier_keeps_the_promise_for_sampled_devices():
    """The same where devices are drawn at random."""
    multiplier = sampled(multiplier_for, 1.0, 1e-5, 100, 0.05)
    assert sampled(epsilon, multiplier, 100, 1e-5, 0.05) <= 1.0 < sampled(epsilon, multiplier * (1 - 3e-6), 100, 1e-5, 0.05)


def test_limits():
    """No noise, no bound; no rounds, nothing spent; endless noise, nothing spent."""
    assert epsilon(0.0, 1, 1e-5) == epsilon(1e-9, 1, 1e-5) == math.inf
    assert epsilon(0.0, 0, 1e-5) == multiplier_for(1.0, 1e-5, 0) == 0
    assert epsilon(1e12, 1000, 1e-5) == 0
    assert sampled(epsilon, 0.0, 1, 1e-5, 0.1) == math.inf
    assert sampled(epsilon, 1e12, 1000, 1e-5, 1e-9) == 0


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ((-1.0, 1, 1e-5), "multiplier is -1.0"),
        ((math.nan, 1, 1e-5), "multiplier is nan"),
        ((math.inf, 1, 1e-5), "multiplier is inf"),
        ((1.0, -1, 1e-5), "rounds is -1"),
        ((1.0, 2.5, 1e-5), "rounds is 2.5"),
        ((1.0, True, 1e-5), "rounds is True"),
        ((1.0, 1, 0.0), "delta is 0.0"),
        ((1.0, 1, 1.0), "delta is 1.0"),
        ((1.0, 1, math.nan), "delta is nan"),
        ((1.0, 1, 1e-5, 0.0), "participation is 0.0"),
        ((1.0, 1, 1e-5, 1.5), "participation is 1.5"),
    ],
)
def test_senseless_values_are_refused(values, complaint):
    """The message names the value; nothing is computed from it."""
    with pytest.raises(DataError, match=complaint):
        epsilon(*values)
    with pytest.raises(DataError, match=complaint):
        spent_by(*values)


@pytest.mark.parametrize("wanted", [0.0, -1.0, math.nan, math.inf])
def test_a_senseless_wish_is_refused(wanted):
    """An epsilon must be a positive number; zero would take endless noise."""
    with pytest.raises(DataError, match="epsilon is"):
        multiplier_for(wanted, 1e-5, 10)


def test_a_wish_beyond_any_noise_is_refused():
    """What no noise in 64 bits can give is not promised."""
    with pytest.raises(DataError, match="fits 64 bits"):
        multiplier_for(1e-12, 1e-30, 10)


def test_every_round_takes_no_assumption():
    """With participation 1 nothing is assumed of sampling, so nothing warns (warnings are errors here)."""
    assert epsilon(1.0, 1, 1e-5) == spent_by(1.0, 1, 1e-5).epsilon


def test_what_was_spent_goes_into_a_prior():
    """It holds every value that it was computed from, as JSON, also where there is no bound."""
    spent = sampled(spent_by, 1.0, 50, 1e-5, 0.1)
    written = spent.to_dict()
    assert {field.name for field in fields(PrivacySpent)} | {"adjacency"} == written.keys()
    assert "count is public" in written["adjacency"]
    prior = Prior.flat()
    for privacy in (written, spent_by(0.0, 50, 1e-5).to_dict()):
        kept = Prior(
            prior.features,
            prior.center,
            prior.scale,
            prior.items,
            prior.weights,
            prior.covariance,
            provenance={"privacy": privacy},
        )
        assert kept.provenance["privacy"] == json.loads(json.dumps(privacy, allow_nan=False))
    assert spent_by(0.0, 50, 1e-5).to_dict()["epsilon"] is None


def test_the_printed_epsilon_is_not_rounded_down():
    """A line after a round promises no more than was computed; without a bound it says so."""
    spent = spent_by(10.0, 20, 1e-5)
    printed = float(str(spent).split("epsilon ")[1].split()[0])
    assert spent.epsilon <= printed <= spent.epsilon + 0.001
    assert "no bound" in str(spent_by(0.0, 3, 1e-5))


def test_without_the_library_the_message_says_what_to_install():
    """A missing extra is named, not a traceback of imports."""
    code = (
        "import sys; sys.modules['dp_accounting'] = None\n"
        "from privwiz.federated.accounting import epsilon\n"
        "from privwiz.errors import MissingExtra\n"
        "try:\n    epsilon(1.0, 1, 1e-5)\nexcept MissingExtra as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'privwiz[federated]'" in done.stdout
