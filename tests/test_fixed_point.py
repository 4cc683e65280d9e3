"""Fixed point: a ring in which sums are exact."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from privwiz.errors import DataError
from privwiz.federated.fixed_point import decode, encode, largest_code, to_ring

VECTORS = arrays(np.float64, 5, elements=st.floats(-1000, 1000))


@given(VECTORS, st.integers(0, 40))
def test_decode_inverts_encode(values, bits):
    """What is decoded differs from what was encoded by at most half a step."""
    assert np.abs(decode(encode(values, 1000, bits), bits) - values).max() <= 2.0**-bits / 2


@given(VECTORS)
def test_encoding_twice_changes_nothing(values):
    """A decoded number is encoded to where it came from, bit for bit."""
    ring = encode(values, 1000)
    np.testing.assert_array_equal(encode(decode(ring), 1000), ring)


@given(st.lists(VECTORS, min_size=1, max_size=20))
def test_sums_are_exact(updates):
    """The sum of codes is the code of the sum of what they stand for, with nothing lost on the way."""
    rings = [encode(update, 1000) for update in updates]
    expected = [sum(column) for column in np.array(rings).view(np.int64).T.tolist()]
    np.testing.assert_array_equal(to_ring(expected), np.sum(rings, axis=0, dtype=np.uint64))


@given(st.integers(-(2**70), 2**70))
def test_integers_of_any_size_are_reduced(number):
    """`to_ring` is reduction modulo 2^64."""
    assert int(to_ring([number])[0]) == number % 2**64


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1.0000001, -2.0])
def test_what_cannot_be_added_is_refused(value):
    """A number that is not finite or beyond the bound is refused, and never wraps silently."""
    with pytest.raises(DataError, match="an update holds"):
        encode(np.array([0.0, value]), bound=1)


def test_the_bound_itself_is_admitted():
    """The bound and its negative are encoded."""
    assert decode(encode(np.array([1.0, -1.0]), bound=1)).tolist() == [1.0, -1.0]


@pytest.mark.parametrize("bound", [0.0, -1.0, np.nan, np.inf, 2.0**64])
def test_a_bound_must_be_positive_and_finite(bound):
    """A bound that is none is refused."""
    with pytest.raises(DataError, match="bound"):
        largest_code(bound, 0)


@pytest.mark.parametrize("bits", [-1, 63, 1.5, True])
def test_fraction_bits_must_fit(bits):
    """The number of fraction bits is a whole number from 0 to 62."""
    with pytest.raises(DataError, match="fraction bits"):
        largest_code(1.0, bits)
