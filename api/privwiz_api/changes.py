"""Changes: every write of one user, in one transaction with its idempotency record, events and audit entry."""

import hashlib
import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from privwiz.answers import Entry
from privwiz.corrections import Correction, write_correction
from privwiz.decisions import DecisionTable
from privwiz_api.database import Database
from privwiz_api.documents import StoredNetwork, pack, unpack, write_decisions, write_entry
from privwiz_api.load import Load
from privwiz_api.problems import Problem
from privwiz_api.states import Acceptance, State, States, Version, new_generation
from privwiz_api.tables import acceptances, answers, audit, corrections, idempotency, networks, outbox, users
from privwiz_api.tokens import Caller

__all__ = ["Change", "Changes", "Request", "Result"]

KEPT = timedelta(hours=24)
"""How long an idempotency record is kept at least."""

_TRIES = 8

_OF_KEY = (
    idempotency.c.tenant == bindparam("t"),
    idempotency.c.caller == bindparam("c"),
    idempotency.c.key == bindparam("k"),
)
_RECORD = select(idempotency).where(*_OF_KEY)
_FORGET = delete(idempotency).where(*_OF_KEY, idempotency.c.at < bindparam("before"))
_ADVANCE = (
    update(users)
    .where(
        users.c.tenant == bindparam("t"),
        users.c.id == bindparam("u"),
        users.c.generation == bindparam("g"),
        users.c.revision == bindparam("r"),
    )
    .values(revision=bindparam("to"), network_revision=bindparam("network"))
)
"""Brings a user from one revision to the next, and touches nobody where somebody else was faster."""

_ADD_USER, _ADD_NETWORK, _ADD_ANSWER, _ADD_ACCEPTANCE, _ADD_RECORD, _ADD_EVENT, _ADD_AUDIT = (
    insert(table).inline() for table in (users, networks, answers, acceptances, idempotency, outbox, audit)
)


@dataclass(frozen=True, slots=True)
class Result:
    """What a request gets."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Request:
    """Who asks for a change.

    Parameters
    ----------
    caller : Caller
    user : str
    id : str
        Of the request.
    action : str
        For the audit log.
    key : str or None
        The idempotency key.
    digest : str
        Of all that makes the request; another request with the same key is refused.
    """

    caller: Caller
    user: str
    id: str
    action: str
    key: str | None
    digest: str

    @property
    def tenant(self) -> str:
        """The caller's tenant."""
        return self.caller.tenant


@dataclass(frozen=True, slots=True)
class Change:
    """What a request changes of a state.

    Parameters
    ----------
    result : Result
    after : State or None
        The state afterwards; its version is the next one. None where the user is left without rows: erasure.
    policy : bytes or None
        What was looked at, for an acceptance.
    corrections : tuple of Correction
        What was corrected of the circles.
    events : tuple of (str, mapping)
        Type and data of what webhooks hear.
    """

    result: Result
    after: State | None
    policy: bytes | None = None
    corrections: tuple[Correction, ...] = ()
    events: tuple[tuple[str, Mapping[str, Any]], ...] = ()


class Changes:
    """Make changes.

    Parameters
    ----------
    database : Database
    states : States
    load : Load
    webhooks : collection of str
        The tenants that hear of events.
    """

    def __init__(self, database: Database, states: States, load: Load, webhooks: Mapping[str, object]) -> None:
        self._database = database
        self._states = states
        self._load = load
        self._webhooks = webhooks

    def make(self, request: Request, plan: Callable[[State | None], Change]) -> Result:
        """Make a change, once.

        The plan is made for the current state, outside of the transaction; if somebody else changed the state meanwhile, it is
        made again. It may be called several times and must change nothing itself.

        Parameters
        ----------
        request : Request
        plan : callable
            Current state, None where there is no such user -> `Change`. Raises `Problem` to refuse.

        Raises
        ------
        Problem
            What ``plan`` raises; 422 for a key that came with another request; 409 if the state keeps changing.
        """
        for _ in range(_TRIES):
            with self._database.read() as connection:
                record = None if request.key is None else connection.execute(_RECORD, _of_key(request)).one_or_none()
                if record is not None and record.at >= datetime.now(UTC) - KEPT:
                    return _replayed(record, request)
                state = self._states.read(connection, request.tenant, request.user)
            if request.caller.generation not in (None, None if state is None else state.version.generation):
                raise Problem(404, "no-such-user", "There is no such user.")
            with self._load.turn():
                change = plan(state)
            try:
                with self._database.write(f"{request.tenant}/{request.user}") as connection:
                    now = datetime.now(UTC)
                    after = change.after or state
                    if after is not None and not write_state(connection, state, after, now, change):
                        continue
                    if record is not None:
                        connection.execute(_FORGET, {**_of_key(request), "before": now - KEPT})
                    self._write(connection, request, change, now)
            except IntegrityError:
                continue
            if change.after is not None:
                self._states.remember(change.after)
            return change.result
        raise Problem(409, "contention", "Others keep changing this user; send the request again.", {"Retry-After": "1"})

    def _write(self, connection: Connection, request: Request, change: Change, now: datetime) -> None:
        """Write what goes with a change; the key of another change that was made meanwhile is refused by the table."""
        if request.key is not None:
            connection.execute(_ADD_RECORD, _record(request, change.result, now))
        if request.tenant in self._webhooks:
            for kind, data in change.events:
                connection.execute(_ADD_EVENT, _event(request, kind, data, now))
        entry = {
            "at": now,
            "tenant": request.tenant,
            "user": request.user,
            "actor": request.caller.id,
            "action": request.action,
            "revision": None if change.after is None else change.after.version.revision,
            "request": request.id,
        }
        connection.execute(_ADD_AUDIT, entry)

    def sweep(self) -> None:
        """Forget the idempotency records that need no longer be kept."""
        with self._database.write("sweep") as connection:
            connection.execute(delete(idempotency).where(idempotency.c.at < datetime.now(UTC) - KEPT))


