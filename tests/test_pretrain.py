import subprocess
import sys
from importlib.resources import files

import numpy as np
import pytest
from scipy.special import expit

from privwiz.errors import DataError
from privwiz.features import FEATURES
from privwiz.pretrain import LabelledUser, fit_prior
from privwiz.prior import KernelScales

D = len(FEATURES)
PLANTED = {0: 1.5, 7: -1.5, 20: 1.0, D: 0.5}


def planted_users(count, spread=0.0, friends=40, seed=0):
    """Return users who decide one item by a logistic model: planted weights, that of feature 3 drawn anew for each user."""
    rng = np.random.default_rng(seed)
    users = []
    for _ in range(count):
        features = rng.normal(size=(friends, D))
        weights = np.array([PLANTED.get(k, 0.0) for k in range(D + 1)])
        weights[3] += spread * rng.normal()
        chance = expit(features @ weights[:-1] + weights[-1])
        users.append(LabelledUser(features, rng.random((1, friends)) < chance))
    return users


def test_planted_weights_are_recovered():
    """From 150 users of a logistic model the weights are found: shrunk by the penalty, of the right sign, and no others."""
    weights = fit_prior(planted_users(150), ["phone"]).weights[0]
    for k, planted in PLANTED.items():
        assert 0.5 < weights[k] / planted < 1
    assert np.abs(np.delete(weights, list(PLANTED))).max() < 0.12


def test_the_mean_weights_minimise_what_they_should():
    """The gradient of mean log-loss over users plus 0.05 / 2 squared weights is zero, to the four decimals that are kept."""
    users = [*planted_users(10), *planted_users(3, friends=7, seed=1)]
    prior = fit_prior(users, ["phone"])
    gradient = 0.05 * prior.weights[0]
    for user in users:
        design = prior.design(user.features)
        gradient = gradient + (expit(design @ prior.weights[0]) - user.allow[0]) @ design / len(design) / len(users)
    assert np.abs(gradient).max() < 2e-4


def test_every_user_counts_once():
    """A user whose friends are all labelled twice weighs no more than before."""
    one, other = planted_users(2)
    other = LabelledUser(one.features, other.allow)
    twice = LabelledUser(np.tile(one.features, (2, 1)), np.tile(one.allow, 2))
    once, more = (fit_prior([user, other], ["phone"]).weights for user in (one, twice))
    np.testing.assert_allclose(once, more, atol=2e-4)


def test_the_order_of_users_does_not_matter():
    """Users in another order give the same prior, to the last decimal but one."""
    users = planted_users(12)
    prior, other = fit_prior(users, ["phone"]), fit_prior(users[::-1], ["phone"])
    for part in ("center", "scale", "weights", "covariance"):
        np.testing.assert_allclose(getattr(prior, part), getattr(other, part), atol=2e-4)


def test_the_covariance_follows_how_users_differ():
    """The variance of a weight grows with how much users differ in it; of one in which they do not differ, it shrinks."""
    found = [fit_prior(planted_users(80, spread), ["phone"]).covariance for spread in (0, 0.7, 1.5)]
    assert found[0][3, 3] < 0.05 < found[1][3, 3] < found[2][3, 3]
    for covariance in found:
        assert covariance[11, 11] < 0.05
        np.testing.assert_array_equal(covariance, covariance.T)


def test_without_much_evidence_the_covariance_stays():
    """One user says little: every variance stays within a tenth of the 0.05 it began with."""
    covariance = fit_prior(planted_users(1, friends=5), ["phone"]).covariance
    np.testing.assert_allclose(covariance.diagonal(), 0.05, rtol=0.1)


@pytest.mark.parametrize(("allow", "expected"), [(True, np.log(61)), (False, -np.log(61))])
def test_an_item_that_all_allow_or_deny(allow, expected):
    """Of one class only, the constant is the log odds by the rule of succession, and no feature counts."""
    users = [LabelledUser(user.features, np.full((1, 30), allow)) for user in planted_users(2, friends=30)]
    weights = fit_prior(users, ["phone"]).weights[0]
    assert weights[-1] == pytest.approx(expected, abs=1e-4)
    assert not weights[:-1].any()


def test_the_prior_says_what_it_was_given():
    """Items, scales and provenance are handed on; features are standardised as they are, constant ones too."""
    users = planted_users(3)
    for user in users:
        user.features[:, 5] = 7
    prior = fit_prior(users, ["phone"], KernelScales(level=2), {"data": "mine"})
    assert (prior.items, prior.scales.level, prior.provenance) == (("phone",), 2, {"data": "mine"})
    pooled = np.concatenate([user.features for user in users])
    np.testing.assert_allclose(prior.center, pooled.mean(axis=0), atol=5e-5)
    np.testing.assert_allclose(prior.scale, np.maximum(pooled.std(axis=0), 1e-3), atol=5e-5)
    assert prior.scale[5] == 1e-3


@pytest.mark.parametrize(
    ("users", "message"),
    [
        ([], "a prior needs at least one labelled user"),
        (
            [LabelledUser(np.zeros((0, D)), np.zeros((1, 0), bool))],
            f"user 0: features have shape (0, {D}) and labels (1, 0); one friend or more, {D} features and 1 items are needed",
        ),
        (
            [*planted_users(1), LabelledUser(np.zeros((2, D)), np.zeros((2, 2), bool))],
            f"user 1: features have shape (2, {D}) and labels (2, 2); one friend or more, {D} features and 1 items are needed",
        ),
        (
            [LabelledUser(np.zeros((2, 3)), np.zeros((1, 2), bool))],
            f"user 0: features have shape (2, 3) and labels (1, 2); one friend or more, {D} features and 1 items are needed",
        ),
    ],
)
def test_users_that_cannot_be_learnt_from(users, message):
    """Users without friends, or whose features and labels do not fit, are refused by number."""
    with pytest.raises(DataError) as error:
        fit_prior(users, ["phone"])
    assert str(error.value) == message


@pytest.mark.slow
def test_the_shipped_prior_is_rebuilt_bit_for_bit(tmp_path):
    """The command that the shipped prior names rebuilds it, byte for byte."""
    path = tmp_path / "prior.json"
    subprocess.run([sys.executable, "-m", "privwiz.pretrain", "--out", path], check=True, capture_output=True)
    assert path.read_bytes() == files("privwiz").joinpath("data/default_prior.json").read_bytes()
