"""The result: review it, change it, see it as a friend does, accept it, take that back; and friends who are new."""

import hashlib
import json
from typing import Any

from flask import Response, g, request

from privwiz.answers import CELL_CHOICES
from privwiz.decisions import Decision
from privwiz.items import ProfileItem
from privwiz_api.page import store
from privwiz_api.page.groups import find_group
from privwiz_api.page.matrix import cells, changes, count, counts, open_parts, side_effects, worked_out
from privwiz_api.page.questions import crowd
from privwiz_api.page.visits import Visit, back_to, forget_session, page, see, show, visitor
from privwiz_api.service import service

__all__: list[str] = []

_FIRST = 4
"""So many open parts are shown at once."""


@page.get("/review")
@visitor
def review() -> Any:
    """Show the whole matrix, by circle and item, what is not decided first."""
    visit: Visit = g.visit
    policy = visit.case.wizard.policy()
    parts = open_parts(policy, visit.items, visit.groups, visit.language)
    first = parts if "all" in request.args else parts[:_FIRST]
    return show(
        "review.html",
        counts=counts(policy, visit.groups),
        totals={item.id: count(policy, item.id, policy.friends) for item in visit.items},
        waiting=sum(len(part.friends) for part in parts),
        first=first,
        parts=len(parts),
        screens=visit.case.wizard.progress().screens,
    )


@page.get("/review/group")
@visitor
def review_group() -> Any:
    """Show one item for one circle, friend by friend."""
    visit: Visit = g.visit
    group, item = find_group(visit.groups, request.args.get("circle", "")), _item(visit, request.args.get("item", ""))
    if group is None or item is None:
        return show("missing.html", 404)
    policy = visit.case.wizard.policy()
    rows = cells(policy, [(item.id, friend) for friend in group.members], visit.language)
    return show("group.html", group=group, item=item, rows=rows, tally=count(policy, item.id, group.members))


@page.get("/review/item")
@visitor
def review_item() -> Any:
    """Show one item, circle by circle."""
    visit: Visit = g.visit
    item = _item(visit, request.args.get("id", ""))
    if item is None:
        return show("missing.html", 404)
    policy = visit.case.wizard.policy()
    parts = open_parts(policy, (item,), visit.groups, visit.language)
    return show(
        "item.html",
        item=item,
        tally=count(policy, item.id, policy.friends),
        counts=counts(policy, visit.groups),
        waiting=sum(len(part.friends) for part in parts),
        first=parts,
    )


@page.get("/review/circle")
@visitor
def review_circle() -> Any:
    """Show one circle, item by item."""
    visit: Visit = g.visit
    group = find_group(visit.groups, request.args.get("id", ""))
    if group is None:
        return show("missing.html", 404)
    policy = visit.case.wizard.policy()
    return show("circle_items.html", group=group, counts=counts(policy, (group,)))


@page.get("/review/friend")
@visitor
def review_friend() -> Any:
    """Show what one friend sees, and why."""
    visit: Visit = g.visit
    friend = request.args.get("id", "")
    if friend not in visit.faces:
        return show("missing.html", 404)
    policy = visit.case.wizard.policy()
    rows = cells(policy, [(item.id, friend) for item in visit.items], visit.language)
    return show("friend.html", face=visit.faces[friend], rows=rows)


@page.post("/set")
@visitor
def set_cells() -> Any:
    """Set an item by hand, for a friend, a circle, those of it who wait, or everybody: if they are those that the user saw."""
    visit: Visit = g.visit
    said = request.form.get("set", "")
    decision, item, kind, who, seen = _read_choice(said)
    items = [known.id for known in visit.items if known.id == item]
    with service().load.turn():
        friends = _whom(visit, item, kind, who) if items else ()
        before = visit.case.wizard.policy()
    if decision not in CELL_CHOICES or not friends:
        return show("missing.html", 404)
    if crowd(friends) != seen:
        return back_to("review")
    store.label(visit.owner, f"{g.key}.{hashlib.sha256(said.encode()).hexdigest()[:16]}", item, friends, decision)
    after = store.read(visit.owner)
    with service().load.turn():
        newly, no_longer = side_effects(before, after.wizard.policy(), visit.items, item, friends)
    return back_to("review", f"{newly}-{no_longer}" if newly or no_longer else "")


