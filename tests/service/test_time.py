"""Time: a clock that jumps, and a database that is slow or does not answer in time."""

import threading
from datetime import datetime, timedelta

import pytest

from privwiz_api import changes, database


class Jumped(datetime):
    """A clock that is wrong by `by`."""

    by = timedelta()

    @classmethod
    def now(cls, tz=None):
        """Return the wrong time."""
        return datetime.now(tz) + cls.by


def allowed(backend):
    """Return what friends of ann see."""
    policy = backend("GET", "/v1/users/ann/policy").json
    return {(row["item"], friend) for row in policy["items"] for friend in row["in_force"]}


@pytest.fixture
def ann(backend, network):
    """Return a backend whose user ann has let two friends see her phone number."""
    backend("PUT", "/v1/users/ann/network", network)
    friends = sorted(network["friends"])[:2]
    cells = [{"item": "phone", "friend": friend, "decision": "allow"} for friend in friends]
    assert backend("POST", "/v1/users/ann/policy/override", {"cells": cells}, match=True).status_code == 200
    return backend


@pytest.mark.parametrize("by", [timedelta(days=-400), timedelta(hours=-1), timedelta(hours=23), timedelta(days=400)])
def test_a_clock_that_jumps_changes_no_decision(ann, monkeypatch, by):
    """What came later wins although its time is earlier, and is taken back first; nothing else comes into force."""
    before, (item, friend) = allowed(ann), min(allowed(ann))
    monkeypatch.setattr(Jumped, "by", by)
    monkeypatch.setattr(changes, "datetime", Jumped)
    cells = {"cells": [{"item": item, "friend": friend, "decision": "deny"}]}
    assert ann("POST", "/v1/users/ann/policy/override", cells, match=True).status_code == 200
    assert allowed(ann) == before - {(item, friend)}
    monkeypatch.setattr(changes, "datetime", datetime)
    assert allowed(ann) == before - {(item, friend)}
    assert ann("POST", "/v1/users/ann/policy/undo", {}, match=True).status_code == 200
    assert allowed(ann) == before


@pytest.mark.parametrize("by", [timedelta(days=-400), timedelta(hours=-1), timedelta(hours=23)])
def test_a_retry_counts_once_although_the_clock_jumped(ann, monkeypatch, by):
    """A request that is sent again after the clock went back, or forward by less than a day, is answered as before."""
    body = {"answers": [{"item": "photos", "friends": [min(allowed(ann))[1]], "decision": "deny"}]}
    first = ann("POST", "/v1/users/ann/answers", body, key="one")
    monkeypatch.setattr(Jumped, "by", by)
    monkeypatch.setattr(changes, "datetime", Jumped)
    again = ann("POST", "/v1/users/ann/answers", body, key="one")
    assert again.json == first.json
    assert again.headers["Idempotent-Replayed"] == "true"


def test_a_key_is_a_new_one_when_it_was_kept_long_enough(ann, monkeypatch):
    """A day later, before anything was swept, another request with the same key counts, and once."""
    cell = {"item": "photos", "friends": [min(allowed(ann))[1]]}
    ann("POST", "/v1/users/ann/answers", {"answers": [{**cell, "decision": "deny"}]}, key="one")
    monkeypatch.setattr(Jumped, "by", timedelta(hours=25))
    monkeypatch.setattr(changes, "datetime", Jumped)
    later = [ann("POST", "/v1/users/ann/answers", {"answers": [{**cell, "decision": "allow"}]}, key="one") for _ in range(2)]
    assert [answer.status_code for answer in later] == [200, 200]
    assert ["Idempotent-Replayed" in answer.headers for answer in later] == [False, True]
    said = [row["answers"][0] for row in ann("GET", "/v1/users/ann/export").json["answers"]]
    assert [answer["value"] for answer in said if answer["item"] == "photos"] == ["deny", "allow"]


def test_a_slow_database_is_waited_for(ann, app):
    """A write that has to wait for another one is done when its turn comes, once."""
    parts = app.extensions["privwiz"]
    held, free = threading.Event(), threading.Event()

    def hold():
        with parts.database.write(f"{ann.tenant}/ann"):
            held.set()
            free.wait(10)

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(10)
    threading.Timer(0.5, free.set).start()
    body = {"answers": [{"item": "photos", "friends": [min(allowed(ann))[1]], "decision": "deny"}]}
    answer = ann("POST", "/v1/users/ann/answers", body, key="one")
    holder.join()
    assert (answer.status_code, answer.json["answers"]) == (200, 2)


def test_a_database_that_stays_busy_is_said_to_be(settings, another, monkeypatch, request, network):
    """A write that does not get its turn in time is refused with 503 and when to come again, and has changed nothing."""
    monkeypatch.setattr(database, "_BUSY_MILLISECONDS", 200)
    app = another(settings)
    backend = type(request.getfixturevalue("backend"))(app)
    backend("PUT", "/v1/users/ann/network", network)
    body = {"answers": [{"item": "photos", "friends": [min(network["friends"])], "decision": "deny"}]}
    with app.extensions["privwiz"].database.write(f"{backend.tenant}/ann"):
        answer = backend("POST", "/v1/users/ann/answers", body, key="one")
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    assert backend("POST", "/v1/users/ann/answers", body, key="one").json["answers"] == 1
