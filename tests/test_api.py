"""The REST service."""

from importlib.metadata import version

import pytest

from privwiz_api import create_app


@pytest.fixture
def client():
    """A client of a fresh service."""
    return create_app({"TESTING": True}).test_client()


def test_healthz_says_ok_and_the_version(client):
    """The health check answers 200 with exactly the status and the installed version."""
    response = client.get("/healthz")
    assert response.status_code == 200
    assert response.json == {"status": "ok", "version": version("privwiz-api")}


def test_there_is_nothing_else_yet(client):
    """A path that no resource serves is 404, and health can only be read."""
    assert client.get("/").status_code == 404
    assert client.post("/healthz").status_code == 405


def test_settings_come_from_the_environment_and_arguments_win(monkeypatch):
    """``PRIVWIZ_X`` in the environment sets X; the factory's argument overrides it."""
    monkeypatch.setenv("PRIVWIZ_MAX_CONTENT_LENGTH", "1000")
    assert create_app().config["MAX_CONTENT_LENGTH"] == 1000
    assert create_app({"MAX_CONTENT_LENGTH": 5}).config["MAX_CONTENT_LENGTH"] == 5


def test_each_call_builds_an_app_of_its_own():
    """Two services share no configuration."""
    first, second = create_app({"TESTING": True}), create_app()
    assert first is not second
    assert not second.config["TESTING"]
