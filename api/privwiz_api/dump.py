"""The users of a tenant as the tables that many users are labelled from, and what these tables cannot say."""

import shutil
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, func, select

from privwiz.answers import Entry
from privwiz.batch import Watcher
from privwiz.case import network_fingerprint
from privwiz.errors import DataError
from privwiz.files import FilePath, new_folder, writing
from privwiz.items import ProfileItem
from privwiz.network_store import NetworkStore
from privwiz.rejected import RejectedRows
from privwiz.store_builder import DEFAULT_MEMORY, build_store
from privwiz.store_tables import write_store_tables
from privwiz.tables import pyarrow, write_table
from privwiz_api.cells import as_cells
from privwiz_api.database import Database
from privwiz_api.documents import StoredNetwork, read_entry
from privwiz_api.migrate import check_current
from privwiz_api.states import read_catalogue
from privwiz_api.tables import acceptances, answers, networks, users

__all__ = ["Dump", "dump_tenant"]

GROUPS = "answers about a group as a whole"
SEVERAL = "answers for several friends at once"
CIRCLES = "circles that were corrected, or found before friends came or went"
OTHERS = "another user's network says other things of the same people"
FRIENDLESS = "no friends"
STRANGER = "not a user of the tenant"

_PAGE = 64
_ROWS = 1 << 16


@dataclass(frozen=True, slots=True)
class Dump:
    """What was written.

    Parameters
    ----------
    whole, partial : int
        Users of whom the tables say all, and the others.
    reasons : Counter
        How many of the others there are for each reason; one may have several.
    gone : int
        Answers about friends or items that are not there now: the tables have none of them.
    accepted : int
        Users who have accepted something, of which the tables say nothing.
    """

    whole: int
    partial: int
    reasons: "Counter[str]"
    gone: int
    accepted: int


@dataclass(frozen=True, eq=False, slots=True)
class _User:
    """A user as the database has it."""

    id: str
    network_revision: int
    stored: StoredNetwork | None
    log: Sequence[Entry]
    accepted: bool


def dump_tenant(
    database: Database,
    tenant: str,
    out: FilePath,
    watcher: Watcher,
    named: Sequence[str] | None = None,
    memory: int = DEFAULT_MEMORY,
) -> Dump:
    """Write a tenant's users, all as they are in one state of the database, as tables.

    These are ``edges``, ``profiles``, ``answers``, ``items``, and ``users`` with those of whom the former say all (``.parquet``);
    ``partial.csv`` has the others, a row for each reason. Equal states give equal tables, whatever the database.

    Parameters
    ----------
    database : Database
    tenant : str
    out : path
        A folder that is not there yet.
    watcher : Watcher
    named : sequence of str, optional
        Whom to dump, each once; everybody unless given.
    memory : int
        As `privwiz.store_builder.build_store` takes it.

    Raises
    ------
    DataError
        If ``out`` cannot be made, or there is no user with friends.
    MissingExtra
        If pyarrow is not installed.
    """
    pyarrow("dumping users")
    with new_folder(out) as folder:
        work = folder / "work"
        work.mkdir()
        check_current(database)
        with database.read() as connection:
            items = read_catalogue(connection, tenant).items
            tied = _write_rows(work, connection, tenant, named, items, watcher)
        if not tied:
            raise DataError(f"tenant {tenant!r} has no user with friends here; nobody can be labelled")
        with RejectedRows(work / "rejected.csv") as rejected:
            edges, profiles, said = (work / f"{name}.parquet" for name in ("edges", "profiles", "answers"))
            store = build_store(work / "store", edges, profiles, said, rejected, memory=memory, say=watcher.say)
        assert not rejected.counts, "every row was made here"
        watcher.say("writing the tables")
        write_store_tables(store, folder)
        columns = {"item": "id", "sensitivity": "sensitivity", "en": "en", "zh": "zh", "cost_ratio": "cost_ratio"}
        write_table(folder / "items.parquet", {name: [getattr(item, field) for item in items] for name, field in columns.items()})
        dump = _judge(folder, work / "users.parquet", store, named, watcher)
        shutil.rmtree(work)
    return dump


