"""The page of the benchmark of federated priors: no figure on it is typed by hand."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from efficiency.federated import CLIP, DELTA, EPSILONS, FEWER_ROUNDS, HELD_OUT, MANY, ROUNDS
from efficiency.people import LABELLED, MOST_FRIENDS
from privwiz.files import writing
from privwiz.metrics import Interval, ItemScore, bootstrap, paired_bootstrap

__all__ = ["CHECKPOINTS", "draw", "page"]

CHECKPOINTS = (5, 10, 20)
TARGET = 1.0
"""By how many % the losses of the federated and the central prior may differ."""

_SCORE = tuple(part.name for part in fields(ItemScore))
_NOISY = tuple(f"epsilon {epsilon:g}" for epsilon in EPSILONS)
_SAYS = {
    "central": "trained in one place",
    "federated": "through secure sums, no noise",
    **{name: f"through secure sums, {name}" for name in _NOISY},
    "shipped": "the shipped prior",
    "none": "no trained prior",
}
_STYLES: Mapping[str, Mapping[str, Any]] = {
    "central": {"color": "#202124", "linestyle": (0, (1, 1.6)), "marker": "", "linewidth": 2.6},
    "federated": {"color": "#0072B2", "marker": "o", "linewidth": 2.2},
    "epsilon 8": {"color": "#009E73", "marker": "^", "linewidth": 1.8},
    "epsilon 2": {"color": "#D55E00", "marker": "s", "linewidth": 1.8},
    "shipped": {"color": "#CC79A7", "marker": "D", "linewidth": 1.4, "linestyle": (0, (5, 2))},
    "none": {"color": "#8A8F94", "marker": "v", "linewidth": 1.4, "linestyle": (0, (5, 2))},
}
_WHO = {
    "training": "on the devices that train",
    "held out": "on devices held out, of the same networks",
    "left out": "on the users of the network left out",
}


def page(parts: Sequence[Mapping[str, Any]], cohorts: Mapping[str, Any] | None, facts: Mapping[str, Any], plot: str) -> str:
    """Return the whole page.

    Parameters
    ----------
    parts : sequence of mapping
        What `efficiency.federated.EgoJob` wrote.
    cohorts : mapping, optional
        What `efficiency.federated.CohortJob` wrote.
    facts : mapping
        ``draws`` and ``versions``.
    plot : str
        Where the plot is, as seen from the page.
    """
    regimes = list(dict.fromkeys(part["regime"] for part in parts))
    sections = [
        _head(parts, facts, regimes),
        _same_loss(parts, regimes),
        _wizard(parts, regimes, plot),
        _large(cohorts),
        _cost(parts),
    ]
    return "\n\n".join([*filter(None, sections), _short(parts, cohorts, regimes)]) + "\n"


def _head(parts: Sequence[Mapping[str, Any]], facts: Mapping[str, Any], regimes: Sequence[str]) -> str:
    egos = list(dict.fromkeys(part["ego"] for part in parts))
    devices = _span(part["people"]["training"] + part["people"]["held out"] for part in parts)
    return f"""\
# Federated priors: what training through secure sums gives, and what noise takes

This page is written by `benchmarks/federated_prior.py`. Do not edit it.

**All allow/deny labels are SIMULATED. Networks, profiles and hand-made circles are real (ego-Facebook). All devices are played in
one process, which protects nobody. Absolute figures are properties of the simulator; differences between priors count.**

For each of {len(egos)} networks and each regime ({", ".join(regimes)}), priors are trained on the other networks, from which the
left-out user and its friends are taken out: {facts["draws"]} simulated users of each, {devices} devices in all, each with
{LABELLED} labelled friends. A share of {100 * HELD_OUT:.0f} % is held out: it trains nothing, and scales and calibration are chosen
on it. The same people, the same split for every prior:

- **{_SAYS["central"]}**: `privwiz.pretrain.fit_prior` and `privwiz.tuning.tune`, the oracle.
- **{_SAYS["federated"]}**: `privwiz.federated.training.Training` as the library has it (FedSGD, {ROUNDS} learning rounds), three-party
  secret shares.
