"""The process that drives the parties of a cluster, and its leash.

TensorFlow can wait for ever for a party that is gone, and cannot leave a cluster again. So it runs in a process of its own, which
is asked one thing at a time, is given up when it takes too long, and takes nothing along when it is ended.
"""

import os
import subprocess
import sys
import weakref
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any

from privwiz.errors import MissingExtra, PartyLost
from privwiz.federated.cluster import Cluster, silent_parties
from privwiz.federated.fixed_point import Ring

__all__ = ["RemoteAdder"]

_IMPORT_SECONDS = 300.0
"""TensorFlow takes some ten seconds to import, on a busy machine more."""

_PROBE_SECONDS = 3.0
"""Within which a party that is there answers, when it has to be found out which one is not."""


class RemoteAdder:
    """Adds up shares on the parties of a cluster.

    Parameters
    ----------
    protocol : str
        ``pond``, ``securenn`` or ``aby3``.
    cluster : Cluster
    seconds : float
        How long the parties may take for one step.

    Raises
    ------
    MissingExtra
        If the extra ``federated`` is not installed.
    """

    def __init__(self, protocol: str, cluster: Cluster, seconds: float) -> None:
        if find_spec("tensorflow") is None or find_spec("tf_encrypted") is None:
            raise MissingExtra("tf-encrypted", "federated")
        self._protocol = protocol
        self._cluster = cluster
        self._seconds = seconds
        self._pipe: Connection[Any, Any] | None = None
        self._end: Callable[[], object] | None = None

    def begin(self) -> None:
        """Connect if there is no connection yet; forget what was added so far.

        Raises
        ------
        PartyLost
            If a party does not answer.
        """
        if self._pipe is None:
            silent = silent_parties(self._cluster, self._seconds)
            if silent:
                raise PartyLost(
                    f"no answer from {self._named(silent)} within {self._seconds:g} seconds; "
                    f"start it with `privwiz party {silent[0]} --config FILE`"
                )
            self._start()
            self._ask(_IMPORT_SECONDS + self._seconds, "connect", self._protocol, Cluster(dict(self._cluster.addresses)))
        self._ask(self._seconds, "begin")

    def add(self, shares: Sequence[Ring]) -> None:
        """Add a block."""
        self._ask(self._seconds, "add", shares)

    def open(self) -> Ring:
        """Tell the model owner the sum."""
        total: Ring = self._ask(self._seconds, "open")
        return total

    def close(self) -> None:
        """End the process, if there is one; the next round starts another."""
        if self._end is not None:
            self._end()
        self._pipe = self._end = None

    def _start(self) -> None:
        here, there = Pipe()
        process = subprocess.Popen(  # noqa: S603 - this very interpreter
            [sys.executable, "-P", "-c", f"from privwiz.federated.tfe import drive; drive({there.fileno()})"],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            pass_fds=[there.fileno()],
            start_new_session=True,  # Ctrl-C is for us, who end it
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        there.close()
        self._pipe = here
        self._end = weakref.finalize(self, _end, process, here)

    def _ask(self, seconds: float, name: str, *arguments: Any) -> Any:
        """Have the process do one thing, within so many seconds."""
        assert self._pipe is not None
        try:
            self._pipe.send((name, arguments))
            if self._pipe.poll(seconds):
                fine, result = self._pipe.recv()
            else:
                fine, result = False, f"nothing happened for {seconds:g} seconds"
        except (EOFError, OSError):
            fine, result = False, "the process that drives the parties ended"
        if fine:
            return result
        self.close()
        silent = silent_parties(self._cluster, _PROBE_SECONDS)
        raise PartyLost(f"{self._named(silent)} does not answer any more" if silent else f"all parties answer, but {result}")

    def _named(self, names: Sequence[str]) -> str:
        return " and ".join(f"{name} ({self._cluster.addresses[name]})" for name in names)


def _end(process: "subprocess.Popen[bytes]", pipe: Connection) -> None:
    pipe.close()
    process.kill()
    process.wait()
