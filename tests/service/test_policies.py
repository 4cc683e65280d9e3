"""Policies: what is suggested, what is in force, and that nothing is granted before it is accepted."""

import json

import pytest

from privwiz.policy import Policy
from privwiz.prior import Prior
from privwiz_api import states

POLICY = "/v1/users/ann/policy"


def shown(backend, which="in_force"):
    """Return the cells that are shown, of what is in force or of what is suggested."""
    items = backend("GET", POLICY).json["items"]
    return {(row["item"], friend) for row in items for friend in row[which]}


def allow_phone_to_2(ann):
    """Say that friend 2 may see the phone number."""
    answer = {"item": "phone", "friends": ["2"], "decision": "allow"}
    assert ann("POST", "/v1/users/ann/answers", {"answers": [answer]}).status_code == 200


def test_nothing_is_in_force_before_it_is_accepted(ann):
    """An answer changes what is suggested; only accepting puts it into force, and exactly that."""
    allow_phone_to_2(ann)
    assert ("phone", "2") in shown(ann, "suggested")
    assert shown(ann) == set()
    assert ann("POST", f"{POLICY}/accept", {}, match=True).status_code == 200
    assert shown(ann) == shown(ann, "suggested")


def test_accepting_a_part_leaves_the_rest(ann):
    """Only the items and friends that are named come into force."""
    ann(
        "POST",
        "/v1/users/ann/answers",
        {"answers": [{"item": i, "friends": ["2", "3"], "decision": "allow"} for i in ("phone", "email")]},
    )
    assert ann("POST", f"{POLICY}/accept", {"items": ["phone"], "friends": ["3"]}, match=True).status_code == 200
    assert shown(ann) == {("phone", "3")}


def test_only_the_policy_that_was_read_is_accepted(ann):
    """Accepting needs the tag of the policy that was looked at; after a change it is refused, with the present tag."""
    seen = ann("GET", POLICY).headers["ETag"]
    assert ann("POST", f"{POLICY}/accept", {}).status_code == 428
    allow_phone_to_2(ann)
    refused = ann("POST", f"{POLICY}/accept", {}, match=seen)
    assert refused.status_code == 412
    assert refused.headers["ETag"] == ann("GET", POLICY).headers["ETag"] != seen
    assert shown(ann) == set()


@pytest.mark.parametrize("upgrade", ["version", "prior"])
def test_a_policy_of_another_version_is_not_accepted(ann, monkeypatch, request, upgrade):
    """After an upgrade, or with another prior, the tag of what was looked at before is refused."""
    seen = ann("GET", POLICY).headers["ETag"]
    request.addfinalizer(states.computed_by.cache_clear)
    states.computed_by.cache_clear()
    assert ann("GET", POLICY).headers["ETag"] == seen
    if upgrade == "version":
        monkeypatch.setattr(states.metadata, "version", lambda _: "99.0")
    else:
        monkeypatch.setattr(Prior, "default", Prior.flat)
    states.computed_by.cache_clear()
    assert ann("POST", f"{POLICY}/accept", {}, match=seen).status_code == 412
    assert ann("POST", f"{POLICY}/accept", {}, match=True).status_code == 200


def test_an_override_holds_at_once_and_is_kept(ann):
    """The user's own decision is in force at once, and a later accept does not take it back."""
    cells = [{"item": "phone", "friend": "2", "decision": "allow"}, {"item": "email", "friend": "3", "decision": "deny"}]
    assert ann("POST", f"{POLICY}/override", {"cells": cells}, match=True).status_code == 200
    assert shown(ann) == {("phone", "2")}
    ann("POST", "/v1/users/ann/answers", {"answers": [{"item": "email", "friends": ["4"], "decision": "allow"}]})
    ann("POST", f"{POLICY}/accept", {}, match=True)
    assert ("phone", "2") in shown(ann)
    assert ("email", "3") not in shown(ann)


def test_undo_takes_back_what_came_into_force_last(ann):
    """Each undo goes one step back, the last to nothing; then there is nothing to undo."""
    for friend in ("2", "3"):
        cells = [{"item": "phone", "friend": friend, "decision": "allow"}]
        ann("POST", f"{POLICY}/override", {"cells": cells}, match=True)
    assert shown(ann) == {("phone", "2"), ("phone", "3")}
    for left in ({("phone", "2")}, set()):
        assert ann("POST", f"{POLICY}/undo", {}, match=True).status_code == 200
        assert shown(ann) == left
    assert ann("POST", f"{POLICY}/undo", {}, match=True).status_code == 409


