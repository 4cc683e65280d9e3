"""Circles: the groups that were found."""

from flask import Response
from flask_openapi3.blueprint import APIBlueprint

from privwiz.circles import Circle
from privwiz_api.schemas import CircleList, UserPath
from privwiz_api.service import current, encode, unless_known

__all__ = ["circle_document", "routes"]

routes = APIBlueprint("circles", __name__, url_prefix="/v1")


@routes.get("/users/<user>/circles", responses={200: CircleList})
def get_circles(path: UserPath) -> Response:
    """List a user's circles."""
    state = current(path.user)
    assert state.wizard is not None
    circles = [circle_document(circle) for circle in state.wizard.circles]
    return unless_known(encode({"revision": state.version.revision, "circles": circles}), state.version.etag)


def circle_document(circle: Circle) -> dict[str, object]:
    """Describe a circle."""
    return {
        "id": circle.id,
        "level": circle.level,
        "name": circle.name,
        "name_zh": circle.name_zh,
        "members": circle.members,
    }
