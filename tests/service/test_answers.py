"""Screens and answers: what is asked, and what is recorded once."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy.exc import OperationalError

from privwiz import Wizard
from privwiz.circles import find_circles
from privwiz_api import create_app
from privwiz_api.documents import network_of
from privwiz_api.states import States

ANSWERS = "/v1/users/ann/answers"
NEXT = "/v1/users/ann/screens/next"


def confirm(screen):
    """Say "most" or "allow" to every toggle of a screen."""
    values = ["most" if toggle["choices"] != ["allow", "deny"] else "allow" for toggle in screen["toggles"]]
    return {"screen": screen["id"], "values": values}


def test_the_service_asks_and_concludes_as_the_library_does(ann, network):
    """Three confirmed screens lead to the very policy that a wizard in a program reaches with the same answers."""
    wizard = Wizard(network_of("ann", network))
    for _ in range(3):
        screen = ann("GET", NEXT).json["screens"][0]
        own = wizard.next_screen()
        assert [screen["kind"], screen["title"]] == [own.kind, own.text("en")]
        assert [toggle["text_zh"] for toggle in screen["toggles"]] == [toggle.text("zh") for toggle in own.toggles]
        said = confirm(screen)
        assert ann("POST", ANSWERS, {"answers": [said]}).status_code == 200
        wizard.answer(own, said["values"])
    items = {row["item"]: set(row["suggested"]) for row in ann("GET", "/v1/users/ann/policy").json["items"]}
    assert items == {item.id: set(wizard.policy().allowed(item.id)) for item in wizard.items}
    circles = [circle["name"] for circle in ann("GET", "/v1/users/ann/circles").json["circles"]]
    assert circles == [circle.name for circle in find_circles(network_of("ann", network))]


def test_kinds_and_items_can_be_chosen(ann):
    """Screens are of the kinds and items that were asked for."""
    screens = ann("GET", f"{NEXT}?kinds=cell&items=phone").json["screens"]
    assert {screen["kind"] for screen in screens} == {"cell"}
    assert {toggle["item"] for screen in screens for toggle in screen["toggles"]} == {"phone"}
    assert ann("GET", f"{NEXT}?items=nothing").status_code == 422


def test_several_screens_are_answered_in_one_request(ann):
    """A batch of screens has different toggles, is answered together, and is out of date afterwards."""
    screens = ann("GET", f"{NEXT}?count=3").json["screens"]
    assert len({screen["id"] for screen in screens}) == 3
    answered = ann("POST", ANSWERS, {"answers": [confirm(screen) for screen in screens]})
    assert answered.json == {"revision": 2, "answers": 3}
    assert ann("POST", ANSWERS, {"answers": [confirm(screens[0])]}).status_code == 409


def test_the_next_screens_come_with_the_answers(ann):
    """What is asked for with the answers is what a request for the next screens gets afterwards."""
    said = {"answers": [{"item": "phone", "friends": ["2"], "decision": "allow"}]}
    together = ann("POST", ANSWERS, said | {"next": {"kinds": ["cell", "circle"], "items": ["phone", "birthday"], "count": 2}})
    afterwards = ann("GET", f"{NEXT}?count=2&kinds=cell&kinds=circle&items=phone&items=birthday")
    assert together.json == {"revision": 2, "answers": 1, "next": afterwards.json}
    assert len(together.json["next"]["screens"]) == 2
    assert together.headers["ETag"] == afterwards.headers["ETag"]


@pytest.mark.parametrize(
    "wanted",
    [
        *({"items": ["nothing"]}, {"items": []}, {"kinds": ["nothing"]}, {"kinds": []}),
        *({"count": 0}, {"count": 6}, {"count": "2"}, {"count": True}, {"more": 1}, 1),
    ],
)
def test_answers_are_not_recorded_where_no_such_screens_can_be_asked_for(ann, wanted):
    """What `next` cannot ask for is refused before anything is recorded."""
    said = {"answers": [{"item": "phone", "friends": ["2"], "decision": "deny"}]}
    assert ann("POST", ANSWERS, said | {"next": wanted}).status_code == 422
    assert ann("GET", "/v1/users/ann/export").json["answers"] == []


def test_a_repeated_request_gets_the_screens_of_today(ann):
    """With the same key answers are recorded once, and what is asked next is what is asked now."""
    said = {"answers": [{"item": "phone", "friends": ["2"], "decision": "allow"}]}
    first = ann("POST", ANSWERS, said | {"next": {}}, key="one").json
    ann("POST", ANSWERS, {"answers": [{"item": "phone", "friends": ["3"], "decision": "allow"}]})
    again = ann("POST", ANSWERS, said | {"next": {}}, key="one")
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.json == {**first, "next": ann("GET", NEXT).json}
    assert again.json != first
    assert ann("POST", ANSWERS, said, key="one").status_code == 422, "without the screens it is another request"


def test_answers_that_count_are_acknowledged_though_the_item_to_ask_about_is_gone(ann):
    """A repeated request whose item has left the catalogue since is answered as before, without screens."""
    ann.as_admin()("PUT", "/v1/items", {"items": [{"id": item, "en": item, "zh": item} for item in ("phone", "photos")]})
    said = {"answers": [{"item": "phone", "friends": ["2"], "decision": "allow"}], "next": {"items": ["photos"]}}
    first = ann("POST", ANSWERS, said, key="one").json
    ann.as_admin()("PUT", "/v1/items", {"items": [{"id": "phone", "en": "phone", "zh": "phone"}]})
    again = ann("POST", ANSWERS, said, key="one")
    assert (again.status_code, again.json) == (200, {**first, "next": None})


@pytest.mark.parametrize("part", ["current", "turn"])
def test_recorded_answers_are_acknowledged_whatever_happens_to_the_next_screen(ann, monkeypatch, part):
    """A database that stops answering, and a fault of our own, unsay no answer."""

    def fail(*_):
        raise OperationalError("SELECT", {}, OSError()) if part == "current" else RuntimeError

    if part == "current":
        monkeypatch.setattr(States, "current", fail)
    else:
        monkeypatch.setattr("privwiz_api.routes.screens.next_screens", fail)
    said = {"answers": [{"item": "phone", "friends": ["2"], "decision": "deny"}], "next": {}}
    assert ann("POST", ANSWERS, said).json == {"revision": 2, "answers": 1, "next": None}
    monkeypatch.undo()
    assert len(ann("GET", "/v1/users/ann/export").json["answers"]) == 1


def test_the_next_screens_are_not_those_of_the_next_user_of_the_same_id(ann, network, monkeypatch):
    """Who was erased while an answer was recorded gets nothing of the user who is made anew under that id."""
    token = ann("POST", "/v1/users/ann/wizard-links", {}).json["token"]
    current = States.current

    def erased_meanwhile(self, tenant, user):
        ann("DELETE", "/v1/users/ann")
        ann("PUT", "/v1/users/ann/network", network)
        monkeypatch.undo()
        return current(self, tenant, user)

    monkeypatch.setattr(States, "current", erased_meanwhile)
    said = {"answers": [{"item": "phone", "friends": ["2"], "decision": "deny"}], "next": {}}
    answer = ann("POST", ANSWERS, said, Authorization=f"Bearer {token}")
    assert (answer.status_code, answer.json["next"]) == (200, None)


def test_all_answers_count_or_none(ann):
    """One answer that cannot be used keeps the others of its request out."""
    good, bad = {"item": "phone", "friends": ["2"], "decision": "allow"}, {"item": "phone", "friends": ["x"], "decision": "allow"}
    assert ann("POST", ANSWERS, {"answers": [good, bad]}).status_code == 422
    assert ann("GET", "/v1/users/ann/export").json["answers"] == []


def test_a_screen_is_of_one_user_and_one_state(ann, network):
    """A screen's id is refused for another user, when tampered with, and once something changed."""
    ann("PUT", "/v1/users/bob/network", network)
    screen = ann("GET", NEXT).json["screens"][0]
    assert ann("POST", "/v1/users/bob/answers", {"answers": [confirm(screen)]}).status_code == 422
    forged = screen["id"][:-2] + ("AA" if screen["id"][-2:] != "AA" else "BB")
    assert ann("POST", ANSWERS, {"answers": [confirm(screen | {"id": forged})]}).status_code == 422
    ann("POST", "/v1/users/ann/friends", {"friend": "zoe"})
    assert ann("POST", ANSWERS, {"answers": [confirm(screen)]}).status_code == 409


