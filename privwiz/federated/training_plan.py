"""What a training does, decided before it begins: the algorithm and its numbers, and the rounds in their order."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

from privwiz.errors import DataError, SumRefused
from privwiz.federated.fixed_point import FRACTION_BITS, HALF_RING
from privwiz.federated.rounds import MINIMUM_COHORT
from privwiz.words import amount

__all__ = ["ALGORITHMS", "BOUNDS", "L2", "Step", "TrainingPlan", "check_clip", "rounds_of_one_device", "schedule", "split"]

Step: TypeAlias = Literal["standardise", "evaluate", "learn", "spread", "scales"]
"""The kinds of rounds: what features are like, how large the loss is, the weights, how users differ, scales and calibration."""

ALGORITHMS: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "fedsgd": {"learning_rate": 0.3, "clip": 8.0},
        "fedavg": {"learning_rate": 1.0, "clip": 800.0},
        "reptile": {"learning_rate": 1.0, "clip": 8.0},
        "empirical-bayes": {"learning_rate": 1.0, "clip": 16.0},
    }
)
"""Name -> the numbers that a plan has unless it says otherwise. What FedAvg sends is multiplied by up to 100 labels."""

BOUNDS: Mapping[Step, float] = MappingProxyType({"standardise": 1e7, "evaluate": 4.0, "spread": 16.0, "scales": 64.0})
"""L2 bound of an update in every kind of round but the learning ones, whose bound is the plan's ``clip``."""

L2 = 0.05
"""Penalty on the squared weights, that of `privwiz.pretrain.fit_prior`."""

SPREAD_ROUNDS, SCALES_ROUNDS = 3, 8

_AUTOMATIC_SPLIT = 0.2
_POSITIVE = ("learning_rate", "local_learning_rate", "clip")
_COUNTS = ("rounds", "local_steps", "min_cohort", "evaluate_every")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingPlan:
    """The terms of a training.

    Parameters
    ----------
    algorithm : str
        One of `ALGORITHMS`.
    rounds : int
        For learning; others come on top (`schedule`).
    learning_rate : float, optional
        Of the model owner; unless given, that of the algorithm.
    momentum : float
        Of the model owner, from 0 up and below 1; empirical Bayes has none.
    local_learning_rate : float
        Of a device's own steps, in FedAvg and Reptile.
    local_steps : int
    batch_size : int, optional
        Friends per local step; all unless given.
    clip : float, optional
        L2 bound of a learning update; unless given, that of the algorithm.
    noise_multiplier : float
        Standard deviation of each aggregator's noise, in units of what one device can move; 0 is no noise.
    delta : float
        At which epsilon is told.
    min_cohort : int
        A sum of fewer devices is not opened.
    simulation : bool
        Allows fewer than `privwiz.federated.rounds.MINIMUM_COHORT`.
    participation : float
        Probability that a training device takes part in a round for learning or spread; drawn again where too few do.
    validation_split : float, optional
        Share of the devices that train nothing: the loss is taken, and scales and calibration are chosen, on these. Unless given,
        a fifth where that leaves enough devices on both sides, and none where it does not.
    evaluate_every : int
        Learning rounds between two evaluations.
    seed : int
        Deals devices to training and validation, orders their friends, draws who takes part. Shares and noise never depend on it.

    Raises
    ------
    DataError
        If one of them makes no sense.
    SumRefused
        If ``min_cohort`` is too small and this is no simulation.
    """

    algorithm: str = "fedsgd"
    rounds: int = 20
    learning_rate: float | None = None
    momentum: float = 0.7
    local_learning_rate: float = 0.1
    local_steps: int = 5
    batch_size: int | None = None
    clip: float | None = None
    noise_multiplier: float = 0.0
    delta: float = 1e-5
    min_cohort: int = MINIMUM_COHORT
    simulation: bool = False
    participation: float = 1.0
    validation_split: float | None = None
    evaluate_every: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        if self.algorithm not in ALGORITHMS:
            raise DataError(f"algorithm {self.algorithm!r} is not known; use one of {', '.join(ALGORITHMS)}")
        for name, number in ALGORITHMS[self.algorithm].items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, number)
        for name in _POSITIVE:
            self._check(name, 0 < getattr(self, name) < math.inf, "a positive number")
        for name in _COUNTS if self.batch_size is None else (*_COUNTS, "batch_size"):
            self._check(name, getattr(self, name) >= 1, "a positive whole number")
        self._check("momentum", 0 <= self.momentum < 1, "a number from 0 up and below 1")
        self._check("noise_multiplier", 0 <= self.noise_multiplier < math.inf, "a number from 0 up")
        if self.noise_multiplier and self.algorithm == "fedavg":
            raise DataError("fedavg divides by a number of labels, which noise may bring to zero; use reptile or fedsgd")
        self._check("delta", 0 < self.delta < 1, "a number above 0 and below 1")
        self._check("participation", 0 < self.participation <= 1, "a number above 0 and at most 1")
        if self.validation_split is not None:
            self._check("validation_split", 0 <= self.validation_split < 1, "a number from 0 up and below 1")
        if self.min_cohort < MINIMUM_COHORT and not self.simulation:
            raise SumRefused(
                f"a minimum cohort of {self.min_cohort} is below {MINIMUM_COHORT}; only a simulation may: --allow-small-cohorts"
            )
        check_clip(self, self.min_cohort)

    def _check(self, name: str, right: object, must_be: str) -> None:
        if not right:
            raise DataError(f"{name.replace('_', ' ')} is {getattr(self, name)!r}; it must be {must_be}")

    def to_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {part.name: getattr(self, part.name) for part in fields(self)}


