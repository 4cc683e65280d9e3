"""The mathematics of the wizard: what is believed about every cell, given any mixture of answers.

The latent value z[j, i] of item j and friend i says how likely the user allows it: ``P(allow) = sigmoid(z)``. A *row* is a
friend, or a group of friends that can be asked about at once; a group's latent is the mean of its members'. The prior over all
latents is Gaussian,

    E z[j, r] = mean[j, r]
    Cov(z[j, r], z[k, s]) = shared[r, s] + [j = k] specific[r, s] + trust mean[j, r] mean[k, s]

so that one array over rows serves every pair of items, and no matrix over all cells is ever made.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import solve_triangular
from scipy.linalg.lapack import dpotrf, dpotrs  # cho_factor and cho_solve take longer to check than these to compute
from scipy.special import expit, ndtr, ndtri

from privwiz.errors import DataError

__all__ = [
    "LEAST_VARIANCE",
    "PROBIT_VARIANCE",
    "TOO_LARGE",
    "LatentModel",
    "Observations",
    "Posterior",
    "bound_weight",
    "condition",
    "contributions",
    "laplace_weight",
    "posterior_mean",
    "predict",
    "prior_covariance",
    "prior_variance",
    "probability",
    "project",
    "share_shift",
]

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.integer]

PROBIT_VARIANCE = 2.56
"""Variance of the Gaussian that a logistic variable resembles (1.6 squared); turns shares into latents and back."""

LOGISTIC_GAUSSIAN = np.pi / 8
"""MacKay, "The evidence framework applied to classification networks", Neural Computation 4(5), 1992, eq. 10."""

LEAST_VARIANCE = 1e-6
"""No posterior variance is less: rounding could make it negative."""

TOO_LARGE = "the numbers of the prior are too large to compute with; train it again, with smaller steps, or take another"
"""What is wrong where rounding has left a covariance that cannot be one."""

_TOLERANCE = 1e-3
_MOST_STEPS = 500
_ROOT_TAU = float(np.sqrt(2 * np.pi))


@dataclass(frozen=True, slots=True, eq=False)
class LatentModel:
    """The Gaussian prior over the latents of J items and R rows.

    Parameters
    ----------
    mean : float array of shape (J, R)
    shared, specific : float arrays of shape (S, R)
        Covariance that all items have in common, and what each item has for itself, of S rows with every row.
    trust : float
        Variance of the scale of ``mean``: how far this user may follow it more or less than the average user.
    rows : int array of shape (S,), optional
        Which rows these are, ascending; all R unless given. Answers can be about these only.
    own_variance : float array of shape (R,), optional
        What `variance` is to be; needed where ``rows`` are given.
    """

    mean: Floats
    shared: Floats
    specific: Floats
    trust: float = 0.0
    rows: Ints | None = None
    own_variance: Floats | None = None

    @property
    def variance(self) -> Floats:
        """Variance of each row's latent, but for ``trust``, shape (R,)."""
        if self.own_variance is not None:
            return self.own_variance
        return np.asarray(self.shared.diagonal() + self.specific.diagonal())

    def of(self, rows: Ints | None = None) -> "LatentModel":
        """Return the model with the covariances of some of its rows, ascending; of all unless given."""
        if rows is None:
            return self
        return LatentModel(self.mean, self.shared[rows], self.specific[rows], self.trust, rows, self.variance)

    def place(self, rows: Ints) -> Ints:
        """Return where these rows stand in ``shared`` and ``specific``."""
        return rows if self.rows is None else np.searchsorted(self.rows, rows)


@dataclass(frozen=True, slots=True, eq=False)
class Observations:
    """K answers, each about one row and one item.

    Parameters
    ----------
    row, item : int arrays of shape (K,)
    value : float array of shape (K,)
        1 or 0 for a yes or no; the latent value seen for a Gaussian observation.
    variance : float array of shape (K,)
        Zero for a yes or no; the noise variance of a Gaussian observation.
    slope : float array of shape (K,)
        ``P(yes) = sigmoid(slope * z)``: 1 for a friend, more for a majority of many.
    """

    row: Ints
    item: Ints
    value: Floats
    variance: Floats
    slope: Floats

    @classmethod
    def none(cls) -> "Observations":
        """No answer at all."""
        nothing = np.zeros(0)
        return cls(np.zeros(0, np.intp), np.zeros(0, np.intp), nothing, nothing, np.ones(0))

    def __len__(self) -> int:
        return len(self.row)