def test_a_screen_of_an_erased_user_is_not_one_of_the_next_user(ann, network):
    """Who is made again under the same id begins anew: nothing given out before is taken."""
    screen, seen = ann("GET", NEXT).json["screens"][0], ann("GET", "/v1/users/ann/policy").headers["ETag"]
    ann("DELETE", "/v1/users/ann")
    ann("PUT", "/v1/users/ann/network", network)
    assert ann("POST", ANSWERS, {"answers": [confirm(screen)]}).status_code == 409
    assert ann("POST", "/v1/users/ann/policy/accept", {}, match=seen).status_code == 412


def test_values_must_fit_the_toggles(ann):
    """Too few values, and words that no toggle takes, are refused."""
    screen = ann("GET", NEXT).json["screens"][0]
    for values in ([], ["perhaps"] * len(screen["toggles"])):
        refused = ann("POST", ANSWERS, {"answers": [{"screen": screen["id"], "values": values}]})
        assert (refused.status_code, refused.json["type"]) == (422, "urn:privwiz:problem:values")


def test_a_choice_for_a_circle_is_one_for_its_members(ann):
    """The user's own choice holds for everybody who is in the circle now."""
    circle = ann("GET", "/v1/users/ann/circles").json["circles"][0]
    assert ann("POST", ANSWERS, {"answers": [{"item": "phone", "circle": circle["id"], "decision": "allow"}]}).status_code == 200
    suggested = next(row for row in ann("GET", "/v1/users/ann/policy").json["items"] if row["item"] == "phone")["suggested"]
    assert set(suggested) >= set(circle["members"])


