"""Secure sums: one protocol, two engines, the same sum bit for bit."""

import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from privwiz.errors import DataError, SumRefused
from privwiz.federated.rounds import RoundPlan
from privwiz.federated.secure import ENGINES, PlainSum, ShareSum

PLAN = RoundPlan(1, cohort=frozenset(range(12)), length=4, bound=100.0)
COHORTS = arrays(np.float64, st.tuples(st.integers(10, 14), st.integers(1, 6)), elements=st.floats(-100, 100))


@pytest.fixture(params=ENGINES)
def engine(request):
    """Return each engine in turn."""
    return ENGINES[request.param]()


def run(engine, plan, updates):
    """Run one round in which the devices 0, 1, 2, ... contribute these updates."""
    engine.begin(plan)
    for device, update in enumerate(updates):
        engine.submit(device, update)
    return engine.open()


@settings(max_examples=50)
@given(COHORTS, st.integers(0, 40))
def test_engines_agree_bit_for_bit(updates, bits):
    """Whatever the updates and the scale, every engine opens the ring sum of the oracle."""
    plan = RoundPlan(1, frozenset(range(20)), updates.shape[1], bound=100.0, fraction_bits=bits)
    oracle, shares = run(PlainSum(), plan, updates), run(ShareSum(), plan, updates)
    np.testing.assert_array_equal(shares.ring, oracle.ring)
    assert shares.count == oracle.count == len(updates)


def test_engines_agree_with_noise():
    """From one source of randomness, every engine adds the same noise of three aggregators."""
    plan, updates = replace(PLAN, noise_variance=10**9), np.zeros((12, 4))
    oracle, shares = (run(kind(randbelow=random.Random(5).randrange), plan, updates) for kind in (PlainSum, ShareSum))
    np.testing.assert_array_equal(shares.ring, oracle.ring)
    assert oracle.ring.any()


def test_the_mean_is_right(engine):
    """The mean of 1,000 updates of 100 numbers differs from that of floats by less than one in a million."""
    updates = np.random.default_rng(0).normal(size=(1000, 100))
    plan = RoundPlan(1, cohort=frozenset(range(1000)), length=100, bound=10.0)
    assert np.abs(run(engine, plan, updates).mean() - updates.mean(axis=0)).max() < 1e-6


def test_measured_noise_has_the_variance_of_three_aggregators(engine):
    """Noise on gives the sum plus noise of three times the variance of each aggregator (within 6 standard errors)."""
    n, variance = 1500, 10**8
    plan = RoundPlan(1, frozenset(range(10)), n, bound=1.0, noise_variance=variance)
    noise = run(engine, plan, np.zeros((10, n))).ring.view(np.int64).astype(float)
    assert abs(noise.var() / (3 * variance) - 1) < 6 * np.sqrt(2 / n)
    assert abs(noise.mean()) < 6 * np.sqrt(3 * variance / n)


def test_a_round_is_opened_once(engine):
    """After opening, a round neither opens nor takes updates, nor begins again."""
    run(engine, PLAN, np.zeros((10, 4)))
    with pytest.raises(SumRefused, match="no round"):
        engine.open()
    with pytest.raises(SumRefused, match="no round"):
        engine.submit(11, np.zeros(4))
    with pytest.raises(SumRefused, match="begun before"):
        engine.begin(PLAN)
    assert run(engine, replace(PLAN, round_id=2), np.ones((12, 4))).total.tolist() == [12.0] * 4


def test_what_does_not_belong_is_refused_and_changes_nothing(engine):
    """A repeated or uninvited device, a wrong length, NaN and a value out of bounds are refused; the sum is that of the rest."""
    engine.begin(PLAN)
    for device in range(10):
        engine.submit(device, np.full(4, 2.0))
    for device, update, error, reason in [
        (3, np.ones(4), SumRefused, "already"),
        (12, np.ones(4), SumRefused, "not in the cohort"),
        (10, np.ones(5), SumRefused, "shape"),
        (10, np.array([0, 0, 0, np.nan]), DataError, "nan"),
        (10, np.full(4, 100.1), DataError, "beyond the bound"),
    ]:
        with pytest.raises(error, match=reason):
            engine.submit(device, update)
    opened = engine.open()
    assert (opened.count, opened.total.tolist()) == (10, [20.0] * 4)


def test_few_devices_are_not_opened(engine):
    """If too many drop out, nothing is opened."""
    engine.begin(PLAN)
    for device in range(9):
        engine.submit(device, np.zeros(4))
    with pytest.raises(SumRefused, match="9 devices are too few"):
        engine.open()


def test_a_simulation_may_be_small(engine):
    """Fewer than ten devices are summed only where the plan says that it is a simulation."""
    plan = RoundPlan(1, frozenset({0, 1}), 1, bound=1.0, minimum=2, simulation=True)
    assert run(engine, plan, np.array([[0.25], [0.5]])).total.tolist() == [0.75]
