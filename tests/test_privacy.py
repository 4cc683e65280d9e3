"""Clipping and noise: what protects a device in the sum itself."""

import math
import os
import random
import secrets
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import chisquare, norm

from privwiz.errors import DataError
from privwiz.federated.fixed_point import encode
from privwiz.federated.privacy import _draw, clip, discrete_gaussian, noise, noise_variance, sensitivity, shrink
from privwiz.federated.rounds import RoundPlan
from privwiz.federated.secure import PlainSum, ShareSum

VECTORS = arrays(np.float64, 6, elements=st.floats(-1e300, 1e300))
BOUNDS = st.floats(1e-6, 1e6)


@given(VECTORS, BOUNDS)
def test_a_clipped_update_is_within_the_bound(update, bound):
    """No update is longer than the bound after clipping, so it can be encoded with this bound; clipping twice changes nothing."""
    clipped = clip(update, bound)
    assert np.linalg.norm(clipped) <= bound
    encode(clipped, bound)
    np.testing.assert_array_equal(clip(clipped, bound), clipped)


@given(arrays(np.float64, 6, elements=st.floats(-1, 1)), st.floats(3, 1e6))
def test_a_short_update_stays(update, bound):
    """An update within the bound is not touched."""
    np.testing.assert_array_equal(clip(update, bound), update)


@given(arrays(np.float64, 6, elements=st.floats(1, 10)))
def test_clipping_keeps_the_direction(update):
    """A clipped update points where it pointed, and is as long as it may be."""
    np.testing.assert_allclose(clip(update, 1.0), update / np.linalg.norm(update), rtol=1e-9)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_cannot_be_clipped(value):
    """NaN and infinity are refused rather than made into something."""
    with pytest.raises(DataError, match="cannot be clipped"):
        clip(np.array([0.0, value]), 1.0)


@given(arrays(np.float64, 6, elements=st.floats(-10, 10)))
def test_one_device_moves_the_sum_by_at_most_the_sensitivity(update):
    """The L2 norm of an encoded update, in ring units, is within the stated sensitivity, at a coarse scale too."""
    for bits in (2, 24):
        code = encode(clip(update, 1.0), 1.0, bits).view(np.int64).astype(float)
        assert np.linalg.norm(code) <= sensitivity(1.0, 6, bits)


def test_the_noise_is_scaled_to_the_sensitivity():
    """The standard deviation is the multiplier times the sensitivity, rounded up; without a multiplier there is none."""
    assert noise_variance(0.0, 1.0, 100) == 0
    assert noise_variance(2.0, 1.0, 4, fraction_bits=3) == (2 * (8 + 1)) ** 2
    assert noise_variance(0.3, 1.0, 4, fraction_bits=3) == 3**2
    for wrong in (-1.0, math.nan, math.inf):
        with pytest.raises(DataError, match="multiplier"):
            noise_variance(wrong, 1.0, 4)


def test_no_noise_is_exactly_none():
    """Variance 0 gives zeros and takes no randomness."""
    assert not noise(5, 0, randbelow=None).any()


@pytest.mark.parametrize("engine", [PlainSum, ShareSum])
def test_noise_off_is_the_exact_sum(engine):
    """With multiplier 0 the opened sum is the sum of the encoded updates, bit for bit; with noise it is not."""
    updates = np.random.default_rng(0).normal(size=(12, 40)) / 100
    exact = sum(encode(update, 1.0) for update in updates)
    for multiplier, same in ((0.0, True), (1.0, False)):
        plan = RoundPlan(1, frozenset(range(12)), 40, bound=1.0, noise_variance=noise_variance(multiplier, 1.0, 40))
        running = engine()
        running.begin(plan)
        for device, update in enumerate(updates):
            running.submit(device, update)
        assert np.array_equal(running.open().ring, exact) is same


def one_by_one(length, variance, randbelow):
    """Slow, obvious noise: the oracle."""
    return np.array([discrete_gaussian(variance, randbelow) for _ in range(length)])


def many(length, variance, randbelow):
    """The noise of the library, as signed integers."""
    return noise(length, variance, randbelow).view(np.int64)


def frequencies(drawn, variance):
    """Observed and expected counts of the integers within 3.5 standard deviations, and of all beyond."""
    reach = math.ceil(3.5 * math.sqrt(variance))
    weights = {x: math.exp(-x * x / (2 * variance)) for x in range(-20 * reach, 20 * reach + 1)}
    expected = np.array([weights[x] for x in range(-reach, reach + 1)]) * len(drawn) / sum(weights.values())
    observed = np.array([(drawn == x).sum() for x in range(-reach, reach + 1)])
    return np.append(observed, len(drawn) - observed.sum()), np.append(expected, len(drawn) - expected.sum())


@pytest.mark.parametrize("variance", [1, 4, 9, 100])
@pytest.mark.parametrize("sampler", [one_by_one, many])
def test_small_noise_has_the_stated_distribution(sampler, variance):
    """Frequencies of single integers are those of the discrete Gaussian (chi-square), drawn one by one or many at once."""
    observed, expected = frequencies(sampler(20_000, variance, random.Random(variance).randrange), variance)
    assert chisquare(observed, expected).pvalue > 1e-3


@pytest.mark.parametrize("variance", [1, 4, 100])
def test_random_noise_has_the_stated_distribution(variance):
    """The same of noise from the operating system, in bulk; a million numbers show deviations of a tenth of a percent."""
    observed, expected = frequencies(many(1_000_000, variance, secrets.randbelow), variance)
    assert chisquare(observed, expected).pvalue > 1e-6


