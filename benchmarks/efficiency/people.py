"""Whom the benchmark plays with: ego networks of a folder, the policies simulated on them, and the priors of the others."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from privwiz.circles import Circles, find_circles
from privwiz.errors import DataError
from privwiz.graphs import EgoNetwork
from privwiz.pretrain import TrainingUser, train_prior
from privwiz.prior import Prior
from privwiz.simulate import SimulatedPolicy, simulate_policy
from privwiz.snap import read_snap_circles, read_snap_ego_network, snap_egos

__all__ = [
    "FEWEST_FRIENDS",
    "Person",
    "digest",
    "draw_person",
    "leave_one_out_prior",
    "look_through",
    "read_network",
    "restricted",
    "training_people",
    "without",
]

FEWEST_FRIENDS = 10
TRAINING_DRAWS = range(100, 105)
"""Numbers of the policies that priors are trained on; the test policies have lower ones."""
LABELLED = 40
"""Friends of a training user whose settings are known."""
PRACTISING, MOST_FRIENDS = 2, 400
"""How many training users of each network answer screens, so that scales and calibration can be chosen; none of larger networks,
to save time."""

_SEEDS = 1000
_PARTS = ("edges", "feat", "egofeat", "featnames", "circles")


@dataclass(frozen=True, slots=True, eq=False)
class Person:
    """A simulated user. A wizard is given network and circles found in it, and answers; never the policy.

    Parameters
    ----------
    network : EgoNetwork
    circles : Circles
        Found in the network.
    policy : SimulatedPolicy
    real_circles : tuple of tuple of str
        The hand-made circles that the policy was drawn from; nobody but the oracle looks at them.
    """

    network: EgoNetwork
    circles: Circles
    policy: SimulatedPolicy
    real_circles: tuple[tuple[str, ...], ...]


def look_through(data: Path) -> tuple[dict[str, tuple[str, ...]], dict[str, list[str]]]:
    """Return the friends of every ego that can be used, and of the others the reason why not.

    Raises
    ------
    DataError
        If the folder is missing, or nothing in it can be used.
    """
    if not data.is_dir():
        raise DataError("no such folder; give the folder of SNAP's ego networks, such as ego-Facebook", source=str(data))
    usable: dict[str, tuple[str, ...]] = {}
    skipped: dict[str, list[str]] = {}
    for ego in snap_egos(data):
        try:
            friends = read_snap_ego_network(data, ego).friends
            circles = read_snap_circles(data, ego) if (data / f"{ego}.circles").exists() else ()
            known = set(friends)
            strangers = [name for circle in circles for name in circle if name not in known]
        except DataError:
            skipped.setdefault("unreadable", []).append(ego)
            continue
        if strangers:
            skipped.setdefault("unreadable", []).append(ego)
        elif len(friends) < FEWEST_FRIENDS:
            skipped.setdefault(f"fewer than {FEWEST_FRIENDS} friends", []).append(ego)
        elif not circles:
            skipped.setdefault("without hand-made circles", []).append(ego)
        else:
            usable[ego] = friends
    if not usable:
        left = "; ".join(f"{reason}: {len(egos)}" for reason, egos in skipped.items()) or "it holds no .edges"
        raise DataError(f"no network here can be used ({left}); give the folder of SNAP's ego networks", source=str(data))
    return usable, skipped


def digest(data: Path, egos: Iterable[str]) -> str:
    """Return a hash of all files of these egos."""
    found = hashlib.sha256()
    for ego in sorted(egos):
        for part in _PARTS:
            found.update(f"{ego}.{part}\n".encode() + hashlib.sha256((data / f"{ego}.{part}").read_bytes()).digest())
    return found.hexdigest()


def draw_person(data: Path, ego: str, regime: str, draw: int, seed: int = 0) -> Person:
    """Read a network and draw a policy on it: the only place where hand-made circles are read."""
    network, circles = read_network(data, ego)
    real = read_snap_circles(data, ego)
    return Person(network, circles, simulate_policy(network, real, regime, _SEEDS * seed + draw), real)


@lru_cache(maxsize=4)
def read_network(data: Path, ego: str) -> tuple[EgoNetwork, Circles]:
    """Read a network and find its circles; the networks read last are remembered."""
    network = read_snap_ego_network(data, ego)
    return network, find_circles(network, seed=0)


def training_people(data: Path, egos: Sequence[str], regime: str, seed: int = 0) -> list[Person]:
    """Draw the users that the prior of another ego is trained on."""
    return [draw_person(data, ego, regime, draw, seed) for ego in egos for draw in TRAINING_DRAWS]


def leave_one_out_prior(people: Sequence[Person], unseen: Iterable[str], seed: int = 0) -> Prior:
    """Train the prior of one test user on other egos.

    Parameters
    ----------
    people : sequence of Person
        Training users, none of them the test user.
    unseen : iterable of str
        The test user and its friends: they are taken out of the training users' networks, so that nothing is learnt about them.
    seed : int
        Draws the labelled friends.

    Returns
    -------
    Prior
        `Prior.flat` where fewer than two networks are left to learn from.
    """
    hidden = set(unseen)
    users: list[TrainingUser] = []
    practising: Counter[str] = Counter()
    reduced: dict[str, tuple[EgoNetwork, Circles]] = {}
    for number, person in enumerate(people):
        ego = person.network.ego
        if ego not in reduced:
            reduced[ego] = without(person, hidden)
        network, circles = reduced[ego]
        told = np.sort(np.random.default_rng([seed, number]).permutation(network.n)[:LABELLED])
        if told.size:
            practises = network.n <= MOST_FRIENDS and practising[network.ego] < PRACTISING
            practising[network.ego] += practises
            users.append(TrainingUser(network, circles, restricted(person.policy, network), told, practises))
    if len(practising) < 2 or not any(user.practises for user in users):
        return Prior.flat()
    provenance = {"data": "simulated policies on other ego networks", "users": len(users), "labelled_friends": LABELLED}
    return train_prior(users, seed, provenance)


def without(person: Person, hidden: set[str]) -> tuple[EgoNetwork, Circles]:
    """Return the network of who is not hidden, and its circles."""
    network = person.network
    gone = hidden.intersection(network.friends)
    for friend in sorted(gone):
        network = network.without_friend(friend)
    return network, find_circles(network, seed=0) if gone else person.circles


def restricted(policy: SimulatedPolicy, network: EgoNetwork) -> SimulatedPolicy:
    """Return the policy about those who are in the network."""
    kept = np.isin(policy.friends, network.friends)
    return replace(policy, friends=network.friends, allow=policy.allow[:, kept], clean=policy.clean[:, kept])
