"""Tuning: scales and calibration are chosen on users that did not train the prior."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from privwiz import pretrain, tuning
from privwiz.answers import evidence
from privwiz.belief import believe, lay_out
from privwiz.calibration import Calibration, fit_calibration, log_loss
from privwiz.circles import find_circles
from privwiz.errors import DataError
from privwiz.features import FEATURES
from privwiz.graphs import build_ego_network
from privwiz.items import profile_items
from privwiz.pretrain import TrainingUser, train_prior
from privwiz.prior import KernelScales, Prior
from privwiz.simulate import simulate_policy
from privwiz.simulated_user import SimulatedUser
from privwiz.tuning import CANDIDATES, CHECKPOINTS, Practice, outcomes, practise, practise_on_answers, tune
from privwiz.wizard import Wizard

ITEMS = profile_items(["phone", "city"])
CERTAIN = KernelScales(level=0, alike=0, linear=0, shared_level=0, shared_alike=0, shared_linear=0, mean=1, trust=0)
BLIND = replace(CERTAIN, mean=0)


def network_of(ego="me", friends=12, clique=5):
    """Return a network of some friends, the first of whom all know each other."""
    names = [f"{ego}-{k:02}" for k in range(friends)]
    return build_ego_network(ego, names, [(x, y) for x in names[:clique] for y in names[:clique] if x < y])


def user_of(ego, seed=0, *, practises=True, friends=12):
    """Return a training user who has labelled six friends."""
    network = network_of(ego, friends)
    policy = simulate_policy(network, [network.friends[:5]], "circle", seed, ["phone", "city"])
    return TrainingUser(network, find_circles(network), policy, np.arange(min(6, friends)), practises)


def silent_practice(weight, *, wrong=0, ego="me"):
    """Return a practice without answers, whose prior says who has ties may see all; it is so, but for some of 12 friends."""
    network = network_of(ego)
    allow = network.degree > 0
    allow[:wrong] ^= True
    truth = np.where([allow, allow], 1, -1).astype(np.int8)
    weights = np.tile([weight, 0.0], (2, 1))
    prior = Prior(("log_degree",), np.array([0.8]), np.array([0.8]), ("phone", "city"), weights, np.zeros((2, 2)))
    said = evidence([], [item.id for item in ITEMS], network.friends)
    return Practice(network, find_circles(network), prior, ITEMS, (said,), np.arange(12), truth)


def loss_of(practice, scales, calibration):
    """Return the mean log-loss over the sample of a practice without answers."""
    prior = replace(practice.prior, scales=scales)
    belief = believe(lay_out(practice.network, practice.circles, prior, ITEMS), practice.said[0])
    return log_loss(calibration.apply(belief.probability, 0), practice.truth > 0).mean()


def test_the_standard_stays_where_nothing_is_better():
    """Of candidates that are all the same the first is chosen, whatever their names."""
    practices = [silent_practice(2.0, wrong=2)]
    for names in (["one", "two", "three"], ["three", "two", "one"]):
        name, scales, _ = tune(practices, dict.fromkeys(names, KernelScales()))
        assert (name, scales) == (names[0], KernelScales())


def test_the_better_candidate_is_chosen():
    """Where the trained weights are right, scales that follow them are chosen over scales that do not, in any order."""
    practices = [silent_practice(2.0, wrong=wrong, ego=f"u{wrong}") for wrong in (0, 1)]
    for candidates in ({"blind": BLIND, "trusting": CERTAIN}, {"trusting": CERTAIN, "blind": BLIND}):
        name, scales, calibration = tune(practices, candidates)
        assert (name, scales) == ("trusting", CERTAIN)
        assert calibration.slope > 0
    assert all(loss_of(one, CERTAIN, calibration) < loss_of(one, BLIND, Calibration()) for one in practices)


def test_the_standard_stays_where_another_is_better_by_chance():
    """A candidate that is better for some users and worse for another does not replace the standard."""
    good, bad = silent_practice(2.0, ego="good"), silent_practice(2.0, wrong=12, ego="bad")
    assert tune([good, bad], {"blind": BLIND, "trusting": CERTAIN})[0] == "blind"
    assert tune([good, good, bad], {"blind": BLIND, "trusting": CERTAIN})[0] == "blind"
    assert tune([good], {"blind": BLIND, "trusting": CERTAIN})[0] == "trusting"


def test_checkpoints_of_one_user_are_one_difference():
    """A user who is better off at many checkpoints does not outweigh another who is worse off at one."""
    good, bad = silent_practice(2.0, ego="good"), silent_practice(2.0, wrong=12, ego="bad")
    often = replace(good, said=good.said * 3)
    assert tune([often, bad], {"blind": BLIND, "trusting": CERTAIN})[0] == "blind"


def test_the_calibration_is_that_of_the_chosen_scales():
    """The calibration is fitted to the chosen candidate's own probabilities: an overconfident one is calmed, a shy one not."""
    slopes = [tune([silent_practice(weight, wrong=1)], {"only": CERTAIN})[2].slope for weight in (8.0, 0.5)]
    assert slopes[0] < 1 < slopes[1]
    practice = silent_practice(8.0, wrong=1)
    layout = lay_out(practice.network, practice.circles, replace(practice.prior, scales=CERTAIN), ITEMS)
    probability = believe(layout, practice.said[0]).probability.ravel()
    expected = fit_calibration(probability, np.zeros(24), practice.truth.ravel() > 0, np.ones(24))
    assert tune([practice], {"only": CERTAIN})[2] == expected