- **epsilon {EPSILONS[0]:g} and {EPSILONS[1]:g}**, at delta {DELTA:g}, after all rounds: the same with noise, from the shipped prior on (noise
  needs a start); gradients are shortened to {CLIP:g}, and scales and calibration stay those of the shipped prior. {ROUNDS} learning rounds, or
  {FEWER_ROUNDS} where fewer than {MANY:,} devices have an epsilon below {max(EPSILONS):g}. Clip and rounds were chosen by the loss of held-out
  devices in the regimes circle and noisy (`--choose`), before any user below was played.
- {_SAYS["shipped"]} (invented people), and {_SAYS["none"]}.

To reproduce: `make bench-federated`. {facts["versions"]}."""


def _same_loss(parts: Sequence[Mapping[str, Any]], regimes: Sequence[str]) -> str:
    ratios = _ratios(parts)
    worst = max(abs(100 * (ratio - 1)) for ratio in ratios)
    verdict = (
        "reached everywhere"
        if worst <= TARGET
        else f"missed in {sum(abs(100 * (r - 1)) > TARGET for r in ratios)} of {len(ratios)}"
    )
    rows = []
    for regime in regimes:
        some = [part for part in parts if part["regime"] == regime]
        for who, words in _WHO.items():
            losses = {name: np.array([part["priors"][name]["losses"][who] for part in some]) for name in _SAYS}
            off = 100 * (losses["federated"] / losses["central"] - 1)
            extreme = off[np.abs(off).argmax()]
            rows.append(
                [regime, words, *(f"{losses[name].mean():.4f}" for name in _SAYS), f"{off.mean():+.2f}", f"{extreme:+.2f}"]
            )
    header = ["regime", "loss", *_SAYS.values(), "federated less central, %: mean", "furthest from 0"]
    return f"""\
## The same loss as in one place

Mean log-loss of the trained weights alone, before any answer; every person and item counts once; mean over the networks left out.
Target: through secure sums without noise within {TARGET:g} % of central, on training and held-out devices. **{verdict.capitalize()}**
({len(ratios)} comparisons; the furthest is {worst:.2f} % off).

{_table(header, rows, left=2)}"""


def _ratios(parts: Sequence[Mapping[str, Any]]) -> list[float]:
    return [
        part["priors"]["federated"]["losses"][who] / part["priors"]["central"]["losses"][who]
        for part in parts
        for who in ("training", "held out")
    ]


def _wizard(parts: Sequence[Mapping[str, Any]], regimes: Sequence[str], plot: str) -> str:
    tables = []
    for regime in regimes:
        users = len({(row["ego"], row["draw"]) for part in parts if part["regime"] == regime for row in part["rows"]})
        tables.append(f"### {regime}: {users} users")
        for title, metric, nontrivial, factor in (
            ("Accuracy in % on non-trivial items", "accuracy", True, 100),
            (
                "Mean cost of a cell, all items (a wrong allow costs five times what a wrong deny or a question does)",
                "cost",
                False,
                1,
            ),
            ("Wrong among the allowed, in %, all items", "wrong_among_allowed", False, 100),
        ):
            rows = []
            for name, says in _SAYS.items():
                cells = []
                for at in CHECKPOINTS:
                    own, units = _scores(parts, regime, name, at, nontrivial=nontrivial)
                    value = factor * bootstrap(own, units)[metric].value
                    against = paired_bootstrap(own, units, *_scores(parts, regime, "central", at, nontrivial=nontrivial))[metric]
                    shown = "" if name == "central" else f" ({_difference(against, factor)})"
                    cells.append(f"{value:.{_digits(factor)}f}{shown}")
                rows.append([f"**{says}**" if name == "federated" else says, *cells])
            tables.append(f"{title}, after so many screens:")
            tables.append(_table(["prior", *(str(at) for at in CHECKPOINTS)], rows))
    return "\n\n".join(
        [
            f"""\
## What it is worth in the wizard

The users of the network left out answer the wizard's screens, with each prior. In brackets: the difference from the prior trained in
one place, for the same users, with its 95 % bootstrap interval over users. *Non-trivial* are items on which at least 10 % of the friends
are in the minority. Only cells that were not asked one by one are counted. Nothing is corrected for the number of comparisons.

