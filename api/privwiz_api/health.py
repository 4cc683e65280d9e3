"""Health: whether the service is up, and which version it is."""

from flask import Blueprint, current_app

__all__ = ["health"]

health = Blueprint("health", __name__)


@health.get("/healthz")
def read_health() -> dict[str, str]:
    """Say that the service answers, and its version."""
    return {"status": "ok", "version": current_app.config["VERSION"]}
