"""A page about one training: how the loss fell, how far each round went, where the time went, what privacy it cost."""

import html
import io
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from privwiz.errors import MissingExtra
from privwiz.federated.training import Training
from privwiz.federated.training_state import RoundRecord, TrainingState
from privwiz.files import FilePath, writing
from privwiz.words import amount

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["write_report"]

_COLOURS = {"devices": "#0072B2", "sum": "#E69F00", "owner": "#009E73"}
"""Told apart by people with any colour vision (Okabe and Ito 2008)."""
_PARTS = {"devices": "devices compute", "sum": "shares, sums, opening", "owner": "model owner"}
_SETTINGS: Any = {
    "svg.hashsalt": "privwiz",
    "svg.fonttype": "path",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#D5D8DC",
}
_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem;color:#202124}"
    "table{border-collapse:collapse;margin:1rem 0}td,th{padding:.25rem .8rem;text-align:right;border-bottom:1px solid #D5D8DC}"
    "th:first-child,td:first-child,td:nth-child(2){text-align:left}svg{width:100%;height:auto}.plan td{text-align:left}"
)


def write_report(training: Training, state: TrainingState, path: FilePath) -> None:
    """Write the page: one file of HTML that loads nothing.

    Parameters
    ----------
    training : Training
    state : TrainingState
        After its last round, or any other.
    path : path

    Raises
    ------
    MissingExtra
        If matplotlib is not installed.
    DataError
        If the file cannot be written.
    """
    page = (
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>privwiz training</title><style>{_STYLE}</style>\n'
        f"<h1>Training of a prior by {html.escape(training.plan.algorithm)}</h1>\n{_summary(training, state)}\n"
        f"{_figure(training, state)}\n{_rounds(training, state)}\n{_plan(training)}\n</html>\n"
    )
    with writing(path) as file:
        file.write(page.encode())


def _summary(training: Training, state: TrainingState) -> str:
    losses = [record.loss for record in state.history if record.step == "evaluate" and record.loss is not None]
    where = "devices that trained nothing" if training.validation else "the devices that trained (nobody was held out)"
    spent = training.spent(state)
    sentences = [
        f"{amount(len(training.training), 'device')} trained, {len(training.validation)} held out.",
        f"{amount(len(training.items), 'item')}, {len(state.history)} of {len(training.steps)} rounds.",
        f"The loss on {where} went from {losses[0]:.4f} to {losses[-1]:.4f}; knowing nothing is 0.6931." if losses else "",
        "No noise was added: what the sums say about one device is not bounded." if spent is None else f"{spent}.".capitalize(),
        f"Rounds that were lost and count as spent: {state.lost}." if spent is not None and state.lost else "",
    ]
    return f"<p>{html.escape(' '.join(sentence for sentence in sentences if sentence))}</p>"


def _epsilons(training: Training, state: TrainingState) -> list[float | None]:
    """What was spent after each round; None without noise, or where there is no bound."""
    spent = [training.spent(replace(state, history=state.history[:number])) for number in range(1, len(state.history) + 1)]
    return [None if one is None or not math.isfinite(one.epsilon) else one.epsilon for one in spent]


def _figure(training: Training, state: TrainingState) -> str:
    history, epsilons = state.history, _epsilons(training, state)
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtra("a report", "plot") from None
    with mpl.rc_context(dict(_SETTINGS)):
        figure = Figure(figsize=(11, 7.5), layout="constrained")
        loss, norm, time, privacy = figure.subplots(2, 2).flat
        where = "held out" if training.validation else "in training"
        _curve(loss, history, "evaluate", [record.loss for record in history], f"loss {where}")
        _curve(norm, history, "learn", [record.norm for record in history], "how far the weights moved")
        bottom = [0.0] * len(history)
        for part, words in _PARTS.items():
            seconds = [record.seconds[part] for record in history]
            time.bar(range(1, len(history) + 1), seconds, bottom=bottom, color=_COLOURS[part], label=words)
            bottom = [low + high for low, high in zip(bottom, seconds, strict=True)]
        time.set(title="time of a round", xlabel="round", ylabel="seconds")
        time.legend(frameon=False)
        if any(epsilons):
            _curve(privacy, history, None, epsilons, "epsilon spent by a device")
        else:
            privacy.set_axis_off()
            privacy.text(0.5, 0.5, "no noise, or too little: epsilon has no bound", ha="center", va="center")
        drawn = io.StringIO()
        figure.savefig(drawn, format="svg", metadata={"Date": None})
    text = drawn.getvalue()
    return f'<figure role="img" aria-label="Loss, steps, time and privacy by round">{text[text.index("<svg") :]}</figure>'


def _curve(axes: "Axes", history: Sequence[RoundRecord], step: str | None, values: Sequence[float | None], title: str) -> None:
    points = {
        number: value
        for number, (record, value) in enumerate(zip(history, values, strict=True), start=1)
        if value is not None and step in {None, record.step}
    }
    axes.plot(list(points), list(points.values()), color=_COLOURS["devices"], marker="o", markersize=4)
    axes.set(title=title, xlabel="round")
    axes.set_xlim(0, len(history) + 1)
    axes.set_ylim(0, 1.1 * max([*points.values(), 1e-9]))


def _rounds(training: Training, state: TrainingState) -> str:
    names = ("round", "kind", "devices", "loss", "weights moved", *_PARTS.values(), "epsilon")
    head = "".join(f"<th>{html.escape(name)}</th>" for name in names)
    rows = []
    for number, (record, epsilon) in enumerate(zip(state.history, _epsilons(training, state), strict=True), start=1):
        cells = [
            str(number),
            record.step,
            str(record.contributors),
            "" if record.loss is None else f"{record.loss:.4f}",
            f"{record.norm:.3f}" if record.step == "learn" else "",
            *(f"{record.seconds[part]:.3f} s" for part in _PARTS),
            "" if epsilon is None else f"{epsilon:.3f}",
        ]
        rows.append("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells) + "</tr>")
    return f"<h2>Rounds</h2><table><tr>{head}</tr>{''.join(rows)}</table>"


def _plan(training: Training) -> str:
    told = {name.replace("_", " "): "not set" if value is None else str(value) for name, value in training.plan.to_dict().items()}
    rows = "".join(f"<tr><td>{html.escape(name)}</td><td>{html.escape(value)}</td></tr>" for name, value in told.items())
    return f'<h2>Plan</h2><table class="plan">{rows}</table>'