def write_state(connection: Connection, before: State | None, after: State, now: datetime, change: Change) -> bool:
    """Write what a state has that the one before had not; write nothing and return False if that is no longer the present one."""
    own = {"tenant": after.tenant, "user": after.user}
    version = after.version
    if before is None:
        row = {"tenant": after.tenant, "id": after.user, "generation": version.generation, "created_at": now}
        connection.execute(_ADD_USER, {**row, "revision": version.revision, "network_revision": version.network_revision})
    else:
        present = {"t": after.tenant, "u": after.user, "g": before.version.generation, "r": before.version.revision}
        advanced = connection.execute(_ADVANCE, {**present, "to": version.revision, "network": version.network_revision})
        if advanced.rowcount != 1:
            return False
    if after.stored is not (None if before is None else before.stored):
        connection.execute(delete(networks).where(networks.c.tenant == after.tenant, networks.c.user == after.user))
        if after.stored is not None:
            connection.execute(_ADD_NETWORK, {**own, "document": after.stored.write()})
    for correction in change.corrections:
        _write_correction(connection, own, now, correction)
    known = 0 if before is None else len(before.log)
    rows = [
        {**own, "seq": seq, "at": now, "document": write_entry(entry)} for seq, entry in enumerate(after.log[known:], known + 1)
    ]
    if rows:
        connection.execute(_ADD_ANSWER, rows)
    known = 0 if before is None else len(before.acceptances)
    for seq, accepted in enumerate(after.acceptances[known:], known + 1):
        row = {
            "seq": seq,
            "at": accepted.at,
            "kind": accepted.kind,
            "revision": accepted.revision,
            "decisions": write_decisions(accepted.decisions),
            "catalogue": accepted.catalogue,
            "policy": change.policy,
        }
        connection.execute(_ADD_ACCEPTANCE, {**own, **row})
    return True


def _write_correction(connection: Connection, own: Mapping[str, str], now: datetime, correction: Correction) -> None:
    mine = (corrections.c.tenant == own["tenant"], corrections.c.user == own["user"])
    known = connection.scalar(select(func.coalesce(func.max(corrections.c.seq), 0)).where(*mine))
    row = {**own, "seq": (known or 0) + 1, "at": now, "document": pack(write_correction(correction))}
    connection.execute(insert(corrections).values(row))


def next_version(state: State, *, network: bool = False) -> Version:
    """Return the version after a change, of the network or of something else."""
    revision = state.version.revision + 1
    return replace(state.version, revision=revision, network_revision=revision if network else state.version.network_revision)


def digest(*parts: bytes) -> str:
    """Return what two requests have in common only if they are the same."""
    whole = hashlib.sha256()
    for part in parts:
        whole.update(len(part).to_bytes(8, "big"))
        whole.update(part)
    return whole.hexdigest()


def first_state(states: States, tenant: str, user: str) -> State:
    """Return the state of a user who is about to be made."""
    catalogue = states.catalogue(tenant)
    return State(tenant, user, Version(new_generation(), 0, 0, catalogue.revision), None, catalogue, (), (), None)


