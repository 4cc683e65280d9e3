"""The picture of a network: a disc for each circle, a dot for each friend, lines for the closest ties. Drawn as SVG."""

from collections.abc import MutableMapping
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from privwiz.arrangement import Arrangement, arrange
from privwiz.circles import Circles
from privwiz.communities import Labels
from privwiz.graphs import EgoNetwork
from privwiz_api.page.groups import shown_circles, shown_level

__all__ = ["Disc", "Dot", "Portrait", "draw"]

_CLOSEST = 2
"""Ties drawn for each friend: all of them would be a blot."""
_SIDE = 1000.0

_arranged: MutableMapping[Circles, Arrangement] = WeakKeyDictionary()
"""Where friends go, as long as their circles are remembered: it takes a while to find out, and no answer changes it."""


@dataclass(frozen=True, slots=True)
class Disc:
    """The disc of a circle: its number from 1, colour, centre and radius."""

    number: int
    tone: str
    x: int
    y: int
    r: int


@dataclass(frozen=True, slots=True)
class Dot:
    """A friend: name, colour, centre and radius."""

    name: str
    tone: str
    x: int
    y: int
    r: int


@dataclass(frozen=True, slots=True)
class Portrait:
    """A picture in a box of ``width`` x ``height``; ``lines`` are the drawing orders of an SVG path."""

    width: int
    height: int
    discs: tuple[Disc, ...]
    dots: tuple[Dot, ...]
    lines: str


def draw(network: EgoNetwork, circles: Circles, names: tuple[str, ...], tones: tuple[str, ...]) -> Portrait:
    """Arrange a network for the page. Equal input gives an equal picture.

    Parameters
    ----------
    network : EgoNetwork
        With n friends.
    circles : Circles
        Of this network.
    names, tones : tuple of str, length n
        What to call each friend, and the colour of each.

    Examples
    --------
    >>> from privwiz.circles import find_circles
    >>> from privwiz.graphs import build_ego_network
    >>> network = build_ego_network("me", "abcd", [("a", "b"), ("b", "c"), ("a", "c")])
    >>> picture = draw(network, find_circles(network), network.friends, ("t0", "t0", "t0", "tx"))
    >>> len(picture.discs), len(picture.dots), picture.lines.count("M")
    (1, 4, 3)
    """
    level = shown_level(circles)
    arrangement = _arranged.get(circles) or arrange(network, circles.labels[level])
    _arranged[circles] = arrangement
    radii = arrangement.radii
    reach = radii[:, None]
    corners = np.concatenate([arrangement.centres - reach, arrangement.centres + reach, np.zeros((2, 2))])
    low, high = corners.min(axis=0) - 1, corners.max(axis=0) + 1
    scale = _SIDE / (high - low).max()
    width, height = (scale * (high - low)).round().astype(int).tolist()
    points = _flip(arrangement.positions, low, high, scale)
    centres = _flip(arrangement.centres, low, high, scale)
    member = dict(zip(network.friends, tones, strict=True))
    at = {circle.id: c for c, circle in enumerate(circles.communities(level))}
    drawn = [(circle, at[circle.id]) for circle in shown_circles(circles)]
    discs = tuple(
        Disc(number, member[circle.members[0]], int(centres[c, 0]), int(centres[c, 1]), round(float(radii[c]) * scale))
        for number, (circle, c) in enumerate(drawn, start=1)
    )
    size = (0.27 + 0.2 * np.sqrt(network.degree / max(1, network.degree.max(initial=1)))) * scale
    sizes = np.clip(size, 3, 16).round().astype(int).tolist()
    dots = tuple(Dot(name, tone, x, y, r) for name, tone, (x, y), r in zip(names, tones, points.tolist(), sizes, strict=True))
    return Portrait(width, height, discs, dots, _lines(network, points, circles.labels[level]))


def _flip(points: npt.NDArray[np.float64], low: npt.ArrayLike, high: npt.ArrayLike, scale: float) -> npt.NDArray[np.int_]:
    """Return places in the picture: whole numbers, y downwards."""
    moved = np.column_stack([points[:, 0] - np.asarray(low)[0], np.asarray(high)[1] - points[:, 1]])
    whole: npt.NDArray[np.int_] = (scale * moved).round().astype(int)
    return whole


def _lines(network: EgoNetwork, points: npt.NDArray[np.int_], labels: Labels) -> str:
    """Draw the strongest ties of each friend, each once; of equals, those within a circle."""
    pairs = set()
    for i in range(network.n):
        row = slice(network.indptr[i], network.indptr[i + 1])
        strength = np.zeros(network.degree[i]) if network.weights is None else network.weights[row]
        others = network.indices[row]
        closest = others[np.lexsort((labels[others] != labels[i], -strength))[:_CLOSEST]]
        pairs |= {(min(i, j), max(i, j)) for j in closest.tolist()}
    return "".join(
        f"M{points[i, 0]} {points[i, 1]}l{points[j, 0] - points[i, 0]} {points[j, 1] - points[i, 1]}" for i, j in sorted(pairs)
    )