def check_clip(plan: TrainingPlan, devices: int) -> None:
    """Check that learning updates of so many devices add up exactly.

    Raises
    ------
    DataError
        If they are so long that their sum may leave the ring of `privwiz.federated.fixed_point`.
    """
    most = HALF_RING / 2**FRACTION_BITS / devices
    assert plan.clip is not None, "a plan fills it in"
    if plan.clip >= most:
        raise DataError(
            f"clip is {plan.clip:g}; it must be below {most:.3g}, for a sum of {amount(devices, 'update')} has to fit 64 bits"
        )


def split(plan: TrainingPlan, devices: int) -> int:
    """Return how many of so many devices are held out for validation.

    Raises
    ------
    DataError
        If too few are left to train, or are held out, to open a sum of them.
    """
    share = plan.validation_split
    if share is None:
        held = round(_AUTOMATIC_SPLIT * devices)
        held = held if min(held, devices - held) >= plan.min_cohort else 0
    else:
        held = round(share * devices)
    few = f"a sum of fewer than {plan.min_cohort} devices is not opened"
    if 0 < held < plan.min_cohort:
        raise DataError(
            f"a validation split of {share:g} holds out {held} of {amount(devices, 'device')}; {few}: hold out more, or none (0)"
        )
    if devices - held < plan.min_cohort:
        raise DataError(
            f"{devices - held} of {amount(devices, 'device')} would train; {few}: get more devices, or hold out fewer"
        )
    return held


def schedule(plan: TrainingPlan, *, standardises: bool, validates: bool) -> tuple[Step, ...]:
    """Return the rounds of a training in their order.

    Standardisation comes first, unless a prior to start from has one. The loss is taken before the first learning round, after
    every ``evaluate_every``, and after the last. Empirical Bayes learns how users differ on its way; for the other algorithms,
    three rounds follow. Scales and calibration are chosen last, where devices were held out and sums are exact: a calibration
    that noise made could let the wizard be surer than it should.
    """
    steps: list[Step] = ["standardise"] if standardises else []
    steps.append("evaluate")
    for number in range(1, plan.rounds + 1):
        steps.append("learn")
        if number % plan.evaluate_every == 0 or number == plan.rounds:
            steps.append("evaluate")
    if plan.algorithm != "empirical-bayes":
        steps += ["spread"] * SPREAD_ROUNDS
    if validates and not plan.noise_multiplier:
        steps += ["scales"] * SCALES_ROUNDS
    return tuple(steps)


def rounds_of_one_device(steps: tuple[Step, ...], *, validates: bool) -> int:
    """Return in how many of these rounds one device takes part at most: training and validation devices are different ones.

    >>> rounds_of_one_device(("evaluate", "learn", "learn", "evaluate", "spread"), validates=True)
    3
    >>> rounds_of_one_device(("evaluate", "learn", "learn", "evaluate", "spread"), validates=False)
    5
    """
    if not validates:
        return len(steps)
    training = sum(step in ("standardise", "learn", "spread") for step in steps)
    return max(training, sum(step in ("standardise", "evaluate", "scales") for step in steps))