def heard(state: State, entries: tuple[Entry, ...]) -> State:
    """Return the state after the user has said this."""
    assert state.wizard is not None, "who has no network is asked nothing"
    with state.lock:
        wizard = state.wizard.fork()
    wizard.replay(entries)
    return State(
        state.tenant,
        state.user,
        next_version(state),
        state.stored,
        state.catalogue,
        state.log + entries,
        state.acceptances,
        wizard,
    )


def accepted(state: State, acceptance: Acceptance) -> State:
    """Return the state after something was accepted."""
    return State(
        state.tenant,
        state.user,
        replace(state.version, revision=acceptance.revision),
        state.stored,
        state.catalogue,
        state.log,
        (*state.acceptances, replace(acceptance, catalogue=state.version.catalogue)),
        state.wizard,
        state.lock,
    )


def settled(state: State) -> frozenset[str]:
    """Return the friends about whom something was put in force since they came."""
    if state.stored is None or not state.standing:
        return frozenset()
    last = state.standing[-1]
    return frozenset(friend for _, friend in last.decisions if state.stored.since.get(friend, last.revision + 1) <= last.revision)


def put_in_force(state: State, kind: str, chosen: DecisionTable, policy: bytes | None) -> Change:
    """Put decisions in force beside those that are; about friends who are new nothing else is decided."""
    known = settled(state)
    decisions = {cell: said for cell, said in state.in_force.items() if cell[1] in known}
    return _in_force(state, Acceptance(kind, datetime.now(UTC), next_version(state).revision, {**decisions, **chosen}), policy)


def taken_back(state: State) -> Change:
    """Put in force again what was before the last standing acceptance."""
    return _in_force(state, Acceptance("undo", datetime.now(UTC), next_version(state).revision, {}), None)


def _in_force(state: State, acceptance: Acceptance, policy: bytes | None) -> Change:
    after = accepted(state, acceptance)
    event = ("policy.changed", {"revision": acceptance.revision, "by": acceptance.kind})
    result = Result(200, {"revision": acceptance.revision}, {"ETag": after.version.etag})
    return Change(result, after, policy, events=(event,))


def corrected(states: States, state: State, made: Sequence[Correction]) -> Change:
    """Correct circles, one correction after the other: all of them, or none."""
    assert state.stored is not None, "who has no network has no circles"
    stored = state.stored
    for correction in made:
        stored = stored.corrected(correction)
    after = renetworked(states, state, stored)
    return Change(Result(200, None, {"ETag": after.version.etag}), after, corrections=tuple(made))


def networked(states: States, tenant: str, user: str, state: State | None, document: Mapping[str, Any]) -> Change:
    """Give a user a network, the first one or another; who joins by it waits for the user's decision."""
    fresh = state is None or state.stored is None
    if state is None:
        state = first_state(states, tenant, user)
    stored = StoredNetwork.of(user, document, next_version(state, network=True).revision, state.stored)
    after = renetworked(states, state, stored)
    known = () if state.stored is None else state.stored.since
    joined = [friend for friend in stored.network.friends if friend not in known]
    events = (("suggestion.pending", {"revision": after.version.revision, "friends": joined}),) if joined else ()
    result = Result(201 if fresh else 200, {"revision": after.version.revision}, {"ETag": after.version.network_etag})
    return Change(result, after, events=events)


def renetworked(states: States, state: State, stored: StoredNetwork | None) -> State:
    """Return the state with another network."""
    return State(
        state.tenant,
        state.user,
        next_version(state, network=True),
        stored,
        state.catalogue,
        state.log,
        state.acceptances,
        None if stored is None else states.wizard(stored, state.items, state.log),
    )


def _replayed(record: Row[Any], request: Request) -> Result:
    if record.request != request.digest:
        raise Problem(422, "key-reused", "This Idempotency-Key came with another request; take a new key for a new request.")
    return Result(record.status, unpack(record.body), {**unpack(record.headers), "Idempotent-Replayed": "true"})


def _of_key(request: Request) -> dict[str, Any]:
    return {"t": request.tenant, "c": request.caller.id, "k": request.key}


def _record(request: Request, result: Result, now: datetime) -> dict[str, Any]:
    return {
        "tenant": request.tenant,
        "caller": request.caller.id,
        "key": request.key,
        "user": request.user,
        "request": request.digest,
        "status": result.status,
        "headers": pack(dict(result.headers)),
        "body": pack(result.body),
        "at": now,
    }


def _event(request: Request, kind: str, data: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    number = str(uuid.uuid4())
    body = {"id": number, "type": kind, "user": request.user, "created_at": now.isoformat(timespec="seconds"), "data": data}
    return {
        "id": number,
        "tenant": request.tenant,
        "user": request.user,
        "body": json.dumps(body, ensure_ascii=False).encode(),
        "attempts": 0,
        "due": now,
    }
