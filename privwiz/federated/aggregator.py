"""An aggregator: one of three parties that each add up one share of every device; and how their three sums are opened.

A round takes five steps. The plan is announced (`Aggregator.begin`); shares arrive (`receive`); each aggregator stops receiving
and says whose shares it has (`close`); those that all three have are the contributors, and each adds up theirs (`add`); the model
owner adds the three sums (`open_sums`). Which devices are in a sum is fixed before any aggregator has told anything, and each
aggregator answers for one set of contributors only, so no two sums of a round can be subtracted.
"""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from privwiz.errors import DataError, SumRefused
from privwiz.federated.fixed_point import Ring
from privwiz.federated.privacy import RandBelow, noise
from privwiz.federated.rounds import PARTIES, OpenedSum, RoundPlan, opened
from privwiz.federated.shares import ShareMessage, check_message, share_of

__all__ = ["Aggregator", "PartialSum", "open_sums"]


@dataclass(frozen=True, slots=True, eq=False)
class PartialSum:
    """What an aggregator tells the model owner: random numbers, without the sums of the other two.

    Parameters
    ----------
    round_id, aggregator : int
    ring : uint64 array of shape (length,)
    count : int
        Contributors.
    contributors : bytes
        SHA-256 of the sorted contributors: equal for sums that belong together.
    """

    round_id: int
    aggregator: int
    ring: Ring
    count: int
    contributors: bytes


class Aggregator:
    """The part of one operator. It sees one share of each device, and no method gives a share out.

    Parameters
    ----------
    index : int
        0, 1 or 2.
    simulation : bool
        Whether it accepts plans that only a simulation may have.
    randbelow : callable
        Randomness of the noise.

    Raises
    ------
    DataError
        If the index is another.

    Notes
    -----
    The rounds it has seen are kept in memory: after a restart, it is the operator's part not to begin an old round again.
    """

    def __init__(self, index: int, *, simulation: bool = False, randbelow: RandBelow = secrets.randbelow) -> None:
        if index not in range(PARTIES):
            raise DataError(f"aggregator {index!r} does not exist; they are 0, 1 and 2")
        self.index = index
        self._simulation = simulation
        self._randbelow = randbelow
        self._seen: set[int] = set()
        self._plan: RoundPlan | None = None
        self._messages: dict[int, ShareMessage] = {}
        self._closed = False
        self._sum: PartialSum | None = None

    def begin(self, plan: RoundPlan) -> None:
        """Start a round; one that was not finished is given up, and its shares are forgotten.

        Raises
        ------
        SumRefused
            If this aggregator has begun a round of this number before, or the plan is for a simulation and this is none.
        """
        if plan.round_id in self._seen:
            raise SumRefused(f"round {plan.round_id} has begun before; every round needs a new number")
        if plan.simulation and not self._simulation:
            raise SumRefused("this plan is for a simulation only; this aggregator serves real devices")
        self._seen.add(plan.round_id)
        self._plan, self._messages, self._closed, self._sum = plan, {}, False, None

    def receive(self, message: ShareMessage) -> None:
        """Take in one share.

        Raises
        ------
        SumRefused
            If it is for another round or aggregator, of a device that was not invited or has contributed already, of the wrong
            length, damaged, or late.
        """
        plan = self._running()
        if message.round_id != plan.round_id:
            raise SumRefused(f"a share is for round {message.round_id}; this is round {plan.round_id}")
        if message.aggregator != self.index:
            raise SumRefused(f"a share is for aggregator {message.aggregator}; this is aggregator {self.index}")
        if message.length != plan.length:
            raise SumRefused(f"a share has length {message.length}; round {plan.round_id} adds vectors of length {plan.length}")
        plan.check_device(message.device)
        if self._closed:
            raise SumRefused(
                f"a share of device {message.device} comes late; the contributors of round {plan.round_id} are fixed"
            )
        if message.device in self._messages:
            raise SumRefused(f"device {message.device} has contributed to round {plan.round_id} already")
        check_message(message)
        self._messages[message.device] = message

    def close(self) -> frozenset[int]:
        """Receive no more; say whose shares are here."""
        self._running()
        self._closed = True
        return frozenset(self._messages)

    def add(self, contributors: frozenset[int]) -> PartialSum:
        """Add up the shares of the contributors and the noise, and forget the shares.

        Asked again for the same contributors, it repeats its answer: noise is drawn once.

        Raises
        ------
        SumRefused
            If the round is not closed, another sum of it was told already, the contributors are too few, or a share is missing.
        """
        plan = self._running()
        told = _digest(contributors)
        if self._sum is not None:
            if self._sum.contributors != told:
                raise SumRefused(f"a sum of round {plan.round_id} was told; a second one would show single devices")
            return self._sum
        if not self._closed:
            raise SumRefused(f"round {plan.round_id} still receives; close it before adding")
        plan.check_count(len(contributors))
        missing = contributors - self._messages.keys()
        if missing:
            raise SumRefused(f"aggregator {self.index} has no share of device {min(missing)}")
        total = noise(plan.length, plan.noise_variance, self._randbelow)
        for device in contributors:
            total += share_of(self._messages[device])
        self._messages = {}
        self._sum = PartialSum(plan.round_id, self.index, total, len(contributors), told)
        return self._sum

    def _running(self) -> RoundPlan:
        if self._plan is None:
            raise SumRefused(f"aggregator {self.index} has no round; begin one")
        return self._plan


def open_sums(plan: RoundPlan, sums: Sequence[PartialSum]) -> OpenedSum:
    """Add the sums of the three aggregators: the model owner's part.

    Raises
    ------
    SumRefused
        If they are not one of each aggregator, or not of this round, of one set of contributors and of its length.
    """
    if sorted(part.aggregator for part in sums) != list(range(PARTIES)):
        raise SumRefused("to open a round takes one sum of each of the three aggregators")
    if any(part.round_id != plan.round_id for part in sums):
        raise SumRefused(f"a sum is not of round {plan.round_id}")
    if len({(part.contributors, part.count) for part in sums}) > 1:
        raise SumRefused("the aggregators added up different contributors; what would be opened is noise")
    total = np.zeros(plan.length, np.uint64)
    for part in sums:
        plan.check_update(part.ring)
        total += part.ring
    return opened(plan, total, sums[0].count)


def _digest(contributors: frozenset[int]) -> bytes:
    return hashlib.sha256(b"".join(device.to_bytes(8, "little") for device in sorted(contributors))).digest()
