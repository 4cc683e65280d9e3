"""Tuning: the scales and the calibration of a prior, chosen on users that did not train it.

A prior looks better than it is on the users that it was trained on, and scales chosen there trust it too much. So users
practise: the wizard hears a few answers with a prior that has not seen them, and what it then believes is compared with a
random sample of what they decide.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from privwiz.answers import Answer, Entry, Evidence, evidence
from privwiz.belief import believe, lay_out
from privwiz.calibration import Calibration, fit_calibration, log_loss
from privwiz.circles import Circles
from privwiz.errors import DataError
from privwiz.graphs import EgoNetwork
from privwiz.items import ProfileItem
from privwiz.prior import KernelScales, Prior
from privwiz.simulate import SimulatedPolicy
from privwiz.simulated_user import SimulatedUser
from privwiz.wizard import Wizard

__all__ = [
    "CANDIDATES",
    "CHECKPOINTS",
    "Outcome",
    "Practice",
    "better_by_more_than_chance",
    "outcomes",
    "practise",
    "practise_on_answers",
    "tune",
]

Floats = npt.NDArray[np.floating]

CHECKPOINTS = (1, 3, 6, 10, 15)
"""Screens, or friends answered about, after which a practising user's policy is looked at."""

_STANDARD = KernelScales()


def _linear(mean: float, factor: float) -> KernelScales:
    linear, shared = factor * _STANDARD.linear, factor * _STANDARD.shared_linear
    return replace(_STANDARD, mean=mean, linear=linear, shared_linear=shared)


CANDIDATES: Mapping[str, KernelScales] = MappingProxyType(
    {
        "standard": _STANDARD,
        "untrained": _linear(0, 0),
        "cautious": _linear(0.5, 0.3),
        "trusting": _linear(1, 1),
        "attribute-minded": _linear(1, 3),
    }
)
"""The scales among which `tune` chooses: how much the trained weights, and their spread over users, count."""


