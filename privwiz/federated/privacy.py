"""What a sum may tell about one device: updates are clipped on the device, and each aggregator adds noise to its sum.

The noise is a discrete Gaussian, drawn exactly, in integers, from the operating system's randomness [1]_. Independent discrete
Gaussian noise of variance s^2 on every coordinate of an integer sum with L2 sensitivity D gives (D / s)^2 / 2 zero-concentrated
differential privacy (the multivariate theorem of [1]_). Every aggregator adds noise of the full size, so one honest aggregator
suffices, and no device that drops out takes noise with it. What all rounds together give away is reckoned in
`privwiz.federated.accounting`.

References
----------
.. [1] C. Canonne, G. Kamath, T. Steinke (2020). The Discrete Gaussian for Differential Privacy. NeurIPS. arXiv:2004.00010
.. [2] C. Karney (2016). Sampling Exactly from the Normal Distribution. ACM Transactions on Mathematical Software 42(1).
   doi:10.1145/2710016
.. [3] W. James, C. Stein (1961). Estimation with Quadratic Loss. Proc. Fourth Berkeley Symposium, vol. 1.
"""

import math
import os
import secrets
from collections.abc import Callable
from itertools import count

import numpy as np
import numpy.typing as npt

from privwiz.errors import DataError
from privwiz.federated.fixed_point import FRACTION_BITS, HALF_RING, Ring, largest_code, to_ring

__all__ = ["RandBelow", "clip", "discrete_gaussian", "noise", "noise_variance", "sensitivity", "shrink"]

RandBelow = Callable[[int], int]
"""A source of randomness: a whole number from 0 up to and without n, all alike. `secrets.randbelow` outside of tests: whoever can
predict it can take the noise away."""

_Factor = tuple[npt.NDArray[np.uint64], int]
"""Numerators, one for each number that is drawn, and their denominator: fractions from 0 to 1."""

_BATCH = 2**16
"""Candidates drawn at once: enough to hide the cost of a call, few enough to stay in a few megabytes."""

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


def shrink(values: npt.NDArray[np.float64], variance: float) -> npt.NDArray[np.float64]:
    """Draw noisy numbers towards zero; all the way, where they are no larger than noise alone may be.

    The positive-part estimator of James and Stein [3]_ above. From the squared length of n numbers it subtracts as much as noise
    alone reaches, with three standard deviations of margin: n + 3 sqrt(2 n) times the variance, but no more than 2 (n - 2) times,
    up to where it is, on average over the noise, nearer to what is behind it than the noisy numbers are. It looks at nothing
    but these, so it costs no privacy.

    Parameters
    ----------
    values : float array of any shape
        Three numbers or more; fewer stay as they are.
    variance : float
        Of the noise in each.

    Examples
    --------
    >>> shrink(np.array([3.0, 0.0, 4.0]), variance=2.5)
    array([2.4, 0. , 3.2])
    """
    n, size = values.size, float(np.square(values).sum())
    if n < 3 or size == 0:
        return values
    noise_alone = min(n + 3 * math.sqrt(2 * n), 2.0 * (n - 2)) * variance
    return np.asarray(values * max(0.0, 1 - noise_alone / size))


def sensitivity(bound: float, length: int, fraction_bits: int = FRACTION_BITS) -> float:
    """L2 distance, in ring units, by which one device can move the sum: its clipped update, and half a unit of rounding a number.

    A device counts as present with zeros or with its update (replace by zero): how many took part is no secret here.
    """
    return math.ldexp(bound, fraction_bits) + math.sqrt(length) / 2


def noise_variance(multiplier: float, bound: float, length: int, fraction_bits: int = FRACTION_BITS) -> int:
    """Variance, in squared ring units, of noise whose standard deviation is ``multiplier`` times the `sensitivity`.

    The standard deviation is rounded up to a whole number, for which `noise` is fast.

    Raises
    ------
    DataError
        If the multiplier is not a finite number from 0 up, or the bound or fraction bits cannot be used.
    """
    if not 0 <= multiplier < math.inf:
        raise DataError(f"the noise multiplier is {multiplier!r}; it must be a finite number from 0 up")
    largest_code(bound, fraction_bits)
    return math.ceil(multiplier * sensitivity(bound, length, fraction_bits)) ** 2


