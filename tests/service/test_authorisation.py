"""Who may do what: every route against every kind of token that must not pass."""

import base64
import http.server
import json
import socket
import socketserver
import threading
import time
from dataclasses import replace

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OctKey

from privwiz import DataError
from privwiz_api import Settings, create_app
from privwiz_api.server import run

CELL = {"item": "phone", "friend": "2", "decision": "allow"}
CHOICE = {"answers": [{"item": "phone", "friends": ["2"], "decision": "allow"}]}
ANN = "/v1/users/ann"
ROUTES = {
    ("GET", "/v1/items"): None,
    ("PUT", "/v1/items"): {"items": [{"id": "phone", "en": "phone", "zh": "电话"}]},
    ("POST", "/v1/suggestions:batch"): {"entries": [{"id": "1", "user": "ann", "friend": "zoe"}]},
    ("GET", f"{ANN}/network"): None,
    ("PUT", f"{ANN}/network"): {"friends": {}},
    ("PATCH", f"{ANN}/network"): {"friends": {"2": None}},
    ("DELETE", f"{ANN}/network"): None,
    ("POST", f"{ANN}/friends"): {"friend": "zoe"},
    ("DELETE", f"{ANN}/friends/2"): None,
    ("GET", f"{ANN}/circles"): None,
    ("POST", f"{ANN}/circles/corrections"): {"correction": {"kind": "rename", "circle": "c1", "name": "Club"}},
    ("GET", f"{ANN}/screens/next"): None,
    ("POST", f"{ANN}/answers"): CHOICE,
    ("POST", f"{ANN}/answers/undo"): {},
    ("GET", f"{ANN}/policy"): None,
    ("GET", f"{ANN}/policy/cells"): None,
    ("GET", f"{ANN}/policy/explanation?item=phone&friend=2"): None,
    ("GET", f"{ANN}/policy/preview?as=2"): None,
    ("GET", f"{ANN}/policy/diff"): None,
    ("GET", f"{ANN}/policy/export"): None,
    ("POST", f"{ANN}/policy/accept"): {},
    ("POST", f"{ANN}/policy/override"): {"cells": [CELL]},
    ("POST", f"{ANN}/policy/undo"): {},
    ("POST", f"{ANN}/wizard-links"): {},
    ("GET", f"{ANN}/export"): None,
    ("DELETE", ANN): None,
}
BACKEND_ONLY = {
    ("PUT", f"{ANN}/network"),
    ("PATCH", f"{ANN}/network"),
    ("DELETE", f"{ANN}/network"),
    ("POST", f"{ANN}/friends"),
    ("DELETE", f"{ANN}/friends/2"),
    ("POST", f"{ANN}/wizard-links"),
    ("POST", "/v1/suggestions:batch"),
}
OF_USER = [route for route in ROUTES if route[1].startswith(ANN)]


@pytest.fixture(scope="module")
def victim(app):
    """Return the backend of a tenant whose user ann must stay as she is."""
    from uuid import uuid4

    tenant = f"victim-{uuid4().hex[:8]}"

    def send(method, path, body=None, **headers):
        return app.test_client().open(path, method=method, json=body, headers=headers)

    send.tenant = tenant
    return send


@pytest.fixture(scope="module")
def before(victim, sign, network):
    """Return what is kept about ann before anybody tries anything."""
    own = {"Authorization": f"Bearer {sign(victim.tenant)}"}
    assert victim("PUT", f"{ANN}/network", network, **own).status_code == 201
    return victim("GET", f"{ANN}/export", **own).json


def attempt(victim, route, token):
    """Send a request that would do harm, with everything right but the token."""
    headers = {"Idempotency-Key": "k", "If-Match": "*"} | ({"Authorization": f"Bearer {token}"} if token is not None else {})
    return victim(route[0], route[1], ROUTES[route], **headers)


def tampered(token):
    """Return the token of another tenant's backend, with the claims of this one put in."""
    header, _, signature = token.split(".")
    claims = {"iss": "sns", "aud": "privwiz", "sub": "backend", "tenant": "victim", "scope": "sns admin", "exp": 9_999_999_999}
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"{header}.{body}.{signature}"


