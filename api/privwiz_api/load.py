"""Back-pressure: a process computes only so much at once, and answers each caller only so often; it says when to come again."""

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from privwiz_api.problems import Problem

__all__ = ["Load", "Rates"]


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


class Rates:
    """Requests of each caller in the present minute."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._minute = 0
        self._counts: dict[str, int] = {}

    def count(self, who: str, limit: int) -> None:
        """Count a request.

        Raises
        ------
        Problem
            429 with ``Retry-After`` if it is one too many.
        """
        now = time.monotonic()
        with self._lock:
            if self._minute != (minute := int(now // 60)):
                self._minute, self._counts = minute, {}
            self._counts[who] = count = self._counts.get(who, 0) + 1
        if count > limit:
            seconds = str(math.ceil(60 * (minute + 1) - now))
            raise Problem(429, "too-many-requests", "Too many requests; come again later.", {"Retry-After": seconds})
