"""Priors trained through secure sums, with noise and without, beside the same training in one place, and in the wizard.

All allow/deny labels are SIMULATED, all devices are played in one process. On each network of a folder in the format of SNAP's
ego networks, users play with priors of the other networks. What is done is kept in the folder of results, and a run that was
interrupted goes on where it was. docs/federated_page.py makes a page of it.

Run:

  python benchmarks/federated_prior.py --data ~/data/ego-facebook
  python benchmarks/federated_prior.py --egos 698,3980 --regimes stress --cohorts 200
  python benchmarks/federated_prior.py --choose
"""

import argparse
import json
import os
import platform
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from efficiency.federated import CHOSEN, EPSILONS, CohortJob, EgoJob, learn_weights, log_loss, make_devices, make_training
from efficiency.jobs import PACKAGES, Run, run_jobs
from efficiency.people import look_through

from privwiz.errors import DataError
from privwiz.files import writing
from privwiz.regimes import REGIMES

SCREENS = 20
CHOOSING_REGIMES, CHOOSING_DRAWS = ("circle", "noisy"), range(40, 55)
"""On these terms are chosen: no policy of them trains or is played in the benchmark."""


def choose(data: Path, egos: Sequence[str]) -> None:
    """Print the loss on held-out devices of trainings with noise, for clips and numbers of rounds."""
    groups = [make_devices(data, egos, regime, CHOOSING_DRAWS) for regime in CHOOSING_REGIMES]
    print(f"{len(groups[0])} devices; mean held-out loss\n\n| epsilon | rounds | clip | loss |\n|---|---|---|---|")
    for epsilon in EPSILONS:
        for rounds in (2, 3, 5, 10, 20):
            for clip in (2.0, 4.0, 8.0):
                trainings = [make_training(devices, epsilon, rounds=rounds, clip=clip) for devices in groups]
                losses = [
                    log_loss(training.prior(learn_weights(training)), [one.examples for one in training.validation.values()])
                    for training in trainings
                ]
                print(f"| {epsilon:g} | {rounds} | {clip:g} | {sum(losses) / len(losses):.4f} |", flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, play, and write results.json; return 2 if something given cannot be used."""
    given = _parser().parse_args(arguments)
    try:
        run, egos = _resolve(given)
        if given.choose:
            choose(run.data, sorted(run.friends))
            return 0
        jobs = [EgoJob(run, ego, regime, given.draws, given.users) for regime in given.regimes for ego in egos]
        cohorts = CohortJob(run, given.regimes[0], given.cohorts) if given.cohorts else None
        done = 0

        def tell(job: Any) -> None:
            nonlocal done
            done += 1
            sys.stderr.write(f"{done} of {len(jobs) + (cohorts is not None)}: {job.path.name}\n")

        run_jobs([*jobs, *([cohorts] if cohorts else [])], given.workers, tell)
        _report(given, [_read(job.path) for job in jobs], _read(cohorts.path) if cohorts else None)
    except (DataError, OSError) as error:
        sys.stderr.write(f"Error: {error}\n")
        return 2
    print(given.out)
    return 0


def _report(given: argparse.Namespace, parts: Sequence[Any], cohorts: Any) -> None:
    versions = {"Python": platform.python_version(), **{name: version(name) for name in ("privwiz", *PACKAGES, "dp-accounting")}}
    facts = {**CHOSEN, "draws": given.draws, "data": given.data.resolve().name, "versions": versions}
    with writing(given.out / "results.json") as file:
        file.write(json.dumps({"facts": facts, "parts": parts, "cohorts": cohorts}).encode())


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _parser() -> argparse.ArgumentParser:
    described = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = described.add_argument
    add("--data", type=Path, help="folder of ego networks  [default: $PRIVWIZ_EGO_FACEBOOK]")
    add("--out", type=Path, default=Path("build/federated-prior"), help="folder of results  [default: build/federated-prior]")
    add("--regimes", type=_names, default=("mixed", "stress"), help="separated by commas  [default: mixed,stress]")
    add("--egos", type=_names, help="networks to play on, separated by commas; priors learn from all  [default: all]")
    add("--draws", type=int, default=15, help="devices of each network to train on  [default: 15]")
    add("--users", type=int, default=2, help="simulated users of each network and regime who play  [default: 2]")
    add("--cohorts", type=_sizes, default=(200, 2000, 20_000), help="devices to train weights on, rising; 0 for none")
    add("--workers", type=int, default=1, help="processes  [default: 1]")
    add("--seed", type=int, default=0, help="another seed, other policies  [default: 0]")
    add("--choose", action="store_true", help="print the losses by which clip and rounds were chosen, and nothing else")
    return described


def _names(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


def _sizes(text: str) -> tuple[int, ...]:
    return tuple(size for size in map(int, text.split(",")) if size)


def _resolve(given: argparse.Namespace) -> tuple[Run, list[str]]:
    """Return the run and whom it is about; raise DataError for what is not known."""
    if given.data is None:
        if not os.environ.get("PRIVWIZ_EGO_FACEBOOK"):
            raise DataError("say where the networks are: --data DIR, or PRIVWIZ_EGO_FACEBOOK")
        given.data = Path(os.environ["PRIVWIZ_EGO_FACEBOOK"])
    friends, _ = look_through(given.data)
    for what, chosen, known in (("regime", given.regimes, REGIMES), ("ego", given.egos or (), friends)):
        for name in chosen:
            if name not in known:
                raise DataError(f"{what} {name!r} is not known; choose from {', '.join(known)}")
    run = Run(given.data, given.out, friends, given.seed, SCREENS)
    return run, sorted(given.egos or friends, key=lambda ego: -len(friends[ego]))


if __name__ == "__main__":
    sys.exit(main())
