"""Where friends go in a picture of their communities: each community fills a disc, and discs that are tied lie side by side."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from privwiz.communities import Labels, igraph_random
from privwiz.graphs import EgoNetwork

__all__ = ["Arrangement", "arrange"]

Floats: TypeAlias = npt.NDArray[np.float64]
Ints: TypeAlias = npt.NDArray[np.intp]

_GOLDEN_ANGLE = np.pi * (3 - np.sqrt(5))
_GAP = 0.9
_PULLS = 300
_PUSHES = 500


@dataclass(frozen=True, eq=False)
class Arrangement:
    """A flat picture in units of about the distance between two neighbours in a disc.

    Parameters
    ----------
    positions : float64 array of shape (n, 2)
        Of each friend; communities without ties lie in rows below all discs.
    centres : float64 array of shape (k, 2)
        Of each community's disc.
    radii : float64 array of shape (k,)
        Of each disc.
    """

    positions: Floats
    centres: Floats
    radii: Floats


def arrange(network: EgoNetwork, labels: Labels) -> Arrangement:
    """Arrange the friends of a network; equal input gives equal output.

    Inside a disc friends lie by their ties (force-directed layout, spread evenly), well-connected ones in the middle. The discs
    are pulled together by the ties between them, pushed apart until none overlap, and turned towards their ties.

    Parameters
    ----------
    network : EgoNetwork
        Has the ties.
    labels : int array of shape (n,)
        Community of each friend, numbered from 0 without gaps.

    Examples
    --------
    >>> from privwiz.graphs import build_ego_network
    >>> network = build_ego_network("me", "abcd", [("a", "b"), ("b", "c")])
    >>> arrange(network, np.array([0, 0, 0, 1], dtype=np.int32)).positions.shape
    (4, 2)
    """
    sizes = np.bincount(labels)
    tied = np.bincount(labels, network.degree) > 0
    loose = ~tied[labels]
    radii = np.where(tied, 0.62 * np.sqrt(sizes) + 0.38, 0.5)
    groups = np.split(np.argsort(labels, kind="stable"), np.cumsum(sizes)[:-1]) if len(sizes) else []
    rows = np.repeat(np.arange(network.n), network.degree)
    between = np.zeros((len(sizes), len(sizes)))
    np.add.at(between, (labels[rows], labels[network.indices]), 1.0)

    centres = np.zeros((len(sizes), 2))
    centres[tied] = _place_discs(between[np.ix_(tied, tied)], radii[tied])
    inside = _place_members(network, groups, radii)
    outwards = np.zeros((network.n, 2))
    np.add.at(outwards, rows, _unit(centres[labels[network.indices]] - centres[labels[rows]]))
    positions = centres[labels] + _turn(inside, outwards, labels)
    positions[loose] = _place_rows(int(loose.sum()), centres[tied], radii[tied])
    centres[labels[loose]] = positions[loose]
    return Arrangement(positions, centres, radii)


def _place_discs(between: Floats, radii: Floats) -> Floats:
    """Return centres of discs: pulled together where there are ties, not overlapping."""
    count = len(radii)
    if not count:
        return np.zeros((0, 2))
    pull = between / np.sqrt(np.outer(radii, radii)) ** 2
    np.fill_diagonal(pull, 0)
    pull /= max(pull.sum(axis=1).max(), 1e-9)
    order = np.argsort(-radii, kind="stable").argsort()
    reach = np.sqrt(np.cumsum(np.sort(radii)[::-1] ** 2))[order]
    centres = (reach * 1.3)[:, None] * _spiral(order)
    weight = radii**2 / (radii**2).mean()
    for step in range(_PULLS):
        pace = 1 - step / _PULLS
        apart, distance, gap = _gaps(centres, radii)
        pulled = pull * np.maximum(gap, 0) / np.maximum(distance, 1e-9)
        centres -= 0.6 * pace * (pulled[:, :, None] * apart).sum(axis=1)
        centres -= 0.04 * centres
        centres += _push(centres, radii, weight)
    for _ in range(_PUSHES):
        push = _push(centres, radii, weight)
        if np.abs(push).max() < 1e-3:
            break
        centres += push
    return _square(centres, radii)


def _square(centres: Floats, radii: Floats) -> Floats:
    """Turn the whole picture to where it needs the smallest square."""
    sides = []
    for angle in np.arange(0, np.pi / 2, np.pi / 36):
        turned = centres @ _rotation(angle)
        sides.append(((turned + radii[:, None]).max(axis=0) - (turned - radii[:, None]).min(axis=0)).max())
    return centres @ _rotation(np.argmin(sides) * np.pi / 36)


def _rotation(angle: float) -> Floats:
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def _push(centres: Floats, radii: Floats, weight: Floats) -> Floats:
    """Return where to move discs that overlap; light ones give way."""
    apart, distance, gap = _gaps(centres, radii)
    overlap = np.maximum(-gap, 0)
    np.fill_diagonal(overlap, 0)
    share = weight[None] / (weight[:, None] + weight[None])
    push: Floats = ((overlap * share / np.maximum(distance, 1e-9))[:, :, None] * apart).sum(axis=1)
    return 0.5 * push


def _gaps(centres: Floats, radii: Floats) -> tuple[Floats, Floats, Floats]:
    """Return for each pair of discs how their centres lie apart, how far, and how much room is between them."""
    apart = centres[:, None] - centres[None]
    distance = np.sqrt((apart**2).sum(axis=2))
    return apart, distance, distance - radii[:, None] - radii[None] - _GAP


def _place_members(network: EgoNetwork, groups: list[Ints], radii: Floats) -> Floats:
    """Return the position of each friend relative to the centre of its disc."""
    import igraph

    inside = np.zeros((network.n, 2))
    for group, radius in zip(groups, radii, strict=True):
        if len(group) > 1:
            ties = network.adjacency[group][:, group].tocoo()
            once = ties.row < ties.col
            graph = igraph.Graph(len(group), zip(ties.row[once].tolist(), ties.col[once].tolist(), strict=True))
            start = np.sqrt(len(group)) * _spiral(np.arange(len(group))) * np.sqrt(np.arange(1, len(group) + 1))[:, None]
            with igraph_random(0):
                layout = graph.layout_fruchterman_reingold(seed=start.tolist(), niter=300)
            inside[group] = _fill_disc(np.array(layout.coords), radius)
    return inside


def _fill_disc(points: Floats, radius: float) -> Floats:
    """Spread points evenly over a disc; who was near the middle stays near the middle, and directions stay."""
    points = points - points.mean(axis=0)
    rank = np.sqrt((points**2).sum(axis=1)).argsort(kind="stable").argsort()
    usable = radius - 0.45
    points = _unit(points) * (usable * np.sqrt((rank + 0.5) / len(points)))[:, None]
    nearest = usable * 1.55 / np.sqrt(len(points))
    for _ in range(60):
        one, other = cKDTree(points).query_pairs(nearest, output_type="ndarray").T
        apart = points[one] - points[other]
        distance = np.sqrt((apart**2).sum(axis=1))
        push = 0.4 * ((nearest - distance) / np.maximum(distance, 1e-9))[:, None] * apart
        points = points.copy()
        np.add.at(points, one, push)
        np.add.at(points, other, -push)
        points *= np.minimum(1, usable / np.maximum(np.sqrt((points**2).sum(axis=1)), 1e-9))[:, None]
    return points


def _turn(inside: Floats, outwards: Floats, labels: Labels) -> Floats:
    """Turn each disc so that friends lie on the side where their other ties are; the best angle has a closed form."""
    count = labels.max(initial=-1) + 1
    along = np.bincount(labels, (inside * outwards).sum(axis=1), count)
    across = np.bincount(labels, inside[:, 0] * outwards[:, 1] - inside[:, 1] * outwards[:, 0], count)
    angle = np.arctan2(across, along)[labels]
    cos, sin = np.cos(angle), np.sin(angle)
    return np.column_stack([inside[:, 0] * cos - inside[:, 1] * sin, inside[:, 0] * sin + inside[:, 1] * cos])


def _place_rows(count: int, centres: Floats, radii: Floats) -> Floats:
    """Return positions in rows below all discs, as wide as these."""
    left, right, bottom = -3.0, 3.0, 0.0
    if len(radii):
        left, right = (centres[:, 0] - radii).min(), (centres[:, 0] + radii).max()
        bottom = (centres[:, 1] - radii).min() - 2.5
    per_row = max(int((right - left) / 1.3), 1)
    row, place = np.divmod(np.arange(count), per_row)
    return np.column_stack([left + 1.3 * (place + 0.5), bottom - 1.3 * row])


def _spiral(order: npt.NDArray[np.integer]) -> Floats:
    angle = order * _GOLDEN_ANGLE
    return np.column_stack([np.cos(angle), np.sin(angle)])


def _unit(vectors: Floats) -> Floats:
    unit: Floats = vectors / np.maximum(np.sqrt((vectors**2).sum(axis=1)), 1e-9)[:, None]
    return unit