def catalogue(ann, *changes):
    """Put the library's catalogue with these items instead of its own of the same id; without those that are None."""
    own = {item["id"]: item for item in ann("GET", "/v1/items").json["items"]} | dict(changes)
    items = [item for item in own.values() if item is not None]
    assert ann.as_admin()("PUT", "/v1/items", {"items": items}).status_code == 200


@pytest.mark.parametrize("fresh", [False, True])
def test_an_item_that_comes_back_is_a_new_one(ann, another, settings, fresh):
    """What was accepted of an item that was taken away is not of the one that has its id now, and no undo restores it."""
    phone = next(item for item in ann("GET", "/v1/items").json["items"] if item["id"] == "phone")
    for item in ("phone", "email"):
        cells = [{"item": item, "friend": "2", "decision": "allow"}]
        assert ann("POST", f"{POLICY}/override", {"cells": cells}, match=True).status_code == 200
    catalogue(ann, ("phone", phone | {"en": "Telephone"}))
    assert shown(ann) == {("phone", "2"), ("email", "2")}, "an item that stays is the same"
    catalogue(ann, ("phone", None))
    assert shown(ann) == {("email", "2")}
    cells = [{"item": "email", "friend": "3", "decision": "allow"}]
    assert ann("POST", f"{POLICY}/override", {"cells": cells}, match=True).status_code == 200
    catalogue(ann, ("phone", phone | {"en": "Something else", "zh": "别的"}))
    if fresh:
        ann = type(ann)(another(settings), ann.tenant)
    assert shown(ann) == {("email", "2"), ("email", "3")}
    assert ann("POST", f"{POLICY}/undo", {}, match=True).status_code == 200
    assert shown(ann) == {("email", "2")}
    cells = [{"item": "phone", "friend": "3", "decision": "allow"}]
    assert ann("POST", f"{POLICY}/override", {"cells": cells}, match=True).status_code == 200
    assert shown(ann) == {("email", "2"), ("phone", "3")}


def test_a_new_friend_gets_suggestions_at_once_and_sees_nothing(ann):
    """Adding a friend answers with a suggestion for every item; in force is deny until the user accepts."""
    added = ann("POST", "/v1/users/ann/friends", {"friend": "zoe", "ties": ["2", "3"]})
    assert added.status_code == 201
    assert len(added.json["suggestions"]) == len(ann("GET", "/v1/items").json["items"])
    assert {cell["in_force"] for cell in added.json["suggestions"]} == {"deny"}


@pytest.mark.parametrize("way", ["delete", "patch", "put"])
def test_who_comes_back_sees_nothing_of_what_was_accepted_before(ann, network, way):
    """A friend who leaves and returns is a new one: what was accepted before is not in force, and no undo brings it back."""
    for item in ("phone", "email"):
        cells = [{"item": item, "friend": "2", "decision": "allow"}]
        ann("POST", f"{POLICY}/override", {"cells": cells}, match=True)
    path = "/v1/users/ann/network"
    if way == "delete":
        assert ann("DELETE", "/v1/users/ann/friends/2").status_code == 204
    elif way == "patch":
        assert ann("PATCH", path, {"friends": {"2": None}}, match=True).status_code == 200
    else:
        less = {name: said for name, said in network["friends"].items() if name != "2"}
        ties = [tie for tie in network["ties"] if "2" not in tie]
        assert ann("PUT", path, network | {"friends": less, "ties": ties}, match=True).status_code == 200
    assert shown(ann) == set()
    assert ann("POST", "/v1/users/ann/friends", {"friend": "2", "ties": ["3"]}).status_code == 201
    assert shown(ann) == set()
    ann("POST", f"{POLICY}/undo", {}, match=True)
    assert shown(ann) == set()


def test_nothing_is_in_force_without_a_network_and_after_it_returns(ann, network):
    """A network that is taken away takes what is in force with it."""
    ann("POST", f"{POLICY}/override", {"cells": [{"item": "phone", "friend": "2", "decision": "allow"}]}, match=True)
    assert ann("DELETE", "/v1/users/ann/network", match=True).status_code == 204
    assert ann("GET", POLICY).status_code == 404
    assert ann("PUT", "/v1/users/ann/network", network).status_code == 201
    assert shown(ann) == set()


