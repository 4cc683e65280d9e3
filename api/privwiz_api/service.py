"""What every route uses: the parts of the running service, who calls, and how a result becomes an answer."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from flask import Response, current_app, g, request

from privwiz_api.callers import Callers
from privwiz_api.changes import Change, Changes, Request, Result, digest
from privwiz_api.database import Database
from privwiz_api.load import Load
from privwiz_api.problems import Problem
from privwiz_api.settings import Settings
from privwiz_api.signing import Signer
from privwiz_api.states import State, States
from privwiz_api.tokens import Caller, Tokens

__all__ = [
    "Service",
    "answer",
    "caller_for",
    "change",
    "current",
    "lives",
    "make_change",
    "must_match",
    "service",
    "unless_known",
]

_KEY = re.compile(r"[!-~]{1,255}")


@dataclass(frozen=True, slots=True)
class Service:
    """The parts of a running service."""

    settings: Settings
    database: Database
    load: Load
    states: States
    changes: Changes
    tokens: Tokens
    callers: Callers
    signer: Signer


def service() -> Service:
    """Return the service that this request came to."""
    return cast("Service", current_app.extensions["privwiz"])


def caller_for(user: str | None = None, *, backend: bool = False, admin: bool = False) -> Caller:
    """Return the caller, if it may speak for this user.

    Raises
    ------
    Problem
        403 where its scopes do not suffice; 404 for another user than itself, as for one who does not exist.
    """
    caller = cast("Caller", g.caller)
    if not caller.scopes or (admin and "admin" not in caller.scopes) or (backend and not caller.is_backend):
        raise Problem(
            403,
            "forbidden",
            "The token's scopes do not allow this.",
            {"WWW-Authenticate": 'Bearer realm="privwiz", error="insufficient_scope"'},
        )
    if user is not None and not caller.is_backend and (caller.subject != user or not lives(caller)):
        raise no_such_user()
    return caller


def lives(caller: Caller) -> bool:
    """Return whether the user whom a caller was let in as has not been erased since, even if there is one of the same id."""
    if caller.generation is None:
        return True
    version = service().states.version(caller.tenant, caller.subject)
    return version is not None and version.generation == caller.generation


def no_such_user() -> Problem:
    """Say that there is no such user, or none of this tenant."""
    return Problem(404, "no-such-user", "There is no such user.")


def need_network(state: State | None) -> State:
    """Return the state if the user has a network.

    Raises
    ------
    Problem
        404 without a user or a network.
    """
    if state is None:
        raise no_such_user()
    if state.stored is None:
        raise Problem(404, "no-network", "The user has no network; PUT it first.")
    return state


def current(user: str) -> State:
    """Return the current state of a user who has a network; raises what `need_network` raises."""
    return need_network(service().states.current(caller_for(user).tenant, user))


def must_match(etag: str) -> None:
    """Check the entity tag that the request was made for.

    Raises
    ------
    Problem
        428 without ``If-Match``, or with one that is about any state whatever; 412 if it names another state, and the present tag
        is in the answer.
    """
    if not request.if_match or request.if_match.star_tag:
        raise Problem(428, "if-match-needed", "Send If-Match with the entity tag that was read, so that no change is lost.")
    if not request.if_match.contains(etag.strip('"')):
        raise Problem(412, "changed", "Something changed since it was read; read it again.", {"ETag": etag})


def idempotency_key(*, needed: bool) -> str | None:
    """Return the request's idempotency key.

    Raises
    ------
    Problem
        400 where one is needed and there is none, or it is too long.
    """
    key = request.headers.get("Idempotency-Key")
    if key is None:
        if needed:
            raise Problem(400, "key-needed", "Send an Idempotency-Key, a new one for each new request, so that it counts once.")
        return None
    if not _KEY.fullmatch(key):
        raise Problem(400, "bad-key", "An Idempotency-Key has 1 to 255 printable ASCII characters, and no spaces.")
    return key


def change(
    caller: Caller, user: str, action: str, plan: Callable[[State | None], Change], *, key_needed: bool = False
) -> Response:
    """Make a change and answer with its result; see `Changes.make`."""
    return answer(make_change(caller, user, action, plan, key_needed=key_needed))


def make_change(
    caller: Caller, user: str, action: str, plan: Callable[[State | None], Change], *, key_needed: bool = False
) -> Result:
    """Make the change that the request asks for, and return its result; see `Changes.make`."""
    asked = Request(
        caller=caller,
        user=user,
        id=g.request_id,
        action=action,
        key=idempotency_key(needed=key_needed) if request.method == "POST" else None,
        digest=digest(
            request.method.encode(), request.full_path.encode(), request.headers.get("If-Match", "").encode(), request.get_data()
        ),
    )
    return service().changes.make(asked, plan)


def answer(result: Result) -> Response:
    """Write a result."""
    body = b"" if result.body is None else encode(result.body)
    return Response(body, result.status, dict(result.headers), content_type="application/json" if body else None)


def unless_known(body: bytes | Callable[[], bytes], etag: str, content_type: str = "application/json") -> Response:
    """Answer 304 where the client has this very state already, else with the body."""
    headers = {"ETag": etag, "Cache-Control": "private, no-cache"}
    if request.if_none_match.contains(etag.strip('"')):
        return Response(status=304, headers=headers)
    return Response(body if isinstance(body, bytes) else body(), 200, headers, content_type=content_type)


def encode(document: Any) -> bytes:
    """Write a document as a line of JSON."""
    return (json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False) + "\n").encode()
