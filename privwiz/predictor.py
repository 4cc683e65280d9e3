"""What may take the place of the library's own model behind the same wizard: a function from what is known to probabilities."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from privwiz.errors import DataError
from privwiz.graphs import EgoNetwork

__all__ = ["ItemPredictor", "Known", "Prediction", "predict_checked"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """What is known of J items and n friends: all that a predictor may learn from.

    Parameters
    ----------
    network : EgoNetwork
        Of n friends.
    table : float array of shape (n, d)
        Communities and attributes of each friend, `privwiz.classifier.community_matrix`.
    stated : int8 array of shape (J, n)
        What the user said of single cells: 1 allow, -1 deny; anything else is not known.
    order : int array of shape (K, 2)
        Item and friend of each cell stated as allow or deny, in the order in which they were last said.
    prior_rate : float array of shape (J,)
        The share of friends that other users allow, from 0 to 1.
    """

    network: EgoNetwork
    table: Floats
    stated: npt.NDArray[np.int8]
    order: npt.NDArray[np.intp]
    prior_rate: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """What a predictor makes of it.

    Parameters
    ----------
    probability : float array of shape (J, n)
        Of ``allow``.
    worth : float array of shape (J, n), optional
        What asking a cell is worth: how many cells of the matrix an answer is expected to set right. The worth of a screen is
        the sum over its cells. Without it a screen is worth what its cells are in doubt on average (uncertainty sampling).
    """

    probability: Floats
    worth: Floats | None = None


class ItemPredictor(Protocol):
    """Predict every cell from what is known; called anew after each answer, also before the first.

    Equal knowledge has to give equal predictions, so that a saved wizard resumes as it was. A scikit-learn classifier becomes
    one by `privwiz.classifier.item_predictor`; `privwiz.rivals` has others.
    """

    def __call__(self, known: Known, /) -> Prediction:
        """Return the probabilities of all J x n cells."""


def predict_checked(predictor: ItemPredictor, known: Known) -> Prediction:
    """Return what the predictor says.

    Raises
    ------
    DataError
        If that is not a probability for every cell, or a worth is not finite.
    """
    said = predictor(known)
    if not isinstance(said, Prediction):
        raise DataError(f"{predictor!r} gives a {type(said).__name__}; it must give a privwiz.predictor.Prediction")
    for name, values in ("probability", said.probability), ("worth", said.worth):
        if values is not None and values.shape != known.stated.shape:
            raise DataError(
                f"{predictor!r} gives a {name} of shape {values.shape}; it must be {known.stated.shape}, one for each cell"
            )
    if not ((said.probability >= 0) & (said.probability <= 1)).all():
        raise DataError(f"{predictor!r} gives a probability that is not a finite number from 0 to 1")
    if said.worth is not None and not np.isfinite(said.worth).all():
        raise DataError(f"{predictor!r} gives a worth that is not a finite number")
    return said
