"""How alike two friends are: the prior covariance of their latents, from circles, ties, attributes and federated weights."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from privwiz.circles import Circles
from privwiz.graphs import EgoNetwork
from privwiz.posterior import PROBIT_VARIANCE, LatentModel
from privwiz.prior import KernelScales, Prior

__all__ = [
    "LatentPrior",
    "attribute_factor",
    "attribute_kernel",
    "circle_factor",
    "latent_prior",
    "neighbourhood_kernel",
]

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.integer]


def circle_factor(circles: Circles) -> "sparse.csr_array[np.float32]":
    """Return F of shape (n, communities) for which ``F F'`` is the share of levels at which two friends are in the same circle.

    Every level counts once, so friends who part only at the finest level are nearly alike.
    """
    levels, n = circles.labels.shape
    width = circles.labels.max(initial=-1) + 1
    column = circles.labels.T + width * np.arange(levels)
    share = np.full(levels * n, levels**-0.5, np.float32)
    return sparse.csr_array((share, column.ravel(), np.arange(n + 1) * levels), shape=(n, levels * width))


def neighbourhood_kernel(network: EgoNetwork, rows: Ints | None = None) -> Floats:
    """Jaccard similarity of closed neighbourhoods: shared friends over all friends of either, oneself included.

    Parameters
    ----------
    network : EgoNetwork
        Of n friends.
    rows : int array of shape (k,), optional
        The friends whose rows are wanted; all unless given.

    Returns
    -------
    float32 array of shape (k, n)
    """
    n = network.n
    own: Any = sparse.csr_array((np.ones(len(network.indices), np.float32), network.indices, network.indptr), shape=(n, n))
    if n < _SPARSE_FROM:
        own = own.toarray()
        np.fill_diagonal(own, 1)
    else:
        own += sparse.eye_array(n, dtype=np.float32, format="csr")
    common = (own if rows is None else own[rows]) @ own
    if n >= _SPARSE_FROM:
        common = common.toarray()
    size = (network.degree + 1).astype(np.float32)
    either = (size if rows is None else size[rows])[:, None] + size
    either -= common
    common /= either
    return np.asarray(common)


_SPARSE_FROM = 500
"""From so many friends on, products of sparse neighbourhoods are the faster ones."""


def attribute_factor(network: EgoNetwork) -> "sparse.csr_array[np.float32]":
    """Return F of shape (n, values) for which ``F F'`` is the `attribute_kernel`."""
    n = network.n
    names, row, column = network.attributes
    counts = np.array([field != "name" for field, _ in names], bool)[column]
    row, column = row[counts], column[counts]
    frequency = np.bincount(column, minlength=len(names))
    weight = np.log(max(1, n) / np.maximum(frequency, 1)) + 0.1
    norm = np.sqrt(np.bincount(row, np.square(weight[column]), minlength=n))
    nothing = np.flatnonzero(norm == 0)  # alike with oneself only: each has a column of its own
    value = np.concatenate([weight[column] / norm[row], np.ones(len(nothing))]).astype(np.float32)
    at = np.concatenate([row, nothing]), np.concatenate([column, len(names) + np.arange(len(nothing))])
    return sparse.csr_array((value, at), shape=(n, len(names) + len(nothing)))


def attribute_kernel(network: EgoNetwork) -> Floats:
    """Cosine of the friends' attribute values, shape (n, n), unit diagonal.

    Each value counts ``log(n / friends who have it) + 0.1``, its inverse document frequency (Spärck Jones, Journal of
    Documentation 28, 1972): a rare value in common says more. Names do not count.
    """
    factor = attribute_factor(network)
    return np.asarray((factor @ factor.T).toarray())


