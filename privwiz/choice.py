"""Which screen next: the one that is expected to leave the fewest cells wrong, for the effort it costs."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import get_blas_funcs
from scipy.special import ndtr, ndtri

from privwiz.answers import CIRCLE_CUTS
from privwiz.errors import DataError
from privwiz.posterior import (
    PROBIT_VARIANCE,
    TOO_LARGE,
    LatentModel,
    Posterior,
    bound_weight,
    posterior_mean,
    prior_covariance,
    prior_variance,
    probability,
    project,
)

__all__ = ["Gains", "Outlook", "error", "likeliest_answer"]

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.intp]

_NODES, _WEIGHTS = (part.astype(np.float32) for part in np.polynomial.legendre.leggauss(5))
_SHARE_PERCEPTION = 0.3
_NOT_ASKED = 1e12
_LEAST_VARIANCE = 1e-4
_EVERY = 2
"""Screens are composed for every second target, at half the cost; what is composed is weighed for all of them."""
_AT_ONCE = 8
"""So many screens are weighed in one go: what is computed of them stays in the processor's cache."""


@dataclass(frozen=True, slots=True, eq=False)
class Gains:
    """What each of S screens is expected to be worth.

    Parameters
    ----------
    gain : float array of shape (S,)
        Expected number of cells that are wrong now and would be right after it, over the whole matrix.
    effort : float array of shape (S,)
        One for the screen, plus the expected number of toggles the user will have to change.
    """

    gain: Floats
    effort: Floats


def error(mean: Floats, variance: Floats) -> Floats:
    """Probability that the likelier of allow and deny is wrong, for latents of this mean and variance.

    >>> error(np.array([0.0, -3.0]), np.array([5.0, 1.0])).round(3)
    array([0.5  , 0.056])
    """
    return np.asarray(ndtr(-np.abs(mean) / np.sqrt(PROBIT_VARIANCE + variance)))


def likeliest_answer(mean: Floats, variance: Floats, spread: Floats, cuts: Sequence[float]) -> Ints:
    """Return which answer about a group is most probable: the number of the stretch between the ``cuts`` its share falls in.

    It is not the stretch of the expected share: as long as all is open that is in the middle, where the share itself seldom is.

    Parameters
    ----------
    mean, variance : float arrays of equal shape
        Of the group's latent.
    spread : float array of the same shape
        Standard deviation of the members' latents around it.
    cuts : sequence of float
        Shares at which the right answer turns, in order.

    >>> likeliest_answer(np.array([-3.0, -0.5, 3.0]), np.array([1.0, 9.0, 9.0]), np.ones(3), (0.15, 0.5, 0.85))
    array([0, 0, 3])
    """
    expected, deviation = _perceived_share(mean, variance, spread)
    edges = np.concatenate([[-np.inf], ndtri(cuts), [np.inf]])
    below = ndtr((edges - expected[..., None]) / deviation[..., None])
    return np.asarray(np.diff(below).argmax(axis=-1))


