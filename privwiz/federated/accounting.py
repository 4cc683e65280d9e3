"""What a whole training gives away about one device: (epsilon, delta) after all rounds, and the noise that a wish for it takes.

The guarantee is for **one device present with its updates or with zeros** (replace by zero; how many took part is public), and
for noise whose standard deviation is the multiplier times `privwiz.federated.privacy.sensitivity`. Every aggregator adds that
much. The noise of **one** of them is counted, so the guarantee holds against everybody who does not know the noise of all three.

Rounds are added up in Renyi divergences [1]_. For order a and multiplier m, those of the discrete Gaussian are at most
a / (2 m^2), the continuous Gaussian's (Proposition 5 of [2]_), and epsilon follows from them (Proposition 12 of [2]_). There is a
tighter accounting, by privacy loss distributions. It is not used: what it says of the continuous Gaussian is not proven for the
discrete one, and does not hold where the standard deviation is a few ring units (tests/test_accounting.py has a case).

References
----------
.. [1] I. Mironov (2017). Renyi Differential Privacy. CSF. arXiv:1702.07476
.. [2] C. Canonne, G. Kamath, T. Steinke (2020). The Discrete Gaussian for Differential Privacy. NeurIPS. arXiv:2004.00010
.. [3] I. Mironov, K. Talwar, L. Zhang (2019). Renyi Differential Privacy of the Sampled Gaussian Mechanism. arXiv:1908.10530
"""

import math
import warnings
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from privwiz.errors import DataError, MissingExtra

__all__ = ["ADJACENCY", "PrivacySpent", "SamplingWarning", "epsilon", "multiplier_for", "spent_by"]

ADJACENCY = "replace one device by zeros; the count is public"
"""Which two trainings cannot be told apart, for provenances."""

_ORDERS = 1 + np.geomspace(0.0101, 1e8, 1000)
"""From the least order that the accountant converts up, so dense that a finer grid would change epsilon by less than 0.1 %."""

_WHOLE_ORDERS = [*range(2, 64), 72, 80, 96, 112, 128, 160, 192, 256, 384, 512, 1024]
"""For sampled devices, where only whole orders are proven."""

_ROUNDING = 1e-14
"""Added to the divergence of each sampled round: ten times what floating point loses in it."""

_SMALLEST = 1e-5
"""Multipliers below protect nothing: a single round has an epsilon beyond 5e9."""

_LARGEST = 1e18
"""Multipliers from here up fit no 64-bit ring."""

_TOLERANCE = 1e-6


class SamplingWarning(UserWarning):
    """A guarantee leans on random sampling of devices that nobody can see or influence."""


def epsilon(multiplier: float, rounds: int, delta: float, participation: float = 1.0) -> float:
    """Epsilon of one device after some rounds, at this delta.

    Parameters
    ----------
    multiplier : float
        Standard deviation of one aggregator's noise, in units of the sensitivity.
    rounds : int
        In which one device may take part.
    delta : float
        Between 0 and 1; far below one in the number of devices.
    participation : float
        Probability that a device is in a round, if it is drawn independently of everything (Poisson sampling); 1 is every round.

    Returns
    -------
    float
        Infinity without noise, or with a multiplier below 1e-5.

    Raises
    ------
    DataError
        If a value makes no sense.
    MissingExtra
        If the extra ``federated`` is not installed.

    Warns
    -----
    SamplingWarning
        If ``participation`` is below 1.

    Notes
    -----
    With ``participation`` below 1, what is **proven**: at whole orders, and for integers such as are added up here, the discrete
    Gaussian has exactly the moments by which [3]_ gets the divergence of the sampled Gaussian. The reverse divergence is smaller
    (Theorem 5 there: y and shift - y change places, and integers stay integers). So only whole orders are used, which costs 7 %
    of epsilon in a known case.

    What is **assumed**: whoever is to be kept from learning about a device does not see or influence who is drawn, *or how many*.
    That is not so for the model owner, who invites the devices, nor for the aggregators, who see who contributed, nor for anybody
    once cohort sizes are published. Devices that take part when they are connected are not drawn.

    Examples
    --------
    >>> round(epsilon(multiplier=10, rounds=20, delta=1e-5), 3)
    1.914
    """
    _check(rounds, delta, participation)
    if not 0 <= multiplier <= _LARGEST:
        raise DataError(f"the noise multiplier is {multiplier!r}; it must be a number from 0 to {_LARGEST:g}")
    _warn_if_sampled(participation)
    return _epsilon(multiplier, rounds, delta, participation)


