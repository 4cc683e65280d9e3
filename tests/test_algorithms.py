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
from privwiz.federated.algorithms import Local, fed_avg, fed_sgd, reptile, start
from privwiz.federated.examples import Examples, stack
from privwiz.federated.rounds import RoundPlan
from privwiz.federated.secure import ENGINES, PlainSum
from privwiz.federated.simulation import blocks, train_round
from privwiz.federated.statistics import (
    Candidates,
    GaussianPrior,
    Standardisation,
    empirical_bayes,
    hyperparameter_search,
    standardisation,
)
from privwiz.federated.updates import UPDATES, pack, unpack
from privwiz.posterior import bound_weight, laplace_weight
from privwiz.pretrain import LabelledUser, fit_prior
from privwiz.readers import read_ego_network

TOWN = Path(__file__).parents[1] / "sample_graphs" / "town"
D, ITEMS = 3, 2
START = start(np.array([[0.2, -0.4, 0.1], [0.0, 0.3, -0.2]]))
PRIOR = GaussianPrior(START.weights, np.array([[1.0, 0.3, 0.0], [0.3, 2.0, 0.1], [0.0, 0.1, 0.5]]))
LOCAL = Local(rate=0.3, steps=4, l2=0.1)
BATCHES = Local(rate=0.3, steps=4, batch=3)
ALGORITHMS = {
    "fed_sgd": (fed_sgd(rate=0.5, momentum=0.5, l2=0.1), START),
    "fed_avg": (fed_avg(LOCAL, most=6), START),
    "fed_avg of batches": (fed_avg(BATCHES, most=6), START),
    "reptile": (reptile(LOCAL), START),
    "reptile of batches": (reptile(BATCHES), START),
    "empirical_bayes": (empirical_bayes(), PRIOR),
    "spread alone": (empirical_bayes(moves_mean=False, pseudo_users=3), PRIOR),
    "hyperparameter_search": (hyperparameter_search(), Candidates(np.stack([START.weights, -START.weights]), np.full(2, np.nan))),
    "standardisation": (standardisation(), Standardisation(np.zeros(D), np.ones(D))),
}


@pytest.fixture(params=ALGORITHMS)
def learning(request):
    """Return each algorithm with a state of it."""
    return ALGORITHMS[request.param]


def labels(rng, x, weights):
    """Return labels 1 and -1 drawn by logistic models, shape (n, J)."""
    return np.where(rng.random((len(x), len(weights))) < expit(x @ np.transpose(weights)), 1, -1).astype(np.int8)


def drawn(seed, sizes, silent=0.3):
    """Return devices with so many friends each, labelled by weights of their own; a share of the labels is not said."""
    rng = np.random.default_rng(seed)
    found = []
    for n in sizes:
        x = rng.normal(size=(n, D))
        said = rng.random((n, ITEMS)) >= silent
        found.append(Examples(x, said * labels(rng, x, rng.normal([[1.0, -1.0, 0.0], [0.0, 1.0, 0.5]]))))
    return found


def said_of(examples, item):
    """Return features and boolean labels of the friends about whom something was said of this item."""
    said = examples.stated[:, item] != 0
    return examples.features[said], examples.stated[said, item] > 0


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
            np.testing.assert_allclose(getattr(batched, part.name)[k], getattr(alone, part.name), rtol=1e-7, atol=1e-7)


def test_the_engines_teach_the_same(learning):
    """Through shares, an algorithm learns bit for bit what it learns through the oracle, and nearly what it does in the open."""
    algorithm, state = learning
    devices = dict(enumerate(drawn(1, range(5, 17))))
    length = len(pack(algorithm.nothing(state)))
    plan = RoundPlan(1, frozenset(devices), length, bound=1000.0)
    plain, shares = (train_round(algorithm, state, devices, plan, ENGINES[name]()) for name in ("plain", "shares"))
    in_the_open = learn(algorithm, state, list(devices.values()))
    for part in fields(plain):
        np.testing.assert_array_equal(getattr(shares, part.name), getattr(plain, part.name))
        np.testing.assert_allclose(getattr(plain, part.name), getattr(in_the_open, part.name), atol=1e-6)


def test_a_device_moves_a_round_by_its_clipped_update_only():
    """However wild one device's examples are, it moves the sum by no more than the bound."""
    devices = dict(enumerate(drawn(2, [8] * 12)))
    plan = RoundPlan(1, frozenset(devices), ITEMS * D, bound=0.1)
    wild = devices | {0: Examples(1e6 * devices[0].features, devices[0].stated)}
    ours, theirs = (train_round(fed_sgd(1.0), START, each, plan, PlainSum()).weights for each in (devices, wild))
    assert 0 < np.linalg.norm(ours - theirs) <= 2 * 0.1 / 12 + 1e-6


