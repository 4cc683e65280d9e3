from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from privwiz.circles import find_circles
from privwiz.covariance import attribute_kernel, circle_factor, latent_prior, neighbourhood_kernel
from privwiz.features import friend_features
from privwiz.graphs import build_ego_network
from privwiz.posterior import PROBIT_VARIANCE
from privwiz.prior import KernelScales, Prior


def circle_kernel(circles):
    """Return how alike friends are in circles."""
    factor = circle_factor(circles)
    return (factor @ factor.T).toarray()


KERNELS = {
    "circles": lambda network: circle_kernel(find_circles(network)),
    "neighbourhood": neighbourhood_kernel,
    "attributes": attribute_kernel,
}


@st.composite
def networks(draw, most=9):
    """Small networks with profiles, isolated friends and friends without profiles among them."""
    n = draw(st.integers(0, most))
    friends = [f"f{k}" for k in range(n)]
    pairs = [(one, other) for one in friends for other in friends if one < other]
    ties = [pair for pair in pairs if draw(st.booleans())]
    values = st.lists(st.sampled_from(["x", "y", "z"]), max_size=2)
    fields = st.sampled_from(["school", "employer", "hometown", "name"])
    profiles = {friend: draw(st.dictionaries(fields, values, max_size=3)) for friend in friends}
    return build_ego_network("me", friends, ties, profiles)


def renamed(network, name):
    """Return the same network with other names, and the position of each friend in it."""
    ties = [(name[one], name[network.friends[j]]) for i, one in enumerate(network.friends) for j in network.neighbors(i) if i < j]
    profiles = {name[friend]: dict(network.profiles[friend]) for friend in network.friends}
    other = build_ego_network("me", name.values(), ties, profiles)
    return other, [other.index(name[friend]) for friend in network.friends]


def latents_of(network, groups=(), prior=None, items=("phone", "nonsense")):
    """Return the prior over the latents of a network with its own circles."""
    circles = find_circles(network)
    features = friend_features(network, circles).values
    return latent_prior(network, circles, features, prior or Prior.default(), items, [np.array(group) for group in groups])


def model_of(network, groups=(), prior=None, items=("phone", "nonsense")):
    """Return the whole model of a network with its own circles."""
    return latents_of(network, groups, prior, items).of()


def slow_circles(network):
    """Share of the levels at which two friends are in one circle, as a product of sparse matrices."""
    labels = find_circles(network).labels
    member = [sparse.csr_array((level[:, None] == np.unique(level)).astype(np.float32)) for level in labels]
    return sum((one @ one.T).toarray() for one in member) / len(labels)


def slow_neighbourhood(network):
    """Shared friends over all friends of either, pair by pair."""
    near = [{i, *network.neighbors(i).tolist()} for i in range(network.n)]
    return np.array([[len(a & b) / len(a | b) for b in near] for a in near], np.float32)


def slow_attributes(network):
    """Cosine of attribute values by inverse document frequency, pair by pair."""
    said = [
        {(field, value) for field, values in network.profiles[friend].items() if field != "name" for value in values}
        for friend in network.friends
    ]
    weight = {one: np.log(network.n / sum(one in own for own in said)) + 0.1 for one in set().union(*said)}
    square = [sum(weight[one] ** 2 for one in own) for own in said]
    return np.array(
        [
            [
                1.0 if i == j else sum(weight[one] ** 2 for one in said[i] & said[j]) / np.sqrt(max(square[i] * square[j], 1e-18))
                for j in range(network.n)
            ]
            for i in range(network.n)
        ]
    )


SLOW = {"circles": slow_circles, "neighbourhood": slow_neighbourhood, "attributes": slow_attributes}


@pytest.mark.parametrize("kernel", KERNELS)
@given(network=networks())
@settings(max_examples=40)
def test_a_kernel_is_what_it_says(kernel, network):
    """The fast kernels are those of the slow and plain formulas."""
    if network.n:
        np.testing.assert_allclose(KERNELS[kernel](network), SLOW[kernel](network), atol=1e-6)


@pytest.mark.parametrize("kernel", KERNELS.values(), ids=KERNELS)
@given(networks())
@settings(max_examples=40)
def test_a_kernel_is_a_kernel(kernel, network):
    """A kernel is finite, symmetric, between 0 and 1, one on the diagonal, and positive semi-definite."""
    found = kernel(network)
    assert found.shape == (network.n, network.n)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found, found.T, atol=1e-6)
    np.testing.assert_allclose(found.diagonal(), 1, atol=1e-6)
    assert ((found >= 0) & (found <= 1 + 1e-6)).all()
    assert np.linalg.eigvalsh(found.astype(float)).min(initial=0) > -1e-5


