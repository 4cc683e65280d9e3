"""Callers: who a bearer token speaks for, remembered for a while; who sends bad ones is told to come again later."""

import time

from privwiz_api.load import Rates
from privwiz_api.problems import Problem
from privwiz_api.states import Recent
from privwiz_api.tokens import EXPIRED, Caller, Tokens

__all__ = ["Callers"]

_REMEMBERED_TOKENS = 4096
_REMEMBERED_SECONDS = 60


class Callers:
    """Let callers in.

    Parameters
    ----------
    tokens : Tokens
    rates : Rates
    bad_tokens : int
        How many of them an address may send in a minute; those that only have expired do not count.
    """

    def __init__(self, tokens: Tokens, rates: Rates, bad_tokens: int) -> None:
        self._tokens = tokens
        self._rates = rates
        self._bad_tokens = bad_tokens
        self._verified: Recent[tuple[float, Caller]] = Recent(_REMEMBERED_TOKENS)

    def of(self, token: str, address: str | None) -> Caller:
        """Return who a token speaks for that came from this address.

        Raises
        ------
        Problem
            401 for a bad token, and 429 with ``Retry-After`` for one too many.
        """
        known = self._verified.get(token)
        if known is not None and time.monotonic() < known[0]:
            return known[1]
        try:
            caller, seconds = self._tokens.verify(token)
        except Problem as refused:
            if refused.status == 401 and refused.kind != EXPIRED:
                self._rates.count(f"refused/{address}", self._bad_tokens)
            raise
        self._verified.put(token, (time.monotonic() + min(seconds, _REMEMBERED_SECONDS), caller))
        return caller
