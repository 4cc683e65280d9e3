"""Policies: what is suggested and what is in force, and how the one becomes the other."""

from dataclasses import replace

from flask import Response
from flask_openapi3.blueprint import APIBlueprint

from privwiz.answers import Answer, Entry
from privwiz.decisions import Decision
from privwiz.errors import UnknownFriend, UnknownItem
from privwiz_api import policies
from privwiz_api.changes import Change, heard, put_in_force, taken_back
from privwiz_api.documents import pack
from privwiz_api.problems import Problem
from privwiz_api.schemas import (
    Accept,
    CellFilter,
    CellPage,
    CellPath,
    DiffDocument,
    ExplanationDocument,
    ExportFormat,
    Override,
    PolicyDocument,
    PreviewAs,
    PreviewDocument,
    Undo,
    UserPath,
    Written,
)
from privwiz_api.service import (
    caller_for,
    change,
    current,
    encode,
    must_match,
    need_network,
    no_such_user,
    service,
    unless_known,
)
from privwiz_api.states import State

__all__ = ["routes"]

routes = APIBlueprint("policies", __name__, url_prefix="/v1")


@routes.get("/users/<user>/policy", responses={200: PolicyDocument})
def get_policy(path: UserPath) -> Response:
    """Read the whole policy: for each item who sees it, who would, and who waits for the user's decision."""
    written = service().states.written(caller_for(path.user).tenant, path.user, _write)
    if written is None:
        raise no_such_user()
    return unless_known(written[1], written[0].etag)


@routes.get("/users/<user>/policy/cells", responses={200: CellPage})
def get_cells(path: UserPath, query: CellFilter) -> Response:
    """Read the policy cell by cell: all of it, one item's or one friend's, in pages."""
    state = current(path.user)
    purpose = f"cells/{state.tenant}/{state.user}/{query.item}/{query.friend}"
    start = 0
    if query.cursor is not None:
        place = service().signer.read(query.cursor, purpose)
        if place is None:
            raise Problem(422, "bad-cursor", "The cursor is not one of this list; begin with the first page.")
        etag, start = place
        if etag != state.version.etag:
            raise Problem(409, "list-changed", "The policy changed between two pages; begin with the first page.")
    with service().load.turn():
        page = list(policies.cells(state, query.item, query.friend, start, start + query.limit + 1))
    more = len(page) > query.limit
    following = service().signer.sign([state.version.etag, start + query.limit], purpose) if more else None
    body = {"revision": state.version.revision, "cells": page[: query.limit], "next": following}
    return unless_known(encode(body), state.version.etag)


@routes.get("/users/<user>/policy/explanation", responses={200: ExplanationDocument})
def get_explanation(path: UserPath, query: CellPath) -> Response:
    """Say why a cell is suggested as it is."""
    state = current(path.user)
    with service().load.turn():
        return unless_known(encode(policies.explanation(state, query.item, query.friend, query.language)), state.version.etag)


@routes.get("/users/<user>/policy/preview", responses={200: PreviewDocument})
def get_preview(path: UserPath, query: PreviewAs) -> Response:
    """Show the profile as a friend sees it."""
    state = current(path.user)
    with service().load.turn():
        return unless_known(encode(policies.preview(state, query.friend)), state.version.etag)


@routes.get("/users/<user>/policy/diff", responses={200: DiffDocument})
def get_diff(path: UserPath) -> Response:
    """Say what accepting all suggestions would change."""
    state = current(path.user)
    with service().load.turn():
        return unless_known(encode(policies.diff(state)), state.version.etag)


@routes.get(
    "/users/<user>/policy/export",
    responses={
        200: {
            "content": {
                "application/json": {"schema": {"type": "object"}},
                "text/csv": {"schema": {"type": "string"}},
                "text/plain": {"schema": {"type": "string"}},
            }
        }
    },
)
def get_export(path: UserPath, query: ExportFormat) -> Response:
    """Export what is in force, or what is suggested, as JSON, CSV, OpenFGA tuples or Cedar policies."""
    state = current(path.user)
    if query.of == "suggested" and query.format in ("openfga", "cedar"):
        raise Problem(422, "not-in-force", "Grants are exported of what is in force only; suggestions are given as json or csv.")
    with service().load.turn():
        body, kind = policies.export(state, query.format, query.of, query.language)
    return unless_known(body, state.version.etag, kind)


@routes.post("/users/<user>/policy/accept", responses={200: Written})
def post_accept(path: UserPath, body: Accept) -> Response:
    """Put suggestions into force: those of the policy whose entity tag If-Match names."""

    def plan(state: State | None) -> Change:
        state = need_network(state)
        must_match(state.version.etag)
        known_items, known_friends = [item.id for item in state.items], state.policy.friends
        for item in set(body.items or ()).difference(known_items):
            raise UnknownItem(item)
        for friend in set(body.friends or ()).difference(known_friends):
            raise UnknownFriend(friend)
        items, friends = set(body.items or known_items), set(body.friends or known_friends)
        chosen = {cell: said for cell, said in state.policy.table().items() if cell[0] in items and cell[1] in friends}
        with state.lock:
            looked_at = state.policy.to_json()
        return put_in_force(state, "accept", chosen, pack(looked_at))

    return change(caller_for(path.user), path.user, "policy.accept", plan, key_needed=True)


@routes.post("/users/<user>/policy/override", responses={200: Written})
def post_override(path: UserPath, body: Override) -> Response:
    """Decide cells oneself; it holds at once, and every later suggestion keeps to it."""

    def plan(state: State | None) -> Change:
        state = need_network(state)
        assert state.stored is not None
        must_match(state.version.etag)
        for cell in body.cells:
            if cell.item not in {item.id for item in state.items}:
                raise UnknownItem(cell.item)
            state.stored.network.index(cell.friend)
        chosen = {(cell.item, cell.friend): Decision(cell.decision) for cell in body.cells}
        entries = [Answer(item, (friend,), said.value, each=True) for (item, friend), said in chosen.items()]
        said = heard(state, (Entry("label", tuple(entries)),))
        return put_in_force(replace(said, version=state.version), "override", chosen, None)

    return change(caller_for(path.user), path.user, "policy.override", plan, key_needed=True)


@routes.post("/users/<user>/policy/undo", responses={200: Written})
def post_policy_undo(path: UserPath, body: Undo) -> Response:  # noqa: ARG001 - it is empty, and checked to be
    """Take back what came into force last. What the user said stays said."""

    def plan(state: State | None) -> Change:
        state = need_network(state)
        must_match(state.version.etag)
        if not state.standing:
            raise Problem(409, "nothing-to-undo", "Nothing is in force that could be taken back.")
        return taken_back(state)

    return change(caller_for(path.user), path.user, "policy.undo", plan, key_needed=True)


def _write(state: State) -> bytes:
    need_network(state)
    with service().load.turn():
        return policies.write_policy(state)
