"""Federated learning of a logistic model, as pure functions: what a device computes, and what the model owner makes of the sums.

An `Algorithm` is a few functions that know nothing of each other's data: the server's half sees sums over a cohort and their
count, never one update. `client_update` is the plain version and the oracle; `client_updates` does the same for a batch of
simulated devices at once.

References
----------
.. [1] B. McMahan, E. Moore, D. Ramage, S. Hampson, B. Aguera y Arcas (2017). Communication-Efficient Learning of Deep Networks
   from Decentralized Data. AISTATS. arXiv:1602.05629
.. [2] A. Nichol, J. Achiam, J. Schulman (2018). On First-Order Meta-Learning Algorithms. arXiv:1803.02999
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from privwiz.federated.examples import ExampleBatch, Examples
from privwiz.federated.privacy import clip
from privwiz.federated.rounds import RoundPlan
from privwiz.federated.secure import SecureSum
from privwiz.federated.updates import Update, WeightChange, WeightedChange, pack, unpack

__all__ = ["Algorithm", "Weights", "fed_avg", "fed_sgd", "reptile", "train_round"]

Floats = npt.NDArray[np.float64]
State = TypeVar("State")


@dataclass(frozen=True, slots=True)
class Algorithm(Generic[State, Update]):
    """One way to learn from sums.

    Parameters
    ----------
    nothing : callable
        State to an update of zeros: the shapes of this algorithm.
    client_update : callable
        State and `Examples` of one device to its update.
    client_updates : callable
        State and `ExampleBatch` to the updates of all its devices.
    server_update : callable
        State, sum of updates and their count to the next state.
    """

    nothing: Callable[[State], Update]
    client_update: Callable[[State, Examples], Update]
    client_updates: Callable[[State, ExampleBatch], Update]
    server_update: Callable[[State, Update, int], State]


@dataclass(frozen=True, slots=True, eq=False)
class Weights:
    """Common weights of a logistic model.

    Parameters
    ----------
    weights : float array of shape (d,)
    """

    weights: Floats


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
        Those of the cohort that take part.
    plan : RoundPlan
        Its length is that of ``pack(algorithm.nothing(state))``.
    engine : SecureSum

    Raises
    ------
    SumRefused
        If the plan has another length, a device was not invited, or too few take part.

    Examples
    --------
    >>> from privwiz.federated.secure import ShareSum
    >>> rng = np.random.default_rng(0)
    >>> features = rng.normal(size=(12, 30, 2))
    >>> devices = {device: Examples(x, x[:, 0] > 0) for device, x in enumerate(features)}
    >>> state, engine = Weights(np.zeros(2)), ShareSum()
    >>> for number in range(20):
    ...     plan = RoundPlan(number, cohort=frozenset(devices), length=2, bound=1.0)
    ...     state = train_round(reptile(local_rate=0.5, steps=3), state, devices, plan, engine)
    >>> bool(state.weights[0] > 3 > abs(state.weights[1]))
    True
    """
    engine.begin(plan)
    for device, examples in devices.items():
        engine.submit(device, clip(pack(algorithm.client_update(state, examples)), plan.bound))
    opened = engine.open()
    return algorithm.server_update(state, unpack(algorithm.nothing(state), opened.total), opened.count)


def fed_sgd(rate: float) -> Algorithm[Weights, WeightChange]:
    """Every device sends the negative gradient of its mean log-loss; the server steps ``rate`` times their mean ([1]_)."""
    return Algorithm(
        nothing=_no_change,
        client_update=lambda state, examples: WeightChange(_descent(state.weights, examples)),
        client_updates=lambda state, batch: WeightChange(_descents(_everywhere(state.weights, batch), batch)),
        server_update=lambda state, total, count: Weights(state.weights + rate * total.change / count),
    )


def fed_avg(local_rate: float, steps: int, most: int = 100) -> Algorithm[Weights, WeightedChange]:
    """Devices take ``steps`` gradient steps; their changes are averaged by their number of examples ([1]_).

    A device counts for at most ``most`` examples, so that what one of them can say is bounded.
    """

    def server_update(state: Weights, total: WeightedChange, count: int) -> Weights:
        del count  # the weights add up to what counts
        return Weights(state.weights + total.change / max(float(total.weight), 1.0))

    def client_update(state: Weights, examples: Examples) -> WeightedChange:
        weight = np.array(float(min(len(examples.allow), most)))
        return WeightedChange(weight * _walk(state.weights, examples, local_rate, steps), weight)

    def client_updates(state: Weights, batch: ExampleBatch) -> WeightedChange:
        weight = np.minimum(batch.present.sum(axis=1), most).astype(float)
        return WeightedChange(weight[:, None] * _walks(state.weights, batch, local_rate, steps), weight)

    return Algorithm(
        nothing=lambda state: WeightedChange(np.zeros_like(state.weights), np.zeros(())),
        client_update=client_update,
        client_updates=client_updates,
        server_update=server_update,
    )


def reptile(local_rate: float, steps: int, rate: float = 1.0) -> Algorithm[Weights, WeightChange]:
    """Devices take ``steps`` gradient steps; the server goes ``rate`` of the way to where they end up on average ([2]_)."""
    return Algorithm(
        nothing=_no_change,
        client_update=lambda state, examples: WeightChange(_walk(state.weights, examples, local_rate, steps)),
        client_updates=lambda state, batch: WeightChange(_walks(state.weights, batch, local_rate, steps)),
        server_update=lambda state, total, count: Weights(state.weights + rate * total.change / count),
    )


def _no_change(state: Weights) -> WeightChange:
    return WeightChange(np.zeros_like(state.weights))


def _descent(weights: Floats, examples: Examples) -> Floats:
    """Negative gradient of the mean log-loss, written out; zeros without examples."""
    total: Floats = np.zeros_like(weights)
    for row, allow in zip(examples.features, examples.allow, strict=True):
        total += (float(allow) - expit(row @ weights)) * row
    return np.asarray(total / max(len(examples.allow), 1))


def _walk(weights: Floats, examples: Examples, rate: float, steps: int) -> Floats:
    own = weights
    for _ in range(steps):
        own = own + rate * _descent(own, examples)
    return own - weights


def _everywhere(weights: Floats, batch: ExampleBatch) -> Floats:
    return np.tile(weights, (len(batch.allow), 1))


def _descents(weights: Floats, batch: ExampleBatch) -> Floats:
    """`_descent` of every device at its own weights, shape (c, d)."""
    error = np.where(batch.present, batch.allow - expit((batch.features @ weights[:, :, None])[:, :, 0]), 0.0)
    total = (error[:, None, :] @ batch.features)[:, 0, :]
    return np.asarray(total / np.maximum(batch.present.sum(axis=1), 1)[:, None])


def _walks(weights: Floats, batch: ExampleBatch, rate: float, steps: int) -> Floats:
    start = _everywhere(weights, batch)
    own = start
    for _ in range(steps):
        own = own + rate * _descents(own, batch)
    return own - start
