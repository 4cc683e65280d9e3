from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.special import expit, log_expit, ndtr

from privwiz.errors import DataError
from privwiz.posterior import (
    PROBIT_VARIANCE,
    LatentModel,
    Observations,
    bound_weight,
    condition,
    contributions,
    posterior_mean,
    predict,
    prior_covariance,
    prior_variance,
    probability,
    project,
    share_shift,
)

seeds = st.integers(0, 10_000)


def psd(rng, size, rank):
    """Return a random positive semi-definite matrix with a variance of about one, and a level that all rows share."""
    factor = rng.normal(size=(size, rank)) / np.sqrt(rank)
    return factor @ factor.T + rng.uniform(0, 2) + 0.01 * np.eye(size)


def random_model(rng, items=3, rows=7):
    """Return a model whose covariances are of the size of real ones."""
    mean = rng.normal(0, 2, (items, rows))
    return LatentModel(mean, psd(rng, rows, 4), 3 * psd(rng, rows, 4), float(rng.choice([0, 0.05, 0.5])))


def random_observations(rng, model, count, yes_no=0.5):
    """Return answers about any cells, some cells more than once; a share ``yes_no`` of them are yes or no."""
    items, rows = model.mean.shape
    binary = rng.random(count) < yes_no
    return Observations(
        rng.integers(rows, size=count),
        rng.integers(items, size=count),
        np.where(binary, rng.integers(2, size=count), rng.normal(0, 3, count)),
        np.where(binary, 0, rng.uniform(0.1, 2, count)),
        np.where(binary, rng.choice([1, 1.5], count), 1),
    )


def observed(rows, items, values, variance=0.0):
    """Return observations of one kind, with slope 1."""
    count = len(rows)
    return Observations(
        np.array(rows, np.intp), np.array(items, np.intp), np.array(values, float), np.full(count, variance), np.ones(count)
    )


def some(observations, index):
    """Return these of the observations, in this order."""
    fields = ("row", "item", "value", "variance", "slope")
    return Observations(*(getattr(observations, field)[index] for field in fields))


def dense(model):
    """The prior of the module's docstring, written out over ALL cells: mean (J R,) and covariance (J R, J R)."""
    items = len(model.mean)
    mean = model.mean.ravel()
    covariance = np.kron(np.ones((items, items)), model.shared) + np.kron(np.eye(items), model.specific)
    return mean, covariance + model.trust * np.outer(mean, mean)


def textbook(model, observations, weight, target):
    """Gaussian posterior of all cells by explicit inverses, given each answer's bound ``target z - weight z^2 / 2``."""
    mean, prior = dense(model)
    pick = np.eye(len(mean))[observations.item * model.mean.shape[1] + observations.row]
    covariance = np.linalg.inv(np.linalg.inv(prior) + pick.T @ np.diag(weight) @ pick)
    return covariance @ (np.linalg.inv(prior) @ mean + pick.T @ target), covariance


def everything(model):
    """Rows and items of all cells, item by item."""
    items, rows = model.mean.shape
    return np.tile(np.arange(rows), items), np.repeat(np.arange(items), rows)


def beliefs(model, observations):
    """Posterior mean and variance of every cell, each of shape (J, R)."""
    return predict(model, condition(model, observations), np.arange(model.mean.shape[1]))


@given(seeds)
def test_prior_covariance_is_the_formula(seed):
    """Covariance and variance of any cells are those of the dense matrix over all cells."""
    rng = np.random.default_rng(seed)
    model = random_model(rng)
    _, covariance = dense(model)
    rows, items = everything(model)
    chosen = rng.integers(len(rows), size=5)
    found = prior_covariance(model, rows, items, rows[chosen], items[chosen])
    np.testing.assert_allclose(found, covariance[:, chosen], atol=1e-12)
    np.testing.assert_allclose(prior_variance(model, rows, items), covariance.diagonal(), atol=1e-12)


@given(seeds, st.integers(0, 12))
@settings(max_examples=40)
def test_gaussian_answers_are_textbook_regression(seed, count):
    """With Gaussian observations alone, mean and covariance are those of exact Gaussian process regression."""
    rng = np.random.default_rng(seed)
    model = random_model(rng)
    observations = random_observations(rng, model, count, yes_no=0)
    posterior = condition(model, observations)
    mean, covariance = textbook(model, observations, 1 / observations.variance, observations.value / observations.variance)
    rows, items = everything(model)
    q = project(model, posterior, rows, items)
    np.testing.assert_allclose(posterior_mean(model, posterior).ravel(), mean, atol=1e-6)
    np.testing.assert_allclose(prior_covariance(model, rows, items, rows, items) - q.T @ q, covariance, atol=1e-6)


