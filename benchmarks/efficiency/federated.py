"""Priors trained through secure sums beside the prior of the same people trained in one place: jobs of `federated_prior.py`."""

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial
from itertools import islice
from pathlib import Path
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
    "DELTA",
    "EPSILONS",
    "FRESH",
    "HELD_OUT",
    "MANY",
    "TERMS",
    "CohortJob",
    "EgoJob",
    "Terms",
    "log_loss",
    "make_devices",
    "train_all",
    "with_noise",
]

EPSILONS = (8.0, 2.0)
DELTA = 1e-5
HELD_OUT = 0.1
"""Share of the devices that train nothing; on these, scales and calibration are chosen."""
FRESH = range(60, 90)
"""Numbers of the policies on which the trainings of large cohorts are compared; nobody trains or is tested on them."""

_ITEMS = tuple(item.id for item in CATALOGUE)
_FIRST_DRAW = 100


@dataclass(frozen=True, slots=True)
class Terms:
    """What a training with noise does: gradient rounds without momentum, a clip bound, a step size."""

    rounds: int
    clip: float
    learning_rate: float


TERMS: Mapping[tuple[float, bool], Terms] = {
    (8.0, False): Terms(10, 2.0, 0.3),
    (2.0, False): Terms(10, 2.0, 0.1),
    (8.0, True): Terms(20, 4.0, 0.3),
    (2.0, True): Terms(20, 4.0, 0.3),
}
"""By epsilon, and whether there are `MANY` devices; chosen by ``--choose``, on other policies, without a wizard."""
MANY = 1000


@dataclass(frozen=True)
class EgoJob:
    """Train the priors of an ego's users in one regime on the other egos, and let its users play with each."""

    run: Run
    ego: str
    regime: str
    draws: int
    users: int

    @cached_property
    def path(self) -> Path:
        """See `efficiency.jobs.Job`."""
        run = self.run
        about = (digest(run.data, run.friends), run.seed, run.most_screens, self.draws, self.users)
        return (
            run.out / f"{self.regime}-{self.ego}-{name_of('federated', sorted(run.friends), self.ego, self.regime, *about)}.json"
        )

    def compute(self) -> None:
        """See `efficiency.jobs.Job`."""
        run = self.run
        others = sorted(ego for ego in run.friends if ego != self.ego)
        unseen = (self.ego, *run.friends[self.ego])
        devices = make_devices(run.data, others, self.regime, range(_FIRST_DRAW, _FIRST_DRAW + self.draws), run.seed, unseen)
        priors, told, halves = train_all(devices)
        people = [(draw, draw_person(run.data, self.ego, self.regime, draw, run.seed)) for draw in range(1, self.users + 1)]
        looked_at = {**halves, "left out": [_everybody(person) for _, person in people]}
        rows = []
        for name, prior in priors.items():
            told.setdefault(name, {})["losses"] = {who: log_loss(prior, some) for who, some in looked_at.items()}
            for draw, person in people:
                player = {"budget": "matrix", "regime": self.regime, "ego": self.ego, "draw": draw}
                played, _ = play_methods(person, prior, player, ["privwiz"], run.most_screens)
                rows += [{**row, "method": name} for row in played]
        counts = {who: len(some) for who, some in looked_at.items()}
        _write(self.path, {"ego": self.ego, "regime": self.regime, "devices": counts, "priors": told, "rows": rows})


def train_all(devices: Sequence[Device]) -> tuple[dict[str, Prior], dict[str, dict[str, Any]], dict[str, list[Examples]]]:
    """Train on the same devices in one place, through secure sums, and with noise.

    Returns
    -------
    priors : dict of str to Prior
    told : dict of str to dict
        What is to be said of those that were trained here.
    halves : dict of str to list of Examples
        Of the devices that train, and of those that are held out.
    """
    plan = TrainingPlan(validation_split=max(MINIMUM_COHORT, round(HELD_OUT * len(devices))) / len(devices), evaluate_every=20)
    training = Training(devices, _ITEMS, plan, ShareSum())
    learning, held = list(training.training.values()), list(training.validation.values())
    priors, told = {"none": Prior.flat(), "shipped": Prior.default()}, {}

    def keep(name: str, prior: Prior, start: float, **more: Any) -> None:
        priors[name], told[name] = prior, {"seconds": time.process_time() - start, **more}

    start = time.process_time()
    fitted = fit_prior([_labelled(device) for device in learning], _ITEMS)
    scales, kernel, calibration = tune([device.practise(fitted) for device in held])
    keep("central", replace(fitted, scales=kernel, calibration=calibration), start, scales=scales)
    start = time.process_time()
    *_, state = training.run()
    keep("federated", training.prior(state), start, **_said(training, state))
    for epsilon in EPSILONS:
        start = time.process_time()
        noisy, state = with_noise(learning, epsilon, TERMS[epsilon, len(learning) >= MANY])
        keep(f"epsilon {epsilon:g}", noisy.prior(state), start, **_said(noisy, state))
    return priors, told, {"training": _examples(learning), "held out": _examples(held)}


