"""tf-encrypted: adding shares on its servers, opening the sum to the model owner, and being one of its parties.

Only adding is asked of it. The devices make the shares (`privwiz.federated.shares`), so its own randomness, which without a
native op is none that cryptography could use, is never part of a sum.
"""

import logging
import math
import os
import signal
import socket
import sys
import threading
import time
import types
import warnings
from collections import OrderedDict
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from importlib import import_module
from importlib.util import find_spec
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from privwiz.errors import DataError, MissingExtra
from privwiz.federated.cluster import PLAYERS, Cluster
from privwiz.federated.fixed_point import Ring
from privwiz.federated.lazy_tensorflow import silence
from privwiz.federated.listening import check_address, keep_to, listening

__all__ = ["TfeAdder", "drive", "load", "serve"]

_CLASSES = {"pond": "Pond", "securenn": "SecureNN", "aby3": "ABY3"}

_LISTEN_SECONDS = 0.2
_CONNECT_SECONDS = 60.0


class TfeAdder:
    """Adds up shares with tf-encrypted.

    Parameters
    ----------
    protocol : str
        ``pond``, ``securenn`` or ``aby3``.
    cluster : Cluster, optional
        The parties, which must be there: this process connects to them, for as long as it lives. Without it, this process plays
        all parties.
    """

    def __init__(self, protocol: str, cluster: Cluster | None = None) -> None:
        tfe = load()
        if cluster is None:
            config = tfe.LocalConfig(PLAYERS, auto_add_unknown_players=False)
        else:
            config = _remote_config(cluster)
            config.connect_servers()
            keep_to(None)  # to connect, TensorFlow listens too, at every address; nobody has to reach this process
        tfe.set_config(config)
        *self._servers, self._owner = (config.get_player(name) for name in PLAYERS)
        self._protocol = getattr(tfe.protocol, _CLASSES[protocol])()
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

    def close(self) -> None:
        """Forget everything."""
        self._total = None

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


def serve(cluster: Cluster, name: str, ready: Callable[[bool], None]) -> signal.Signals:
    """Be a party until the process is interrupted or told to end.

    Parameters
    ----------
    cluster : Cluster
    name : str
        Which party.
    ready : callable
        Called once it answers, with whether it does at its address only.

    Returns
    -------
    signal.Signals
        SIGINT or SIGTERM, whichever came.

    Raises
    ------
    DataError
        If there is no such party, its address is not one of this machine or does not answer, or its port is taken.
    MissingExtra
        If the extra ``federated`` is not installed.
    """
    cluster.check_player(name)
    host, port = cluster.address(name)
    address = check_address(host, port)
    load()
    ends = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)  # also for the threads that the server starts
    before, filtered = _ports(), []

    def connect() -> None:
        _connect_to_itself(f"{address}:{port}")
        filtered.append(False not in [keep_to(None, other) for other in _ports() - before - {port}])

    with silence():
        server = _remote_config(cluster).start_server(name)
        there = keep_to(address, port)
        connecting = threading.Thread(target=connect, daemon=True)
        connecting.start()
        received = _await(ends, connecting.is_alive, _CONNECT_SECONDS)
    if received is None and not filtered:
        raise DataError(f"this machine gets no answer from {host}:{port}, its own address; see what its firewall lets through")
    if received is None:
        ready(there and filtered[0])
        received = _await(ends, lambda: True, math.inf)
    assert received is not None
    del server
    return received


def _await(ends: AbstractSet[signal.Signals], going: Callable[[], bool], seconds: float) -> signal.Signals | None:
    """Wait for one of some blocked signals, as long as something is going on, and so long at most; None if none came."""
    end = time.monotonic() + seconds
    while going() and time.monotonic() < end:
        # A thread that was there before the mask may get the signal: then a handler of the caller's runs, between two waits. Some
        # kernels end the wait of a process that was stopped and goes on (SIGSTOP, SIGCONT) with what is no signal at all.
        received = signal.sigtimedwait(ends, _LISTEN_SECONDS)
        if received is not None and received.si_signo in ends:
            return signal.Signals(received.si_signo)
    return None


def _ports() -> set[int]:
    """Return the ports at which this process listens, or one that has left its sockets to it."""
    return {found.getsockname()[1] for found in listening() if found.family in (socket.AF_INET, socket.AF_INET6)}


def _connect_to_itself(address: str) -> None:
    """Be the first driver of this process's own server, for as long as it lives.

    A server to which nobody is connected makes its `CollectiveExecutorMgr` anew for whoever connects: of two drivers that connect
    in the same moment, the second frees what the first one uses, and the server dies of a segmentation fault (TensorFlow 2.21,
    `EagerServiceImpl::CreateContext`).
    """
    import tensorflow as tf

    tf.config.experimental_connect_to_host(address, job_name="itself")


def drive(descriptor: int) -> None:
    """Drive the parties for the process at the other end of a pipe, until it closes it: the child of `RemoteAdder`.

    First comes the protocol and the cluster, then the names and arguments of methods of `TfeAdder`; each is answered by a pair of
    whether it went well, and the result or what went wrong. The process ends at once then, as TensorFlow waits for parties
    that are gone.
    """
    pipe: Connection[Any, Any] = Connection(descriptor)
    adder: TfeAdder | None = None
    try:
        while True:
            name, arguments = pipe.recv()
            fine, result = True, None
            try:
                if adder is None:
                    adder = TfeAdder(*arguments)
                else:
                    result = getattr(adder, name)(*arguments)
            except Exception as error:  # noqa: BLE001 - told to the other process, whatever it is
                fine, result = False, f"{type(error).__name__}: {error}"
            pipe.send((fine, result))
    except (EOFError, OSError):
        os._exit(0)


def _remote_config(cluster: Cluster) -> Any:
    # The connections run in a tunnel, and never through the proxy that another variable may name for other things.
    os.environ["grpc_proxy"] = ""  # noqa: SIM112 - gRPC reads it in small letters
    return load().RemoteConfig(OrderedDict((name, cluster.addresses[name]) for name in PLAYERS))


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
        with silence(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _import_with_shim()
    return sys.modules["tf_encrypted"]


def _import_with_shim() -> None:
    from tensorflow.python.ops import while_v2

    if not hasattr(while_v2, "glob_stateful_parallelism"):
        while_v2.glob_stateful_parallelism = "stateless_cond"
    sys.modules["tf_encrypted.convert"] = types.ModuleType("tf_encrypted.convert")
    if find_spec("pkg_resources") is not None:
        import_module("tf_encrypted")
        return
    stub = types.ModuleType("pkg_resources")
    stub.DistributionNotFound = LookupError  # type: ignore[attr-defined]
    stub.get_distribution = _no_distribution  # type: ignore[attr-defined]
    sys.modules["pkg_resources"] = stub
    try:
        import_module("tf_encrypted")
    finally:
        del sys.modules["pkg_resources"]


def _no_distribution(name: str) -> None:
    raise LookupError(name)