def _write_rows(
    work: Path,
    connection: Connection,
    tenant: str,
    named: Sequence[str] | None,
    items: Sequence[ProfileItem],
    watcher: Watcher,
) -> int:
    """Write what the networks and answers of users say, row by row and with all repeats; return how many ties that is."""
    pa, _ = pyarrow("dumping users")
    text, number, truth = pa.string(), pa.int64(), pa.bool_()
    every = select(func.count()).select_from(users).where(users.c.tenant == tenant)
    total = connection.scalar(every) or 0 if named is None else len(named)
    watcher.say("reading networks and answers")
    watcher.progress(0, total)
    with (
        _growing(work / "edges.parquet", {"source": text, "target": text, "weight": pa.float64()}) as edges,
        _growing(work / "profiles.parquet", dict.fromkeys(("user", "field", "value"), text)) as profiles,
        _growing(work / "answers.parquet", dict.fromkeys(("user", "item", "friend", "decision"), text)) as answered,
        _growing(
            work / "users.parquet",
            {"user": text, "friends": number, "answers": number, "fingerprint": text}
            | {"groups": number, "several": number, "gone": number, "grown": truth, "accepted": truth},
        ) as judged,
    ):
        for done, user in enumerate(_read_users(connection, tenant, named), 1):
            friends = () if user.stored is None else user.stored.network.friends
            cells = as_cells(user.log, items, friends)
            if user.stored is not None and friends:
                edges.add(*_ties(user.stored, user.id))
                profiles.add(*_values(user.stored, user.id))
            said = cells.decisions.items()
            answered.add(
                [user.id] * len(said),
                [cell[0] for cell, _ in said],
                [cell[1] for cell, _ in said],
                [one.value for _, one in said],
            )
            judged.add(
                [user.id],
                [len(friends)],
                [len(said)],
                ["" if user.stored is None else network_fingerprint(user.stored.network)],
                [cells.groups],
                [cells.several],
                [cells.gone],
                [user.stored is not None and set(user.stored.since.values()) != {user.network_revision}],
                [user.accepted],
            )
            watcher.progress(done, total)
    return edges.count


def _read_users(connection: Connection, tenant: str, named: Sequence[str] | None) -> Iterator[_User]:
    """Read users a page at a time, so that memory does not grow with their number."""
    heads = select(users.c.id, users.c.network_revision).where(users.c.tenant == tenant).order_by(users.c.id)
    if named is not None:
        for start in range(0, len(named), _PAGE):
            page = connection.execute(heads.where(users.c.id.in_(named[start : start + _PAGE]))).all()
            yield from _read_page(connection, tenant, {row.id: row.network_revision for row in page})
        return
    last = ""
    while page := connection.execute(heads.where(users.c.id > last).limit(_PAGE)).all():
        yield from _read_page(connection, tenant, {row.id: row.network_revision for row in page})
        last = page[-1].id


def _read_page(connection: Connection, tenant: str, revisions: Mapping[str, int]) -> Iterator[_User]:
    documents = {
        row.user: row.document
        for row in connection.execute(select(networks).where(networks.c.tenant == tenant, networks.c.user.in_(revisions)))
    }
    logs: dict[str, list[Entry]] = defaultdict(list)
    for row in connection.execute(_of(answers, tenant, revisions).with_only_columns(answers.c.user, answers.c.document)):
        logs[row.user].append(read_entry(row.document))
    standing: Counter[str] = Counter()
    for row in connection.execute(_of(acceptances, tenant, revisions).with_only_columns(acceptances.c.user, acceptances.c.kind)):
        standing[row.user] += -1 if row.kind == "undo" else 1
    for user, revision in revisions.items():
        stored = StoredNetwork.read(user, documents[user]) if user in documents else None
        yield _User(user, revision, stored, logs[user], standing[user] > 0)


def _of(table: Any, tenant: str, some: Mapping[str, int]) -> Any:
    return select(table).where(table.c.tenant == tenant, table.c.user.in_(some)).order_by(table.c.user, table.c.seq)


