"""Webhooks: events that were written with their change, delivered at least once, by one process at a time."""

import hmac
import http.client
import logging
import socket
import ssl
import threading
import time
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Row, delete, func, insert, select, update
from sqlalchemy.exc import SQLAlchemyError

from privwiz.errors import DataError
from privwiz_api.changes import Changes
from privwiz_api.database import Database
from privwiz_api.settings import Webhook
from privwiz_api.tables import leases, outbox

__all__ = ["MAX_AGE", "Courier", "check_signature", "signature"]

log = logging.getLogger("privwiz")

MAX_AGE = 300
"""Receivers refuse what was signed more seconds ago: a recording of it is of no use."""

_LEASE = timedelta(seconds=30)
_ATTEMPTS = 17
_FIRST_WAIT, _LONGEST_WAIT = 5.0, 6 * 3600.0
_TIMEOUT = 5.0
_BATCH = 20
_SWEEP_SECONDS = 600.0
_LOOK_SECONDS, _IDLE_SECONDS = 1.0, 60.0
"""Between two looks at the outbox: with webhooks, and without, when there can only be what was left from other settings."""


def signature(secret: str, timestamp: int, body: bytes) -> str:
    """Sign an event: HMAC-SHA256 over ``timestamp.body``.

    >>> signature("s" * 32, 1795917919, b"{}")[:12]
    '1f7fe4589a28'
    """
    return hmac.new(secret.encode(), f"{timestamp}.".encode() + body, "sha256").hexdigest()


def check_signature(secret: str, headers: Mapping[str, str], body: bytes, now: float | None = None) -> bool:
    """Whether an event was signed with this secret, and not long ago: what a receiver asks before it reads the body."""
    try:
        timestamp = int(headers["Privwiz-Timestamp"])
    except (KeyError, ValueError):
        return False
    fresh = abs((time.time() if now is None else now) - timestamp) <= MAX_AGE
    return fresh and hmac.compare_digest(signature(secret, timestamp, body), headers.get("Privwiz-Signature", ""))


