"""Training a prior across devices: the rounds, one after the other, each through a secure sum.

The model owner's whole knowledge is a `TrainingState`; it changes by opened sums only. The devices are played in this process.
"""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import compress
from typing import Any, Generic, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from privwiz.errors import DataError, GoneAstray, SumRefused
from privwiz.features import FEATURES
from privwiz.federated.accounting import PrivacySpent, multiplier_for, spent_by
from privwiz.federated.algorithms import Algorithm, Local, Weights, fed_avg, fed_sgd, reptile
from privwiz.federated.devices import Device
from privwiz.federated.examples import Examples
from privwiz.federated.fixed_point import FRACTION_BITS
from privwiz.federated.privacy import noise_variance, shrink
from privwiz.federated.rounds import PARTIES, OpenedSum, RoundPlan
from privwiz.federated.scales import (
    TriedScales,
    chosen_scales,
    first_scales,
    nothing_tried,
    scales_losses,
    scales_step,
    try_scales,
)
from privwiz.federated.secure import SecureSum
from privwiz.federated.simulation import play_round, updates_of
from privwiz.federated.statistics import (
    Candidates,
    GaussianPrior,
    Standardisation,
    empirical_bayes,
    hyperparameter_search,
    standardisation,
)
from privwiz.federated.training_plan import BOUNDS, L2, Step, TrainingPlan, check_clip, rounds_of_one_device, schedule, split
from privwiz.federated.training_state import RoundRecord, TrainingState
from privwiz.federated.updates import Update, pack, unpack
from privwiz.posterior import bound_weight
from privwiz.prior import MOST_WEIGHT, Prior
from privwiz.tuning import CANDIDATES
from privwiz.words import amount

__all__ = ["Training"]

Floats = npt.NDArray[np.float64]
State = TypeVar("State")

_FIRST_VARIANCE = 0.05
_PSEUDO_USERS = 20.0
_COARSE_BITS = 16
"""Of standardisation, whose sums are large: steps of 1.5e-5, and room for ten million devices."""
_MOST_DRAWS = 1000
_NOISE_MARGIN = 3.0
"""So many standard deviations of noise between two losses are no noise."""


@dataclass(frozen=True, slots=True, eq=False)
class _Played:
    """A round that was opened, and how long its parts took."""

    opened: OpenedSum
    seconds: Mapping[str, float]


_Done: TypeAlias = tuple[TrainingState, _Played, float | None]
"""The state after a round, the round, and the loss if that is what it was about."""


