"""Processes that work through numbered tasks: one that dies is replaced, and none outlives the one that started it."""

import gc
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, TypeAlias

from threadpoolctl import threadpool_limits

from privwiz.errors import DataError, PrivwizError

__all__ = ["Work", "run_tasks"]

Work: TypeAlias = Callable[[int], Any]
"""Does the task of this number; its result is sent to the parent."""

_ATTEMPTS = 2
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(eq=False, slots=True)
class _Worker:
    process: BaseProcess
    pipe: Connection
    task: int


def run_tasks(start: Callable[[], Work], tasks: Iterable[int], workers: int) -> Iterator[Any]:
    """Yield the results of the tasks as they come.

    Parameters
    ----------
    start : callable
        Called once in each process, to which it is pickled; returns what does the tasks.
    tasks : iterable of int
    workers : int
        Number of processes, each with one thread of linear algebra; with 1 the tasks are done in this one.

    Raises
    ------
    DataError
        As a task raises it, for what the system refuses (a full disk), for any other fault of a process, and where a task has
        killed two of them.
    """
    if workers == 1:
        yield from _alone(start, tasks)
        return
    waiting, attempts = deque(tasks), dict[int, int]()
    busy: list[_Worker] = []
    try:
        while waiting or busy:
            while waiting and len(busy) < workers:
                busy.append(_launch(start, waiting.popleft()))
            ready = set(wait([worker.pipe for worker in busy]))
            for worker in [worker for worker in busy if worker.pipe in ready]:
                try:
                    done, result = worker.pipe.recv()
                except (EOFError, OSError):
                    busy.remove(worker)
                    _bury(worker)
                    attempts[worker.task] = attempts.get(worker.task, 0) + 1
                    if attempts[worker.task] == _ATTEMPTS:
                        wrong = f"a process died at part {worker.task}, twice; it may have run out of memory: take fewer workers"
                        raise DataError(wrong) from None
                    waiting.appendleft(worker.task)
                    continue
                if not done:
                    raise DataError(result)
                yield result
                if waiting:
                    worker.task = waiting.popleft()
                    _send(worker.pipe, worker.task)
                else:
                    busy.remove(worker)
                    _send(worker.pipe, None)
                    _bury(worker)
    finally:
        for worker in busy:
            worker.process.terminate()
            _bury(worker)


def _alone(start: Callable[[], Work], tasks: Iterable[int]) -> Iterator[Any]:
    work = start()
    for task in tasks:
        try:
            with threadpool_limits(1):
                result = work(task)
        except OSError as error:
            raise DataError(error.strerror or str(error)) from None
        yield result


def _launch(start: Callable[[], Work], task: int) -> _Worker:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(start, theirs), daemon=True)
    before = {name: os.environ.get(name) for name in _ONE_THREAD}
    os.environ.update(dict.fromkeys(_ONE_THREAD, "1"))
    try:
        process.start()
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
    theirs.close()
    _send(ours, task)
    return _Worker(process, ours, task)


def _send(pipe: Connection, task: int | None) -> None:
    """Send a task; a process that has died meanwhile is noticed where its result is awaited."""
    with suppress(OSError):
        pipe.send(task)


def _bury(worker: _Worker) -> None:
    worker.process.join()
    worker.process.close()
    worker.pipe.close()


def _serve(start: Callable[[], Work], pipe: Connection) -> None:
    """Do what comes through the pipe until it is closed or None comes; the interrupt of a terminal is the parent's business."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    try:
        work = start()
        gc.freeze()  # what has been loaded stays, and need not be looked through again and again
        gc.set_threshold(20_000)
        while (task := pipe.recv()) is not None:
            pipe.send((True, work(task)))
    except PrivwizError as error:
        pipe.send((False, str(error)))
    except OSError as error:
        pipe.send((False, error.strerror or str(error)))
    except MemoryError:
        raise  # Another process may have more of it.
    except Exception as error:  # noqa: BLE001 - whatever it is, the parent is to say it
        pipe.send((False, f"a fault of privwiz, please report it: {type(error).__name__}: {error}"))


def _leave_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
