"""A simulated round: the devices of a cohort, played in this process, block by block."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from privwiz.federated.algorithms import Algorithm
from privwiz.federated.examples import Examples, stack
from privwiz.federated.privacy import clip
from privwiz.federated.rounds import OpenedSum, RoundPlan
from privwiz.federated.secure import SecureSum
from privwiz.federated.updates import Update, pack_batch, unpack

__all__ = ["blocks", "play_round", "train_round", "updates_of"]

Floats = npt.NDArray[np.float64]
State = TypeVar("State")

_ROWS = 8_192
"""Friends in a block, filled up to the longest device: about what fits the processor's cache."""


def train_round(
    algorithm: Algorithm[State, Update],
    state: State,
    devices: Mapping[int, Examples],
    plan: RoundPlan,
    engine: SecureSum,
) -> State:
    """Play one round: devices compute and clip to L2 norm ``plan.bound``, the engine adds, the model owner takes a step.

    Parameters
    ----------
    algorithm : Algorithm
    state
        Of this algorithm.
    devices : mapping of int to Examples
        Those of the cohort that take part. Only one block of them is held at a time, so a mapping that reads them when asked
        needs no more memory for more devices.
    plan : RoundPlan
        Its length is that of ``pack(algorithm.nothing(state))``.
    engine : SecureSum

    Raises
    ------
    SumRefused
        If the plan has another length, a device was not invited, or too few take part.

    Examples
    --------
    >>> from privwiz.federated.algorithms import Local, reptile, start
    >>> from privwiz.federated.secure import ShareSum
    >>> rng = np.random.default_rng(0)
    >>> features = rng.normal(size=(12, 30, 2))
    >>> devices = {device: Examples(x, np.sign(x[:, :1]).astype(np.int8)) for device, x in enumerate(features)}
    >>> state, engine = start(np.zeros((1, 2))), ShareSum()
    >>> for number in range(20):
    ...     plan = RoundPlan(number, cohort=frozenset(devices), length=2, bound=1.0)
    ...     state = train_round(reptile(Local(rate=0.5, steps=3)), state, devices, plan, engine)
    >>> bool(state.weights[0, 0] > 3 > abs(state.weights[0, 1]))
    True
    """
    opened = play_round(updates_of(algorithm, state, devices), plan, engine)
    return algorithm.server_update(state, unpack(algorithm.nothing(state), opened.total), opened.count)


def updates_of(
    algorithm: Algorithm[State, Update], state: State, devices: Mapping[int, Examples]
) -> Iterator[tuple[tuple[int, ...], Floats]]:
    """Yield the updates of devices, block by block: who they are, and the packed updates, shape (c, length)."""
    for block in blocks(devices):
        yield tuple(block), pack_batch(algorithm.client_updates(state, stack(list(block.values()))))


def play_round(updates: Iterable[tuple[Sequence[int], Floats]], plan: RoundPlan, engine: SecureSum) -> OpenedSum:
    """Clip updates to L2 norm ``plan.bound``, hand them in, and open their sum; errors are those of `train_round`."""
    engine.begin(plan)
    for devices, packed in updates:
        engine.submit_many(devices, clip(packed, plan.bound))
    return engine.open()


def blocks(devices: Mapping[int, Examples]) -> Iterator[dict[int, Examples]]:
    """Deal devices, in their order, into blocks that can be stacked without filling up the memory."""
    block: dict[int, Examples] = {}
    longest = 0
    for device, examples in devices.items():
        longest = max(longest, len(examples.stated))
        if block and longest * (len(block) + 1) > _ROWS:
            yield block
            block, longest = {}, len(examples.stated)
        block[device] = examples
    if block:
        yield block