@pytest.mark.parametrize("kernel", [neighbourhood_kernel, attribute_kernel])
@given(networks(), st.data())
@settings(max_examples=40)
def test_names_of_friends_do_not_matter(kernel, network, data):
    """Other names for the friends give the same kernel in other positions."""
    numbers = data.draw(st.permutations(range(network.n)))
    other, at = renamed(network, {friend: f"g{k}" for friend, k in zip(network.friends, numbers, strict=True)})
    np.testing.assert_allclose(kernel(network), kernel(other)[np.ix_(at, at)], atol=1e-6)


@given(networks(), st.data())
@settings(max_examples=30)
def test_names_of_friends_do_not_matter_to_circles(network, data):
    """For given communities, the circle kernel asks only who is together, not what friends or communities are called."""
    found = find_circles(network)
    order = data.draw(st.permutations(range(network.n)))
    labels = found.labels[:, order]
    shift = np.arange(len(labels), dtype=labels.dtype)[:, None]
    other = replace(found, labels=np.where(labels % 2, labels, labels + 2 * network.n + 2 * shift))
    np.testing.assert_allclose(circle_kernel(found)[np.ix_(order, order)], circle_kernel(other))


def test_circles_count_level_by_level():
    """Two friends are as alike in circles as the share of levels at which they are together."""
    cliques = [(f"{club}{i}", f"{club}{j}") for club in "ab" for i in range(5) for j in range(i)]
    network = build_ego_network("me", {friend for tie in cliques for friend in tie}, cliques)
    found = find_circles(network)
    expected = np.mean([labels[:, None] == labels for labels in found.labels], axis=0)
    np.testing.assert_allclose(circle_kernel(found), expected, atol=1e-6)
    assert expected[0, 1] > 0.5
    assert expected[0, 9] == 0


def test_neighbourhoods_are_closed():
    """Two tied friends without others are fully alike; the ends of a path of three share the middle: 1 of 3."""
    pair = neighbourhood_kernel(build_ego_network("me", ["a", "b"], [("a", "b")]))
    np.testing.assert_allclose(pair, 1)
    path = neighbourhood_kernel(build_ego_network("me", ["a", "b", "c"], [("a", "b"), ("b", "c")]))
    np.testing.assert_allclose(path, [[1, 2 / 3, 1 / 3], [2 / 3, 1, 2 / 3], [1 / 3, 2 / 3, 1]], atol=1e-6)


def test_weights_of_ties_do_not_bend_neighbourhoods():
    """Strong and weak ties count alike: who knows whom matters."""
    ties = [("a", "b"), ("b", "c"), ("a", "d")]
    weighted = [(*tie, weight) for tie, weight in zip(ties, [0.1, 7, 3], strict=True)]
    plain, strong = (neighbourhood_kernel(build_ego_network("me", "abcd", some)) for some in (ties, weighted))
    np.testing.assert_array_equal(plain, strong)


def test_a_rare_value_in_common_says_more():
    """Friends who share a rare school are more alike than those who share a frequent one, and a name says nothing."""
    profiles = {
        "a": {"school": "rare", "employer": "1"},
        "b": {"school": "rare", "employer": "2"},
        "c": {"school": "common", "employer": "3"},
        **{friend: {"school": "common", "employer": friend} for friend in "defg"},
        "h": {"name": "Al"},
        "i": {"name": "Al"},
    }
    network = build_ego_network("me", profiles, [], profiles)
    kernel = attribute_kernel(network)
    assert kernel[0, 1] > kernel[2, 3] > 0
    assert kernel[0, 2] == kernel[7, 8] == 0
    rare, own = np.log(9 / 2) + 0.1, np.log(9) + 0.1
    assert kernel[0, 1] == pytest.approx(rare**2 / (rare**2 + own**2), rel=1e-5)