class Training:
    """A training of one prior.

    Parameters
    ----------
    devices : sequence of Device
    items : sequence of str, length J
        What the labels are about.
    plan : TrainingPlan
    engine : SecureSum
    start : Prior, optional
        Its standardisation, weights and covariance are where the training begins; its scales and calibration stay where none are
        chosen. Unless given, features are standardised federatedly, weights begin at zero, and scales and calibration, where none
        are chosen, are those of the shipped prior. With noise, a start has to be given: standardisation is not for noisy sums.

    Raises
    ------
    DataError
        If the shapes of the examples do not fit, there are too few devices, their updates could be too long to add up, or noise
        has no start.

    Examples
    --------
    >>> from privwiz.federated.devices import device_of
    >>> from privwiz.federated.secure import ShareSum
    >>> from privwiz.graphs import build_ego_network
    >>> from privwiz.items import profile_items
    >>> friends = ["ann", "bo", "cy", "di"]
    >>> answers = {("phone", "ann"): "allow", ("phone", "bo"): "allow", ("phone", "di"): "deny"}
    >>> def network_of(user):
    ...     return build_ego_network(user, friends, [("ann", "bo"), ("bo", "cy")])
    >>> devices = [device_of(network_of, f"user {k}", profile_items(["phone"]), answers) for k in range(10)]
    >>> training = Training(devices, ["phone"], TrainingPlan(rounds=2), ShareSum())
    >>> for state in training.run():
    ...     print(state.history[-1].step, state.history[-1].contributors)
    standardise 10
    evaluate 10
    learn 10
    learn 10
    evaluate 10
    spread 10
    spread 10
    spread 10
    >>> training.prior(state).provenance["rounds"]
    {'standardise': 1, 'evaluate': 2, 'learn': 2, 'spread': 3}
    """

    def __init__(
        self, devices: Sequence[Device], items: Sequence[str], plan: TrainingPlan, engine: SecureSum, start: Prior | None = None
    ) -> None:
        if plan.noise_multiplier and start is None:
            raise DataError("a training with noise needs a prior to start from: its standardisation is taken as it is")
        _check(devices, len(items))
        self.plan, self.items, self.start, self.engine = plan, tuple(items), start, engine
        order = np.random.default_rng([plan.seed, 0]).permutation(len(devices)).tolist()
        held = split(plan, len(devices))
        self.validation = {number: _shuffled(devices[number], plan.seed, number) for number in sorted(order[:held])}
        self.training = {number: _shuffled(devices[number], plan.seed, number) for number in sorted(order[held:])}
        check_clip(plan, len(self.training))
        self.steps = schedule(plan, standardises=start is None, validates=held > 0)
        self._features = start.features if start else tuple(FEATURES)
        self._local = Local(plan.local_learning_rate, plan.local_steps, plan.batch_size, L2)
        self._trials: Mapping[int, Any] | None = None

    def plan_for(self, epsilon: float) -> TrainingPlan:
        """Return the same plan with the least noise that keeps every device within this epsilon over all rounds."""
        return replace(self.plan, noise_multiplier=multiplier_for(epsilon, self.plan.delta, self._rounds(self.steps)))

    def first(self) -> TrainingState:
        """Where the training begins."""
        start = self.start or _blank(self.items)
        weights = start.weights_for(self.items)
        covariance = start.covariance if self.start else _FIRST_VARIANCE * np.eye(weights.shape[1])
        tried = first_scales(len(CANDIDATES))
        return TrainingState(
            next_round=0,
            lost=0,
            center=start.center,
            scale=start.scale,
            weights=weights,
            velocity=np.zeros_like(weights),
            covariance=covariance,
            calibrations=tried.calibrations,
            losses=tried.losses,
            squares=tried.squares,
            tried=0,
            history=(),
        )

    def run(
        self, state: TrainingState | None = None, keep: Callable[[TrainingState], None] = lambda _: None
    ) -> Iterator[TrainingState]:
        """Play the rounds that are left, and yield the state after each.

        Parameters
        ----------
        state : TrainingState, optional
            To go on from; unless given, from the beginning. After a round that failed, go on from the `claimed` state before it.
        keep : callable
            Is given every state that has to survive this process: where the training begins, what each round made of it, and,
            before a round with noise, the `claimed` state, so that no round that may have been opened is ever forgotten.

        Raises
        ------
        SumRefused
            If a sum must not be, such as one of too few devices, or a party of it is lost.
        DataError
            If the state is of another schedule.
        GoneAstray
            If the weights are no longer numbers that make sense.
        """
        state = self.first() if state is None else state
        done = [record.step for record in state.history]
        if done != list(self.steps[: len(done)]):
            raise DataError(f"a state after the rounds {', '.join(done)} is of another training; its rounds are other ones")
        keep(state)
        for step in self.steps[len(done) :]:
            if self.plan.noise_multiplier:
                keep(self.claimed(state))
            state = self._play(step, state)
            keep(state)
            yield state

    def claimed(self, state: TrainingState) -> TrainingState:
        """Return the state with one more round lost: what is known of a round that may or may not have been opened."""
        return replace(state, next_round=state.next_round + 1, lost=state.lost + 1)

    def spent(self, state: TrainingState) -> PrivacySpent | None:
        """Return what the rounds so far, and those that were lost, give away about one device; None without noise."""
        if not self.plan.noise_multiplier:
            return None
        done = self.steps[: len(state.history)]
        return spent_by(self.plan.noise_multiplier, self._rounds(done) + state.lost, self.plan.delta)

    def prior(self, state: TrainingState, provenance: Mapping[str, Any] | None = None) -> Prior:
        """Return the prior that a state stands for, with its provenance.

        Parameters
        ----------
        state : TrainingState
        provenance : mapping, optional
            Is kept beside what the training says of itself.

        Raises
        ------
        GoneAstray
            If the losses say that the weights are worse than those at the beginning and than none, by more than noise alone
            may, and no scales and calibration were chosen: a wizard would be sure of what is wrong.
        """
        fallback = self.start or Prior.default()
        name, scales, calibration = "those of the prior that it started from", fallback.scales, fallback.calibration
        if state.losses.any():
            name, scales, calibration = chosen_scales(_tried(state))
        else:
            self._check_losses(state)
        contributors = [record.contributors for record in state.history if record.step == "learn"]
        spent = self.spent(state)
        told = {
            "algorithm": self.plan.algorithm,
            "rounds": {step: sum(record.step == step for record in state.history) for step in dict.fromkeys(self.steps)},
            "devices": {"training": len(self.training), "validation": len(self.validation)},
            "cohorts": {"smallest": min(contributors, default=0), "largest": max(contributors, default=0)},
            "privacy": None if spent is None else spent.to_dict(),
            "plan": self.plan.to_dict(),
            "scales": name,
            "start": None if self.start is None else dict(self.start.provenance),
        }
        return replace(self._prior(state), scales=scales, calibration=calibration, provenance={**(provenance or {}), **told})

    def _check_losses(self, state: TrainingState) -> None:
        judged = [
            (record.loss, record.contributors)
            for record in state.history
            if record.step == "evaluate" and record.loss is not None
        ]
        if not judged:
            return
        (before, some), (after, others) = judged[0], judged[-1]
        noise = self.plan.noise_multiplier * BOUNDS["evaluate"] * math.sqrt(PARTIES)
        if after - max(before, math.log(2)) > _NOISE_MARGIN * noise * math.hypot(1 / some, 1 / others):
            raise GoneAstray(
                f"the loss went from {before:.4f} to {after:.4f}, and ln 2 = 0.6931 is knowing nothing; "
                "take smaller learning rates, or fewer rounds"
            )

    def _rounds(self, steps: Sequence[Step]) -> int:
        return rounds_of_one_device(tuple(steps), validates=bool(self.validation))

    def _play(self, step: Step, state: TrainingState) -> TrainingState:
        plays: Mapping[Step, Callable[[TrainingState], _Done]] = {
            "standardise": self._standardise,
            "evaluate": self._evaluate,
            "learn": self._learn,
            "spread": self._spread,
            "scales": self._scales,
        }
        with np.errstate(over="ignore", invalid="ignore"):
            after, played, loss = plays[step](state)
            norm = float(np.linalg.norm(after.weights - state.weights))
        if not (np.isfinite(norm) and np.isfinite(after.covariance).all()):
            raise GoneAstray(f"a round of {step} led to numbers that are not finite; take smaller learning rates")
        if (largest := np.abs(after.weights).max(initial=0)) > MOST_WEIGHT:
            raise GoneAstray(f"a round of {step} led to a weight of {largest:g}, far from any sense; take smaller learning rates")
        record = RoundRecord(
            step=step,
            round_id=state.next_round,
            contributors=played.opened.count,
            norm=norm,
            loss=loss,
            seconds=played.seconds,
        )
        return replace(after, next_round=state.next_round + 1, history=(*state.history, record))

    def _standardise(self, state: TrainingState) -> _Done:
        everybody = {number: device.examples for number, device in sorted((self.training | self.validation).items())}
        begun = Standardisation(state.center, state.scale)
        found, played = self._round("standardise", standardisation(), begun, everybody, state)
        return replace(state, center=found.center, scale=found.scale), played, None

    def _evaluate(self, state: TrainingState) -> _Done:
        candidates = Candidates(state.weights[None], np.zeros(1))
        devices = self._designed(state, self.validation or self.training)
        judged, played = self._round("evaluate", hyperparameter_search(), candidates, devices, state)
        return state, played, float(judged.losses[0])

    def _learn(self, state: TrainingState) -> _Done:
        plan = self.plan
        assert plan.learning_rate is not None, "a plan fills it in"
        devices = self._designed(state, self._cohort(state))
        if plan.algorithm == "empirical-bayes":
            algorithm = empirical_bayes(pseudo_users=_PSEUDO_USERS, pseudo_variance=_FIRST_VARIANCE)
            learnt, played = self._round("learn", algorithm, GaussianPrior(state.weights, state.covariance), devices, state)
            mean = state.weights + plan.learning_rate * (learnt.mean - state.weights)
            return replace(state, weights=mean, covariance=learnt.covariance), played, None
        weights = Weights(state.weights, state.velocity)
        if plan.algorithm == "fedsgd":
            descent = fed_sgd(plan.learning_rate, plan.momentum, L2)
            stepped, played = self._round("learn", descent, weights, devices, state)
        elif plan.algorithm == "fedavg":
            averaging = fed_avg(self._local, plan.learning_rate, plan.momentum)
            stepped, played = self._round("learn", averaging, weights, devices, state)
        else:
            averaging_all = reptile(self._local, plan.learning_rate, plan.momentum)
            stepped, played = self._round("learn", averaging_all, weights, devices, state)
        return replace(state, weights=stepped.weights, velocity=stepped.velocity), played, None

    def _spread(self, state: TrainingState) -> _Done:
        algorithm = empirical_bayes(
            moves_mean=False, curvature=bound_weight, pseudo_users=_PSEUDO_USERS, pseudo_variance=_FIRST_VARIANCE
        )
        devices = self._designed(state, self._cohort(state))
        learnt, played = self._round("spread", algorithm, GaussianPrior(state.weights, state.covariance), devices, state)
        return replace(state, covariance=learnt.covariance), played, None

    def _scales(self, state: TrainingState) -> _Done:
        if self._trials is None:
            prior = self._prior(state)
            self._trials = {number: try_scales(device.practise(prior)) for number, device in self.validation.items()}
        tried = _tried(state)
        nothing = nothing_tried(tried)
        updates = (((number,), pack(scales_losses(tried, trials))[None]) for number, trials in self._trials.items())
        opened, seconds = self._sum("scales", len(pack(nothing)), self._trials, updates, state)
        after = scales_step(tried, unpack(nothing, opened.total), opened.count)
        kept = replace(state, calibrations=after.calibrations, losses=after.losses, squares=after.squares, tried=after.devices)
        return kept, _Played(opened, seconds), float(after.losses[0])

    def _round(
        self,
        step: Step,
        algorithm: Algorithm[State, Update],
        begun: State,
        devices: Mapping[int, Examples],
        state: TrainingState,
    ) -> tuple[State, _Played]:
        nothing = algorithm.nothing(begun)
        opened, seconds = self._sum(step, len(pack(nothing)), devices, updates_of(algorithm, begun, devices), state)
        start = time.perf_counter()
        total = unpack(nothing, opened.total)
        if self.plan.noise_multiplier:
            total = self._denoised(step, algorithm, begun, total, opened.count)
        after = algorithm.server_update(begun, total, opened.count)
        return after, _Played(opened, {**seconds, "owner": time.perf_counter() - start})

    def _denoised(self, step: Step, algorithm: Algorithm[State, Update], begun: State, total: Update, count: int) -> Update:
        """Draw the mean update towards the one that changes nothing, each array by itself.

        The noise of three parties is reckoned with; an engine of two adds a third less.
        """
        unmoved = algorithm.unmoved(begun)
        variance = PARTIES * self._noise(step, len(pack(unmoved))) / 4.0**FRACTION_BITS / count**2
        means = [(getattr(total, part.name) / count, getattr(unmoved, part.name)) for part in fields(total)]
        return type(total)(*(count * (still + shrink(mean - still, variance)) for mean, still in means))

    def _noise(self, step: Step, length: int) -> int:
        return noise_variance(self.plan.noise_multiplier, self._bound(step), length)

    def _bound(self, step: Step) -> float:
        assert self.plan.clip is not None, "a plan fills it in"
        return self.plan.clip if step == "learn" else BOUNDS[step]

    def _sum(
        self,
        step: Step,
        length: int,
        devices: Mapping[int, object],
        updates: Iterable[tuple[Sequence[int], Floats]],
        state: TrainingState,
    ) -> tuple[OpenedSum, dict[str, float]]:
        plan = self.plan
        terms = RoundPlan(
            round_id=state.next_round,
            cohort=frozenset(devices),
            length=length,
            bound=self._bound(step),
            fraction_bits=_COARSE_BITS if step == "standardise" else FRACTION_BITS,
            noise_variance=self._noise(step, length),
            minimum=plan.min_cohort,
            simulation=plan.simulation,
        )
        waiting = _Timed(updates)
        start = time.perf_counter()
        opened = play_round(waiting, terms, self.engine)
        return opened, {"devices": waiting.seconds, "sum": time.perf_counter() - start - waiting.seconds, "owner": 0.0}

    def _designed(self, state: TrainingState, devices: Mapping[int, Device]) -> "_Designed":
        return _Designed(self._prior(state), devices)

    def _cohort(self, state: TrainingState) -> dict[int, Device]:
        if self.plan.participation == 1:
            return self.training
        rng = np.random.default_rng([self.plan.seed, 1, len(state.history)])
        for _ in range(_MOST_DRAWS):
            takes_part = rng.random(len(self.training)) < self.plan.participation
            if takes_part.sum() >= self.plan.min_cohort:
                return dict(compress(self.training.items(), takes_part))
        raise SumRefused(
            f"with participation {self.plan.participation:g}, hardly ever {self.plan.min_cohort} of "
            f"{amount(len(self.training), 'device')} take part; raise it, or get more devices"
        )

    def _prior(self, state: TrainingState) -> Prior:
        return Prior(self._features, state.center, state.scale, self.items, state.weights, state.covariance)


