"""Client of the service, of the standard library alone: every request counts once, however often it has to be sent."""

import http.client
import json
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from privwiz.errors import DataError, PrivwizError
from privwiz.graphs import EgoNetwork
from privwiz_api.documents import document_of

__all__ = ["Client", "Document", "Refused", "User"]

_AGAIN = (429, 502, 503, 504)
_LONGEST_PAUSE = 10.0


class Refused(PrivwizError, RuntimeError):
    """The service refused a request, or could not be reached.

    ``status`` is the HTTP status, 0 where there was no answer; ``kind`` the stable name of the problem; ``request_id`` finds it
    in the service's log.
    """

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        super().__init__(f"{status}: {problem.get('title', 'no explanation')}")
        self.status = status
        self.kind = str(problem.get("type", "")).rpartition(":")[2]
        self.request_id = problem.get("request_id", "")


class Document(dict[str, Any]):
    """What the service answered; ``etag`` names the state that it is of."""

    def __init__(self, body: Mapping[str, Any], etag: str | None) -> None:
        super().__init__(body)
        self.etag = etag


@dataclass
class Client:
    """A connection to the service, for one thread at a time.

    Parameters
    ----------
    url : str
        ``http://`` or ``https://`` and where the service is.
    token : str
        A bearer token.
    tries : int
        How often a request is sent at most: again when the connection is lost or the service is busy. What changes something
        carries an idempotency key, so that it counts once.
    timeout : float
        Seconds to wait for an answer.

    Examples
    --------
    ::

        ann = Client("http://127.0.0.1:8080", token).user("ann")
        ann.put_network({"friends": {"bob": {}, "carol": {}}, "ties": [["bob", "carol"]]})
        screen = ann.next_screen()
        ann.answer(screen, [toggle["likeliest"] for toggle in screen["toggles"]])
        ann.accept(ann.policy())
    """

    url: str
    token: str = field(repr=False)
    tries: int = 5
    timeout: float = 30.0
    _connection: http.client.HTTPConnection | None = field(default=None, init=False, repr=False)

    def user(self, user: str) -> "User":
        """Return what can be done for one user."""
        return User(self, user)

    def items(self) -> Document:
        """Return the catalogue."""
        return self.send("GET", "/v1/items")

    def put_items(self, items: Sequence[Mapping[str, Any]]) -> Document:
        """Replace the catalogue."""
        return self.send("PUT", "/v1/items", {"items": list(items)})

    def suggest(self, entries: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Take in new friends of many users; return one result for each entry."""
        results: list[dict[str, Any]] = self.send("POST", "/v1/suggestions:batch", {"entries": list(entries)})["results"]
        return results

    def send(self, method: str, path: str, body: Any = None, *, etag: str | None = None) -> Document:
        """Send a request until it is answered.

        Raises
        ------
        Refused
            If it is refused, or not answered.
        """
        data, answer_etag = self.fetch(method, path, body, etag=etag)
        return Document(json.loads(data) if data else {}, answer_etag)

    def fetch(self, method: str, path: str, body: Any = None, *, etag: str | None = None) -> tuple[bytes, str | None]:
        """Send a request as `send` does; return the answer as it came, and its entity tag."""
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        if method == "POST":
            headers["Idempotency-Key"] = uuid.uuid4().hex
        if etag is not None:
            headers["If-Match"] = etag
        data = None if body is None else json.dumps(body).encode()
        refused = Refused(0, {"title": "the service did not answer; see whether it runs at this address"})
        for attempt in range(self.tries):
            try:
                answer = self._exchange(method, path, data, headers)
            except (OSError, http.client.HTTPException):
                self.close()
                time.sleep(_pause(attempt))
                continue
            status, answer_headers, content = answer
            if status < 400:
                return content, answer_headers.get("ETag")
            refused = Refused(status, _problem(content))
            if status not in _AGAIN:
                break
            time.sleep(min(_LONGEST_PAUSE, float(answer_headers.get("Retry-After") or _pause(attempt))))
        raise refused

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _exchange(
        self, method: str, path: str, data: bytes | None, headers: Mapping[str, str]
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        if self._connection is None:
            self._connection = self._connect()
        self._connection.request(method, urlsplit(self.url).path.rstrip("/") + path, data, dict(headers))
        answer = self._connection.getresponse()
        return answer.status, answer.headers, answer.read()

    def _connect(self) -> http.client.HTTPConnection:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise DataError("the address of the service must begin with http:// or https:// and name a host")
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        return kind(parts.hostname, parts.port, timeout=self.timeout)


@dataclass(frozen=True)
class User:
    """What can be done for one user."""

    client: Client
    id: str

    def put_network(self, network: Mapping[str, Any] | EgoNetwork, etag: str | None = None) -> Document:
        """Make the user's network, or replace the one that ``etag`` names."""
        if isinstance(network, EgoNetwork):
            network = document_of(network)
        return self._send("PUT", "network", network, etag=etag)

    def network(self) -> Document:
        """Return the user's network."""
        return self._send("GET", "network")

    def patch_network(self, patch: Mapping[str, Any], etag: str | None) -> Document:
        """Change the network by a JSON merge patch."""
        return self._send("PATCH", "network", patch, etag=etag)

    def add_friend(
        self,
        friend: str,
        ties: Iterable[str] | Mapping[str, float] = (),
        profile: Mapping[str, Any] | None = None,
        weight: float | None = None,
    ) -> Document:
        """Take in a new friend; return suggestions for every item."""
        known = dict(ties) if isinstance(ties, Mapping) else list(ties)
        body = {"friend": friend, "ties": known, "profile": dict(profile or {}), "weight": weight}
        return self._send("POST", "friends", body)

    def remove_friend(self, friend: str) -> None:
        """Take a friend out."""
        self._send("DELETE", f"friends/{quote(friend, safe='')}")

    def circles(self) -> list[dict[str, Any]]:
        """Return the user's circles."""
        circles: list[dict[str, Any]] = self._send("GET", "circles")["circles"]
        return circles

    def correct(self, kind: str, **said: Any) -> Document:
        """Correct a circle: rename, merge, split, move, dismiss, restore."""
        return self._send("POST", "circles/corrections", {"correction": {"kind": kind, **said}})

    def next_screens(self, count: int = 1, kinds: Iterable[str] = (), items: Iterable[str] = ()) -> list[dict[str, Any]]:
        """Return what to ask next; nothing when more would not pay."""
        query = urlencode([("count", count), *(("kinds", kind) for kind in kinds), *(("items", item) for item in items)])
        screens: list[dict[str, Any]] = self._send("GET", f"screens/next?{query}")["screens"]
        return screens

    def next_screen(self, kinds: Iterable[str] = (), items: Iterable[str] = ()) -> dict[str, Any] | None:
        """Return the next screen, None when more would not pay."""
        return next(iter(self.next_screens(1, kinds, items)), None)

    def answer(self, screen: Mapping[str, Any], values: Sequence[str | float | None]) -> Document:
        """Confirm a screen: for each toggle one of its choices, or where it has none a share; None says nothing."""
        return self.answer_all([{"screen": screen["id"], "values": list(values)}])

    def answer_and_next(
        self,
        screen: Mapping[str, Any],
        values: Sequence[str | float | None],
        kinds: Iterable[str] = (),
        items: Iterable[str] = (),
    ) -> dict[str, Any] | None:
        """Confirm a screen as `answer` does, and return the next one as `next_screen` does, in one request.

        Raises
        ------
        Refused
            If the answer is refused; or if it counts, and only the next screen could not be had: then `next_screen` gets it.
        """
        kinds, items = list(kinds), list(items)
        said = {"screen": screen["id"], "values": list(values)}
        wanted = {"kinds": kinds or None, "items": items or None}
        following = self._send("POST", "answers", {"answers": [said], "next": wanted})["next"]
        return self.next_screen(kinds, items) if following is None else next(iter(following["screens"]), None)

    def label(self, item: str, friends: str | Iterable[str], decision: str) -> Document:
        """Record the user's own choice for a friend or several."""
        return self.answer_all(
            [{"item": item, "friends": [friends] if isinstance(friends, str) else list(friends), "decision": decision}]
        )

    def answer_all(self, answers: Sequence[Mapping[str, Any]]) -> Document:
        """Record several answers, all or none."""
        return self._send("POST", "answers", {"answers": list(answers)})

    def undo_answer(self) -> Document:
        """Retract the last answer."""
        return self._send("POST", "answers/undo", {})

    def policy(self) -> Document:
        """Return the whole policy."""
        return self._send("GET", "policy")

    def cells(self, item: str | None = None, friend: str | None = None) -> list[dict[str, Any]]:
        """Return the policy cell by cell, all pages of it."""
        wanted = {"item": item, "friend": friend, "limit": 1000}
        query = {name: value for name, value in wanted.items() if value is not None}
        cells: list[dict[str, Any]] = []
        page = self._send("GET", f"policy/cells?{urlencode(query)}")
        while page["next"] is not None:
            cells += page["cells"]
            page = self._send("GET", f"policy/cells?{urlencode({**query, 'cursor': page['next']})}")
        cells += page["cells"]
        return cells

    def explain(self, item: str, friend: str, language: str = "en") -> Document:
        """Say why a cell is suggested as it is."""
        return self._send("GET", f"policy/explanation?{urlencode({'item': item, 'friend': friend, 'language': language})}")

    def preview(self, friend: str) -> Document:
        """Return the profile as a friend sees it."""
        return self._send("GET", f"policy/preview?{urlencode({'as': friend})}")

    def diff(self) -> Document:
        """Say what accepting would change."""
        return self._send("GET", "policy/diff")

    def accept(self, seen: Document, items: Sequence[str] | None = None, friends: Sequence[str] | None = None) -> Document:
        """Put what was seen into force, or the part of it about these items and friends."""
        return self._send("POST", "policy/accept", {"items": items, "friends": friends}, etag=seen.etag)

    def override(self, seen: Document, cells: Sequence[Mapping[str, str]]) -> Document:
        """Decide cells oneself, at once."""
        return self._send("POST", "policy/override", {"cells": list(cells)}, etag=seen.etag)

    def undo_policy(self, seen: Document) -> Document:
        """Take back what came into force last."""
        return self._send("POST", "policy/undo", {}, etag=seen.etag)

    def export(self, form: str = "json", of: str = "in_force") -> str:
        """Return the policy as json, csv, openfga or cedar."""
        return self.client.fetch("GET", self._path(f"policy/export?{urlencode({'format': form, 'of': of})}"))[0].decode()

    def wizard_link(self) -> Document:
        """Make a link to the wizard page."""
        return self._send("POST", "wizard-links", {})

    def everything(self) -> Document:
        """Return everything that is kept about the user."""
        return self._send("GET", "export")

    def erase(self) -> None:
        """Erase the user everywhere."""
        self.client.send("DELETE", f"/v1/users/{quote(self.id, safe='')}")

    def _send(self, method: str, path: str, body: Any = None, *, etag: str | None = None) -> Document:
        return self.client.send(method, self._path(path), body, etag=etag)

    def _path(self, path: str) -> str:
        return f"/v1/users/{quote(self.id, safe='')}/{path}"


def _pause(attempt: int) -> float:
    return min(_LONGEST_PAUSE, 0.1 * 2.0 ** min(attempt, 10))


def _problem(content: bytes) -> Mapping[str, Any]:
    try:
        problem = json.loads(content)
    except ValueError:
        return {}
    return problem if isinstance(problem, dict) else {}
