"""The way to a policy: the link is opened, items are picked, circles looked at, screens answered."""

from typing import Any

from flask import g, request, url_for

from privwiz.errors import DataError
from privwiz.screens import Screen
from privwiz_api.page import memory as store
from privwiz_api.page.cases import Owner
from privwiz_api.page.groups import OTHERS, Group, find_group
from privwiz_api.page.names import readable
from privwiz_api.page.portrait import Portrait, draw
from privwiz_api.page.questions import guess_word, read_answers, sections, stamp
from privwiz_api.page.visits import Visit, keep_session, local, page, see, show, visitor

__all__ = ["MOST_SCREENS"]

MOST_SCREENS = 9
"""After so many screens the wizard shows the result; whoever likes may go on."""


@page.get("/enter")
def enter() -> Any:
    """Exchange the token of a link for a session. The page that says so asks for the first page itself.

    A redirect would not do: a browser that comes from the social network sends no strict cookie along with it.
    """
    owner = Owner("town", request.args.get("link", ""))
    return keep_session(show("enter.html"), owner)


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
    left_out = tuple(item.id for item in visit.all_items if item.id not in picked)
    if len(left_out) == len(visit.all_items):
        return _show_start(visit, 400, "pick_one")
    return keep_session(see("circles"), visit.owner, left_out)


@page.get("/circles")
@visitor
def circles() -> Any:
    """Show the circles: a picture, and the same as a list."""
    visit: Visit = g.visit
    return show("circles.html", picture=_picture(visit), coverage=visit.case.wizard.circles.coverage.text(visit.language))


@page.get("/circle")
@visitor
def circle() -> Any:
    """Show one circle and what can be corrected about it."""
    visit: Visit = g.visit
    group = find_group(visit.groups, request.args.get("id", ""))
    if group is None:
        return show("missing.html", 404)
    return show("circle.html", group=group)


@page.post("/circle")
@visitor
def correct() -> Any:
    """Correct a circle."""
    return see("circles")


@page.get("/screen")
@visitor
def screen() -> Any:
    """Ask the next screen."""
    visit: Visit = g.visit
    progress = visit.case.wizard.progress()
    if progress.screens >= MOST_SCREENS and "more" not in request.args:
        return see("review")
    asked = _next(visit)
    if asked is None:
        return see("review")
    return _show_screen(visit, asked)


@page.post("/screen")
@visitor
def answer() -> Any:
    """Confirm or skip a screen, or fill in its suggestions."""
    visit: Visit = g.visit
    asked = _next(visit)
    if asked is None or stamp(asked) != request.form.get("screen"):
        return see("screen", note="overtaken")
    answers = read_answers(asked, request.form)
    if request.form.get("do") == "suggest":
        filled = {k: said or guess_word(toggle) for k, (said, toggle) in enumerate(zip(answers, asked.toggles, strict=True))}
        return _show_screen(visit, asked, filled)
    if request.form.get("do") == "skip":
        answers = (None,) * len(answers)
    store.answer(visit.case, g.key, asked, answers)
    return see("screen", **({"more": 1} if "more" in request.form else {}))


@page.post("/undo")
@visitor
def undo() -> Any:
    """Take the last answer back."""
    store.undo(g.visit.case, g.key)
    return see("screen", more=1, note="undone")


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
        "start.html", status, screens=screens, most=MOST_SCREENS, friends=wizard.network.n, picture=_picture(visit), problem=problem
    )


def _next(visit: Visit) -> Screen | None:
    return visit.case.wizard.next_screen(items=[item.id for item in visit.items])


def _show_screen(visit: Visit, asked: Screen, filled: dict[int, str | None] | None = None) -> Any:
    wizard = visit.case.wizard
    shown = {tuple(group.members): group for group in visit.groups if group.id != OTHERS}
    progress = wizard.progress()
    return show(
        "screen.html",
        asked=asked,
        heading=readable(asked.text(visit.language), 160),
        sections=sections(asked, shown, visit.language, filled),
        stamp=stamp(asked),
        progress=progress,
        right=round(100 * (1 - progress.expected_wrong / progress.cells)),
        most=MOST_SCREENS,
        more="more" in request.values,
        note=request.args.get("note"),
    )
