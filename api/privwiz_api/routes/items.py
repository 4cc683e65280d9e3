"""Items: a tenant's catalogue of what there is to protect."""

from datetime import UTC, datetime

from flask import Response, g, request
from flask_openapi3.blueprint import APIBlueprint
from sqlalchemy import delete, insert

from privwiz.items import ProfileItem, profile_items
from privwiz_api.documents import Catalogue
from privwiz_api.schemas import ItemCatalogue, ItemList
from privwiz_api.service import caller_for, encode, must_match, service, unless_known
from privwiz_api.states import read_catalogue
from privwiz_api.tables import audit, catalogues

__all__ = ["routes"]

routes = APIBlueprint("items", __name__, url_prefix="/v1")


@routes.get("/items", responses={200: ItemCatalogue})
def get_items() -> Response:
    """Read the catalogue; the library's own until another is PUT."""
    catalogue = service().states.catalogue(caller_for().tenant)
    return unless_known(_write(catalogue), _etag(catalogue))


@routes.put("/items", responses={200: ItemCatalogue})
def put_items(body: ItemList) -> Response:
    """Replace the catalogue, of all the tenant's users. If-Match is honoured. What was accepted of items that stay holds.

    An item that is taken away and put back is a new one.
    """
    caller = caller_for(admin=True)
    items = profile_items([ProfileItem(item.id, item.sensitivity, item.en, item.zh, item.cost_ratio) for item in body.items])
    with service().database.write(f"{caller.tenant}/") as connection:
        known = read_catalogue(connection, caller.tenant)
        catalogue = known.replaced(items)
        if request.if_match:
            must_match(_etag(known))
        connection.execute(delete(catalogues).where(catalogues.c.tenant == caller.tenant))
        connection.execute(
            insert(catalogues).values(tenant=caller.tenant, revision=catalogue.revision, document=catalogue.write())
        )
        connection.execute(
            insert(audit).values(
                at=datetime.now(UTC),
                tenant=caller.tenant,
                actor=caller.id,
                action="items.put",
                revision=catalogue.revision,
                request=g.request_id,
            )
        )
    return Response(_write(catalogue), headers={"ETag": _etag(catalogue)}, content_type="application/json")


def _write(catalogue: Catalogue) -> bytes:
    rows = [
        {"id": item.id, "sensitivity": item.sensitivity, "cost_ratio": item.cost_ratio, "en": item.en, "zh": item.zh}
        for item in catalogue.items
    ]
    return encode({"revision": catalogue.revision, "items": rows})


def _etag(catalogue: Catalogue) -> str:
    return f'"i{catalogue.revision}"'
