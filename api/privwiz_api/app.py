"""The application factory."""

import logging
import secrets
from dataclasses import replace
from importlib.metadata import version

from flask import Flask
from flask_openapi3.models.info import Info
from flask_openapi3.openapi import OpenAPI

from privwiz.errors import DataError
from privwiz_api.callers import Callers
from privwiz_api.changes import Changes
from privwiz_api.database import Database
from privwiz_api.guard import guard
from privwiz_api.health import health
from privwiz_api.load import Load, Rates
from privwiz_api.observe import observe
from privwiz_api.openapi import describe
from privwiz_api.page import know_visitor, page
from privwiz_api.problems import handle_problems, refuse_invalid
from privwiz_api.routes import circles, items, networks, policies, screens, users
from privwiz_api.service import Service
from privwiz_api.settings import Settings, public_url
from privwiz_api.signing import Signer
from privwiz_api.states import States
from privwiz_api.tokens import Tokens

__all__ = ["create_app"]

log = logging.getLogger("privwiz")


def create_app(settings: Settings | None = None) -> Flask:
    """Build the service.

    Nothing is opened: the database is reached for with the first request that needs it, in the process that answers it.

    Parameters
    ----------
    settings : Settings, optional
        Those of the environment unless given, and then without ``development``: another server than `privwiz serve` does not say
        where it listens.

    Returns
    -------
    flask.Flask
        An application of its own at every call, so that tests and servers do not share state.

    Raises
    ------
    DataError
        If a setting cannot be used.

    Examples
    --------
    >>> client = create_app().test_client()
    >>> client.get("/healthz").json["status"]
    'ok'
    """
    if settings is None:
        settings = Settings.from_environment()
        if settings.development:
            raise DataError("a development token is accepted under `privwiz serve` only; leave `development` out")
    settings = replace(settings, public_url=public_url(settings))
    app = OpenAPI(
        "privwiz_api",
        info=Info(title="privwiz", version=version("privwiz-api"), description="A privacy wizard for social networks."),
        security_schemes={"token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        validation_error_callback=refuse_invalid,
        doc_ui=False,
    )
    secret = settings.secret_key or secrets.token_hex(32)
    database, tokens = Database(settings.database_url), Tokens(settings, secret)
    load, rates = Load(settings.heavy, settings.patience), Rates()
    callers = Callers(tokens, rates, settings.user_rate)
    states = States(database, load, settings.cached_users, settings.cached_policies)
    changes = Changes(database, states, load, settings.webhooks)
    app.extensions["privwiz"] = Service(settings, database, load, states, changes, tokens, callers, Signer(secret))
    handle_problems(app)
    observe(app)
    app.before_request(know_visitor)
    guard(app, settings, callers, rates)
    app.register_api(health)
    for resource in (networks, circles, screens, policies, items, users):
        app.register_api(resource.routes)
    app.register_blueprint(page)
    describe(app)
    return app
