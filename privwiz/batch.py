"""Policies of many users at once: from tables to tables, on all processors of one machine, and on again after a crash."""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np
import numpy.typing as npt

from privwiz.batch_report import SHOWN, ChunkReport, batch_report
from privwiz.case import Labelled, Labelling, Outcome, judge_case, label_case
from privwiz.decisions import DECIDED
from privwiz.errors import DataError, PrivwizError
from privwiz.files import FilePath, locked, source_name, unfinished_folder, writing
from privwiz.graphs import EgoNetwork, build_ego_network
from privwiz.network_store import NetworkStore, Said
from privwiz.pieces import read_pieces
from privwiz.policy_parts import Layout, write_part, write_policies
from privwiz.rejected import STRANGER, Rejected, RejectedRows
from privwiz.store_builder import DEFAULT_MEMORY, build_store
from privwiz.tables import pyarrow, write_table
from privwiz.workers import Work, run_tasks

__all__ = ["BatchInput", "BatchRun", "Resources", "Watcher", "label_many", "stored_case", "warm_up"]

_KEPT = "what is done is kept: mend it and go on with --resume"
_LOCK = ".privwiz"
_RESULT = "result"


@dataclass(frozen=True, slots=True)
class BatchInput:
    """What a run reads.

    Parameters
    ----------
    edges, profiles, answers : path
        As `privwiz.store_builder.build_store` takes them.
    users : sequence of str, or int, optional
        Whom to label; or how many, drawn by chance among those who answered. Unless given, all who answered, and all of the
        earlier run, whose answers may have been withdrawn.
    new : path, optional
        A table of new ties, like that of the edges: both ends of each are labelled, and only the cells of those newly tied are
        written.
    since : path, optional
        The folder of an earlier run: users for whom nothing has changed are left out.
    """

    edges: FilePath
    answers: FilePath
    profiles: FilePath | None = None
    users: Sequence[str] | int | None = None
    new: FilePath | None = None
    since: FilePath | None = None


@dataclass(frozen=True, slots=True)
class Resources:
    """What a run may use.

    Parameters
    ----------
    workers : int
        Number of processes.
    chunk : int
        Users in one part of the output: what is lost at most, per process, when the machine dies.
    memory : int
        As `privwiz.store_builder.build_store` takes it.
    """

    workers: int = 1
    chunk: int = 250
    memory: int = DEFAULT_MEMORY


class Watcher(Protocol):
    """Is told how a run goes."""

    def say(self, text: str) -> None:
        """Hear what is being done now."""

    def progress(self, done: int, total: int) -> None:
        """Hear how many users are done, and how many there are."""


class _Nobody:
    """The watcher of a run that nobody watches."""

    def say(self, text: str) -> None:
        pass

    def progress(self, done: int, total: int) -> None:
        pass


@dataclass(frozen=True, slots=True)
class BatchRun:
    """A finished run.

    Parameters
    ----------
    folder : path
        Holds ``policies/`` and ``users/`` (Parquet), ``errors.csv``, ``rejected.csv``, ``report.json`` and ``report.html``.
    report : ChunkReport
        Counts of all users.
    """

    folder: FilePath
    report: ChunkReport


@dataclass(frozen=True, slots=True)
class _Job:
    """What a worker needs to know."""

    folder: Path
    answers: str
    labelling: Labelling
    layout: Layout
    chunk: int
    only_new: bool