@given(seeds, st.integers(0, 12))
@settings(max_examples=40)
def test_predictions_are_the_projection_cell_by_cell(seed, count):
    """The variance computed item by item is the prior variance less the squared projection of each cell, whatever the rows."""
    rng = np.random.default_rng(seed)
    model = random_model(rng)
    posterior = condition(model, random_observations(rng, model, count))
    some = np.unique(rng.integers(model.mean.shape[1], size=4))
    rows, items = np.tile(some, len(model.mean)), np.repeat(np.arange(len(model.mean)), len(some))
    mean, variance = predict(model, posterior, some)
    expected = prior_variance(model, rows, items) - np.square(project(model, posterior, rows, items)).sum(0)
    np.testing.assert_allclose(variance.ravel(), np.maximum(expected, 1e-6), atol=1e-9)
    np.testing.assert_array_equal(mean, posterior_mean(model, posterior, some))
    seen = np.unique(posterior.observations.row)
    for found, whole in zip(predict(model.of(seen), posterior, some), (mean, variance), strict=True):
        np.testing.assert_allclose(found, whole, atol=1e-12)


@given(seeds, st.integers(1, 14))
@settings(max_examples=40)
def test_mixed_answers_are_the_textbook_posterior_of_the_bounds(seed, count):
    """With yes-or-no answers too, mean and variance are those of the dense posterior of the bounds that touch at the mode."""
    rng = np.random.default_rng(seed)
    model = random_model(rng)
    observations = random_observations(rng, model, count)
    mean, variance = beliefs(model, observations)
    latent, binary = mean[observations.item, observations.row], observations.variance == 0
    precision = 1 / np.where(binary, 1, observations.variance)
    weight = np.where(binary, bound_weight(latent, observations.slope), precision)
    target = np.where(binary, observations.slope * (observations.value - 0.5), observations.value * precision)
    expected_mean, expected = textbook(model, observations, weight, target)
    np.testing.assert_allclose(mean.ravel(), expected_mean, atol=2e-3)
    np.testing.assert_allclose(variance.ravel(), expected.diagonal(), atol=2e-3)


@given(seeds, st.integers(1, 30), st.sampled_from([1, 10, 100]))
@example(2374, 30, 100)  # a hundred steps up
@settings(max_examples=60)
def test_the_mean_is_the_mode_of_the_exact_posterior(seed, count, scale):
    """The gradient of the exact log posterior over all cells, scaled by the prior covariance, is below 0.01 at the mean.

    So the mean is the mode, whatever the prior: also where the variance is 300 and half of the answers contradict the rest.
    """
    rng = np.random.default_rng(seed)
    model = random_model(rng)
    model = replace(model, mean=model.mean * np.sqrt(scale), shared=model.shared * scale, specific=model.specific * scale)
    observations = random_observations(rng, model, count)
    latent = posterior_mean(model, condition(model, observations)).ravel()
    mean, covariance = dense(model)
    at = observations.item * model.mean.shape[1] + observations.row
    signed = observations.slope * (2 * observations.value - 1)
    binary = observations.variance == 0
    gaussian_slope = (observations.value - latent[at]) / np.where(binary, 1, observations.variance)
    slope = np.zeros(len(mean))
    np.add.at(slope, at, np.where(binary, signed * expit(-signed * latent[at]), gaussian_slope))
    assert np.abs(mean + covariance @ slope - latent).max() < 1e-2


def test_a_mode_that_newton_alone_overshoots():
    """Far in the flat tail of the likelihood a full Newton step jumps beyond; halved, the steps still reach the mode."""
    for start, variance in [(-40.0, 1000.0), (-12.0, 50.0), (-300.0, 1e5)]:
        model = LatentModel(np.full((1, 1), start), np.zeros((1, 1)), np.full((1, 1), variance))
        latent = posterior_mean(model, condition(model, observed([0], [0], [1])))[0, 0]
        assert latent == pytest.approx(start + variance * expit(-latent), abs=2e-3)


@given(seeds)
def test_no_answers_leave_the_prior(seed):
    """Without answers the posterior is the prior, and nothing contributes to it."""
    model = random_model(np.random.default_rng(seed))
    posterior = condition(model, Observations.none())
    mean, variance = predict(model, posterior, np.arange(7))
    np.testing.assert_array_equal(mean, model.mean)
    np.testing.assert_allclose(variance.ravel(), prior_variance(model, *everything(model)))
    assert contributions(model, posterior, 0, np.arange(7)).shape == (0, 7)
    assert project(model, posterior, *everything(model)).shape == (0, 21)
    assert len(posterior.observations) == 0