@dataclass(frozen=True, slots=True, eq=False)
class Posterior:
    """What `condition` learnt; `predict` and `project` read it together with its model.

    With C the prior covariance of the K observed latents and W the precisions (``root`` squared) of the quadratic bounds:
    ``dual`` is the vector a with posterior mean ``m + Cov a``, ``cholesky`` the lower factor of ``I + W^(1/2) C W^(1/2)``.
    """

    observations: Observations
    dual: Floats
    root: Floats
    cholesky: Floats


def prior_covariance(model: LatentModel, rows: Ints, items: Ints, other_rows: Ints, other_items: Ints) -> Floats:
    """Prior covariance of K cells with L cells, shape (K, L)."""
    place = model.place(rows)
    covariance = model.specific.take(place, 0).take(other_rows, 1)
    covariance *= items[:, None] == other_items
    covariance += model.shared.take(place, 0).take(other_rows, 1)
    covariance += (model.trust * model.mean[items, rows])[:, None] * model.mean[other_items, other_rows]
    return np.asarray(covariance)


def prior_variance(model: LatentModel, rows: Ints, items: Ints) -> Floats:
    """Prior variance of K cells, shape (K,)."""
    return np.asarray(model.variance[rows] + model.trust * model.mean[items, rows] ** 2)


def bound_weight(latent: Floats, slope: Floats | float = 1.0) -> Floats:
    """Curvature of the quadratic bound that touches ``log sigmoid(slope z)`` at z = +-``latent``.

    ``slope^2 tanh(u / 2) / (2 u)`` with ``u = slope |latent|``: twice lambda(xi) of Jaakkola and Jordan, "Bayesian parameter
    estimation via variational methods", Statistics and Computing 10, 2000, eq. 6.

    >>> bound_weight(np.array([0.0, 2.0, -2.0])).round(3)
    array([0.25, 0.19, 0.19])
    """
    u = np.maximum(np.abs(slope * latent), 1e-6)
    return np.asarray(np.square(slope) * np.tanh(u / 2) / (2 * u))


def laplace_weight(latent: Floats) -> Floats:
    """Curvature of ``-log sigmoid(z)`` at z = +-``latent``: that of Laplace's approximation (Bishop 2006, section 4.5).

    >>> laplace_weight(np.array([0.0, 2.0, -2.0])).round(3)
    array([0.25 , 0.105, 0.105])
    """
    chance = expit(latent)
    return np.asarray(chance * (1 - chance))


def condition(model: LatentModel, observations: Observations) -> Posterior:
    """Condition the prior on answers; none, or answers of one class only, are legal.

    The posterior becomes the Gaussian around its mode whose curvature is the prior's and that of the quadratic bounds which
    touch the likelihood at the mode (`bound_weight`). Gaussian observations enter exactly. Costs O(K^3), whatever J and R are.

    Parameters
    ----------
    model : LatentModel
    observations : Observations
        In any order; the same cell may come more than once.

    Raises
    ------
    DataError
        If the prior holds such large numbers that rounding spoils its covariance.
    """
    row, item = observations.row, observations.item
    mean = model.mean[item, row].astype(np.float64)
    covariance = prior_covariance(model, row, item, row, item).astype(np.float64)
    covariance = (covariance + covariance.T) / 2
    likelihood = _Likelihood(observations)
    latent = _mode(mean, covariance, likelihood)
    weight = np.where(likelihood.gaussian, likelihood.precision, bound_weight(latent, observations.slope))
    target = likelihood.slope_at(np.zeros(len(row))) - weight * mean
    cholesky, dual = _solve(covariance, weight, target)
    return Posterior(observations, dual, np.sqrt(weight), np.tril(cholesky))


