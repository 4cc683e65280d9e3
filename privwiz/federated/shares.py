"""What a device sends: three shares of its update (for some protocols two), each meaningless without the others.

All shares but the last are ChaCha20 key streams (RFC 8439) of fresh 32-byte seeds, and only the seeds are sent; the last is the
encoded update minus all of them. Whoever lacks one share sees uniformly random numbers, whatever the update: perfectly so
without the last one, and as surely as ChaCha20 cannot be told from randomness otherwise.
"""

import hashlib
import os
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from privwiz.errors import MissingExtra, SumRefused
from privwiz.federated.fixed_point import Ring, encode
from privwiz.federated.rounds import PARTIES, RoundPlan

__all__ = [
    "SEED_BYTES",
    "Seeds",
    "ShareMessage",
    "check_message",
    "expand",
    "fresh_seeds",
    "make_shares",
    "share_of",
    "share_update",
    "share_updates",
]

SEED_BYTES = 32

Seeds = Callable[[], tuple[bytes, ...]]
"""Gives the seeds of one update, one fewer than its shares, each time it is called: `fresh_seeds` outside of tests."""

_VERSION = 1
_HEADER = struct.Struct("<BBQQI")
_DIGEST_BYTES = 16


@dataclass(frozen=True, slots=True)
class ShareMessage:
    """One share of one device's update, on its way to one aggregator.

    Parameters
    ----------
    round_id, device : int
    aggregator : int
        From 0 up: whom it is for.
    length : int
        Numbers in the update.
    payload : bytes
        ``length`` little-endian 64-bit integers for the last aggregator (2, unless the protocol has two), a seed for the others.
    digest : bytes
        Of all the others (`digest_of`): shows damage and mix-ups. It holds no secret, so whoever alters a message on purpose can
        alter the digest too; against that, the transport has to be authenticated.
    """

    round_id: int
    device: int
    aggregator: int
    length: int
    payload: bytes
    digest: bytes

    def digest_of(self) -> bytes:
        """The digest that the other fields ought to have: the first 16 bytes of SHA-256."""
        return _digest(self._header(), self.payload)

    def to_bytes(self) -> bytes:
        """Write for sending: a header of 22 bytes, the digest, the payload."""
        return self._header() + self.digest + self.payload

    @classmethod
    def from_bytes(cls, data: bytes) -> "ShareMessage":
        """Inverse of `to_bytes`.

        Raises
        ------
        SumRefused
            If it is too short, or of another version.
        """
        start = _HEADER.size + _DIGEST_BYTES
        if len(data) < start:
            raise SumRefused(f"a share message of {len(data)} bytes is cut off; its head alone takes {start}")
        version, aggregator, round_id, device, length = _HEADER.unpack_from(data)
        if version != _VERSION:
            raise SumRefused(f"a share message has version {version}; this program reads version {_VERSION}")
        return cls(round_id, device, aggregator, length, payload=data[start:], digest=data[_HEADER.size : start])

    def _header(self) -> bytes:
        return _header(self.round_id, self.device, self.aggregator, self.length)


def fresh_seeds(parties: int = PARTIES) -> tuple[bytes, ...]:
    """Seeds for one update in so many shares, from the operating system. They are used once."""
    return tuple(os.urandom(SEED_BYTES) for _ in range(parties - 1))


def expand(seed: bytes, length: int) -> Ring:
    """ChaCha20 key stream of a seed (as key, with counter and nonce zero) as ``length`` little-endian 64-bit integers.

    The nonce may be zero because a seed is used for one stream only.

    Raises
    ------
    MissingExtra
        If the extra ``federated`` is not installed.
    SumRefused
        If the seed has not 32 bytes.
    """
    try:
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
    except ImportError:
        raise MissingExtra("secret sharing", "federated") from None
    if len(seed) != SEED_BYTES:
        raise SumRefused(f"a seed has {len(seed)} bytes; it must have {SEED_BYTES}")
    stream = np.empty(length, "<u8")
    Cipher(algorithms.ChaCha20(seed, bytes(16)), mode=None).encryptor().update_into(bytes(8 * length), stream.view(np.uint8).data)
    return stream.astype(np.uint64, copy=False)


