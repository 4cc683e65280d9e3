"""What a run leaves behind: rows.parquet, rows.json and facts.json, as docs/results_page.py reads them."""

import json
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from efficiency.jobs import PACKAGES, PlayJob, Run, spent
from efficiency.methods import MATRIX_METHODS, METHODS, ROLES
from efficiency.people import draw_person
from efficiency.table import KEYS, summary
from privwiz.files import writing
from privwiz.metrics import is_nontrivial

__all__ = ["TARGETS", "ceiling", "write_results"]

TARGETS: Mapping[str, float] = {"mixed": 82.5, "cohesive": 86.0, "circle": 87.5, "noisy": 82.0, "idio": 84.5}
"""Accuracy in % on nontrivial items of ego-Facebook that is aimed at, after 10 screens."""


_ASKED = {"matrix": "all items are", "item": "one item is"}


def write_results(
    run: Run, plays: Sequence[PlayJob], draws: int, skipped: Mapping[str, list[str]], took: Mapping[str, float]
) -> None:
    """Put the parts together.

    Parameters
    ----------
    run : Run
    plays : sequence of PlayJob
        All done.
    draws : int
        Policies of each network and regime.
    skipped : mapping of str to list of str
        Reason -> egos.
    took : mapping
        Workers, and seconds of the whole run where nothing was there before.
    """
    parts = [parquet.read_table(play.path).replace_schema_metadata() for play in plays]
    rows = pa.concat_tables(parts).sort_by([(name, "ascending") for name in KEYS]).combine_chunks()
    with writing(run.out / "rows.parquet") as file:
        parquet.write_table(rows, file, compression="zstd")
    _write_json(run.out / "rows.json", summary(rows))
    _write_json(run.out / "facts.json", _facts(run, plays, draws) | {"skipped": skipped, "draws": draws} | took)


def ceiling(run: Run, plays: Sequence[PlayJob]) -> dict[str, float]:
    """Return, by regime, how often the policy before exceptions and slips is the true one on nontrivial items, in %."""
    users = {(play.prior.regime, play.prior.ego, play.draw) for play in plays}
    right: dict[str, list[float]] = {}
    for regime, ego, draw in sorted(users, key=lambda user: (user[1], *user)):
        policy = draw_person(run.data, ego, regime, draw, run.seed).policy
        telling = [is_nontrivial(row) for row in policy.allow]
        right.setdefault(regime, []).extend((policy.allow == policy.clean).mean(axis=1)[telling].tolist())
    return {regime: 100 * float(np.mean(shares)) for regime, shares in sorted(right.items()) if shares}


def _facts(run: Run, plays: Sequence[PlayJob], draws: int) -> dict[str, Any]:
    played = {(play.budget, name) for play in plays for name in play.methods}
    regimes = list(dict.fromkeys(play.prior.regime for play in plays))
    return {
        "data": run.data.resolve().name,
        "egos": {ego: len(run.friends[ego]) for ego in sorted({play.prior.ego for play in plays})},
        "regimes": regimes,
        "methods": _texts(played, draws),
        **{role: name for role, name in ROLES["matrix"].items() if ("matrix", name) in played},
        "variants": sorted({name for budget, name in played if METHODS[budget][name].variant}),
        "items": {role: name for role, name in ROLES["item"].items() if ("item", name) in played},
        "cpu_seconds": _cpu(plays),
        "versions": {"Python": platform.python_version(), **{name: version(name) for name in ("privwiz", *PACKAGES)}},
        "ceiling": ceiling(run, plays),
        "targets": {regime: TARGETS[regime] for regime in regimes if regime in TARGETS and run.most_screens is None},
    }


def _texts(played: set[tuple[str, str]], draws: int) -> dict[str, str]:
    """Return what each method is; of one that plays both budgets, what it is in each if that differs."""
    texts: dict[str, list[str]] = {}
    for budget, name in ((budget, name) for budget, methods in METHODS.items() for name in methods):
        if (budget, name) in played:
            method = METHODS[budget][name]
            few = [f"One policy of each network where {_ASKED[budget]} asked about."] if method.draws < draws else []
            texts.setdefault(name, []).extend([method.text or MATRIX_METHODS[name].text, *few])
    return {name: " ".join(dict.fromkeys(said)) for name, said in texts.items()}


def _cpu(plays: Sequence[PlayJob]) -> dict[str, float]:
    """Return the CPU seconds per screen of each method; of one that plays both budgets, where all items are asked about."""
    total: dict[str, np.ndarray] = {}
    both = [play for budget in METHODS for play in plays if play.budget == budget]
    where: dict[str, str] = {}
    for play in both:
        for name, cost in spent(play.path).items():
            if where.setdefault(name, play.budget) == play.budget:
                total[name] = total.get(name, np.zeros(2)) + cost
    return {name: float(seconds / max(1, screens)) for name, (seconds, screens) in total.items()}


def _write_json(path: Path, content: Any) -> None:
    with writing(path) as file:
        file.write((json.dumps(content, ensure_ascii=False, allow_nan=False, indent=1) + "\n").encode())
