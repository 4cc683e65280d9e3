"""Users' rights: everything given out, and erased everywhere; links that open the wizard for one of them."""

import gc
import sqlite3
import time
import weakref
import zlib
from contextlib import closing
from dataclasses import replace
from urllib.parse import quote

import pytest
from sqlalchemy import select

from privwiz.answers import Answer, Entry
from privwiz_api.changes import Change, Request, Result, heard
from privwiz_api.migrate import migrate
from privwiz_api.problems import Problem
from privwiz_api.settings import Settings, Webhook
from privwiz_api.states import Recent
from privwiz_api.tables import metadata
from privwiz_api.tokens import Caller


def rows_that_name(database, *texts):
    """Return the tables that hold one of these texts in any column, compressed documents included."""
    found = set()
    with database.read() as connection:
        for table in metadata.sorted_tables:
            for row in connection.execute(select(table)):
                for value in row:
                    data = value
                    if isinstance(value, bytes):
                        try:
                            data = zlib.decompress(value).decode()
                        except zlib.error:
                            data = value.decode()
                    if any(text in str(data) for text in texts):
                        found.add(table.name)
    return found


def test_an_erased_user_is_gone_everywhere(settings, another, backend, network):
    """After erasure no table holds the user's id or what was sent for the user: also not retries, events and the audit log."""
    hook = {backend.tenant: Webhook("https://sns.example/hook", "s" * 32)}
    mine = type(backend)(another(replace(settings, webhooks=hook)), backend.tenant)
    database = mine.app.extensions["privwiz"].database
    mine("PUT", "/v1/users/ann-4711/network", network | {"profile": {"school": "school-4711"}})
    mine("POST", "/v1/users/ann-4711/friends", {"friend": "friend-4711"}, key="k")
    own = mine.as_user("ann-4711")
    own("POST", "/v1/users/ann-4711/answers", {"answers": [{"item": "phone", "friends": ["friend-4711"], "decision": "allow"}]})
    own("POST", "/v1/users/ann-4711/policy/accept", {}, match=True)
    held = rows_that_name(database, "ann-4711", "friend-4711", "school-4711")
    assert held == {"users", "networks", "answers", "acceptances", "idempotency", "outbox", "audit"}
    assert own("DELETE", "/v1/users/ann-4711").status_code == 204
    assert rows_that_name(database, "ann-4711", "friend-4711", "school-4711") == set()
    assert own("GET", "/v1/users/ann-4711/policy").status_code == 404
    assert own("DELETE", "/v1/users/ann-4711").status_code == 204, "erasing twice is no error"


def test_an_erased_user_leaves_the_file(tmp_path, another, network):
    """SQLite overwrites what it deletes: nothing of an erased user can be read from the file."""
    app = another(Settings(database_url=f"sqlite:///{tmp_path}/a.db", secret_key="k" * 32))
    service = app.extensions["privwiz"]
    migrate(service.database)
    token = service.tokens.issue("t", "backend", "sns", 60)
    client, headers = app.test_client(), {"Authorization": f"Bearer {token}"}
    for method, path in (("PUT", "/v1/users/ann-4711/network"), ("DELETE", "/v1/users/ann-4711")):
        assert client.open(path, method=method, json=network, headers=headers).status_code in (201, 204)
        service.database.close()
        with closing(sqlite3.connect(tmp_path / "a.db")) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        assert (b"ann-4711" in (tmp_path / "a.db").read_bytes()) == (method == "PUT")


@pytest.mark.parametrize("ask", ["current", "version"])
def test_an_erased_user_leaves_the_memory_of_other_processes(ann, another, settings, ask):
    """A process that is asked for a user whom another process erased forgets what it remembered of the user."""
    states = another(settings).extensions["privwiz"].states
    remembered = weakref.ref(states.current(ann.tenant, "ann"))
    gc.collect()
    assert remembered() is not None
    ann("DELETE", "/v1/users/ann")
    assert getattr(states, ask)(ann.tenant, "ann") is None
    gc.collect()
    assert remembered() is None


def test_what_nobody_asks_for_is_forgotten(monkeypatch):
    """What was not used for a while leaves memory with the next request, whoever it is about; what was used stays."""
    now = time.monotonic()
    recent = Recent(size=9, seconds=600)
    recent.put("ann", 1)
    recent.put("bob", 2)
    monkeypatch.setattr(time, "monotonic", lambda: now + 400)
    assert recent.get("bob") == 2
    monkeypatch.setattr(time, "monotonic", lambda: now + 800)
    assert (recent.get("bob"), recent.get("ann")) == (2, None)