def noise(length: int, variance: int, randbelow: RandBelow = secrets.randbelow) -> Ring:
    """One aggregator's noise: independent `discrete_gaussian` integers modulo 2^64; zeros for variance 0.

    Many at once if the variance is a square, as those of `noise_variance` are; one by one otherwise. Both are exact.
    """
    if variance == 0:
        return np.zeros(length, np.uint64)
    deviation = math.isqrt(variance)
    if deviation**2 != variance or deviation >= HALF_RING:
        return to_ring([discrete_gaussian(variance, randbelow) for _ in range(length)])
    drawn = np.zeros(0, np.uint64)
    while len(drawn) < length:
        candidates = min(9 * (length - len(drawn)) // 4 + 64, _BATCH)  # about 49 % of them are kept
        drawn = np.append(drawn, _many_discrete_gaussians(candidates, deviation, randbelow))
    return drawn[:length]


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


def _many_discrete_gaussians(candidates: int, deviation: int, randbelow: RandBelow) -> Ring:
    """Draw integers modulo 2^64: as many as are kept of so many candidates (Algorithm D of [2]_ above, on integers).

    With s the deviation, a candidate is k s + j, 0 <= j < s, with a sign. Each k comes with a probability in proportion to
    exp(-k / 2), and the candidate is kept with probability exp(-k (k - 1) / 2) exp(-k j / s) exp(-(j / s)^2 / 2): together, as
    often as exp(-(k s + j)^2 / (2 s^2)) says.
    """
    kept, whole = np.ones(candidates, np.bool_), np.zeros(candidates, np.int64)
    going = np.arange(candidates)
    for k in count():
        going = going[_each_happens_exp(going, [], 2, randbelow)]
        if not going.size:
            break
        whole[going] += 1
        for _ in range(k):
            kept[going] = _each_happens_exp(going, [], 1, randbelow)
            going = going[kept[going]]
    remainder = _draw(deviation, candidates, randbelow)
    negative = _draw(2, candidates, randbelow) == 1
    kept &= ~(negative & (whole == 0) & (remainder == 0))  # else 0 would come twice
    part = (remainder, deviation)
    rows = np.flatnonzero(kept)
    kept[rows] = _each_happens_exp(rows, [part, part], 2, randbelow)
    for k in range(whole.max(initial=0)):
        rows = np.flatnonzero(kept & (whole > k))
        kept[rows] = _each_happens_exp(rows, [part], 1, randbelow)
    size = whole.astype(np.uint64) * np.uint64(deviation) + remainder
    return np.where(negative, -size, size)[kept]


def _each_happens_exp(
    rows: npt.NDArray[np.intp], factors: list[_Factor], divisor: int, randbelow: RandBelow
) -> npt.NDArray[np.bool_]:
    """For each row, be true with probability exp(-product of its factors / divisor): `_happens_exp`, many at once."""
    happens = np.ones(rows.size, np.bool_)
    going = np.arange(rows.size)
    for k in count(1):
        for numerators, denominator in factors:
            going = going[_draw(denominator, going.size, randbelow) < numerators[rows[going]]]
        going = going[_draw(divisor * k, going.size, randbelow) == 0]
        if not going.size:
            break
        happens[going] ^= True
    return happens


def _draw(below: int, size: int, randbelow: RandBelow) -> Ring:
    """So many whole numbers from 0 up to and without ``below``, all alike; in bulk where the operating system is their source."""
    if randbelow is not secrets.randbelow:
        return np.array([randbelow(below) for _ in range(size)], np.uint64)
    even = 2**64 - 2**64 % below  # numbers from here up would make some remainders likelier
    drawn = _random_words(size)
    while (beyond := np.flatnonzero(drawn > even - 1)).size:
        drawn[beyond] = _random_words(beyond.size)
    return drawn % np.uint64(below)


def _random_words(size: int) -> Ring:
    return np.frombuffer(bytearray(os.urandom(8 * size)), np.uint64)


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