@given(networks(), st.data())
@settings(max_examples=30)
def test_a_group_is_the_mean_of_its_members(network, data):
    """With P the averages over members, the model's covariance over friends and groups is P K P', its mean P m."""
    some = st.lists(st.integers(0, max(0, network.n - 1)), min_size=1, unique=True)
    groups = data.draw(st.lists(some, max_size=4)) if network.n else []
    friends, both = model_of(network), model_of(network, groups)
    p = np.concatenate(
        [np.eye(network.n), *([np.isin(np.arange(network.n), group)] / np.float64(len(group)) for group in groups)]
    )
    np.testing.assert_allclose(both.mean, friends.mean @ p.T, atol=1e-5)
    for part in ("shared", "specific"):
        dense = p @ getattr(friends, part).astype(float) @ p.T
        np.testing.assert_allclose(getattr(both, part), dense, atol=1e-4)
        assert np.linalg.eigvalsh(dense).min(initial=0) > -1e-4
        assert getattr(both, part).dtype == np.float32


@given(networks())
@settings(max_examples=30)
def test_the_model_is_composed_as_the_scales_say(network):
    """Shared and specific covariance: a level, the kernels by their scales, the spread of linear weights, each friend alone."""
    prior = replace(Prior.default(), scales=KernelScales(*range(1, 14)))
    circles = find_circles(network)
    features = friend_features(network, circles).values
    model = latent_prior(network, circles, features, prior, ("phone", "nonsense"), []).of()
    kernels, design = [circle_kernel(circles), neighbourhood_kernel(network), attribute_kernel(network)], prior.design(features)
    scales = prior.scales.circles, prior.scales.neighbourhood, prior.scales.attributes
    alike = sum(scale * kernel for scale, kernel in zip(scales, kernels, strict=True))
    linear = design @ prior.covariance @ design.T / PROBIT_VARIANCE
    alone = np.eye(network.n)
    np.testing.assert_allclose(model.specific, 1 + 2 * alike + 3 * linear + 4 * alone, rtol=1e-4)
    np.testing.assert_allclose(model.shared, 5 + 6 * alike + 7 * linear + 8 * alone, rtol=1e-4)
    np.testing.assert_allclose(model.mean, 12 * prior.weights_for(("phone", "nonsense")) @ design.T, rtol=1e-4, atol=1e-4)
    assert model.trust == 13


@given(networks(), st.data())
@settings(max_examples=30)
def test_some_rows_are_those_of_the_whole(network, data):
    """The model of some rows, of friends or of groups, has the covariances, means and variances of the whole model."""
    some = st.lists(st.integers(0, max(0, network.n - 1)), min_size=1, unique=True)
    groups = data.draw(st.lists(some, max_size=4)) if network.n else []
    latents = latents_of(network, groups)
    whole, count = latents.of(), network.n + len(groups)
    rows = np.array(sorted(data.draw(st.sets(st.integers(0, count - 1)))) if count else [], np.intp)
    for part in (latents.of(rows), whole.of(rows)):
        np.testing.assert_allclose(part.shared, whole.shared[rows], atol=1e-4)
        np.testing.assert_allclose(part.specific, whole.specific[rows], atol=1e-4)
        np.testing.assert_allclose(part.variance, whole.shared.diagonal() + whole.specific.diagonal(), rtol=1e-5)
        np.testing.assert_array_equal(part.mean, whole.mean)
        np.testing.assert_array_equal(part.place(rows), np.arange(len(rows)))
    again = latents_of(network, groups).of(rows)
    np.testing.assert_array_equal(again.shared, latents.of(rows).shared)


@pytest.mark.parametrize("n", [0, 1])
@pytest.mark.parametrize("prior", [Prior.default(), Prior.flat()], ids=["default", "flat"])
def test_nobody_and_one(n, prior):
    """No friend makes an empty model, one friend a model of one row; both are finite."""
    model = model_of(build_ego_network("me", ["a"][:n], []), prior=prior)
    assert model.mean.shape == (2, n)
    assert model.shared.shape == model.specific.shape == (n, n)
    assert all(np.isfinite(part).all() for part in (model.mean, model.shared, model.specific))


def test_the_real_network_has_a_sound_model(ego_facebook):
    """The covariance of a real network's friends and circles is symmetric and positive semi-definite to single precision."""
    from privwiz.snap import read_snap_ego_network

    network = read_snap_ego_network(ego_facebook, "3980")
    circles = find_circles(network)
    groups = [[network.index(friend) for friend in circle.members] for circle in circles]
    model = model_of(network, groups)
    for part in (model.shared, model.specific):
        np.testing.assert_allclose(part, part.T, rtol=1e-5)
        assert np.linalg.eigvalsh(part.astype(float)).min() > -1e-4
