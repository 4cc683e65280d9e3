"""The benchmark of the page's flow: how taps are counted, and the bounds beside them."""

import importlib
from pathlib import Path
from types import SimpleNamespace as Namespace

import numpy as np
import pytest
from scipy.special import log_ndtr

from privwiz.answers import CIRCLE_SHARES
from privwiz.belief import lay_out
from privwiz.circles import find_circles
from privwiz.graphs import build_ego_network
from privwiz.items import profile_item, profile_items
from privwiz.posterior import PROBIT_VARIANCE, Observations, condition, posterior_mean, prior_variance
from privwiz.prior import Prior
from privwiz.screens import Screen, Toggle
from privwiz.simulate import simulate_policy

ROOT = Path(__file__).parents[1]
CLUBS = [[f"{club}{k}" for k in range(4)] for club in "abc"]
NETWORK = build_ego_network(
    "me",
    [friend for club in CLUBS for friend in club],
    [(one, other) for club in CLUBS for one in club for other in club if one < other],
)


@pytest.fixture(scope="module")
def bench():
    """The script and the module of the bounds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "benchmarks"))
        yield Namespace(flow=importlib.import_module("wizard_flow"), ceilings=importlib.import_module("efficiency.ceilings"))


@pytest.mark.parametrize(
    ("filled_in", "said", "taps"),
    [
        ("", "", 1),
        ("fff", "...", 1),
        ("fff", ".x.", 2),
        ("ooo", "...", 2),
        ("o", ".", 2),
        ("ooo", "xx.", 4),
        ("ooo", "xxx", 4),
        ("ffooo", "x..x.", 4),
    ],
)
def test_a_screen_is_answered_by_the_fewest_taps(bench, filled_in, said, taps):
    """Confirm is one; wrong presets are changed; what is open is said one by one, or filled in and changed where it is wrong."""
    toggles = tuple(
        Toggle(profile_item("phone"), ("ann", "bo"), "some", tuple(CIRCLE_SHARES), 0.3, sure=state == "f", likeliest="some")
        for state in filled_in
    )
    screen = Screen("circles", toggles, ("", ""), 1.0, 1.0, 0)
    assert bench.flow.taps_to_say(screen, ["most" if wrong == "x" else "some" for wrong in said]) == taps


def test_the_first_pick_is_the_answer_that_makes_the_policy_most_likely(bench):
    """The definition, slowly: each answer is learnt by itself, and the one after which the truth is likeliest is taken."""
    layout = lay_out(NETWORK, find_circles(NETWORK), Prior.default(), profile_items(["phone", "city"]))
    policy = simulate_policy(NETWORK, CLUBS, "circle", seed=3, items=["phone", "city"])
    n, model, sign = NETWORK.n, layout.model, np.where(policy.allow, 1, -1)
    outcomes = []
    for j in range(2):
        for g in range(len(layout.groups)):
            value, noise = layout.seen_share(j, n + g, bench.ceilings.said_share(layout, g, policy.allow[j]))
            one = Observations(*(np.array([part]) for part in (n + g, j, value, noise, 1.0)))
            mean = posterior_mean(model, condition(model, one))[:, :n]
            rows, items = np.tile(np.arange(n), 2), np.repeat(np.arange(2), n)
            before = prior_variance(model, rows, items).reshape(2, n)
            likelihood = log_ndtr(sign * mean / np.sqrt(PROBIT_VARIANCE + before)).sum()
            outcomes.append((likelihood, ((mean >= 0) == policy.allow).mean()))
    picks = bench.ceilings.picked(layout, policy, (1, 2, 5))
    assert picks[0] == pytest.approx(max(outcomes)[1])
    assert picks == sorted(picks)
    assert picks[-1] <= 1


def test_who_is_told_all_has_what_circles_decide_right(bench):
    """Where real circles decide and are the ones found, hardly more than exceptions is wrong if every share is known."""
    layout = lay_out(NETWORK, find_circles(NETWORK), Prior.default(), profile_items(None))
    policy = simulate_policy(NETWORK, CLUBS, "circle", seed=3)
    assert bench.ceilings.told(layout, policy) >= (policy.clean == policy.allow).mean() - 0.03
