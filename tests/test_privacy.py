"""Clipping and noise: what protects a device in the sum itself."""

import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from privwiz.errors import DataError
from privwiz.federated.fixed_point import encode
from privwiz.federated.privacy import clip, discrete_gaussian, noise, noise_variance, sensitivity

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
    """The variance is the squared multiplier times the squared sensitivity, rounded up; without a multiplier there is none."""
    assert noise_variance(0.0, 1.0, 100) == 0
    assert noise_variance(2.0, 1.0, 4, fraction_bits=3) == (2 * (8 + 1)) ** 2
    for wrong in (-1.0, math.nan, math.inf):
        with pytest.raises(DataError, match="multiplier"):
            noise_variance(wrong, 1.0, 4)


def test_no_noise_is_exactly_none():
    """Variance 0 gives zeros and takes no randomness."""
    assert not noise(5, 0, randbelow=None).any()


@pytest.mark.parametrize("variance", [1, 2, 9])
def test_small_noise_has_the_stated_distribution(variance):
    """Frequencies of single integers are those of the discrete Gaussian, each within 5 standard errors."""
    n, rng = 20_000, random.Random(variance)
    drawn = np.array([discrete_gaussian(variance, rng.randrange) for _ in range(n)])
    weights = {x: math.exp(-x * x / (2 * variance)) for x in range(-60, 61)}
    for x in range(-2 * math.isqrt(variance), 2 * math.isqrt(variance) + 1):
        p = weights[x] / sum(weights.values())
        assert abs((drawn == x).mean() - p) < 5 * math.sqrt(p * (1 - p) / n)


@pytest.mark.parametrize("variance", [10**6, (2**24) ** 2 * 7])
def test_large_noise_has_the_stated_moments(variance):
    """Mean, variance and kurtosis of large, really random noise are a Gaussian's (within 6, 6 and 8 standard errors)."""
    n = 4000
    drawn = np.array([discrete_gaussian(variance) for _ in range(n)]) / math.sqrt(variance)
    assert abs(drawn.mean()) < 6 / math.sqrt(n)
    assert abs(drawn.var() - 1) < 6 * math.sqrt(2 / n)
    assert abs((drawn**4).mean() - 3) < 8 * math.sqrt(96 / n)


def test_noise_is_from_the_operating_system():
    """Two draws without a given source differ: there is no default seed."""
    assert noise(20, 10**12).tolist() != noise(20, 10**12).tolist()


@pytest.mark.parametrize("variance", [0, -1, 2.5])
def test_a_variance_must_be_a_positive_whole_number(variance):
    """Anything else is refused: exactness needs integers."""
    with pytest.raises(DataError, match="variance"):
        discrete_gaussian(variance)
