"""The way to a policy: the link is opened, items are picked, circles looked at, screens answered."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from flask import g, request

from privwiz.circles import Circle
from privwiz.corrections import Correction, Dismiss, Merge, Move, Rename, Restore, Split
from privwiz.errors import DataError
from privwiz.screens import Screen
from privwiz.wizard import Wizard
from privwiz_api.page import store
from privwiz_api.page.cases import Owner
from privwiz_api.page.groups import any_group, find_place
from privwiz_api.page.names import readable
from privwiz_api.page.portrait import Portrait, draw
from privwiz_api.page.questions import Section, read_values, sections, stamp, suggested
from privwiz_api.page.visits import Visit, back_to, keep_session, mark, page, see, show, visitor
from privwiz_api.service import service

__all__ = ["MOST_SCREENS"]

MOST_SCREENS = 4
"""After so many screens, or about 35 taps, the wizard shows the result; whoever likes may go on."""


@page.get("")
def enter() -> Any:
    """Exchange the token of a link for a session. The page that says so asks for the first page itself.

    A redirect would not do: a browser that comes from the social network sends no strict cookie along with it.
    """
    if "token" not in request.args:
        return see("start")
    caller = service().callers.of(request.args["token"], request.remote_addr)
    version = service().states.version(caller.tenant, caller.subject)
    if caller.scopes != {"user"} or version is None or caller.generation not in (None, version.generation):
        return show("expired.html", 401, fields=[])
    return keep_session(show("enter.html"), Owner(caller.tenant, caller.subject, version.generation))


@page.get("/")
@visitor
def start() -> Any:
    """Show what there is to protect, and how much there is to do."""
    return _show_start(g.visit)


@page.post("/items")
@visitor
def pick_items() -> Any:
    """Keep what the user wants to be asked about."""
    visit: Visit = g.visit
    picked = set(request.form.getlist("item"))
    left_out = frozenset(mark(item.id) for item in visit.all_items if item.id not in picked)
    if not picked.intersection(item.id for item in visit.all_items):
        with service().load.turn():
            return _show_start(visit, 400, "pick_nothing")
    return keep_session(see("screen" if request.form.get("go") == "screen" else "circles"), visit.owner, left_out, visit.since)


@page.get("/circles")
@visitor
def circles() -> Any:
    """Show the circles: a picture, and the same as a list."""
    visit: Visit = g.visit
    inside = sum(len(group) for group in visit.groups if group.id)
    return show("circles.html", picture=_picture(visit), inside=inside, note=request.args.get("note"))


@page.get("/<path:_>")
def nothing(_: str) -> Any:
    """Say that there is no such page."""
    return show("missing.html", 404)


@page.get("/circle")
@visitor
def circle() -> Any:
    """Show one circle and what can be corrected about it."""
    return _show_circle(g.visit, request.args.get("id", ""))


@page.post("/circle")
@visitor
def correct() -> Any:
    """Rename, merge, split, dismiss or restore a circle, or move friends out of it."""
    visit: Visit = g.visit
    form = request.form
    circle, into, friends = form.get("circle", ""), form.get("into") or None, form.getlist("friend")
    corrections: list[Correction]
    try:
        match form.get("do"):
            case "rename":
                corrections = [Rename(circle, form.get("name", "").strip())]
            case "merge":
                corrections = [Merge((circle, into or ""))]
            case "split":
                corrections = [Split(circle, tuple(friends))]
            case "move":
                corrections = [Move(friend, into, circle) for friend in friends]
            case "restore":
                corrections = [Restore(circle)]
            case _:
                corrections = [Dismiss(circle)]
        if not corrections:
            return _show_circle(visit, circle, "problem_nobody")
        store.correct(visit.owner, g.key, corrections)
    except DataError:
        return _show_circle(visit, circle, "problem_name" if form.get("do") == "rename" else "problem_few")
    return see("circles", **({"note": "dismissed"} if isinstance(corrections[0], Dismiss) else {}))


@page.get("/screen")
@visitor
def screen() -> Any:
    """Ask the next screen."""
    visit: Visit = g.visit
    progress = visit.case.wizard.progress()
    if progress.screens >= MOST_SCREENS and "more" not in request.args:
        return see("review")
    asked = _next(visit, visit.case.wizard)
    if asked is None:
        return see("review")
    return _show_screen(visit, asked)


@page.post("/screen")
@visitor
def answer() -> Any:
    """Confirm or skip a screen, or fill in its suggestions; who confirms nothing is asked again."""
    visit: Visit = g.visit
    shown, values, do = request.form.get("screen", ""), read_values(request.form), request.form.get("do")
    if do == "suggest" or (do != "skip" and not any(values)):
        wizard = visit.case.wizard
        with service().load.turn():
            asked = _next(visit, wizard)
            if asked is None or stamp(asked) != shown or len(values) != len(asked.toggles):
                return see("screen", more=1, note="overtaken")
            if do == "suggest":
                return _show_screen(visit, asked, suggested(asked, values))
            return _show_screen(visit, asked, values, "problem_nothing")
    if do == "skip":
        values = (None,) * len(values)
    store.answer(visit.owner, g.key, lambda wizard: _next(visit, wizard), shown, values)
    return see("screen", **({"more": 1} if "more" in request.form else {}))


@page.post("/undo")
@visitor
def undo() -> Any:
    """Take the last answer, or the last change by hand, back."""
    store.undo(g.visit.owner, g.key, request.form.get("version", ""))
    return back_to("review") if "back" in request.form else see("screen", more=1, note="undone")


def _show_circle(visit: Visit, circle: str, problem: str = "") -> Any:
    circles = visit.case.wizard.circles
    with service().load.turn():
        group = any_group(circles, visit.groups, circle, visit.language)
        if group is None:
            return show("missing.html", 404)
        place = find_place(visit.groups, group.members)
        return show("circle.html", 400 if problem else 200, group=group, place=place, problem=problem)


def _picture(visit: Visit) -> Portrait | None:
    network = visit.case.wizard.network
    if not network.n:
        return None
    shown = [visit.faces[friend] for friend in network.friends]
    return draw(network, visit.case.wizard.circles, tuple(face.name for face in shown), tuple(face.tone for face in shown))


def _show_start(visit: Visit, status: int = 200, problem: str = "") -> Any:
    wizard = visit.case.wizard
    screens = wizard.progress().screens if wizard.network.n else 0
    return show(
        "start.html",
        status,
        screens=screens,
        most=MOST_SCREENS,
        friends=wizard.network.n,
        picture=_picture(visit),
        problem=problem,
    )


def _next(visit: Visit, wizard: Wizard) -> Screen | None:
    return wizard.next_screen(items=[item.id for item in visit.items])


def _show_screen(visit: Visit, asked: Screen, filled: Sequence[str | None] | None = None, problem: str = "") -> Any:
    wizard = visit.case.wizard
    progress = wizard.progress()
    return show(
        "screen.html",
        400 if problem else 200,
        problem=problem,
        asked=asked,
        heading=readable(asked.text(visit.language), 160),
        sections=_in_order(sections(asked, _circles(wizard), visit.language, filled), visit),
        places=[find_place(visit.groups, toggle.friends) for toggle in asked.toggles],
        stamp=stamp(asked),
        progress=progress,
        right=round(100 * (1 - progress.expected_wrong / progress.cells)),
        most=MOST_SCREENS,
        more="more" in request.values,
        note=request.args.get("note"),
    )


def _in_order(shown: Sequence[Section], visit: Visit) -> list[Section]:
    """Put the rows about items in the order in which the page lists items everywhere."""
    place = {item.id: k for k, item in enumerate(visit.items)}
    return [replace(section, rows=tuple(sorted(section.rows, key=lambda row: place.get(row.item, 0)))) for section in shown]


def _circles(wizard: Wizard) -> dict[tuple[str, ...], Circle]:
    """Return members -> circle, for all that may be asked about."""
    return {circle.members: circle for circle in wizard.belief().layout.circles}