class Courier:
    """Deliver the events of the outbox, if no other process does.

    An event that is not taken (any answer but 2xx) is sent again after 5 s, 10 s, 20 s, ... up to 6 h between two attempts, for
    about two days; then it is dropped, and the log says so.

    Parameters
    ----------
    database : Database
    changes : Changes
        Whose old idempotency records are swept.
    webhooks : mapping of str to Webhook
        By tenant.
    private : bool
        Whether private and loopback addresses are allowed.
    """

    def __init__(self, database: Database, changes: Changes, webhooks: Mapping[str, Webhook], *, private: bool) -> None:
        self._database = database
        self._changes = changes
        self._webhooks = webhooks
        self._private = private
        self._id = str(uuid.uuid4())
        self._stopped = threading.Event()
        self._swept = float("-inf")

    def start(self) -> None:
        """Deliver in a thread of its own for as long as the process lives."""
        threading.Thread(target=self._run, name="courier", daemon=True).start()

    def stop(self) -> None:
        """End the thread after what it is doing."""
        self._stopped.set()

    def deliver_due(self) -> int:
        """Deliver what is due, if this process is the one that does; return how many events were taken.

        The tenants take turns, and one whose receiver does not take an event has no other before the next round.
        """
        if not self._elected():
            return 0
        turn = func.row_number().over(partition_by=outbox.c.tenant, order_by=outbox.c.due)
        with self._database.read() as connection:
            due = connection.execute(
                select(outbox).where(outbox.c.due <= datetime.now(UTC)).order_by(turn, outbox.c.due).limit(_BATCH)
            ).all()
        taken, refused = 0, set[str]()
        for event in due:
            if event.tenant in refused or not self._elected():
                continue
            if self._deliver(event):
                taken += 1
            else:
                refused.add(event.tenant)
        return taken

    def _run(self) -> None:
        pause = _LOOK_SECONDS if self._webhooks else _IDLE_SECONDS
        while not self._stopped.wait(pause):
            try:
                while self.deliver_due():
                    pass
                if time.monotonic() - self._swept > _SWEEP_SECONDS:
                    self._changes.sweep()
                    self._swept = time.monotonic()
            except SQLAlchemyError as error:
                log.warning("courier", extra={"error": type(error).__name__})

    def _elected(self) -> bool:
        """Take or keep the lease; the database decides who has it."""
        now = datetime.now(UTC)
        with self._database.read() as connection:
            held = connection.execute(select(leases).where(leases.c.name == "courier")).one_or_none()
        if held is not None and held.until > now and (held.holder != self._id or held.until - now > _LEASE / 2):
            return bool(held.holder == self._id)
        with self._database.write("courier") as connection:
            held = connection.execute(select(leases).where(leases.c.name == "courier")).one_or_none()
            if held is not None and held.holder != self._id and held.until > now:
                return False
            connection.execute(delete(leases).where(leases.c.name == "courier"))
            connection.execute(insert(leases).values(name="courier", holder=self._id, until=now + _LEASE))
        return True

    def _deliver(self, event: Row[Any]) -> bool:
        webhook = self._webhooks.get(event.tenant)
        taken = webhook is None or self._send(webhook, event)
        attempts = event.attempts + 1
        with self._database.write(f"{event.tenant}/{event.user}") as connection:
            if taken or attempts >= _ATTEMPTS:
                connection.execute(delete(outbox).where(outbox.c.seq == event.seq))
            else:
                wait = timedelta(seconds=min(_LONGEST_WAIT, _FIRST_WAIT * 2**event.attempts))
                later = {"attempts": attempts, "due": datetime.now(UTC) + wait}
                connection.execute(update(outbox).where(outbox.c.seq == event.seq).values(later))
        if not taken and attempts >= _ATTEMPTS:
            log.error("event dropped", extra={"event": event.id, "tenant": event.tenant})
        return taken

    def _send(self, webhook: Webhook, event: Row[Any]) -> bool:
        now = int(time.time())
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "privwiz",
            "Privwiz-Event": event.id,
            "Privwiz-Timestamp": str(now),
            "Privwiz-Signature": signature(webhook.secret, now, event.body),
        }
        try:
            status = post(webhook.url, event.body, headers, private=self._private)
        except (OSError, ValueError, http.client.HTTPException, DataError) as error:
            log.warning("event not taken", extra={"event": event.id, "tenant": event.tenant, "error": type(error).__name__})
            return False
        if not 200 <= status < 300:
            log.warning("event not taken", extra={"event": event.id, "tenant": event.tenant, "status": status})
        return 200 <= status < 300


def post(url: str, body: bytes, headers: Mapping[str, str], *, private: bool) -> int:
    """Send a body to a URL; return the status. Redirects are not followed.

    The address is looked up once, checked, and then the one that is connected to, so that a name cannot mean a public address
    when it is checked and a private one when it is used.

    Raises
    ------
    DataError
        If the address is not a public one, and private ones are not allowed.
    OSError, http.client.HTTPException
        If there is no answer.
    ValueError
        If there is no such URL.
    """
    parts = urlsplit(url)
    host, secure = parts.hostname or "", parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    if not private and not _is_public(str(address[0])):
        raise DataError("the address of a webhook is not a public one; set private_webhooks where that is meant")
    connection = http.client.HTTPConnection(host, port, timeout=_TIMEOUT)
    plain = socket.socket(family, socket.SOCK_STREAM)
    plain.settimeout(_TIMEOUT)
    try:
        plain.connect(address)
        connection.sock = ssl.create_default_context().wrap_socket(plain, server_hostname=host) if secure else plain
        connection.request("POST", f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}", body, dict(headers))
        return connection.getresponse().status
    finally:
        connection.close()
        plain.close()


def _is_public(address: str) -> bool:
    found = ip_address(address.partition("%")[0])
    inner = getattr(found, "ipv4_mapped", None) or getattr(found, "sixtofour", None)
    return found.is_global and not found.is_multicast and (inner is None or inner.is_global)