def unsigned(tenant):
    """Return a token that says of itself that nobody signed it."""
    parts = [
        {"alg": "none"},
        {"iss": "sns", "aud": "privwiz", "sub": "b", "tenant": tenant, "scope": "sns", "exp": 9_999_999_999},
    ]
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts) + "."


@pytest.mark.parametrize("route", ROUTES, ids=" ".join)
def test_without_a_valid_token_every_route_is_closed(victim, before, sign, route):
    """No token, an expired, tampered or unsigned one, one of another issuer, audience or secret, or not yet valid: 401."""
    tenant = victim.tenant
    bad = [
        None,
        "",
        "nonsense",
        sign(tenant, seconds=-60),
        sign(tenant, secret="a secret of somebody else, long enough"),
        sign(tenant, iss="other"),
        sign(tenant, aud="other"),
        sign(tenant, nbf=9_999_999_999),
        sign(tenant, sub=None),
        sign(tenant, tenant=["a"]),
        tampered(sign(tenant)),
        unsigned(tenant),
    ]
    for token in bad:
        refused = attempt(victim, route, token)
        assert refused.status_code == 401, token
        assert refused.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    ("changed", "kind"),
    [
        ({}, "token-expired"),
        ({"secret": "a secret of somebody else, long enough"}, "unauthorized"),
        ({"iss": "other"}, "unauthorized"),
        ({"aud": "other"}, "unauthorized"),
        ({"tenant": None}, "unauthorized"),
        ({"nbf": 9_999_999_999}, "unauthorized"),
    ],
)
def test_a_token_that_has_only_expired_is_told_so(ann, sign, changed, kind):
    """Who holds a good token of yesterday is told to get a new one; a forged one is not told what time it is."""
    claims = {name: value for name, value in changed.items() if name != "tenant"}
    token = sign(changed.get("tenant", ann.tenant), seconds=-60, **claims)
    refused = ann("GET", "/v1/users/ann/policy", Authorization=f"Bearer {token}")
    assert (refused.status_code, refused.json["type"]) == (401, f"urn:privwiz:problem:{kind}")


@pytest.mark.parametrize("route", OF_USER, ids=" ".join)
def test_another_tenants_user_is_not_there(victim, before, sign, route):
    """Another tenant's backend, and its user of the same id, are answered as if there were no such user."""
    for subject, scope in (("backend", "sns"), ("root", "admin"), ("ann", "user")):
        answer = attempt(victim, route, sign("stranger", subject, scope))
        if route == ("PUT", f"{ANN}/network") and scope != "user":
            assert answer.status_code == 412, "it would be a user of its own"
        elif route == ("DELETE", ANN):
            assert answer.status_code == 204, "it erases a user of its own, who is not there"
        else:
            assert answer.status_code == (403 if scope == "user" and route in BACKEND_ONLY else 404)


@pytest.mark.parametrize("route", OF_USER, ids=" ".join)
def test_another_user_is_not_there(victim, before, sign, route):
    """A user's token reaches nobody else, of the same tenant either."""
    answer = attempt(victim, route, sign(victim.tenant, "eve", "user"))
    assert answer.status_code == (403 if route in BACKEND_ONLY else 404)


@pytest.mark.parametrize("route", ROUTES, ids=" ".join)
def test_scopes_are_needed(victim, before, sign, route):
    """Without a scope that is known nothing is allowed; what is the backend's is not the user's; the catalogue is the admin's."""
    for scope in ("", "read everything", "SNS"):
        assert attempt(victim, route, sign(victim.tenant, "ann", scope)).status_code in (401, 403)
    if route in BACKEND_ONLY:
        assert attempt(victim, route, sign(victim.tenant, "ann", "user")).status_code == 403
    if route == ("PUT", "/v1/items"):
        for subject, scope in (("ann", "user"), ("backend", "sns")):
            assert attempt(victim, route, sign(victim.tenant, subject, scope)).status_code == 403


def test_nobody_changed_anything(victim, before, sign):
    """After all these attempts, everything that is kept about the user is as it was."""
    own = {"Authorization": f"Bearer {sign(victim.tenant)}"}
    assert victim("GET", f"{ANN}/export", **own).json == before


