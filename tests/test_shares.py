"""Shares: together they are the update, and fewer than all are nothing."""

import os
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from privwiz.errors import DataError, MissingExtra, SumRefused
from privwiz.federated.fixed_point import encode
from privwiz.federated.rounds import RoundPlan
from privwiz.federated.shares import ShareMessage, expand, fresh_seeds, make_shares, share_of, share_update, share_updates

SEED = st.binary(min_size=32, max_size=32)
SEEDS = st.tuples(SEED, SEED)
RINGS = arrays(np.uint64, 6)


def plan(length=6):
    """Return a plan of twenty devices."""
    return RoundPlan(3, cohort=frozenset(range(20)), length=length, bound=10.0)


@given(RINGS, st.one_of(st.tuples(SEED), SEEDS))
def test_shares_add_up(ring, seeds):
    """The shares of any ring vector, two or three of them, add up to it, whatever the seeds."""
    np.testing.assert_array_equal(np.sum(make_shares(ring, seeds), axis=0, dtype=np.uint64), ring)


@given(st.lists(st.tuples(RINGS, SEEDS), min_size=1, max_size=10))
def test_the_sum_of_shares_is_shares_of_the_sum(devices):
    """Adding share by share, then the three sums, gives the sum of all vectors."""
    shares = np.array([make_shares(ring, seeds) for ring, seeds in devices])
    opened = shares.sum(axis=0, dtype=np.uint64).sum(axis=0, dtype=np.uint64)
    np.testing.assert_array_equal(opened, np.sum([ring for ring, _ in devices], axis=0, dtype=np.uint64))


@given(arrays(np.float64, 6, elements=st.floats(-10, 10)), SEEDS)
def test_messages_survive_sending(update, seeds):
    """What is read from bytes is what was sent, and holds the shares of the update."""
    messages = [ShareMessage.from_bytes(m.to_bytes()) for m in share_update(plan(), 5, update, seeds)]
    assert tuple(messages) == share_update(plan(), 5, update, seeds)
    np.testing.assert_array_equal(sum(share_of(message) for message in messages), encode(update, 10.0))


@pytest.mark.parametrize("parties", [2, 3])
@pytest.mark.parametrize("length", [1, 50, 1000])
def test_an_upload_is_about_one_vector(length, parties):
    """All messages of a device together, two or three, take at most 8 bytes per number and 200 bytes."""
    messages = share_update(plan(length), 5, np.zeros(length), fresh_seeds(parties))
    assert len(messages) == parties
    assert sum(len(message.to_bytes()) for message in messages) <= 8 * length + 200


@given(arrays(np.float64, (3, 6), elements=st.floats(-10, 10)), SEEDS)
def test_many_devices_send_what_each_would(updates, seeds):
    """Sharing many updates at once gives the messages of each device alone."""
    many = list(share_updates(plan(), [5, 1, 7], updates, lambda: seeds))
    assert many == [share_update(plan(), device, row, seeds) for device, row in zip([5, 1, 7], updates, strict=True)]


def test_no_device_shares_before_all_are_checked():
    """An update that is refused, be it the last, leaves no seed used."""
    asked = []
    with pytest.raises(DataError, match="nan"):
        share_updates(plan(), [5, 1], np.array([np.zeros(6), np.full(6, np.nan)]), lambda: asked.append(1) or fresh_seeds())
    assert asked == []


def test_seeds_are_fresh():
    """The same update twice gives three other messages: no seed is ever a default."""
    first, second = (share_update(plan(), 5, np.ones(6), fresh_seeds()) for _ in range(2))
    assert not {m.payload for m in first} & {m.payload for m in second}
    assert len({seed for _ in range(100) for seed in fresh_seeds()}) == 200


def test_seeds_are_the_operating_systems(monkeypatch):
    """Seeds come from `os.urandom`, 32 bytes each."""
    asked = []
    monkeypatch.setattr(os, "urandom", lambda n: asked.append(n) or bytes(n))
    fresh_seeds()
    assert asked == [32, 32]


def test_a_seed_of_another_size_is_refused():
    """A seed has 32 bytes."""
    with pytest.raises(SumRefused, match="31 bytes"):
        expand(bytes(31), 4)


def chi_square(data):
    """Chi-square statistic of bytes against the uniform distribution (255 degrees of freedom)."""
    counts = np.bincount(np.frombuffer(data, np.uint8), minlength=256)
    return ((counts - counts.mean()) ** 2 / counts.mean()).sum()


@pytest.mark.parametrize("update", [np.zeros(4000), np.full(4000, 9.0), np.linspace(-10, 10, 4000)])
def test_each_view_is_uniform(update):
    """To one aggregator, any update looks like uniform bytes (the statistic is beyond 420 once in 1e9 times)."""
    for message in share_update(plan(4000), 5, update, fresh_seeds()):
        assert chi_square(share_of(message).tobytes()) < 420


def test_the_uniformity_check_sees_an_update():
    """Negative control: an update that is encoded only is far from uniform."""
    assert chi_square(encode(np.linspace(-10, 10, 4000), 10.0).tobytes()) > 10_000


def test_a_share_tells_nothing_of_the_update():
    """Over many devices, no share is correlated with the update (beyond 6.5 standard errors)."""
    bits = np.random.default_rng(0).integers(2, size=3000)
    views = [
        [int(share_of(m)[0]) / 2**64 for m in share_update(plan(1), 5, np.array([10.0 * bit]), fresh_seeds())] for bit in bits
    ]
    for view in np.array(views).T:
        assert abs(np.corrcoef(bits, view)[0, 1]) < 6.5 / np.sqrt(len(bits))


def test_without_the_extra_it_says_what_to_install(monkeypatch):
    """Where cryptography is missing, the error names the extra that brings it."""
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.ciphers", None)
    with pytest.raises(MissingExtra, match=r"pip install 'privwiz\[federated\]'"):
        expand(bytes(32), 4)