def multiplier_for(epsilon: float, delta: float, rounds: int, participation: float = 1.0) -> float:
    """Least multiplier that keeps a device within this epsilon and delta over some rounds.

    It does keep it there, and is at most one part in a million larger than necessary. Parameters, errors and the warning are
    those of `privwiz.federated.accounting.epsilon`.

    Examples
    --------
    >>> round(multiplier_for(epsilon=8, delta=1e-5, rounds=20), 2)
    2.85
    """
    _check(rounds, delta, participation)
    if not 0 < epsilon < math.inf:
        raise DataError(f"epsilon is {epsilon!r}; it must be a positive number")
    _warn_if_sampled(participation)
    if rounds == 0:
        return 0.0
    low, high = 0.0, 1.0
    while _epsilon(high, rounds, delta, participation) > epsilon:
        low, high = high, 2 * high
        if high > _LARGEST:
            raise DataError(f"no noise that fits 64 bits gives epsilon {epsilon:g} at delta {delta:g}; ask for less")
    while high - low > _TOLERANCE * high:
        middle = (low + high) / 2
        if _epsilon(middle, rounds, delta, participation) > epsilon:
            low = middle
        else:
            high = middle
    return high


@dataclass(frozen=True, slots=True)
class PrivacySpent:
    """What a training has given away about one device so far (`spent_by`); as a text, a line to print after a round."""

    epsilon: float
    delta: float
    multiplier: float
    rounds: int
    participation: float

    def to_dict(self) -> dict[str, Any]:
        """JSON values, for the provenance of a prior; epsilon is None where there is no bound."""
        bounded = {} if math.isfinite(self.epsilon) else {"epsilon": None}
        return asdict(self) | bounded | {"adjacency": ADJACENCY}

    def __str__(self) -> str:
        start = f"privacy spent in {self.rounds} {'sum' if self.rounds == 1 else 'sums'} per device"
        if not math.isfinite(self.epsilon):
            return f"{start}: no bound, the noise is too small"
        above = math.ceil(self.epsilon * 1000) / 1000
        return f"{start}: epsilon {above:g} at delta {self.delta:g}"


def spent_by(multiplier: float, rounds: int, delta: float, participation: float = 1.0) -> PrivacySpent:
    """Sum up what `privwiz.federated.accounting.epsilon` says of these rounds; parameters, errors and the warning are the same.

    Examples
    --------
    >>> print(spent_by(multiplier=10, rounds=20, delta=1e-5))
    privacy spent in 20 sums per device: epsilon 1.915 at delta 1e-05
    """
    spent = epsilon(multiplier, rounds, delta, participation)
    return PrivacySpent(spent, delta, multiplier, rounds, participation)


def _epsilon(multiplier: float, rounds: int, delta: float, participation: float) -> float:
    try:
        import dp_accounting
        from dp_accounting.rdp import RdpAccountant
    except ImportError:
        raise MissingExtra("privacy accounting", "federated") from None
    if rounds == 0:
        return 0.0
    if multiplier < _SMALLEST:
        return math.inf
    relation = dp_accounting.NeighboringRelation.REPLACE_SPECIAL
    each = dp_accounting.GaussianDpEvent(multiplier)
    spent = RdpAccountant(_ORDERS, relation).compose(each, rounds).get_epsilon(delta)
    if participation < 1:
        sampled = dp_accounting.PoissonSampledDpEvent(participation, each)
        rounding = dp_accounting.ZCDpEvent(rho=0.0, xi=_ROUNDING)
        accountant = RdpAccountant(_WHOLE_ORDERS, relation).compose(sampled, rounds).compose(rounding, rounds)
        spent = min(spent, accountant.get_epsilon(delta))  # both hold
    return float(spent)


def _check(rounds: int, delta: float, participation: float) -> None:
    if not (isinstance(rounds, int) and not isinstance(rounds, bool) and rounds >= 0):
        raise DataError(f"the number of rounds is {rounds!r}; it must be a whole number from 0 up")
    if not 0 < delta < 1:
        raise DataError(f"delta is {delta!r}; it must be above 0 and below 1")
    if not 0 < participation <= 1:
        raise DataError(f"participation is {participation!r}; it must be above 0 and at most 1")


def _warn_if_sampled(participation: float) -> None:
    if participation < 1:
        warnings.warn(
            f"participation {participation:g} counts on devices being drawn at random, and on nobody seeing or influencing who "
            "is drawn or how many; devices that choose when to connect are not drawn: take participation 1 for them",
            SamplingWarning,
            stacklevel=3,
        )
