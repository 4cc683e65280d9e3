"""Plots of the benchmark of label efficiency, as SVG: one panel per regime, equal input gives equal files."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from results_data import Results, sample

from privwiz.files import writing
from privwiz.metrics import BINS, bootstrap, summarise

__all__ = ["curves", "draw_plots", "reliability"]

_INK, _FAINT = "#202124", "#D5D8DC"
_ROLES: Mapping[str, Mapping[str, Any]] = {
    "ours": {"color": "#0072B2", "linewidth": 3.4, "marker": "o", "markersize": 6, "zorder": 5},
    "rival": {"color": "#D55E00", "linewidth": 2.2, "marker": "s", "markersize": 5, "zorder": 4},
    "gp_rival": {"color": "#009E73", "linewidth": 2.2, "marker": "^", "markersize": 5.5, "zorder": 4},
    "no_prior": {"color": "#56B4E9", "linewidth": 2.0, "linestyle": (0, (5, 2)), "marker": "o", "markersize": 4, "zorder": 3},
    "oracle": {"color": _INK, "linewidth": 1.4, "linestyle": (0, (1, 1.6)), "marker": "", "zorder": 3},
}
"""Told apart by people with any colour vision, and by marker in grey print (Okabe and Ito 2008, https://jfly.uni-koeln.de/color/)."""
_OTHERS = tuple(
    {"color": colour, "linewidth": 1.2, "marker": marker, "markersize": 4.2, "zorder": 2}
    for colour, marker in zip(("#CC79A7", "#E69F00", "#8A8F94", "#7A5195", "#A6761D", "#5F6368"), "DvPXd*", strict=True)
)
_WORDS = {
    "screens": "screens answered, all items together",
    "effort": "effort: screens + guesses changed",
    "answers": "answers about the item",
}
_HONEST = "SIMULATED allow/deny labels on real networks: differences count, not levels"
_SETTINGS: Mapping[str, Any] = {
    "svg.hashsalt": "privwiz",
    "svg.fonttype": "path",
    "font.family": "DejaVu Sans",
    "font.size": 12,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#5F6368",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": _FAINT,
    "grid.linewidth": 0.7,
}


def draw_plots(results: Results, folder: Path) -> list[Path]:
    """Write the plots that the results have data for; return their paths.

    Raises
    ------
    DataError
        If a file cannot be written.
    """
    import matplotlib as mpl

    drawn = []
    with mpl.rc_context({**mpl.rcParamsDefault, **_SETTINGS, "backend": mpl.get_backend()}):
        units = [unit for unit in _WORDS if results.checkpoints(unit)]
        drawn += [_save(curves(results, unit), folder / f"{unit}.svg") for unit in units]
        if 10 in results.checkpoints("screens"):
            drawn.append(_save(reliability(results, "screens", 10), folder / "reliability.svg"))
    return drawn


def curves(results: Results, unit: str) -> Any:
    """Draw the accuracy on nontrivial items against what was spent; the main method with its 95 % interval."""
    ats = results.checkpoints(unit)

    def draw(axes: Any, regime: str, method: str, style: Mapping[str, Any]) -> None:
        samples = [sample(results, unit, regime, method, at, nontrivial=True) for at in ats]
        axes.plot(ats, [100 * summarise(each.scores)["accuracy"] for each in samples], label=method, **style)
        if method == results.role("ours", unit):
            ends = [bootstrap(each.scores, each.users)["accuracy"] for each in samples]
            low, high = (np.array([100 * getattr(end, side) for end in ends]) for side in ("low", "high"))
            axes.fill_between(ats, low, high, color=style["color"], alpha=0.16, linewidth=0)

    title = "Accuracy on non-trivial items" + ("; band: 95 % interval of the main method" if results.role("ours", unit) else "")
    figure = _panels(results, unit, draw, title, (_WORDS[unit], "right on non-trivial items (%)"))
    for axes in figure.axes:
        axes.set_xlim(min(0, *ats), max(ats) * 1.02)
    return figure


def reliability(results: Results, unit: str, at: int) -> Any:
    """Draw the share of cells that are truly allowed against the predicted probability, in bins; larger dots hold more cells."""

    def draw(axes: Any, regime: str, method: str, style: Mapping[str, Any]) -> None:
        scores = sample(results, unit, regime, method, at).scores
        count, probability, allowed = (
            np.array([getattr(score, name) for score in scores], dtype=float).reshape(-1, BINS).sum(axis=0)
            for name in ("bin_count", "bin_probability", "bin_allowed")
        )
        there = count > 0
        x, y = 100 * probability[there] / count[there], 100 * allowed[there] / count[there]
        axes.plot(x, y, label=method, **{**style, "linewidth": style["linewidth"] * 0.6, "markersize": 4})
        axes.scatter(
            x, y, 700 * count[there] / count.sum(), color=style["color"], alpha=0.4, zorder=style["zorder"], linewidths=0
        )

    title = f"Is a probability what it says? All cells after {at} {unit}; the larger a dot, the more cells; dashed: ideal"
    labels = ("predicted probability of allow (%)", "truly allowed (%)")
    figure = _panels(results, unit, draw, title, labels, ("ours", "rival", "gp_rival"))
    for axes in figure.axes:
        axes.plot([0, 100], [0, 100], color=_INK, linewidth=0.9, linestyle=(0, (4, 3)), zorder=1)
        axes.set(xlim=(-3, 103), ylim=(-3, 103))
    return figure


def _panels(
    results: Results,
    unit: str,
    draw: Callable[[Any, str, str, Mapping[str, Any]], None],
    title: str,
    labels: tuple[str, str],
    roles: Sequence[str] = (),
) -> Any:
    """Make a figure with a panel per regime and one legend below; of ``roles``, if any is played, only these are drawn."""
    from matplotlib.figure import Figure

    regimes, styles = results.regimes(unit), _styles(results, unit)
    kept = {results.role(role, unit) for role in roles}
    styles = {name: style for name, style in styles.items() if name in kept} or styles
    columns = min(3, len(regimes))
    rows = -(-len(regimes) // columns)
    width = 4.3 * max(columns, 2)
    legend_columns = min(3, max(1, int(width * 12 / (max(map(len, styles)) + 9))))
    height = 3.5 * rows + 0.3 * -(-len(styles) // legend_columns) + 1.3
    figure = Figure(figsize=(width, height), layout="constrained")
    figure.get_layout_engine().set(h_pad=0.08, w_pad=0.08)
    figure.suptitle(f"{title}\n{_HONEST}", x=0.01, ha="left", fontsize=12, color="#5F6368")
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    for axes, regime in zip(grid, regimes, strict=False):
        axes.set_title(regime, loc="left", fontweight="bold", color=_INK)
        for method, style in styles.items():
            draw(axes, regime, method, style)
    for axes in grid[len(regimes) :]:
        axes.remove()
    _label(grid[: len(regimes)], columns, labels)
    handles, names = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=legend_columns, frameon=False, handlelength=3)
    return figure


def _label(grid: Sequence[Any], columns: int, labels: tuple[str, str]) -> None:
    """Name the axes at the left and below the lowest panel of each column."""
    for place, axes in enumerate(grid):
        axes.tick_params(length=3, labelbottom=True)
        if place % columns == 0:
            axes.set_ylabel(labels[1])
        if place + columns >= len(grid):
            axes.set_xlabel(labels[0])


def _styles(results: Results, unit: str) -> dict[str, Mapping[str, Any]]:
    """Give each method its line: by its part on the page, else by its place among the others."""
    played = {results.role(role, unit): style for role, style in reversed(_ROLES.items())}
    others = [name for name in results.methods(unit) if name not in played]
    styles = {name: played[name] for name in results.methods(unit) if name in played}
    return styles | {name: _OTHERS[place % len(_OTHERS)] for place, name in enumerate(others)}


def _save(figure: Any, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with writing(path) as file:
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    return path
