"""How few answers a good policy takes: privwiz, its ablations and its rivals on real networks with simulated users.

All allow/deny labels are SIMULATED (`privwiz.simulate`): on each network of a folder in the format of SNAP's ego networks, from
its hand-made circles, which no player is shown. Two budgets: "matrix", screens about all items together, and "item", answers
about one item by itself. A player's prior is trained on other networks. What is done is kept in the folder of results, and a run
that was interrupted goes on where it was.

Run:

  python benchmarks/label_efficiency.py --data ~/data/ego-facebook
  python benchmarks/label_efficiency.py --quick
  python benchmarks/label_efficiency.py --regimes mixed,stress --budgets matrix --methods privwiz "audience only" --draws 1
"""

import argparse
import os
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import click
from efficiency.jobs import Job, PlayJob, PriorJob, Run, run_jobs
from efficiency.methods import METHODS
from efficiency.people import look_through
from efficiency.report import write_results

from privwiz.errors import DataError
from privwiz.regimes import REGIMES

QUICK = {
    "regimes": ("mixed", "cohesive"),
    "methods": ("privwiz", "GP per item, audience + friend", "2010 wizard, friend screens", "audience only"),
    "budgets": ("matrix",),
}
QUICK_EGOS, QUICK_SCREENS = 4, 10


def plan(run: Run, given: argparse.Namespace) -> tuple[list[PriorJob], list[PlayJob]]:
    """Return the priors, and the players, of the largest networks first."""
    egos = sorted(given.egos, key=lambda ego: -len(run.friends[ego]))
    priors = {(ego, regime): PriorJob(run, ego, regime) for ego in egos for regime in given.regimes}
    plays = []
    for prior in priors.values():
        for draw in range(1, given.draws + 1):
            for budget in given.budgets:
                groups: dict[str, list[str]] = {}
                for name, method in METHODS[budget].items():
                    if name in given.methods and draw <= method.draws:
                        groups.setdefault(method.group, []).append(name)
                plays += [PlayJob(prior, budget, draw, tuple(names)) for names in groups.values()]
    return list(priors.values()), plays


def show(jobs: Sequence[Job], workers: int, label: str) -> None:
    """Run jobs behind a progress bar with rate and time left."""
    start, count = time.monotonic(), 0

    def rate(_: object) -> str:
        return f"{count} of {len(jobs)}, {60 * count / max(1e-9, time.monotonic() - start):.0f}/min"

    with click.progressbar(length=len(jobs), label=label, file=sys.stderr, item_show_func=rate) as bar:

        def done(job: Job) -> None:
            nonlocal count
            count += 1
            bar.update(1, job)

        run_jobs(jobs, workers, done)


def main(arguments: Sequence[str] | None = None) -> int:
    """Play all users, write rows.parquet, rows.json and facts.json; return 2 if something given cannot be used."""
    given = parser().parse_args(arguments)
    start = time.monotonic()
    try:
        run, skipped = _resolve(given)
        for reason, egos in skipped.items():
            sys.stderr.write(f"Left out, {reason}: {', '.join(egos)}\n")
        priors, plays = plan(run, given)
        fresh = not any(job.path.exists() for job in (*priors, *plays))
        show(priors, given.workers, "priors")
        show(plays, given.workers, "users")
        took = {"workers": given.workers} | ({"seconds": time.monotonic() - start} if fresh else {})
        write_results(run, plays, given.draws, skipped, took)
    except (DataError, OSError) as error:
        sys.stderr.write(f"Error: {error}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write(f"Interrupted. What is done is kept in {given.out}; the same command goes on from there.\n")
        return 130
    print(given.out)
    return 0


def parser() -> argparse.ArgumentParser:
    """Return what reads the command line."""
    described = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = described.add_argument
    add("--data", type=Path, help="folder of ego networks  [default: $PRIVWIZ_EGO_FACEBOOK]")
    add("--out", type=Path, default=Path("build/label-efficiency"), help="folder of results  [default: build/label-efficiency]")
    add("--regimes", type=_names, help=f"separated by commas  [default: {','.join(REGIMES)}]")
    add("--egos", type=_names, help="networks to play on, separated by commas; priors learn from all  [default: all]")
    add("--draws", type=_count, default=2, help="simulated policies of each network and regime, at most 99  [default: 2]")
    add("--budgets", type=_names, help="separated by commas  [default: matrix,item]")
    add("--methods", nargs="+", metavar="METHOD", help="names in quotes  [default: all]")
    add("--workers", type=_count, default=os.cpu_count() or 1, help="processes  [default: one per core]")
    add("--seed", type=int, default=0, help="another seed, other policies  [default: 0]")
    add("--quick", action="store_true", help="few methods, two regimes, the four smallest networks, 10 screens, unless said")
    return described


def _names(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 99:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to 99")
    return int(text)


def _resolve(given: argparse.Namespace) -> tuple[Run, dict[str, list[str]]]:
    """Fill in what was not given; raise DataError for what is not known."""
    data = given.data or os.environ.get("PRIVWIZ_EGO_FACEBOOK")
    if not data:
        raise DataError("say where the networks are: --data DIR, or PRIVWIZ_EGO_FACEBOOK")
    if given.seed < 0:
        raise DataError(f"seed is {given.seed}; it must be 0 or more")
    friends, skipped = look_through(Path(data))
    smallest = sorted(friends, key=lambda ego: (len(friends[ego]), ego))
    every = dict.fromkeys(name for methods in METHODS.values() for name in methods)
    choices = {"regimes": tuple(REGIMES), "methods": tuple(every), "budgets": tuple(METHODS), "egos": tuple(friends)}
    defaults = choices | {"egos": tuple(smallest[:QUICK_EGOS]), **QUICK} if given.quick else choices
    for name, known in choices.items():
        chosen = getattr(given, name) or defaults[name]
        _check(name, chosen, known)
        setattr(given, name, chosen)
    if not any(name in METHODS[budget] for budget in given.budgets for name in given.methods):
        raise DataError(f"none of these methods plays in {', '.join(given.budgets)}; add a method or a budget")
    run = Run(Path(data), given.out, friends, given.seed, QUICK_SCREENS if given.quick else None)
    return run, skipped


def _check(what: str, chosen: Iterable[str], known: Sequence[str]) -> None:
    for name in chosen:
        if name not in known:
            raise DataError(f"{what}: {name!r} is not known; choose from {'; '.join(known)}")


if __name__ == "__main__":
    sys.exit(main())