def test_the_chi_square_sees_a_wrong_distribution():
    """Negative control: a variance that is 5 % too small, and noise that is always even, are noticed."""
    rng = np.random.default_rng(0)
    for wrong in (np.rint(rng.normal(scale=np.sqrt(95), size=100_000)), many(100_000, 1, random.Random(0).randrange) // 2 * 2):
        variance = 100 if wrong.std() > 5 else 1
        assert chisquare(*frequencies(wrong, variance)).pvalue < 1e-9


@pytest.mark.parametrize("variance", [10**6, (2**24) ** 2 * 7, 2**56, (2**57) ** 2])
@pytest.mark.parametrize("sampler", [one_by_one, many])
def test_large_noise_has_the_stated_moments(sampler, variance):
    """Mean, variance and kurtosis of large, really random noise are a Gaussian's (within 6, 6 and 8 standard errors)."""
    n = 4000
    drawn = sampler(n, variance, secrets.randbelow) / math.sqrt(variance)
    assert abs(drawn.mean()) < 6 / math.sqrt(n)
    assert abs(drawn.var() - 1) < 6 * math.sqrt(2 / n)
    assert abs((drawn**4).mean() - 3) < 8 * math.sqrt(96 / n)


@pytest.mark.parametrize("deviation", [2**24, 2**57 - 1])
def test_large_noise_is_gaussian_in_every_part(deviation):
    """Of large noise, the frequencies of 40 ranges are a Gaussian's, and its lowest bits are even and odd alike."""
    drawn = many(200_000, deviation**2, secrets.randbelow)
    edges = norm.ppf(np.arange(1, 40) / 40) * deviation
    observed = np.bincount(np.searchsorted(edges, drawn), minlength=40)
    assert chisquare(observed).pvalue > 1e-6
    assert chisquare(np.bincount(drawn & 7, minlength=8)).pvalue > 1e-6


@pytest.mark.parametrize("variance", [10, 2**130])
def test_a_variance_that_is_no_small_square_is_drawn_one_by_one(variance):
    """Where the fast way does not apply, noise is exactly that of the oracle from the same source."""
    drawn = one_by_one(50, variance, random.Random(3).randrange)
    assert noise(50, variance, random.Random(3).randrange).tolist() == [value % 2**64 for value in drawn.tolist()]


@given(st.integers(0, 300), st.integers(1, 2**57))
@settings(max_examples=30)
def test_noise_has_its_length(length, deviation):
    """As many numbers as asked for, whatever is kept of the candidates."""
    assert noise(length, deviation**2).shape == (length,)


@pytest.mark.parametrize("below", [1, 2, 3, 7, 256, 1000])
def test_bulk_randomness_is_even(below):
    """Whole numbers that are drawn in bulk are below their bound and all alike."""
    observed = np.bincount(_draw(below, 100_000, secrets.randbelow).astype(np.int64), minlength=below)
    assert len(observed) == below
    assert below == 1 or chisquare(observed).pvalue > 1e-6


def test_bulk_randomness_has_no_favourites(monkeypatch):
    """Random words beyond the last whole multiple of the bound are drawn again: they would favour small numbers."""
    words = iter([2**64 - 1, 5, 2**63, 2**64 - 2**62, 2**62])
    monkeypatch.setattr(os, "urandom", lambda size: b"".join(next(words).to_bytes(8, sys.byteorder) for _ in range(size // 8)))
    assert _draw(3 * 2**61, 3, secrets.randbelow).tolist() == [2**62, 5, 2**61]


def test_noise_is_from_the_operating_system():
    """Two draws without a given source differ: there is no default seed."""
    assert noise(20, 10**12).tolist() != noise(20, 10**12).tolist()


@pytest.mark.parametrize("variance", [0, -1, 2.5])
def test_a_variance_must_be_a_positive_whole_number(variance):
    """Anything else is refused: exactness needs integers."""
    with pytest.raises(DataError, match="variance"):
        discrete_gaussian(variance)


def test_shrinking_helps_whatever_is_behind_the_noise():
    """Over many draws, shrunk numbers are closer to the truth than the noisy ones, whether the truth is small or large."""
    rng = np.random.default_rng(0)
    for size in (0.0, 0.5, 1.0, 3.0):
        truth = size * rng.normal(size=50)
        noisy = truth + 2.0 * rng.normal(size=(400, 50))
        shrunk = np.array([shrink(each, variance=4.0) for each in noisy])
        assert np.square(shrunk - truth).sum() < np.square(noisy - truth).sum()


def test_noise_alone_is_shrunk_to_nearly_nothing():
    """Numbers that are nothing but noise keep less than a tenth of their squared length, on average; exact ones all of it."""
    rng = np.random.default_rng(1)
    noise_alone = rng.normal(size=(200, 1000))
    kept = [np.square(shrink(each, variance=1.0)).sum() / np.square(each).sum() for each in noise_alone]
    assert np.mean(kept) < 0.01
    np.testing.assert_array_equal(shrink(noise_alone[0], variance=0.0), noise_alone[0])


def test_shrinking_never_turns_a_number_round():
    """However large the noise, every number keeps its sign or becomes zero; two numbers or none stay as they are."""
    values = np.array([3.0, -1.0, 0.5, 0.0])
    for variance in (0.01, 1.0, 1e9):
        shrunk = shrink(values, variance)
        assert (shrunk * values >= 0).all()
        assert (np.abs(shrunk) <= np.abs(values)).all()
    np.testing.assert_array_equal(shrink(values[:2], 1e9), values[:2])
