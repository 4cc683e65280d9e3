"""A picture of the circles of a network, as SVG or PNG."""

import threading
import unicodedata
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from privwiz.arrangement import Arrangement, arrange
from privwiz.circles import Circle, Circles
from privwiz.communities import Labels
from privwiz.errors import DataError, MissingExtra
from privwiz.files import FilePath, ending, source_name, writing
from privwiz.graphs import EgoNetwork
from privwiz.naming import display_name
from privwiz.words import check_language

__all__ = ["draw_circles"]

_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#8C6BB1", "#A6761D")
"""Told apart by people with any colour vision: the palette of Okabe & Ito (2008) without yellow and black, and two more."""
_GREY = "#9AA0A6"
_INK = "#202124"
_FAINT = "#5F6368"
_CHINESE_FONTS = (
    "Noto Sans CJK SC",
    "Noto Sans SC",
    "Source Han Sans SC",
    "Microsoft YaHei",
    "PingFang SC",
    "Hiragino Sans GB",
    "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei",
    "SimHei",
    "Arial Unicode MS",
)
_WIDTH, _HEIGHT, _PANEL = 13.0, 8.5, 4.4
_DPI = 160
_SVG_DPI = 100
"""Of the parts of an SVG that are stored as pixels."""
_MAX_ROWS = 26
_MAX_NAMED = 40
_MAX_VECTOR_TIES = 6000
_MATPLOTLIB = threading.Lock()


def draw_circles(network: EgoNetwork, circles: Circles, path: FilePath, level: int = 1, *, language: str = "en") -> None:
    """Draw the circles of one level into a file.

    Every circle is a disc with its members and a number, which the list on the right explains; ties are lines; the better
    connected a friend, the larger the dot. Friends in no circle are grey, those without ties stand in rows below. Small networks
    show the names of friends. Equal input gives an equal file.

    Parameters
    ----------
    network : EgoNetwork
        Whose circles they are.
    circles : Circles
        As `privwiz.circles.find_circles` returns them.
    path : path
        Ends in ``.svg`` or ``.png``; an existing file is replaced. In an SVG text stays text, so that every viewer shows Chinese
        names; a PNG needs a Chinese font on this machine.
    level : int
        Position in ``circles.resolutions``.
    language : {"en", "zh"}
        Of the names and words in the picture.

    Raises
    ------
    DataError
        If the circles are of other friends, the level or language is not known, the ending is another, or the file cannot be
        written.
    MissingExtra
        If matplotlib is not installed.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import networkx as nx
    >>> from privwiz.circles import find_circles
    >>> from privwiz.graphs import ego_network
    >>> network = ego_network(nx.karate_club_graph(), 0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     draw_circles(network, find_circles(network), Path(folder, "karate.svg"))
    ...     Path(folder, "karate.svg").read_text().startswith("<?xml")
    True
    """
    check_language(language)
    if circles.friends != network.friends:
        raise DataError("these circles are of other friends than the network; find the circles of this network")
    circles.level(level)
    if ending(path) not in {".svg", ".png"}:
        raise DataError(f"ends in {ending(path)!r}; a picture ends in '.svg' or '.png'", source=source_name(path))
    with _matplotlib():
        figure = _figure(network, circles, level, language)
        with writing(path) as file:
            if ending(path) == ".svg":
                figure.savefig(file, format="svg", dpi=_SVG_DPI, metadata={"Date": None, "Creator": None})
            else:
                figure.savefig(file, format="png", dpi=_DPI, metadata={"Software": None})


@contextmanager
def _matplotlib() -> Iterator[None]:
    """Set what matplotlib reads from its global settings when it writes a file; one thread at a time."""
    try:
        import matplotlib as mpl
        from matplotlib.font_manager import fontManager
    except ImportError:
        raise MissingExtra("drawing", "plot") from None
    with _MATPLOTLIB, warnings.catch_warnings():
        installed = {font.name for font in fontManager.ttflist}
        fonts = ["DejaVu Sans", *[name for name in _CHINESE_FONTS if name in installed][:1], "sans-serif"]
        # Without a Chinese font a PNG shows boxes, as its documentation says: no reason to alarm who reads the log.
        warnings.filterwarnings("ignore", message=r"Glyph \d+ .* missing from font", category=UserWarning)
        settings: Any = {"svg.hashsalt": "privwiz", "svg.fonttype": "none", "font.family": fonts}
        with mpl.rc_context(settings):
            yield