def test_cells_come_in_pages(ann):
    """Pages follow each other without gap and repeat, and each cursor is good for its own list only."""
    whole = ann("GET", f"{POLICY}/cells?limit=1000").json
    assert whole["next"] is None
    cells, cursor = [], None
    while True:
        page = ann("GET", f"{POLICY}/cells?limit=50" + (f"&cursor={cursor}" if cursor else "")).json
        cells += page["cells"]
        cursor = page["next"]
        if cursor is None:
            break
        assert ann("GET", f"{POLICY}/cells?item=phone&cursor={cursor}").status_code == 422
    assert cells == whole["cells"]
    assert ann("GET", f"{POLICY}/cells?cursor=AAAA").status_code == 422


def test_a_cursor_does_not_outlive_the_list(ann):
    """A page of a policy that has changed is refused rather than mixed."""
    cursor = ann("GET", f"{POLICY}/cells?limit=5").json["next"]
    allow_phone_to_2(ann)
    assert ann("GET", f"{POLICY}/cells?limit=5&cursor={cursor}").status_code == 409


def test_a_cell_is_explained_in_both_languages(ann):
    """The explanation says what the user said, in English and Chinese."""
    allow_phone_to_2(ann)
    said = ann("GET", f"{POLICY}/explanation?item=phone&friend=2").json
    assert (said["kind"], said["suggested"], said["in_force"]) == ("own", "allow", "deny")
    assert said["reason"] == "You set this yourself."
    assert ann("GET", f"{POLICY}/explanation?item=phone&friend=2&language=zh").json["reason"] == "这是您自己设定的。"


def test_the_preview_is_what_a_friend_sees(ann):
    """View as: for each item whether it is shown now, and would be."""
    allow_phone_to_2(ann)
    items = {row["item"]: row for row in ann("GET", f"{POLICY}/preview?as=2").json["items"]}
    assert items["phone"] == {"item": "phone", "in_force": False, "suggested": True}


def test_the_difference_says_what_accepting_would_change(ann):
    """Accepting applies exactly the difference, after which none is left."""
    allow_phone_to_2(ann)
    difference = ann("GET", f"{POLICY}/diff").json
    assert {"item": "phone", "friend": "2", "before": "deny", "after": "allow"} in difference["changes"]
    assert difference["counts"] == ann("GET", POLICY).json["pending"]
    ann("POST", f"{POLICY}/accept", {}, match=True)
    assert ann("GET", f"{POLICY}/diff").json["changes"] == []


def test_exports_hold_what_is_in_force_only(ann):
    """OpenFGA tuples, Cedar policies, JSON and CSV grant exactly what was accepted."""
    cells = [{"item": "phone", "friend": "2", "decision": "allow"}]
    ann("POST", f"{POLICY}/override", {"cells": cells}, match=True)
    assert ann("GET", f"{POLICY}/export?format=openfga").json["tuples"] == [
        {"user": "user:2", "relation": "can_view", "object": "item:ann/phone"}
    ]
    assert 'User::"2"' in ann("GET", f"{POLICY}/export?format=cedar").text
    rows = ann("GET", f"{POLICY}/export?format=csv").text.splitlines()
    assert [row for row in rows if ",allow," in row] == ["ann,phone,2,allow,1.0,You set this yourself."]
    policy = Policy.from_json(ann("GET", f"{POLICY}/export").text)
    assert [(cell.item, cell.friend) for cell in policy if cell.decision == "allow"] == [("phone", "2")]
    assert ann("GET", f"{POLICY}/export?format=openfga&of=suggested").status_code == 422


def test_what_is_known_is_not_sent_again(ann):
    """A read with the tag that it gave is answered 304 and empty, until something changes."""
    for path in (POLICY, f"{POLICY}/cells", "/v1/users/ann/network", "/v1/users/ann/circles", "/v1/items"):
        first = ann("GET", path)
        again = ann("GET", path, If_None_Match=first.headers["ETag"])
        assert (again.status_code, again.data) == (304, b"")
    allow_phone_to_2(ann)
    assert ann("GET", POLICY, If_None_Match=first.headers["ETag"]).status_code == 200


def test_what_was_accepted_is_kept_as_it_was_looked_at(ann):
    """The acceptance holds the policy that was accepted, with its reasons, which is a policy of the library."""
    allow_phone_to_2(ann)
    ann("POST", f"{POLICY}/accept", {}, match=True)
    kept = ann("GET", "/v1/users/ann/export").json["acceptances"]
    assert [row["kind"] for row in kept] == ["accept"]
    assert Policy.from_json(kept[0]["policy"])["phone", "2"].decision == "allow"
    assert json.loads(kept[0]["policy"])["ego"] == "ann"
