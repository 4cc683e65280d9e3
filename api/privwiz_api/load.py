"""Back-pressure: a process computes only so much at once, and says so to who waits too long."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from privwiz_api.problems import Problem

__all__ = ["Load"]


class Load:
    """Turns at computing.

    Parameters
    ----------
    places : int
        Computations at once.
    patience : float
        Seconds that a thread waits for its turn.
    """

    def __init__(self, places: int, patience: float) -> None:
        self._places = threading.BoundedSemaphore(places)
        self._patience = patience
        self._own = threading.local()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for a turn, and have it; a thread that has one needs no second.

        Raises
        ------
        Problem
            503 with ``Retry-After`` if there was none in time.
        """
        if getattr(self._own, "turn", False):
            yield
            return
        if not self._places.acquire(timeout=self._patience):
            raise Problem(503, "busy", "The service is busy; send the request again in a moment.", {"Retry-After": "1"})
        self._own.turn = True
        try:
            yield
        finally:
            self._own.turn = False
            self._places.release()
