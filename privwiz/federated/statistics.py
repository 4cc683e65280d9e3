"""Federated statistics by the same interface: a Gaussian prior of users' weights, the best candidate, and standardisation.

References
----------
.. [1] C. Bishop (2006). Pattern Recognition and Machine Learning, section 9.3 (expectation maximisation).
.. [2] T. Jaakkola, M. Jordan (2000). Bayesian parameter estimation via variational methods. doi:10.1023/A:1008932416310
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from privwiz.federated.algorithms import Algorithm
from privwiz.federated.examples import ExampleBatch, Examples
from privwiz.federated.updates import CandidateLosses, FeatureMoments, PosteriorMoments
from privwiz.posterior import bound_weight, laplace_weight

__all__ = ["Candidates", "GaussianPrior", "Standardisation", "empirical_bayes", "hyperparameter_search", "standardisation"]

Floats = npt.NDArray[np.float64]

_MOST_STEPS = 200
_TOLERANCE = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class GaussianPrior:
    """How the weights of users are distributed: every user's weights of an item are a draw.

    Parameters
    ----------
    mean : float array of shape (J, d)
    covariance : float array of shape (d, d)
        The same for every item.
    """

    mean: Floats
    covariance: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Models trained with different settings, and how badly each predicts on devices that trained none of them.

    Parameters
    ----------
    weights : float array of shape (k, J, d)
    losses : float array of shape (k,)
        Mean log-loss, each device and each of its items counting once; NaN before the first round.
    """

    weights: Floats
    losses: Floats

    def best(self) -> int:
        """Number of the candidate with the least loss; after a round."""
        return int(np.argmin(self.losses))


@dataclass(frozen=True, slots=True, eq=False)
class Standardisation:
    """Mean and standard deviation of each feature over the friends of all users.

    Parameters
    ----------
    center, scale : float array of shape (d,)
    """

    center: Floats
    scale: Floats


def empirical_bayes(
    *,
    moves_mean: bool = True,
    curvature: Callable[[npt.NDArray[np.floating]], npt.NDArray[np.floating]] = laplace_weight,
    pseudo_users: float = 0.0,
    pseudo_variance: float = 0.05,
    floor: float = 1e-6,
) -> Algorithm[GaussianPrior, PosteriorMoments]:
    """One step of expectation maximisation for a Gaussian prior of the weights of users ([1]_).

    The device finds the mode of its user's weights under the prior and the curvature there. The moments are taken around the
    prior's mean, so that clipping draws towards what is known rather than towards zero. The server's mean and covariance are
    those of the mixture of all posteriors.

    The mode is climbed to by steps that each maximise a quadratic lower bound ([2]_): no step size, no way down.

    Parameters
    ----------
    moves_mean : bool
        False to learn the covariance alone, around a mean that stays.
    curvature : callable
        Latents at the mode to the curvature of each label's minus log-likelihood: `privwiz.posterior.laplace_weight`, or
        `privwiz.posterior.bound_weight`, which is what the wizard takes (and finds users a little too alike).
    pseudo_users : float
        So many invented users, of variance ``pseudo_variance`` in every weight, are mixed into the covariance.
    pseudo_variance : float
    floor : float
        Least eigenvalue of a covariance that noise may have made indefinite.
    """

    def client_update(state: GaussianPrior, examples: Examples) -> PosteriorMoments:
        change, precision = np.zeros_like(state.mean), np.linalg.inv(state.covariance)
        second = np.zeros_like(state.covariance)
        for j, mean in enumerate(state.mean):
            said = examples.stated[:, j] != 0
            x, label, own = examples.features[said], examples.stated[said, j] / 2, change[j]
            offset = x @ mean
            for _ in range(_MOST_STEPS):
                bound = bound_weight(offset + x @ own)
                right = x.T @ (label - bound * offset)
                before, own = own, np.asarray(np.linalg.solve(precision + (x.T * bound) @ x, right), float)
                if np.abs(own - before).max() < _TOLERANCE:
                    break
            change[j] = own
            second += np.outer(own, own) + np.linalg.inv(precision + (x.T * curvature(offset + x @ own)) @ x)
        return PosteriorMoments(change, second[_triangle(state)] / len(change))

    def client_updates(state: GaussianPrior, batch: ExampleBatch) -> PosteriorMoments:
        c, items, d = len(batch.size), *state.mean.shape
        change, second = np.zeros((c, items, d)), np.zeros((c, d, d))
        for j, mean in enumerate(state.mean):
            features, label = _labelled(batch, j)
            said, offset = label != 0, features @ mean
            spread = features @ state.covariance
            kernel = spread @ features.transpose(0, 2, 1)
            dual = _modes(kernel, offset, label, said)
            weight = np.where(said, curvature(offset + (kernel @ dual[:, :, None])[:, :, 0]), 0.0)
            change[:, j] = (dual[:, None, :] @ spread)[:, 0]
            root = np.sqrt(weight)
            inner = root[:, :, None] * kernel * root[:, None, :] + np.eye(kernel.shape[1])
            known = np.linalg.solve(np.linalg.cholesky(inner), root[:, :, None] * spread)
            second += change[:, j, :, None] * change[:, j, None, :] + state.covariance - known.transpose(0, 2, 1) @ known
        rows, columns = _triangle(state)
        return PosteriorMoments(change, second[:, rows, columns] / items)

    def server_update(state: GaussianPrior, total: PosteriorMoments, count: int) -> GaussianPrior:
        shift = total.change / count if moves_mean else np.zeros_like(state.mean)
        upper = np.zeros_like(state.covariance)
        upper[_triangle(state)] = total.second / count
        second = upper + np.triu(upper, 1).T - shift.T @ shift / len(shift)
        users = count * len(shift)
        mixed = (users * second + pseudo_users * pseudo_variance * np.eye(len(second))) / (users + pseudo_users)
        values, vectors = np.linalg.eigh(mixed)
        return GaussianPrior(state.mean + shift, (vectors * np.maximum(values, floor)) @ vectors.T)

    def nothing(state: GaussianPrior) -> PosteriorMoments:
        return PosteriorMoments(np.zeros_like(state.mean), np.zeros(len(_triangle(state)[0])))

    def unmoved(state: GaussianPrior) -> PosteriorMoments:
        return PosteriorMoments(np.zeros_like(state.mean), state.covariance[_triangle(state)])

    return Algorithm(nothing, unmoved, client_update, client_updates, server_update)