def make_shares(code: Ring, seeds: tuple[bytes, ...]) -> tuple[Ring, ...]:
    """Split ring elements into shares whose sum they are, one more than there are seeds; the others are the seeds' streams.

    >>> shares = make_shares(np.array([7], np.uint64), fresh_seeds())
    >>> sum(shares)
    array([7], dtype=uint64)
    """
    streams = tuple(expand(seed, len(code)) for seed in seeds)
    last = code.copy()
    for stream in streams:
        last -= stream
    return (*streams, last)


def share_update(
    plan: RoundPlan, device: int, update: npt.NDArray[np.floating], seeds: tuple[bytes, ...]
) -> tuple[ShareMessage, ...]:
    """Do all that a device does: check, encode, split, and address one message to each aggregator.

    Parameters
    ----------
    plan : RoundPlan
    device : int
        Of the cohort.
    update : float array of shape (plan.length,)
        Clipped already.
    seeds : tuple of bytes
        `fresh_seeds`. Given twice, they show the difference of two updates to the third aggregator.

    Raises
    ------
    SumRefused
        If the device was not invited, or the update has another length.
    DataError
        If a number of it is not finite or beyond the bound.
    """
    plan.check_device(device)
    plan.check_update(update)
    return _messages(plan, device, encode(update, plan.bound, plan.fraction_bits), seeds)


def share_updates(
    plan: RoundPlan, devices: Sequence[int], updates: npt.NDArray[np.floating], seeds: Seeds
) -> Iterator[tuple[ShareMessage, ...]]:
    """Do what `share_update` does for many devices, in the same order; all are checked before the first is shared.

    Parameters
    ----------
    plan : RoundPlan
    devices : sequence of int
    updates : float array of shape (devices, plan.length)
    seeds : Seeds

    Raises
    ------
    SumRefused, DataError
        As `share_update`, and if a device comes twice.
    """
    numbers = plan.check_batch(devices, updates, frozenset())
    codes = encode(updates, plan.bound, plan.fraction_bits)
    return (_messages(plan, device, code, seeds()) for device, code in zip(numbers, codes, strict=True))


def check_message(message: ShareMessage, parties: int = PARTIES) -> None:
    """Raise `SumRefused` if the payload is not of the promised length, or does not fit its digest."""
    size = SEED_BYTES if _is_seed(message, parties) else 8 * message.length
    if len(message.payload) != size:
        raise SumRefused(f"a share of device {message.device} has {len(message.payload)} bytes; it must have {size}")
    if message.digest != message.digest_of():
        raise SumRefused(f"a share of device {message.device} does not fit its digest: it was damaged or altered")


def share_of(message: ShareMessage, parties: int = PARTIES) -> Ring:
    """The share that a checked message stands for, where an update is split in so many."""
    if _is_seed(message, parties):
        return expand(message.payload, message.length)
    return np.frombuffer(message.payload, "<u8").astype(np.uint64, copy=False)


def _is_seed(message: ShareMessage, parties: int) -> bool:
    return message.aggregator < parties - 1


def _messages(plan: RoundPlan, device: int, code: Ring, seeds: tuple[bytes, ...]) -> tuple[ShareMessage, ...]:
    *_, last = make_shares(code, seeds)
    payloads = (*seeds, last.astype("<u8", copy=False).tobytes())
    return tuple(_addressed(plan, device, index, payload) for index, payload in enumerate(payloads))


def _addressed(plan: RoundPlan, device: int, index: int, payload: bytes) -> ShareMessage:
    digest = _digest(_header(plan.round_id, device, index, plan.length), payload)
    return ShareMessage(plan.round_id, device, index, plan.length, payload, digest)


def _header(round_id: int, device: int, aggregator: int, length: int) -> bytes:
    return _HEADER.pack(_VERSION, aggregator, round_id, device, length)


def _digest(header: bytes, payload: bytes) -> bytes:
    digest = hashlib.sha256(header)
    digest.update(payload)
    return digest.digest()[:_DIGEST_BYTES]
