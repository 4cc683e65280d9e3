"""Webhooks: signed, delivered at least once and by one process, never to where they must not go."""

import http.server
import json
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import delete, insert, select, update

from privwiz import DataError
from privwiz_api import webhooks
from privwiz_api.settings import Webhook
from privwiz_api.tables import leases, outbox
from privwiz_api.webhooks import Courier, check_signature, post

SECRET = "what the tenant and this service share"


@contextmanager
def receiver(*statuses):
    """Listen on this machine; answer with these statuses in turn, then with 204. Yields the URL and what was received."""
    received, left = [], list(statuses)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            received.append((self.headers, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(left.pop(0) if left else 204)
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}/hook", received
        server.shutdown()


@pytest.fixture
def hooked(settings, another, backend, network):
    """Return a function: URL -> backend whose tenant hears of events there, and the couriers of two processes."""

    def start(url, *, private=True):
        hooks = {backend.tenant: Webhook(url, SECRET)}
        app = another(replace(settings, webhooks=hooks))
        service = app.extensions["privwiz"]
        with service.database.write("test") as connection:
            connection.execute(delete(leases))
            connection.execute(delete(outbox))
        couriers = [Courier(service.database, service.changes, hooks, private=private) for _ in range(2)]
        mine = type(backend)(app, backend.tenant)
        assert mine("PUT", "/v1/users/ann/network", network).status_code == 201
        return mine, couriers

    return start


def waiting(mine):
    """Return the events that wait, and how often each was tried."""
    with mine.app.extensions["privwiz"].database.read() as connection:
        return connection.execute(select(outbox).order_by(outbox.c.seq)).all()


def make_due(mine):
    """Let the time pass that an event waits for its next attempt."""
    with mine.app.extensions["privwiz"].database.write("test") as connection:
        connection.execute(update(outbox).values(due=datetime.now(UTC) - timedelta(seconds=1)))


def test_events_are_delivered_and_signed(hooked):
    """New friends and accepted policies are told, each once, with a signature that fits the body and the time."""
    with receiver() as (url, received):
        mine, (courier, _) = hooked(url)
        mine("POST", "/v1/users/ann/friends", {"friend": "zoe"})
        mine("POST", "/v1/users/ann/policy/accept", {}, match=True)
        assert courier.deliver_due() == 3
        assert courier.deliver_due() == 0
    events = [json.loads(body) for _, body in received]
    assert [event["type"] for event in events] == ["suggestion.pending", "suggestion.pending", "policy.changed"]
    assert events[1]["data"] == {"revision": 2, "friends": ["zoe"]}
    assert len({event["id"] for event in events}) == 3
    for headers, body in received:
        assert check_signature(SECRET, headers, body)
        assert not check_signature(SECRET, headers, body + b" ")
        assert not check_signature("another secret, not the one", headers, body)
        assert not check_signature(SECRET, headers, body, now=time.time() + 301)


def test_a_change_that_is_refused_tells_nothing(hooked):
    """Events are written with their change: without the change there is none."""
    with receiver() as (url, _):
        mine, _ = hooked(url)
        before = waiting(mine)
        assert mine("POST", "/v1/users/ann/friends", {"friend": "2"}).status_code == 409
        assert mine("POST", "/v1/users/ann/policy/accept", {}, match='"other"').status_code == 412
        assert waiting(mine) == before


def test_what_is_not_taken_is_sent_again_later(hooked):
    """An error, or a redirect, keeps the event with a longer wait each time, and it keeps its id."""
    with receiver(500, 302) as (url, received):
        mine, (courier, _) = hooked(url)
        waits = []
        for attempt in range(2):
            assert courier.deliver_due() == 0
            (event,) = waiting(mine)
            assert event.attempts == attempt + 1
            waits.append((event.due - datetime.now(UTC)).total_seconds())
            assert courier.deliver_due() == 0, "it is not due yet"
            make_due(mine)
        assert 3 < waits[0] < 6 < waits[1] < 11
        assert courier.deliver_due() == 1
        assert waiting(mine) == []
    assert len({headers["Privwiz-Event"] for headers, _ in received}) == 1


def test_one_process_delivers_and_another_takes_over(hooked):
    """While one holds the lease the other delivers nothing; when it has run out, the other does."""
    with receiver() as (url, received):
        mine, (first, second) = hooked(url)
        assert (first.deliver_due(), second.deliver_due()) == (1, 0)
        mine("POST", "/v1/users/ann/friends", {"friend": "zoe"})
        assert second.deliver_due() == 0
        with mine.app.extensions["privwiz"].database.write("test") as connection:
            connection.execute(update(leases).values(until=datetime.now(UTC) - timedelta(seconds=1)))
        assert second.deliver_due() == 1
        mine("POST", "/v1/users/ann/friends", {"friend": "yan"})
        assert (first.deliver_due(), second.deliver_due()) == (0, 1)
    assert len(received) == 3


def test_an_event_is_dropped_in_the_end(hooked, caplog, monkeypatch):
    """After the last attempt the event goes, and the log says which."""
    monkeypatch.setattr(webhooks, "_ATTEMPTS", 1)
    with receiver(500) as (url, _):
        mine, (courier, _) = hooked(url)
        courier.deliver_due()
        assert waiting(mine) == []
    assert "event dropped" in caplog.messages


def test_tenants_take_turns(hooked, settings, another):
    """A receiver that takes nothing is tried once in a round, and does not keep another tenant's events waiting."""
    with receiver(*[500] * 50) as (dead, tried), receiver() as (url, received):
        mine, _ = hooked(dead)
        hooks = {mine.tenant: Webhook(dead, SECRET), "other": Webhook(url, SECRET)}
        service = another(replace(settings, webhooks=hooks)).extensions["privwiz"]
        with service.database.write("test") as connection:
            rows = [
                {"tenant": tenant, "user": "ann", "id": f"{tenant} {k}", "body": b"{}", "attempts": 0, "due": datetime.now(UTC)}
                for tenant, count in ((mine.tenant, 30), ("other", 3))
                for k in range(count)
            ]
            connection.execute(insert(outbox), rows)
        courier = Courier(service.database, service.changes, hooks, private=True)
        assert courier.deliver_due() == 3
        assert (len(tried), len(received)) == (1, 3)
        assert courier.deliver_due() == 0
        assert (len(tried), len(waiting(mine))) == (2, 31)


@pytest.mark.parametrize(
    "url",
    ["https://sns.example:99999/", "https://a..b/", f"https://{'a' * 64}.example/", "https://[::1", "https://", "ftp://a/", "a"],
)
def test_a_url_that_cannot_be_is_refused(url):
    """Where nothing can be sent to is a mistake of the settings, told at the start, and not repeated: it may hold a key."""
    with pytest.raises(DataError, match="URL of a webhook") as refused:
        Webhook(url, SECRET)
    assert "example" not in str(refused.value)


def test_nothing_that_a_url_does_ends_the_courier(hooked):
    """What turns out not to be sendable only when it is sent is an event that was not taken."""
    with receiver() as (url, _):
        mine, (courier, _) = hooked(f"{url}/\N{SNOWMAN}")
        assert courier.deliver_due() == 0
        assert [event.attempts for event in waiting(mine)] == [1]


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:1/",
        "http://localhost:1/",
        "http://[::1]:1/",
        "http://[::ffff:127.0.0.1]:1/",
        "http://10.0.0.1/",
        "http://169.254.169.254/latest/meta-data",
        "http://192.168.1.1/",
        "http://0.0.0.0:1/",
        "http://2130706433:1/",
        "http://[fd00::1]/",
        "http://224.0.0.1/",
    ],
)
def test_events_never_go_to_private_addresses(url):
    """Loopback, private, link-local and multicast addresses are refused, however they are written."""
    with pytest.raises(DataError, match="public"):
        post(url, b"{}", {}, private=False)


def test_a_private_target_keeps_the_event(hooked):
    """A webhook that may not be called is not called; the event waits for the operator."""
    with receiver() as (url, received):
        mine, (courier, _) = hooked(url, private=False)
        assert courier.deliver_due() == 0
        assert [event.attempts for event in waiting(mine)] == [1]
    assert received == []


def test_a_running_server_delivers(run_server, database_url, app, backend, sign, network):
    """The server's own courier brings the events, without any other process."""
    from privwiz_api.client import Client

    with receiver() as (url, received):
        hooks = json.dumps({backend.tenant: {"url": url, "secret": SECRET}})
        with app.extensions["privwiz"].database.write("test") as connection:
            connection.execute(delete(leases))
        server = run_server(database_url, PRIVWIZ_WEBHOOKS=hooks, PRIVWIZ_PRIVATE_WEBHOOKS="1")
        client = Client(server.url, sign(backend.tenant))
        client.user("ann").put_network(network)
        deadline = time.monotonic() + 40
        while not received and time.monotonic() < deadline:
            time.sleep(0.1)
        client.close()
    assert [json.loads(body)["type"] for _, body in received] == ["suggestion.pending"]
