import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr, ndtri

from privwiz.answers import AUDIENCE_CUTS, CIRCLE_CUTS
from privwiz.choice import Outlook, error, likeliest_answer
from privwiz.posterior import (
    PROBIT_VARIANCE,
    LatentModel,
    Observations,
    bound_weight,
    condition,
    posterior_mean,
    prior_covariance,
    probability,
    project,
)

FRIENDS, GROUPS, ITEMS = 6, 2, 3
ROWS = FRIENDS + GROUPS
DRAWS = 40_000

seeds = st.integers(0, 10_000)


def scene(seed, answers=4):
    """Return a model over six friends and two groups of three, the posterior after some answers, and noise and spread."""
    rng = np.random.default_rng(seed)
    members = np.concatenate([np.eye(FRIENDS), np.kron(np.eye(2), np.full((1, 3), 1 / 3))])

    def kernel(level):
        factor = rng.normal(size=(FRIENDS, 3))
        return members @ (level + factor @ factor.T + 0.2 * np.eye(FRIENDS)) @ members.T

    model = LatentModel(rng.normal(0, 1.5, (ITEMS, FRIENDS)) @ members.T, kernel(0.5), kernel(4), 0.05)
    said = Observations(
        rng.integers(ROWS, size=answers),
        rng.integers(ITEMS, size=answers),
        rng.integers(2, size=answers).astype(float),
        np.zeros(answers),
        np.ones(answers),
    )
    spread = np.where(np.arange(ROWS) < FRIENDS, 0, 1.2)
    noise = np.where(np.arange(ROWS) < FRIENDS, 0, 0.4)
    return model, condition(model, said), noise, spread


