"""The state of one user: inputs at one revision, and what follows from them, computed once and remembered."""

import hashlib
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache, cached_property
from importlib import metadata
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection, bindparam, func, literal_column, select

from privwiz.answers import Entry
from privwiz.decisions import DECIDED, Decision
from privwiz.items import ProfileItem
from privwiz.policy import Policy
from privwiz.prior import Prior
from privwiz.sessions import fingerprint
from privwiz.wizard import Wizard
from privwiz_api.database import Database
from privwiz_api.documents import Catalogue, StoredNetwork, read_decisions, read_entry
from privwiz_api.load import Load
from privwiz_api.tables import acceptances, answers, catalogues, networks, users

__all__ = ["Acceptance", "Recent", "State", "States", "Version", "computed_by", "new_generation", "read_catalogue"]

T = TypeVar("T")

UNUSED_SECONDS = 600.0
"""How long a process remembers what nobody asks for: also of a user whom another process erased."""

_HEAD = (
    select(
        users.c.generation, users.c.revision, users.c.network_revision, func.coalesce(catalogues.c.revision, literal_column("0"))
    )
    .select_from(users.outerjoin(catalogues, catalogues.c.tenant == users.c.tenant))
    .where(users.c.tenant == bindparam("t"), users.c.id == bindparam("u"))
)


@dataclass(frozen=True, slots=True)
class Version:
    """Which state of a user: equal versions have equal policies.

    Parameters
    ----------
    generation : str
        Drawn when the user was made.
    revision : int
        Counts the user's changes.
    network_revision : int
        That of the last change to network or circles.
    catalogue : int
        Revision of the tenant's catalogue; 0 for the library's.
    """

    generation: str
    revision: int
    network_revision: int
    catalogue: int

    @property
    def etag(self) -> str:
        """The strong entity tag of all that depends on the whole state, and on what computes it."""
        return f'"{self.generation}.{self.revision}.{self.catalogue}.{computed_by()}"'

    @property
    def network_etag(self) -> str:
        """The strong entity tag of the network."""
        return f'"{self.generation}.n{self.network_revision}"'


@dataclass(frozen=True, slots=True)
class Acceptance:
    """What came into force at once.

    Parameters
    ----------
    kind : str
        ``"accept"``, ``"override"``, or ``"undo"``, which takes the last standing one back.
    at : datetime
    revision : int
        With which it came.
    decisions : mapping of (str, str) to Decision
        Everything that is in force from then on.
    catalogue : int
        Revision of the catalogue whose items were looked at.
    """

    kind: str
    at: datetime
    revision: int
    decisions: Mapping[tuple[str, str], Decision]
    catalogue: int = 0


@dataclass(frozen=True, eq=False)
class State:
    """One user at one revision.

    Parameters
    ----------
    tenant, user : str
    version : Version
    stored : StoredNetwork or None
        None while the user has no network.
    catalogue : Catalogue
    log : tuple of Entry
    acceptances : tuple of Acceptance
    wizard : Wizard or None
        Of these inputs; it computes when first asked. Not to be changed: `privwiz.Wizard.fork` it.
    lock : lock
        Held while the wizard computes.
    """

    tenant: str
    user: str
    version: Version
    stored: StoredNetwork | None
    catalogue: Catalogue
    log: tuple[Entry, ...]
    acceptances: tuple[Acceptance, ...]
    wizard: Wizard | None
    lock: threading.RLock = field(default_factory=threading.RLock, repr=False)

    @property
    def items(self) -> tuple[ProfileItem, ...]:
        """What there is to protect."""
        return self.catalogue.items

    @property
    def weight(self) -> float:
        """How much memory it takes beside one of 250 friends: covariances grow with the square of the friends."""
        return 1.0 if self.stored is None else max(0.1, (self.stored.network.n / 250) ** 2)

    @cached_property
    def policy(self) -> Policy:
        """What is suggested. Its decisions are computed."""
        assert self.wizard is not None, "who has no network has no policy"
        with self.lock:
            policy = self.wizard.policy()
            _ = policy.numbers
            return policy

    @cached_property
    def standing(self) -> tuple[Acceptance, ...]:
        """The acceptances that have not been taken back."""
        kept: list[Acceptance] = []
        for acceptance in self.acceptances:
            if acceptance.kind != "undo":
                kept.append(acceptance)
            elif kept:
                kept.pop()
        return tuple(kept)

    @cached_property
    def in_force(self) -> Mapping[tuple[str, str], Decision]:
        """What is enforced, for every item and friend: what was accepted while both were there, else deny."""
        if self.stored is None:
            return {}
        return {
            (item.id, friend): DECIDED[number]
            for item, row in zip(self.items, self.enforced.tolist(), strict=True)
            for friend, number in zip(self.stored.network.friends, row, strict=True)
        }

    @cached_property
    def enforced(self) -> npt.NDArray[np.int8]:
        """The same in numbers: positions in `privwiz.decisions.DECIDED`, shape (J, n)."""
        friends = () if self.stored is None else self.stored.network.friends
        numbers = np.full((len(self.items), len(friends)), DECIDED.index(Decision.DENY), np.int8)
        if self.stored is not None and self.standing:
            accepted, items, since = self.standing[-1], self.catalogue.since, self.stored.since
            row = {item.id: j for j, item in enumerate(self.items) if items[item.id] <= accepted.catalogue}
            column = {friend: i for i, friend in enumerate(friends) if since[friend] <= accepted.revision}
            for (item, friend), decision in accepted.decisions.items():
                if item in row and friend in column:
                    numbers[row[item], column[friend]] = DECIDED.index(decision)
        return numbers


