"""Federated statistics by the same interface: a Gaussian prior of users' weights, the best candidate, and standardisation.

References
----------
.. [1] C. Bishop (2006). Pattern Recognition and Machine Learning, sections 4.4 (Laplace), 9.3 (expectation maximisation).
.. [2] T. Jaakkola, M. Jordan (2000). Bayesian parameter estimation via variational methods. doi:10.1023/A:1008932416310
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from privwiz.federated.algorithms import Algorithm
from privwiz.federated.examples import ExampleBatch, Examples
from privwiz.federated.updates import CandidateLosses, FeatureMoments, PosteriorMoments
from privwiz.posterior import bound_weight

__all__ = ["Candidates", "GaussianPrior", "Standardisation", "empirical_bayes", "hyperparameter_search", "standardisation"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class GaussianPrior:
    """How the weights of users are distributed: every user's are a draw.

    Parameters
    ----------
    mean : float array of shape (d,)
    covariance : float array of shape (d, d)
    """

    mean: Floats
    covariance: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Models trained with different settings, and how badly each predicts on devices that trained none of them.

    Parameters
    ----------
    weights : float array of shape (k, d)
    losses : float array of shape (k,)
        Mean log-loss, each device counting once; NaN before the first round.
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


def empirical_bayes(iterations: int = 60, floor: float = 1e-6) -> Algorithm[GaussianPrior, PosteriorMoments]:
    """One step of expectation maximisation for a Gaussian prior of the weights of users ([1]_).

    The device finds the mode of its user's weights under the prior and the curvature there (Laplace approximation). The moments
    are taken around the prior's mean, so that clipping draws towards what is known rather than towards zero. The server's mean
    and covariance are those of the mixture of all posteriors; a covariance that noise made indefinite gets eigenvalues of
    at least ``floor``.

    The mode is climbed to by ``iterations`` steps that each maximise a quadratic lower bound ([2]_): no step size, no way down.
    """

    def client_update(state: GaussianPrior, examples: Examples) -> PosteriorMoments:
        x, y, precision = examples.features, examples.allow, np.linalg.inv(state.covariance)
        offset = x @ state.mean
        change: Floats = np.zeros_like(state.mean)
        for _ in range(iterations):
            bound = bound_weight(offset + x @ change)
            change = np.asarray(np.linalg.solve(precision + (x.T * bound) @ x, x.T @ (y - 0.5 - bound * offset)), float)
        p = expit(offset + x @ change)
        covariance = np.linalg.inv(precision + (x.T * (p * (1 - p))) @ x)
        return PosteriorMoments(change, (np.outer(change, change) + covariance)[_triangle(state)])

    def client_updates(state: GaussianPrior, batch: ExampleBatch) -> PosteriorMoments:
        x, precision = batch.features, np.linalg.inv(state.covariance)
        turned = x.transpose(0, 2, 1)
        offset = x @ state.mean
        label = np.where(batch.present, batch.allow - 0.5, 0.0)
        change: Floats = np.zeros((len(x), len(state.mean)))
        for _ in range(iterations):
            bound = np.where(batch.present, bound_weight(offset + _scores(x, change)), 0.0)
            right = turned @ (label - bound * offset)[:, :, None]
            change = np.asarray(np.linalg.solve(precision + (turned * bound[:, None, :]) @ x, right)[:, :, 0], float)
        p = expit(offset + _scores(x, change))
        curvature = np.where(batch.present, p * (1 - p), 0.0)
        covariance = np.linalg.inv(precision + (turned * curvature[:, None, :]) @ x)
        rows, columns = _triangle(state)
        return PosteriorMoments(change, (change[:, :, None] * change[:, None, :] + covariance)[:, rows, columns])

    def server_update(state: GaussianPrior, total: PosteriorMoments, count: int) -> GaussianPrior:
        shift = total.change / count
        upper = np.zeros_like(state.covariance)
        upper[_triangle(state)] = total.second / count
        second = upper + np.triu(upper, 1).T
        values, vectors = np.linalg.eigh(second - np.outer(shift, shift))
        return GaussianPrior(state.mean + shift, (vectors * np.maximum(values, floor)) @ vectors.T)

    def nothing(state: GaussianPrior) -> PosteriorMoments:
        return PosteriorMoments(np.zeros_like(state.mean), np.zeros(len(_triangle(state)[0])))

    return Algorithm(nothing, client_update, client_updates, server_update)


def hyperparameter_search() -> Algorithm[Candidates, CandidateLosses]:
    """Compare candidates by their mean log-loss on devices; those that trained a candidate should not be in the cohort."""

    def client_update(state: Candidates, examples: Examples) -> CandidateLosses:
        losses = np.zeros(len(state.weights))
        for k, weights in enumerate(state.weights):
            for row, allow in zip(examples.features, examples.allow, strict=True):
                losses[k] += np.logaddexp(0, -(row @ weights) if allow else row @ weights)
        return CandidateLosses(losses / max(len(examples.allow), 1))

    def client_updates(state: Candidates, batch: ExampleBatch) -> CandidateLosses:
        scores = batch.features @ state.weights.T
        losses = np.where(batch.present[:, :, None], np.logaddexp(0, np.where(batch.allow[:, :, None], -scores, scores)), 0.0)
        return CandidateLosses(losses.sum(axis=1) / np.maximum(batch.present.sum(axis=1), 1)[:, None])

    return Algorithm(
        nothing=lambda state: CandidateLosses(np.zeros(len(state.weights))),
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
        del state  # the features are sent as they are
        x = np.where(batch.present[:, :, None], batch.features, 0.0)
        return FeatureMoments(batch.present.sum(axis=1).astype(float), x.sum(axis=1), (x**2).sum(axis=1))

    def server_update(state: Standardisation, total: FeatureMoments, count: int) -> Standardisation:
        del state, count  # friends are counted, not devices
        n = max(float(total.count), 1.0)
        center = total.total / n
        return Standardisation(center, np.maximum(np.sqrt(np.maximum(total.squares / n - center**2, 0)), least))

    def nothing(state: Standardisation) -> FeatureMoments:
        return FeatureMoments(np.zeros(()), np.zeros_like(state.center), np.zeros_like(state.center))

    return Algorithm(nothing, client_update, client_updates, server_update)


def _scores(x: Floats, weights: Floats) -> Floats:
    return (x @ weights[:, :, None])[:, :, 0]


def _triangle(state: GaussianPrior) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    return np.triu_indices(len(state.mean))
