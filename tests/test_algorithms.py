"""Federated algorithms: what leaves a device, the plain version against the batched one, and the known limits of each."""

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import expit

from privwiz.circles import Circles
from privwiz.errors import DataError, SumRefused
from privwiz.features import FEATURES, friend_features
from privwiz.federated.algorithms import Weights, fed_avg, fed_sgd, reptile, train_round
from privwiz.federated.examples import Examples, stack
from privwiz.federated.rounds import RoundPlan
from privwiz.federated.secure import ENGINES, PlainSum
from privwiz.federated.statistics import (
    Candidates,
    GaussianPrior,
    Standardisation,
    empirical_bayes,
    hyperparameter_search,
    standardisation,
)
from privwiz.federated.updates import UPDATES, pack, unpack
from privwiz.pretrain import LabelledUser, fit_prior
from privwiz.readers import read_ego_network

TOWN = Path(__file__).parents[1] / "sample_graphs" / "town"
D = 3
START = Weights(np.array([0.2, -0.4, 0.1]))
PRIOR = GaussianPrior(START.weights, np.array([[1.0, 0.3, 0.0], [0.3, 2.0, 0.1], [0.0, 0.1, 0.5]]))
ALGORITHMS = {
    "fed_sgd": (fed_sgd(rate=0.5), START),
    "fed_avg": (fed_avg(local_rate=0.3, steps=4, most=6), START),
    "reptile": (reptile(local_rate=0.3, steps=4), START),
    "empirical_bayes": (empirical_bayes(), PRIOR),
    "hyperparameter_search": (hyperparameter_search(), Candidates(np.eye(3)[:2], np.full(2, np.nan))),
    "standardisation": (standardisation(), Standardisation(np.zeros(D), np.ones(D))),
}


@pytest.fixture(params=ALGORITHMS)
def learning(request):
    """Return each algorithm with a state of it."""
    return ALGORITHMS[request.param]


def drawn(seed, sizes):
    """Return devices with so many examples each, labelled by weights of their own."""
    rng = np.random.default_rng(seed)
    features = [rng.normal(size=(n, D)) for n in sizes]
    return [Examples(x, rng.random(len(x)) < expit(x @ rng.normal([1.0, -1.0, 0.0]))) for x in features]


def total_of(algorithm, state, devices):
    """Return the sum of the updates of all devices, in the open."""
    packed = [pack(algorithm.client_update(state, examples)) for examples in devices]
    return unpack(algorithm.nothing(state), np.sum(packed, axis=0))


def learn(algorithm, state, devices, rounds=1):
    """Return the state after some rounds without clipping, encoding or shares."""
    for _ in range(rounds):
        state = algorithm.server_update(state, total_of(algorithm, state, devices), len(devices))
    return state


@settings(max_examples=20)
@given(st.integers(0, 10**6), st.lists(st.integers(0, 9), min_size=1, max_size=6))
@pytest.mark.parametrize("name", ALGORITHMS)
def test_the_batch_equals_the_loop(name, seed, sizes):
    """For every algorithm, a batch of devices gives what each device gives alone, also with few or no examples."""
    algorithm, state = ALGORITHMS[name]
    devices = drawn(seed, sizes)
    batched = algorithm.client_updates(state, stack(devices))
    for k, examples in enumerate(devices):
        alone = algorithm.client_update(state, examples)
        for part in fields(alone):
            np.testing.assert_allclose(getattr(batched, part.name)[k], getattr(alone, part.name), rtol=1e-9, atol=1e-9)


def test_the_engines_teach_the_same(learning):
    """Through shares, an algorithm learns bit for bit what it learns through the oracle, and nearly what it does in the open."""
    algorithm, state = learning
    devices = dict(enumerate(drawn(1, range(5, 17))))
    length = len(pack(algorithm.nothing(state)))
    plan = RoundPlan(1, frozenset(devices), length, bound=1000.0)
    plain, shares = (train_round(algorithm, state, devices, plan, engine()) for engine in ENGINES.values())
    in_the_open = learn(algorithm, state, list(devices.values()))
    for part in fields(plain):
        np.testing.assert_array_equal(getattr(shares, part.name), getattr(plain, part.name))
        np.testing.assert_allclose(getattr(plain, part.name), getattr(in_the_open, part.name), atol=1e-6)