@cache
def computed_by() -> str:
    """Name what computes suggestions: another version of the library, or another prior, may suggest something else."""
    return hashlib.sha256(f"{metadata.version('privwiz')} {fingerprint(Prior.default())}".encode()).hexdigest()[:8]


def new_generation() -> str:
    """Draw what tells a user from one of the same id who was erased."""
    return secrets.token_hex(8)


def read_catalogue(connection: Connection, tenant: str) -> Catalogue:
    """Read a tenant's catalogue; the library's unless it has one of its own."""
    row = connection.execute(select(catalogues).where(catalogues.c.tenant == tenant)).one_or_none()
    return Catalogue.read(0, None) if row is None else Catalogue.read(row.revision, row.document)


class Recent(Generic[T]):
    """The values used last, safe for threads; each is forgotten when it has not been used for a while.

    >>> recent = Recent(2)
    >>> recent.put("ann", 1), recent.put("bob", 2, weight=1.5), recent.get("ann"), recent.get("bob")
    (None, None, None, 2)
    """

    def __init__(self, size: int, seconds: float = UNUSED_SECONDS) -> None:
        self._size = size
        self._seconds = seconds
        self._values: OrderedDict[object, tuple[T, float, float]] = OrderedDict()
        self._weight = 0.0
        self._lock = threading.Lock()

    def get(self, key: object) -> T | None:
        """Return the value, None where it is not remembered."""
        with self._lock:
            self._forget_unused()
            if key not in self._values:
                return None
            value, weight, _ = self._values.pop(key)
            self._values[key] = (value, weight, time.monotonic())
            return value

    def put(self, key: object, value: T, weight: float = 1.0) -> None:
        """Remember a value, and forget those that were not used for longest while all weigh too much; never this one."""
        with self._lock:
            self._forget_unused()
            self._forget(key)
            self._values[key] = (value, weight, time.monotonic())
            self._weight += weight
            while self._weight > self._size and len(self._values) > 1:
                self._forget(next(iter(self._values)))

    def drop(self, key: object) -> None:
        """Forget a value."""
        with self._lock:
            self._forget(key)

    def _forget(self, key: object) -> None:
        _, weight, _ = self._values.pop(key, (None, 0.0, 0.0))
        self._weight -= weight

    def _forget_unused(self) -> None:
        """Forget what was not used for too long; the first one is the one that was used least lately."""
        since = time.monotonic() - self._seconds
        while self._values and next(iter(self._values.values()))[2] < since:
            self._forget(next(iter(self._values)))