class Outlook:
    """What could be asked next, and what answers would tell: all that the choice between screens needs, computed once.

    Parameters
    ----------
    model : LatentModel
    posterior : Posterior
        Of the answers so far, under this model.
    cells : collection of (item, row)
        Every toggle that may stand on a screen; at least one.
    noise, spread : float arrays of shape (R,)
        Of each row: variance of an answer as an observation of its latent, and standard deviation of its members' latents
        around it; both zero for a friend, who answers yes or no.
    target_rows, target_items : int arrays of shape (T,)
        The sample of cells of the matrix by which screens are judged; all rows are friends.
    weight : float array of shape (T,)
        How many cells of the matrix each target stands for; zero where the user has already said.
    """

    def __init__(
        self,
        model: LatentModel,
        posterior: Posterior,
        cells: Iterable[tuple[int, int]],
        noise: Floats,
        spread: Floats,
        target_rows: Ints,
        target_items: Ints,
        weight: Floats,
    ) -> None:
        width = model.mean.shape[1]
        self._model, self._weight = model, weight
        self._cells = np.unique([item * width + row for item, row in cells])
        self._items, self._rows = items, rows = np.divmod(self._cells, width)
        known_target = project(model, posterior, target_rows, target_items)
        self._known = project(model, posterior, rows, items)
        means = posterior_mean(model, posterior)
        self._mean, self._target_mean = means[items, rows], means[target_items, target_rows]
        self._variance = np.maximum(prior_variance(model, rows, items) - np.square(self._known).sum(0), _LEAST_VARIANCE)
        self._target_variance = np.maximum(
            prior_variance(model, target_rows, target_items) - np.square(known_target).sum(0), _LEAST_VARIANCE
        )
        self._cross = _cross_covariance(model, rows, items, target_rows, target_items, self._known, known_target)
        self._single = spread[rows] == 0
        yes_no = 1 / bound_weight(np.sqrt(np.square(self._mean) + self._variance))
        self._noise = np.where(self._single, yes_no, noise[rows])
        self._spread = spread[rows]
        self._target_at = np.full(model.mean.shape, -1)
        self._target_at[target_items, target_rows] = np.arange(len(target_rows))

    def gains(self, screens: Sequence[Sequence[tuple[int, int]]]) -> Gains:
        """Expected error reduction of each screen (Roy and McCallum, ICML 2001), over the targets.

        Answering a screen leaves each target a posterior mean that is, as seen from now, Gaussian around today's, with the
        variance that the screen explains (`_error_drop`). The cells of single friends that the screen asks about become certain;
        those of them that are targets of weight zero are so already.

        Parameters
        ----------
        screens : sequence of S sequences of (item, row)
            The toggles of each, all among the cells.
        """
        count = [len(screen) for screen in screens]
        toggle_items, toggle_rows = np.array([cell for screen in screens for cell in screen], np.intp).T
        cell_of = np.searchsorted(self._cells, toggle_items * self._model.mean.shape[1] + toggle_rows)
        owner = np.repeat(np.arange(len(screens)), count)
        place = np.arange(len(owner)) - np.repeat(np.cumsum([0, *count[:-1]]), count)
        index = np.zeros((len(screens), max(count)), np.intp)
        index[owner, place] = cell_of
        answer_noise = np.full(index.shape, _NOT_ASKED, np.float32)
        answer_noise[owner, place] = self._noise[cell_of]

        chance = probability(self._mean, self._variance)
        tap = np.where(self._single, np.minimum(chance, 1 - chance), _tap_of_group(self._mean, self._variance, self._spread))
        settled = np.where(self._single, error(self._mean, self._variance), 0)
        asked = self._target_at[toggle_items, toggle_rows]
        said = np.isin(asked, np.flatnonzero(self._weight == 0))
        gain, effort = np.zeros(len(screens)), np.ones(len(screens))
        np.add.at(gain, owner, np.where(said, 0, settled[cell_of]))
        np.add.at(effort, owner, np.where(said, 0, tap[cell_of]))

        explained = np.minimum(self._explained(index, answer_noise), self._target_variance)
        drop = _error_drop(self._target_mean, self._target_variance, explained) * self._weight
        drop[owner[asked >= 0], asked[asked >= 0]] = 0
        return Gains(gain + drop.sum(1), effort)

    def compose(
        self, cells: Collection[tuple[int, int]], size: int, most_rows: int, members: Mapping[int, frozenset[int]]
    ) -> tuple[tuple[int, int], ...]:
        """Put together a screen of up to ``size`` toggles about up to ``most_rows`` rows: those that tell most, given each other.

        Greedy: the next toggle is the one that explains most of the targets' variance beyond what those before it explain. With
        m and v mean and variance of a target's latent, and ``t = 2.56 + v``, it counts ``weight exp(-m^2 / (2 t)) / t``: most
        where a decision turns. Groups that share anybody are not asked about for the same item: what is said of one could take
        back what is said of the other.

        Parameters
        ----------
        cells : collection of (item, row)
            To choose from, all among the cells of the outlook.
        size, most_rows : int
        members : mapping of int to frozenset of int
            Row of each cell -> the friends it is about.

        Returns
        -------
        tuple of (item, row)
            Ordered by row, then item.
        """
        width = self._model.mean.shape[1]
        left = np.searchsorted(self._cells, sorted(item * width + row for item, row in cells))
        seen = self._target_variance + PROBIT_VARIANCE
        urgency = self._weight * np.exp(-np.square(self._target_mean) / (2 * seen)) / seen
        some = slice(None, None, _EVERY)
        urgency, cross, variance = urgency[some].astype(np.float32), self._cross[left, some], self._variance[left]
        worth = np.square(cross) @ urgency
        loadings, directions = np.zeros((0, len(left)), np.float32), np.zeros((0, len(urgency)), np.float32)
        chosen: list[int] = []
        rest = np.arange(len(left))
        while len(chosen) < size and len(rest):
            total = variance + self._noise[left]
            best = int(rest[np.argmax(worth[rest] / total[rest])])
            one, root = left[best : best + 1], np.float32(np.sqrt(total[best]))
            loading = np.zeros((1, len(left)), np.float32)
            # Sums over the few chosen go without BLAS, which has warned of invalid values here; why, was not found.
            shared = loadings[:, best]
            known = np.einsum("k,kl->l", shared, loadings[:, rest])
            loading[0, rest] = (self._covariance(left[rest], one)[:, 0] - known) / root
            direction = ((cross[best] - np.einsum("k,kt->t", shared, directions)) / root)[None]
            weighted = urgency * direction[0]
            # Of what each explains, this takes away what the chosen one does: the square of a difference, expanded.
            along = cross @ weighted - np.einsum("k,kl->l", np.einsum("kt,t->k", directions, weighted), loadings)
            worth += loading[0] * (loading[0] * np.einsum("t,t->", direction[0], weighted) - 2 * along)
            variance = np.maximum(variance - np.square(loading[0]), _LEAST_VARIANCE)
            loadings, directions = np.concatenate([loadings, loading]), np.concatenate([directions, direction])
            chosen.append(int(one[0]))
            rows, item = np.unique(self._rows[chosen]), self._items[one[0]]
            group = members[int(self._rows[one[0]])]
            apart = [group.isdisjoint(members[row]) for row in self._rows[left[rest]].tolist()]
            keep = np.array(apart) | (self._items[left[rest]] != item)
            if len(rows) >= most_rows:
                keep &= np.isin(self._rows[left[rest]], rows)
            rest = rest[keep]
        return tuple(sorted(((int(self._items[k]), int(self._rows[k])) for k in chosen), key=lambda cell: cell[::-1]))

    def _covariance(self, some: Ints, others: Ints) -> Floats:
        """Posterior covariance of two lists of cells, by their numbers."""
        prior = prior_covariance(self._model, self._rows[some], self._items[some], self._rows[others], self._items[others])
        return np.asarray(prior - self._known[:, some].T @ self._known[:, others])

    def _explained(self, index: Ints, noise: Floats) -> Floats:
        """Variance of each target that each screen explains, shape (S, T): c' (C + noise)^-1 c, factorised in one batch."""
        model, r, j = self._model, self._rows[index], self._items[index]
        inside = (
            model.shared[r[:, :, None], r[:, None, :]]
            + (j[:, :, None] == j[:, None, :]) * model.specific[r[:, :, None], r[:, None, :]]
        )
        scaled = model.mean[j, r]
        inside += model.trust * scaled[:, :, None] * scaled[:, None, :]
        chosen = self._known.T[index]
        inside -= chosen @ chosen.transpose(0, 2, 1)
        diagonal = np.arange(index.shape[1])
        inside[:, diagonal, diagonal] += noise
        try:
            whiten = np.linalg.inv(np.linalg.cholesky(inside)).astype(np.float32)
        except np.linalg.LinAlgError:
            raise DataError(TOO_LARGE) from None
        explained = np.empty((len(index), self._cross.shape[1]), np.float32)
        for first in range(0, len(index), _AT_ONCE):
            some = slice(first, first + _AT_ONCE)
            explained[some] = np.square(whiten[some] @ self._cross[index[some]]).sum(1)
        return explained


