"""Checkpoints of a training: written in one step, read back exactly, refused when damaged."""

import numpy as np
import pytest

from privwiz.errors import DataError
from privwiz.federated.training_history import Checkpoint, History, RoundRecord, load_checkpoint, save_checkpoint

HISTORY = History({"loss": 0.1 + 0.2}, (RoundRecord(1, 12, 11, None), RoundRecord(2, 12, 12, {"loss": 1 / 3})))
CHECKPOINT = Checkpoint(
    {"seed": 3, "names": [["ada", 5]]},
    HISTORY,
    weights=(np.float32([1 / 3, 2]), np.zeros((0, 2)), np.int64([7])),
    optimizer=tuple(np.float32([number]) for number in range(11)),
)


def test_a_checkpoint_comes_back_as_it_was(tmp_path):
    """Weights, optimizer, history and terms are read back bit for bit, more than ten arrays in their order."""
    save_checkpoint(tmp_path / "new", CHECKPOINT)
    found = load_checkpoint(tmp_path / "new")
    assert (found.terms, found.history) == (CHECKPOINT.terms, HISTORY)
    for kind in ("weights", "optimizer"):
        for read, written in zip(getattr(found, kind), getattr(CHECKPOINT, kind), strict=True):
            np.testing.assert_array_equal(read, written)
            assert read.dtype == written.dtype


def test_an_empty_folder_has_no_checkpoint(tmp_path):
    """Where nothing was saved, training begins."""
    assert load_checkpoint(tmp_path) is None


def test_only_the_newest_checkpoint_is_kept(tmp_path):
    """The folder holds one file, whatever the number of rounds."""
    for _ in range(3):
        save_checkpoint(tmp_path, CHECKPOINT)
    assert [path.name for path in tmp_path.iterdir()] == ["training.npz"]


@pytest.mark.parametrize(
    "damage", [lambda whole: whole[:200], lambda _: b"", lambda whole: whole.replace(b"weights_1", b"weights_9")]
)
def test_a_damaged_checkpoint_is_refused(tmp_path, damage):
    """A file that was cut off, emptied or altered is refused with its name."""
    save_checkpoint(tmp_path, CHECKPOINT)
    file = tmp_path / "training.npz"
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(DataError, match=r"training\.npz.*damaged"):
        load_checkpoint(tmp_path)


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    """A folder below a file is refused without a traceback of the system's."""
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="name a folder"):
        save_checkpoint(tmp_path / "file" / "folder", CHECKPOINT)