def test_the_matrix_has_every_route(app):
    """Every operation of the OpenAPI document is in the matrix: a new one cannot be forgotten."""
    document = app.test_client().get("/openapi.json").json
    known = {(method, path.partition("?")[0].replace("/ann", "/{user}").replace("/2", "/{friend}")) for method, path in ROUTES}
    operations = {
        (method.upper(), path) for path, methods in document["paths"].items() for method in methods if path.startswith("/v1/")
    }
    assert operations == known


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """Return a private key of an issuer, and the path of the key set that it publishes."""
    key = ECKey.generate_key("P-256", {"kid": "2026-11"}, private=True)
    path = tmp_path_factory.mktemp("keys") / "jwks.json"
    path.write_text(json.dumps(KeySet([key]).as_dict(private=False)))
    return key, path


def claims(**more):
    """Return the claims of a backend."""
    return {"iss": "sns", "aud": "privwiz", "sub": "b", "tenant": "t", "scope": "sns", "exp": 9_999_999_999} | more


def test_a_key_set_verifies(settings, another, app, keys):
    """Tokens are verified with the issuer's public keys; a public key is never taken for a secret."""
    key, path = keys
    client = another(replace(settings, jwt_secret="", jwt_keys=str(path))).test_client()

    def status(token):
        return client.get("/v1/items", headers={"Authorization": f"Bearer {token}"}).status_code

    assert status(jwt.encode({"alg": "ES256", "kid": "2026-11"}, claims(), key)) == 200
    assert status(jwt.encode({"alg": "ES256", "kid": "2026-11"}, claims(), ECKey.generate_key("P-256"))) == 401
    public = OctKey.import_key(json.dumps(key.as_dict(private=False)))
    assert status(jwt.encode({"alg": "HS256", "kid": "2026-11"}, claims(), public)) == 401
    with pytest.raises(DataError, match="HS"):
        another(replace(settings, jwt_secret="", jwt_keys=str(path), jwt_algorithms=("HS256",)))


def test_a_key_set_of_a_url_is_fetched_and_remembered(settings, another, app, keys):
    """Keys are fetched when first needed; while they are remembered, the issuer may be away; without any it is 503."""
    key, path = keys
    fetched = []

    class Issuer(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            fetched.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(path.read_bytes())

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Issuer) as issuer:
        thread = threading.Thread(target=issuer.serve_forever)
        thread.start()
        url = f"http://127.0.0.1:{issuer.server_port}/jwks.json"
        client, late = (another(replace(settings, jwt_secret="", jwt_keys=url)).test_client() for _ in range(2))
        headers = {"Authorization": "Bearer " + jwt.encode({"alg": "ES256", "kid": "2026-11"}, claims(), key)}
        assert client.get("/v1/items", headers=headers).status_code == 200
        issuer.shutdown()
        thread.join()
    headers = {"Authorization": "Bearer " + jwt.encode({"alg": "ES256", "kid": "2026-11"}, claims(sub="c"), key)}
    assert client.get("/v1/items", headers=headers).status_code == 200
    assert fetched == ["/jwks.json"]
    assert late.get("/v1/items", headers=headers).status_code == 503