def _error_drop(mean: Floats, variance: Floats, explained: Floats) -> Floats:
    """Return by how much the `error` of a latent is expected to fall when this part of its variance is explained.

    The error afterwards is ``Phi(-|y|)`` for a Gaussian y, so its expectation is twice Owen's T, and the fall is

        1 / pi  times the integral of  exp(-mean^2 / (2 total sin^2 t))  over t from 0 to  arcsin sqrt(explained / total)

    with ``total = 2.56 + variance`` (Owen, "Tables for computing certain bivariate normal probabilities", Annals of Mathematical
    Statistics 27, 1956, section 2; where all of ``total`` is explained it is Craig's formula for the normal tail). It is
    integrated by five-point Gauss-Legendre quadrature, and cannot be negative.
    """
    total = PROBIT_VARIANCE + variance
    half = np.arcsin(np.sqrt(np.maximum(explained, 1e-9) / total)) / 2
    exponent = -np.square(mean) / (2 * total)
    drop = np.zeros_like(half)
    for node, node_weight in zip(_NODES, _WEIGHTS, strict=True):
        drop += node_weight * np.exp(exponent / np.square(np.sin((1 + node) * half)))
    return np.asarray(half * drop / np.pi)


def _cross_covariance(
    model: LatentModel,
    rows: Ints,
    items: Ints,
    target_rows: Ints,
    target_items: Ints,
    known: Floats,
    known_target: Floats,
) -> Floats:
    """Posterior covariance of L cells, sorted by item, with T targets, shape (L, T): as `prior_covariance` less what is known.

    Each row is gathered only once, and the products are added up in place.
    """
    distinct, at = np.unique(rows, return_inverse=True)
    shared, specific = (part.take(distinct, 0).take(target_rows, 1) for part in (model.shared, model.specific))
    cross = shared.take(at, 0)
    starts = np.searchsorted(items, np.arange(len(model.mean) + 1))
    for item in np.unique(items):
        mine, same = slice(starts[item], starts[item + 1]), np.flatnonzero(target_items == item)
        cross[mine, same] += specific[at[mine, None], same]
    of_cells = np.concatenate([known, -model.trust * model.mean[None, items, rows]])
    of_targets = np.concatenate([known_target, model.mean[None, target_items, target_rows]])
    if cross.size:
        gemm = get_blas_funcs("gemm", (cross,))
        cross = gemm(-1.0, of_targets, of_cells, 1.0, cross.T, trans_a=True, overwrite_c=True).T
    return np.asarray(cross)


def _tap_of_group(mean: Floats, variance: Floats, spread: Floats) -> Floats:
    """Probability that the share of a group falls outside the stretch that holds its expected value."""
    expected, deviation = _perceived_share(mean, variance, spread)
    edges = np.concatenate([[-np.inf], ndtri(CIRCLE_CUTS), [np.inf]])
    level = np.searchsorted(edges[1:-1], expected)
    inside = ndtr((edges[level + 1] - expected) / deviation) - ndtr((edges[level] - expected) / deviation)
    return np.asarray(1 - inside)


def _perceived_share(mean: Floats, variance: Floats, spread: Floats) -> tuple[Floats, Floats]:
    """Return mean and standard deviation of the share that the user sees a group to have, on the probit scale."""
    scale = np.sqrt(PROBIT_VARIANCE + np.square(spread))
    return np.asarray(mean / scale), np.sqrt(variance / np.square(scale) + _SHARE_PERCEPTION**2)