def test_a_device_moves_a_round_by_its_clipped_update_only():
    """However wild one device's examples are, it moves the sum by no more than the bound."""
    devices = dict(enumerate(drawn(2, [8] * 12)))
    plan = RoundPlan(1, frozenset(devices), D, bound=0.1)
    wild = devices | {0: Examples(1e6 * devices[0].features, devices[0].allow)}
    ours, theirs = (train_round(fed_sgd(1.0), START, each, plan, PlainSum()).weights for each in (devices, wild))
    assert 0 < np.linalg.norm(ours - theirs) <= 2 * 0.1 / 12 + 1e-6


def test_a_plan_of_another_length_is_refused():
    """A plan must have the length of the algorithm's updates."""
    devices = dict(enumerate(drawn(2, [8] * 12)))
    with pytest.raises(SumRefused, match="shape"):
        train_round(fed_sgd(1.0), START, devices, RoundPlan(1, frozenset(devices), D + 1, bound=1.0), PlainSum())


def test_the_order_of_friends_changes_no_update(learning):
    """An update does not depend on the order in which a device holds its friends."""
    algorithm, state = learning
    (examples,) = drawn(3, [9])
    order = np.random.default_rng(0).permutation(9)
    mixed = Examples(examples.features[order], examples.allow[order])
    np.testing.assert_allclose(
        pack(algorithm.client_update(state, mixed)), pack(algorithm.client_update(state, examples)), atol=1e-12
    )


@pytest.mark.parametrize("name", ["fed_avg", "empirical_bayes", "standardisation"])
def test_renumbering_circles_changes_no_update(name):
    """Circle 3 of one user is not circle 3 of another: numbers of circles never reach an update."""
    network = read_ego_network(TOWN / "edges.csv", "ada", TOWN / "profiles.csv")
    labels = np.random.default_rng(0).integers(6, size=(3, network.n), dtype=np.int32)
    renumbered = np.array([5, 3, 0, 1, 4, 2], np.int32)[labels]
    allow = np.arange(network.n) % 3 == 0
    algorithm, _ = ALGORITHMS[name]
    d = len(FEATURES)
    states = {
        "fed_avg": Weights(np.zeros(d)),
        "empirical_bayes": GaussianPrior(np.zeros(d), np.eye(d)),
        "standardisation": Standardisation(np.zeros(d), np.ones(d)),
    }
    ours, theirs = (
        pack(algorithm.client_update(states[name], Examples(friend_features(network, circles).values, allow)))
        for circles in (Circles((1.0, 2.0, 8.0), network.friends, one, ()) for one in (labels, renumbered))
    )
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("kind", UPDATES)
def test_what_leaves_a_device_names_nobody(kind):
    """An update has arrays of numbers only, and no field for a friend, an answer or a circle."""
    for part in fields(kind):
        assert part.name in {"change", "weight", "second", "losses", "count", "total", "squares"}
        assert "float64" in str(part.type)


def test_every_update_is_on_the_list(learning):
    """What an algorithm sends is of a listed type, holds floats, and has a size that does not tell the number of friends."""
    algorithm, state = learning
    few, many = (algorithm.client_update(state, examples) for examples in drawn(4, [2, 9]))
    assert type(few) in UPDATES
    assert all(getattr(few, part.name).dtype == np.float64 for part in fields(few))
    assert pack(few).shape == pack(many).shape == pack(algorithm.nothing(state)).shape


def test_unpack_inverts_pack(learning):
    """A packed update unpacks to itself, and a vector of another length is refused."""
    algorithm, state = learning
    (examples,) = drawn(5, [7])
    update = algorithm.client_update(state, examples)
    again = unpack(algorithm.nothing(state), pack(update))
    for part in fields(update):
        np.testing.assert_array_equal(getattr(again, part.name), getattr(update, part.name))
    with pytest.raises(DataError, match="has shape"):
        unpack(algorithm.nothing(state), np.append(pack(update), 0.0))