@pytest.mark.parametrize("answer", [0, 1])
def test_one_class_only(answer):
    """Five equal answers and no other are legal, and move every alike friend that way."""
    model = LatentModel(np.zeros((1, 6)), np.zeros((6, 6)), np.ones((6, 6)) + np.eye(6))
    mean, variance = beliefs(model, observed(range(5), [0] * 5, [answer] * 5))
    assert (np.sign(mean) == 2 * answer - 1).all()
    assert np.isfinite(variance).all()


def test_contradictory_answers_cancel():
    """As many yes as no about one cell leave its mean where it was, but make it surer."""
    model = LatentModel(np.zeros((1, 2)), np.zeros((2, 2)), np.array([[4.0, 2], [2, 4]]))
    mean, variance = beliefs(model, observed([0] * 10, [0] * 10, [0, 1] * 5))
    np.testing.assert_allclose(mean, 0, atol=1e-9)
    assert (variance[0] < [1, 4]).all()


def test_what_is_no_covariance_is_refused_in_words():
    """Numbers so large that rounding leaves no covariance of the answers are an error that says what to do."""
    spoilt = LatentModel(np.zeros((1, 2)), np.array([[1e9, 1.1e9], [1.1e9, 1e9]]), np.zeros((2, 2)))
    with pytest.raises(DataError, match=r"^the numbers of the prior are too large to compute with"):
        condition(spoilt, observed([0, 1], [0, 0], [1, 0]))


@given(seeds, st.integers(0, 15))
def test_contributions_add_up(seed, count):
    """The contributions of all answers to a cell add up to its posterior mean less its prior mean."""
    rng = np.random.default_rng(seed)
    model = random_model(rng)
    posterior = condition(model, random_observations(rng, model, count))
    friends = rng.permutation(7)[:4]
    for item in range(3):
        moved = (posterior_mean(model, posterior) - model.mean)[item, friends]
        np.testing.assert_allclose(contributions(model, posterior, item, friends).sum(0), moved, atol=1e-9)


@given(seeds, st.integers(1, 15))
def test_answers_never_make_less_sure_than_before_all(seed, count):
    """The variance of no cell is above its prior variance."""
    rng = np.random.default_rng(seed)
    model = random_model(rng)
    _, variance = beliefs(model, random_observations(rng, model, count))
    assert (variance.ravel() <= prior_variance(model, *everything(model)) + 1e-9).all()


@given(seeds, st.integers(1, 10))
def test_one_gaussian_answer_more_never_makes_less_sure(seed, count):
    """With Gaussian observations, one more never adds to the variance of any cell, and lowers that of its own."""
    rng = np.random.default_rng(seed)
    model = random_model(rng)
    observations = random_observations(rng, model, count, yes_no=0)
    _, before = beliefs(model, some(observations, slice(count - 1)))
    _, after = beliefs(model, observations)
    assert (after <= before + 1e-9).all()
    assert after[observations.item[-1], observations.row[-1]] < before[observations.item[-1], observations.row[-1]]


@given(seeds, st.integers(1, 15))
def test_the_order_of_answers_does_not_matter(seed, count):
    """Answers in another order give the same posterior up to rounding."""
    rng = np.random.default_rng(seed)
    model = random_model(rng)
    observations = random_observations(rng, model, count)
    np.testing.assert_allclose(
        beliefs(model, observations), beliefs(model, some(observations, rng.permutation(count))), atol=1e-8
    )


@given(seeds, st.integers(1, 15))
def test_friends_in_another_order_get_the_same(seed, count):
    """To permute the rows of the model permutes the posterior, and changes nothing else."""
    rng = np.random.default_rng(seed)
    model = random_model(rng)
    observations = random_observations(rng, model, count)
    order = rng.permutation(7)
    block = np.ix_(order, order)
    permuted = LatentModel(model.mean[:, order], model.shared[block], model.specific[block], model.trust)
    moved = replace(observations, row=np.argsort(order)[observations.row])
    for before, after in zip(beliefs(model, observations), beliefs(permuted, moved), strict=True):
        np.testing.assert_allclose(before[:, order], after, atol=1e-8)


@given(seeds, st.integers(1, 15))
def test_items_that_share_nothing_are_learnt_apart(seed, count):
    """Without shared covariance and trust, an item's posterior is that of its own answers alone, to the mode's tolerance."""
    rng = np.random.default_rng(seed)
    model = replace(random_model(rng), shared=np.zeros((7, 7)), trust=0.0)
    observations = random_observations(rng, model, count)
    together = beliefs(model, observations)
    for item in range(3):
        alone = beliefs(model, some(observations, observations.item == item))
        for one, other in zip(together, alone, strict=True):
            np.testing.assert_allclose(one[item], other[item], atol=2e-3)


