"""One round of secure summing: its terms, agreed before any device computes, and its result."""

import math
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from operator import index

import numpy as np
import numpy.typing as npt

from privwiz.errors import DataError, SumRefused
from privwiz.federated.fixed_point import FRACTION_BITS, HALF_RING, Ring, decode, largest_code
from privwiz.words import amount

__all__ = ["MINIMUM_COHORT", "PARTIES", "OpenedSum", "RoundPlan", "opened"]

MINIMUM_COHORT = 10
"""Sums of fewer devices say too much about each of them."""

PARTIES = 3
"""Aggregators, each run by a different operator."""

_TAIL = 12
"""Noise beyond so many standard deviations has a probability below exp(-72) per number."""

_IDS = 2**64


@dataclass(frozen=True, slots=True)
class RoundPlan:
    """The terms of a round. A plan that exists is one that cannot wrap around.

    Parameters
    ----------
    round_id : int
        From 0 to 2^64 - 1; an aggregator accepts each only once, ever.
    cohort : frozenset of int
        The invited devices, each by a number from 0 to 2^64 - 1. Any of them may drop out.
    length : int
        Numbers per update.
    bound : float
        Largest absolute value of a number in an update.
    fraction_bits : int
        Scale of `privwiz.federated.fixed_point`.
    noise_variance : int
        Of the noise that each aggregator adds, in squared ring units (`privwiz.federated.privacy.noise_variance`); 0 is none.
    minimum : int
        A sum of fewer devices is not opened.
    simulation : bool
        Allows a minimum below `MINIMUM_COHORT`. An aggregator that serves real devices refuses such a plan.

    Raises
    ------
    SumRefused
        If the cohort is too small, or the largest possible sum (with noise) could wrap around.
    DataError
        If a term makes no sense.

    Examples
    --------
    >>> RoundPlan(1, cohort=frozenset(range(1000)), length=50, bound=1e9)
    Traceback (most recent call last):
    privwiz.errors.SumRefused: 1,000 updates up to 1e+09 with 24 fraction bits could wrap around; ...
    """

    round_id: int
    cohort: frozenset[int]
    length: int
    bound: float
    fraction_bits: int = FRACTION_BITS
    noise_variance: int = 0
    minimum: int = MINIMUM_COHORT
    simulation: bool = False

    def __post_init__(self) -> None:
        for name, number in [("round", self.round_id), *(("device", device) for device in sorted(self.cohort))]:
            if not (_whole(number) and 0 <= number < _IDS):
                raise DataError(f"{name} {number!r} must be a whole number from 0 to 2^64 - 1")
        if not (_whole(self.length) and 0 < self.length < 2**32):
            raise DataError(f"the length of an update is {self.length!r}; it must be from 1 to 2^32 - 1")
        if not (_whole(self.noise_variance) and self.noise_variance >= 0):
            raise DataError(f"the variance of the noise is {self.noise_variance!r}; it must be a whole number from 0 up")
        if not (_whole(self.minimum) and self.minimum >= 1):
            raise DataError(f"the minimum cohort is {self.minimum!r}; it must be a positive whole number")
        if self.minimum < MINIMUM_COHORT and not self.simulation:
            raise SumRefused(f"a minimum cohort of {self.minimum} is below {MINIMUM_COHORT}; only a simulation may have it")
        self.check_count(len(self.cohort))
        updates = len(self.cohort) * largest_code(self.bound, self.fraction_bits)
        tail = PARTIES * _TAIL * (math.isqrt(self.noise_variance) + 1) if self.noise_variance else 0
        if updates + tail >= HALF_RING:
            raise SumRefused(
                f"{amount(len(self.cohort), 'update')} up to {self.bound:g} with {self.fraction_bits} fraction bits could wrap "
                "around; take a smaller cohort, a smaller bound, fewer fraction bits or less noise"
            )

    def check_count(self, count: int) -> None:
        """Raise `SumRefused` if a sum of so many devices may not be opened."""
        if count < self.minimum:
            raise SumRefused(
                f"{amount(count, 'device is', 'devices are')} too few; a sum of fewer than {self.minimum} is not opened"
            )

    def check_device(self, device: int) -> None:
        """Raise `SumRefused` if this device was not invited."""
        if device not in self.cohort:
            raise SumRefused(f"device {device} is not in the cohort of round {self.round_id}")

    def check_update(self, values: npt.NDArray[np.number]) -> None:
        """Raise `SumRefused` if an update has not the length of this round."""
        if np.shape(values) != (self.length,):
            raise SumRefused(
                f"an update has shape {np.shape(values)}; round {self.round_id} adds vectors of length {self.length}"
            )

    def check_batch(self, devices: Sequence[int], updates: npt.NDArray[np.number], contributors: AbstractSet[int]) -> list[int]:
        """Check that each device may contribute now, and that there is an update of the right length for each.

        Returns
        -------
        list of int
            The devices.

        Raises
        ------
        SumRefused
            If a device was not invited, is among the contributors already or comes twice, or the updates do not fit.
        """
        numbers = [index(device) for device in devices]
        taken: set[int] = set()
        for device in numbers:
            self.check_device(device)
            if device in contributors or device in taken:
                raise SumRefused(f"device {device} has contributed to round {self.round_id} already")
            taken.add(device)
        if np.shape(updates) != (len(numbers), self.length):
            raise SumRefused(
                f"the updates of {amount(len(numbers), 'device')} have shape {np.shape(updates)}; "
                f"round {self.round_id} adds vectors of length {self.length}"
            )
        return numbers


@dataclass(frozen=True, slots=True, eq=False)
class OpenedSum:
    """What the model owner learns of a round: the sum and how many devices are in it, nothing else.

    Parameters
    ----------
    round_id : int
    ring : uint64 array of shape (length,)
        The sum modulo 2^64, noise included.
    total : float array of shape (length,)
        The same as real numbers.
    count : int
    """

    round_id: int
    ring: Ring
    total: npt.NDArray[np.float64]
    count: int

    def mean(self) -> npt.NDArray[np.float64]:
        """Divide by the count: in plaintext, after opening, where it costs no precision."""
        return self.total / self.count


def opened(plan: RoundPlan, ring: Ring, count: int) -> OpenedSum:
    """Read the ring sum of a round."""
    return OpenedSum(plan.round_id, ring, decode(ring, plan.fraction_bits), count)


def _whole(number: object) -> bool:
    return isinstance(number, int) and not isinstance(number, bool)