def test_a_plan_of_another_length_is_refused():
    """A plan must have the length of the algorithm's updates."""
    devices = dict(enumerate(drawn(2, [8] * 12)))
    with pytest.raises(SumRefused, match="shape"):
        train_round(fed_sgd(1.0), START, devices, RoundPlan(1, frozenset(devices), ITEMS * D + 1, bound=1.0), PlainSum())


@pytest.mark.parametrize("name", [name for name in ALGORITHMS if "batches" not in name])
def test_the_order_of_friends_changes_no_update(name):
    """An update does not depend on the order in which a device holds its friends, unless it takes them batch by batch."""
    algorithm, state = ALGORITHMS[name]
    (examples,) = drawn(3, [9])
    order = np.random.default_rng(0).permutation(9)
    mixed = Examples(examples.features[order], examples.stated[order])
    np.testing.assert_allclose(
        pack(algorithm.client_update(state, mixed)), pack(algorithm.client_update(state, examples)), atol=1e-12
    )


@pytest.mark.parametrize("name", ["fed_avg", "empirical_bayes", "standardisation"])
def test_renumbering_circles_changes_no_update(name):
    """Circle 3 of one user is not circle 3 of another: numbers of circles never reach an update."""
    network = read_ego_network(TOWN / "edges.csv", "ada", TOWN / "profiles.csv")
    circle = np.random.default_rng(0).integers(6, size=(3, network.n), dtype=np.int32)
    renumbered = np.array([5, 3, 0, 1, 4, 2], np.int32)[circle]
    stated = np.where(np.arange(network.n) % 3 == 0, 1, -1).astype(np.int8)[:, None]
    algorithm, _ = ALGORITHMS[name]
    d = len(FEATURES)
    states = {
        "fed_avg": start(np.zeros((1, d))),
        "empirical_bayes": GaussianPrior(np.zeros((1, d)), np.eye(d)),
        "standardisation": Standardisation(np.zeros(d), np.ones(d)),
    }
    ours, theirs = (
        pack(algorithm.client_update(states[name], Examples(friend_features(network, circles).values, stated)))
        for circles in (Circles((1.0, 2.0, 8.0), network.friends, one, ()) for one in (circle, renumbered))
    )
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("kind", UPDATES)
def test_what_leaves_a_device_names_nobody(kind):
    """An update has arrays of numbers only, and no field for a friend, an answer or a circle."""
    for part in fields(kind):
        assert part.name in {"change", "weight", "second", "losses", "count", "total", "squares", "gradient", "curvature"}
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
        mean_of_items = search.client_update(Candidates(weights[None], np.zeros(1)), examples).losses[0]
        return ITEMS * mean_of_items + 0.1 / 2 * np.square(weights).sum()

    sent = fed_sgd(1.0, l2=0.1).client_update(START, examples).change
    units = np.eye(ITEMS * D).reshape(-1, ITEMS, D)
    slope = [(loss(START.weights + 1e-6 * e) - loss(START.weights - 1e-6 * e)) / 2e-6 for e in units]
    np.testing.assert_allclose(sent.ravel(), -np.array(slope), atol=1e-8)


def test_one_local_step_is_a_gradient_step():
    """Reptile and FedAvg with one local step of rate r are FedSGD of rate r, where devices have equally many examples."""
    devices = drawn(7, [6] * 12, silent=0)
    expected = learn(fed_sgd(0.3), START, devices).weights
    for algorithm in (reptile(Local(0.3, steps=1)), fed_avg(Local(0.3, steps=1))):
        np.testing.assert_allclose(learn(algorithm, START, devices).weights, expected, atol=1e-12)


def test_gradient_descent_reaches_the_central_optimum():
    """FedSGD, and FedAvg with one step, end where one place with all labels would: at the least mean log-loss."""
    devices = drawn(8, [20] * 12, silent=0)
    x = np.concatenate([one.features for one in devices])
    central = []
    for item in range(ITEMS):
        y = np.concatenate([one.stated[:, item] for one in devices])
        loss = lambda w, y=y: np.logaddexp(0, -y * (x @ w)).mean() + 0.05 * w @ w  # noqa: E731
        central.append(minimize(loss, np.zeros(D), tol=1e-10).x)
    for algorithm in (fed_sgd(1.0, l2=0.1), fed_sgd(0.3, momentum=0.7, l2=0.1), fed_avg(Local(1.0, steps=1, l2=0.1))):
        np.testing.assert_allclose(learn(algorithm, START, devices, rounds=200).weights, central, atol=1e-4)