@pytest.mark.parametrize("coupling", [{"shared": np.ones((7, 7))}, {"trust": 0.5}])
def test_items_that_share_something_are_learnt_together(coupling):
    """Negative control: with shared covariance, or with trust, an answer about one item makes surer of another."""
    model = replace(random_model(np.random.default_rng(0)), shared=np.zeros((7, 7)), trust=0.0)
    coupled = replace(model, **coupling)
    before = prior_variance(coupled, *everything(coupled)).reshape(3, 7)
    _, after = beliefs(coupled, observed([0], [0], [1]))
    assert (after[1:] < before[1:] - 1e-6).all()


@given(seeds, st.integers(1, 15))
@settings(max_examples=30)
def test_single_precision_is_enough(seed, count):
    """In single precision, which halves memory, mean and variance differ by less than 0.001 from those in double."""
    rng = np.random.default_rng(seed)
    model = random_model(rng)
    single = LatentModel(*(getattr(model, part).astype(np.float32) for part in ("mean", "shared", "specific")), model.trust)
    observations = random_observations(rng, model, count)
    for exact, rounded in zip(beliefs(model, observations), beliefs(single, observations), strict=True):
        assert rounded.dtype == np.float32
        np.testing.assert_allclose(exact, rounded, atol=1e-3)


@given(seeds, st.floats(0.01, 0.99), st.floats(0, 20))
def test_share_shift_solves_its_equation(seed, share, variance):
    """Shifted by what is returned, the members' mean chance on the probit scale is the share."""
    rng = np.random.default_rng(seed)
    mean = rng.normal(0, rng.uniform(0, 5), rng.integers(1, 30))
    shift = share_shift(share, mean, variance)
    assert ndtr((mean + shift) / np.sqrt(PROBIT_VARIANCE + variance)).mean() == pytest.approx(share, abs=1e-6)


def test_share_shift_of_extreme_members():
    """Members that are extremely apart, or extreme and alike, have a finite shift, too."""
    assert share_shift(0.5, np.array([1e12]), 0.0) == -1e12
    assert abs(share_shift(0.3, np.array([1e9, -1e9]), 0.0)) <= 1e9 + 10


@given(seeds, st.floats(0.02, 0.98), st.floats(0.02, 0.98), st.floats(0, 20))
def test_share_shift_grows_with_the_share(seed, one, other, variance):
    """A larger share is a larger shift."""
    mean = np.random.default_rng(seed).normal(0, 3, 9).astype(np.float32)
    low, high = sorted([one, other])
    assert share_shift(low, mean, variance) <= share_shift(high, mean, variance) + 1e-8


@given(st.floats(-10, 10), st.floats(0, 40))
def test_probability_is_near_the_integral(mean, variance):
    """The closed form is within 0.02 of the mean of sigmoid(z), integrated numerically over z."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(200)
    exact = weights @ expit(mean + np.sqrt(variance) * nodes) / weights.sum()
    assert float(probability(np.array(mean), np.array(variance))) == pytest.approx(exact, abs=0.02)


def test_probability_has_its_limits():
    """A known latent gives its sigmoid, a mean of zero one half whatever the variance, and doubt draws towards one half."""
    mean = np.linspace(-4, 4, 9)
    np.testing.assert_allclose(probability(mean, np.zeros(9)), expit(mean))
    np.testing.assert_allclose(probability(np.zeros(9), np.arange(9.0)), 0.5)
    assert (np.abs(probability(mean, np.full(9, 5.0)) - 0.5) <= np.abs(expit(mean) - 0.5)).all()


@pytest.mark.parametrize("slope", [0.5, 1, 1.5])
def test_bound_weight_at_zero(slope):
    """At zero the curvature of the bound is that of log sigmoid itself: a quarter of the squared slope."""
    assert float(bound_weight(np.array(0.0), slope)) == pytest.approx(slope**2 / 4)


@given(st.floats(-30, 30), st.floats(-30, 30), st.sampled_from([0.5, 1, 1.5]))
def test_the_bound_touches_and_never_exceeds(latent, z, slope):
    """The quadratic with this curvature touches log sigmoid(slope z) at +-latent, and nowhere exceeds it."""
    weight = float(bound_weight(np.array(latent), slope))

    def bound(at):
        return log_expit(slope * latent) + slope * (at - latent) / 2 - weight * (at**2 - latent**2) / 2

    assert bound(z) <= log_expit(slope * z) + 1e-6
    assert bound(-latent) == pytest.approx(log_expit(-slope * latent), abs=1e-6)