def with_noise(devices: Sequence[Device], epsilon: float, terms: Terms) -> tuple[Training, TrainingState]:
    """Learn the weights from the shipped prior's on, and nothing else: what the other rounds are about stays as it is there.

    The sums about how users differ have thousands of numbers, and those about scales can be had of the devices held out only, so
    that noise would drown them.
    """
    plan = TrainingPlan(**asdict(terms), momentum=0.0, validation_split=0.0, evaluate_every=terms.rounds, delta=DELTA)
    rounds = 1 + plan.rounds  # the loss is taken once before
    plan = replace(plan, noise_multiplier=multiplier_for(epsilon, DELTA, rounds))
    training = Training(devices, _ITEMS, plan, ShareSum(), Prior.default())
    return training, next(islice(training.run(), rounds - 1, None))


@dataclass(frozen=True)
class CohortJob:
    """Train the weights alone on more and more devices of all networks but the largest, with noise and without."""

    run: Run
    regime: str
    sizes: tuple[int, ...]

    @cached_property
    def path(self) -> Path:
        """See `efficiency.jobs.Job`."""
        run = self.run
        about = (digest(run.data, run.friends), sorted(run.friends), self.regime, self.sizes, run.seed)
        return run.out / f"cohorts-{self.regime}-{name_of('cohorts', *about)}.json"

    def compute(self) -> None:
        """See `efficiency.jobs.Job`."""
        run, most = self.run, max(self.sizes)
        egos = sorted(ego for ego, friends in run.friends.items() if len(friends) <= MOST_FRIENDS)
        draws = range(_FIRST_DRAW, _FIRST_DRAW - (-most // len(egos)))
        make = partial(make_devices, run.data, egos, self.regime, seed=run.seed)
        fresh = _examples(make(FRESH))
        devices = make(draws)
        first = Prior.default()
        found = []
        for size in self.sizes:
            # Every size has as many devices of each network as any other: one policy of each, then the next.
            some = [devices[k] for k in np.argsort(np.arange(len(devices)) % len(draws), kind="stable")[:size]]
            for epsilon in (None, *EPSILONS):
                start = time.process_time()
                if epsilon is None:
                    training = Training(some, _ITEMS, TrainingPlan(validation_split=0.0, evaluate_every=20), ShareSum(), first)
                    state = next(islice(training.run(), training.plan.rounds, None))
                else:
                    training, state = with_noise(some, epsilon, TERMS[epsilon, size >= MANY])
                trained, seconds = training.prior(state), time.process_time() - start
                losses = {"training": log_loss(trained, _examples(some)), "fresh": log_loss(trained, fresh)}
                told = {"devices": size, "epsilon": epsilon, "losses": losses, "seconds": seconds}
                found.append({**told, **_said(training, state)})
        start_losses = {"training": log_loss(first, _examples(devices[:most])), "fresh": log_loss(first, fresh)}
        _write(self.path, {"regime": self.regime, "egos": egos, "fresh": len(fresh), "start": start_losses, "trained": found})


def make_devices(
    data: Path, egos: Iterable[str], regime: str, draws: Iterable[int], seed: int = 0, unseen: Iterable[str] = ()
) -> list[Device]:
    """Make a device for each policy of each ego.

    Parameters
    ----------
    data : Path
    egos : iterable of str
    regime : str
    draws : iterable of int
        Numbers of the policies.
    seed : int
    unseen : iterable of str
        People who are taken out of all networks.
    """
    hidden, devices = set(unseen), []
    for ego in egos:
        people = [draw_person(data, ego, regime, draw, seed) for draw in draws]
        network, circles = without(people[0], hidden)
        features = friend_features(network, circles).values
        for draw, person in zip(draws, people, strict=True):
            allow = restricted(person.policy, network).allow
            told = np.sort(np.random.default_rng([seed, int(ego), draw]).permutation(network.n)[:LABELLED])
            stated = np.zeros(allow.shape, np.int8)
            stated[:, told] = np.where(allow[:, told], 1, -1)
            practise = partial(practise_on_answers, network, circles, CATALOGUE, stated, seed=draw)
            devices.append(Device(f"{ego}, policy {draw}", Examples(features[told], stated[:, told].T), practise))
    return devices


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
    spent = training.spent(state)
    return {
        "devices": len(training.training),
        "rounds": {step: sum(record.step == step for record in state.history) for step in dict.fromkeys(training.steps)},
        "scales": training.prior(state).provenance["scales"],
        "spent": None if spent is None else spent.to_dict(),
    }


def _write(path: Path, content: Mapping[str, Any]) -> None:
    with writing(path) as file:
        file.write(json.dumps(content).encode())