class States:
    """The users' states, read from the database and remembered.

    Parameters
    ----------
    database : Database
    load : Load
        Bounds how much is computed at once.
    users, policies : int
        How many users' states and written policies are remembered.
    """

    def __init__(self, database: Database, load: Load, users: int, policies: int) -> None:
        self._database = database
        self._head = database.prepared(_HEAD)
        self._load = load
        self._states: Recent[State] = Recent(users)
        self._written: Recent[tuple[Version, bytes]] = Recent(policies)
        self._prior = Prior.default()

    def version(self, tenant: str, user: str) -> Version | None:
        """Look up which version of the user is current; None where there is no such user."""
        found = self._head({"t": tenant, "u": user})
        if found is None:
            self.forget(tenant, user)
            return None
        return Version(*found)

    def current(self, tenant: str, user: str) -> State | None:
        """Return the current state; None where there is no such user."""
        version = self.version(tenant, user)
        return None if version is None else self._at(tenant, user, version)

    def read(self, connection: Connection, tenant: str, user: str) -> State | None:
        """Return the state that a transaction sees, as `current` does."""
        found = connection.execute(_HEAD, {"t": tenant, "u": user}).one_or_none()
        if found is None:
            self.forget(tenant, user)
            return None
        version = Version(*found)
        known = self._states.get((tenant, user))
        if known is not None and known.version == version:
            return known
        with self._load.turn():
            state = self._read(connection, tenant, user, version, known)
        self.remember(state)
        return state

    def remember(self, state: State) -> None:
        """Remember a state that is current."""
        self._states.put((state.tenant, state.user), state, state.weight)

    def forget(self, tenant: str, user: str) -> None:
        """Forget a user."""
        self._states.drop((tenant, user))
        self._written.drop((tenant, user))

    def written(self, tenant: str, user: str, write: Callable[[State], bytes]) -> tuple[Version, bytes] | None:
        """Return the user's whole policy as ``write`` writes it, remembered while nothing changes."""
        version = self.version(tenant, user)
        if version is None:
            return None
        known = self._written.get((tenant, user))
        if known is not None and known[0] == version:
            return known
        state = self._at(tenant, user, version)
        if state is None:
            return None
        fresh = (state.version, write(state))
        self._written.put((tenant, user), fresh)
        return fresh

    def catalogue(self, tenant: str) -> Catalogue:
        """Return a tenant's catalogue."""
        with self._database.read() as connection:
            return read_catalogue(connection, tenant)

    def wizard(self, stored: StoredNetwork, items: Sequence[ProfileItem], log: Sequence[Entry]) -> Wizard:
        """Make the wizard of these inputs."""
        return Wizard(stored.network, tuple(items), self._prior, circles=stored.circles, log=log)

    def _at(self, tenant: str, user: str, version: Version) -> State | None:
        """Return the state of the version that was current, or of the one that is by now."""
        known = self._states.get((tenant, user))
        if known is not None and known.version == version:
            return known
        with self._database.read() as connection:
            return self.read(connection, tenant, user)

    def _read(self, connection: Connection, tenant: str, user: str, version: Version, known: State | None) -> State:
        """Read a state, from the rows that are newer than what is known if network and catalogue are the same."""
        same = (
            known is not None
            and known.version.generation == version.generation
            and known.version.network_revision == version.network_revision
            and known.version.catalogue == version.catalogue
            and known.version.revision <= version.revision
        )
        log, accepted = (known.log, known.acceptances) if same and known is not None else ((), ())
        added = tuple(
            read_entry(row)
            for row in connection.scalars(_newer(answers, tenant, user, len(log)).with_only_columns(answers.c.document))
        )
        later = tuple(
            Acceptance(row.kind, row.at, row.revision, read_decisions(row.decisions), row.catalogue)
            for row in connection.execute(_newer(acceptances, tenant, user, len(accepted)))
        )
        if same and known is not None:
            with known.lock:
                wizard = None if known.wizard is None else known.wizard.fork()
            if wizard is not None:
                wizard.replay(added)
            return replace(
                known,
                version=version,
                log=log + added,
                acceptances=accepted + later,
                wizard=wizard,
                lock=threading.RLock(),
            )
        network = connection.scalar(select(networks.c.document).where(networks.c.tenant == tenant, networks.c.user == user))
        catalogue = read_catalogue(connection, tenant)
        stored = None if network is None else StoredNetwork.read(user, network)
        wizard = None if stored is None else self.wizard(stored, catalogue.items, added)
        return State(tenant, user, version, stored, catalogue, added, later, wizard)


def _newer(table: Any, tenant: str, user: str, seq: int) -> Any:
    own = (table.c.tenant == tenant, table.c.user == user, table.c.seq > seq)
    return select(table).where(*own).order_by(table.c.seq)
