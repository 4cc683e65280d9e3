"""Priors trained through secure sums, beside the prior of the same people trained in one place: jobs of `federated_prior.py`."""

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from efficiency.jobs import Run, name_of, play_methods
from efficiency.people import LABELLED, MOST_FRIENDS, Person, digest, draw_person, restricted, without
from privwiz.features import friend_features
from privwiz.federated.accounting import multiplier_for
from privwiz.federated.devices import Device
from privwiz.federated.examples import Examples
from privwiz.federated.rounds import MINIMUM_COHORT
from privwiz.federated.secure import ShareSum
from privwiz.federated.training import Training
from privwiz.federated.training_plan import TrainingPlan
from privwiz.federated.training_state import TrainingState
from privwiz.files import writing
from privwiz.items import CATALOGUE
from privwiz.pretrain import LabelledUser, fit_prior
from privwiz.prior import Prior
from privwiz.tuning import practise_on_answers, tune

__all__ = [
    "CHOSEN",
    "EPSILONS",
    "CohortJob",
    "EgoJob",
    "learn_weights",
    "log_loss",
    "make_devices",
    "make_training",
    "train_all",
]

EPSILONS, DELTA = (8.0, 2.0), 1e-5
HELD_OUT = 0.1
"""Share of the devices that train nothing; on these, scales and calibration are chosen."""
FRESH = range(60, 90)
"""Numbers of the policies on which trainings of large cohorts are compared; nobody trains or is tested on them."""
MANY, FEW_ROUNDS, FEW_CLIP = 1000, 3, 4.0
"""With noise and fewer than ``MANY`` devices: learning rounds, and the length to which a device shortens its gradient. All else
is as the library has it, and everything with more devices. ``federated_prior.py --choose`` compares others."""
CHOSEN: Mapping[str, Any] = MappingProxyType(
    {
        "epsilons": EPSILONS,
        "delta": DELTA,
        "held_out": HELD_OUT,
        "many": MANY,
        "few_rounds": FEW_ROUNDS,
        "few_clip": FEW_CLIP,
        "rounds": TrainingPlan().rounds,
        "clip": TrainingPlan().clip,
        "labelled": LABELLED,
        "most_friends": MOST_FRIENDS,
    }
)
"""For the page."""

_ITEMS = tuple(item.id for item in CATALOGUE)
_FIRST_DRAW = 100


@dataclass(frozen=True)
class EgoJob:
    """Train the priors of an ego's users in one regime on the other egos, and let its users play with each.

    Parameters
    ----------
    run : Run
    ego, regime : str
    draws : int
        Policies, and so devices, of each of the other networks.
    users : int
        Policies of this network that are played.
    """

    run: Run
    ego: str
    regime: str
    draws: int
    users: int

    @cached_property
    def path(self) -> Path:
        """See `efficiency.jobs.Job`."""
        run = self.run
        about = (digest(run.data, run.friends), self.ego, self.regime, self.draws, self.users, run.seed, run.most_screens)
        return run.out / f"{self.regime}-{self.ego}-{name_of('federated', *about)}.json"

    def compute(self) -> None:
        """See `efficiency.jobs.Job`."""
        run = self.run
        others = sorted(ego for ego in run.friends if ego != self.ego)
        unseen = (self.ego, *run.friends[self.ego])
        devices = make_devices(run.data, others, self.regime, range(_FIRST_DRAW, _FIRST_DRAW + self.draws), run.seed, unseen)
        priors, told, looked_at = train_all(devices)
        people = [(draw, draw_person(run.data, self.ego, self.regime, draw, run.seed)) for draw in range(1, self.users + 1)]
        looked_at["left out"] = [_everybody(person) for _, person in people]
        rows = []
        for name, prior in priors.items():
            told[name]["losses"] = {who: log_loss(prior, some) for who, some in looked_at.items()}
            for draw, person in people:
                player = {"budget": "matrix", "regime": self.regime, "ego": self.ego, "draw": draw}
                played, _ = play_methods(person, prior, player, ["privwiz"], run.most_screens)
                rows += [{**row, "method": name} for row in played]
        counts = {who: len(some) for who, some in looked_at.items()}
        _write(self.path, {"ego": self.ego, "regime": self.regime, "people": counts, "priors": told, "rows": rows})


