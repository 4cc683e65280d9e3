"""A prior from labelled users, in one place: what `Prior.default` comes from, and the readable oracle of federated training.

Run as ``python -m privwiz.pretrain`` to rebuild the default prior, bit for bit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression

from privwiz.circles import Circles, find_circles
from privwiz.community import simulate_community, simulate_users
from privwiz.errors import DataError
from privwiz.features import FEATURES, friend_features
from privwiz.graphs import EgoNetwork
from privwiz.posterior import LatentModel, Observations, condition
from privwiz.prior import KernelScales, Prior
from privwiz.regimes import BUILD_REGIMES
from privwiz.simulate import SimulatedPolicy
from privwiz.tuning import practise, tune

__all__ = ["LabelledUser", "TrainingUser", "default_prior", "fit_prior", "train_prior"]

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


@dataclass(frozen=True, slots=True, eq=False)
class TrainingUser:
    """A user who answers a wizard's screens in training, and labels a few friends drawn by chance.

    Parameters
    ----------
    network : EgoNetwork
    circles : Circles
        Found in this network.
    policy : SimulatedPolicy
        What the user decides.
    labelled : int array of shape (S,)
        Positions of the labelled friends; at least one.
    practises : bool
        Whether this user answers screens too, so that scales and calibration can be chosen; costs a second or more of CPU.
    """

    network: EgoNetwork
    circles: Circles
    policy: SimulatedPolicy
    labelled: npt.NDArray[np.intp]
    practises: bool = True


def train_prior(users: Sequence[TrainingUser], seed: int = 0, provenance: Mapping[str, Any] | None = None) -> Prior:
    """Fit a prior (`fit_prior`), and choose its scales and calibration on users that did not train it (`privwiz.tuning.tune`).

    Two halves of the users, drawn by chance, practise with a prior fitted on the other half (cross-fitting); users of the same
    network stay in the same half. The prior that is returned is fitted on all.

    Parameters
    ----------
    users : sequence of TrainingUser
        Of at least two networks; all with the same items. At least one practises.
    seed : int
    provenance : mapping, optional
        Of the prior; which scales were chosen is added.

    Raises
    ------
    DataError
        If there are fewer than two networks, or nobody practises.
    """
    egos = sorted({user.network.ego for user in users})
    if len(egos) < 2:
        raise DataError(f"training users are of {len(egos)} networks; choosing scales on others than those fitted on takes two")
    labelled = [LabelledUser(_features(user)[user.labelled], user.policy.allow[:, user.labelled]) for user in users]
    items = [item.id for item in users[0].policy.items]
    half = set(np.random.default_rng(seed).permutation(egos)[: len(egos) // 2].tolist())
    practices = []
    for first in (True, False):
        prior = fit_prior([one for one, user in zip(labelled, users, strict=True) if (user.network.ego in half) == first], items)
        practices += [
            practise(user.network, user.circles, user.policy, user.labelled, prior, seed + k)
            for k, user in enumerate(users)
            if user.practises and (user.network.ego in half) != first
        ]
    if not practices:
        raise DataError("no training user practises; scales and calibration are chosen by what practising users decide")
    name, scales, calibration = tune(practices)
    fitted = fit_prior(labelled, items, scales, {**(provenance or {}), "scales": name})
    return replace(fitted, calibration=calibration)


def _features(user: TrainingUser) -> Floats:
    return friend_features(user.network, user.circles).values


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
        trained.append(TrainingUser(network, find_circles(network), policy, told))
    provenance = {
        "data": "simulated people and simulated policies only; no real person's data",
        "algorithm": "hierarchical logistic regression, scales and calibration cross-fitted (privwiz.pretrain.train_prior), "
        "in one place, without privacy noise",
        "command": "python -m privwiz.pretrain",
        "people": people,
        "users": len(trained),
        "labelled_friends": labelled,
        "regimes": list(BUILD_REGIMES),
        "seed": seed,
    }
    return train_prior(trained, seed, provenance)


@click.command()
@click.option("--out", type=click.Path(path_type=Path), default=_SHIPPED, show_default=True)
def _main(out: Path) -> None:
    """Rebuild the default prior."""
    default_prior().save(out)
    click.echo(f"wrote {out}", err=True)


if __name__ == "__main__":
    _main()
