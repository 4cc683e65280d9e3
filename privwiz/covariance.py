"""How alike two friends are: the prior covariance of their latents, from circles, ties, attributes and federated weights."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
from scipy import sparse

from privwiz.circles import Circles
from privwiz.graphs import EgoNetwork
from privwiz.posterior import PROBIT_VARIANCE, LatentModel
from privwiz.prior import KernelScales, Prior

__all__ = [
    "attribute_kernel",
    "circle_kernel",
    "latent_model",
    "neighbourhood_kernel",
    "similarity",
]

Floats = npt.NDArray[np.floating]


def circle_kernel(circles: Circles) -> Floats:
    """Share of the levels at which two friends are in the same circle, shape (n, n), unit diagonal.

    Every level counts once, so friends who part only at the finest level are nearly alike.
    """
    levels, n = circles.labels.shape
    together = np.zeros((n, n), np.float32)
    for level in circles.labels:
        together += level[:, None] == level
    together /= levels
    return together


def neighbourhood_kernel(network: EgoNetwork) -> Floats:
    """Jaccard similarity of closed neighbourhoods, shape (n, n): shared friends over all friends of either, oneself included."""
    own = (network.adjacency > 0).astype(np.float32) + sparse.eye_array(network.n, dtype=np.float32, format="csr")
    common = np.asarray(own @ own.toarray())  # faster than the sparse product, which is hardly sparse
    size = np.diag(common)
    either = size[:, None] + size
    either -= common
    common /= either
    return common


def attribute_kernel(network: EgoNetwork) -> Floats:
    """Cosine of the friends' attribute values, shape (n, n), unit diagonal.

    Each value counts ``log(n / friends who have it) + 0.1``, its inverse document frequency (Spärck Jones, Journal of
    Documentation 28, 1972): a rare value in common says more. Names do not count.
    """
    n = network.n
    names, row, column = network.attributes
    counts = np.array([field != "name" for field, _ in names], bool)[column]
    row, column = row[counts], column[counts]
    frequency = np.bincount(column, minlength=max(1, len(names)))
    weight = np.log(max(1, n) / np.maximum(frequency, 1)) + 0.1
    table = sparse.csr_array((weight[column].astype(np.float32), (row, column)), shape=(n, len(frequency)))
    norm = np.sqrt(np.maximum(np.asarray(table.multiply(table).sum(axis=1)).ravel(), 1e-9))
    scaled = sparse.diags_array(1 / norm.astype(np.float32)) @ table
    kernel = np.asarray(scaled @ scaled.T.tocsr().toarray())
    np.fill_diagonal(kernel, 1)
    return kernel


def similarity(network: EgoNetwork, circles: Circles, scales: KernelScales) -> Floats:
    """Sum of the three friend kernels, weighted as ``scales`` say, shape (n, n)."""
    alike = scales.circles * circle_kernel(circles)
    alike += scales.neighbourhood * neighbourhood_kernel(network)
    alike += scales.attributes * attribute_kernel(network)
    return np.asarray(alike)


def latent_model(
    network: EgoNetwork,
    circles: Circles,
    features: npt.NDArray[np.float64],
    prior: Prior,
    items: Iterable[str],
    groups: Iterable[npt.NDArray[np.intp]],
) -> LatentModel:
    """Compose the prior over all items, friends and groups of friends.

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
        Members, at least one, of each group that is, or may be, asked about; row n + g of the model is group g.

    Returns
    -------
    LatentModel
        With R = n + number of groups rows, in single precision.
    """
    n = network.n
    scales = prior.scales
    design = prior.design(features)
    alike = similarity(network, circles, scales)
    linear = (design @ prior.covariance @ design.T).astype(np.float32)
    linear /= PROBIT_VARIANCE
    members = _membership(n, list(groups))
    mean = scales.mean * (prior.weights_for(tuple(items)) @ design.T)

    def compose(level: float, alike_scale: float, linear_scale: float, independent: float) -> Floats:
        kernel = alike_scale * alike
        kernel += level
        kernel += linear_scale * linear
        kernel[np.diag_indices(n)] += independent
        return _extend(kernel, members)

    return LatentModel(
        mean=np.concatenate([mean, (members @ mean.T).T], axis=1).astype(np.float32),
        shared=compose(scales.shared_level, scales.shared_alike, scales.shared_linear, scales.shared_independent),
        specific=compose(scales.level, scales.alike, scales.linear, scales.independent),
        trust=scales.trust,
    )


def _membership(n: int, groups: list[npt.NDArray[np.intp]]) -> "sparse.csr_array[np.float32]":
    sizes = [len(group) for group in groups]
    pointer = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32)
    column = np.concatenate([np.zeros(0, np.intp), *groups])
    weight = np.repeat([1 / size for size in sizes], sizes).astype(np.float32)
    return sparse.csr_array((weight, column, pointer), shape=(len(groups), n))


def _extend(kernel: Floats, members: "sparse.csr_array[np.float32]") -> Floats:
    cross = members @ kernel
    return np.block([[kernel, cross.T], [cross, (members @ cross.T)]])