def test_an_earlier_calibration_of_the_prior_does_not_count():
    """Candidates are judged, and calibrated, without the calibration that the practice's prior may have."""
    practice = silent_practice(3.0, wrong=1)
    other = replace(practice, prior=replace(practice.prior, calibration=Calibration(0.1, 0.1, 1)))
    assert tune([practice]) == tune([other])


def test_every_user_counts_the_same():
    """A user with a sample of two friends weighs as much as one with twelve."""
    good, bad = silent_practice(2.0), silent_practice(2.0, wrong=12, ego="bad")
    few = replace(bad, sample=np.array([0, 11]), truth=bad.truth[:, [0, 11]])
    found = tune([good, few], {"only": CERTAIN})[2]
    assert abs(found.slope) < 0.2
    assert found.slope == pytest.approx(tune([good, bad], {"only": CERTAIN})[2].slope, abs=0.2)


def test_cells_that_were_answered_do_not_count():
    """What the user said of a sampled cell leaves it out: right answers about all others make no prior look good."""
    network = network_of()
    wizard = Wizard(network, ITEMS)
    practice = silent_practice(2.0, wrong=6)
    for friend in network.friends[:6]:
        for item in ITEMS:
            wizard.label(item.id, friend, "deny")
    said = evidence(wizard.log, ["phone", "city"], network.friends)
    part = replace(practice, said=(said,))
    outside = replace(part, sample=np.arange(6, 12), truth=part.truth[:, 6:])
    assert tune([part], {"only": CERTAIN}) == tune([outside], {"only": CERTAIN})


def test_practice_is_what_a_wizard_is_told():
    """What a practising user says is kept after each checkpoint's screen, as the same wizard is told by the same user."""
    user = user_of("me", friends=40)
    practice = practise(user.network, user.circles, user.policy, user.labelled, Prior.default(), 3)
    wizard, person = Wizard(user.network, ITEMS, Prior.default(), 3, circles=user.circles), SimulatedUser(user.policy, 3)
    expected = []
    for number in range(1, max(CHECKPOINTS) + 1):
        screen = wizard.next_screen(least_gain=0)
        wizard.answer(screen, [person.answer(toggle) for toggle in screen.toggles])
        if number in CHECKPOINTS:
            expected.append(evidence(wizard.log, ["phone", "city"], user.network.friends))
    assert len(practice.said) == len(CHECKPOINTS)
    assert [said.answers for said in practice.said] == [said.answers for said in expected]
    for earlier, later in zip(practice.said, practice.said[1:], strict=False):
        assert set(earlier.groups) <= set(later.groups)
        assert later.answers[: len(earlier.answers)] == earlier.answers


def test_cells_whose_truth_is_not_known_do_not_count():
    """A sampled cell of which nobody knows what the user decides is compared with nothing."""
    practice = silent_practice(2.0)
    unknown = replace(practice, truth=np.where(np.arange(12) < 6, practice.truth, 0).astype(np.int8))
    (outcome,) = outcomes(unknown, CERTAIN)
    assert outcome.allow.tolist() == (practice.truth[:, :6] > 0).ravel().tolist()
    assert outcomes(replace(practice, truth=np.zeros_like(practice.truth)), CERTAIN) == ()


