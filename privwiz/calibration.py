"""Recalibration: how sure the model may be, learnt from how often it was right about users that did not train it."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import expit, logit

from privwiz.errors import DataError

__all__ = ["BOUNDS", "PULL", "Calibration", "calibration_design", "fit_calibration", "log_loss"]

Floats = npt.NDArray[np.floating]

BOUNDS: Mapping[str, tuple[float, float]] = MappingProxyType(
    {"slope": (0.0, 4.0), "slope_per_log_answer": (-1.0, 1.0), "intercept": (-1.0, 1.0)}
)
"""Least and largest value of each number of a calibration."""
PULL = 1e-4
"""How strongly a fit is drawn towards no change: the factor of the squared distance from it."""

_MOST_ANSWERS = 200
_LEAST = 1e-9


@dataclass(frozen=True, slots=True)
class Calibration:
    """Platt scaling whose slope depends on how much has been said.

    With p the model's probability and K the number of answers it has, the calibrated probability is

        sigmoid(intercept + (slope + slope_per_log_answer log(1 + K)) logit p)

    where a slope that would be negative is zero (J. Platt, "Probabilistic outputs for support vector machines", Advances in Large
    Margin Classifiers, 2000; the dependence on K is this library's own: see docs/decisions.md). The default changes nothing.

    Raises
    ------
    DataError
        If one of the numbers is not finite, or is out of the bounds within which answers, not the calibration, decide: slopes of
        0 to 4, growth of -1 to 1, and an intercept of -1 to 1.

    Examples
    --------
    >>> Calibration(slope=2.0).apply(np.array([0.2, 0.5, 0.8]), answers=0).round(3)
    array([0.059, 0.5  , 0.941])
    """

    slope: float = 1.0
    slope_per_log_answer: float = 0.0
    intercept: float = 0.0

    def __post_init__(self) -> None:
        for part in fields(self):
            value, (low, high) = getattr(self, part.name), BOUNDS[part.name]
            if isinstance(value, bool) or not (isinstance(value, int | float) and low <= value <= high):
                raise DataError(f"calibration: {part.name} is {value!r}; it must be a number from {low} to {high}")
            object.__setattr__(self, part.name, float(value))

    def apply(self, probability: Floats, answers: int) -> npt.NDArray[np.float64]:
        """Return the calibrated probabilities, of the same shape; the order of cells never changes.

        More than 200 answers count as 200: nobody gave more in practice.
        """
        slope = max(0.0, self.slope + self.slope_per_log_answer * np.log1p(min(answers, _MOST_ANSWERS)))
        return np.asarray(expit(self.intercept + slope * _logit(probability)), dtype=np.float64)


def fit_calibration(probability: Floats, answers: Floats, allow: npt.NDArray[np.bool_], weight: Floats) -> Calibration:
    """Fit by weighted maximum likelihood, drawn slightly towards no change; the numbers are rounded to four decimals.

    Parameters
    ----------
    probability : float array of shape (N,)
        Of the model as it is.
    answers : float array of shape (N,)
        How many answers the model had.
    allow : bool array of shape (N,)
        The truth.
    weight : float array of shape (N,)
        How much each cell counts; not all zero.
    """
    design, share = calibration_design(probability, answers).T, weight / weight.sum()
    sign = np.where(allow, 1.0, -1.0)
    start = np.array([1.0, 0.0, 0.0])

    def loss(parameters: Floats) -> tuple[float, Floats]:
        margin = sign * (parameters @ design)
        away = parameters - start
        value = float(share @ np.logaddexp(0, -margin)) + PULL * float(away @ away)
        return value, -design @ (share * sign * expit(-margin)) + 2 * PULL * away

    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[BOUNDS[part.name] for part in fields(Calibration)]).x
    return Calibration(*np.round(found, 4).tolist())


def calibration_design(probability: Floats, answers: Floats) -> npt.NDArray[np.float64]:
    """Return the columns of which the calibrated logit is the sum, weighted by the numbers of `Calibration`, shape (N, 3)."""
    x = _logit(probability)
    return np.stack([x, x * np.log1p(answers), np.ones(len(x))], axis=1)


def log_loss(probability: Floats, allow: npt.NDArray[np.bool_]) -> Floats:
    """Minus the logarithm of the probability given to the truth, of the same shape."""
    x = _logit(probability)
    return np.asarray(np.logaddexp(0, np.where(allow, -x, x)))


def _logit(probability: Floats) -> npt.NDArray[np.float64]:
    return np.asarray(logit(np.clip(probability.astype(np.float64), _LEAST, 1 - _LEAST)))
