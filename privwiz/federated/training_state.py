"""Where a training is: what the model owner knows after a round, and the checkpoint it is kept in."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from privwiz.errors import DataError
from privwiz.files import FilePath, read_text, source_name, writing
from privwiz.strict_json import expect, read_json

__all__ = ["RoundRecord", "TrainingState", "load_checkpoint", "save_checkpoint"]

Floats = npt.NDArray[np.float64]

FORMAT = "privwiz.checkpoint/1"


@dataclass(frozen=True, slots=True)
class RoundRecord:
    """What is told of one round.

    Parameters
    ----------
    step : str
        Its kind (`privwiz.federated.training_plan.Step`).
    round_id : int
    contributors : int
    norm : float
        L2 norm of how far the weights moved.
    loss : float or None
        In a round that takes it: the mean log-loss, every device and item counting once.
    seconds : mapping
        Wall time of the ``devices`` (all of them, one after the other), of the secure ``sum``, and of the model ``owner``.
    """

    step: str
    round_id: int
    contributors: int
    norm: float
    loss: float | None
    seconds: Mapping[str, float]


@dataclass(frozen=True, slots=True, eq=False)
class TrainingState:
    """All that a training has to keep between two rounds.

    Parameters
    ----------
    next_round : int
        Number of the next round.
    lost : int
        Rounds that may have been opened and are not in the history, because the training was killed or a party was lost. They
        count as privacy spent.
    center, scale : float array of shape (d,)
    weights, velocity : float array of shape (J, d + 1)
    covariance : float array of shape (d + 1, d + 1)
    calibrations : float array of shape (k, 3)
        Of the k candidate scales, as are ``losses`` and ``squares``, shape (k,).
    losses, squares : float array of shape (k,)
    tried : int
        Devices in the last round about scales; 0 before the first.
    history : tuple of RoundRecord
        One for each round that is done.
    """

    next_round: int
    lost: int
    center: Floats
    scale: Floats
    weights: Floats
    velocity: Floats
    covariance: Floats
    calibrations: Floats
    losses: Floats
    squares: Floats
    tried: int
    history: tuple[RoundRecord, ...]


_ARRAYS = {
    "center": 1,
    "scale": 1,
    "weights": 2,
    "velocity": 2,
    "covariance": 2,
    "calibrations": 2,
    "losses": 1,
    "squares": 1,
}
_COUNTS = ("next_round", "lost", "tried")


def save_checkpoint(state: TrainingState, path: FilePath, fingerprint: str) -> None:
    """Keep a state in a file, in one step: a file that is there is always a whole one.

    Parameters
    ----------
    state : TrainingState
    path : path
    fingerprint : str
        Of the plan and the data; only a training with the same goes on from here.
    """
    document: dict[str, Any] = {"format": FORMAT, "fingerprint": fingerprint}
    document |= {name: getattr(state, name) for name in _COUNTS}
    document |= {name: getattr(state, name).tolist() for name in _ARRAYS}
    document["history"] = [{part.name: getattr(record, part.name) for part in fields(record)} for record in state.history]
    with writing(path) as file:
        file.write(json.dumps(document, allow_nan=False).encode())


def load_checkpoint(path: FilePath, fingerprint: str) -> TrainingState:
    """Read a state to go on from.

    Raises
    ------
    DataError
        If the file is missing, damaged, or of another plan or other data.
    """
    try:
        return _read(read_json(read_text(path), FORMAT), fingerprint)
    except DataError as error:
        if error.source is not None:
            raise
        raise DataError(str(error), source=source_name(path)) from None


def _read(document: Mapping[str, Any], fingerprint: str) -> TrainingState:
    if document.get("fingerprint") != fingerprint:
        raise DataError("a checkpoint of a training with other options, devices or files; give the same again, or begin anew")
    parts: dict[str, Any] = {name: _count(document.get(name), name) for name in _COUNTS}
    parts |= {name: _array(document.get(name), name, dimensions) for name, dimensions in _ARRAYS.items()}
    history = tuple(_record(expect(each, dict, "a record")) for each in expect(document.get("history"), list, "'history'"))
    if parts["next_round"] < len(history):
        raise DataError("'next_round' is smaller than the number of rounds; the checkpoint is damaged")
    return TrainingState(**parts, history=history)


def _count(value: object, name: str) -> int:
    count = expect(value, int, repr(name))
    if count < 0:
        raise DataError(f"{name!r} is {count}; the checkpoint is damaged")
    return count


def _array(values: object, name: str, dimensions: int) -> Floats:
    try:
        array = np.array(expect(values, list, repr(name)), float)
    except (TypeError, ValueError, OverflowError):
        raise DataError(f"{name!r} is not an array of numbers; the checkpoint is damaged") from None
    if array.ndim != dimensions or not np.isfinite(array).all():
        raise DataError(f"{name!r} is not an array of finite numbers in {dimensions} dimensions; the checkpoint is damaged")
    return array


def _record(given: Mapping[str, Any]) -> RoundRecord:
    seconds = expect(given.get("seconds"), dict, "'seconds'")
    return RoundRecord(
        step=expect(given.get("step"), str, "'step'"),
        round_id=_count(given.get("round_id"), "round_id"),
        contributors=_count(given.get("contributors"), "contributors"),
        norm=expect(given.get("norm"), float, "'norm'"),
        loss=None if given.get("loss") is None else expect(given["loss"], float, "'loss'"),
        seconds={part: expect(seconds.get(part), float, repr(part)) for part in ("devices", "sum", "owner")},
    )
