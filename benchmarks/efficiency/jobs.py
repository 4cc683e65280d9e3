"""Jobs: what is computed in parallel, each kept in a file of its own, so that a run that was interrupted goes on where it was."""

import hashlib
import json
import os
import platform
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.metadata import version
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
from pyarrow import parquet
from threadpoolctl import threadpool_limits

import privwiz
from efficiency.methods import METHODS, SCORED_ITEMS, make_wizard
from efficiency.people import Person, digest, draw_person, leave_one_out_prior, training_people
from efficiency.table import SCHEMA, score_rows
from privwiz.errors import DataError
from privwiz.files import writing
from privwiz.items import CATALOGUE
from privwiz.learning_curve import ITEM, MATRIX, play
from privwiz.prior import Prior
from privwiz.simulated_user import SimulatedUser

__all__ = ["PACKAGES", "Job", "PlayJob", "PriorJob", "Run", "end_with_parent", "name_of", "play_methods", "run_jobs", "spent"]

PACKAGES = ("numpy", "scipy", "scikit-learn", "igraph")
"""What else than the code here decides the last bit of a result."""

_SPENT = b"cpu"


@dataclass(frozen=True)
class Run:
    """What all jobs of a run have in common.

    Parameters
    ----------
    data, out : Path
        Where the networks are, and where files are kept.
    friends : mapping of str to tuple of str
        The usable egos, and who their friends are.
    seed : int
    most_screens : int or None
        Checkpoints after more screens, and those by effort, are left out; None keeps all.
    """

    data: Path
    out: Path
    friends: dict[str, tuple[str, ...]]
    seed: int = 0
    most_screens: int | None = None


class Job(Protocol):
    """Something to compute once."""

    @property
    def path(self) -> Path:
        """Where the result is kept; the name tells everything that the result depends on."""

    def compute(self) -> None:
        """Compute the result and write it in one step."""


@dataclass(frozen=True)
class PriorJob:
    """Train the prior of an ego's users in one regime on the other egos."""

    run: Run
    ego: str
    regime: str

    @cached_property
    def path(self) -> Path:
        """See `Job`."""
        others = self._others()
        learnt = digest(self.run.data, others)
        name = name_of("prior", others, learnt, (self.ego, *self.run.friends[self.ego]), self.regime, self.run.seed)
        return self.run.out / "priors" / f"{self.regime}-{self.ego}-{name}.json"

    def compute(self) -> None:
        """See `Job`."""
        people = training_people(self.run.data, self._others(), self.regime, self.run.seed)
        leave_one_out_prior(people, (self.ego, *self.run.friends[self.ego]), self.run.seed).save(self.path)

    def _others(self) -> list[str]:
        return sorted(ego for ego in self.run.friends if ego != self.ego)


@dataclass(frozen=True)
class PlayJob:
    """Play one user with the methods of one group."""

    prior: PriorJob
    budget: str
    draw: int
    methods: tuple[str, ...]

    @cached_property
    def path(self) -> Path:
        """See `Job`."""
        run, ego = self.prior.run, self.prior.ego
        about = (self.prior.path.name, digest(run.data, [ego]), self.budget, self.draw, self.methods, run.seed, run.most_screens)
        return run.out / "parts" / f"{self.budget}-{self.prior.regime}-{ego}-{self.draw}-{name_of('play', *about)}.parquet"

    def compute(self) -> None:
        """See `Job`."""
        run, ego, regime = self.prior.run, self.prior.ego, self.prior.regime
        person = draw_person(run.data, ego, regime, self.draw, run.seed)
        player = {"budget": self.budget, "regime": regime, "ego": ego, "draw": self.draw}
        rows, cost = play_methods(person, Prior.load(self.prior.path), player, self.methods, run.most_screens)
        table = pa.Table.from_pylist(rows, schema=SCHEMA)
        with writing(self.path) as file:
            parquet.write_table(table.replace_schema_metadata({_SPENT: json.dumps(cost)}), file)


def play_methods(
    person: Person, prior: Prior, player: dict[str, Any], methods: Sequence[str], most_screens: int | None = None
) -> tuple[list[dict[str, Any]], dict[str, tuple[float, int]]]:
    """Play a user with several methods.

    Returns
    -------
    rows : list of dict
        Rows of `efficiency.table`.
    cost : dict of str to (float, int)
        Method -> CPU seconds, and screens.
    """
    budget, draw = player["budget"], player["draw"]
    portions = [CATALOGUE] if budget == "matrix" else [(item,) for item in SCORED_ITEMS]
    rows, cost = [], {}
    for name in methods:
        method = METHODS[budget][name]
        points = method.points or (MATRIX if budget == "matrix" else ITEM)
        if most_screens is not None and budget == "matrix":
            points = {"screens": [at for at in points["screens"] if at <= most_screens]}
        seconds, screens = 0.0, 0
        for number, items in enumerate(portions):
            start = time.process_time()
            wizard = make_wizard(method, person, items, prior, draw)
            user = SimulatedUser(person.policy, 100 * draw + number, method.habits)
            curve = list(play(wizard, user, points, kinds=method.kinds or None))
            seconds, screens = seconds + time.process_time() - start, screens + len(wizard.log)
            rows += score_rows({**player, "method": name}, curve, person.policy, items)
        cost[name] = seconds, screens
    return rows, cost


def spent(path: Path) -> dict[str, tuple[float, int]]:
    """Return the CPU seconds and screens of each method in a part."""
    seconds: dict[str, tuple[float, int]] = json.loads(parquet.read_schema(path).metadata[_SPENT])
    return seconds


def run_jobs(jobs: Iterable[Job], workers: int, done: Callable[[Job], None] = lambda _: None) -> None:
    """Compute jobs in parallel, in the order given; one after the other is reported as it is done.

    A job whose file is there is done. Every process computes with one thread, so that the number of workers changes no bit.
    """
    waiting = []
    for job in jobs:
        job.path.parent.mkdir(parents=True, exist_ok=True)
        if job.path.exists():
            done(job)
        else:
            waiting.append(job)
    if not waiting:
        return
    with ProcessPoolExecutor(min(workers, len(waiting)), get_context("spawn"), _start, (_code(),)) as pool:
        try:
            for future in as_completed({pool.submit(_compute, job): job for job in waiting}):
                done(future.result())
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _start(code: str) -> None:
    """Begin a process: an interruption is the parent's to handle, and what is being computed is finished and kept."""
    if _code() != code:
        raise DataError("the code was changed during the run; start again, what was computed before is computed anew")
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()
    threadpool_limits(1)


def end_with_parent() -> None:
    """Let this process end when its parent is gone: one that is killed cannot end its workers, and they would wait for ever."""
    parent = parent_process()
    if parent is not None:
        threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()


def _compute(job: Job) -> Job:
    job.compute()
    return job


def name_of(*about: object) -> str:
    """Return a name that stands for all this, and for the code."""
    return hashlib.sha256(json.dumps([_code(), *about]).encode()).hexdigest()[:20]


@cache
def _code() -> str:
    """Return a hash of the library's sources, of the benchmark's, and of the versions of what computes."""
    found = hashlib.sha256(json.dumps([platform.python_version(), *(version(name) for name in PACKAGES)]).encode())
    for root in (Path(privwiz.__file__).parent, Path(__file__).parent):
        for path in sorted(_sources(root)):
            found.update(f"{path.relative_to(root)}\n".encode() + path.read_bytes())
    return found.hexdigest()


def _sources(root: Path) -> Iterator[Path]:
    yield from root.rglob("*.py")
    yield from root.rglob("*.json")
