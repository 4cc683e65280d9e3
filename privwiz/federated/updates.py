"""Everything that may leave a device. These types are the whole list, and none has room for a friend, an answer or a circle.

The types show *what* leaves; that their content tells nothing about one device is the work of shares, clipping and noise. Of c
devices at once, every array has a leading axis of c. A sum over devices has the type of what it adds.
"""

from dataclasses import dataclass, fields
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from privwiz.errors import DataError

__all__ = [
    "UPDATES",
    "CandidateLosses",
    "FeatureMoments",
    "PosteriorMoments",
    "ScalesLosses",
    "WeightChange",
    "WeightedChange",
    "pack",
    "pack_batch",
    "unpack",
]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class WeightChange:
    """By how much a device would change the weights of J items.

    Parameters
    ----------
    change : float array of shape (J, d)
    """

    change: Floats


@dataclass(frozen=True, slots=True, eq=False)
class WeightedChange:
    """The same, times how much the device counts.

    Parameters
    ----------
    change : float array of shape (J, d)
    weight : float array of shape (J,)
    """

    change: Floats
    weight: Floats


@dataclass(frozen=True, slots=True, eq=False)
class PosteriorMoments:
    """Where a user's own weights are, seen from the prior's mean, and how sure that is.

    Parameters
    ----------
    change : float array of shape (J, d)
    second : float array of shape (d (d + 1) / 2,)
        Upper triangle, row by row, of the mean over items of: the outer product of ``change`` with itself, plus the posterior
        covariance.
    """

    change: Floats
    second: Floats


@dataclass(frozen=True, slots=True, eq=False)
class CandidateLosses:
    """How badly each of k candidates predicts the labels of a device.

    Parameters
    ----------
    losses : float array of shape (k,)
    """

    losses: Floats


@dataclass(frozen=True, slots=True, eq=False)
class FeatureMoments:
    """What mean and standard deviation of the features are made of.

    Parameters
    ----------
    count : float array of shape ()
    total, squares : float array of shape (d,)
    """

    count: Floats
    total: Floats
    squares: Floats


@dataclass(frozen=True, slots=True, eq=False)
class ScalesLosses:
    """How badly the wizard with each of k kernel scales predicts the labels of a device, and how its calibration could improve.

    Parameters
    ----------
    losses : float array of shape (k,)
    squares : float array of shape (k,)
        Of how much better each is than the first: how much devices differ.
    gradient : float array of shape (k, 3)
        Of the loss by the numbers of `privwiz.calibration.Calibration`.
    curvature : float array of shape (k, 6)
        Upper triangle, row by row, of the loss's second derivatives.
    """

    losses: Floats
    squares: Floats
    gradient: Floats
    curvature: Floats


UPDATES = (WeightChange, WeightedChange, PosteriorMoments, CandidateLosses, FeatureMoments, ScalesLosses)
"""Every type that may leave a device."""

Update = TypeVar("Update", WeightChange, WeightedChange, PosteriorMoments, CandidateLosses, FeatureMoments, ScalesLosses)


def pack(update: Update) -> Floats:
    """Write the arrays of one device's update one after the other.

    >>> pack(WeightedChange(np.array([[0.5, -1.0]]), np.array([3.0])))
    array([ 0.5, -1. ,  3. ])
    """
    return np.concatenate([np.ravel(getattr(update, part.name)) for part in fields(update)])


def pack_batch(updates: Update) -> Floats:
    """Do the same for the updates of c devices, shape (c, length).

    >>> pack_batch(WeightedChange(np.array([[[0.5, -1.0]], [[0.0, 2.0]]]), np.array([[3.0], [4.0]])))
    array([[ 0.5, -1. ,  3. ],
           [ 0. ,  2. ,  4. ]])
    """
    parts = [np.asarray(getattr(updates, part.name)) for part in fields(updates)]
    return np.concatenate([part.reshape(len(part), -1) for part in parts], axis=1)


def unpack(like: Update, vector: npt.NDArray[np.float64]) -> Update:
    """Inverse of `pack`, for an update with the shapes of ``like``.

    Raises
    ------
    DataError
        If the length is another.
    """
    parts = [np.asarray(getattr(like, part.name)) for part in fields(like)]
    ends = np.cumsum([part.size for part in parts]).tolist()
    if vector.shape != (ends[-1],):
        raise DataError(f"a sum has shape {vector.shape}; updates of this kind are vectors of length {ends[-1]}")
    pieces = np.split(vector, ends[:-1])
    return type(like)(*(piece.reshape(part.shape) for piece, part in zip(pieces, parts, strict=True)))
