"""What a federated training did, round by round, and its checkpoints: a killed training goes on where it was."""

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from privwiz.errors import DataError
from privwiz.files import FilePath, reading, writing

__all__ = ["Checkpoint", "History", "RoundRecord", "load_checkpoint", "save_checkpoint"]

Array = npt.NDArray[Any]

_FILE = "training.npz"
_VERSION = 1


@dataclass(frozen=True, slots=True)
class RoundRecord:
    """One round.

    Parameters
    ----------
    number : int
        From 1.
    invited, contributors : int
        Data owners that received the weights, and that are in the sum.
    evaluation : mapping of str to float, or None
        What the evaluator found after this round, if it was its turn.
    """

    number: int
    invited: int
    contributors: int
    evaluation: Mapping[str, float] | None


@dataclass(frozen=True, slots=True)
class History:
    """All rounds of a training.

    Parameters
    ----------
    before : mapping of str to float, or None
        What the evaluator found before the first round.
    rounds : tuple of RoundRecord
    """

    before: Mapping[str, float] | None = None
    rounds: tuple[RoundRecord, ...] = ()

    @property
    def evaluations(self) -> dict[int, Mapping[str, float]]:
        """What the evaluator found, by round.

        >>> History(None, (RoundRecord(1, 12, 11, None), RoundRecord(2, 12, 12, {"loss": 0.5}))).evaluations
        {2: {'loss': 0.5}}
        """
        return {record.number: record.evaluation for record in self.rounds if record.evaluation is not None}


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """All that a training needs to go on after a round.

    Parameters
    ----------
    terms : mapping
        What must not change on the way, as JSON.
    history : History
    weights, optimizer : tuple of arrays
        Of the model, and of the model owner's optimizer.
    """

    terms: Mapping[str, Any]
    history: History
    weights: tuple[Array, ...]
    optimizer: tuple[Array, ...]


def save_checkpoint(folder: FilePath, checkpoint: Checkpoint) -> None:
    """Replace the checkpoint in a folder, in one step: whoever is killed meanwhile leaves the one before.

    Raises
    ------
    DataError
        If it cannot be written.
    """
    head = json.dumps({"version": _VERSION, "terms": checkpoint.terms, "history": asdict(checkpoint.history)})
    arrays: dict[str, Any] = {
        f"{kind}_{position}": array
        for kind, several in (("weights", checkpoint.weights), ("optimizer", checkpoint.optimizer))
        for position, array in enumerate(several)
    }
    whole = io.BytesIO()
    np.savez(whole, head=np.array(head), **arrays)
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{error.strerror}; name a folder that can be made", source=str(folder)) from None
    with writing(Path(folder, _FILE)) as file:
        file.write(whole.getvalue())


def load_checkpoint(folder: FilePath) -> Checkpoint | None:
    """Read the checkpoint of a folder; None if there is none yet.

    Raises
    ------
    DataError
        If it is damaged, or of another version.
    """
    path = Path(folder, _FILE)
    if not path.exists():
        return None
    with reading(path) as file:
        whole = file.read()
    try:
        with np.load(io.BytesIO(whole), allow_pickle=False) as archive:
            head = json.loads(str(archive["head"]))
            weights, optimizer = (
                tuple(archive[f"{kind}_{position}"] for position in range(sum(name.startswith(kind) for name in archive.files)))
                for kind in ("weights", "optimizer")
            )
        version, terms, history = head["version"], head["terms"], head["history"]
        rounds = tuple(RoundRecord(**record) for record in history["rounds"])
        before = history["before"]
    except (ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
        raise DataError(
            "this is not a checkpoint of a training, or a damaged one; begin in another folder", source=str(path)
        ) from None
    if version != _VERSION:
        raise DataError(f"the checkpoint has version {version!r}; this privwiz reads version {_VERSION}", source=str(path))
    return Checkpoint(terms, History(before, rounds), weights, optimizer)
