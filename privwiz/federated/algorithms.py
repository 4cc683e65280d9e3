"""Federated learning of logistic models, one for each item, as pure functions: the device's half and the model owner's half.

An `Algorithm` is a few functions that know nothing of each other's data: the server's half sees sums over a cohort and their
count, never one update. `client_update` is the plain version and the oracle; `client_updates` does the same for a batch of
simulated devices at once.

What is learnt is the least value of the loss: the mean over devices of each item's mean log-loss there (none where a user has
said nothing of the item), plus ``l2 / 2`` times the squared weights.

References
----------
.. [1] B. McMahan, E. Moore, D. Ramage, S. Hampson, B. Aguera y Arcas (2017). Communication-Efficient Learning of Deep Networks
   from Decentralized Data. AISTATS. arXiv:1602.05629
.. [2] A. Nichol, J. Achiam, J. Schulman (2018). On First-Order Meta-Learning Algorithms. arXiv:1803.02999
.. [3] T. Hsu, H. Qi, M. Brown (2019). Measuring the Effects of Non-Identical Data Distribution for Federated Visual
   Classification. arXiv:1909.06335
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from privwiz.federated.examples import ExampleBatch, Examples
from privwiz.federated.updates import Update, WeightChange, WeightedChange

__all__ = ["Algorithm", "Local", "Weights", "fed_avg", "fed_sgd", "reptile", "start"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]
State = TypeVar("State")


@dataclass(frozen=True, slots=True)
class Algorithm(Generic[State, Update]):
    """One way to learn from sums.

    Parameters
    ----------
    nothing : callable
        State to an update of zeros: the shapes of this algorithm.
    unmoved : callable
        State to the mean update that leaves it as it is.
    client_update : callable
        State and `Examples` of one device to its update.
    client_updates : callable
        State and `ExampleBatch` to the updates of all its devices.
    server_update : callable
        State, sum of updates and their count to the next state.
    """

    nothing: Callable[[State], Update]
    unmoved: Callable[[State], Update]
    client_update: Callable[[State, Examples], Update]
    client_updates: Callable[[State, ExampleBatch], Update]
    server_update: Callable[[State, Update, int], State]


@dataclass(frozen=True, slots=True, eq=False)
class Weights:
    """Common weights of J logistic models.

    Parameters
    ----------
    weights : float array of shape (J, d)
    velocity : float array of shape (J, d)
        What the server's momentum keeps of earlier steps.
    """

    weights: Floats
    velocity: Floats


@dataclass(frozen=True, slots=True)
class Local:
    """How a device trains.

    Parameters
    ----------
    rate : float
        Of each gradient step.
    steps : int
    batch : int, optional
        Friends per step, taken in the order in which the device has them, from the start again after the last; all unless given.
    l2 : float
        Penalty on the squared weights.
    """

    rate: float
    steps: int
    batch: int | None = None
    l2: float = 0.0


def start(weights: Floats) -> Weights:
    """Begin at these weights, at rest."""
    return Weights(weights, np.zeros_like(weights))


def fed_sgd(rate: float, momentum: float = 0.0, l2: float = 0.0) -> Algorithm[Weights, WeightChange]:
    """Every device sends the negative gradient of its loss; the server steps ``rate`` times their mean ([1]_).

    With momentum, the server goes on in the direction of earlier steps ([3]_).
    """
    return Algorithm(
        nothing=_no_change,
        unmoved=_no_change,
        client_update=lambda state, examples: WeightChange(_descent(state.weights, examples, range(len(examples.stated)), l2)),
        client_updates=lambda state, batch: WeightChange(_descents(_everywhere(state.weights, batch), batch, l2)),
        server_update=lambda state, total, count: _step(state, total.change / count, rate, momentum),
    )


def fed_avg(local: Local, rate: float = 1.0, momentum: float = 0.0, most: int = 100) -> Algorithm[Weights, WeightedChange]:
    """Devices take gradient steps; their changes are averaged by their number of labels ([1]_).

    A device counts for at most ``most`` labels of each item, so that what one of them can say is bounded.
    """

    def server_update(state: Weights, total: WeightedChange, count: int) -> Weights:
        del count  # the weights add up to what counts
        return _step(state, total.change / np.maximum(total.weight, 1.0)[:, None], rate, momentum)

    def client_update(state: Weights, examples: Examples) -> WeightedChange:
        weight = np.minimum((examples.stated != 0).sum(axis=0), most).astype(float)
        return WeightedChange(weight[:, None] * _walk(state.weights, examples, local), weight)

    def client_updates(state: Weights, batch: ExampleBatch) -> WeightedChange:
        weight = np.minimum((batch.stated != 0).sum(axis=1), most).astype(float)
        return WeightedChange(weight[:, :, None] * _walks(state.weights, batch, local), weight)

    def nothing(state: Weights) -> WeightedChange:
        return WeightedChange(np.zeros_like(state.weights), np.zeros(len(state.weights)))

    return Algorithm(
        nothing=nothing,
        unmoved=nothing,
        client_update=client_update,
        client_updates=client_updates,
        server_update=server_update,
    )


def reptile(local: Local, rate: float = 1.0, momentum: float = 0.0) -> Algorithm[Weights, WeightChange]:
    """Devices take gradient steps; the server goes ``rate`` of the way to where they end up on average ([2]_)."""
    return Algorithm(
        nothing=_no_change,
        unmoved=_no_change,
        client_update=lambda state, examples: WeightChange(_walk(state.weights, examples, local)),
        client_updates=lambda state, batch: WeightChange(_walks(state.weights, batch, local)),
        server_update=lambda state, total, count: _step(state, total.change / count, rate, momentum),
    )


def _no_change(state: Weights) -> WeightChange:
    return WeightChange(np.zeros_like(state.weights))


def _step(state: Weights, change: Floats, rate: float, momentum: float) -> Weights:
    velocity = momentum * state.velocity + change
    return Weights(state.weights + rate * velocity, velocity)


def _descent(weights: Floats, examples: Examples, rows: range | list[int], l2: float) -> Floats:
    """Negative gradient of the loss over some rows, written out; that of the penalty alone for an item without labels."""
    total: Floats = np.zeros_like(weights)
    for j, own in enumerate(weights):
        said = [row for row in rows if examples.stated[row, j]]
        for row in said:
            label, x = int(examples.stated[row, j]), examples.features[row]
            total[j] += label * expit(-label * (x @ own)) * x / len(said)
    return np.asarray(total - l2 * weights)


def _walk(weights: Floats, examples: Examples, local: Local) -> Floats:
    own, n = weights, len(examples.stated)
    width = n if local.batch is None else min(local.batch, n)
    for step in range(local.steps):
        rows = [(step * width + k) % n for k in range(width)]
        own = own + local.rate * _descent(own, examples, rows, local.l2)
    return own - weights


def _everywhere(weights: Floats, batch: ExampleBatch) -> Floats:
    return np.broadcast_to(weights, (len(batch.size), *weights.shape))


def _descents(weights: Floats, batch: ExampleBatch, l2: float) -> Floats:
    """`_descent` of every device at its own weights, shape (c, J, d)."""
    score = batch.features @ weights.transpose(0, 2, 1)
    label = batch.stated.astype(np.float64)
    error = label * expit(-label * score)
    labels = np.maximum(np.count_nonzero(batch.stated, axis=1), 1)
    return np.asarray(error.transpose(0, 2, 1) @ batch.features / labels[:, :, None] - l2 * weights)


def _walks(weights: Floats, batch: ExampleBatch, local: Local) -> Floats:
    first = _everywhere(weights, batch)
    own = first
    for step in range(local.steps):
        part = batch if local.batch is None else _minibatch(batch, step, local.batch)
        own = own + local.rate * _descents(own, part, local.l2)
    return own - first


def _minibatch(batch: ExampleBatch, step: int, width: int) -> ExampleBatch:
    """The friends that every device takes in this step."""
    own = np.minimum(width, batch.size)
    place = np.arange(own.max())
    rows = (step * own[:, None] + place) % np.maximum(batch.size, 1)[:, None]
    taken = (place < own[:, None])[:, :, None]
    features = np.take_along_axis(batch.features, rows[:, :, None], axis=1)
    stated = np.where(taken, np.take_along_axis(batch.stated, rows[:, :, None], axis=1), 0).astype(np.int8)
    return ExampleBatch(features, stated, own)