@dataclass(frozen=True)
class CohortJob:
    """Learn the weights alone on more and more devices of all but the largest networks, with noise and without."""

    run: Run
    regime: str
    sizes: tuple[int, ...]

    @cached_property
    def path(self) -> Path:
        """See `efficiency.jobs.Job`."""
        about = (digest(self.run.data, self.run.friends), self.regime, self.sizes, self.run.seed)
        return self.run.out / f"cohorts-{self.regime}-{name_of('cohorts', *about)}.json"

    def compute(self) -> None:
        """See `efficiency.jobs.Job`."""
        run = self.run
        egos = sorted(ego for ego, friends in run.friends.items() if len(friends) <= MOST_FRIENDS)
        draws = -(-max(self.sizes) // len(egos))
        fresh = _examples(make_devices(run.data, egos, self.regime, FRESH, run.seed))
        devices = make_devices(run.data, egos, self.regime, range(_FIRST_DRAW, _FIRST_DRAW + draws), run.seed)
        in_turn = [devices[k] for k in np.arange(len(devices)).reshape(len(egos), draws).T.ravel()]
        trained = []
        for size in self.sizes:
            for epsilon in (None, *EPSILONS):
                start = time.process_time()
                training = make_training(in_turn[:size], epsilon, start=Prior.default())
                state = learn_weights(training)
                seconds, prior = time.process_time() - start, training.prior(state)
                learning = _examples(training.training.values())
                losses = {"training": log_loss(prior, learning), "fresh": log_loss(prior, fresh)}
                told = {"size": size, "epsilon": epsilon, "losses": losses, "seconds": seconds}
                trained.append({**told, **_said(training, state)})
        start_loss = log_loss(Prior.default(), fresh)
        _write(self.path, {"regime": self.regime, "egos": egos, "fresh": len(fresh), "start": start_loss, "trained": trained})


def make_devices(
    data: Path, egos: Iterable[str], regime: str, draws: Sequence[int], seed: int = 0, unseen: Iterable[str] = ()
) -> list[Device]:
    """Make a device for each policy of each ego.

    Parameters
    ----------
    data : Path
    egos : iterable of str
    regime : str
    draws : sequence of int
        Numbers of the policies.
    seed : int
    unseen : iterable of str
        People who are taken out of all networks.
    """
    hidden, devices = set(unseen), []
    for number, ego in enumerate(egos):
        network, circles = without(draw_person(data, ego, regime, draws[0], seed), hidden)
        features = friend_features(network, circles).values
        for draw in draws:
            allow = restricted(draw_person(data, ego, regime, draw, seed).policy, network).allow
            told = np.sort(np.random.default_rng([seed, number, draw]).permutation(network.n)[:LABELLED])
            stated = np.zeros(allow.shape, np.int8)
            stated[:, told] = np.where(allow[:, told], 1, -1)
            practise = partial(practise_on_answers, network, circles, CATALOGUE, stated, seed=draw)
            devices.append(Device(f"{ego}, policy {draw}", Examples(features[told], stated[:, told].T), practise))
    return devices


def train_all(devices: Sequence[Device]) -> tuple[dict[str, Prior], dict[str, dict[str, Any]], dict[str, list[Examples]]]:
    """Train on the same devices in one place, through secure sums, and with noise.

    With noise, the rounds about how users differ are left out: thousands of numbers, which it would drown.

    Returns
    -------
    priors : dict of str to Prior
        Those that were trained here, and two that were not.
    told : dict of str to dict
        What is to be said of each.
    looked_at : dict of str to list of Examples
        Of the devices that train, and of those that are held out.
    """
    training = make_training(devices)
    learning, held = list(training.training.values()), list(training.validation.values())
    start = time.process_time()
    fitted = fit_prior([_labelled(device) for device in learning], _ITEMS)
    scales, kernel, calibration = tune([device.practise(fitted) for device in held])
    priors = {"central": replace(fitted, scales=kernel, calibration=calibration)}
    told: dict[str, dict[str, Any]] = {"central": {"scales": scales, "seconds": time.process_time() - start}}
    for epsilon in (None, *EPSILONS):
        start = time.process_time()
        training = make_training(devices, epsilon)
        state = list(training.run())[-1] if epsilon is None else learn_weights(training)
        name = "federated" if epsilon is None else f"epsilon {epsilon:g}"
        priors[name] = training.prior(state)
        told[name] = {**_said(training, state), "seconds": time.process_time() - start}
    untrained = {"shipped": Prior.default(), "none": Prior.flat()}
    told |= {name: {} for name in untrained}
    return priors | untrained, told, {"training": _examples(learning), "held out": _examples(held)}


def make_training(
    devices: Sequence[Device], epsilon: float | None = None, start: Prior | None = None, **options: Any
) -> Training:
    """Prepare a training through secret shares; the same devices are held out whatever the noise.

    Parameters
    ----------
    devices : sequence of Device
    epsilon : float, optional
        After all learning rounds. Without it there is no noise, and everything is as the library has it.
    start : Prior, optional
        With noise, unless given, the shipped prior.
    **options
        Of the plan, instead of those that are chosen here.
    """
    held = max(MINIMUM_COHORT, round(HELD_OUT * len(devices))) / len(devices)
    chosen: dict[str, Any] = {"validation_split": held, "delta": DELTA}
    if epsilon is not None:
        chosen |= {"rounds": FEW_ROUNDS, "clip": FEW_CLIP} if len(devices) < MANY else {}
        start = start or Prior.default()
    plan = TrainingPlan(**{**chosen, **options})
    multiplier = 0.0 if epsilon is None else multiplier_for(epsilon, DELTA, plan.rounds)
    return Training(devices, _ITEMS, replace(plan, evaluate_every=plan.rounds, noise_multiplier=multiplier), ShareSum(), start)


def learn_weights(training: Training) -> TrainingState:
    """Play a training that has a prior to start from up to its last learning round: the weights are learnt, nothing else.

    A device that trains takes part in the learning rounds only, one held out in the one that takes the loss before them.
    """
    return next(islice(training.run(), training.plan.rounds, None))


def log_loss(prior: Prior, people: Iterable[Examples]) -> float:
    """Mean log-loss of the prior's weights alone, before any answer; every person and item counts once."""
    weights = prior.weights_for(_ITEMS)
    found = [np.logaddexp(0, -one.stated * (prior.design(one.features) @ weights.T)).mean() for one in people]
    return float(np.mean(found))


def _everybody(person: Person) -> Examples:
    """Return all friends of a person as examples."""
    features = friend_features(person.network, person.circles).values
    return Examples(features, np.where(person.policy.allow, 1, -1).astype(np.int8).T)


def _examples(devices: Iterable[Device]) -> list[Examples]:
    return [device.examples for device in devices]


def _labelled(device: Device) -> LabelledUser:
    return LabelledUser(device.examples.features, device.examples.stated.T > 0)


def _said(training: Training, state: TrainingState) -> dict[str, Any]:
    told = training.prior(state).provenance
    return {name: told[name] for name in ("devices", "rounds", "plan", "privacy", "scales")}


def _write(path: Path, content: Mapping[str, Any]) -> None:
    with writing(path) as file:
        file.write(json.dumps(content).encode())
