"""A visit: who asks for a page, in which language, about which items; and what every answer of the page carries."""

import base64
import gzip
import hashlib
import json
import re
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, wraps
from pathlib import Path
from typing import Any, ParamSpec
from urllib.parse import parse_qsl, urlencode, urlsplit

from flask import Blueprint, Response, g, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from privwiz.items import ProfileItem
from privwiz.words import LANGUAGES
from privwiz_api.guard import CONTENT_POLICY
from privwiz_api.page import store
from privwiz_api.page.cases import Case, Owner
from privwiz_api.page.groups import Group, shown_groups
from privwiz_api.page.names import named, readable
from privwiz_api.page.people import Face, faces, own_name
from privwiz_api.page.questions import crowd
from privwiz_api.page.texts import tell
from privwiz_api.problems import Problem, problem
from privwiz_api.service import lives, service

__all__ = [
    "LONGEST_SECONDS",
    "SESSION_SECONDS",
    "TICKET_SECONDS",
    "Visit",
    "back_to",
    "forget_session",
    "keep_session",
    "know_visitor",
    "mark",
    "page",
    "see",
    "show",
    "visitor",
]

SESSION_SECONDS = 3600
"""A session ends so long after its last request."""

LONGEST_SECONDS = 43_200
"""And so long after its first one, whatever came in between."""

TICKET_SECONDS = 72_000
"""A form can be sent for so long: for less time than it is kept that it was sent, so that it counts once."""

_STATIC_FILES = "page.static"
_MARK = 5
_SESSION = "session of the page"
_COOKIE, _LANGUAGE = "privwiz_page", "privwiz_language"
_LANGUAGE_SECONDS = 31_536_000
_STATIC = Path(__file__).parent / "static"
_COMPRESSED = ("text/html", "text/css", "text/javascript", "image/svg+xml")

_ALSO = re.compile(r"(\d{1,9})-(\d{1,9})", re.ASCII)

P = ParamSpec("P")

page = Blueprint("page", __name__, url_prefix="/wizard", template_folder="templates", static_folder="static")


@dataclass
class Visit:
    """One request of one user.

    Parameters
    ----------
    owner : Owner
    left_out : frozenset of str
        Marks of items that the user does not want to look at; see `mark`.
    language : str
    since : int
        When the session began.
    """

    owner: Owner
    left_out: frozenset[str]
    language: str
    since: int

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
        return dict(faces(self.case.wizard, self.groups, service().settings.photo_origins))

    def front(self, title: str, friends: Sequence[str], most: int) -> list[str]:
        """Return the friends whose faces stand for all of a group: those whom its title names, then others."""
        found = {friend: title.find(self.faces[friend].name) for friend in friends}
        return sorted(friends, key=lambda friend: (found[friend] < 0, found[friend]))[:most]

    @cached_property
    def items(self) -> tuple[ProfileItem, ...]:
        """What the user wants to look at, the most private first."""
        return tuple(item for item in self.all_items if mark(item.id) not in self.left_out) or self.all_items

    @cached_property
    def all_items(self) -> tuple[ProfileItem, ...]:
        """Everything there is to protect, the most private first."""
        return tuple(sorted(self.case.wizard.items, key=lambda item: -item.sensitivity))

    @cached_property
    def name(self) -> str:
        """What to call the user."""
        return own_name(self.case.wizard.network)

    @cached_property
    def ticket(self) -> str:
        """What a form of this answer carries, so that it counts once, and for this user only."""
        return service().signer.sign([secrets.token_urlsafe(12), int(time.time())], _purpose("ticket", self.owner))

    @cached_property
    def seen(self) -> str:
        """What a form says was shown: the version of the state, and the items."""
        return service().signer.sign([self.case.version, [item.id for item in self.items]], _purpose("seen", self.owner))

    def read_seen(self, text: str) -> tuple[str, list[str]]:
        """Return version and items of what a form says was shown.

        Raises
        ------
        Problem
            412 if this page never showed that to this user.
        """
        seen = service().signer.read(text, _purpose("seen", self.owner))
        if seen is None:
            raise Problem(412, "changed", "Something changed since it was shown; look at it again.")
        return seen[0], seen[1]


