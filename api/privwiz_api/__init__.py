"""REST service of privwiz: ``create_app`` builds the Flask application."""

from privwiz_api.app import create_app

__all__ = ["create_app"]
