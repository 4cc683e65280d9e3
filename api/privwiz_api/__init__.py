"""REST service of privwiz: ``create_app`` builds the Flask application."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from privwiz_api.app import create_app as create_app
    from privwiz_api.settings import Settings as Settings

__all__ = ["Settings", "create_app"]


def __getattr__(name: str) -> Any:
    """Load the application when it is asked for: the commands and the client do without Flask and SQLAlchemy."""
    if name == "create_app":
        from privwiz_api.app import create_app

        return create_app
    if name == "Settings":
        from privwiz_api.settings import Settings

        return Settings
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