def mark(item: str) -> str:
    """Return five letters that stand for an item in the cookie, which has room for all of a catalogue that way."""
    return base64.urlsafe_b64encode(hashlib.sha256(item.encode()).digest())[:_MARK].decode()


def know_visitor() -> None:
    """Read the session, before anything counts or limits the requests of its user."""
    if request.blueprint == page.name and request.endpoint != _STATIC_FILES and (visit := _read_session()) is not None:
        g.visit, g.caller = visit, visit.owner.caller


@page.before_request
def _same_user() -> None:
    """End the session of a user who was erased, even if there is one of the same id."""
    if "visit" in g and not lives(g.visit.owner.caller):
        g.pop("visit")


def visitor(view: Callable[P, Any]) -> Callable[P, Any]:
    """Let a view be reached with a session only, and what its forms send with a ticket of the same user."""

    @wraps(view)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> Any:
        visit: Visit | None = g.get("visit")
        if visit is None:
            return show("expired.html", 401, fields=list(request.form.items(multi=True)))
        if request.method == "POST":
            g.key = request.form.get("ticket", "")
            ticket = service().signer.read(g.key, _purpose("ticket", visit.owner))
            if ticket is None or ticket[1] < time.time() - TICKET_SECONDS:
                return show("refused.html", 403)
            return view(*args, **kwargs)
        _ = visit.case
        with service().load.turn():
            return view(*args, **kwargs)

    return guarded


def show(template: str, status: int = 200, **data: Any) -> Response:
    """Fill a template for this visit."""
    visit: Visit | None = g.get("visit")
    chosen = visit.language if visit else _language()

    def text(key: str, **values: object) -> str:
        return tell(key, chosen, **values)

    def name(item: ProfileItem) -> str:
        return named(item, chosen)

    known = {
        "t": text,
        "named": name,
        "readable": readable,
        "language": chosen,
        "visit": visit,
        "asset": _asset,
        "crowd": crowd,
        "also": [int(number) for number in also.groups()] if (also := _ALSO.fullmatch(request.args.get("also", ""))) else None,
        "other_language": _other_language(),
    }
    return make_response(render_template(template, **known, **data), status)


def see(endpoint: str, **values: Any) -> AnyResponse:
    """Send the browser to another page."""
    return redirect(url_for(f"page.{endpoint}", **values), 303)


def back_to(endpoint: str, also: str = "") -> AnyResponse:
    """Send the browser to where its form wants to go back to, if that is a page of the wizard; else to this one.

    ``also`` says there how many other settings changed: those newly shown, a dash, those no longer shown.
    """
    wanted = request.form.get("back", "")
    inside = wanted.startswith(url_for("page.start")) and wanted.isprintable() and "\\" not in wanted
    address = urlsplit(wanted if inside else url_for(f"page.{endpoint}"))
    query = [(key, value) for key, value in parse_qsl(address.query, keep_blank_values=True) if key != "also"]
    told = urlencode([*query, ("also", also)] if also else query)
    return redirect(f"{address.path}?{told}" if told else address.path, 303)


def keep_session(
    answer: AnyResponse, owner: Owner, left_out: frozenset[str] = frozenset(), since: int | None = None
) -> AnyResponse:
    """Let the browser keep who the user is, for a while."""
    g.kept = True
    now = int(time.time())
    since = now if since is None else since
    until = min(now + SESSION_SECONDS, since + LONGEST_SECONDS)
    session = [owner.tenant, owner.user, owner.generation, since, until, "".join(sorted(left_out))]
    answer.set_cookie(
        _COOKIE,
        service().signer.sign(session, _SESSION),
        max_age=until - now,
        path=url_for("page.start"),
        secure=request.is_secure or service().settings.public_url.startswith("https://"),
        httponly=True,
        samesite="Strict",
    )
    return answer


