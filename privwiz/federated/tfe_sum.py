"""Secure sums on tf-encrypted: the devices make the shares, its servers add them, and the model owner is told the sum.

Shares are stacked, a block of devices at a time; of each block the servers keep the sum, so that memory does not grow with the
number of devices. Without a cluster, the servers are played in this process: a simulation that shows that the arithmetic is right
and protects nothing.
"""

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import numpy as np
import numpy.typing as npt

from privwiz.errors import DataError, PartyLost, SumRefused
from privwiz.federated.cluster import Cluster
from privwiz.federated.driver import RemoteAdder
from privwiz.federated.fixed_point import Ring
from privwiz.federated.privacy import RandBelow, noise
from privwiz.federated.rounds import OpenedSum, RoundPlan, opened
from privwiz.federated.shares import Seeds, ShareMessage, check_message, fresh_seeds, share_of, share_updates

__all__ = ["BLOCK_DEVICES", "PROTOCOLS", "Adder", "Player", "TfeSum"]

PROTOCOLS = {"pond": 2, "securenn": 2, "aby3": 3}
"""Protocols of tf-encrypted, and in how many shares an update is split."""

BLOCK_DEVICES = 512
"""Devices whose shares are stacked and added at once."""

_BLOCK_NUMBERS = 2**22
"""Where updates are long, a block has fewer devices: at most 32 MB per share."""


class Player:
    """What one server of tf-encrypted is sent: one share of each device. They wait here until a block is full.

    Parameters
    ----------
    index : int
        Which share it is sent.
    shares : int
        In how many shares an update is split.
    """

    def __init__(self, index: int, shares: int) -> None:
        self.index = index
        self._shares = shares
        self._waiting: list[Ring] = []

    def receive(self, message: ShareMessage) -> None:
        """Take in one share."""
        check_message(message, self._shares)
        self._waiting.append(share_of(message, self._shares))

    def take(self) -> list[Ring]:
        """Give out what waits, and forget it."""
        waiting, self._waiting = self._waiting, []
        return waiting


class Adder(Protocol):
    """Where shares are added."""

    def begin(self) -> None:
        """Forget what was added so far."""

    def add(self, shares: Sequence[Ring]) -> None:
        """Add a block: for each player its shares, of shape (devices, length)."""

    def open(self) -> Ring:
        """Tell the model owner the sum of all shares of all players."""

    def close(self) -> None:
        """Let go of everything."""


class TfeSum:
    """A secure sum on tf-encrypted.

    Parameters
    ----------
    protocol : str
        ``pond``, ``securenn`` or ``aby3``.
    cluster : Cluster, optional
        The parties, each started with ``privwiz party``; without it, they are played in this process. They are connected to when
        the first round begins, and again when one begins after they were lost.
    seconds : float
        How long a party of the cluster may take to answer.
    seeds : Seeds, optional
        The operating system's unless a test has to repeat itself.
    randbelow : callable
        Randomness of the noise, which is drawn here, once for each share: this process knows all of it.

    Raises
    ------
    DataError
        If there is no such protocol.
    MissingExtra
        If the extra ``federated`` is not installed.

    Notes
    -----
    With a cluster, any method can raise `PartyLost`: if no round was running, no round has begun, otherwise it is lost. Before
    `open`, nothing of it has been opened or will be; a party that is lost while it opens may have come after the sum.

    Examples
    --------
    >>> engine = TfeSum("aby3")
    >>> engine.begin(RoundPlan(1, cohort=frozenset(range(12)), length=2, bound=1))
    >>> engine.submit_many(range(12), np.full((12, 2), [0.5, -0.25]))
    >>> engine.open().mean()
    array([ 0.5 , -0.25])
    """

    def __init__(
        self,
        protocol: str,
        *,
        cluster: Cluster | None = None,
        seconds: float = 60.0,
        seeds: Seeds | None = None,
        randbelow: RandBelow = secrets.randbelow,
    ) -> None:
        if protocol not in PROTOCOLS:
            raise DataError(f"there is no protocol {protocol!r}; they are {', '.join(PROTOCOLS)}")
        shares = PROTOCOLS[protocol]
        self.players = tuple(Player(index, shares) for index in range(shares))
        self._adder = _local(protocol) if cluster is None else RemoteAdder(protocol, cluster, seconds)
        self._seeds = seeds or (lambda: fresh_seeds(shares))
        self._randbelow = randbelow
        self._seen: set[int] = set()
        self._plan: RoundPlan | None = None
        self._contributors: set[int] = set()

    def begin(self, plan: RoundPlan) -> None:
        """Start a round; one that was not finished is given up."""
        if plan.round_id in self._seen:
            raise SumRefused(f"round {plan.round_id} has begun before; every round needs a new number")
        for player in self.players:
            player.take()
        self._plan = None
        self._adder.begin()
        self._seen.add(plan.round_id)
        self._plan, self._contributors = plan, set()

    def submit(self, device: int, update: npt.NDArray[np.floating]) -> None:
        """Make the shares, as the device would, and hand each to its player."""
        self._running().check_update(update)
        self.submit_many([device], np.asarray(update)[np.newaxis])

    def submit_many(self, devices: Sequence[int], updates: npt.NDArray[np.floating]) -> None:
        """Play many devices, one after the other; each full block of shares is added at once."""
        plan = self._running()
        numbers = plan.check_batch(devices, updates, self._contributors)
        block = min(BLOCK_DEVICES, max(1, _BLOCK_NUMBERS // plan.length))
        for messages in share_updates(plan, numbers, updates, self._seeds):
            for player, message in zip(self.players, messages, strict=True):
                player.receive(message)
            self._contributors.add(message.device)
            if len(self._contributors) % block == 0:
                with self._or_lost(plan):
                    self._add_block()

    def open(self) -> OpenedSum:
        """Add what still waits and the noise of each share, and open the sum, once."""
        plan = self._running()
        plan.check_count(len(self._contributors))
        with self._or_lost(plan):
            self._add_block()
            if plan.noise_variance:
                self._adder.add([noise(plan.length, plan.noise_variance, self._randbelow)[np.newaxis] for _ in self.players])
        with self._or_lost(plan, opening=True):
            self._plan = None
            return opened(plan, self._adder.open(), len(self._contributors))

    def close(self) -> None:
        """Let go of the parties of the cluster; a round that is running is given up."""
        self._plan = None
        self._adder.close()

    def _running(self) -> RoundPlan:
        if self._plan is None:
            raise SumRefused("no round is running; begin one")
        return self._plan

    def _add_block(self) -> None:
        shares = [player.take() for player in self.players]
        if shares[0]:
            self._adder.add([np.array(block) for block in shares])

    @contextmanager
    def _or_lost(self, plan: RoundPlan, *, opening: bool = False) -> Iterator[None]:
        """Give the round up if a party is lost."""
        try:
            yield
        except PartyLost as error:
            self._plan = None
            what = "its sum may have been opened, and is not kept" if opening else "nothing of it was opened"
            raise PartyLost(f"round {plan.round_id} is lost, and {what}: {error}") from None


def _local(protocol: str) -> Adder:
    from privwiz.federated.tfe import TfeAdder

    return TfeAdder(protocol)
