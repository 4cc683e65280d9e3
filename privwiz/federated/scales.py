"""The kernel scales and the calibration of a prior, chosen by sums of losses over devices that did not train it.

The federated form of `privwiz.tuning.tune`: each device lets its own wizard practise with every candidate, keeps what came of it
(`Trial`), and sends sums. The calibration of every candidate is improved by Newton's method, a step each round; after the last
round the candidate with the least loss is taken, if it is better than the first by more than chance.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from privwiz.calibration import BOUNDS, PULL, Calibration, calibration_design
from privwiz.federated.updates import ScalesLosses
from privwiz.prior import KernelScales
from privwiz.tuning import CANDIDATES, Practice, better_by_more_than_chance, outcomes

__all__ = ["Trial", "TriedScales", "chosen_scales", "first_scales", "nothing_tried", "scales_losses", "scales_step", "try_scales"]

Floats = npt.NDArray[np.float64]

_START = np.array([1.0, 0.0, 0.0])
_LOW, _HIGH = (np.array([BOUNDS[part.name][side] for part in fields(Calibration)]) for side in (0, 1))
_UPPER = np.triu_indices(3)
_LEAST_CURVATURE = 1e-3
_LONGEST_STEP = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """What came of one user's practice with one candidate; it never leaves the device.

    Parameters
    ----------
    design : float array of shape (N, 3)
        `privwiz.calibration.calibration_design` of the believed probabilities.
    sign : float array of shape (N,)
        1 for what is allowed, -1 for what is denied.
    weight : float array of shape (N,)
        How much each cell counts: every checkpoint the same, 1 in sum; nothing is left (N = 0) where no cell could be compared.
    """

    design: Floats
    sign: Floats
    weight: Floats


@dataclass(frozen=True, slots=True, eq=False)
class TriedScales:
    """What the model owner knows of the k candidates.

    Parameters
    ----------
    calibrations : float array of shape (k, 3)
        The numbers of `Calibration`, one row for each candidate.
    losses : float array of shape (k,)
        Mean log-loss over devices with the calibrations before the last step; 0 before the first round.
    squares : float array of shape (k,)
        Mean square of how much better than the first candidate each is on a device.
    devices : int
        In the last round; 0 before the first.
    """

    calibrations: Floats
    losses: Floats
    squares: Floats
    devices: int


def try_scales(practice: Practice, candidates: Mapping[str, KernelScales] = CANDIDATES) -> tuple[Trial, ...]:
    """Let one user's practice be judged under every candidate: the device's preparation, once for all rounds."""
    return tuple(_trial(practice, scales) for scales in candidates.values())


def _trial(practice: Practice, scales: KernelScales) -> Trial:
    found = outcomes(practice, scales)
    if not found:
        return Trial(np.zeros((0, 3)), np.zeros(0), np.zeros(0))
    design = [calibration_design(part.probability, np.full(len(part.allow), part.answers)) for part in found]
    allow = np.concatenate([part.allow for part in found])
    weight = np.concatenate([np.full(len(part.allow), 1 / len(part.allow) / len(found)) for part in found])
    return Trial(np.concatenate(design), np.where(allow, 1.0, -1.0), weight)


def first_scales(k: int) -> TriedScales:
    """Begin with k candidates that are not calibrated."""
    return TriedScales(np.tile(_START, (k, 1)), np.zeros(k), np.zeros(k), 0)


def nothing_tried(state: TriedScales) -> ScalesLosses:
    """Return an update of zeros."""
    k = len(state.losses)
    return ScalesLosses(np.zeros(k), np.zeros(k), np.zeros((k, 3)), np.zeros((k, len(_UPPER[0]))))


def scales_losses(state: TriedScales, trials: tuple[Trial, ...]) -> ScalesLosses:
    """Loss of one user's trials with the calibrations so far, and how it bends: the device's half of a round."""
    update = nothing_tried(state)
    for k, (trial, calibration) in enumerate(zip(trials, state.calibrations, strict=True)):
        margin = trial.sign * (trial.design @ calibration)
        wrong = expit(-margin)
        update.losses[k] = trial.weight @ np.logaddexp(0, -margin)
        update.gradient[k] = -(trial.weight * trial.sign * wrong) @ trial.design
        curvature = (trial.design.T * (trial.weight * wrong * (1 - wrong))) @ trial.design
        update.curvature[k] = curvature[_UPPER]
    update.squares[:] = (update.losses[0] - update.losses) ** 2
    return update


def scales_step(state: TriedScales, total: ScalesLosses, count: int) -> TriedScales:
    """Take a step of Newton's method within the bounds of a calibration: the model owner's half of a round."""
    calibrations = np.empty_like(state.calibrations)
    for k, calibration in enumerate(state.calibrations):
        curvature = np.zeros((3, 3))
        curvature[_UPPER] = total.curvature[k] / count
        values, vectors = np.linalg.eigh(curvature + np.triu(curvature, 1).T + 2 * PULL * np.eye(3))
        slope = total.gradient[k] / count + 2 * PULL * (calibration - _START)
        step = vectors @ (vectors.T @ slope / np.maximum(values, _LEAST_CURVATURE))
        step *= min(1.0, _LONGEST_STEP / max(float(np.abs(step).max()), 1e-300))
        calibrations[k] = np.clip(calibration - step, _LOW, _HIGH)
    return TriedScales(calibrations, total.losses / count, total.squares / count, count)


def chosen_scales(
    state: TriedScales, candidates: Mapping[str, KernelScales] = CANDIDATES
) -> tuple[str, KernelScales, Calibration]:
    """Return name, scales and calibration of the candidate to take; after at least one round."""
    gain = state.losses[0] - state.losses
    number = better_by_more_than_chance(gain, np.maximum(state.squares - gain**2, 0), state.devices)
    name = list(candidates)[number]
    return name, candidates[name], Calibration(*state.calibrations[number].round(4).tolist())