def forget_session(answer: AnyResponse) -> AnyResponse:
    """Let the browser forget who the user is."""
    g.kept = True
    answer.delete_cookie(_COOKIE, path=url_for("page.start"))
    return answer


@page.errorhandler(Problem)
def _refuse(error: Problem) -> Any:
    """Lead on from what has been overtaken, and to a new link where there is no such user; the rest is for `_finish` to say."""
    if error.kind in {"screen-overtaken", "key-reused"}:
        return see("screen", more=1, note="overtaken")
    if error.kind == "changed":
        return see("summary", note="changed")
    if error.status == 401 or error.kind == "no-such-user":
        g.pop("visit", None)
        return show("expired.html", 401, fields=[])
    return problem(error.status, error.kind, error.title, error.headers)


def _in_words(answer: Response) -> Response:
    """Return a page instead of a problem document."""
    page_of_it = show("busy.html" if answer.status_code >= 429 else "missing.html", answer.status_code)
    if "Retry-After" in answer.headers:
        page_of_it.headers["Retry-After"] = answer.headers["Retry-After"]
    return page_of_it


@page.after_request
def _finish(answer: Response) -> Response:
    """Say errors in words, renew the session, keep the language, compress."""
    if answer.mimetype == "application/problem+json":
        answer = _in_words(answer)
    visit: Visit | None = g.get("visit")
    if visit is not None and not g.get("kept", False):
        keep_session(answer, visit.owner, visit.left_out, visit.since)
    known = request.endpoint == _STATIC_FILES and answer.status_code < 400
    if request.args.get("lang") in LANGUAGES and request.endpoint != _STATIC_FILES:
        root = url_for("page.start")
        answer.set_cookie(_LANGUAGE, request.args["lang"], max_age=_LANGUAGE_SECONDS, path=root, samesite="Lax", httponly=True)
    answer.headers["Cache-Control"] = "public, max-age=31536000, immutable" if known else "no-store"
    if origins := service().settings.photo_origins:
        answer.headers["Content-Security-Policy"] = CONTENT_POLICY.replace("img-src", f"img-src {' '.join(origins)}")
    if answer.mimetype in _COMPRESSED and request.accept_encodings["gzip"] and answer.status_code not in (204, 304):
        answer.direct_passthrough = False
        body = answer.get_data()
        answer.close()  # a static file is open until then
        answer.set_data(gzip.compress(body, 6, mtime=0))
        answer.headers["Content-Encoding"] = "gzip"
        answer.headers["Vary"] = "Accept-Encoding"
    return answer


def _language() -> str:
    """Return what was chosen, else what the browser prefers."""
    chosen = request.args.get("lang") or request.cookies.get(_LANGUAGE)
    return chosen if chosen in LANGUAGES else request.accept_languages.best_match(LANGUAGES, LANGUAGES[0])


def _other_language() -> str:
    """Return the address of this page in the other language."""
    other = LANGUAGES[_language() == LANGUAGES[0]]
    kept = [(key, value) for key, value in request.args.items(multi=True) if key not in {"lang", "token", "note", "also"}]
    path = request.path if request.method == "GET" else url_for("page.start")
    return f"{path}?{urlencode([*kept, ('lang', other)])}"


def _read_session() -> Visit | None:
    session = service().signer.read(request.cookies.get(_COOKIE, ""), _SESSION)
    if session is None or session[4] <= time.time():
        return None
    tenant, user, generation, since, _, left_out = session
    marks = frozenset(left_out[start : start + _MARK] for start in range(0, len(left_out), _MARK))
    return Visit(Owner(tenant, user, generation), marks, _language(), since)


def _purpose(what: str, owner: Owner) -> str:
    return json.dumps(["page", what, owner.tenant, owner.user, owner.generation])


@cache
def _digest(name: str) -> str:
    return hashlib.sha256((_STATIC / name).read_bytes()).hexdigest()[:12]


def _asset(name: str) -> str:
    """Return the address of a static file; another file has another address."""
    return url_for("page.static", filename=name, v=_digest(name))
