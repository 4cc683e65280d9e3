"""The oracle: privwiz with the hand-made circles in place of those it would find. A bound, not a rival."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy import sparse

from privwiz.belief import Layout, lay_out
from privwiz.circles import Circle, Circles
from privwiz.graphs import EgoNetwork
from privwiz.groups import shared_groups, tie_groups
from privwiz.items import ProfileItem
from privwiz.posterior import LatentModel
from privwiz.prior import Prior
from privwiz.screens import NEARLY_ALL
from privwiz.wizard import Wizard

__all__ = ["Oracle", "told_layout"]

_MOST_CIRCLES = 45


class Oracle(Wizard):
    """A wizard who is told the real circles: it asks about them, and takes friends for alike who share them.

    Friends in no circle are one more circle: simulated users decide about them as one.
    """

    def __init__(
        self,
        network: EgoNetwork,
        items: Sequence[ProfileItem],
        prior: Prior,
        seed: int,
        *,
        circles: Circles,
        real: Sequence[Sequence[str]],
    ) -> None:
        super().__init__(network, items, prior, seed, circles=circles)
        self._layout = told_layout(network, circles, prior, tuple(items), real)


def told_layout(
    network: EgoNetwork, found: Circles, prior: Prior, items: tuple[ProfileItem, ...], real: Sequence[Sequence[str]]
) -> Layout:
    """Lay out the real circles, which may overlap, instead of those found.

    The circle part of the likeness is the cosine of two friends' memberships; the features stay those of the circles found.
    """
    member = _membership(network, real)
    sizes = member.sum(axis=0)
    asked = np.flatnonzero((sizes >= 2) & (sizes <= NEARLY_ALL * network.n))
    asked = asked[np.argsort(-sizes[asked], kind="stable")[:_MOST_CIRCLES]]
    told_circles = [
        Circle(f"r{k}", 0, tuple(network.friends[i] for i in np.flatnonzero(member[:, k])), f"Circle {k}", f"圈子{k}")
        for k in asked.tolist()
    ]
    distinct = {circle.members: circle for circle in (*shared_groups(network), *tie_groups(network), *reversed(told_circles))}
    circles = tuple(reversed(distinct.values()))
    groups = tuple(tuple(map(network.index, circle.members)) for circle in circles)
    every = (*groups, tuple(range(network.n)))
    scales = prior.scales
    blind = lay_out(network, found, replace(prior, scales=replace(scales, circles=0.0)), items, every)
    rows = [*range(network.n), *(network.n + blind.groups.index(group) for group in every)]
    model = _pick(blind.model, np.array(rows))
    norm = np.linalg.norm(member, axis=1, keepdims=True)
    unit = member / np.where(norm > 0, norm, 1)
    alike = _extend(scales.circles * (unit @ unit.T), every)
    model = replace(
        model,
        shared=(model.shared + scales.shared_alike * alike).astype(np.float32),
        specific=(model.specific + scales.alike * alike).astype(np.float32),
    )
    return Layout(network, found, items, every, circles, model, prior.calibration)


def _membership(network: EgoNetwork, real: Sequence[Sequence[str]]) -> np.ndarray:
    """Return who is in which circle, shape (n, circles + 1); the last is of those in none."""
    member = np.zeros((network.n, len(real) + 1))
    for k, circle in enumerate(real):
        member[[network.index(friend) for friend in circle], k] = 1
    member[:, -1] = ~member.any(axis=1)
    return member


def _pick(model: LatentModel, rows: np.ndarray) -> LatentModel:
    at = np.ix_(rows, rows)
    return replace(model, mean=model.mean[:, rows], shared=model.shared[at], specific=model.specific[at])


def _extend(kernel: np.ndarray, groups: Sequence[Sequence[int]]) -> np.ndarray:
    """Add the rows of the groups, whose latent is the mean of their members'."""
    sizes = [len(group) for group in groups]
    mean = sparse.csr_array(
        (np.repeat([1 / size for size in sizes], sizes), (np.repeat(np.arange(len(groups)), sizes), np.concatenate(groups))),
        shape=(len(groups), len(kernel)),
    )
    cross = mean @ kernel
    return np.block([[kernel, cross.T], [cross, mean @ cross.T]])
