"""A visit: who asks for a page, in which language, about which items; and how every answer of the page is given."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, wraps
from pathlib import Path
from typing import Any, ParamSpec
from urllib.parse import urlencode

from flask import Blueprint, Response, current_app, g, make_response, redirect, render_template, request, url_for
from itsdangerous import BadSignature, URLSafeTimedSerializer
from werkzeug.wrappers import Response as AnyResponse

from privwiz.items import ProfileItem
from privwiz.words import LANGUAGES
from privwiz_api.page import memory as store
from privwiz_api.page.cases import Case, Owner
from privwiz_api.page.groups import Group, shown_groups
from privwiz_api.page.names import named
from privwiz_api.page.people import Face, faces, own_name
from privwiz_api.page.texts import tell
from privwiz_api.page.tickets import issue, redeem

__all__ = ["SESSION_SECONDS", "Visit", "finish", "keep_session", "language", "local", "page", "show", "visitor"]

SESSION_SECONDS = 3600
"""A session ends so long after its last request."""

_COOKIE, _LANGUAGE = "privwiz_page", "privwiz_language"
_STATIC = Path(__file__).parent / "static"
_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)

page = Blueprint("page", __name__, url_prefix="/wizard", template_folder="templates", static_folder="static")

P = ParamSpec("P")


@dataclass
class Visit:
    """One request of one user."""

    owner: Owner
    left_out: tuple[str, ...]
    language: str

    @cached_property
    def case(self) -> Case:
        """The user's wizard and settings."""
        return store.read(self.owner)

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        """The user's circles, as the page shows them."""
        return shown_groups(self.case.wizard.circles, self.language)

    @cached_property
    def faces(self) -> dict[str, Face]:
        """The user's friends."""
        return dict(faces(self.case.wizard, self.groups))

    @cached_property
    def items(self) -> tuple[ProfileItem, ...]:
        """What the user wants to be asked about, the most private first."""
        return tuple(item for item in self.all_items if item.id not in self.left_out)

    @cached_property
    def all_items(self) -> tuple[ProfileItem, ...]:
        """Everything there is to protect, the most private first."""
        return tuple(sorted(self.case.wizard.items, key=lambda item: -item.sensitivity))

    @cached_property
    def ticket(self) -> str:
        """What the forms of this answer carry."""
        return issue(_secret(), self.owner)


def language() -> str:
    """Return the language of this request: what was chosen, else what the browser prefers."""
    chosen = request.args.get("lang") or request.cookies.get(_LANGUAGE)
    return chosen if chosen in LANGUAGES else request.accept_languages.best_match(LANGUAGES, LANGUAGES[0])


def visitor(view: Callable[P, Any]) -> Callable[P, Any]:
    """Let a view be reached with a session only, and its forms only with a ticket of the same user."""

    @wraps(view)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> Any:
        session = _read_session()
        if session is None:
            return show("expired.html", 401, fields=_typed())
        g.visit = Visit(Owner(session["t"], session["u"]), tuple(session["i"]), language())
        if request.method == "POST":
            g.key = redeem(_secret(), g.visit.owner, request.form.get("ticket", ""))
            if g.key is None:
                return show("refused.html", 403)
        return view(*args, **kwargs)

    return guarded


def show(template: str, status: int = 200, **data: Any) -> Response:
    """Fill a template for this visit."""
    visit = g.get("visit")
    chosen = visit.language if visit else language()

    def text(key: str, **values: object) -> str:
        return tell(key, chosen, **values)

    def name(item: ProfileItem) -> str:
        return named(item, chosen)

    answer = make_response(render_template(template, t=text, named=name, language=chosen, visit=visit, asset=_asset, own_name=_own_name, language_query=_language_query, **data), status)
    return answer


def local(default: str) -> str:
    """Return where the form wants to go back to, if that is a page of the wizard."""
    wanted = request.form.get("back", "")
    root = url_for("page.start")
    return wanted if wanted.startswith(root) and "\\" not in wanted and "\n" not in wanted else default


def keep_session(answer: AnyResponse, owner: Owner, left_out: tuple[str, ...] = ()) -> AnyResponse:
    """Let the browser keep who the user is."""
    value = _serializer().dumps({"t": owner.tenant, "u": owner.user, "i": list(left_out)})
    answer.set_cookie(
        _COOKIE, value, max_age=SESSION_SECONDS, path=url_for("page.start"), secure=request.is_secure, httponly=True, samesite="Strict"
    )
    return answer


def see(endpoint: str, **values: Any) -> AnyResponse:
    """Send the browser to another page."""
    return redirect(url_for(f"page.{endpoint}", **values), 303)


def finish(answer: AnyResponse) -> AnyResponse:
    """Add what every answer of the page carries; renew the session."""
    visit = g.get("visit")
    if visit is not None and not g.get("left", False) and _COOKIE not in "".join(answer.headers.getlist("Set-Cookie")):
        keep_session(answer, visit.owner, visit.left_out)
    if request.args.get("lang") in LANGUAGES:
        answer.set_cookie(_LANGUAGE, request.args["lang"], max_age=31_536_000, path=url_for("page.start"), samesite="Lax", httponly=True)
    answer.headers["Content-Security-Policy"] = _CSP
    answer.headers["Referrer-Policy"] = "no-referrer"
    answer.headers["X-Content-Type-Options"] = "nosniff"
    answer.headers["Cross-Origin-Opener-Policy"] = "same-origin"
    if request.endpoint == "page.static":
        answer.headers["Cache-Control"] = "public, max-age=31536000, immutable"
    else:
        answer.headers["Cache-Control"] = "no-store"
        answer.headers["Vary"] = "Cookie, Accept-Language"
    return answer


page.after_request(finish)


def _typed() -> list[tuple[str, str]]:
    return [(name, value) for name, value in request.form.items(multi=True)]


def _read_session() -> dict[str, Any] | None:
    try:
        session = _serializer().loads(request.cookies.get(_COOKIE, ""), max_age=current_app.config.get("SESSION_SECONDS", SESSION_SECONDS))
    except BadSignature:
        return None
    return dict(session)


def _serializer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(_secret(), salt="page session")


def _secret() -> str:
    return str(current_app.config["PAGE_SECRET"])


def _own_name(visit: Visit) -> str:
    return own_name(visit.case.wizard.network)


def _language_query() -> str:
    """Return the query of this page in the other language."""
    other = LANGUAGES[language() == LANGUAGES[0]]
    return urlencode([*((key, value) for key, value in request.args.items(multi=True) if key not in {"lang", "link", "note"}), ("lang", other)])


def _asset(name: str) -> str:
    return url_for("page.static", filename=name, v=_digest(name))


def _digest(name: str) -> str:
    return hashlib.sha256((_STATIC / name).read_bytes()).hexdigest()[:12]