def test_practice_on_answers_holds_half_of_the_friends_back():
    """What is told is about friends who are not in the sample, more of them at each checkpoint, and only what the user said."""
    network = network_of(friends=40)
    stated = np.random.default_rng(0).integers(-1, 2, size=(2, 40)).astype(np.int8)
    stated[:, 30:] = 0
    practice = practise_on_answers(network, find_circles(network), ITEMS, stated, Prior.default(), 4)
    labelled = np.flatnonzero(stated.any(axis=0))
    assert len(practice.sample) == len(labelled) - len(labelled) // 2
    assert set(practice.sample) <= set(labelled)
    np.testing.assert_array_equal(practice.truth, stated[:, practice.sample])
    told = [np.flatnonzero(said.stated.any(axis=0)) for said in practice.said]
    assert [len(friends) for friends in told] == [number for number in CHECKPOINTS if number <= len(labelled) // 2]
    for said, friends in zip(practice.said, told, strict=True):
        assert not set(friends) & set(practice.sample)
        np.testing.assert_array_equal(said.stated[:, friends], stated[:, friends])


def test_practice_ends_where_no_screen_is_left():
    """With three friends there is little to ask: only the checkpoints that were reached are kept."""
    user = user_of("me", friends=3)
    practice = practise(user.network, user.circles, user.policy, user.labelled, Prior.default(), 0)
    assert 1 <= len(practice.said) < len(CHECKPOINTS)


def test_the_first_candidate_is_what_priors_have_by_default():
    """The standard among the candidates is the default of `KernelScales`; all candidates differ."""
    assert next(iter(CANDIDATES.values())) == KernelScales()
    assert len(set(CANDIDATES.values())) == len(CANDIDATES)


# Cross-fitting


@pytest.fixture
def watched(monkeypatch):
    """Train without computing; return the (ego, egos that trained its prior, seed) of each practice, and who was tuned on."""
    practices, tuned = [], []
    number = {}

    def features(network, _):
        return SimpleNamespace(values=np.full((network.n, len(FEATURES)), number.setdefault(network.ego, len(number))))

    def fit(users, _, scales=None, provenance=None):
        names = list(number)
        egos = [names[int(user.features[0, 0])] for user in users]
        return replace(Prior.flat(), provenance={**(provenance or {}), "egos": egos}, scales=scales or KernelScales())

    def practice(network, *rest):
        *_, prior, seed = rest
        practices.append((network.ego, tuple(prior.provenance["egos"]), seed))
        return SimpleNamespace(ego=network.ego)

    def choose(given):
        tuned.append([one.ego for one in given])
        return "cautious", CANDIDATES["cautious"], Calibration(0.9, 0.1, 0.2)

    monkeypatch.setattr(pretrain, "friend_features", features)
    monkeypatch.setattr(pretrain, "fit_prior", fit)
    monkeypatch.setattr(pretrain, "practise", practice)
    monkeypatch.setattr(pretrain, "tune", choose)
    return SimpleNamespace(practices=practices, tuned=tuned)


EGOS = [*"abcdefg", "a", "b"]


@pytest.mark.parametrize("seed", range(5))
def test_nobody_practises_with_a_prior_that_has_seen_the_network(watched, seed):
    """Each user practises once, with a prior from users of other networks only: of the whole other half."""
    train_prior([user_of(ego, k) for k, ego in enumerate(EGOS)], seed)
    assert sorted(ego for ego, *_ in watched.practices) == sorted(EGOS)
    for ego, trained_on, _ in watched.practices:
        assert ego not in trained_on
    halves = {frozenset(trained_on) for _, trained_on, _ in watched.practices}
    assert len(halves) == 2
    assert sorted(ego for half in halves for ego in half) == sorted(set(EGOS))
    assert sorted(map(len, halves)) == [3, 4]
    assert len({number for *_, number in watched.practices}) == len(EGOS)


def test_halves_are_drawn_by_chance(watched):
    """Other seeds make other halves, equal seeds the same ones."""
    users = [user_of(ego, k) for k, ego in enumerate(EGOS)]
    seen = []
    for seed in (*range(6), 0):
        watched.practices.clear()
        train_prior(users, seed)
        seen.append(frozenset((ego, trained_on) for ego, trained_on, _ in watched.practices))
    assert seen[0] == seen[-1]
    assert len(set(seen)) > 3


def test_the_prior_is_fitted_on_all(watched):
    """The prior that is returned is of all users, with the scales and calibration that were chosen, and says which."""
    users = [user_of(ego, k, practises=ego in "cf") for k, ego in enumerate(EGOS)]
    prior = train_prior(users, 0, {"data": "mine"})
    assert prior.provenance == {"data": "mine", "scales": "cautious", "egos": EGOS}
    assert (prior.scales, prior.calibration) == (CANDIDATES["cautious"], Calibration(0.9, 0.1, 0.2))
    assert [sorted(given) for given in watched.tuned] == [["c", "f"]]


def test_equal_seeds_train_equal_priors(monkeypatch):
    """The same users and seed give the same prior, to the last character of its file; its scales are those it names."""
    monkeypatch.setattr(tuning, "CHECKPOINTS", (1, 2))
    users = [user_of(ego, k, practises=ego != "c") for k, ego in enumerate("abcd")]
    prior = train_prior(users, 5)
    assert train_prior(users, 5).to_json() == prior.to_json()
    assert prior.scales == CANDIDATES[prior.provenance["scales"]]
    assert prior.items == ("phone", "city")
    assert prior.features == tuple(FEATURES)


@pytest.mark.parametrize(("egos", "count"), [("", 0), ("a", 1), ("aaa", 1)])
def test_fewer_than_two_networks_cannot_train(egos, count):
    """Users of one network, or none, are refused, before anything is computed."""
    with pytest.raises(DataError, match=f"^training users are of {count} networks; .* takes two$"):
        train_prior([user_of(ego) for ego in egos])


def test_somebody_must_practise():
    """Where no user practises there is nothing to choose by."""
    with pytest.raises(DataError, match=r"^no training user practises; "):
        train_prior([user_of(ego, practises=False) for ego in "ab"])


def test_there_must_be_somebody_to_compare():
    """Where the practising users were asked about every friend one by one, nothing is left to choose by."""
    with pytest.raises(DataError, match=r"^no practising user has a cell left .* give users with more friends$"):
        train_prior([user_of(ego, friends=1) for ego in "ab"])
