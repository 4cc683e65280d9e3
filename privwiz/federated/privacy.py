"""What a sum may tell about one device: updates are clipped on the device, and each aggregator adds noise to its sum.

The noise is a discrete Gaussian, drawn exactly, in integers, from the operating system's randomness [1]_. Independent discrete
Gaussian noise of variance s^2 on every coordinate of an integer sum with L2 sensitivity D gives (D / s)^2 / 2 zero-concentrated
differential privacy (the multivariate theorem of [1]_). Every aggregator adds noise of the full size, so one honest aggregator
suffices, and no device that drops out takes noise with it. There is no accounting over rounds here yet.

References
----------
.. [1] C. Canonne, G. Kamath, T. Steinke (2020). The Discrete Gaussian for Differential Privacy. NeurIPS. arXiv:2004.00010
"""

import math
import secrets
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from privwiz.errors import DataError
from privwiz.federated.fixed_point import FRACTION_BITS, Ring, largest_code, to_ring

__all__ = ["RandBelow", "clip", "discrete_gaussian", "noise", "noise_variance", "sensitivity"]

RandBelow = Callable[[int], int]
"""A source of randomness: a whole number from 0 up to and without n, all alike. `secrets.randbelow` outside of tests: whoever can
predict it can take the noise away."""

_ROUNDING = 1e-12
"""A clipped update is this much shorter than the bound, so that no rounding of floats takes it beyond."""


def clip(update: npt.NDArray[np.floating], bound: float) -> npt.NDArray[np.float64]:
    """Shorten updates to an L2 norm of at most ``bound``; shorter ones stay as they are.

    Parameters
    ----------
    update : float array of shape (..., length)
        One update, or each row one.
    bound : float

    Raises
    ------
    DataError
        If it holds a number that is not finite: there is no telling what it should have been.

    Examples
    --------
    >>> clip(np.array([[3.0, 4.0], [0.3, 0.4]]), bound=1).round(3)
    array([[0.6, 0.8],
           [0.3, 0.4]])
    """
    values: npt.NDArray[np.float64] = np.asarray(update, np.float64)
    largest = np.abs(values).max(axis=-1, initial=0.0, keepdims=True)
    if not np.isfinite(largest).all():
        raise DataError(f"an update holds {values[~np.isfinite(values)][0]}; it cannot be clipped")
    direction = values / np.where(largest > 0, largest, 1.0)
    norm = np.linalg.norm(direction, axis=-1, keepdims=True)
    with np.errstate(over="ignore"):
        short = largest * norm <= bound
    return np.asarray(np.where(short, values, direction * (bound / np.where(short, 1.0, norm) * (1 - _ROUNDING))))


def sensitivity(bound: float, length: int, fraction_bits: int = FRACTION_BITS) -> float:
    """L2 distance, in ring units, by which one device can move the sum: its clipped update, and half a unit of rounding a number.

    A device counts as present with zeros or with its update (replace by zero): how many took part is no secret here.
    """
    return math.ldexp(bound, fraction_bits) + math.sqrt(length) / 2


def noise_variance(multiplier: float, bound: float, length: int, fraction_bits: int = FRACTION_BITS) -> int:
    """Variance, in squared ring units, of noise whose standard deviation is ``multiplier`` times the `sensitivity`.

    Raises
    ------
    DataError
        If the multiplier is not a finite number from 0 up, or the bound or fraction bits cannot be used.
    """
    if not 0 <= multiplier < math.inf:
        raise DataError(f"the noise multiplier is {multiplier!r}; it must be a finite number from 0 up")
    largest_code(bound, fraction_bits)
    return math.ceil((multiplier * sensitivity(bound, length, fraction_bits)) ** 2)


def noise(length: int, variance: int, randbelow: RandBelow = secrets.randbelow) -> Ring:
    """One aggregator's noise: independent `discrete_gaussian` integers modulo 2^64; zeros for variance 0."""
    if variance == 0:
        return np.zeros(length, np.uint64)
    return to_ring([discrete_gaussian(variance, randbelow) for _ in range(length)])


def discrete_gaussian(variance: int, randbelow: RandBelow = secrets.randbelow) -> int:
    """Draw an integer x with probability in proportion to exp(-x^2 / (2 variance)), exactly (Algorithm 3 of [1]_ above).

    Whole numbers only, so nothing is lost to floating point; the time depends on what is drawn.

    Raises
    ------
    DataError
        If the variance is not a positive whole number.
    """
    if not (isinstance(variance, int) and variance > 0):
        raise DataError(f"the variance of the noise is {variance!r}; it must be a positive whole number of squared ring units")
    scale = math.isqrt(variance) + 1
    while True:
        drawn = _discrete_laplace(scale, randbelow)
        if _happens_exp((abs(drawn) * scale - variance) ** 2, 2 * variance * scale**2, randbelow):
            return drawn


def _discrete_laplace(scale: int, randbelow: RandBelow) -> int:
    """Draw an integer x with probability in proportion to exp(-|x| / scale) (Algorithm 2, with s = 1)."""
    while True:
        remainder = randbelow(scale)
        if not _happens_exp(remainder, scale, randbelow):
            continue
        whole = 0
        while _happens_exp(1, 1, randbelow):
            whole += 1
        size = remainder + scale * whole
        negative = randbelow(2) == 1
        if not (negative and size == 0):
            return -size if negative else size


def _happens_exp(numerator: int, denominator: int, randbelow: RandBelow) -> bool:
    """Be true with probability exp(-numerator / denominator) (Algorithm 1)."""
    while numerator > denominator:
        if not _happens_exp(1, 1, randbelow):
            return False
        numerator -= denominator
    k = 1
    while randbelow(denominator * k) < numerator:
        k += 1
    return k % 2 == 1