class _Likelihood:
    """Log likelihood of the answers as a function of the K latents they are about: a sum of one concave term each."""

    def __init__(self, observations: Observations) -> None:
        self.gaussian = observations.variance > 0
        self.precision = 1 / np.where(self.gaussian, observations.variance, 1)
        self._value = observations.value
        self._signed = observations.slope * np.where(self.gaussian, 0, 2 * observations.value - 1)

    def at(self, latent: Floats) -> float:
        square = -self.precision * np.square(self._value - latent) / 2
        return float(np.where(self.gaussian, square, -np.logaddexp(0, -self._signed * latent)).sum())

    def slope_at(self, latent: Floats) -> Floats:
        return np.where(self.gaussian, self.precision * (self._value - latent), self._signed * expit(-self._signed * latent))

    def curvature_at(self, latent: Floats) -> Floats:
        chance = expit(self._signed * latent)
        return np.where(self.gaussian, self.precision, np.square(self._signed) * chance * (1 - chance))


def _mode(mean: Floats, covariance: Floats, likelihood: _Likelihood) -> Floats:
    """Latents at the posterior mode, to `_TOLERANCE`.

    Newton's method in the dual (Rasmussen and Williams, "Gaussian Processes for Machine Learning", 2006, algorithm 3.1). The
    log posterior is concave, so a step that overshoots climbs when halved often enough; rounding is forgiven.
    """

    def height(latent: Floats, dual: Floats) -> float:
        return likelihood.at(latent) - float(dual @ (latent - mean)) / 2

    latent, dual = mean, np.zeros(len(mean))
    reached = height(latent, dual)
    for _ in range(_MOST_STEPS):
        slope = likelihood.slope_at(latent)
        if np.abs(covariance @ (slope - dual)).max(initial=0) < _TOLERANCE:
            break
        weight = likelihood.curvature_at(latent)
        toward = _solve(covariance, weight, weight * (latent - mean) + slope)[1] - dual
        forward = covariance @ toward
        least = reached - 1e-9 * (1 + abs(reached))
        step = 1.0
        while (reached := height(latent + step * forward, dual + step * toward)) < least:
            step /= 2
        latent, dual = latent + step * forward, dual + step * toward
    return latent


def _solve(covariance: Floats, weight: Floats, target: Floats) -> tuple[Floats, Floats]:
    """Return the factor of ``I + W^(1/2) C W^(1/2)`` and ``(I + W C)^-1 target``."""
    root = np.sqrt(weight)
    scaled = root[:, None] * covariance * root
    scaled.flat[:: len(scaled) + 1] += 1
    if not len(target):
        return scaled, target
    factor, wrong = dpotrf(scaled, lower=True, clean=False)
    if wrong:
        raise DataError(TOO_LARGE)
    return factor, target - root * dpotrs(factor, root * (covariance @ target), lower=True)[0]


def posterior_mean(model: LatentModel, posterior: Posterior, rows: Ints | None = None) -> Floats:
    """Posterior mean of every item and of some rows, or all: shape (J, len(rows)).

    Only the rows that were observed enter: a model with more rows gives the same, to the last bit.
    """
    seen = posterior.observations
    rows = np.arange(model.mean.shape[1]) if rows is None else rows
    observed, at = np.unique(seen.row, return_inverse=True)
    dual = np.zeros((len(model.mean), len(observed)), model.mean.dtype)
    np.add.at(dual, (seen.item, at), posterior.dual)
    scale = model.trust * float(model.mean[seen.item, seen.row] @ posterior.dual)
    shared, specific = (kernel.take(model.place(observed), 0).take(rows, 1) for kernel in (model.shared, model.specific))
    return np.asarray(model.mean.take(rows, 1) * (1 + scale) + dual.sum(0) @ shared + dual @ specific)


def project(model: LatentModel, posterior: Posterior, rows: Ints, items: Ints) -> Floats:
    """Return Q of shape (K, L), for K observations and L cells: posterior covariance = prior covariance - Q' Q."""
    seen = posterior.observations
    cross = prior_covariance(model, seen.row, seen.item, rows, items)
    factor = posterior.cholesky.astype(cross.dtype)
    root = posterior.root.astype(cross.dtype)
    return np.asarray(solve_triangular(factor, root[:, None] * cross, lower=True, check_finite=False, overwrite_b=True))