def test_the_export_holds_everything(ann):
    """Network, circles, answers, acceptances and who changed what, with times in UTC."""
    ann.as_user("ann")("POST", "/v1/users/ann/answers", {"answers": [{"item": "phone", "friends": ["2"], "decision": "allow"}]})
    ann("POST", "/v1/users/ann/policy/accept", {}, match=True)
    kept = ann("GET", "/v1/users/ann/export").json
    assert kept["answers"][0]["answers"] == [{"item": "phone", "friends": ["2"], "value": "allow", "each": True}]
    assert ["phone", "2", "allow"] in kept["acceptances"][0]["decisions"]
    assert [(row["action"], row["actor"]) for row in kept["audit"]] == [
        ("network.put", "backend:backend"),
        ("answers.add", "user:ann"),
        ("policy.accept", "backend:backend"),
    ]
    assert kept["network"]["friends"]
    assert kept["circles"]
    assert kept["created_at"].endswith("+00:00")


def test_a_wizard_link_opens_for_one_user_only(ann, network, another, settings):
    """The link's token is that user's: for nobody else, for nothing that only a backend may do, and not for ever."""
    ann("PUT", "/v1/users/bob/network", network)
    link = ann("POST", "/v1/users/ann/wizard-links", {}).json
    assert link["url"] == f"http://127.0.0.1:8080/wizard?token={link['token']}"
    own = {"Authorization": f"Bearer {link['token']}"}
    client = ann.app.test_client()
    assert client.get("/v1/users/ann/screens/next", headers=own).status_code == 200
    assert client.get("/v1/users/bob/policy", headers=own).status_code == 404
    assert client.put("/v1/users/ann/network", json=network, headers=own).status_code == 403
    assert client.post("/v1/users/ann/wizard-links", json={}, headers=own).status_code == 403
    other = another(replace(settings, secret_key="another secret, of another service instance"))
    assert other.test_client().get("/v1/users/ann/policy", headers=own).status_code == 401
    assert ann("POST", "/v1/users/nobody/wizard-links", {}).status_code == 404


@pytest.mark.parametrize("user", ["x" * 128, "名" * 128, "ann\u00a0b", "a\u200db", "a\u2028b", " ", "a%2b", "安@例.中国"])
def test_every_user_can_have_a_link(backend, network, user):
    """Whatever id is taken for a user is taken in a token: the link opens, and what the user does with it is written down."""
    path = f"/v1/users/{quote(user)}"
    assert backend("PUT", f"{path}/network", network).status_code == 201
    own = {"Authorization": f"Bearer {backend('POST', f'{path}/wizard-links', {}).json['token']}"}
    answer = {"answers": [{"item": "phone", "friends": ["2"], "decision": "allow"}]}
    assert backend("POST", f"{path}/answers", answer, **own).status_code == 200
    assert backend("GET", f"{path}/export", **own).json["audit"][-1]["actor"] == f"user:{user}"


@pytest.mark.parametrize("subject", ["x" * 129, "a\nb", "a\x00b", "a\x7f", ""])
def test_what_is_no_id_is_in_no_token(backend, subject):
    """A token for what can be no user is refused, as a request for it is."""
    assert type(backend)(backend.app, backend.tenant, subject, "user")("GET", "/v1/users/ann/policy").status_code == 401


def test_a_change_is_never_written_over_the_next_user_of_the_same_id(ann, network):
    """Who is erased and made again while a change is planned is another user, though the revision is the same."""
    service = ann.app.extensions["privwiz"]
    planned = []

    def plan(state):
        planned.append(state.version)
        if len(planned) == 1:
            ann("DELETE", "/v1/users/ann")
            ann("PUT", "/v1/users/ann/network", network)
        after = heard(state, (Entry("label", (Answer("phone", ("2",), "allow", each=True),)),))
        return Change(Result(200, {}), after)

    caller = Caller(ann.tenant, "backend", frozenset({"sns"}))
    service.changes.make(Request(caller=caller, user="ann", id="r", action="test", key=None, digest=""), plan)
    assert [version.revision for version in planned] == [1, 1]
    assert planned[0].generation != planned[1].generation
    assert ann("GET", "/v1/users/ann/policy").json["revision"] == 2


def test_a_key_that_is_taken_meanwhile_changes_nothing(ann, network):
    """Of two requests with one key, about different users, one counts; nothing is left of the other one."""
    service = ann.app.extensions["privwiz"]
    ann("PUT", "/v1/users/bob/network", network)

    def plan(state):
        said = {"answers": [{"item": "phone", "friends": ["2"], "decision": "deny"}]}
        assert ann("POST", "/v1/users/bob/answers", said, key="one").status_code == 200
        return Change(Result(200, {}), heard(state, (Entry("label", (Answer("phone", ("2",), "allow", each=True),)),)))

    caller = Caller(ann.tenant, "backend", frozenset({"sns"}))
    with pytest.raises(Problem) as refused:
        service.changes.make(Request(caller=caller, user="ann", id="r", action="test", key="one", digest=""), plan)
    assert refused.value.kind == "key-reused"
    assert ann("GET", "/v1/users/ann/policy").json["revision"] == 1
    assert ann("GET", "/v1/users/ann/export").json["answers"] == []
