"""Networks: a user's friends, ties and profiles, and friends who come and go."""

from typing import Any

from flask import Response, g, request
from flask_openapi3.blueprint import APIBlueprint
from pydantic import ValidationError

from privwiz.errors import PrivwizError
from privwiz_api.changes import Change, Request, Result, digest, networked, next_version, renetworked
from privwiz_api.documents import merge_patch, with_ties_of_friends
from privwiz_api.policies import cells
from privwiz_api.problems import Problem, as_problem, refuse_invalid
from privwiz_api.schemas import (
    MAX_FRIENDS,
    MAX_TIES,
    Batch,
    BatchEntry,
    BatchResult,
    FriendPath,
    Network,
    NetworkPatch,
    NewFriend,
    Suggestions,
    UserPath,
    Written,
)
from privwiz_api.service import (
    answer,
    caller_for,
    change,
    current,
    encode,
    idempotency_key,
    must_match,
    need_network,
    service,
    unless_known,
)
from privwiz_api.states import State
from privwiz_api.tokens import Caller

__all__ = ["routes"]

routes = APIBlueprint("networks", __name__, url_prefix="/v1")


@routes.get("/users/<user>/network", responses={200: Network})
def get_network(path: UserPath) -> Response:
    """Read a user's network."""
    state = current(path.user)
    assert state.stored is not None
    return unless_known(encode(state.stored.document), state.version.network_etag)


@routes.put("/users/<user>/network", responses={200: Written, 201: Written})
def put_network(path: UserPath, body: Network) -> Response:
    """Make or replace a user's network. If-Match is needed where there is one."""
    document = body.model_dump(mode="json")

    def plan(state: State | None) -> Change:
        if state is not None and state.stored is not None:
            must_match(state.version.network_etag)
        elif request.if_match:
            raise Problem(412, "changed", "There is no network to replace; leave If-Match out.")
        return networked(service().states, caller.tenant, path.user, state, document)

    caller = caller_for(path.user, backend=True)
    return change(caller, path.user, "network.put", plan)


@routes.patch("/users/<user>/network", responses={200: Written})
def patch_network(path: UserPath, body: NetworkPatch) -> Response:  # noqa: ARG001 - its form is checked; its nulls count
    """Change a user's network by a JSON merge patch. Ties of friends who are taken away go with them."""
    patch = request.get_json()

    def plan(state: State | None) -> Change:
        state = need_network(state)
        assert state.stored is not None
        must_match(state.version.network_etag)
        merged = {"ties": [], "friends": {}, **merge_patch(state.stored.document, patch)}
        try:
            document = Network.model_validate(merged).model_dump(mode="json")
        except ValidationError as error:
            raise Refused(refuse_invalid(error)) from None
        if "ties" not in patch:
            document = dict(with_ties_of_friends(document))
        return networked(service().states, state.tenant, path.user, state, document)

    try:
        return change(caller_for(path.user, backend=True), path.user, "network.patch", plan)
    except Refused as refused:
        return refused.response


class Refused(Exception):
    """A patch whose result is no network."""

    def __init__(self, response: Response) -> None:
        super().__init__("refused")
        self.response = response


@routes.delete("/users/<user>/network", responses={204: None})
def delete_network(path: UserPath) -> Response:
    """Take a user's network away; nothing is in force without it. What the user answered stays."""

    def plan(state: State | None) -> Change:
        state = need_network(state)
        must_match(state.version.network_etag)
        return Change(Result(204), renetworked(service().states, state, None))

    return change(caller_for(path.user, backend=True), path.user, "network.delete", plan)


@routes.post("/users/<user>/friends", responses={201: Suggestions})
def post_friend(path: UserPath, body: NewFriend) -> Response:
    """Take in a new friend, and suggest who may see what at once. Nothing is shown to the friend before it is accepted."""

    def plan(state: State | None) -> Change:
        return _add_friend(need_network(state), body)

    return change(caller_for(path.user, backend=True), path.user, "friend.add", plan)


@routes.delete("/users/<user>/friends/<friend>", responses={204: None})
def delete_friend(path: FriendPath) -> Response:
    """Take a friend out. Should the friend come back, nothing that was accepted before is in force for it."""

    def plan(state: State | None) -> Change:
        state = need_network(state)
        assert state.stored is not None
        if path.friend not in state.stored.since:
            raise Problem(404, "no-such-friend", "There is no such friend.")
        after = renetworked(service().states, state, state.stored.without_friend(path.friend))
        return Change(Result(204, headers={"ETag": after.version.network_etag}), after)

    return change(caller_for(path.user, backend=True), path.user, "friend.remove", plan)


@routes.post("/suggestions:batch", responses={200: BatchResult})
def post_batch(body: Batch) -> Response:
    """Take in new friends of many users. Entries are independent: each has its own result, and an Idempotency-Key covers each."""
    caller = caller_for(backend=True)
    key = idempotency_key(needed=False)
    if len({entry.id for entry in body.entries}) < len(body.entries):
        raise Problem(422, "id-twice", "Two entries have one id; give each its own.")
    return answer(Result(200, {"results": [_batch_entry(caller, key, entry) for entry in body.entries]}))


def _batch_entry(caller: Caller, key: str | None, entry: BatchEntry) -> dict[str, Any]:
    asked = Request(
        caller=caller,
        user=entry.user,
        id=g.request_id,
        action="friend.add",
        key=None if key is None else digest(key.encode(), entry.id.encode()),
        digest=digest(b"batch", entry.model_dump_json().encode()),
    )

    def plan(state: State | None) -> Change:
        return _add_friend(need_network(state), entry)

    try:
        result = service().changes.make(asked, plan)
    except PrivwizError as error:
        refused = as_problem(error)
    except Problem as error:
        refused = error
    else:
        return {"id": entry.id, "status": result.status, **result.body}
    return {"id": entry.id, "status": refused.status, "type": f"urn:privwiz:problem:{refused.kind}", "title": refused.title}


def _add_friend(state: State, new: NewFriend) -> Change:
    assert state.stored is not None
    if new.friend in state.stored.since:
        raise Problem(409, "friend-already", "This is a friend already; take the friend out first, or PATCH the network.")
    ties = list(new.ties) if isinstance(new.ties, list) else dict(new.ties)
    if state.stored.network.n >= MAX_FRIENDS or len(state.stored.document["ties"]) + len(ties) > MAX_TIES:
        raise Problem(422, "too-large", f"A network has at most {MAX_FRIENDS} friends and {MAX_TIES} ties.")
    revision = next_version(state, network=True).revision
    stored = state.stored.with_friend(new.friend, ties, new.profile, new.weight, revision)
    after = renetworked(service().states, state, stored)
    body = {"revision": revision, "suggestions": list(cells(after, friend=new.friend))}
    event = ("suggestion.pending", {"revision": revision, "friends": [new.friend]})
    return Change(Result(201, body, {"ETag": after.version.network_etag}), after, events=(event,))
