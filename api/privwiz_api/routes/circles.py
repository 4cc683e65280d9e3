"""Circles: the groups that were found, and what the user corrects of them."""

from dataclasses import replace

from flask import Response
from flask_openapi3.blueprint import APIBlueprint

from privwiz.circles import Circle
from privwiz.corrections import read_correction
from privwiz_api.changes import Change, corrected
from privwiz_api.schemas import CircleList, Correction, UserPath
from privwiz_api.service import caller_for, change, current, encode, need_network, service, unless_known
from privwiz_api.states import State

__all__ = ["circle_document", "routes"]

routes = APIBlueprint("circles", __name__, url_prefix="/v1")


@routes.get("/users/<user>/circles", responses={200: CircleList})
def get_circles(path: UserPath) -> Response:
    """List a user's circles."""
    state = current(path.user)
    return unless_known(encode(_circles(state)), state.version.etag)


@routes.post("/users/<user>/circles/corrections", responses={200: CircleList})
def post_correction(path: UserPath, body: Correction) -> Response:
    """Rename, merge, split, move, dismiss or restore; the circles as they are then."""
    correction = read_correction(body.correction.model_dump(exclude_none=True))

    def plan(state: State | None) -> Change:
        state = need_network(state)
        made = corrected(service().states, state, (correction,))
        assert made.after is not None
        return replace(made, result=replace(made.result, body=_circles(made.after)))

    return change(caller_for(path.user), path.user, "circles.correct", plan, key_needed=True)


def _circles(state: State) -> dict[str, object]:
    assert state.stored is not None
    return {"revision": state.version.revision, "circles": [circle_document(circle) for circle in state.stored.circles]}


def circle_document(circle: Circle) -> dict[str, object]:
    """Describe a circle."""
    return {
        "id": circle.id,
        "level": circle.level,
        "name": circle.name,
        "name_zh": circle.name_zh,
        "members": circle.members,
    }
