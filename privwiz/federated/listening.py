"""Keeping a server that listens at every address of the machine to one of them.

TensorFlow's servers always listen at 0.0.0.0. Linux lets a process attach a filter to its own sockets; one that passes only what
is addressed to one IPv4 address has the effect of listening there alone, for connections as for single packets.
"""

import ctypes
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from privwiz.errors import DataError

__all__ = ["check_address", "keep_to", "listening"]

_ATTACH_FILTER = 26
_DROP, _PASS = 0, 0xFFFFFFFF
_NETWORK_HEADER = 0xFFF00000  # the kernel's SKF_NET_OFF, to which offsets in the IP header are added

# Classic BPF: operation codes of <linux/bpf_common.h>
_LOAD_WORD, _LOAD_BYTE, _SHIFT_RIGHT, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x30, 0x74, 0x15, 0x06


def check_address(host: str, port: int) -> str:
    """Return the IPv4 address of a host of which this machine can listen to a port.

    Raises
    ------
    DataError
        If the host is not known or is another machine, or the port is taken.
    """
    try:
        address = socket.gethostbyname(host)
        with socket.socket(socket.AF_INET) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind((address, port))
            trial.listen()
    except OSError as error:
        raise DataError(
            f"cannot listen at {host}:{port} ({error.strerror or error}); give an address of this machine and a free port"
        ) from None
    return address


def listening() -> Iterator[socket.socket]:
    """Yield every socket of this process that listens for connections (Linux only; elsewhere none)."""
    folder = Path("/proc/self/fd")
    for path in list(folder.iterdir()) if folder.is_dir() else []:
        with suppress(OSError):
            if str(path.readlink()).startswith("socket:"):
                with socket.socket(fileno=os.dup(int(path.name))) as found:
                    if found.type == socket.SOCK_STREAM and found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                        yield found


def keep_to(address: str | None, port: int | None = None) -> bool:
    """Let the listening sockets of this process, of one port or of all, receive only what is addressed to an IPv4 address.

    Parameters
    ----------
    address : str or None
        None lets nothing through.
    port : int, optional

    Returns
    -------
    bool
        Whether there was such a socket and every one is filtered now.
    """
    done = []
    for found in listening():
        if port is None or found.getsockname()[1] == port:
            try:
                _attach(found, address)
                done.append(True)
            except OSError:
                done.append(False)
    return bool(done) and all(done)


def _attach(target: socket.socket, address: str | None) -> None:
    if address is None:
        program = [(_RETURN, 0, 0, _DROP)]
    else:
        (number,) = struct.unpack("!I", socket.inet_aton(address))
        program = [
            (_LOAD_BYTE, 0, 0, _NETWORK_HEADER),
            (_SHIFT_RIGHT, 0, 0, 4),
            (_JUMP_IF_EQUAL, 0, 3, 4),  # the version of IP
            (_LOAD_WORD, 0, 0, _NETWORK_HEADER + 16),  # the destination
            (_JUMP_IF_EQUAL, 0, 1, number),
            (_RETURN, 0, 0, _PASS),
            (_RETURN, 0, 0, _DROP),
        ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in program))
    target.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, struct.pack("HP", len(program), ctypes.addressof(code)))
