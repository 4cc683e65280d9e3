"""A prior from labelled users, in one place: what `Prior.default` comes from, and the readable oracle of federated training.

Run as ``python -m privwiz.pretrain`` to rebuild the default prior, bit for bit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression

from privwiz.circles import find_circles
from privwiz.community import simulate_community, simulate_users
from privwiz.errors import DataError
from privwiz.features import FEATURES, friend_features
from privwiz.items import CATALOGUE
from privwiz.posterior import LatentModel, Observations, condition
from privwiz.prior import KernelScales, Prior
from privwiz.regimes import BUILD_REGIMES

__all__ = ["LabelledUser", "default_prior", "fit_prior"]

Floats = npt.NDArray[np.float64]

_L2 = 0.05
_ROUNDS = 3
_FIRST_VARIANCE = 0.05
_PSEUDO_USERS = 20
_DECIMALS = 4
_SHIPPED = Path(__file__).parent / "data" / "default_prior.json"


@dataclass(frozen=True, slots=True, eq=False)
class LabelledUser:
    """One user's labelled friends.

    Parameters
    ----------
    features : float array of shape (n, len(FEATURES))
        `privwiz.features.friend_features` of the labelled friends.
    allow : bool array of shape (J, n)
        What the user decided for each item.
    """

    features: Floats
    allow: npt.NDArray[np.bool_]


def fit_prior(
    users: Sequence[LabelledUser],
    items: Sequence[str],
    scales: KernelScales | None = None,
    provenance: Mapping[str, Any] | None = None,
) -> Prior:
    """Fit a hierarchical logistic regression: every user's weights are drawn around common ones.

    The mean weights of an item minimise the log-loss averaged over users (each user counts once, however many friends are
    labelled) plus an L2 penalty. The covariance of the users' weights, common to the items, comes from three rounds of
    expectation maximisation (empirical Bayes; Bishop, "Pattern Recognition and Machine Learning", 2006, section 9.3) with the
    Gaussian posterior of each user's weights that `privwiz.posterior.condition` gives, drawn towards a small multiple of the
    identity by twenty pseudo-users. The numbers are rounded to four decimals.

    Parameters
    ----------
    users : sequence of LabelledUser
        At least one, each with at least one friend.
    items : sequence of str, length J
    scales : KernelScales, optional
        Handed on to the prior, as is ``provenance``.
    provenance : mapping, optional

    Raises
    ------
    DataError
        If there is no user, a user has no friend, or the shapes do not fit the items and features.
    """
    _check(users, len(items))
    pooled = np.concatenate([user.features for user in users])
    center = pooled.mean(axis=0).round(_DECIMALS)
    scale = np.maximum(pooled.std(axis=0), 1e-3).round(_DECIMALS)
    blank = Prior(tuple(FEATURES), center, scale, (), np.zeros((0, len(FEATURES) + 1)), np.zeros((len(FEATURES) + 1,) * 2))
    designs = [blank.design(user.features) for user in users]
    weights = np.array([_mean_weights(designs, [user.allow[j] for user in users]) for j in range(len(items))]).round(_DECIMALS)
    covariance = _weight_covariance(designs, [user.allow for user in users], weights).round(_DECIMALS)
    return Prior(tuple(FEATURES), center, scale, tuple(items), weights, covariance, scales or KernelScales(), provenance or {})


def _check(users: Sequence[LabelledUser], items: int) -> None:
    if not users:
        raise DataError("a prior needs at least one labelled user")
    for k, user in enumerate(users):
        n = len(user.features)
        needed = (n, len(FEATURES)), (items, n)
        if not n or (user.features.shape, user.allow.shape) != needed:
            raise DataError(
                f"user {k}: features have shape {user.features.shape} and labels {user.allow.shape}; "
                f"one friend or more, {len(FEATURES)} features and {items} items are needed"
            )


def _mean_weights(designs: Sequence[Floats], allow: Sequence[npt.NDArray[np.bool_]]) -> Floats:
    target = np.concatenate(allow)
    if target.all() or not target.any():
        constant = np.zeros(designs[0].shape[1])
        constant[-1] = np.log((target.sum() + 1) / ((~target).sum() + 1))
        return constant
    counts_once = np.concatenate([np.full(len(design), 1 / len(design)) for design in designs])
    model = LogisticRegression(C=1 / (_L2 * len(designs)), fit_intercept=False, max_iter=1000, tol=1e-8)
    return np.asarray(model.fit(np.concatenate(designs), target, sample_weight=counts_once).coef_[0])


def _weight_covariance(designs: Sequence[Floats], allow: Sequence[npt.NDArray[np.bool_]], weights: Floats) -> Floats:
    width = weights.shape[1]
    covariance = np.eye(width) * _FIRST_VARIANCE
    for _ in range(_ROUNDS):
        total = np.eye(width) * _FIRST_VARIANCE * _PSEUDO_USERS
        fits = 0
        for design, labels in zip(designs, allow, strict=True):
            spread = design @ covariance
            kernel = spread @ design.T
            n = len(design)
            for mean, label in zip(weights @ design.T, labels, strict=True):
                model = LatentModel(mean[None], np.zeros((n, n)), kernel)
                seen = Observations(np.arange(n), np.zeros(n, np.intp), label.astype(float), np.zeros(n), np.ones(n))
                posterior = condition(model, seen)
                away = spread.T @ posterior.dual
                known = np.linalg.solve(posterior.cholesky, posterior.root[:, None] * spread)
                total += np.outer(away, away) + covariance - known.T @ known
                fits += 1
        covariance = total / (fits + _PSEUDO_USERS)
    return (covariance + covariance.T) / 2


def default_prior(people: int = 2000, users: int = 100, labelled: int = 40, seed: int = 1) -> Prior:
    """Train the prior that comes with the library: on simulated people, with simulated policies, and nothing else.

    The people are those of a simulated town (`privwiz.community.simulate_community`); each of ``users`` of them with at least as
    many friends as are labelled decides in the manner of one regime (`privwiz.regimes.BUILD_REGIMES`), all in turn.
    """
    rng = np.random.default_rng(seed)
    town = simulate_community(people, seed)
    known = [user for user in town.users if len(town.friends(user)) >= labelled]
    trained = []
    for k, user in enumerate(sorted(rng.permutation(known)[:users].tolist())):
        regime = BUILD_REGIMES[k % len(BUILD_REGIMES)]
        network, policy = next(simulate_users(town, [user], regime, seed))
        told = np.sort(rng.permutation(network.n)[:labelled])
        features = friend_features(network, find_circles(network)).values
        trained.append(LabelledUser(features[told], policy.allow[:, told]))
    provenance = {
        "data": "simulated people and simulated policies only; no real person's data",
        "algorithm": "hierarchical logistic regression (privwiz.pretrain.fit_prior), in one place, without privacy noise",
        "command": "python -m privwiz.pretrain",
        "people": people,
        "users": len(trained),
        "labelled_friends": labelled,
        "regimes": list(BUILD_REGIMES),
        "seed": seed,
    }
    return fit_prior(trained, [item.id for item in CATALOGUE], provenance=provenance)


@click.command()
@click.option("--out", type=click.Path(path_type=Path), default=_SHIPPED, show_default=True)
def _main(out: Path) -> None:
    """Rebuild the default prior."""
    default_prior().save(out)
    click.echo(f"wrote {out}", err=True)


if __name__ == "__main__":
    _main()
