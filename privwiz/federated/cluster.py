"""The machines of a tf-encrypted computation: which player answers where, and whether it does."""

import re
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass

from privwiz.errors import DataError
from privwiz.files import FilePath, read_text, source_name
from privwiz.strict_json import expect, read_json

__all__ = ["PLAYERS", "Cluster", "silent_parties"]

PLAYERS = ("server0", "server1", "server2", "model-owner")
"""Three servers that hold shares (server2 none, in protocols of two shares), and whom sums are opened to."""

_FORMAT = "privwiz.cluster/1"
_HOST = re.compile(r"[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?")
_PORT = re.compile(r"[0-9]{1,5}")

# What a client of HTTP/2 says first (RFC 9113, section 3.4), with empty settings; a server answers with settings of its own.
_HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\x04" + bytes(5)
_FRAME_HEAD, _SETTINGS = 9, 4


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where the parties are.

    Parameters
    ----------
    addresses : mapping of str to str
        ``host:port`` of each of `PLAYERS`; the host is a name or an IPv4 address.

    Raises
    ------
    DataError
        If a player is missing, unknown or has no usable address, or two have the same.

    Examples
    --------
    >>> cluster = Cluster({name: f"127.0.0.1:{4440 + k}" for k, name in enumerate(PLAYERS)})
    >>> cluster.address("server1")
    ('127.0.0.1', 4441)
    """

    addresses: Mapping[str, str]

    def __post_init__(self) -> None:
        for name in self.addresses:
            self.check_player(name)
        for name in PLAYERS:
            if name not in self.addresses:
                raise DataError(f"there is no address of {name!r}; a cluster has {', '.join(PLAYERS)}")
            self.address(name)
        texts = list(self.addresses.values())
        for text in texts:
            if texts.count(text) > 1:
                raise DataError(f"the address {text!r} comes twice; each party listens at its own")

    @classmethod
    def load(cls, path: FilePath) -> "Cluster":
        """Read a file of the format ``privwiz.cluster/1``.

        Raises
        ------
        DataError
            If the file cannot be read, or does not describe a cluster.
        """
        text = read_text(path)
        try:
            parties = expect(read_json(text, _FORMAT).get("parties"), dict, "'parties'")
            return cls({name: expect(address, str, f"the address of {name!r}") for name, address in parties.items()})
        except DataError as error:
            raise DataError(str(error), source=source_name(path)) from None

    def check_player(self, name: str) -> None:
        """Raise `DataError` if there is no such player."""
        if name not in PLAYERS:
            raise DataError(f"{name!r} is no party; a cluster has {', '.join(PLAYERS)}")

    def address(self, name: str) -> tuple[str, int]:
        """Host and port of a player."""
        text = self.addresses[name]
        host, _, port = text.rpartition(":")
        usable = host not in ("", "0.0.0.0") and _HOST.fullmatch(host)  # noqa: S104 - refused, because nobody can connect to it
        if not usable or not _PORT.fullmatch(port) or not 0 < int(port) < 2**16:
            raise DataError(f"the address of {name!r} is {text!r}; it must be HOST:PORT, such as 10.0.0.1:4440")
        return host, int(port)


def silent_parties(cluster: Cluster, seconds: float) -> list[str]:
    """Names of the parties that do not answer as a gRPC (HTTP/2) server, however often tried within so many seconds."""
    end = time.monotonic() + seconds
    silent = list(PLAYERS)
    while True:
        silent = [name for name in silent if not _answers(cluster.address(name), max(0.2, min(2.0, end - time.monotonic())))]
        if not silent or time.monotonic() >= end:
            return silent
        time.sleep(0.1)


def _answers(address: tuple[str, int], seconds: float) -> bool:
    try:
        with socket.create_connection(address, seconds) as connection:
            connection.sendall(_HELLO)
            head = b""
            while len(head) < _FRAME_HEAD:
                part = connection.recv(_FRAME_HEAD - len(head))
                if not part:
                    return False
                head += part
            return head[3] == _SETTINGS
    except OSError:
        return False
