"""The users of a batch run, made in the service: their inputs, where the service suggests from these what the run says."""

import secrets
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TypeAlias

from pydantic import ValidationError
from sqlalchemy.exc import SQLAlchemyError

from privwiz.answers import Entry
from privwiz.batch import Watcher
from privwiz.case import case_log, network_fingerprint
from privwiz.errors import DataError, PrivwizError
from privwiz.files import FilePath, new_folder
from privwiz.graphs import EgoNetwork
from privwiz.network_store import NetworkStore
from privwiz.pieces import parquet_files
from privwiz.rejected import RejectedRows
from privwiz.store_builder import DEFAULT_MEMORY, build_store
from privwiz.tables import iter_parquet, pyarrow, write_table
from privwiz.workers import Work, run_tasks
from privwiz_api.cells import as_cells
from privwiz_api.changes import Change, Changes, Request, heard, networked
from privwiz_api.database import Database, database_errors
from privwiz_api.documents import document_of
from privwiz_api.load import Load
from privwiz_api.migrate import prepare
from privwiz_api.problems import Problem
from privwiz_api.schemas import MAX_FRIENDS, Network, UserPath
from privwiz_api.settings import Settings
from privwiz_api.states import State, States
from privwiz_api.tokens import Caller

__all__ = ["ImportInput", "Imported", "import_run"]

Decisions: TypeAlias = Mapping[tuple[str, str], str]
"""Item and friend -> decision."""