def _ties(stored: StoredNetwork, user: str) -> tuple[list[str], list[str], list[float | None]]:
    """Return the ties that a network states, to the user and among the friends, with the weights that it states."""
    friends = stored.document["friends"]
    ties = [tie for tie in stored.document["ties"] if tie[0] != tie[1] and user not in tie[:2]]
    return (
        [*([user] * len(friends)), *(tie[0] for tie in ties)],
        [*friends, *(tie[1] for tie in ties)],
        [*(said.get("weight") for said in friends.values()), *(tie[2] if len(tie) == 3 else None for tie in ties)],
    )


def _values(stored: StoredNetwork, user: str) -> tuple[list[str], list[str], list[str]]:
    """Return the values in the profiles of the user and the friends."""
    network = stored.network
    people = [(user, network.ego_profile), *((friend, network.profiles[friend]) for friend in network.friends)]
    rows = [(who, field, value) for who, profile in people for field, values in profile.items() for value in values]
    return [row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows]


def _judge(folder: Path, path: Path, store: NetworkStore, named: Sequence[str] | None, watcher: Watcher) -> Dump:
    """Tell the users of whom the tables say all from the others, and write down who they are."""
    pa, pq = pyarrow("dumping users")
    found = pq.read_table(path).sort_by("user")
    whole: list[int] = []
    partial = [(user, STRANGER) for user in sorted(set(named or ()).difference(found["user"].to_pylist()))]
    watcher.say("comparing networks")
    watcher.progress(0, len(found))
    for number, user in enumerate(row for batch in found.to_batches(_ROWS) for row in batch.to_pylist()):
        reasons = list(_missing(user, store))
        partial += [(user["user"], reason) for reason in reasons]
        if not reasons:
            whole.append(number)
        watcher.progress(number + 1, len(found))
    with writing(folder / "users.parquet") as file:
        pq.write_table(found.select(["user", "friends", "answers"]).take(pa.array(whole, pa.int64())), file, compression="zstd")
    write_table(folder / "partial.csv", {"user": [user for user, _ in partial], "reason": [reason for _, reason in partial]})
    return Dump(
        len(whole),
        len({user for user, reason in partial if reason != STRANGER}),
        Counter(reason for _, reason in partial),
        sum(found["gone"].to_pylist()),
        sum(found["accepted"].to_pylist()),
    )


def _missing(user: Mapping[str, Any], store: NetworkStore) -> Iterator[str]:
    """Yield what the tables do not say of a user."""
    if not user["friends"]:
        yield FRIENDLESS
        return
    if network_fingerprint(store.ego_network(store.people.number(user["user"]))) != user["fingerprint"]:
        yield OTHERS
    for count, reason in (("groups", GROUPS), ("several", SEVERAL), ("grown", CIRCLES)):
        if user[count]:
            yield reason


class _Rows:
    """A Parquet file while rows are added to it.

    Parameters
    ----------
    file : binary file
    kinds : mapping of str to pyarrow.DataType
        Of each column.
    """

    def __init__(self, file: Any, kinds: Mapping[str, Any]) -> None:
        pa, pq = pyarrow("dumping users")
        self._schema = pa.schema(list(kinds.items()))
        self._writer = pq.ParquetWriter(file, self._schema, compression="zstd")
        self._waiting: list[list[Any]] = [[] for _ in kinds]
        self.count = 0

    def add(self, *columns: Sequence[Any]) -> None:
        """Add rows, given as columns."""
        for waiting, column in zip(self._waiting, columns, strict=True):
            waiting.extend(column)
        self.count += len(columns[0])
        if len(self._waiting[0]) >= _ROWS:
            self.flush()

    def flush(self) -> None:
        """Write the rows that wait."""
        pa, _ = pyarrow("dumping users")
        arrays = [pa.array(column, kind) for column, kind in zip(self._waiting, self._schema.types, strict=True)]
        self._writer.write_batch(pa.record_batch(arrays, schema=self._schema))
        self._waiting = [[] for _ in arrays]

    def close(self) -> None:
        """Write what is left."""
        self.flush()
        self._writer.close()


@contextmanager
def _growing(path: Path, kinds: Mapping[str, Any]) -> Iterator[_Rows]:
    with path.open("wb") as file:
        rows = _Rows(file, kinds)
        yield rows
        rows.close()
