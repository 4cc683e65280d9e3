"""Users: links to their wizard, and their rights: everything that is kept, given out and erased."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Response, g
from flask_openapi3.blueprint import APIBlueprint
from sqlalchemy import Connection, delete, insert, select, update

from privwiz_api.changes import Result
from privwiz_api.documents import read_decisions, read_entry, unpack
from privwiz_api.routes.circles import circle_document
from privwiz_api.schemas import Link, Undo, UserExport, UserPath
from privwiz_api.service import answer, caller_for, encode, idempotency_key, no_such_user, service
from privwiz_api.tables import acceptances, answers, audit, corrections, idempotency, outbox, users
from privwiz_api.tokens import Caller

__all__ = ["erase", "everything", "routes"]

routes = APIBlueprint("users", __name__, url_prefix="/v1")


@routes.post("/users/<user>/wizard-links", responses={201: Link})
def post_wizard_link(path: UserPath, body: Undo) -> Response:  # noqa: ARG001 - it is empty, and checked to be
    """Make a link that opens the wizard for this user alone, for a short time. Its token is a bearer token of that user."""
    caller = caller_for(path.user, backend=True)
    idempotency_key(needed=False)
    version = service().states.version(caller.tenant, path.user)
    if version is None:
        raise no_such_user()
    settings = service().settings
    token = service().tokens.issue(caller.tenant, path.user, "user", settings.link_seconds, generation=version.generation)
    until = datetime.now(UTC) + timedelta(seconds=settings.link_seconds)
    link = {
        "url": f"{settings.public_url.rstrip('/')}/wizard?token={token}",
        "token": token,
        "expires_at": until.isoformat(timespec="seconds"),
    }
    return answer(Result(201, link, {"Cache-Control": "no-store"}))


@routes.get("/users/<user>/export", responses={200: UserExport})
def get_export(path: UserPath) -> Response:
    """Give out everything that is kept about a user."""
    body = everything(caller_for(path.user).tenant, path.user)
    return Response(body, headers={"Cache-Control": "no-store"}, content_type="application/json")


@routes.delete("/users/<user>", responses={204: None})
def delete_user(path: UserPath) -> Response:
    """Erase a user: every row, also of retries, events and the audit log, which keeps only that somebody was erased."""
    erase(caller_for(path.user), path.user)
    return Response(status=204)


def everything(tenant: str, user: str) -> bytes:
    """Write everything that is kept about a user, as JSON; raises `Problem` where there is no such user."""
    state = service().states.current(tenant, user)
    if state is None:
        raise no_such_user()
    circles = () if state.wizard is None else state.wizard.circles
    with service().database.read() as connection:
        document = {
            "user": user,
            "network": None if state.stored is None else state.stored.document,
            "circles": [circle_document(circle) for circle in circles],
            **_rows(connection, tenant, user),
        }
    return encode(document)


def erase(caller: Caller, user: str) -> None:
    """Erase a user of the caller's tenant."""
    with service().database.write(f"{caller.tenant}/{user}") as connection:
        _erase(connection, caller, user)
    service().states.forget(caller.tenant, user)


def _erase(connection: Connection, caller: Caller, user: str) -> None:
    tenant, himself = caller.tenant, f"user:{user}"
    connection.execute(delete(users).where(users.c.tenant == tenant, users.c.id == user))
    connection.execute(
        delete(idempotency).where(
            idempotency.c.tenant == tenant, (idempotency.c.user == user) | (idempotency.c.caller == himself)
        )
    )
    connection.execute(delete(outbox).where(outbox.c.tenant == tenant, outbox.c.user == user))
    connection.execute(update(audit).where(audit.c.tenant == tenant, audit.c.actor == himself).values(actor=None))
    connection.execute(update(audit).where(audit.c.tenant == tenant, audit.c.user == user).values(user=None))
    connection.execute(
        insert(audit).values(
            at=datetime.now(UTC),
            tenant=tenant,
            actor=caller.id if caller.is_backend else None,
            action="user.erase",
            request=g.request_id,
        )
    )


def _rows(connection: Connection, tenant: str, user: str) -> dict[str, Any]:
    def own(table: Any) -> Any:
        return connection.execute(select(table).where(table.c.tenant == tenant, table.c.user == user).order_by(table.c.seq))

    created = connection.scalar(select(users.c.created_at).where(users.c.tenant == tenant, users.c.id == user))
    return {
        "created_at": _time(created),
        "corrections": [{"at": _time(row.at), **unpack(row.document)} for row in own(corrections)],
        "answers": [{"at": _time(row.at), **_entry(row.document)} for row in own(answers)],
        "acceptances": [
            {
                "at": _time(row.at),
                "kind": row.kind,
                "revision": row.revision,
                "decisions": [[*cell, said] for cell, said in read_decisions(row.decisions).items()],
                "policy": None if row.policy is None else unpack(row.policy),
            }
            for row in own(acceptances)
        ],
        "events": [json.loads(row.body) for row in own(outbox)],
        "audit": [
            {"at": _time(row.at), "actor": row.actor, "action": row.action, "revision": row.revision} for row in own(audit)
        ],
    }


def _entry(data: bytes) -> dict[str, Any]:
    entry = read_entry(data)
    said = [{"item": one.item, "friends": one.friends, "value": one.value, "each": one.each} for one in entry.answers]
    return {"kind": entry.kind, "answers": said}


def _time(moment: datetime | None) -> str:
    return "" if moment is None else moment.isoformat(timespec="seconds")
