"""A user's device, made of an ego network and the user's answers: what a real one would do by itself, done for a simulation."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from privwiz.circles import find_circles
from privwiz.decisions import Decision
from privwiz.errors import DataError
from privwiz.features import friend_features
from privwiz.federated.examples import Examples
from privwiz.graphs import EgoNetwork
from privwiz.items import ProfileItem
from privwiz.prior import Prior
from privwiz.stated import stated_cells
from privwiz.tuning import Practice, practise_on_answers

__all__ = ["Device", "device_of", "digest"]


@dataclass(frozen=True, slots=True, eq=False)
class Device:
    """One user's device.

    Parameters
    ----------
    user : str
        Whose it is; for messages, never sent.
    examples : Examples
        The labelled friends, with features as `privwiz.features.friend_features` gives them.
    practise : callable
        Prior to what came of the user's practice with it, such as `privwiz.tuning.practise_on_answers`; for validation devices.
    """

    user: str
    examples: Examples
    practise: Callable[[Prior], Practice]


def device_of(
    network_of: Callable[[str], EgoNetwork],
    user: str,
    items: Sequence[ProfileItem],
    answers: Mapping[tuple[str, str], Decision | str],
    seed: int = 0,
) -> Device:
    """Make the device of a user who has given answers.

    Parameters
    ----------
    network_of : callable
        User to ego network. It is asked again when the device practises, so that networks need not be kept.
    user : str
    items : sequence of ProfileItem
        Answers about others are passed over.
    answers : mapping of (item, friend) to decision
        ``"ask"`` says nothing.
    seed : int
        Of the circles, and of what is held back in practice.

    Raises
    ------
    DataError
        If no answer is left, or one is not known.
    UnknownFriend
        If an answer is about somebody who is not a friend.
    """
    network = network_of(user)
    stated = stated_cells(network, answers, items)
    labelled = np.flatnonzero(stated.any(axis=0))
    if not labelled.size:
        raise DataError(f"user {user!r} has no answer (allow or deny) about these items; there is nothing to learn from")
    features = friend_features(network, find_circles(network, seed=seed)).values

    def practise(prior: Prior) -> Practice:
        again = network_of(user)
        return practise_on_answers(again, find_circles(again, seed=seed), items, stated, prior, seed)

    return Device(user, Examples(features[labelled], stated[:, labelled].T), practise)


def digest(devices: Sequence[Device]) -> str:
    """Return a SHA-256 of what all the devices learn from: equal for equal networks, profiles and answers."""
    found = hashlib.sha256()
    for device in devices:
        for part in (device.user.encode(), _bytes(device.examples.features), _bytes(device.examples.stated)):
            found.update(len(part).to_bytes(8, "little") + part)
    return found.hexdigest()


def _bytes(array: npt.NDArray[np.generic]) -> bytes:
    return np.ascontiguousarray(array).tobytes()
