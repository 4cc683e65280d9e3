"""What data owners compute from the weights of a round: a gradient, or where some local steps lead.

Each comes twice: for one owner, and for many simulated owners at once (`Lanes`), of which the first is the oracle.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from privwiz.errors import DataError
from privwiz.federated.data_owner import BaseDataOwner, LocalUpdate
from privwiz.federated.replica import Lanes

__all__ = ["default_cohort_fn", "default_model_fn", "reptile_cohort_fn", "reptile_model_fn"]

ModelFn = Callable[[BaseDataOwner], Sequence[npt.ArrayLike]]


def default_model_fn(data_owner: BaseDataOwner) -> Sequence[npt.ArrayLike]:
    """Return the gradients of the mean loss over the next batch of a data owner; for `secure_mean`."""
    x, y = next(data_owner.dataset)
    return data_owner.gradients(x, y)


def reptile_model_fn(
    data_owner: BaseDataOwner, iterations: int = 3, grad_fn: ModelFn = default_model_fn
) -> Sequence[npt.ArrayLike]:
    """Take local steps, each with the gradients of ``grad_fn``; return the change of the weights, for `secure_reptile`.

    References
    ----------
    .. [1] A. Nichol, J. Achiam, J. Schulman (2018). On First-Order Meta-Learning Algorithms. arXiv:1803.02999
    """
    for _ in range(_positive(iterations)):
        data_owner.apply_gradients(grad_fn(data_owner))
    return data_owner.change()


def default_cohort_fn(data_owners: Sequence[BaseDataOwner]) -> Iterator[LocalUpdate]:
    """Do as `default_model_fn` for simulated owners that share a working copy and have batches of one size."""
    first, lanes = data_owners[0], data_owners[0].replica.lanes(len(data_owners))
    x, y = _stacked(data_owners)
    return _each(lanes.gradients(first.broadcast.weights, [owner.seeds for owner in data_owners], x, y))


def reptile_cohort_fn(data_owners: Sequence[BaseDataOwner], iterations: int = 3) -> Iterator[LocalUpdate]:
    """Do as `reptile_model_fn` for simulated owners that share a working copy and have batches of one size.

    Raises
    ------
    DataError
        If the local optimizer looks at a variable as a whole (clipping of norms, averages of weights, Lamb, Adafactor, Muon).
    """
    first, lanes = data_owners[0], data_owners[0].replica.lanes(len(data_owners))
    if not Lanes.fit(first.optimizer):
        name = type(first.optimizer).__name__
        raise DataError(f"the local optimizer {name}, as it is set, cannot train owners at once; leave out cohort_model_fn")
    steps = [_stacked(data_owners) for _ in range(_positive(iterations))]
    return _each(lanes.train(first.broadcast.weights, [owner.seeds for owner in data_owners], steps))


def _stacked(data_owners: Sequence[BaseDataOwner]) -> tuple[npt.NDArray[np.generic], npt.NDArray[np.generic]]:
    """Next batch of every owner, with a leading axis of owners."""
    xs, ys = zip(*(next(owner.dataset) for owner in data_owners), strict=True)
    return np.stack(xs), np.stack(ys)


def _each(updates: tuple[Sequence[npt.NDArray[np.generic]], Sequence[npt.NDArray[np.generic]]]) -> Iterator[LocalUpdate]:
    trainable, state = updates
    for lane in range(len(trainable[0])):
        yield LocalUpdate([array[lane] for array in trainable], [array[lane] for array in state])


def _positive(iterations: int) -> int:
    if not iterations >= 1:
        raise DataError(f"reptile is to take {iterations!r} local steps; it needs at least 1")
    return iterations