def test_the_gradient_is_that_of_the_loss():
    """What FedSGD sends is the negative gradient of the mean log-loss, by central differences."""
    (examples,) = drawn(6, [9])
    search = hyperparameter_search()

    def loss(weights):
        return search.client_update(Candidates(weights[None], np.zeros(1)), examples).losses[0]

    sent = fed_sgd(1.0).client_update(START, examples).change
    slope = [(loss(START.weights + 1e-6 * e) - loss(START.weights - 1e-6 * e)) / 2e-6 for e in np.eye(D)]
    np.testing.assert_allclose(sent, -np.array(slope), atol=1e-8)


def test_one_local_step_is_a_gradient_step():
    """Reptile and FedAvg with one local step of rate r are FedSGD of rate r, where devices have equally many examples."""
    devices = drawn(7, [6] * 12)
    expected = learn(fed_sgd(0.3), START, devices).weights
    for algorithm in (reptile(0.3, steps=1), fed_avg(0.3, steps=1)):
        np.testing.assert_allclose(learn(algorithm, START, devices).weights, expected, atol=1e-12)


def test_gradient_descent_reaches_the_central_optimum():
    """FedSGD, and FedAvg with one step, end where one place with all labels would: at the least mean log-loss."""
    devices = drawn(8, [20] * 12)
    x, y = (np.concatenate([getattr(one, name) for one in devices]) for name in ("features", "allow"))
    central = minimize(lambda w: np.logaddexp(0, np.where(y, -(x @ w), x @ w)).mean(), np.zeros(D), tol=1e-10).x
    for algorithm in (fed_sgd(1.0), fed_avg(1.0, steps=1)):
        np.testing.assert_allclose(learn(algorithm, START, devices, rounds=200).weights, central, atol=1e-4)


def test_fed_avg_weighs_by_examples_up_to_a_limit():
    """The mean change is weighed by the number of examples, of which a device may claim no more than the limit."""
    devices = drawn(9, [2, 4, 50])
    changes = np.array([reptile(0.3, 4).client_update(START, one).change for one in devices])
    expected = START.weights + np.average(changes, axis=0, weights=[2, 4, 6])
    np.testing.assert_allclose(learn(fed_avg(0.3, 4, most=6), START, devices).weights, expected, atol=1e-12)


def test_nobody_with_examples_changes_nothing():
    """Devices without examples leave the weights where they are, for every gradient algorithm."""
    nobody = [Examples(np.zeros((0, D)), np.zeros(0, bool))] * 10
    for algorithm in (fed_sgd(1.0), fed_avg(0.3, 4), reptile(0.3, 4)):
        np.testing.assert_array_equal(learn(algorithm, START, nobody).weights, START.weights)


def test_the_mode_is_a_mode():
    """At the weights that empirical Bayes finds, the gradient of log-likelihood plus log-prior is zero."""
    for examples in drawn(10, [1, 9, 40]):
        update = empirical_bayes().client_update(PRIOR, examples)
        x, w = examples.features, PRIOR.mean + update.change
        gradient = x.T @ (examples.allow - expit(x @ w)) - np.linalg.solve(PRIOR.covariance, update.change)
        np.testing.assert_allclose(gradient, 0, atol=1e-6)


def test_users_without_examples_confirm_the_prior():
    """Where nobody has examples, the posterior is the prior, and so is the next prior."""
    nobody = [Examples(np.zeros((0, D)), np.zeros(0, bool))] * 10
    after = learn(empirical_bayes(), PRIOR, nobody)
    np.testing.assert_allclose(after.mean, PRIOR.mean, atol=1e-12)
    np.testing.assert_allclose(after.covariance, PRIOR.covariance, atol=1e-12)


