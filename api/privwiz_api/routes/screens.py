"""Screens and answers: what to ask next, and what the user says, asked or unasked."""

from dataclasses import replace
from typing import Any

from flask import Response
from flask_openapi3.blueprint import APIBlueprint

from privwiz.answers import Answer, Entry
from privwiz.errors import PrivwizError, UnknownItem
from privwiz_api.changes import Change, Result, heard
from privwiz_api.problems import Problem, log_failure
from privwiz_api.schemas import (
    Answered,
    AnsweredWithNext,
    AnswerList,
    CellAnswer,
    ScreenFilter,
    ScreenList,
    Undo,
    UserPath,
)
from privwiz_api.screens import answered, next_screens
from privwiz_api.service import answer, caller_for, change, current, encode, make_change, need_network, service, unless_known
from privwiz_api.states import State
from privwiz_api.tokens import Caller

__all__ = ["routes"]

routes = APIBlueprint("screens", __name__, url_prefix="/v1")


@routes.get("/users/<user>/screens/next", responses={200: ScreenList})
def get_next_screens(path: UserPath, query: ScreenFilter) -> Response:
    """Say what to ask next."""
    state = current(path.user)

    return unless_known(lambda: encode(_screens(state, query)), state.version.etag)


@routes.post("/users/<user>/answers", responses={200: AnsweredWithNext})
def post_answers(path: UserPath, body: AnswerList) -> Response:
    """Record confirmed screens, and choices that the user made unasked: all of them, or none; and say what to ask next."""
    caller = caller_for(path.user)

    def plan(state: State | None) -> Change:
        state = need_network(state)
        for item in (body.next and body.next.items) or ():
            _check_item(state, item)
        entries = tuple(
            _own_choice(state, said)
            if isinstance(said, CellAnswer)
            else answered(state, service().signer, said.screen, said.values)
            for said in body.answers
        )
        return _said(heard(state, entries))

    result = make_change(caller, path.user, "answers.add", plan, key_needed=True)
    if body.next is not None:
        result = replace(result, body={**result.body, "next": _screens_after(caller, path.user, body.next)})
    return answer(result)


@routes.post("/users/<user>/answers/undo", responses={200: Answered})
def post_answers_undo(path: UserPath, body: Undo) -> Response:  # noqa: ARG001 - it is empty, and checked to be
    """Retract the last answer that still stands. What is in force stays as it is."""

    def plan(state: State | None) -> Change:
        state = need_network(state)
        assert state.wizard is not None
        if state.wizard.fork().undo() is None:
            raise Problem(409, "nothing-to-undo", "No answer stands that could be retracted.")
        return _said(heard(state, (Entry("undo"),)))

    return change(caller_for(path.user), path.user, "answers.undo", plan, key_needed=True)


def _screens(state: State, wanted: ScreenFilter) -> dict[str, Any]:
    with service().load.turn():
        screens = next_screens(state, service().signer, wanted.kinds, wanted.items, wanted.count)
    return {"revision": state.version.revision, "screens": screens}


def _screens_after(caller: Caller, user: str, wanted: ScreenFilter) -> dict[str, Any] | None:
    """Return what to ask after answers that are recorded, None if it cannot be chosen: whatever fails here unsays no answer."""
    try:
        state = service().states.current(caller.tenant, user)
        if state is None or state.stored is None or caller.generation not in (None, state.version.generation):
            return None
        return _screens(state, wanted)
    except (Problem, PrivwizError):
        return None
    except Exception as error:  # noqa: BLE001 - any other answer would say that nothing was recorded
        log_failure(error)
        return None


def _own_choice(state: State, said: CellAnswer) -> Entry:
    assert state.stored is not None
    if (said.friends is None) == (said.circle is None):
        raise Problem(422, "who", "Name either friends or a circle.")
    _check_item(state, said.item)
    friends = tuple(dict.fromkeys(said.friends or ()))
    if said.circle is not None:
        assert state.wizard is not None
        circle = next((circle for circle in state.wizard.circles if circle.id == said.circle), None)
        if circle is None:
            raise Problem(422, "no-such-circle", "There is no such circle; see GET circles.")
        friends = circle.members
    for friend in friends:
        state.stored.network.index(friend)
    return Entry("label", (Answer(said.item, friends, said.decision, each=True),))


def _check_item(state: State, wanted: str) -> None:
    if wanted not in {item.id for item in state.items}:
        raise UnknownItem(wanted)


def _said(after: State) -> Change:
    body = {"revision": after.version.revision, "answers": len(after.log)}
    return Change(Result(200, body, {"ETag": after.version.etag}), after)
