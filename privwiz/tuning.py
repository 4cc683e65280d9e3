"""Tuning: the scales and the calibration of a prior, chosen on users that did not train it.

A prior looks better than it is on the users that it was trained on, and scales chosen there trust it too much. So users
practise: the wizard asks them a few screens with a prior that has not seen them, and what it then believes is compared with a
random sample of what they decide.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from privwiz.answers import Evidence, evidence
from privwiz.belief import believe, lay_out
from privwiz.calibration import Calibration, fit_calibration, log_loss
from privwiz.circles import Circles
from privwiz.errors import DataError
from privwiz.graphs import EgoNetwork
from privwiz.prior import KernelScales, Prior
from privwiz.simulate import SimulatedPolicy
from privwiz.simulated_user import SimulatedUser
from privwiz.wizard import Wizard

__all__ = ["CANDIDATES", "CHECKPOINTS", "Practice", "practise", "tune"]

Floats = npt.NDArray[np.floating]

CHECKPOINTS = (1, 3, 6, 10, 15)
"""Screens after which a practising user's policy is looked at."""

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
    policy : SimulatedPolicy
    said : tuple of Evidence
        At each of `CHECKPOINTS`; fewer where no screen was left. All the groups of one are among those of the next.
    sample : int array of shape (S,)
        Positions of friends drawn by chance.
    """

    network: EgoNetwork
    circles: Circles
    prior: Prior
    policy: SimulatedPolicy
    said: tuple[Evidence, ...]
    sample: npt.NDArray[np.intp]


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
    return Practice(network, circles, prior, policy, tuple(said), sample)


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
        of_user = [[part for part in _unasked(practice, scales) if len(part[0])] for practice in practices]
        of_user = [some for some in of_user if some]
        if not of_user:
            raise DataError("no practising user has a cell left that was not asked one by one; give users with more friends")
        parts = [part for some in of_user for part in some]
        user_starts = np.cumsum([len(some) for some in of_user])[:-1]
        probability, allow = (np.concatenate(column) for column in list(zip(*parts, strict=True))[:2])
        size = [len(part[0]) for part in parts]
        answers = np.repeat([part[2] for part in parts], size)
        calibration = fit_calibration(probability, answers, allow, np.repeat(1 / np.array(size), size))
        kept.append((name, scales, calibration))
        loss = [log_loss(calibration.apply(p, said), truth).mean() for p, truth, said in parts]
        losses.append([np.mean(some) for some in np.split(np.array(loss), user_starts)])
    gain = np.array(losses[:1]) - np.array(losses)
    error = gain.std(axis=1) / np.sqrt(gain.shape[1])
    score = np.where(gain.mean(axis=1) > error, gain.mean(axis=1), 0)
    return kept[int(np.argmax(score))]


def _unasked(practice: Practice, scales: KernelScales) -> Iterator[tuple[Floats, npt.NDArray[np.bool_], int]]:
    """Yield for each checkpoint: probability and truth of the sampled cells not said singly, and the number of observations."""
    prior = replace(practice.prior, scales=scales, calibration=Calibration())
    groups = practice.said[-1].groups if practice.said else ()
    layout = lay_out(practice.network, practice.circles, prior, practice.policy.items, groups)
    for said in practice.said:
        free = said.stated[:, practice.sample] == 0
        belief = believe(layout, said)
        assert belief.posterior is not None, "the library's own model has a posterior"
        answers = len(belief.posterior.observations)
        yield belief.probability[:, practice.sample][free], practice.policy.allow[:, practice.sample][free], answers