def _figure(network: EgoNetwork, circles: Circles, level: int, language: str) -> Any:
    from matplotlib.figure import Figure

    shown = circles.level(level)
    colours = [_COLOURS[c % len(_COLOURS)] for c in range(len(shown))]
    figure = Figure(figsize=(_WIDTH, _HEIGHT), facecolor="white")
    left = (_WIDTH - _PANEL) / _WIDTH
    _draw_network(figure.add_axes((0.0, 0.0, left, 1.0)), network, _shown_first(circles, level), colours)
    _draw_list(figure.add_axes((left, 0.0, 1 - left, 1.0)), _heading(network, circles, level, language), shown, colours, language)
    return figure


def _shown_first(circles: Circles, level: int) -> Labels:
    """Number the communities of a level so that the circles that are shown come first, in their order."""
    labels, shown = circles.labels[level], set(circles.level(level))
    hidden = [circle not in shown for circle in circles.communities(level)]
    order = np.argsort(hidden + [True] * (labels.max(initial=-1) + 1 - len(hidden)), kind="stable")
    renumbered: Labels = np.argsort(order).astype(np.int32)[labels]
    return renumbered


def _draw_network(axes: Any, network: EgoNetwork, labels: Labels, colours: Sequence[str]) -> None:
    """Draw discs, ties, friends and the numbers of circles."""
    from matplotlib.collections import EllipseCollection, LineCollection
    from matplotlib.colors import to_rgba

    arrangement = arrange(network, labels)
    positions, centres, radii = arrangement.positions, arrangement.centres, arrangement.radii
    scale = _fit(axes, arrangement)
    count = len(colours)
    palette = [*colours, _GREY]
    axes.add_collection(
        EllipseCollection(
            *(2 * radii[:count], 2 * radii[:count], np.zeros(count)),
            units="xy",
            offsets=centres[:count],
            offset_transform=axes.transData,
            facecolors=[(colour, 0.12) for colour in colours],
            edgecolors=[(colour, 0.8) for colour in colours],
            linewidths=1.2,
            zorder=1,
        )
    )

    ends = np.argwhere(np.triu(network.adjacency.toarray()))
    own = np.minimum(np.where(labels[ends[:, 0]] == labels[ends[:, 1]], labels[ends[:, 0]], count), count)
    shades = np.array([to_rgba(colour) for colour in palette])[own]
    # So faint that all lines of a disc together cover about two thirds of it, however many there are.
    room = np.append(2 * radii[:count], np.sqrt((radii**2).sum())) * scale
    shades[:, 3] = np.clip(room / np.maximum(np.bincount(own, minlength=count + 1), 1), 0.012, 0.5)[own]
    for chosen, zorder in ((own == count, 0), (own < count, 2)):
        lines = LineCollection(list(positions[ends[chosen]]), colors=shades[chosen], linewidths=0.6, zorder=zorder)
        lines.set_rasterized(len(ends) > _MAX_VECTOR_TIES)
        axes.add_collection(lines)

    diameter = 0.3 + 0.5 * np.sqrt(network.degree / max(network.degree.max(initial=0), 1))
    points = np.clip(diameter * scale, 1.5, 16)
    axes.scatter(
        *positions.T, s=points**2, c=[palette[c] for c in np.minimum(labels, count)], edgecolors="white", linewidths=0.4, zorder=4
    )
    if network.n <= _MAX_NAMED:
        for friend, position, size in zip(network.friends, positions, points, strict=True):
            axes.annotate(
                _shorten(display_name(network, friend), 16),
                *(position, (0, -size / 2 - 2)),
                textcoords="offset points",
                ha="center",
                va="top",
                fontsize=7.5,
                color=_INK,
                zorder=5,
                parse_math=False,
            )
    for c, colour in enumerate(colours):
        _draw_number(axes, centres[c] + (0, radii[c]), c + 1, colour)