def test_undo_retracts_answers_one_by_one(ann):
    """Undoing every answer leads back to the policy before the first, in a log that has grown."""
    before = ann("GET", "/v1/users/ann/policy").json["items"]
    for friend in ("2", "3"):
        ann("POST", ANSWERS, {"answers": [{"item": "phone", "friends": [friend], "decision": "allow"}]})
    assert ann("GET", "/v1/users/ann/policy").json["items"] != before
    assert [ann("POST", f"{ANSWERS}/undo", {}).json["answers"] for _ in range(2)] == [3, 4]
    assert ann("GET", "/v1/users/ann/policy").json["items"] == before
    assert ann("POST", f"{ANSWERS}/undo", {}).status_code == 409


def test_a_key_counts_once(ann):
    """The same request with the same key is answered as before and recorded once; another one with that key is refused."""
    body = {"answers": [{"item": "phone", "friends": ["2"], "decision": "allow"}]}
    first = ann("POST", ANSWERS, body, key="one")
    again = ann("POST", ANSWERS, body, key="one")
    assert (again.status_code, again.json, again.headers["ETag"]) == (200, first.json, first.headers["ETag"])
    assert again.headers["Idempotent-Replayed"] == "true"
    assert ann("GET", "/v1/users/ann/export").json["answers"] == [{**ann("GET", "/v1/users/ann/export").json["answers"][0]}]
    body["answers"][0]["decision"] = "deny"
    assert ann("POST", ANSWERS, body, key="one").status_code == 422
    assert ann.as_user("ann")("POST", ANSWERS, body, key="one").status_code == 200, "keys belong to who sent them"


@pytest.mark.parametrize(
    "path", ["answers", "circles/corrections", "answers/undo", "policy/accept", "policy/override", "policy/undo"]
)
def test_what_must_count_once_needs_a_key(ann, sign, path):
    """Answers, undo, accept and override are refused without an Idempotency-Key."""
    bodies = {"answers": {"answers": [{"item": "phone", "friends": ["2"], "decision": "allow"}]}}
    bodies["circles/corrections"] = {"correction": {"kind": "rename", "circle": "c1", "name": "Club"}}
    bodies["policy/override"] = {"cells": [{"item": "phone", "friend": "2", "decision": "allow"}]}
    headers = {"Authorization": f"Bearer {sign(ann.tenant)}", "If-Match": ann("GET", "/v1/users/ann/policy").headers["ETag"]}
    answer = ann.app.test_client().post(f"/v1/users/ann/{path}", json=bodies.get(path, {}), headers=headers)
    assert (answer.status_code, answer.json["type"]) == (400, "urn:privwiz:problem:key-needed")


def test_a_key_counts_once_under_haste(ann):
    """Ten requests with one key at the same time are one answer in the log."""
    body = {"answers": [{"item": "phone", "friends": ["2"], "decision": "allow"}]}
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: ann("POST", ANSWERS, body, key="haste"), range(10)))
    assert [answer.status_code for answer in answers] == [200] * 10
    assert len({answer.json["revision"] for answer in answers}) == 1
    assert len(ann("GET", "/v1/users/ann/export").json["answers"]) == 1


def test_no_answer_is_lost_under_haste(ann):
    """Answers that come at the same time are all recorded, each with a revision of its own."""

    def say(friend):
        return ann("POST", ANSWERS, {"answers": [{"item": "phone", "friends": [friend], "decision": "allow"}]})

    friends = list(ann("GET", "/v1/users/ann/network").json["friends"])[:6]
    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(say, friends))
    assert sorted(answer.json["revision"] for answer in answers) == list(range(2, 8))
    said = {answer["friends"][0] for row in ann("GET", "/v1/users/ann/export").json["answers"] for answer in row["answers"]}
    assert said == set(friends)


def test_another_process_concludes_the_same(ann, settings, another):
    """A service that shares nothing but the database sees every change at once, and gives the same policy."""
    other = type(ann)(another(settings), ann.tenant)
    for step in range(3):
        ann("POST", ANSWERS, {"answers": [confirm(ann("GET", NEXT).json["screens"][0])]})
        assert other("GET", "/v1/users/ann/policy").data == ann("GET", "/v1/users/ann/policy").data, step
        other("POST", "/v1/users/ann/friends", {"friend": f"new{step}", "ties": ["2"]})
        assert other("GET", "/v1/users/ann/policy").data == ann("GET", "/v1/users/ann/policy").data, step
    fresh = create_app(settings)
    assert type(ann)(fresh, ann.tenant)("GET", "/v1/users/ann/policy/cells").json == ann("GET", "/v1/users/ann/policy/cells").json
    fresh.extensions["privwiz"].database.close()