class _Designed(Mapping[int, Examples]):
    """The examples of devices as the model sees them: standardised when asked for, and not kept."""

    def __init__(self, prior: Prior, devices: Mapping[int, Device]) -> None:
        self._prior, self._devices = prior, devices

    def __getitem__(self, number: int) -> Examples:
        examples = self._devices[number].examples
        return Examples(self._prior.design(examples.features), examples.stated)

    def __iter__(self) -> Iterator[int]:
        return iter(self._devices)

    def __len__(self) -> int:
        return len(self._devices)


T = TypeVar("T")


class _Timed(Generic[T]):
    """An iterable that keeps how long its values were waited for."""

    def __init__(self, values: Iterable[T]) -> None:
        self._values = iter(values)
        self.seconds = 0.0

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        start = time.perf_counter()
        try:
            return next(self._values)
        finally:
            self.seconds += time.perf_counter() - start


def _blank(items: tuple[str, ...]) -> Prior:
    d = len(FEATURES)
    return Prior(tuple(FEATURES), np.zeros(d), np.ones(d), items, np.zeros((len(items), d + 1)), np.zeros((d + 1, d + 1)))


def _tried(state: TrainingState) -> TriedScales:
    return TriedScales(state.calibrations, state.losses, state.squares, state.tried)


def _shuffled(device: Device, seed: int, number: int) -> Device:
    examples = device.examples
    order = np.random.default_rng([seed, 2, number]).permutation(len(examples.stated))
    return replace(device, examples=Examples(examples.features[order], examples.stated[order]))


def _check(devices: Sequence[Device], items: int) -> None:
    if not items:
        raise DataError("a training needs at least one item")
    for device in devices:
        shapes = device.examples.features.shape[1:], device.examples.stated.shape[1:]
        if shapes != ((len(FEATURES),), (items,)):
            raise DataError(
                f"user {device.user!r}: examples have {shapes[0][0]} features and {amount(shapes[1][0], 'item')}; "
                f"it takes {len(FEATURES)} features and {amount(items, 'item')}"
            )
