"""Tickets: what a form carries so that it counts once, and only for the user whose page it was on."""

import hashlib
import hmac
import secrets

from privwiz_api.page.cases import Owner

__all__ = ["issue", "redeem"]


def issue(secret: str, owner: Owner) -> str:
    """Return a ticket for one form of one user.

    >>> ann, bo = Owner("sns", "ann"), Owner("sns", "bo")
    >>> ticket = issue("secret", ann)
    >>> redeem("secret", ann, ticket) == ticket, redeem("secret", bo, ticket), redeem("secret", ann, "forged")
    (True, None, None)
    """
    nonce = secrets.token_urlsafe(16)
    return f"{nonce}.{_seal(secret, owner, nonce)}"


def redeem(secret: str, owner: Owner, ticket: str) -> str | None:
    """Return the ticket, which is the key under which its form counts once; None if it is not one of this user's."""
    nonce, _, seal = ticket.partition(".")
    return ticket if hmac.compare_digest(seal.encode(), _seal(secret, owner, nonce).encode()) else None


def _seal(secret: str, owner: Owner, nonce: str) -> str:
    told = "\0".join(("ticket", owner.tenant, owner.user, nonce))
    return hmac.new(secret.encode(), told.encode(), hashlib.sha256).hexdigest()[:32]