def predict(model: LatentModel, posterior: Posterior, rows: Ints) -> tuple[Floats, Floats]:
    """Posterior mean and variance of the latents of some rows, each of shape (J, len(rows)).

    The variance is that of `project`. An observation of item k covaries with item j as its row of ``shared``, plus that of
    ``specific`` if j is k, plus the term of ``trust``; the square of the sum is expanded, and only what ``specific`` adds differs
    between items.
    """
    seen, prior_mean = posterior.observations, model.mean.take(rows, 1)
    variance = model.variance[rows] + model.trust * np.square(prior_mean)
    if len(seen):
        place = model.place(seen.row)
        whiten = solve_triangular(posterior.cholesky, np.diag(posterior.root), lower=True, check_finite=False)
        precision = (whiten.T @ whiten).astype(model.shared.dtype)
        shared, specific = (kernel.take(place, 0).take(rows, 1) for kernel in (model.shared, model.specific))
        trust = model.trust * model.mean[seen.item, seen.row]
        of_shared, of_trust = precision @ shared, precision @ trust
        variance -= np.einsum("ki,ki->i", shared, of_shared)
        variance -= prior_mean * (2 * (trust @ of_shared) + (trust @ of_trust) * prior_mean)
        about = seen.item == np.arange(len(variance))[:, None]
        known = (precision * about[seen.item]) @ specific
        known += 2 * (of_shared + of_trust[:, None] * prior_mean[seen.item])
        known *= specific
        variance -= about.astype(known.dtype) @ known
    return posterior_mean(model, posterior, rows), np.maximum(variance, LEAST_VARIANCE)


def probability(mean: Floats, variance: Floats) -> Floats:
    """Return ``E sigmoid(z)`` for z of this mean and variance, by MacKay's approximation (see `LOGISTIC_GAUSSIAN`).

    >>> probability(np.array([1.0, 1.0]), np.array([0.0, 8.0])).round(2)
    array([0.73, 0.62])
    """
    return np.asarray(expit(mean / np.sqrt(1 + LOGISTIC_GAUSSIAN * variance)))


def contributions(model: LatentModel, posterior: Posterior, item: int, friends: Ints) -> Floats:
    """How much each answer moved the posterior mean of one item's cells, shape (K, len(friends)).

    The sum over answers is ``posterior mean - prior mean``: the representer form of the posterior mean (Rasmussen and Williams,
    "Gaussian Processes for Machine Learning", 2006, section 2.2).
    """
    seen = posterior.observations
    items = np.full(len(friends), item)
    return np.asarray(prior_covariance(model, seen.row, seen.item, friends, items) * posterior.dual[:, None])


def share_shift(share: float, mean: Floats, variance: float) -> float:
    """Return the shift s for which the mean over members of ``Phi((mean + s) / sqrt(2.56 + variance))`` is ``share``.

    This is how an answer about a share of a group ("most of them") becomes a value of the group's latent: its mean plus s.
    Found by Newton's method, by bisection where that would leave the bracket.

    Parameters
    ----------
    share : float
        Strictly between 0 and 1.
    mean : float array of shape (members,)
        Of the members' latents; at least one.
    variance : float
        Of the members' latents around the group's.

    Examples
    --------
    >>> round(share_shift(0.5, np.array([-1.0, 3.0]), 0.0), 3)
    -1.0
    """
    scale = float(np.sqrt(PROBIT_VARIANCE + variance))
    mean = mean.astype(np.float64) / scale
    level = float(ndtri(share))
    low, high = level - float(mean.max()), level - float(mean.min())
    shift = level - float(mean.mean())
    for _ in range(_MOST_STEPS):
        place = mean + shift
        excess = float(ndtr(place).sum()) - share * len(mean)
        low, high = (low, shift) if excess > 0 else (shift, high)
        slope = float(np.exp(-np.square(place) / 2).sum()) / _ROOT_TAU
        step = -excess / slope if slope > 0 else float("inf")
        following = shift + step if low < shift + step < high else (low + high) / 2
        if abs(following - shift) < _TOLERANCE**2:
            break
        shift = following
    return shift * scale
