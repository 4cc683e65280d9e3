"""What stands before every route: the token, limits, the form of a body, security headers."""

import json
from typing import Any

from flask import Flask, Response, g, request
from flask.json.provider import DefaultJSONProvider
from werkzeug.exceptions import BadRequest, UnsupportedMediaType

from privwiz_api.callers import Callers
from privwiz_api.load import Rates
from privwiz_api.problems import Problem
from privwiz_api.settings import Settings

__all__ = ["CONTENT_POLICY", "MAX_BYTES", "guard"]

MAX_BYTES = 10_000_000

CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
"""What a page may load, and where its forms go: this service only."""

_HEADERS = {
    "Content-Security-Policy": CONTENT_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class _StrictJson(DefaultJSONProvider):
    """JSON without NaN, without a key that comes twice, and not nested deeper than the parser goes."""

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        try:
            return json.loads(s, parse_constant=_refuse, object_pairs_hook=_unique, **kwargs)
        except RecursionError:
            raise ValueError("nested too deeply") from None


def guard(app: Flask, settings: Settings, callers: Callers, rates: Rates) -> None:
    """Check tokens, limits and bodies before every route of the API, and put security headers on every answer."""
    app.json = _StrictJson(app)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BYTES

    @app.before_request
    def authenticate() -> None:
        if request.path.startswith("/v1/") or request.path == "/v1":
            kind, _, token = request.headers.get("Authorization", "").partition(" ")
            g.caller = callers.of(token.strip() if kind.lower() == "bearer" else "", request.remote_addr)

    @app.before_request
    def limit() -> None:
        if hasattr(g, "caller"):
            caller = g.caller
            rates.count(f"{caller.tenant}/{caller.id}", settings.backend_rate if caller.is_backend else settings.user_rate)

    app.before_request(_check_body)
    app.after_request(_protect)


def _check_body() -> None:
    if request.url_rule is not None and request.path.startswith("/v1/") and request.method in ("POST", "PUT", "PATCH"):
        data = request.get_data()
        if not request.is_json:
            raise UnsupportedMediaType
        if not isinstance(_read_json() if data else None, dict):
            raise Problem(400, "bad-request", "The body is no JSON object; send {} where there is nothing to say.")


def _read_json() -> Any:
    try:
        return request.get_json()
    except BadRequest:
        raise Problem(400, "bad-request", "The body is no JSON.") from None


def _protect(response: Response) -> Response:
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers.setdefault("Cache-Control", "no-store")
    if request.is_secure:
        response.headers.setdefault("Strict-Transport-Security", "max-age=31536000")
    return response


def _refuse(_: str) -> float:
    raise ValueError("not a number of JSON")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("a key comes twice")
    return document