def screens_of(rng, count=5):
    """Return screens of one to four distinct toggles."""
    return [
        tuple((int(cell // ROWS), int(cell % ROWS)) for cell in rng.permutation(ITEMS * ROWS)[: rng.integers(1, 5)])
        for _ in range(count)
    ]


def expected_gains(model, posterior, screens, *rest):
    """Return the gains of screens in the outlook on their own toggles."""
    return Outlook(model, posterior, [cell for screen in screens for cell in screen], *rest).gains(screens)


def every_cell(known=()):
    """Return all cells of friends as targets, each of weight one, but zero where the user has said."""
    rows, items = np.tile(np.arange(FRIENDS), ITEMS), np.repeat(np.arange(ITEMS), FRIENDS)
    return rows, items, np.array([float((j, i) not in known) for j, i in zip(items, rows, strict=True)])


def weigh(seed, screens, known=()):
    """Return the gains of these screens over all cells of friends."""
    model, posterior, noise, spread = scene(seed)
    return expected_gains(model, posterior, screens, noise, spread, *every_cell(known))


def dense_posterior(model, posterior):
    """Mean (J R,) and covariance (J R, J R) of all cells, item by item."""
    rows, items = np.tile(np.arange(ROWS), ITEMS), np.repeat(np.arange(ITEMS), ROWS)
    q = project(model, posterior, rows, items)
    return posterior_mean(model, posterior).ravel(), prior_covariance(model, rows, items, rows, items) - q.T @ q


def slow_gain(scene_of, screen, rng):
    """The definition: draw what the screen would tell, and count how much surer the guess of each cell would be."""
    model, posterior, noise, spread = scene_of
    mean, covariance = dense_posterior(model, posterior)
    at = [j * ROWS + i for j, i in screen]
    friend = [spread[i] == 0 for _, i in screen]
    own = [1 / bound_weight(np.sqrt(mean[cell] ** 2 + covariance[cell, cell])) for cell in at]
    told = np.diag([own[k] if friend[k] else noise[screen[k][1]] for k in range(len(screen))])
    inside = covariance[np.ix_(at, at)] + told
    gain = 0.0
    for j in range(ITEMS):
        for i in range(FRIENDS):
            cell = j * ROWS + i
            now = error(mean[cell], covariance[cell, cell])
            if cell in at:
                gain += now
                continue
            cross = covariance[cell, at]
            explained = cross @ np.linalg.inv(inside) @ cross
            drawn = rng.normal(mean[cell], np.sqrt(explained), DRAWS)
            gain += now - error(drawn, covariance[cell, cell] - explained).mean()
    return gain


def slow_effort(scene_of, screen, rng):
    """The definition: one, and for each toggle the chance that the answer is another than the guess."""
    model, posterior, _, spread = scene_of
    mean, covariance = dense_posterior(model, posterior)
    effort = 1.0
    for j, i in screen:
        m, v = mean[j * ROWS + i], covariance[j * ROWS + i, j * ROWS + i]
        if spread[i] == 0:
            chance = probability(m, v)
            effort += min(chance, 1 - chance)
        else:
            scale = np.sqrt(PROBIT_VARIANCE + spread[i] ** 2)
            perceived = rng.normal(m, np.sqrt(v), DRAWS) / scale + rng.normal(0, 0.3, DRAWS)
            guess, answers = (np.searchsorted(ndtri(CIRCLE_CUTS), share) for share in (m / scale, perceived))
            effort += (answers != guess).mean()
    return effort


@given(st.floats(-8, 8), st.floats(0.01, 30), st.floats(0.2, 4), st.sampled_from([CIRCLE_CUTS, AUDIENCE_CUTS]), seeds)
@settings(max_examples=40)
def test_the_likeliest_answer_is_the_one_most_often_given(mean, variance, spread, cuts, seed):
    """The definition: draw the latent and how its share is seen; no answer is given more often, but for chance."""
    rng = np.random.default_rng(seed)
    scale = np.sqrt(PROBIT_VARIANCE + spread**2)
    seen = rng.normal(mean, np.sqrt(variance), DRAWS) / scale + rng.normal(0, 0.3, DRAWS)
    given_so_often = np.bincount(np.searchsorted(ndtri(cuts), seen), minlength=len(cuts) + 1)
    likeliest = likeliest_answer(*np.array([mean, variance, spread]), cuts)
    assert given_so_often[likeliest] >= given_so_often.max() - 0.015 * DRAWS


@pytest.mark.parametrize("seed", range(4))
def test_gain_and_effort_are_what_the_definition_says(seed):
    """Gain and effort are those of a Monte Carlo over each screen's outcomes: within 0.05 cells and 0.03 toggles."""
    rng = np.random.default_rng(seed)
    screens = screens_of(rng)
    found = weigh(seed, screens)
    for gain, effort, screen in zip(found.gain, found.effort, screens, strict=True):
        assert gain == pytest.approx(slow_gain(scene(seed), screen, rng), abs=0.05)
        assert effort == pytest.approx(slow_effort(scene(seed), screen, rng), abs=0.03)


@given(seeds, seeds)
@settings(max_examples=50)
def test_the_bounds_of_gain_and_effort(seed, other):
    """No screen gains less than nothing or more than all expected errors; its effort is between one and one plus its toggles."""
    screens = screens_of(np.random.default_rng(other))
    found = weigh(seed, screens)
    model, posterior, *_ = scene(seed)
    mean, covariance = dense_posterior(model, posterior)
    wrong = error(mean, covariance.diagonal()).reshape(ITEMS, ROWS)[:, :FRIENDS].sum()
    assert ((found.gain >= 0) & (found.gain <= wrong)).all()
    assert ((found.effort >= 1) & (found.effort <= 1 + np.array([len(screen) for screen in screens]))).all()


@given(seeds)
@settings(max_examples=30)
def test_each_screen_is_weighed_for_itself(seed):
    """A screen is worth the same alone, among others and with its toggles in another order."""
    rng = np.random.default_rng(seed)
    screens = screens_of(rng)
    together = weigh(seed, screens)
    for k, screen in enumerate(screens):
        alone = weigh(seed, [tuple(rng.permutation(screen).tolist())])
        assert alone.gain[0] == pytest.approx(together.gain[k], abs=1e-4)
        assert alone.effort[0] == pytest.approx(together.effort[k], abs=1e-6)


@given(seeds)
@settings(max_examples=30)
def test_to_ask_more_tells_more(seed):
    """A screen with one toggle more gains no less, and costs no less."""
    rng = np.random.default_rng(seed)
    screen = max(screens_of(rng), key=len)
    found = weigh(seed, [screen[: k + 1] for k in range(len(screen))])
    assert (np.diff(found.gain) >= -1e-3).all()
    assert (np.diff(found.effort) >= 0).all()


@given(seeds)
@settings(max_examples=30)
def test_what_is_known_gains_nothing(seed):
    """Where the user has said everything, no screen about friends gains anything or needs a change."""
    cells = [(j, i) for j in range(ITEMS) for i in range(FRIENDS)]
    found = weigh(seed, [cells[:1], cells[3:7], cells], known=cells)
    np.testing.assert_array_equal(found.gain, 0)
    np.testing.assert_array_equal(found.effort, 1)


def test_what_nothing_else_depends_on_gains_itself():
    """With independent cells, a screen about one friend gains that cell's error, and one about a group nothing."""
    model = LatentModel(np.full((1, 3), 0.5), np.zeros((3, 3)), np.diag([4.0, 4, 4]))
    spread, noise = np.array([0, 0, 1.0]), np.array([0, 0, 0.4])
    posterior = condition(model, Observations.none())
    targets = np.array([0, 1]), np.array([0, 0]), np.ones(2)
    found = expected_gains(model, posterior, [[(0, 0)], [(0, 2)]], noise, spread, *targets)
    np.testing.assert_allclose(found.gain, [error(np.array(0.5), np.array(4.0)), 0], atol=1e-5)


def test_a_target_counts_for_as_many_cells_as_it_stands_for():
    """Twice the weight of all targets is twice what a screen about a group gains, and nothing else."""
    model, posterior, noise, spread = scene(0)
    rows, items, weight = every_cell()
    screens = [[(0, FRIENDS)], [(1, FRIENDS + 1)]]
    once, twice = (expected_gains(model, posterior, screens, noise, spread, rows, items, factor * weight) for factor in (1, 2))
    np.testing.assert_allclose(twice.gain, 2 * once.gain)
    np.testing.assert_array_equal(twice.effort, once.effort)


def test_an_answer_about_the_most_doubtful_cell_of_all_is_worth_most():
    """Of independent cells that are equally variable, the one nearest to one half is worth the screen."""
    mean = np.array([[-3.0, -1, 0.1, 2, 4]])
    model = LatentModel(mean, np.zeros((5, 5)), np.eye(5))
    targets = np.arange(5), np.zeros(5, np.intp), np.ones(5)
    posterior = condition(model, Observations.none())
    found = expected_gains(model, posterior, [[(0, i)] for i in range(5)], np.zeros(5), np.zeros(5), *targets)
    assert found.gain.argmax() == 2
    assert found.gain.argmin() == 4


@given(st.floats(-50, 50), st.floats(0, 100))
def test_error_is_a_probability_of_the_less_likely(mean, variance):
    """The error is between 0 and one half, even in the mean, less for larger means, and one half at zero."""
    found = error(np.array(mean), np.array(variance))
    assert 0 <= found <= 0.5
    assert found == error(np.array(-mean), np.array(variance))
    assert error(np.array(2 * mean), np.array(variance)) <= found
    assert error(np.array(0.0), np.array(variance)) == 0.5


def test_error_is_the_mean_of_the_less_likely():
    """The error is the mean of Phi(-z / 1.6), for the latents z of a positive mean."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(100)
    exact = weights @ ndtr(-(2 + np.sqrt(3) * nodes) / np.sqrt(PROBIT_VARIANCE)) / weights.sum()
    assert float(error(np.array(2.0), np.array(3.0))) == pytest.approx(exact, abs=1e-6)


# Screens put together


MEMBERS = {i: frozenset({i}) for i in range(FRIENDS)} | {FRIENDS: frozenset({0, 1, 2}), FRIENDS + 1: frozenset({3, 4, 5})}
OVERLAPPING = MEMBERS | {FRIENDS + 1: frozenset({2, 3, 4})}
GROUP_CELLS = [(j, i) for j in range(ITEMS) for i in range(FRIENDS, ROWS)]


def outlook_of(seed, cells, targets=None):
    """Return the outlook on these cells over all cells of friends, or other targets."""
    model, posterior, noise, spread = scene(seed)
    return Outlook(model, posterior, cells, noise, spread, *(targets or every_cell()))


def told(seed, screen, targets):
    """Return the targets' variance that this screen explains, each target weighed by its density at indifference."""
    model, posterior, noise, spread = scene(seed)
    mean, covariance = dense_posterior(model, posterior)
    at = [j * ROWS + i for j, i in screen]
    at_targets = np.array([j * ROWS + i for i, j in zip(*targets[:2], strict=True)])
    own = [noise[k % ROWS] if spread[k % ROWS] else 1 / bound_weight(np.sqrt(mean[k] ** 2 + covariance[k, k])) for k in at]
    cross = covariance[np.ix_(at, at_targets)]
    explained = (cross * np.linalg.solve(covariance[np.ix_(at, at)] + np.diag(own), cross)).sum(0)
    seen = covariance[at_targets, at_targets] + PROBIT_VARIANCE
    return float(explained @ (targets[2] * np.exp(-(mean[at_targets] ** 2) / (2 * seen)) / seen))


def clash(cell, chosen, members):
    """Whether a chosen toggle is about the same item and somebody in common."""
    return any(j == cell[0] and members[i] & members[cell[1]] for j, i in chosen)


def slow_compose(seed, cells, size, most_rows, targets, members):
    """Return what `compose` has to, by the definition: with all covariances conditioned anew after each toggle that was taken."""
    chosen = []
    for _ in range(size):
        rows = {i for _, i in chosen}
        allowed = [cell for cell in sorted(cells) if cell[1] in rows or len(rows) < most_rows]
        left = [cell for cell in allowed if not clash(cell, chosen, members)]
        if not left:
            break
        chosen.append(max(left, key=lambda cell: told(seed, [*chosen, cell], targets)))
    return tuple(sorted(chosen, key=lambda cell: cell[::-1]))


sizes, row_limits, members = st.integers(1, 8), st.integers(1, 4), st.sampled_from([MEMBERS, OVERLAPPING])


@given(seeds, st.sets(st.tuples(st.integers(0, ITEMS - 1), st.integers(0, ROWS - 1)), min_size=1), sizes, row_limits, members)
@settings(max_examples=60)
def test_what_a_composed_screen_may_hold(seed, cells, size, most_rows, members):
    """It has toggles that were given, at most so many, about at most so many rows, ordered by row, then item.

    No two are about the same item and somebody in common; and there are fewer only where none is left.
    """
    screen = outlook_of(seed, cells).compose(cells, size, most_rows, members)
    assert set(screen) <= cells
    assert 1 <= len(screen) == len(set(screen)) <= size
    assert len({row for _, row in screen}) <= most_rows
    assert list(screen) == sorted(screen, key=lambda cell: cell[::-1])
    rows = {row for _, row in screen}
    assert not any(clash(cell, set(screen) - {cell}, members) for cell in screen)
    left = {cell for cell in cells - set(screen) if len(rows) < most_rows or cell[1] in rows}
    assert len(screen) == size or all(clash(cell, screen, members) for cell in left)


@given(seeds, sizes, row_limits, st.randoms(use_true_random=False))
@settings(max_examples=30)
def test_a_composed_screen_follows_from_its_cells(seed, size, most_rows, random):
    """The same cells, in any order, and others in the outlook that may not be taken, make the same screen."""
    shuffled = random.sample(GROUP_CELLS, len(GROUP_CELLS))
    first = outlook_of(seed, GROUP_CELLS).compose(GROUP_CELLS, size, most_rows, MEMBERS)
    assert outlook_of(seed, shuffled).compose(shuffled, size, most_rows, MEMBERS) == first
    others = [*GROUP_CELLS, *((j, i) for j in range(ITEMS) for i in range(FRIENDS))]
    assert outlook_of(seed, others).compose(GROUP_CELLS, size, most_rows, MEMBERS) == first


@given(seeds, sizes, row_limits, st.booleans(), members)
@settings(max_examples=40)
def test_a_composed_screen_is_the_greedy_one(seed, size, most_rows, friends, members):
    """It is what a slow greedy choice takes that conditions everything anew at each step, where no two toggles are as good.

    Every second target counts, so each is given twice in a row.
    """
    cells = [(j, i) for j in range(ITEMS) for i in range(0 if friends else FRIENDS, ROWS)]
    targets = every_cell()
    twice = tuple(np.repeat(part, 2) for part in targets)
    screen = outlook_of(seed, cells, twice).compose(cells, size, most_rows, members)
    assert screen == slow_compose(seed, cells, size, most_rows, targets, members)


@given(seeds, st.integers(2, 6))
@settings(max_examples=30)
def test_a_composed_screen_tells_more_than_its_parts(seed, size):
    """It explains at least as much as any of its toggles alone, and gains at least as much."""
    outlook = outlook_of(seed, GROUP_CELLS)
    screen = outlook.compose(GROUP_CELLS, size, 2, MEMBERS)
    gains = outlook.gains([screen, *([cell] for cell in screen)])
    assert (gains.gain[0] >= gains.gain[1:] - 1e-3).all()
    assert all(told(seed, screen, every_cell()) >= told(seed, [cell], every_cell()) - 1e-9 for cell in screen)


def test_the_first_toggle_of_a_composed_screen_tells_most():
    """A screen of one toggle is about the group whose members are least certain, not one of which nearly all is known."""
    mean = np.array([[0.0, 0, 6, 6, 0, 6]])
    kernel = np.zeros((6, 6))
    for members, group in (((0, 1), 4), ((2, 3), 5)):
        rows = [*members, group]
        kernel[np.ix_(rows, rows)] = 2.0
    model = LatentModel(mean, np.zeros((6, 6)), kernel + np.diag([0.5] * 4 + [0.25] * 2))
    targets = np.repeat(np.arange(4), 2), np.zeros(8, np.intp), np.ones(8)
    spread, noise = np.array([0, 0, 0, 0, 1.0, 1]), np.array([0, 0, 0, 0, 0.4, 0.4])
    outlook = Outlook(model, condition(model, Observations.none()), [(0, 4), (0, 5)], noise, spread, *targets)
    both, members = [(0, 5), (0, 4)], {4: frozenset({0, 1}), 5: frozenset({2, 3})}
    assert outlook.compose(both, 1, 4, members) == ((0, 4),)
    assert outlook.compose(both, 9, 1, members) == ((0, 4),)
    assert outlook.compose(both, 9, 4, members) == ((0, 4), (0, 5))
