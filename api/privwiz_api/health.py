"""Health: whether the service is up, and whether it can work."""

from importlib.metadata import version

from flask import Response
from flask_openapi3.blueprint import APIBlueprint

from privwiz_api.migrate import is_current
from privwiz_api.problems import Problem
from privwiz_api.schemas import Health
from privwiz_api.service import encode, service

__all__ = ["health"]

health = APIBlueprint("health", __name__)


@health.get("/healthz", responses={200: Health})
def get_health() -> Response:
    """Say that the service answers, and its version."""
    return _up()


@health.get("/readyz", responses={200: Health})
def get_readiness() -> Response:
    """Say whether the database answers and has the tables of this version."""
    if not is_current(service().database):
        raise Problem(
            503, "not-migrated", "The database has other tables than this version; run `privwiz migrate`.", {"Retry-After": "5"}
        )
    return _up()


def _up() -> Response:
    return Response(encode({"status": "ok", "version": version("privwiz-api")}), content_type="application/json")
