"""Secure sums: one protocol, five engines, the same sum bit for bit."""

import random
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from privwiz.errors import DataError, SumRefused
from privwiz.federated.cluster import PLAYERS, Cluster
from privwiz.federated.privacy import noise
from privwiz.federated.rounds import RoundPlan
from privwiz.federated.secure import ENGINES, PlainSum, ShareSum, make_engine
from privwiz.federated.tfe_sum import PROTOCOLS, TfeSum

PLAN = RoundPlan(1, cohort=frozenset(range(12)), length=4, bound=100.0)
NOISES = {"plain": 3, "shares": 3, "tfe-pond": 2, "tfe-securenn": 2, "tfe-aby3": 3}
COHORTS = arrays(np.float64, st.tuples(st.integers(10, 14), st.integers(1, 6)), elements=st.floats(-100, 100))


@pytest.fixture(params=ENGINES)
def engine(request, start_engine):
    """Return each engine in turn."""
    return start_engine(request.param)


def run(engine, plan, updates):
    """Run one round in which the devices 0, 1, 2, ... contribute these updates."""
    engine.begin(plan)
    for device, update in enumerate(updates):
        engine.submit(device, update)
    return engine.open()


def run_many(engine, plan, updates):
    """Run one round in which the devices 0, 1, 2, ... contribute these updates, all at once."""
    engine.begin(plan)
    engine.submit_many(range(len(updates)), updates)
    return engine.open()


@pytest.mark.parametrize("name", [name for name in ENGINES if name != "plain"])
@settings(max_examples=50)
@given(updates=COHORTS, bits=st.integers(0, 40), many=st.booleans())
def test_engines_agree_bit_for_bit(start_engine, name, updates, bits, many):
    """Whatever the updates and the scale, one by one or all at once, every engine opens the ring sum of the oracle."""
    plan = RoundPlan(1, frozenset(range(20)), updates.shape[1], bound=100.0, fraction_bits=bits)
    oracle, other = run(PlainSum(), plan, updates), (run_many if many else run)(start_engine(name), plan, updates)
    np.testing.assert_array_equal(other.ring, oracle.ring)
    assert other.count == oracle.count == len(updates)


@pytest.mark.parametrize("name", ENGINES)
def test_the_noise_is_that_of_the_parties(start_engine, name):
    """From one source of randomness, every engine adds the same noise, once for each party that holds a share."""
    start_engine(name)
    seeded = {"plain": PlainSum, "shares": ShareSum, **{f"tfe-{protocol}": partial(TfeSum, protocol) for protocol in PROTOCOLS}}
    plan, updates, drawn = replace(PLAN, noise_variance=10**9), np.ones((12, 4)), random.Random(5).randrange
    expected = run(PlainSum(), PLAN, updates).ring
    for _ in range(NOISES[name]):
        expected = expected + noise(plan.length, plan.noise_variance, drawn)
    np.testing.assert_array_equal(run(seeded[name](randbelow=random.Random(5).randrange), plan, updates).ring, expected)


@pytest.mark.parametrize("name", ENGINES)
def test_measured_noise_has_the_variance_of_all_parties(start_engine, name):
    """Noise on gives the sum plus noise of as many times the variance as parties hold shares (within 6 standard errors)."""
    n, variance = 1500, 10**8
    plan = RoundPlan(1, frozenset(range(10)), n, bound=1.0, noise_variance=variance)
    measured = run(start_engine(name), plan, np.zeros((10, n))).ring.view(np.int64).astype(float)
    assert abs(measured.var() / (NOISES[name] * variance) - 1) < 6 * np.sqrt(2 / n)
    assert abs(measured.mean()) < 6 * np.sqrt(NOISES[name] * variance / n)


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


@pytest.mark.parametrize(
    ("devices", "rows", "error", "reason"),
    [
        ([10, 3], np.ones((2, 4)), SumRefused, "device 3 has contributed to round 1 already"),
        ([10, 10], np.ones((2, 4)), SumRefused, "device 10 has contributed to round 1 already"),
        ([10, 12], np.ones((2, 4)), SumRefused, "device 12 is not in the cohort"),
        ([10, 11], np.ones((2, 5)), SumRefused, r"have shape \(2, 5\)"),
        ([10, 11], np.ones((3, 4)), SumRefused, r"updates of 2 devices have shape \(3, 4\)"),
        ([10, 11], np.ones(8), SumRefused, r"have shape \(8,\)"),
        ([10, 11], np.array([[0.0] * 4, [0.0, 0.0, np.inf, 0.0]]), DataError, "inf"),
        ([10, 11], np.array([[0.0] * 4, [0.0, -100.1, 0.0, 0.0]]), DataError, "beyond the bound"),
    ],
)
def test_many_are_taken_all_or_none(engine, devices, rows, error, reason):
    """One bad row refuses the whole call: none of its devices has contributed, and those that may can do so afterwards."""
    engine.begin(PLAN)
    engine.submit_many(range(10), np.full((10, 4), 2.0))
    with pytest.raises(error, match=reason):
        engine.submit_many(devices, rows)
    engine.submit_many([], np.zeros((0, 4)))
    engine.submit_many(np.array([10]), np.ones((1, 4)))
    engine.submit(11, np.ones(4))
    opened = engine.open()
    assert (opened.count, opened.total.tolist()) == (12, [22.0] * 4)


@pytest.mark.parametrize(("left", "said"), [(9, "9 devices are too few"), (1, "1 device is too few")])
def test_few_devices_are_not_opened(engine, left, said):
    """If too many drop out, nothing is opened."""
    engine.begin(PLAN)
    for device in range(left):
        engine.submit(device, np.zeros(4))
    with pytest.raises(SumRefused, match=said):
        engine.open()


def test_a_device_that_vanishes_costs_nothing(engine):
    """A device that vanishes after its upload is in the sum; one that does before it is not, and nobody waits for it."""
    engine.begin(PLAN)
    for device in range(11):
        engine.submit(device, np.full(4, device / 16))
    opened = engine.open()
    assert (opened.count, opened.total.tolist()) == (11, [55 / 16] * 4)


def test_a_round_that_is_given_up_is_forgotten(engine):
    """What was contributed to a round that was never opened is not in the next."""
    engine.begin(PLAN)
    engine.submit_many(range(12), np.ones((12, 4)))
    assert run(engine, replace(PLAN, round_id=2), np.full((10, 4), 0.5)).total.tolist() == [5.0] * 4
    with pytest.raises(SumRefused, match="begun before"):
        engine.begin(PLAN)


def test_a_simulation_may_be_small(engine):
    """Fewer than ten devices are summed only where the plan says that it is a simulation."""
    plan = RoundPlan(1, frozenset({0, 1}), 1, bound=1.0, minimum=2, simulation=True)
    assert run(engine, plan, np.array([[0.25], [0.5]])).total.tolist() == [0.75]


def test_an_engine_is_made_by_its_name():
    """Users name engines; a name that is none, or a cluster for an engine that needs none, is refused in words."""
    assert isinstance(make_engine("shares"), ShareSum)
    with pytest.raises(DataError, match="there is no secure sum 'tfe'; they are plain, shares, tfe-pond"):
        make_engine("tfe")
    with pytest.raises(DataError, match="'shares' runs in one process; a cluster is for tfe-pond"):
        make_engine("shares", Cluster({name: f"127.0.0.1:{4440 + k}" for k, name in enumerate(PLAYERS)}))
