"""Secure sums on tf-encrypted: it holds the shares on its players, adds them, and opens the sum to the model owner.

Only adding is asked of tf-encrypted. The devices make the shares (`privwiz.federated.shares`), so its own randomness, which
without a native op is none that cryptography could use, is never part of a sum. Shares are stacked, a block of devices at a time;
of each block its players keep the sum, so that memory does not grow with the number of devices.

Without a cluster, all players are in this process: a simulation that shows that the arithmetic is right and protects nothing.
"""

import logging
import os
import secrets
import sys
import types
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from privwiz.errors import DataError, MissingExtra, SumRefused
from privwiz.federated.cluster import PLAYERS, Cluster
from privwiz.federated.fixed_point import Ring
from privwiz.federated.privacy import RandBelow, noise
from privwiz.federated.rounds import OpenedSum, RoundPlan, opened
from privwiz.federated.shares import Seeds, ShareMessage, check_message, fresh_seeds, share_of, share_updates

__all__ = ["BLOCK_DEVICES", "PROTOCOLS", "Adder", "LocalAdder", "Player", "TfeSum", "load"]

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


class TfeSum:
    """A secure sum on tf-encrypted.

    Parameters
    ----------
    protocol : str
        ``pond``, ``securenn`` or ``aby3``.
    cluster : Cluster, optional
        The parties, each started with ``privwiz party``; without it, they are played in this process.
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
        seeds: Seeds | None = None,
        randbelow: RandBelow = secrets.randbelow,
    ) -> None:
        if protocol not in PROTOCOLS:
            raise DataError(f"there is no protocol {protocol!r}; they are {', '.join(PROTOCOLS)}")
        if cluster is not None:
            raise DataError("parties on machines of their own are not wired up yet")
        shares = PROTOCOLS[protocol]
        self.players = tuple(Player(index, shares) for index in range(shares))
        self._adder: Adder = LocalAdder(protocol)
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
                self._add_block()

    def open(self) -> OpenedSum:
        """Add what still waits and the noise of each share, and open the sum, once."""
        plan = self._running()
        plan.check_count(len(self._contributors))
        self._plan = None
        self._add_block()
        if plan.noise_variance:
            self._adder.add([noise(plan.length, plan.noise_variance, self._randbelow)[np.newaxis] for _ in self.players])
        return opened(plan, self._adder.open(), len(self._contributors))

    def _running(self) -> RoundPlan:
        if self._plan is None:
            raise SumRefused("no round is running; begin one")
        return self._plan

    def _add_block(self) -> None:
        shares = [player.take() for player in self.players]
        if shares[0]:
            self._adder.add([np.array(block) for block in shares])


class LocalAdder:
    """tf-encrypted with all its players in this process."""

    def __init__(self, protocol: str) -> None:
        tfe = load()
        config = tfe.LocalConfig(PLAYERS, auto_add_unknown_players=False)
        tfe.set_config(config)
        *self._servers, self._owner = (config.get_player(name) for name in PLAYERS)
        self._protocol = getattr(tfe.protocol, {"pond": "Pond", "securenn": "SecureNN", "aby3": "ABY3"}[protocol])()
        self._nodes = tfe.protocol.protocol.nodes
        self._total: Any = None

    def begin(self) -> None:
        """Forget what was added so far."""
        self._total = None

    def add(self, shares: Sequence[Ring]) -> None:
        """Add a block. Of its shares, the players keep the sum only."""
        block = self.private(shares).reduce_sum(axis=0)
        self._total = block if self._total is None else self._total + block
        self._clear()

    def open(self) -> Ring:
        """Open the sum to the model owner.

        It is defined as unscaled, which tf-encrypted opens as the 64-bit integer that it is, never as a float.
        """
        told: list[Ring] = []
        self._protocol.define_output(self._owner, [self._total], lambda total: told.append(total.numpy().view(np.uint64)))
        self._total = None
        self._clear()
        return told[0]

    def private(self, shares: Sequence[Ring]) -> Any:
        """Make a private tensor of shares, each sent to its server.

        In ABY3, the servers pass shares on so that server k holds the shares k and k + 1 (modulo 3); none holds all three.
        """
        from tf_encrypted.protocol.aby3.aby3_tensors import ABY3PrivateTensor, ShareType
        from tf_encrypted.protocol.pond.pond import PondPrivateTensor

        sent = [self._on(server, share.view(np.int64)) for server, share in zip(self._servers, shares, strict=False)]
        if len(shares) == 2:
            return PondPrivateTensor(self._protocol, *sent, is_scaled=False)
        held = [[sent[k], self._on(server, sent[(k + 1) % 3].value)] for k, server in enumerate(self._servers)]
        return ABY3PrivateTensor(self._protocol, held, is_scaled=False, share_type=ShareType.ARITHMETIC)

    def _on(self, server: Any, numbers: Any) -> Any:
        """Put 64-bit integers, or a copy of those of another server, on a server as elements of the ring."""
        import tensorflow as tf
        from tf_encrypted.tensor import int64factory

        with tf.device(server.device_name):
            return int64factory.tensor(tf.identity(tf.constant(numbers)), encode=False)

    def _clear(self) -> None:
        """Forget the values that tf-encrypted keeps of every operation, for ever if nobody clears them."""
        self._nodes.clear()


def load() -> types.ModuleType:
    """Import tf-encrypted, made to fit the versions that pyproject.toml pins; return it.

    It is unmaintained, and asks for what is there no more: ``tf_encrypted.convert``, which we never use, for a removed module of
    onnx; the package itself for ``pkg_resources``, to learn its own version; ABY3 for a constant of TensorFlow's while loops,
    of which sums have none.

    Raises
    ------
    MissingExtra
        If the extra ``federated`` is not installed.
    """
    if find_spec("tensorflow") is None or find_spec("tf_encrypted") is None:
        raise MissingExtra("tf-encrypted", "federated")
    if "tf_encrypted" not in sys.modules:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        logging.getLogger("tf_encrypted").setLevel(logging.CRITICAL)
        with _silence(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _import_with_shim()
    return sys.modules["tf_encrypted"]


def _import_with_shim() -> None:
    from tensorflow.python.ops import while_v2

    if not hasattr(while_v2, "glob_stateful_parallelism"):
        while_v2.glob_stateful_parallelism = "stateless_cond"
    sys.modules["tf_encrypted.convert"] = types.ModuleType("tf_encrypted.convert")
    if find_spec("pkg_resources") is not None:
        return
    stub = types.ModuleType("pkg_resources")
    stub.DistributionNotFound = LookupError  # type: ignore[attr-defined]
    stub.get_distribution = _no_distribution  # type: ignore[attr-defined]
    sys.modules["pkg_resources"] = stub
    try:
        pass
    finally:
        del sys.modules["pkg_resources"]


def _no_distribution(name: str) -> None:
    raise LookupError(name)


@contextmanager
def _silence() -> Iterator[None]:
    """Let nothing come out on standard error: TensorFlow's libraries write there before any setting can stop them."""
    sys.stderr.flush()
    saved = os.dup(2)
    try:
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