def test_fed_avg_weighs_by_examples_up_to_a_limit():
    """The mean change is weighed by the number of labels, of which a device may claim no more than the limit."""
    devices = drawn(9, [2, 4, 50], silent=0)
    changes = np.array([reptile(LOCAL).client_update(START, one).change for one in devices])
    expected = START.weights + np.average(changes, axis=0, weights=[2, 4, 6])
    np.testing.assert_allclose(learn(fed_avg(LOCAL, most=6), START, devices).weights, expected, atol=1e-12)


def test_batches_take_every_friend_in_turn():
    """Local steps over batches go through the friends in order and begin again: one pass is a step on each batch."""
    (examples,) = drawn(9, [5], silent=0)
    own = START
    for rows in ([0, 1, 2], [3, 4, 0], [1, 2, 3]):
        part = Examples(examples.features[rows], examples.stated[rows])
        own = start(own.weights + 0.3 * fed_sgd(1.0).client_update(own, part).change)
    walked = reptile(Local(0.3, steps=3, batch=3)).client_update(START, examples).change
    np.testing.assert_allclose(walked, own.weights - START.weights, atol=1e-12)


def test_momentum_goes_on():
    """With momentum m, a second step of the same gradient is 1 + m times the first."""
    algorithm = fed_sgd(rate=0.5, momentum=0.8)
    change = type(algorithm.nothing(START))(np.ones((ITEMS, D)))
    once = algorithm.server_update(START, change, 1)
    twice = algorithm.server_update(once, change, 1)
    np.testing.assert_allclose(once.weights - START.weights, 0.5)
    np.testing.assert_allclose(twice.weights - once.weights, 0.5 * 1.8)


def test_nobody_with_examples_changes_nothing():
    """Devices without examples leave the weights where they are, for every gradient algorithm."""
    nobody = [Examples(np.zeros((0, D)), np.zeros((0, ITEMS), np.int8))] * 10
    for algorithm in (fed_sgd(1.0), fed_avg(BATCHES), reptile(BATCHES)):
        np.testing.assert_array_equal(learn(algorithm, START, nobody).weights, START.weights)


def test_the_mode_is_a_mode():
    """At the weights that empirical Bayes finds, the gradient of log-likelihood plus log-prior is zero."""
    for examples in drawn(10, [1, 9, 40]):
        update = empirical_bayes().client_update(PRIOR, examples)
        for item, (mean, change) in enumerate(zip(PRIOR.mean, update.change, strict=True)):
            x, y = said_of(examples, item)
            gradient = x.T @ (y - expit(x @ (mean + change))) - np.linalg.solve(PRIOR.covariance, change)
            np.testing.assert_allclose(gradient, 0, atol=1e-6)


def test_users_without_examples_confirm_the_prior():
    """Where nobody has examples, the posterior is the prior, and so is the next prior."""
    nobody = [Examples(np.zeros((0, D)), np.zeros((0, ITEMS), np.int8))] * 10
    after = learn(empirical_bayes(), PRIOR, nobody)
    np.testing.assert_allclose(after.mean, PRIOR.mean, atol=1e-12)
    np.testing.assert_allclose(after.covariance, PRIOR.covariance, atol=1e-12)


def test_the_prior_is_the_mixture_of_posteriors():
    """Mean and covariance are those of all users' posteriors: the mean of means, and within plus between."""
    devices = drawn(11, [8] * 15)
    means, spread = np.zeros((15, ITEMS, D)), np.zeros((D, D))
    for k, examples in enumerate(devices):
        for item, mean in enumerate(PRIOR.mean):
            x, y = said_of(examples, item)

            def objective(w, x=x, y=y, mean=mean):
                off = w - mean
                return np.logaddexp(0, np.where(y, -(x @ w), x @ w)).sum() + off @ np.linalg.solve(PRIOR.covariance, off) / 2

            means[k, item] = minimize(objective, mean, tol=1e-12).x
            weight = laplace_weight(x @ means[k, item])
            spread += np.linalg.inv(np.linalg.inv(PRIOR.covariance) + (x.T * weight) @ x) / 15 / ITEMS
    between = sum(np.cov(means[:, item].T, bias=True) for item in range(ITEMS)) / ITEMS
    after = learn(empirical_bayes(), PRIOR, devices)
    np.testing.assert_allclose(after.mean, means.mean(axis=0), atol=1e-4)
    np.testing.assert_allclose(after.covariance, spread + between, atol=1e-4)