@dataclass(frozen=True, slots=True)
class ImportInput:
    """What is loaded.

    Parameters
    ----------
    run : path
        The folder of a finished run of `privwiz label`.
    edges, answers, profiles : path
        The tables that it was made from, as `privwiz.batch.BatchInput` takes them.
    """

    run: FilePath
    edges: FilePath
    answers: FilePath
    profiles: FilePath | None = None


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of the users of a run.

    Parameters
    ----------
    outcomes : Counter
        How many were ``"loaded"``; were ``"present"``, with the network and the answers of the tables; were ``"kept"`` as they
        are, with others; or ``"failed"``.
    absent : int
        Users of whom the run has no policy: unchanged since an earlier run, or failed in this one.
    """

    outcomes: "Counter[str]"
    absent: int


@dataclass(frozen=True, slots=True)
class _Run:
    """A finished run: its files of policies, and how many users have one."""

    parts: tuple[Path, ...]
    labelled: int
    absent: int


@dataclass(frozen=True, slots=True)
class _Job:
    """What a worker needs to know."""

    folder: Path
    parts: tuple[Path, ...]
    settings: Settings
    caller: Caller
    request: str


def import_run(
    given: ImportInput,
    out: FilePath,
    settings: Settings,
    tenant: str,
    watcher: Watcher,
    *,
    workers: int = 1,
    memory: int = DEFAULT_MEMORY,
) -> Imported:
    """Make the users of a run whom the service has not; those whom it has are never changed.

    Each is made in one transaction, as by its backend: network and answers, an entry in the audit log, the event that friends
    joined. Nothing is in force. Users of whom the service would suggest otherwise than the run, be it of one cell, fail.

    Parameters
    ----------
    given : ImportInput
    out : path
        A folder that is not there yet, for ``users/`` (what became of each), ``kept.csv`` and ``errors.csv``.
    settings : Settings
        Those of the service: its database, and who hears of events.
    tenant : str
    watcher : Watcher
    workers : int
        Number of processes.
    memory : int
        As `privwiz.store_builder.build_store` takes it.

    Raises
    ------
    DataError
        If the run or a table cannot be used, the run is about other items than the tenant's, ``out`` cannot be made, or the
        database refuses. Who is loaded stays loaded, and is there already when it is done again.
    MissingExtra
        If pyarrow is not installed.
    """
    pyarrow("loading a run")
    run = _read_run(given.run)
    with database_errors(), new_folder(out) as folder:
        _check_service(settings, tenant, run, str(given.run))
        with RejectedRows(folder / "rejected.csv") as rejected:
            build_store(folder / "store", given.edges, given.profiles, given.answers, rejected, memory=memory, say=watcher.say)
        (folder / "users").mkdir()
        caller = Caller(tenant, "import", frozenset({"sns"}))
        job = _Job(folder, run.parts, settings, caller, f"import-{secrets.token_hex(8)}")
        watcher.say("loading users")
        outcomes: Counter[str] = Counter()
        watcher.progress(0, run.labelled)
        for counts in run_tasks(partial(_start, job), range(len(run.parts)), workers):
            outcomes += counts
            watcher.progress(outcomes.total(), run.labelled)
        for status, name in (("kept", "kept.csv"), ("failed", "errors.csv")):
            rows = list(_with_status(folder, status))
            write_table(folder / name, {"user": [user for user, _ in rows], "reason": [reason for _, reason in rows]})
        (folder / "rejected.csv").unlink()
        shutil.rmtree(folder / "store")
    return Imported(outcomes, run.absent)


def _read_run(run: FilePath) -> _Run:
    """Find the parts of a run, and count its users."""
    wrong = DataError("holds no finished run; give the folder that `privwiz label --out` made", source=str(run))
    try:
        parts, outcomes = parquet_files(Path(run) / "policies"), parquet_files(Path(run) / "users")
    except DataError:
        raise wrong from None
    statuses: Counter[str] = Counter()
    for path in outcomes:
        for _, columns in iter_parquet(path, ("user", "status")):
            statuses.update(columns["status"].to_pylist())
    return _Run(tuple(parts), statuses["labelled"], statuses.total() - statuses["labelled"])


def _policies(part: Path) -> Iterator[tuple[str, Decisions]]:
    """Yield the users of a part with their policies, of both layouts."""
    for user, cells in groupby(_cells(part), key=itemgetter(0)):
        yield user, {(item, friend): decision for _, item, friend, decision in cells}


def _cells(part: Path) -> Iterator[tuple[str, str, str, str]]:
    flat = ("friend", "decision")
    for _, columns in iter_parquet(part, ("user", "item"), (*flat, "friends", "decisions")):
        names = flat if "friend" in columns else ("friends", "decisions")
        if not set(names) <= set(columns):
            raise DataError("has neither the flat nor the nested layout of policies", source=str(part))
        rows = zip(*(columns[name].to_pylist() for name in ("user", "item", *names)), strict=True)
        if names == flat:
            yield from rows
        else:
            for user, item, friends, decisions in rows:
                yield from ((user, item, friend, decision) for friend, decision in zip(friends, decisions, strict=True))


def _check_service(settings: Settings, tenant: str, run: _Run, source: str) -> None:
    """Check that the service's tables are there, and that run and service are about the same items."""
    with closing(Database(settings.database_url)) as database:
        prepare(database)
        catalogue = States(database, Load(1, settings.patience), 1, 1).catalogue(tenant)
    first = next((cells for part in run.parts for _, cells in _policies(part)), None)
    known, found = [item.id for item in catalogue.items], list(dict.fromkeys(item for item, _ in first or ()))
    if first is not None and set(known) != set(found):
        wrong = f"is about the items {', '.join(found)}; those of tenant {tenant!r} are {', '.join(known)}"
        raise DataError(f"{wrong}: PUT /v1/items first, or label with `--items` of these", source=source)


def _start(job: _Job) -> Work:
    """Open what one worker needs, and return what loads a part."""
    database, load = Database(job.settings.database_url), Load(1, job.settings.patience)
    states = States(database, load, users=1, policies=1)
    loader = _Loader(job, NetworkStore(job.folder / "store"), states, Changes(database, states, load, job.settings.webhooks))

    def work(part: int) -> Counter[str]:
        with database_errors(), closing(database):
            rows = [(user, *loader.load(user, decisions)) for user, decisions in _policies(job.parts[part])]
        columns = {name: [row[k] for row in rows] for k, name in enumerate(("user", "status", "reason"))}
        write_table(job.folder / "users" / f"part-{part:06}.parquet", columns)
        return Counter(row[1] for row in rows)

    return work


