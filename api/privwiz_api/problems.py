"""Errors as problem documents (RFC 9457): stable types, no echo of what was sent."""

import json
import logging
import re
from collections import Counter
from functools import cache
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, g
from pydantic import BaseModel, Field, ValidationError
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException

from privwiz.errors import PrivwizError, UnknownFriend, UnknownItem

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Problem", "ProblemDocument", "handle_problems", "log_failure", "problem", "refuse_invalid"]

log = logging.getLogger("privwiz")


class InvalidPart(BaseModel):
    """One thing that is wrong with a request."""

    where: str = Field(description="Names of fields and positions in lists; * stands for a name that the sender chose.")
    what: str


class ProblemDocument(BaseModel):
    """Why a request was refused."""

    type: str
    title: str
    status: int
    request_id: str
    invalid: list[InvalidPart] | None = None


class Problem(Exception):
    """A request that is refused.

    Parameters
    ----------
    status : int
    kind : str
        The stable name of the problem, the end of its ``type``.
    title : str
        What was wrong and what to do, without anything of the request.
    headers : mapping of str to str, optional
    """

    def __init__(self, status: int, kind: str, title: str, headers: "Mapping[str, str] | None" = None) -> None:
        super().__init__(title)
        self.status = status
        self.kind = kind
        self.title = title
        self.headers = dict(headers or {})


def problem(status: int, kind: str, title: str, headers: Any = None, invalid: list[dict[str, str]] | None = None) -> Response:
    """Write a problem document."""
    document: dict[str, Any] = {
        "type": f"urn:privwiz:problem:{kind}",
        "title": title,
        "status": status,
        "request_id": g.get("request_id", ""),
    }
    if invalid is not None:
        document["invalid"] = invalid
    return Response(json.dumps(document) + "\n", status, headers, content_type="application/problem+json")


def as_problem(error: PrivwizError) -> Problem:
    """Say what the library refused, in words that repeat nothing of the request."""
    if isinstance(error, UnknownFriend):
        return Problem(422, "unknown-friend", "A name is not a friend of this user; add the friend first or correct the name.")
    if isinstance(error, UnknownItem):
        return Problem(422, "unknown-item", "An item is not in the catalogue; see GET /v1/items.")
    return Problem(422, "unusable", "The data cannot be used: it contradicts itself or the state; see the documentation.")


def refuse_invalid(error: ValidationError) -> Response:
    """Say which parts of a request are invalid: where and what, without the sender's values and names."""
    invalid = [
        {"where": ".".join(_place(part) for part in place), "what": _what(wrong)}
        for place, wrong in _closest(error.errors(include_url=False, include_input=False))[:20]
    ]
    return problem(422, "invalid", "The request does not have the form that the API describes.", invalid=invalid)


def known_names() -> set[str]:
    """Return the names of all fields of the API: what a problem may name."""
    return {name for model in _models() for name in (*model.model_fields, *(f.alias or "" for f in model.model_fields.values()))}


@cache
def _models() -> tuple[type[BaseModel], ...]:
    from privwiz_api import schemas

    return tuple(value for value in vars(schemas).values() if isinstance(value, type) and issubclass(value, BaseModel))


_KNOWN: set[str] = set()


def _place(part: int | str) -> str:
    if not _KNOWN:
        _KNOWN.update(known_names())
    return str(part) if isinstance(part, int) or part in _KNOWN else "*"


def _what(wrong: Any) -> str:
    kind: str = wrong["type"]
    if kind == "literal_error":
        return f"must be {wrong['ctx']['expected']}"
    if kind in _WORDS:
        return _WORDS[kind]
    if _HARMLESS.issuperset(wrong.get("ctx", ())):
        return re.sub(r"^\w+ should", "must", str(wrong["msg"]))
    return kind.replace("_", " ")


_WORDS = {"extra_forbidden": "is not expected here", "missing": "missing"} | dict.fromkeys(
    ("dict_type", "model_type"), "must be an object"
)

_HARMLESS = {"le", "ge", "lt", "gt", "min_length", "max_length", "actual_length", "field_type", "pattern"}
"""Of what pydantic's words on an error may be made without repeating anything that was sent."""


def _closest(wrongs: "Sequence[Any]") -> list[tuple[tuple[int | str, ...], Any]]:
    """Return where and what is wrong; of a part that may have several shapes, what keeps it from the one it is closest to."""
    shapes = {model.__name__ for model in _models()}
    found = [(wrong["loc"], next((k for k, part in enumerate(wrong["loc"]) if part in shapes), -1), wrong) for wrong in wrongs]
    misses = Counter(place[: k + 1] for place, k, _ in found if k >= 0)
    closest = {shape[:-1]: shape for shape, _ in misses.most_common()}
    return [
        ((*place[:k], *place[k + 1 :]) if k >= 0 else place, wrong)
        for place, k, wrong in found
        if k < 0 or place[: k + 1] == closest[place[:k]]
    ]


def handle_problems(app: Flask) -> None:
    """Answer every error with a problem document."""

    @app.errorhandler(Problem)
    def refuse(error: Problem) -> Response:
        return problem(error.status, error.kind, error.title, error.headers)

    @app.errorhandler(PrivwizError)
    def refuse_data(error: PrivwizError) -> Response:
        return refuse(as_problem(error))

    @app.errorhandler(HTTPException)
    def refuse_http(error: HTTPException) -> Response:
        if error.response is not None:
            return error.response  # type: ignore[return-value]
        kept = [(name, value) for name, value in error.get_headers() if name.lower() not in ("content-type", "content-length")]
        status = error.code or 500
        return problem(status, error.name.lower().replace(" ", "-"), f"{error.name}.", kept)

    @app.errorhandler(DBAPIError)
    @app.errorhandler(PoolTimeout)
    def refuse_for_database(error: SQLAlchemyError) -> Response:
        log.error("database", extra={"error": type(getattr(error, "orig", None) or error).__name__})
        return problem(
            503, "database", "The database did not answer; nothing was changed, send the request again.", {"Retry-After": "2"}
        )

    @app.errorhandler(Exception)
    def refuse_all(error: Exception) -> Response:
        log_failure(error)
        return problem(500, "internal", "The service failed; the request id finds the reason in its log.")


def log_failure(error: Exception) -> None:
    """Log what failed and where, without the values that it failed on."""
    log.error("failed", extra={"error": type(error).__name__, "at": _where(error)})


def _where(error: Exception) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "" if trace is None else f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