@pytest.mark.parametrize(
    "answer",
    [
        b"nonsense",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n{",
        *(b"HTTP/1.1 200 OK\r\n\r\n" + body for body in (b"[]", b"{}", b"null", b'{"keys": [{"kty": []}]}', b'{"keys": ["a"]}')),
    ],
)
def test_an_issuer_that_talks_nonsense_is_away(settings, another, app, keys, monkeypatch, answer):
    """Whatever the issuer answers instead of its keys, those known before go on; without any it is 503, as when it is away."""
    key, path = keys
    answers = [b"HTTP/1.1 200 OK\r\n\r\n" + path.read_bytes()]

    class Issuer(socketserver.StreamRequestHandler):
        def handle(self):
            while self.rfile.readline().strip():
                pass
            self.wfile.write(answers.pop() if answers else answer)

    with socketserver.TCPServer(("127.0.0.1", 0), Issuer) as issuer:
        threading.Thread(target=issuer.serve_forever, args=[0.02]).start()
        url = f"http://127.0.0.1:{issuer.server_address[1]}/jwks.json"
        known, fresh = (another(replace(settings, jwt_secret="", jwt_keys=url)).test_client() for _ in range(2))

        def status(client, subject):
            token = jwt.encode({"alg": "ES256", "kid": "2026-11"}, claims(sub=subject), key)
            return client.get("/v1/items", headers={"Authorization": f"Bearer {token}"}).status_code

        assert status(known, "before") == 200
        later = time.monotonic() + 1000
        monkeypatch.setattr(time, "monotonic", lambda: later)
        assert (status(known, "after"), status(fresh, "after")) == (200, 503)
        monkeypatch.undo()
        issuer.shutdown()


def test_a_development_token_is_for_this_machine_only(settings, another, app, monkeypatch):
    """It is accepted only where development is on, which needs a loopback address, and a server that says that it is on one."""
    development = another(replace(settings, development=True))
    issued = development.extensions["privwiz"].tokens.issue("demo", "developer", "sns admin", 60, development=True)
    headers = {"Authorization": f"Bearer {issued}"}
    assert development.test_client().get("/v1/items", headers=headers).status_code == 200
    assert app.test_client().get("/v1/items", headers=headers).status_code == 401
    with pytest.raises(DataError, match="loopback"):
        Settings(development=True, host="0.0.0.0")  # noqa: S104 - refused
    monkeypatch.setenv("PRIVWIZ_DEVELOPMENT", "1")
    with pytest.raises(DataError, match="privwiz serve"):
        create_app()


def test_there_is_no_default_secret(another, tmp_path, sign):
    """A service without keys refuses every token, and short secrets are refused."""
    client = another(Settings(database_url=f"sqlite:///{tmp_path}/a.db")).test_client()
    assert client.get("/v1/items", headers={"Authorization": f"Bearer {sign('t')}"}).status_code == 401
    with pytest.raises(DataError, match="at least 32"):
        Settings(jwt_secret="secret")


def test_settings_come_from_the_environment_and_files(tmp_path):
    """Secrets are read from files too; what cannot be read is refused without being repeated."""
    (tmp_path / "key").write_text("k" * 40 + "\n")
    environment = {"PRIVWIZ_SECRET_KEY_FILE": str(tmp_path / "key"), "DATABASE_URL": "postgresql://x/y", "PRIVWIZ_HEAVY": "2"}
    settings = Settings.from_environment(environment)
    assert (settings.secret_key, settings.database_url, settings.heavy) == ("k" * 40, "postgresql://x/y", 2)
    assert "k" * 40 not in repr(settings)
    for name, value in (("PRIVWIZ_PORT", "eighty"), ("PRIVWIZ_SECRET_KEY_FILE", "/nowhere"), ("PRIVWIZ_WEBHOOKS", '{"t": 4711}')):
        with pytest.raises(DataError) as refused:
            Settings.from_environment({name: value})
        assert "4711" not in str(refused.value)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", ""])  # noqa: S104 - refused
def test_links_lead_to_an_address_that_was_said(host, tmp_path, another):
    """A server on every address does not start before it is told which one users see: links would lead nowhere, without TLS."""
    settings = Settings(database_url=f"sqlite:///{tmp_path}/a.db", host=host)
    with pytest.raises(DataError, match="public_url"):
        run(settings)
    assert not list(tmp_path.iterdir())
    assert another(replace(settings, public_url="http://127.0.0.1:8080"))


def test_a_port_that_is_taken_is_told_at_once(tmp_path):
    """A server whose port another one has does not start; it names the port and how to take another."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(DataError, match=f"port {port} is taken; take another: make PORT="):
            run(Settings(database_url=f"sqlite:///{tmp_path}/a.db", port=port))
    with pytest.raises(DataError, match="cannot listen at"):
        run(Settings(database_url=f"sqlite:///{tmp_path}/a.db", host="192.0.2.1", port=port))
    assert not list(tmp_path.iterdir())