def hyperparameter_search() -> Algorithm[Candidates, CandidateLosses]:
    """Compare candidates by their mean log-loss on devices; those that trained a candidate should not be in the cohort."""

    def client_update(state: Candidates, examples: Examples) -> CandidateLosses:
        losses = np.zeros(len(state.weights))
        asked = np.flatnonzero((examples.stated != 0).any(axis=0))
        for k, weights in enumerate(state.weights):
            for j in asked:
                said = np.flatnonzero(examples.stated[:, j])
                for row in said:
                    score = float(examples.stated[row, j] * (examples.features[row] @ weights[j]))
                    losses[k] += np.logaddexp(0, -score) / len(said) / len(asked)
        return CandidateLosses(losses)

    def client_updates(state: Candidates, batch: ExampleBatch) -> CandidateLosses:
        labels = np.count_nonzero(batch.stated, axis=1)
        share = 1 / np.maximum(labels, 1) / np.maximum(np.count_nonzero(labels, axis=1), 1)[:, None]
        losses = []
        for weights in state.weights:
            loss = np.where(batch.stated != 0, np.logaddexp(0, -batch.stated * (batch.features @ weights.T)), 0.0)
            losses.append((loss.sum(axis=1) * share).sum(axis=1))
        return CandidateLosses(np.stack(losses, axis=1))

    def nothing(state: Candidates) -> CandidateLosses:
        return CandidateLosses(np.zeros(len(state.weights)))

    return Algorithm(
        nothing=nothing,
        unmoved=nothing,
        client_update=client_update,
        client_updates=client_updates,
        server_update=lambda state, total, count: Candidates(state.weights, total.losses / count),
    )


def standardisation(least: float = 1e-3) -> Algorithm[Standardisation, FeatureMoments]:
    """Mean and standard deviation of the features from sums, squares and counts; no deviation below ``least``."""

    def client_update(state: Standardisation, examples: Examples) -> FeatureMoments:
        moments = nothing(state)
        for row in examples.features:
            moments = FeatureMoments(moments.count + 1, moments.total + row, moments.squares + row**2)
        return moments

    def client_updates(state: Standardisation, batch: ExampleBatch) -> FeatureMoments:
        del state  # the features are sent as they are; where the batch is filled up, they are zeros
        return FeatureMoments(batch.size.astype(float), batch.features.sum(axis=1), (batch.features**2).sum(axis=1))

    def server_update(state: Standardisation, total: FeatureMoments, count: int) -> Standardisation:
        del state, count  # friends are counted, not devices
        n = max(float(total.count), 1.0)
        center = total.total / n
        return Standardisation(center, np.maximum(np.sqrt(np.maximum(total.squares / n - center**2, 0)), least))

    def nothing(state: Standardisation) -> FeatureMoments:
        return FeatureMoments(np.zeros(()), np.zeros_like(state.center), np.zeros_like(state.center))

    return Algorithm(nothing, nothing, client_update, client_updates, server_update)


def _labelled(batch: ExampleBatch, item: int) -> tuple[Floats, Floats]:
    """Features of the friends about whom something was said of this item, and half the labels; zeros where it is filled up."""
    stated = batch.stated[:, :, item]
    width = int(np.count_nonzero(stated, axis=1).max())
    rows = np.argsort(stated == 0, axis=1, kind="stable")[:, :width]
    label = np.take_along_axis(stated, rows, axis=1) / 2
    return np.where(label[:, :, None] != 0, np.take_along_axis(batch.features, rows[:, :, None], axis=1), 0.0), label


def _modes(kernel: Floats, offset: Floats, label: Floats, said: npt.NDArray[np.bool_]) -> Floats:
    """Dual vectors of the modes of c devices, shape (c, n).

    The steps of `empirical_bayes`, seen from the friends: with ``latent = offset + kernel @ dual``, the dual solves
    ``(I + W K) dual = label - W offset``. Its entries are zero where nothing was said.
    """
    latent, dual = offset, np.zeros_like(offset)
    identity = np.eye(kernel.shape[1])
    for _ in range(_MOST_STEPS):
        weight = np.where(said, bound_weight(latent), 0.0)
        dual = np.asarray(
            np.linalg.solve(identity + weight[:, :, None] * kernel, (label - weight * offset)[:, :, None])[:, :, 0], float
        )
        before, latent = latent, np.asarray(offset + (kernel @ dual[:, :, None])[:, :, 0], float)
        if np.abs(np.where(said, latent - before, 0.0)).max(initial=0.0) < _TOLERANCE:
            break
    return dual


def _triangle(state: GaussianPrior) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    return np.triu_indices(len(state.covariance))
