"""What one device learns from: its user's labelled friends. It never leaves the device."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from privwiz.errors import DataError

__all__ = ["ExampleBatch", "Examples", "stack"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """The labelled friends of one user, for one item.

    Parameters
    ----------
    features : float array of shape (n, d)
        User-independent ones, such as `privwiz.prior.Prior.design` gives: circles mean nothing across users.
    allow : bool array of shape (n,)

    Raises
    ------
    DataError
        If the shapes do not fit.
    """

    features: Floats
    allow: npt.NDArray[np.bool_]

    def __post_init__(self) -> None:
        if self.features.ndim != 2 or self.allow.shape != self.features.shape[:1]:
            raise DataError(f"examples have features of shape {self.features.shape}, but labels of shape {self.allow.shape}")


@dataclass(frozen=True, slots=True, eq=False)
class ExampleBatch:
    """The examples of c simulated devices, filled up to the length of the longest: for simulations only.

    Parameters
    ----------
    features : float array of shape (c, n, d)
    allow, present : bool array of shape (c, n)
    """

    features: Floats
    allow: npt.NDArray[np.bool_]
    present: npt.NDArray[np.bool_]


def stack(devices: Sequence[Examples]) -> ExampleBatch:
    """Put the examples of several simulated devices side by side.

    Raises
    ------
    DataError
        If there is no device, or their features differ in number.
    """
    widths = {one.features.shape[1] for one in devices}
    if len(widths) != 1:
        raise DataError(f"devices with {sorted(widths)} features cannot be put side by side; it takes one number of features")
    shape = (len(devices), max(len(one.allow) for one in devices))
    batch = ExampleBatch(np.zeros((*shape, widths.pop())), np.zeros(shape, bool), np.zeros(shape, bool))
    for k, one in enumerate(devices):
        n = len(one.allow)
        batch.features[k, :n], batch.allow[k, :n], batch.present[k, :n] = one.features, one.allow, True
    return batch