@dataclass(frozen=True, slots=True, eq=False)
class Practice:
    """What one user said, screen by screen, and the truth about a sample of that user's friends.

    Parameters
    ----------
    network : EgoNetwork
    circles : Circles
    prior : Prior
        Trained without this user.
    items : tuple of ProfileItem, length J
    said : tuple of Evidence
        At each of `CHECKPOINTS`; fewer where nothing was left to say. All the groups of one are among those of the next.
    sample : int array of shape (S,)
        Positions of friends drawn by chance.
    truth : int8 array of shape (J, S)
        What the user decides about them: 1 allow, -1 deny, 0 not known.
    """

    network: EgoNetwork
    circles: Circles
    prior: Prior
    items: tuple[ProfileItem, ...]
    said: tuple[Evidence, ...]
    sample: npt.NDArray[np.intp]
    truth: npt.NDArray[np.int8]


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What was believed, and what is so, of the sampled cells of one user at one checkpoint that the user had not said singly.

    Parameters
    ----------
    probability : float array of shape (N,)
        Uncalibrated.
    allow : bool array of shape (N,)
    answers : int
        How many observations the model had.
    """

    probability: Floats
    allow: npt.NDArray[np.bool_]
    answers: int


def practise(
    network: EgoNetwork, circles: Circles, policy: SimulatedPolicy, sample: npt.NDArray[np.intp], prior: Prior, seed: int
) -> Practice:
    """Let a simulated user answer screens, and keep what was said at each of `CHECKPOINTS`."""
    wizard = Wizard(network, policy.items, prior, seed, circles=circles)
    user = SimulatedUser(policy, seed)
    items = [item.id for item in policy.items]
    said = []
    for number in range(1, max(CHECKPOINTS) + 1):
        screen = wizard.next_screen(least_gain=0)
        if screen is None:
            break
        wizard.answer(screen, [user.answer(toggle) for toggle in screen.toggles])
        if number in CHECKPOINTS:
            said.append(evidence(wizard.log, items, network.friends))
    truth = np.where(policy.allow[:, sample], 1, -1).astype(np.int8)
    return Practice(network, circles, prior, policy.items, tuple(said), sample, truth)


def practise_on_answers(
    network: EgoNetwork, circles: Circles, items: Sequence[ProfileItem], stated: npt.NDArray[np.int8], prior: Prior, seed: int
) -> Practice:
    """Let a wizard hear a user's answers about a few friends, friend by friend, and hold those about others back as the sample.

    Parameters
    ----------
    network : EgoNetwork
    circles : Circles
    items : sequence of ProfileItem, length J
    stated : int8 array of shape (J, n)
        The user's answers: 1 allow, -1 deny, 0 nothing.
    prior : Prior
    seed : int
        Draws who is held back (half of the friends answered about), and the order of the others.
    """
    order = np.random.default_rng(seed).permutation(np.flatnonzero(stated.any(axis=0)))
    heard, sample = order[: len(order) // 2], np.sort(order[len(order) // 2 :])
    ids = [item.id for item in items]
    log = [
        Entry(
            "label",
            tuple(
                Answer(ids[j], (network.friends[i],), "allow" if stated[j, i] > 0 else "deny", each=True)
                for j in np.flatnonzero(stated[:, i])
            ),
        )
        for i in heard
    ]
    said = tuple(evidence(log[:number], ids, network.friends) for number in CHECKPOINTS if number <= len(log))
    return Practice(network, circles, prior, tuple(items), said, sample, stated[:, sample])


def tune(
    practices: Sequence[Practice], candidates: Mapping[str, KernelScales] = CANDIDATES
) -> tuple[str, KernelScales, Calibration]:
    """Choose the scales whose calibrated probabilities have the smallest log-loss, and return them with their calibration.

    Every user counts the same at every checkpoint, over the sampled cells of which the user has not said anything singly. The
    first candidate stays unless another is better by more than a standard error of the difference over users.

    Parameters
    ----------
    practices : sequence of Practice
        At least one, with at least one cell to compare.
    candidates : mapping
        Name -> scales; the first is the standard.

    Returns
    -------
    name : str
    scales : KernelScales
    calibration : Calibration

    Raises
    ------
    DataError
        If nothing is left to compare.
    """
    kept, losses = [], []
    for name, scales in candidates.items():
        of_user = [some for some in (outcomes(practice, scales) for practice in practices) if some]
        if not of_user:
            raise DataError("no practising user has a cell left that was not asked one by one; give users with more friends")
        parts = [part for some in of_user for part in some]
        user_starts = np.cumsum([len(some) for some in of_user])[:-1]
        probability, allow = np.concatenate([part.probability for part in parts]), np.concatenate([part.allow for part in parts])
        size = [len(part.allow) for part in parts]
        answers = np.repeat([part.answers for part in parts], size)
        calibration = fit_calibration(probability, answers, allow, np.repeat(1 / np.array(size), size))
        kept.append((name, scales, calibration))
        loss = [log_loss(calibration.apply(part.probability, part.answers), part.allow).mean() for part in parts]
        losses.append([np.mean(some) for some in np.split(np.array(loss), user_starts)])
    gain = np.array(losses[:1]) - np.array(losses)
    return kept[better_by_more_than_chance(gain.mean(axis=1), gain.var(axis=1), gain.shape[1])]


def better_by_more_than_chance(gain: Floats, variance: Floats, users: int) -> int:
    """Number of the candidate with the largest gain that exceeds its standard error; the first where there is none.

    Parameters
    ----------
    gain, variance : float arrays of shape (k,)
        Mean and variance over users of how much smaller each candidate's loss is than the first's.
    users : int
    """
    return int(np.argmax(np.where(gain > np.sqrt(variance / users), gain, 0)))


def outcomes(practice: Practice, scales: KernelScales) -> tuple[Outcome, ...]:
    """Compare a user's sample with what the wizard believes under these scales, at each checkpoint where a cell is left."""
    prior = replace(practice.prior, scales=scales, calibration=Calibration())
    groups = practice.said[-1].groups if practice.said else ()
    layout = lay_out(practice.network, practice.circles, prior, practice.items, groups)
    found = []
    for said in practice.said:
        free = (said.stated[:, practice.sample] == 0) & (practice.truth != 0)
        if free.any():
            belief = believe(layout, said)
            assert belief.posterior is not None, "the library's own model has a posterior"
            probability = belief.probability[:, practice.sample][free]
            found.append(Outcome(probability, practice.truth[free] > 0, len(belief.posterior.observations)))
    return tuple(found)
