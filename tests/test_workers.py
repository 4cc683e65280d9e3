import contextlib
import os
import signal
from functools import partial

import pytest

from privwiz.errors import DataError
from privwiz.workers import run_tasks


def test_a_process_that_dies_is_replaced(tmp_path):
    """A task whose process is killed is done again in another; one that always kills its process ends the run with a message."""
    assert sorted(run_tasks(partial(killing, tmp_path / "once"), range(5), 2)) == [0, 1, 4, 9, 16]
    with pytest.raises(DataError, match="a process died at part 3, twice; it may have run out of memory: take fewer workers"):
        list(run_tasks(partial(killing, tmp_path / "missing" / "always"), range(5), 2))


def test_a_fault_is_told_by_its_name(capfd):
    """Whatever goes wrong in a process, the parent says it; nobody is told to look for memory that is not missing."""
    with pytest.raises(DataError, match=r"^a fault of privwiz, please report it: KeyError: 3$"):
        list(run_tasks(partial(getattr, {}, "__getitem__"), [3], 2))
    assert "Traceback" not in capfd.readouterr().err


def killing(mark):
    """Return what squares numbers, and kills its process at number 3 unless a mark can be left and is there."""

    def work(number):
        if number == 3 and not mark.exists():
            with contextlib.suppress(OSError):
                mark.write_text("")
            os.kill(os.getpid(), signal.SIGKILL)
        return number**2

    return work