@page.get("/accept")
@visitor
def summary() -> Any:
    """Show what accepting would change."""
    return show("accept.html", **_summary(g.visit))


@page.post("/accept")
@visitor
def accept() -> Any:
    """Put the policy in force."""
    visit: Visit = g.visit
    version, items = visit.read_seen(request.form.get("version", ""))
    store.accept(visit.owner, g.key, version, items, own_only="own_only" in request.form)
    return see("done")


@page.get("/done")
@visitor
def done() -> Any:
    """Say what is in force."""
    visit: Visit = g.visit
    if visit.case.settings is None:
        return see("summary")
    return show("done.html", **_summary(visit))


@page.post("/accept/undo")
@visitor
def take_back() -> Any:
    """Put in force again what was before."""
    store.take_back(g.visit.owner, g.key, request.form.get("version", ""))
    return see("summary", note="taken_back")


@page.get("/export")
@visitor
def export() -> Any:
    """Give the user everything that is kept about the user."""
    answer = Response(store.export(g.visit.owner), mimetype="application/json")
    answer.headers["Content-Disposition"] = 'attachment; filename="privacy-settings.json"'
    return answer


@page.get("/friends/new")
@visitor
def newcomer() -> Any:
    """Suggest settings for a friend who is new."""
    visit: Visit = g.visit
    friend = request.args.get("id", "")
    if friend not in visit.case.newcomers:
        return show("missing.html", 404)
    policy = visit.case.wizard.policy()
    rows = cells(policy, [(item.id, friend) for item in visit.items], visit.language)
    return show("newcomer.html", face=visit.faces[friend], rows=rows)


@page.post("/friends/new")
@visitor
def settle() -> Any:
    """Decide about a friend who is new."""
    visit: Visit = g.visit
    friend = request.form.get("friend", "")
    if friend not in visit.case.newcomers:
        return see("start")
    version, items = visit.read_seen(request.form.get("version", ""))
    said = {item: request.form.get(f"d-{item}") for item in items}
    decisions = {item: Decision(value) if value in CELL_CHOICES else Decision.ASK for item, value in said.items()}
    store.settle(visit.owner, g.key, version, friend, decisions)
    return see("done")


@page.get("/delete")
@visitor
def ask_erase() -> Any:
    """Ask whether everything is to be deleted."""
    return show("delete.html")


@page.post("/delete")
@visitor
def erase() -> Any:
    """Delete everything about the user."""
    store.erase(g.visit.owner)
    return forget_session(show("deleted.html"))


def _whom(visit: Visit, item: str, kind: str, who: str) -> tuple[str, ...]:
    """Return the friends that a button is about: one, all, those of a circle, or those of it who wait for the user."""
    group = find_group(visit.groups, who)
    if kind == "all":
        return visit.case.wizard.network.friends
    if kind == "circle" and group:
        return group.members
    if kind == "open" and group:
        policy = visit.case.wizard.policy()
        return tuple(friend for friend in group.members if policy.decision(item, friend) == Decision.ASK)
    return (who,) if kind == "friend" and who in visit.faces else ()


def _item(visit: Visit, item: str) -> ProfileItem | None:
    return next((known for known in visit.items if known.id == item), None)


def _read_choice(text: str) -> tuple[str, str, str, str, str]:
    """Read what a button says: decision, item, kind of audience, which one, who they are; all empty if it is no such thing."""
    try:
        match json.loads(text):
            case [str(decision), str(item), str(kind), str(who), str(seen)]:
                return decision, item, kind, who, seen
    except (ValueError, RecursionError):
        pass
    return "", "", "", "", ""


def _summary(visit: Visit) -> dict[str, Any]:
    policy, before = visit.case.wizard.policy(), visit.case.settings or {}
    rows = changes(policy, before, visit.items)
    guessed = len(worked_out(policy, before, {item.id for item in visit.items})) if before else 0
    return {"rows": rows, "open": sum(row.after.undecided for row in rows), "guessed": guessed, "note": request.args.get("note")}