def _fit(axes: Any, arrangement: Arrangement) -> float:
    """Make everything fit, with a margin; return the points per unit of the arrangement."""
    count = len(arrangement.radii)
    corners = np.concatenate([arrangement.centres - arrangement.radii[:, None], arrangement.centres + arrangement.radii[:, None]])
    low, high = (corners.min(axis=0) - 1.5, corners.max(axis=0) + 1.5) if count else (np.zeros(2), np.ones(2))
    axes.set_axis_off()
    axes.set_aspect("equal")
    axes.set_xlim(low[0], high[0])
    axes.set_ylim(low[1], high[1])
    return float(72 * min((_WIDTH - _PANEL) / (high - low)[0], _HEIGHT / (high - low)[1]))


def _draw_list(axes: Any, heading: Sequence[str], shown: Sequence[Circle], colours: Sequence[str], language: str) -> None:
    """Write the heading, and a line for each circle: its number, name and size."""
    axes.set_axis_off()
    axes.set_xlim(0, _PANEL)
    axes.set_ylim(_HEIGHT, 0)
    title, *notes = heading
    axes.text(0.1, 0.5, title, fontsize=16, fontweight="bold", color=_INK, va="center", parse_math=False)
    y = 0.9
    for note in notes:
        axes.text(0.1, y, note, fontsize=9, color=_FAINT, va="center", parse_math=False)
        y += 0.24
    step = min(0.34, (_HEIGHT - y - 0.4) / max(min(len(shown), _MAX_ROWS), 1))
    y += 0.25
    for c, circle in enumerate(shown[:_MAX_ROWS]):
        _draw_number(axes, np.array([0.24, y]), c + 1, colours[c])
        axes.text(0.46, y, _shorten(circle.text(language), 46), fontsize=9.5, color=_INK, va="center", parse_math=False)
        axes.text(_PANEL - 0.15, y, str(len(circle)), fontsize=9.5, color=_FAINT, va="center", ha="right")
        y += step
    if len(shown) > _MAX_ROWS:
        more = len(shown) - _MAX_ROWS
        text = f"还有 {more} 个更小的圈子" if language == "zh" else f"and {more} smaller circles"
        axes.text(0.46, y, text, fontsize=9, color=_FAINT, va="center")


def _heading(network: EgoNetwork, circles: Circles, level: int, language: str) -> list[str]:
    """Return the title and the notes below it."""
    shown = circles.level(level)
    covered, count, isolated = sum(map(len, shown)), len(shown), circles.isolated
    ego, resolution = _shorten(network.ego, 24), f"{circles.resolutions[level]:g}"
    if language == "zh":
        notes = [f"{network.n} 位好友，其中 {covered} 位属于 {count} 个圈子（分辨率 {resolution}）"]
        return [f"{ego} 的圈子", *notes, *[f"下方：{isolated} 位没有共同好友"] * (isolated > 0)]
    notes = [f"{covered} of {network.n} friends are in {count} circle{'s' * (count != 1)}; resolution {resolution}"]
    return [f"Circles of {ego}", *notes, *[f"below: {isolated} without mutual friends"] * (isolated > 0)]


def _draw_number(axes: Any, where: Any, number: int, colour: str) -> None:
    box = {"boxstyle": "circle,pad=0.28", "facecolor": "white", "edgecolor": colour, "linewidth": 1.3}
    size = 7.5 if number < 10 else 6.5
    axes.text(*where, str(number), fontsize=size, fontweight="bold", color=_INK, ha="center", va="center", bbox=box, zorder=6)


def _shorten(text: str, width: int) -> str:
    """Cut a text to a width in Latin letters; a Chinese character is two wide.

    >>> _shorten("北京大学，2009届", 10), _shorten("Peking University", 10)
    ('北京大学…', 'Peking Un…')
    """
    ends = np.cumsum([2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text])
    return text if not len(ends) or ends[-1] <= width else text[: np.searchsorted(ends, width - 1, side="right")] + "…"
