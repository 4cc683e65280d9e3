import contextlib
import os
import signal
from functools import partial

import pytest
import scipy.linalg  # noqa: F401 - the libraries of linear algebra
from threadpoolctl import threadpool_info, threadpool_limits

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


@pytest.mark.parametrize("workers", [1, 2])
def test_each_process_has_one_thread_of_linear_algebra(workers):
    """More threads make small matrices several times slower; whoever runs the tasks keeps as many as before."""
    with threadpool_limits(2):
        before = threads()
        assert list(run_tasks(partial(partial, threads), [0], workers)) == [[1] * len(before)]
        assert threads() == before == [2] * len(before)


def threads(task=0):
    """Return how many threads each library of linear algebra has in this process."""
    return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]


def killing(mark):
    """Return what squares numbers, and kills its process at number 3 unless a mark can be left and is there."""

    def work(number):
        if number == 3 and not mark.exists():
            with contextlib.suppress(OSError):
                mark.write_text("")
            os.kill(os.getpid(), signal.SIGKILL)
        return number**2

    return work
