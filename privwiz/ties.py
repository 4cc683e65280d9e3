"""Ties between people: their weights checked, and any list of them brought into one canonical form."""

import math
from collections.abc import Callable, Sequence
from numbers import Real
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from privwiz.errors import DataError

__all__ = ["STRONGEST", "WEAKEST", "Floats", "Ints", "canonical_ties", "tie_weight", "tie_weights"]

Ints: TypeAlias = npt.NDArray[np.int32]
Floats: TypeAlias = npt.NDArray[np.float64]

WEAKEST, STRONGEST = 1e-100, 1e100
"""Limits of a tie's weight, far enough inside the floating-point numbers that sums and squares of weights stay finite."""

_NUMBERS = (str, Real)
_WEIGHT_RULE = f"a weight is a number from {WEAKEST:g} to {STRONGEST:g}"


def canonical_ties(
    n: int, rows: npt.NDArray[np.integer], cols: npt.NDArray[np.integer], weights: Floats | None
) -> tuple[Ints, Ints, Floats | None]:
    """Make any list of ties symmetric and canonical; of repeats the strongest counts.

    Parameters
    ----------
    n : int
        Number of people.
    rows, cols : integer arrays, shape (m,)
        Both ends of each tie, in any order; no self-ties.
    weights : float64 array of shape (m,), or None
        Their strengths.

    Returns
    -------
    indptr, indices, weights
        Compressed sparse rows: shapes (n + 1,), (2 m',) and (2 m',) or None, where m' ties differ.

    Examples
    --------
    >>> indptr, indices, weights = canonical_ties(3, np.array([2, 0]), np.array([0, 2]), np.array([1.0, 4.0]))
    >>> indptr.tolist(), indices.tolist(), weights.tolist()
    ([0, 1, 1, 2], [2, 0], [4.0, 4.0])
    """
    rows, cols = rows.astype(np.int64), cols.astype(np.int64)
    keys = np.concatenate([rows * n + cols, cols * n + rows])
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    first = np.flatnonzero(np.diff(keys, prepend=-1))
    keys = keys[first]
    if weights is not None and first.size:
        weights = np.maximum.reduceat(np.concatenate([weights, weights])[order], first)
    indptr = np.searchsorted(keys, np.arange(n + 1, dtype=np.int64) * n).astype(np.int32)
    return indptr, (keys % max(n, 1)).astype(np.int32), weights


def tie_weights(strengths: Sequence[object], pair: Callable[[int], tuple[str, str]]) -> Floats | None:
    """Return strengths as an array, 1 for each that is None; None if all are.

    Parameters
    ----------
    strengths : sequence
        What the data say about each tie.
    pair : callable
        The names of both people of tie number k, for the message.

    Raises
    ------
    DataError
        If a strength is not a number within the limits of a weight.
    """
    kinds = set(map(type, strengths))
    if kinds <= {type(None)}:
        return None
    weights = np.array(strengths if kinds == {float} else [_strength(value) for value in strengths], dtype=np.float64)
    wrong = np.flatnonzero(~((weights >= WEAKEST) & (weights <= STRONGEST)))
    if wrong.size:
        k = min(wrong.tolist(), key=pair)
        first, second = pair(k)
        value = strengths[k]
        raise DataError(f"the tie {first!r} - {second!r} has weight {value!r}; {_WEIGHT_RULE}")
    return weights


def _strength(value: object) -> float:
    if value is None:
        return 1.0
    try:
        return float(value) if isinstance(value, Real) else math.nan
    except OverflowError:
        return math.inf


def tie_weight(value: object) -> float | None:
    """Return the weight that a cell or attribute states, None if it is empty.

    Raises
    ------
    DataError
        If it is not a number within the limits of a weight.

    Examples
    --------
    >>> tie_weight("2.5"), tie_weight("")
    (2.5, None)
    """
    if value is None or value == "":
        return None
    try:
        weight = float(value) if isinstance(value, _NUMBERS) else math.nan
    except (ValueError, OverflowError):
        weight = math.nan
    if not WEAKEST <= weight <= STRONGEST:
        raise DataError(f"the tie has weight {value!r:.80}; {_WEIGHT_RULE}")
    return weight