def label_many(
    given: BatchInput,
    out: FilePath,
    labelling: Labelling,
    *,
    layout: Layout = "flat",
    resources: Resources | None = None,
    resume: bool = False,
    watcher: Watcher | None = None,
) -> BatchRun:
    """Label many users.

    The run works in ``OUT.unfinished``, alone. What is in ``result`` there becomes ``OUT`` in one step when all is done: whoever
    finds ``OUT`` finds it complete. Equal input gives equal files, ``report.json`` and ``report.html`` aside, whatever the number
    of workers and however often the run was interrupted.

    Parameters
    ----------
    given : BatchInput
    out : path
        A folder that is not there yet.
    labelling : Labelling
    layout : {"flat", "nested"}
    resources : Resources, optional
    resume : bool
        Go on with an interrupted run of the same input.
    watcher : Watcher, optional

    Raises
    ------
    DataError
        If a table cannot be used, ``out`` is there already, there is an unfinished run and ``resume`` is not given, or it is of
        other input, or another process is at it; or if the disk is full. What is done is kept for ``resume``.
    MissingExtra
        If pyarrow is not installed.
    """
    pyarrow("labelling many users")
    started, watcher, resources = time.monotonic(), watcher or _Nobody(), resources or Resources()
    chunk = resources.chunk
    try:
        folder, lock = _claim(Path(out), _plan(given, labelling, layout, chunk), resume=resume)
    except OSError as error:
        wrong = f"{error.strerror or error}; check the path and its permissions"
        raise DataError(wrong, source=error.filename or str(out)) from None
    with lock:
        try:
            job = _prepare(folder, given, labelling, layout, resources, watcher.say)
            total = len(np.load(folder / "chosen.npy", mmap_mode="r"))
            parts = range(-(-total // chunk))
            todo = [part for part in parts if not _done_file(folder, part).exists()]
            done = total - sum(_size(part, total, chunk) for part in todo)
            watcher.progress(done, total)
            for part in run_tasks(partial(_start, job), todo, resources.workers):
                done += _size(part, total, chunk)
                watcher.progress(done, total)
            report = _finish(folder, parts, time.monotonic() - started, resources.workers)
            (folder / _RESULT).rename(out)
            with suppress(OSError):  # The next run of this name deletes what is left.
                _clear(folder, whole=True)
        except PrivwizError as error:
            if not (folder / "chosen.npy").exists():
                _clear(folder, whole=True)  # A table that cannot be used: there is nothing to go on with.
                raise
            raise DataError(f"{error}; {_KEPT}") from None
        except OSError as error:
            raise DataError(f"{error.strerror or error}; {_KEPT}", source=str(out)) from None
    return BatchRun(Path(out), report)


def _size(part: int, total: int, chunk: int) -> int:
    return min(chunk, total - part * chunk)


def _plan(given: BatchInput, labelling: Labelling, layout: Layout, chunk: int) -> dict[str, Any]:
    """Say what a run is about, such that another with the same plan would write the same."""
    tables = {"graph": given.edges, "profiles": given.profiles, "answers": given.answers, "new": given.new, "since": given.since}
    return {
        "format": "privwiz.batch/1",
        "tables": {name: None if path is None else _state(Path(path)) for name, path in tables.items()},
        "users": given.users if isinstance(given.users, int | None) else _digest(given.users),
        "labelling": labelling.fingerprint,
        "layout": layout,
        "chunk": chunk,
    }


def _state(path: Path) -> list[list[Any]]:
    """Return name, size and time of change of a file or of the files in a folder."""
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    return [[str(file), file.stat().st_size, file.stat().st_mtime_ns] for file in files if file.is_file()]


def _digest(users: Sequence[str]) -> str:
    try:
        return hashlib.sha256("\n".join(users).encode()).hexdigest()
    except UnicodeEncodeError as error:
        half = error.object[error.start]
        raise DataError(f"an id of a user holds {half!r}, half a character (a lone surrogate); correct it") from None


def _claim(out: Path, plan: dict[str, Any], *, resume: bool) -> tuple[Path, IO[str]]:
    """Return the folder to work in, made or found again, and what keeps others out of it until it is closed."""
    folder, source = unfinished_folder(out), str(out)
    there = folder.exists()
    if out.exists() and not there:
        raise DataError("is there already; name a folder that is not", source=source)
    if not out.absolute().parent.is_dir():
        raise DataError("its directory does not exist; create it first", source=source)
    if there and not (folder / _LOCK).exists() and any(folder.iterdir()):
        raise DataError(f"{folder} holds no run that could go on; delete that folder", source=source)
    if resume and not there:
        raise DataError(f"there is no unfinished run in {folder}; leave --resume out", source=source)
    folder.mkdir(exist_ok=True)
    with ExitStack() as unless_claimed:
        lock = unless_claimed.enter_context(locked(folder / _LOCK, source))
        begun = (folder / _RESULT).exists()
        if not begun:  # Either the result is out already, or there was none yet: nothing is lost.
            _clear(folder, whole=out.exists())
        if out.exists():
            raise DataError("is there already; name a folder that is not", source=source)
        if begun:
            _check_plan(folder, plan, source, resume=resume)
            _sweep(folder)
        else:
            _write_json(folder / "plan.json", plan)
            (folder / _RESULT).mkdir()
        unless_claimed.pop_all()
    return folder, lock


def _check_plan(folder: Path, plan: dict[str, Any], source: str, *, resume: bool) -> None:
    if not resume:
        raise DataError(f"an unfinished run is in {folder}; go on with --resume, or delete that folder", source=source)
    try:
        found = _read_json(folder / "plan.json")
    except (OSError, ValueError):
        raise DataError(f"{folder} holds no run that could go on; delete that folder", source=source) from None
    if found != plan:
        raise DataError(
            f"the unfinished run in {folder} is of other tables or options; give those, or delete that folder", source=source
        )


def _clear(folder: Path, *, whole: bool) -> None:
    """Delete what is in the folder of a run, and if ``whole`` the folder too: its lock last, which says that it is ours."""
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != _LOCK:
            path.unlink()
    if whole:
        shutil.rmtree(folder)


def _sweep(folder: Path) -> None:
    """Delete files that a process began to write and never finished."""
    for left in folder.rglob(".*.tmp"):
        left.unlink()


def _prepare(
    folder: Path,
    given: BatchInput,
    labelling: Labelling,
    layout: Layout,
    resources: Resources,
    say: Callable[[str], None],
) -> _Job:
    """Build the store and choose the users, unless that is done."""
    store_folder = folder / "store"
    job = _Job(folder, source_name(given.answers), labelling, layout, resources.chunk, given.new is not None)
    if (folder / "chosen.npy").exists() and NetworkStore(store_folder).whole:
        return job
    for left in (store_folder, folder / "before.npy"):
        shutil.rmtree(left) if left.is_dir() else left.unlink(missing_ok=True)
    if given.since is not None:
        _a_policy_file(Path(given.since))  # The rest of the earlier run is read when the graph no longer needs the memory.
    with RejectedRows(folder / "rejected-tables.csv") as rejected:
        store = build_store(
            store_folder, given.edges, given.profiles, given.answers, rejected, new=given.new, memory=resources.memory, say=say
        )
    say("choosing users")
    earlier = None if given.since is None else _EarlierRun.read(Path(given.since))
    chosen, strangers = _choose(store, given, labelling.seed, earlier)
    _write_json(folder / "tables.json", ChunkReport(rejected=rejected.counts).to_dict())
    _write_json(folder / "strangers.json", strangers)
    if earlier is not None:
        np.save(folder / "before.npy", earlier.digests(store, layout))
    for name in ("rejected", "done", f"{_RESULT}/policies", f"{_RESULT}/users"):
        (folder / name).mkdir(exist_ok=True)
    for path in (folder, *folder.glob("*.*"), store_folder, *store_folder.glob("*.*")):
        _settle(path)
    with writing(folder / "chosen.npy") as file:
        np.save(file, chosen)
    return job


def _choose(
    store: NetworkStore, given: BatchInput, seed: int, earlier: "_EarlierRun | None"
) -> tuple[npt.NDArray[np.intp], list[str]]:
    """Return the numbers of the users to label, ascending, and those asked for who are not in the graph."""
    if given.new is not None:
        return store.newly_tied(), []
    if given.users is None or isinstance(given.users, int):
        answering = store.answering()
        if not len(answering) and earlier is None:
            raise DataError("no answers in it that could be used; add rows, or name users", source=source_name(given.answers))
        if given.users is not None and given.users < len(answering):
            answering = np.sort(np.random.default_rng(seed).choice(answering, given.users, replace=False))
        if given.users is not None or earlier is None:
            return answering, []
        pa, _ = pyarrow("labelling many users")
        found = store.people.numbers(earlier.users)
        return np.union1d(answering, found[found >= 0]), sorted(earlier.users.filter(pa.array(found < 0)).to_pylist())
    numbers = {user: store.people.number(user) for user in given.users}
    strangers = sorted(user for user, number in numbers.items() if number < 0)
    return np.array(sorted(number for number in numbers.values() if number >= 0), np.intp), strangers


@dataclass(frozen=True, eq=False, slots=True)
class _EarlierRun:
    """What another run left: ids and fingerprints of its users, as long pyarrow arrays of text, and how it wrote policies."""

    users: Any
    fingerprints: Any
    layout: Layout

    @classmethod
    def read(cls, folder: Path) -> "_EarlierRun":
        pa, pq = pyarrow("labelling many users")
        part = _a_policy_file(folder)
        pieces = list(read_pieces(folder / "users", ("user", "fingerprint")))
        users, prints = (pa.chunked_array([piece[name] for piece in pieces], pa.string()) for name in ("user", "fingerprint"))
        try:
            return cls(users, prints, "nested" if "friends" in pq.read_schema(part).names else "flat")
        except (pa.ArrowException, OSError):
            raise DataError("not a Parquet file, or damaged; write it again", source=str(part)) from None

    def digests(self, store: NetworkStore, layout: Layout) -> npt.NDArray[np.bytes_]:
        """Return the fingerprint of each person, by number; empty where there is none, or policies were written otherwise."""
        digests = np.zeros(len(store.people), "S32")
        if self.layout == layout:
            numbers = store.people.numbers(self.users)
            there = numbers >= 0
            digests[numbers[there]] = np.array(self.fingerprints.to_pylist(), "S32")[there]
        return digests


def _a_policy_file(folder: Path) -> Path:
    """Return one of the files with the policies of a finished run; raises `DataError` where there is none."""
    part = min((folder / "policies").glob("*.parquet"), default=None)
    if part is None or not (folder / "report.json").is_file():
        raise DataError("holds no finished run; give the folder that an earlier run wrote", source=str(folder))
    return part


def _start(job: _Job) -> Work:
    """Open what one worker needs, and return what labels a part."""
    warm_up(job.labelling)
    store = NetworkStore(job.folder / "store")
    chosen = np.load(job.folder / "chosen.npy", mmap_mode="r")
    before_path = job.folder / "before.npy"
    before = np.load(before_path, mmap_mode="r") if before_path.exists() else None

    def work(part: int) -> int:
        people = chosen[part * job.chunk : (part + 1) * job.chunk].tolist()
        _label_part(job, store, part, people, before)
        return part

    return work


def _label_part(job: _Job, store: NetworkStore, part: int, people: list[int], before: Any) -> None:
    """Label the users of one part, write it, and then, as the last step, that it is done."""
    clock = time.process_time()
    report, outcomes, result = ChunkReport(), list[Outcome](), job.folder / _RESULT
    names = [item.id for item in job.labelling.items]
    report.decisions.update({(name, decision.value): 0 for name in names for decision in DECIDED})
    refused = job.folder / "rejected" / f"{part:06}.csv"
    with RejectedRows(refused) as rejected, writing(result / "policies" / f"part-{part:06}.parquet") as file:
        policies = _policies(job, store, people, before, report, outcomes, rejected)
        write_policies(policies, names, job.layout, file, reasons=job.labelling.reasons is not None)
    with writing(result / "users" / f"part-{part:06}.parquet") as file:
        write_part(_outcome_table(outcomes), file)
    for path in (refused, refused.parent, result / "policies", result / "users"):
        _settle(path)
    report.rejected = rejected.counts
    report.slowest, report.errors = sorted(report.slowest, reverse=True)[:SHOWN], report.errors[:SHOWN]
    report.seconds = time.process_time() - clock
    _write_json(_done_file(job.folder, part), report.to_dict())


def _policies(
    job: _Job,
    store: NetworkStore,
    people: list[int],
    before: Any,
    report: ChunkReport,
    outcomes: list[Outcome],
    rejected: RejectedRows,
) -> Iterator[Labelled]:
    """Yield what is to be written of the policies of some people, and note down what became of each."""
    for person in people:
        begun = time.process_time()
        outcome, policy = judge_case(
            store.people.some(np.array([person]))[0],
            store.degree(person),
            partial(stored_case, store, person),
            job.labelling,
            "" if before is None else before[person].decode(),
        )
        # What is left of a policy that is written in part only is not to pass for all of it in a later run.
        outcomes.append(replace(outcome, fingerprint="") if job.only_new else outcome)
        report.outcomes[outcome.status] += 1
        if outcome.error:
            report.errors.append((outcome.user, outcome.error))
        if policy is None:
            continue
        rejected.add(
            Rejected.of(job.answers, said.line or None, reason, (outcome.user, said.item, said.friend, said.decision))
            for said, reason in policy.rejected
        )
        written = policy.among(store.new_friends(person)) if job.only_new else policy
        for item, cells in zip(job.labelling.items, written.decisions, strict=True):
            counts = np.bincount(cells, minlength=len(DECIDED)).tolist()
            report.decisions.update({(item.id, decision.value): n for decision, n in zip(DECIDED, counts, strict=True)})
        report.slowest.append((time.process_time() - begun, outcome.user, outcome.friends))
        yield written


def warm_up(labelling: Labelling) -> None:
    """Load what is loaded only when needed, so that no user's time has it in it."""
    label_case(build_ego_network("nobody", ("a", "b"), [("a", "b")]), (), labelling)


def stored_case(store: NetworkStore, person: int) -> tuple[EgoNetwork, tuple[Said, ...]]:
    """Return network and answers of person number ``person``."""
    return store.ego_network(person), store.said(person)


def _outcome_table(outcomes: Sequence[Outcome]) -> Any:
    pa, _ = pyarrow("labelling many users")
    kinds = {"friends": pa.int64(), "answers": pa.int64()}
    return pa.table(
        {
            part.name: pa.array([getattr(outcome, part.name) for outcome in outcomes], kinds.get(part.name, pa.string()))
            for part in fields(Outcome)
        }
    )


def _finish(folder: Path, parts: Sequence[int], seconds: float, workers: int) -> ChunkReport:
    """Put together what the parts wrote; may be interrupted anywhere and done again."""
    result = folder / _RESULT
    _sweep(result)
    report = ChunkReport.from_dict(_read_json(folder / "tables.json"))
    strangers = _read_json(folder / "strangers.json")
    report.outcomes["failed"] += len(strangers)
    report.errors = [(user, STRANGER) for user in strangers[:SHOWN]]
    for part in parts:
        report.add(ChunkReport.from_dict(_read_json(_done_file(folder, part))))
    with writing(result / "rejected.csv") as file:
        file.write((folder / "rejected-tables.csv").read_bytes())
        for part in parts:
            file.write((folder / "rejected" / f"{part:06}.csv").read_bytes().partition(b"\n")[2])
    failed = [*((user, STRANGER) for user in strangers), *_failed(folder, parts)]
    write_table(result / "errors.csv", {"user": [user for user, _ in failed], "error": [error for _, error in failed]})
    for name, text in batch_report(report, seconds, workers).items():
        with writing(result / name) as file:
            file.write(text.encode())
    return report


def _failed(folder: Path, parts: Sequence[int]) -> Iterator[tuple[str, str]]:
    _, pq = pyarrow("labelling many users")
    for part in parts:
        table = pq.read_table(folder / _RESULT / "users" / f"part-{part:06}.parquet", columns=["user", "error"])
        yield from (
            (user, error) for user, error in zip(*(table[name].to_pylist() for name in table.column_names), strict=True) if error
        )


def _done_file(folder: Path, part: int) -> Path:
    return folder / "done" / f"{part:06}.json"


def _settle(path: Path) -> None:
    """See to it that a file, or what a folder lists, is there even if the machine loses its power now."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_json(path: Path, document: object) -> None:
    with writing(path) as file:
        file.write(json.dumps(document).encode())


def _read_json(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))