![Accuracy on non-trivial items by screens with each prior, and loss by number of devices]({plot})""",
            *tables,
        ]
    )


def _scores(
    parts: Iterable[Mapping[str, Any]], regime: str, name: str, at: int, *, nontrivial: bool
) -> tuple[list[ItemScore], list[tuple[str, int]]]:
    """Return the scores of a prior's users after so many screens, and whose they are."""
    rows = [
        row
        for part in parts
        if part["regime"] == regime
        for row in part["rows"]
        if (row["method"], row["at"]) == (name, at) and (row["nontrivial"] or not nontrivial)
    ]
    return [ItemScore(**{part: row[part] for part in _SCORE}) for row in rows], [(row["ego"], row["draw"]) for row in rows]


def _large(cohorts: Mapping[str, Any] | None) -> str:
    if cohorts is None:
        return ""
    rows = []
    for one in cohorts["trained"]:
        exact = next(other for other in cohorts["trained"] if other["size"] == one["size"] and not other["privacy"])
        worse = {who: 100 * (one["losses"][who] / exact["losses"][who] - 1) for who in one["losses"]}
        rows.append(
            [
                f"{one['size']:,}",
                _epsilon(one),
                str(one["rounds"]["learn"]),
                f"{one['plan']['noise_multiplier']:.2f}",
                *(f"{one['losses'][who]:.4f} ({worse[who]:+.2f})" for who in ("training", "fresh")),
                f"{one['seconds']:.0f}",
            ]
        )
    header = [
        "devices",
        "epsilon",
        "learning rounds",
        "noise multiplier",
        "training loss (% over exact)",
        "fresh loss (% over exact)",
        "CPU s",
    ]
    return f"""\
## How many devices noise needs

Weights alone are learnt, in the regime {cohorts["regime"]}, from the shipped prior on, on more and more simulated users of the
{len(cohorts["egos"])} networks of at most {MOST_FRIENDS} friends, with the noise of a whole training ({100 * HELD_OUT:.0f} % of the devices are
held out here too). "Fresh" is the loss on {cohorts["fresh"]} other simulated users of the same networks; that of the shipped prior there
is {cohorts["start"]:.4f}. No wizard is played. Many policies on few networks are no substitute for many people: the loss on fresh users
falls further with more devices here than it might elsewhere.

{_table(header, rows, left=2)}

{_enough(cohorts["trained"])}"""


def _enough(trained: Sequence[Mapping[str, Any]]) -> str:
    """Say from which size on noise is negligible."""
    said = []
    for epsilon in EPSILONS:
        within = []
        for one in trained:
            exact = next(other for other in trained if other["size"] == one["size"] and not other["privacy"])
            if _epsilon(one) == f"{epsilon:g}" and one["losses"]["fresh"] / exact["losses"]["fresh"] - 1 <= TARGET / 100:
                within.append(one["size"])
        most = max(one["size"] for one in trained)
        said.append(
            f"at epsilon {epsilon:g} with {min(within):,} devices" if within else f"at epsilon {epsilon:g} not even with {most:,}"
        )
    return f"Of the sizes tried, noise first costs less than {TARGET:g} % of the loss on fresh users {' and '.join(said)}."


def _epsilon(trained: Mapping[str, Any]) -> str:
    """Return what the whole training was planned for, which its learning rounds alone do not spend."""
    return "none" if trained["epsilon"] is None else f"{trained['epsilon']:g}"


def _cost(parts: Sequence[Mapping[str, Any]]) -> str:
    rows = []
    for name in ("central", "federated", *_NOISY):
        some = [part["priors"][name] for part in parts]
        own = [one for one in some if "rounds" in one]
        rounds = ", ".join(f"{count} {step}" for step, count in own[0]["rounds"].items()) if own else "none"
        privacy = [one["privacy"] for one in own if one["privacy"]]
        spent = f"{max(one['epsilon'] for one in privacy):.3f}" if privacy else "no bound"
        noise = f"{privacy[0]['multiplier']:.2f}" if privacy else "0"
        chosen = sorted({one["scales"] for one in some})
        rows.append([_SAYS[name], rounds, noise, spent, f"{np.mean([one['seconds'] for one in some]):.0f}", ", ".join(chosen)])
    header = ["prior", "rounds", "noise multiplier", "epsilon spent by a device", "CPU seconds, mean", "scales chosen"]
    learning = _span(part["people"]["training"] for part in parts)
    held = _span(part["people"]["held out"] for part in parts)
    return f"""\
## What it took

{learning} devices train, {held} are held out. The seconds are those of all devices, aggregators and the model owner together, on one shared core.

{_table(header, rows, left=2)}"""


