"""Real numbers as integers modulo 2^64, where adding loses nothing and hiding is perfect.

A number x becomes rint(x 2^f) modulo 2^64, for f fraction bits; negative numbers are the upper half of the ring (two's
complement). Sums are exact as long as their absolute value stays below 2^63 / 2^f.
"""

import math

import numpy as np
import numpy.typing as npt

from privwiz.errors import DataError

__all__ = ["FRACTION_BITS", "HALF_RING", "Ring", "decode", "encode", "largest_code", "to_ring"]

Floats = npt.NDArray[np.floating]
Ring = npt.NDArray[np.uint64]
"""Elements of the ring of integers modulo 2^64; numpy's arithmetic on them wraps around."""

FRACTION_BITS = 24
"""The scale unless said otherwise: steps of 6e-8, sums up to 5.5e11."""

HALF_RING = 2**63
"""Absolute values from here up are indistinguishable from values of the other sign."""


def encode(values: Floats, bound: float, fraction_bits: int = FRACTION_BITS) -> Ring:
    """Write real numbers as ring elements.

    Parameters
    ----------
    values : float array of any shape
    bound : float
        Largest absolute value that is admitted; what it adds up to over a cohort has been checked before
        (`privwiz.federated.rounds.RoundPlan`).
    fraction_bits : int
        Binary places that are kept; the rest is rounded, half to even.

    Returns
    -------
    uint64 array of the shape of ``values``

    Raises
    ------
    DataError
        If a value is not finite or exceeds the bound, or the bound itself does not fit the ring.

    Examples
    --------
    >>> encode(np.array([1.5, -0.25]), bound=2, fraction_bits=2)
    array([                   6, 18446744073709551615], dtype=uint64)
    """
    if largest_code(bound, fraction_bits) >= HALF_RING:
        raise DataError(f"values up to {bound:g} with {fraction_bits} fraction bits do not fit 64 bits; take fewer fraction bits")
    values = np.asarray(values, np.float64)
    size = np.abs(values)
    if not size.max(initial=0.0) <= bound:
        if not np.isfinite(values).all():
            raise DataError(f"an update holds {values[~np.isfinite(values)][0]}; only finite numbers can be added securely")
        raise DataError(f"an update holds {values.flat[size.argmax()]:g}, beyond the bound {bound:g}; clip it first")
    return np.asarray(np.rint(values * 2.0**fraction_bits).astype(np.int64).view(np.uint64))


def decode(ring: Ring, fraction_bits: int = FRACTION_BITS) -> npt.NDArray[np.float64]:
    """Read ring elements as real numbers: the inverse of `encode`, also of sums.

    Exact up to 2^53 in absolute ring value, rounded to the nearest float beyond.

    Examples
    --------
    >>> decode(encode(np.array([1.5, -0.25]), bound=2) + encode(np.array([-2.0, 1.0]), bound=2))
    array([-0.5 ,  0.75])
    """
    return np.asarray(np.asarray(ring, np.uint64).view(np.int64) * 2.0**-fraction_bits, np.float64)


def largest_code(bound: float, fraction_bits: int) -> int:
    """Largest absolute ring value of any number within the bound.

    Raises
    ------
    DataError
        If the bound is not a positive finite number, or the fraction bits are not a whole number from 0 to 62.
    """
    if not (isinstance(fraction_bits, int) and not isinstance(fraction_bits, bool) and 0 <= fraction_bits <= 62):
        raise DataError(f"fraction bits are {fraction_bits!r}; they must be a whole number from 0 to 62")
    if not 0 < bound <= 2.0**63:
        raise DataError(f"the bound of an update is {bound!r}; it must be positive and at most 2^63")
    return round(math.ldexp(bound, fraction_bits))


def to_ring(integers: list[int]) -> Ring:
    """Reduce integers of any size modulo 2^64.

    >>> to_ring([-1, 2**64 + 5])
    array([18446744073709551615,                    5], dtype=uint64)
    """
    return np.array([value % 2**64 for value in integers], np.uint64)
