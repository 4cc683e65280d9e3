"""What one device learns from: its user's labelled friends. It never leaves the device."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from privwiz.errors import DataError

__all__ = ["ExampleBatch", "Examples", "stack"]

Floats = npt.NDArray[np.float64]
Stated = npt.NDArray[np.int8]


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """The labelled friends of one user.

    Parameters
    ----------
    features : float array of shape (n, d)
        User-independent ones, such as `privwiz.prior.Prior.design` gives: circles mean nothing across users.
    stated : int8 array of shape (n, J)
        What the user said of each friend and item: 1 allow, -1 deny, 0 nothing.

    Raises
    ------
    DataError
        If the shapes do not fit, or something else is stated.
    """

    features: Floats
    stated: Stated

    def __post_init__(self) -> None:
        if self.features.ndim != 2 or self.stated.ndim != 2 or len(self.stated) != len(self.features):
            raise DataError(f"examples have features of shape {self.features.shape}, but labels of shape {self.stated.shape}")
        if not np.isin(self.stated, (-1, 0, 1)).all():
            raise DataError("a label of the examples is neither 1 (allow) nor -1 (deny) nor 0 (nothing said)")


@dataclass(frozen=True, slots=True, eq=False)
class ExampleBatch:
    """The examples of c simulated devices, filled up to the length of the longest: for simulations only.

    Parameters
    ----------
    features : float array of shape (c, n, d)
    stated : int8 array of shape (c, n, J)
        0 where it is filled up.
    size : int array of shape (c,)
        Friends of each device.
    """

    features: Floats
    stated: Stated
    size: npt.NDArray[np.intp]


def stack(devices: Sequence[Examples]) -> ExampleBatch:
    """Put the examples of several simulated devices side by side.

    Raises
    ------
    DataError
        If there is no device, or their features or items differ in number.
    """
    widths = {(one.features.shape[1], one.stated.shape[1]) for one in devices}
    if len(widths) != 1:
        raise DataError(f"devices with {sorted(widths)} features and items cannot be put side by side; it takes the same of each")
    ((d, items),) = widths
    size = np.array([len(one.features) for one in devices])
    features, stated = np.concatenate([one.features for one in devices]), np.concatenate([one.stated for one in devices])
    present = np.arange(size.max()) < size[:, None]
    if present.all():
        return ExampleBatch(features.reshape(*present.shape, d), stated.reshape(*present.shape, items), size)
    batch = ExampleBatch(np.zeros((*present.shape, d)), np.zeros((*present.shape, items), np.int8), size)
    batch.features[present], batch.stated[present] = features, stated
    return batch
