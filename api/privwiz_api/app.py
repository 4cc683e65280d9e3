"""The application factory."""

from collections.abc import Mapping
from importlib.metadata import version

from flask import Flask

from privwiz_api.health import health

__all__ = ["create_app"]


def create_app(config: Mapping[str, object] | None = None) -> Flask:
    """Build the service.

    Parameters
    ----------
    config : mapping, optional
        Flask settings; they win over environment variables that begin with ``PRIVWIZ_``.

    Returns
    -------
    flask.Flask
        An application of its own at every call, so that tests and servers do not share state.

    Examples
    --------
    >>> client = create_app({"TESTING": True}).test_client()
    >>> client.get("/healthz").json["status"]
    'ok'
    """
    app = Flask("privwiz_api")
    app.config["VERSION"] = version("privwiz-api")
    app.config.from_prefixed_env("PRIVWIZ")
    app.config.from_mapping(config)
    app.register_blueprint(health)
    return app