def test_the_prior_is_the_mixture_of_posteriors():
    """Mean and covariance are those of all users' posteriors: the mean of means, and within plus between."""
    devices = drawn(11, [8] * 15)
    means, covariances = [], []
    for examples in devices:
        x = examples.features

        def objective(w, x=x, y=examples.allow):
            off = w - PRIOR.mean
            return np.logaddexp(0, np.where(y, -(x @ w), x @ w)).sum() + off @ np.linalg.solve(PRIOR.covariance, off) / 2

        w = minimize(objective, PRIOR.mean, tol=1e-12).x
        p = expit(x @ w)
        means.append(w)
        covariances.append(np.linalg.inv(np.linalg.inv(PRIOR.covariance) + (x.T * (p * (1 - p))) @ x))
    after = learn(empirical_bayes(), PRIOR, devices)
    np.testing.assert_allclose(after.mean, np.mean(means, axis=0), atol=1e-4)
    np.testing.assert_allclose(after.covariance, np.mean(covariances, axis=0) + np.cov(np.transpose(means), bias=True), atol=1e-4)


def test_empirical_bayes_finds_the_distribution_of_users():
    """From users whose weights are draws of a known Gaussian, rounds lead to about its mean and spread."""
    rng = np.random.default_rng(12)
    devices = []
    for _ in range(400):
        x = rng.normal(size=(30, D))
        devices.append(Examples(x, rng.random(30) < expit(x @ rng.normal([1.5, -1.0, 0.0], [1.0, 0.5, 0.5]))))
    algorithm, state, batch = empirical_bayes(), GaussianPrior(np.zeros(D), np.eye(D)), stack(devices)
    for _ in range(20):
        updates = algorithm.client_updates(state, batch)
        total = type(updates)(*(getattr(updates, part.name).sum(axis=0) for part in fields(updates)))
        state = algorithm.server_update(state, total, len(devices))
    np.testing.assert_allclose(state.mean, [1.5, -1.0, 0.0], atol=0.2)
    np.testing.assert_allclose(np.sqrt(np.diag(state.covariance)), [1.0, 0.5, 0.5], atol=0.2)


def test_a_covariance_stays_one_whatever_the_noise():
    """However noisy the sums, the covariance has no eigenvalue below the floor."""
    algorithm = empirical_bayes(floor=0.01)
    noisy = type(algorithm.nothing(PRIOR))(np.full(D, 30.0), np.random.default_rng(0).normal(size=6) * 100)
    values = np.linalg.eigvalsh(algorithm.server_update(PRIOR, noisy, 10).covariance)
    assert values.min() >= 0.01 - 1e-9


def test_the_better_candidate_wins():
    """The candidate near the users' weights has the least loss, which is the mean of the devices' mean losses."""
    devices = drawn(13, [5, 10, 20, 40] * 5)
    state = Candidates(np.array([[0.0, 0.0, 0.0], [0.5, -0.5, 0.0], [-0.5, 0.5, 0.0]]), np.full(3, np.nan))
    after = learn(hyperparameter_search(), state, devices)
    assert after.best() == 1
    assert after.losses[0] == pytest.approx(np.log(2))


def test_standardisation_is_that_of_one_place():
    """Centre and scale are those that `privwiz.pretrain.fit_prior` takes from all features in one place."""
    rng = np.random.default_rng(14)
    users = [LabelledUser(rng.normal(size=(n, len(FEATURES))), rng.random((1, n)) < 0.5) for n in (4, 9, 20)]
    central = fit_prior(users, ["phone"])
    d = len(FEATURES)
    state = Standardisation(np.zeros(d), np.ones(d))
    after = learn(standardisation(), state, [Examples(user.features, user.allow[0]) for user in users])
    np.testing.assert_allclose(after.center, central.center, atol=1e-4)
    np.testing.assert_allclose(after.scale, central.scale, atol=1e-4)


def test_examples_must_fit():
    """Labels fit the features, and devices of a batch have equally many features."""
    with pytest.raises(DataError, match="labels of shape"):
        Examples(np.zeros((3, 2)), np.zeros(2, bool))
    with pytest.raises(DataError, match="side by side"):
        stack([Examples(np.zeros((1, 2)), np.zeros(1, bool)), Examples(np.zeros((1, 3)), np.zeros(1, bool))])