@dataclass(frozen=True, eq=False, slots=True)
class _Loader:
    """What loads users into the service, one by one."""

    job: _Job
    store: NetworkStore
    states: States
    changes: Changes

    def load(self, user: str, decisions: Decisions) -> tuple[str, str]:
        """Load one user if need be, whatever is wrong with it; return what became of it, and why."""
        try:
            return self._load(user, decisions)
        except ValidationError as error:
            # Of a value that may be of several kinds each is told; the deepest is the kind that it has.
            wrong = max(error.errors(include_url=False, include_input=False), key=lambda one: len(one["loc"]))
            reason = f"the service does not take {'.'.join(map(str, wrong['loc']))!r}: {wrong['msg']}"
        except Problem as problem:
            reason = problem.title
        except PrivwizError as error:
            reason = str(error)
        except SQLAlchemyError:
            raise
        except Exception as error:  # noqa: BLE001 - one user's failure, whatever it is, is no reason to leave a million others
            reason = f"a fault of privwiz, please report it: {type(error).__name__}: {error}"
        return "failed", reason

    def _load(self, user: str, decisions: Decisions) -> tuple[str, str]:
        tenant = self.job.caller.tenant
        UserPath.model_validate({"user": user})
        person = self.store.people.number(user)
        if person < 0:
            raise DataError("is not in the graph; give the tables that the run was made from")
        if self.store.degree(person) > MAX_FRIENDS:
            raise DataError(f"{self.store.degree(person)} friends; the service takes {MAX_FRIENDS} at most")
        network = self.store.ego_network(person)
        log, _ = case_log(network, self.store.said(person), self.states.catalogue(tenant).items)
        request = Request(caller=self.job.caller, user=user, id=self.job.request, action="user.import", key=None, digest="")

        def plan(state: State | None) -> Change:
            if state is not None:
                raise _There(state)
            return _made(self.states, tenant, user, network, log, decisions)

        try:
            self.changes.make(request, plan)
        except _There as there:
            differs = _differs(there.state, network, log)
            return ("kept", f"has {' and '.join(differs)}") if differs else ("present", "")
        return "loaded", ""


class _There(Exception):
    """The service has the user."""

    def __init__(self, state: State) -> None:
        super().__init__(state.user)
        self.state = state


def _made(states: States, tenant: str, user: str, network: EgoNetwork, log: Sequence[Entry], decisions: Decisions) -> Change:
    """Make a user as its backend would; raises `DataError` where the service would not suggest what the run says."""
    document = Network.model_validate(document_of(network)).model_dump(mode="json")
    change = networked(states, tenant, user, None, document)
    assert change.after is not None
    after = heard(change.after, tuple(log)) if log else change.after
    suggested = after.policy.table()
    others = sum(decisions.get(cell) != decision for cell, decision in suggested.items()) + len(decisions.keys() - suggested)
    if others:
        wrong = f"the service would suggest otherwise in {others} of {len(suggested)} cells"
        raise DataError(f"{wrong}; give the tables of the run, made with its items, its prior and the seed 0")
    return replace(change, after=after)


def _differs(state: State, network: EgoNetwork, log: Sequence[Entry]) -> list[str]:
    """Say in what the user whom the service has is another than that of the tables."""
    stored = None if state.stored is None else state.stored.network
    mine = as_cells(state.log, state.items, () if stored is None else stored.friends)
    other_answers = mine.groups or mine.decisions != as_cells(log, state.items, network.friends).decisions
    other_network = stored is None or network_fingerprint(stored) != network_fingerprint(network)
    return [*(["another network"] if other_network else []), *(["other answers"] if other_answers else [])]


def _with_status(folder: Path, status: str) -> Iterator[tuple[str, str]]:
    """Yield the users who have a status, with the reason."""
    for path in parquet_files(folder / "users"):
        for _, columns in iter_parquet(path, ("user", "status", "reason")):
            rows = zip(*(columns[name].to_pylist() for name in ("user", "status", "reason")), strict=True)
            yield from ((user, reason) for user, found, reason in rows if found == status)