def _short(parts: Sequence[Mapping[str, Any]], cohorts: Mapping[str, Any] | None, regimes: Sequence[str]) -> str:
    lines = [
        "The labels are simulated, and every user of a network has the same friends. Intervals over users say little about other networks.",
        "With a few hundred devices, noise was expected to hurt, at epsilon 2 more than at 8. What it did:",
    ]
    for name in _NOISY:
        told = []
        for regime in regimes:
            some = [part["priors"] for part in parts if part["regime"] == regime]
            gain = {
                prior: float(np.mean([one["shipped"]["losses"]["held out"] - one[prior]["losses"]["held out"] for one in some]))
                for prior in (name, "federated")
            }
            told.append(
                f"{100 * gain[name] / gain['federated']:.0f} % in {regime}" if gain["federated"] > 0 else f"n/a in {regime}"
            )
        lines.append(
            f"At {name}, of what exact training takes off the shipped prior's loss on held-out devices, {' and '.join(told)} is left."
        )
    lines.append("Noise trainings choose no scales and no calibration; those of the shipped prior were tuned to its own weights.")
    lines.append("Epsilon says nothing about the public part: that somebody took part, and when.")
    if cohorts is None:
        lines.append("Larger cohorts were not simulated in this run.")
    return "## What falls short\n\n" + "\n".join(f"- {line}" for line in lines)


def draw(parts: Sequence[Mapping[str, Any]], cohorts: Mapping[str, Any] | None, path: Path) -> None:
    """Draw accuracy by screens, a panel for each regime, and loss by number of devices; equal input gives equal files."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    settings = {
        "svg.hashsalt": "privwiz",
        "font.size": 11,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
    }
    with mpl.rc_context({**mpl.rcParamsDefault, **settings, "grid.color": "#D5D8DC", "backend": mpl.get_backend()}):
        regimes = list(dict.fromkeys(part["regime"] for part in parts))
        panels = len(regimes) + (cohorts is not None)
        figure = Figure(figsize=(4.3 * panels, 4.8), layout="constrained")
        axes = figure.subplots(1, panels, squeeze=False)[0]
        for place, regime in zip(axes, regimes, strict=False):
            ats = sorted({row["at"] for part in parts for row in part["rows"] if row["unit"] == "screens"})
            for name, style in _STYLES.items():
                found = [bootstrap(*_scores(parts, regime, name, at, nontrivial=True))["accuracy"].value for at in ats]
                place.plot(ats, [100 * value for value in found], label=_SAYS[name], markersize=4, **style)
            place.set_title(f"{regime}: right on non-trivial items (%)", loc="left", fontsize=11)
            place.set_xlabel("screens answered")
        handles, names = axes[0].get_legend_handles_labels()
        if cohorts is not None:
            _draw_cohorts(axes[-1], cohorts)
        figure.legend(handles, names, loc="outside lower center", ncols=3, frameon=False)
        figure.suptitle(
            "SIMULATED allow/deny labels on real networks: differences count, not levels", x=0.01, ha="left", fontsize=11
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        with writing(path) as file:
            figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})


def _draw_cohorts(axes: Any, cohorts: Mapping[str, Any]) -> None:
    for name in ("federated", *_NOISY):
        wanted = "none" if name == "federated" else name.removeprefix("epsilon ")
        some = [one for one in cohorts["trained"] if _epsilon(one) == wanted]
        axes.plot([one["size"] for one in some], [one["losses"]["fresh"] for one in some], markersize=4, **_STYLES[name])
    axes.axhline(cohorts["start"], **{**_STYLES["shipped"], "marker": ""})
    axes.set_xscale("log")
    axes.set_xlabel("devices")
    axes.set_title(f"{cohorts['regime']}: log-loss on fresh users", loc="left", fontsize=11)


def _difference(found: Interval, factor: int) -> str:
    digits = _digits(factor)
    value, low, high = (factor * part for part in found)
    shown = f"{value:+.{digits}f}"
    return shown if math.isnan(low) else f"{shown} [{low:.{digits}f}, {high:.{digits}f}]"


def _digits(factor: int) -> int:
    return 1 if factor == 100 else 3


def _span(counts: Iterable[int]) -> str:
    found = sorted(set(counts))
    return str(found[0]) if len(found) == 1 else f"{found[0]} to {found[-1]}"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> str:
    lines = [list(header), ["---"] * left + ["---:"] * (len(header) - left), *map(list, rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