def test_the_spread_is_that_of_one_place():
    """Rounds for the covariance alone give what `privwiz.pretrain.fit_prior` makes of all labels in one place."""
    rng = np.random.default_rng(15)
    users = [
        LabelledUser(rng.normal(size=(n, len(FEATURES))), rng.random((ITEMS, n)) < 0.5) for n in rng.integers(5, 20, size=12)
    ]
    central = fit_prior(users, ["phone", "email"])
    devices = [Examples(central.design(user.features), np.where(user.allow.T, 1, -1).astype(np.int8)) for user in users]
    algorithm = empirical_bayes(moves_mean=False, curvature=bound_weight, pseudo_users=20, pseudo_variance=0.05)
    first = GaussianPrior(central.weights, 0.05 * np.eye(len(FEATURES) + 1))
    np.testing.assert_allclose(learn(algorithm, first, devices, rounds=3).covariance, central.covariance, atol=2e-4)


def test_empirical_bayes_finds_the_distribution_of_users():
    """From users whose weights are draws of a known Gaussian, rounds lead to about its mean and spread."""
    rng = np.random.default_rng(12)
    devices = []
    for _ in range(300):
        x = rng.normal(size=(40, D))
        devices.append(Examples(x, labels(rng, x, rng.normal([[1.5, -1.0, 0.0]], [1.0, 0.5, 0.5]))))
    algorithm, state, batch = empirical_bayes(), GaussianPrior(np.zeros((1, D)), np.eye(D)), stack(devices)
    for _ in range(10):
        updates = algorithm.client_updates(state, batch)
        total = type(updates)(*(getattr(updates, part.name).sum(axis=0) for part in fields(updates)))
        state = algorithm.server_update(state, total, len(devices))
    np.testing.assert_allclose(state.mean, [[1.5, -1.0, 0.0]], atol=0.2)
    np.testing.assert_allclose(np.sqrt(np.diag(state.covariance)), [1.0, 0.5, 0.5], atol=0.2)


def test_a_covariance_stays_one_whatever_the_noise():
    """However noisy the sums, the covariance has no eigenvalue below the floor."""
    algorithm = empirical_bayes(floor=0.01)
    noisy = type(algorithm.nothing(PRIOR))(np.full((ITEMS, D), 30.0), np.random.default_rng(0).normal(size=6) * 100)
    values = np.linalg.eigvalsh(algorithm.server_update(PRIOR, noisy, 10).covariance)
    assert values.min() >= 0.01 - 1e-9


def test_the_better_candidate_wins():
    """The candidate near the users' weights has the least loss, which is the mean of the devices' mean losses."""
    devices = drawn(13, [5, 10, 20, 40] * 5)
    truth = np.array([[0.5, -0.5, 0.0], [0.0, 0.5, 0.25]])
    state = Candidates(np.stack([0 * truth, truth, -truth]), np.full(3, np.nan))
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
    devices = [Examples(user.features, np.ones((len(user.features), 1), np.int8)) for user in users]
    after = learn(standardisation(), state, devices)
    np.testing.assert_allclose(after.center, central.center, atol=1e-4)
    np.testing.assert_allclose(after.scale, central.scale, atol=1e-4)


def test_blocks_hold_every_device_once():
    """Blocks keep the devices in their order, and none is larger than what fits, unless one device alone is."""
    devices = {k: Examples(np.zeros((n, 1)), np.zeros((n, 1), np.int8)) for k, n in enumerate([5000, 5000, 5, 20_000, 5, 5])}
    dealt = list(blocks(devices))
    assert [list(block) for block in dealt] == [[0], [1], [2], [3], [4, 5]]
    assert {k: one for block in dealt for k, one in block.items()} == devices


def test_examples_must_fit():
    """Labels fit the features and are known ones, and devices of a batch have equally many features and items."""
    with pytest.raises(DataError, match="labels of shape"):
        Examples(np.zeros((3, 2)), np.zeros((2, 1), np.int8))
    with pytest.raises(DataError, match="neither 1"):
        Examples(np.zeros((1, 2)), np.full((1, 1), 2, np.int8))
    one = Examples(np.zeros((1, 2)), np.zeros((1, 1), np.int8))
    for other in (Examples(np.zeros((1, 3)), np.zeros((1, 1), np.int8)), Examples(np.zeros((1, 2)), np.zeros((1, 2), np.int8))):
        with pytest.raises(DataError, match="side by side"):
            stack([one, other])