@dataclass(frozen=True, eq=False)
class LatentPrior:
    """The prior over the latents of n friends and of groups of them, composed for as many rows as are asked for.

    Parameters
    ----------
    network : EgoNetwork
    scales : KernelScales
    mean : float32 array of shape (J, R)
        R is n + the number of groups.
    members : sparse float32 array of shape (R, n)
        Row r is the mean of these friends.
    factor : sparse float32 array of shape (n, F)
        ``factor factor'`` is the part of the likeness of friends that comes from circles and attributes.
    design, spread : float arrays of shape (n, d + 1)
        ``design spread'`` is the covariance that comes from how users differ in their linear weights.
    """

    network: EgoNetwork
    scales: KernelScales
    mean: Floats
    members: "sparse.csr_array[np.float32]"
    factor: "sparse.csr_array[np.float32]"
    design: Floats
    spread: Floats

    def of(self, rows: Ints | None = None) -> LatentModel:
        """Return the model with the covariances of some rows, ascending, with every row; of all rows unless given.

        A few rows cost a small part of the whole. The same rows always give the same bits; in other company a row may differ in
        the last one.
        """
        scales, groups = self.scales, self._groups
        if rows is not None and (rows < self.network.n).all():
            near, factor, design = neighbourhood_kernel(self.network, rows), self.factor[rows], self.design[rows]
            alone, share = (np.arange(len(rows)), rows), np.ones(len(rows), np.float32)
        else:
            left = self.members if rows is None else self.members[rows]
            near, factor, design = left @ self._neighbourhood, left @ self.factor, left @ self.design
            alone, share = (np.repeat(np.arange(left.shape[0]), np.diff(left.indptr)), left.indices), left.data
        alike = np.ascontiguousarray((self.factor @ factor.toarray().T).T)
        alike += scales.neighbourhood * near
        linear = (design @ self.spread.T).astype(np.float32)

        def compose(level: float, alike_scale: float, linear_scale: float, independent: float) -> Floats:
            kernel = alike_scale * alike
            kernel += level
            kernel += linear_scale * linear
            kernel[alone] += independent * share
            return np.concatenate([kernel, (groups @ kernel.T).T], axis=1) if groups.shape[0] else kernel

        return LatentModel(
            self.mean,
            compose(scales.shared_level, scales.shared_alike, scales.shared_linear, scales.shared_independent),
            compose(scales.level, scales.alike, scales.linear, scales.independent),
            scales.trust,
            rows,
            None if rows is None else self.variance,
        )

    @cached_property
    def variance(self) -> Floats:
        """Variance of each row's latent, but for trust, shape (R,)."""
        scales, groups = self.scales, self._groups
        alike = np.full(self.network.n, scales.circles + scales.neighbourhood + scales.attributes)
        linear = np.einsum("ij,ij->i", self.design, self.spread)
        alone = np.ones(self.network.n)
        if groups.shape[0]:
            near: Floats = groups.multiply(groups @ self._neighbourhood).sum(1)
            of_groups = (groups @ self.factor).power(2).sum(1) + scales.neighbourhood * near
            alike = np.concatenate([alike, of_groups])
            linear = np.concatenate([linear, np.einsum("ij,ij->i", groups @ self.design, groups @ self.spread)])
            alone = np.concatenate([alone, groups.power(2).sum(1)])
        variance = (
            (scales.shared_level + scales.level)
            + (scales.shared_alike + scales.alike) * alike
            + (scales.shared_linear + scales.linear) * linear
            + (scales.shared_independent + scales.independent) * alone
        )
        return np.asarray(variance, np.float32)

    @cached_property
    def _groups(self) -> "sparse.csr_array[np.float32]":
        return self.members[self.network.n :]

    @cached_property
    def _neighbourhood(self) -> Floats:
        return neighbourhood_kernel(self.network)


def latent_prior(
    network: EgoNetwork,
    circles: Circles,
    features: npt.NDArray[np.float64],
    prior: Prior,
    items: Iterable[str],
    groups: Iterable[Ints],
) -> LatentPrior:
    """Take together what the prior over all items, friends and groups of friends is composed of.

    Parameters
    ----------
    network : EgoNetwork
        Of n friends.
    circles : Circles
        Of this network.
    features : float array of shape (n, len(FEATURES))
        `privwiz.features.friend_features` of the same network and circles.
    prior : Prior
        Its scales say how much each part of the covariance weighs.
    items : iterable of str
        Ids of the J items.
    groups : iterable of int arrays
        Members, at least one, of each group that is, or may be, asked about; row n + g is group g.
    """
    scales, design = prior.scales, prior.design(features)
    members = _membership(network.n, list(groups))
    mean = scales.mean * (prior.weights_for(tuple(items)) @ design.T)
    parts = [(scales.circles, circle_factor(circles)), (scales.attributes, attribute_factor(network))]
    return LatentPrior(
        network,
        scales,
        np.asarray(members @ mean.T, np.float32).T.copy(),
        members,
        sparse.hstack([np.float32(scale**0.5) * factor for scale, factor in parts], format="csr"),
        design,
        design @ prior.covariance / PROBIT_VARIANCE,
    )


def _membership(n: int, groups: list[Ints]) -> "sparse.csr_array[np.float32]":
    """Return what takes n friends to themselves and to the means of groups, shape (n + groups, n)."""
    sizes = np.concatenate([np.ones(n, np.intp), np.array([len(group) for group in groups], np.intp)])
    pointer = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32)
    column = np.concatenate([np.arange(n), *groups])
    weight = np.repeat(1 / sizes, sizes).astype(np.float32)
    members = sparse.csr_array((weight, column, pointer), shape=(len(sizes), n))
    members.sort_indices()  # now, for products add up in this order, and some would sort it on the way
    return members
