"""What holds for all routes: health, problems, headers, bodies, keys, limits."""

import json
import threading
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import version

import pytest

from privwiz_api import Settings

HEALTHY = {"status": "ok", "version": version("privwiz-api")}


def test_health_and_readiness(backend):
    """Both answer 200 with the status and the installed version."""
    assert backend("GET", "/healthz").json == backend("GET", "/readyz").json == HEALTHY


def test_not_ready_before_the_migration(another, tmp_path):
    """A database without the tables is reported, while the service is up."""
    client = another(Settings(database_url=f"sqlite:///{tmp_path}/empty.db")).test_client()
    assert client.get("/healthz").json == HEALTHY
    assert client.get("/readyz").status_code == 503


def test_an_unusable_database_is_503_with_retry_after(another, tmp_path, sign):
    """A database that does not answer is a problem of the service, said without details."""
    app = another(Settings(database_url=f"sqlite:///{tmp_path}/no/such/folder.db", jwt_secret="s" * 32))
    answer = app.test_client().get("/v1/items", headers={"Authorization": f"Bearer {sign('t', secret='s' * 32)}"})
    assert (answer.status_code, answer.json["type"]) == (503, "urn:privwiz:problem:database")
    assert answer.headers["Retry-After"]


def test_every_problem_has_one_shape(ann):
    """Unknown routes, methods, media types and states are all problem documents that hold the request's id."""
    problems = [
        ann("GET", "/nowhere", X_Request_Id="req-1"),
        ann("GET", "/v1/users/bob/policy", X_Request_Id="req-1"),
        ann("PUT", "/healthz", X_Request_Id="req-1"),
        ann("POST", "/v1/users/ann/answers", {"answers": []}, X_Request_Id="req-1"),
        ann("POST", "/v1/users/ann/policy/accept", {}, X_Request_Id="req-1"),
    ]
    assert [answer.status_code for answer in problems] == [404, 404, 405, 422, 428]
    for answer in problems:
        assert answer.content_type == "application/problem+json"
        assert answer.json["request_id"] == answer.headers["X-Request-Id"] == "req-1"
        assert answer.json["status"] == answer.status_code
        assert answer.json["type"].startswith("urn:privwiz:problem:")
    assert "GET" in problems[2].headers["Allow"]


CANARY = "canary-4711"


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "network", {"friends": {CANARY: {"profile": {CANARY: {CANARY: 1}}}}}),
        ("PUT", "network", {"friends": {"a": {}}, "ties": [["a", CANARY]]}),
        ("PUT", "network", {"friends": {}, CANARY: 1}),
        ("POST", "friends", {"friend": "bo", "ties": [CANARY]}),
        ("POST", "answers", {"answers": [{"item": CANARY, "friends": ["2"], "decision": "allow"}]}),
        ("POST", "answers", {"answers": [{"item": "phone", "friends": [CANARY], "decision": "allow"}]}),
        ("POST", "answers", {"answers": [{"screen": CANARY, "values": [CANARY]}]}),
        ("GET", f"policy/explanation?item={CANARY}&friend={CANARY}", None),
        ("GET", f"policy/cells?{CANARY}={CANARY}", None),
        ("GET", f"{CANARY}", None),
    ],
)
def test_no_problem_echoes_what_was_sent(ann, method, path, body):
    """Whatever is wrong with a request, its answer repeats nothing of it."""
    answer = ann(method, f"/v1/users/ann/{path}", body, match=True)
    assert answer.status_code in (404, 422)
    assert CANARY not in answer.text


@pytest.mark.parametrize(
    ("method", "path", "body", "invalid"),
    [
        ("GET", "policy/export?format=xml", None, [{"where": "format", "what": "must be 'json', 'csv', 'openfga' or 'cedar'"}]),
        (
            *("POST", "answers", {"answers": [{"item": "phone", "friends": ["2"], "decision": "maybe"}]}),
            [{"where": "answers.0.decision", "what": "must be 'allow', 'deny' or 'unsure'"}],
        ),
        ("POST", "answers", {"answers": [{"screen": "x"}]}, [{"where": "answers.0.values", "what": "missing"}]),
        ("GET", "screens/next?count=9", None, [{"where": "count", "what": "must be less than or equal to 5"}]),
        (
            *("POST", "answers", {"answers": [{"screen": "x", "values": []}], "next": {"count": "2"}}),
            [{"where": "next.count", "what": "must be a valid integer"}],
        ),
        (
            "PUT",
            "network",
            {"friends": [], "ties": 1},
            [{"where": "friends", "what": "must be an object"}, {"where": "ties", "what": "must be a valid list"}],
        ),
    ],
)
def test_a_problem_says_what_would_do(ann, method, path, body, invalid):
    """What is admitted is told: which words, how many, of which type; of several shapes only the one meant is spoken of."""
    assert ann(method, f"/v1/users/ann/{path}", body).json["invalid"] == invalid


@pytest.mark.parametrize(
    ("data", "title"),
    [(b"", "The body is no JSON object"), (b"[]", "The body is no JSON object"), (b"{", "The body is no JSON.")],
)
def test_a_body_that_is_no_json_is_called_so(ann, sign, data, title):
    """Who sends nothing, or no JSON, is told so."""
    headers = {"Authorization": f"Bearer {sign(ann.tenant)}", "Idempotency-Key": "k"}
    answer = ann.app.test_client().post("/v1/users/ann/wizard-links", data=data, content_type="application/json", headers=headers)
    assert answer.json["title"].startswith(title)


def test_the_address_of_the_service_leads_to_its_documentation(ann):
    """Who opens the bare address is led to /docs."""
    assert ann.app.test_client().get("/").location == "/docs"


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"", 400),
        (b"null", 400),
        (b"[]", 400),
        (b'"{}"', 400),
        (b"{", 400),
        (b'{"answers": NaN}', 400),
        (b'{"answers": -Infinity}', 400),
        (b'{"answers": [], "answers": []}', 400),
        (b'{"a":' * 100_000, 400),
        (b"[" * 100_000 + b"]" * 100_000, 400),
        (b"\xff\xfe{\x00", 400),
        ('{"answers": "é"}'.encode("latin-1"), 400),
        (b'{"answers": [{"item": "\\ud800", "friends": ["2"], "decision": "allow"}]}', 422),
        (b'{"answers": [{"item": "\\u0000", "friends": ["2"], "decision": "allow"}]}', 422),
        (b'{"answers": [{"item": "phone", "friends": ["2"], "decision": "allow"}], "more": 1}', 422),
        (json.dumps({"answers": [{"screen": "x", "values": [1e999]}]}).encode(), 400),
        (b'{"answers": [' + b'{"item": "phone", "friends": ["2"], "decision": "allow"},' * 101 + b"0]}", 422),
        (b" " * 10_000_001, 413),
    ],
    ids=lambda value: value[:30] if isinstance(value, bytes) else value,
)
def test_bad_bodies_are_refused(ann, sign, data, status):
    """A body that is no JSON object of the described form is refused, not guessed at, and changes nothing."""
    headers = {"Authorization": f"Bearer {sign(ann.tenant)}", "Idempotency-Key": "k"}
    answer = ann.app.test_client().post("/v1/users/ann/answers", data=data, content_type="application/json", headers=headers)
    assert answer.status_code == status
    assert answer.content_type == "application/problem+json"
    assert ann("GET", "/v1/users/ann/policy").json["revision"] == 1


def test_other_media_types_are_refused(ann, sign):
    """What is not declared as JSON is not read as JSON."""
    headers = {"Authorization": f"Bearer {sign(ann.tenant)}", "Idempotency-Key": "k"}
    answer = ann.app.test_client().post("/v1/users/ann/answers", data="{}", content_type="text/plain", headers=headers)
    assert answer.status_code == 415


def test_every_answer_has_the_security_headers(backend):
    """The policy for content allows nothing from elsewhere and nothing inline, also on problems."""
    for path in ("/healthz", "/docs", "/nowhere", "/v1/items"):
        headers = backend("GET", path).headers
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"


def test_the_documentation_needs_nothing_from_elsewhere(backend):
    """The pages at /docs show every operation, without a script, an inline style or a foreign address."""
    page = backend("GET", "/docs").text
    for path in backend("GET", "/openapi.json").json["paths"]:
        assert path in page
    assert "<script" not in page
    assert "style=" not in page
    assert "http" not in page.replace("http-", "")


@pytest.mark.usefixtures("app")
def test_too_many_requests_are_429(settings, another, sign):
    """Who exceeds the rate is told when to come again; others are not affected."""
    client = another(replace(settings, user_rate=2)).test_client()
    eve, ann = ({"Authorization": f"Bearer {sign('t', user, 'user')}"} for user in ("eve", "ann"))
    assert 429 in [client.get("/v1/items", headers=eve).status_code for _ in range(5)]
    client.get("/v1/items", headers=eve)
    refused = client.get("/v1/items", headers=eve)
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert refused.content_type == "application/problem+json"
    assert client.get("/v1/items", headers=ann).status_code == 200


@pytest.mark.usefixtures("app")
def test_too_many_bad_tokens_are_429(settings, another, sign):
    """An address that keeps sending bad tokens is told when to come again; whose token is good is let in from there still."""
    client = another(replace(settings, user_rate=2)).test_client()
    bad, good = ({"Authorization": f"Bearer {token}"} for token in ("guessed", sign("t")))
    refused = [client.get("/v1/items", headers=bad) for _ in range(6)]
    assert {answer.status_code for answer in refused} == {401, 429}
    late = next(answer for answer in refused if answer.status_code == 429)
    assert 1 <= int(late.headers["Retry-After"]) <= 60
    assert client.get("/v1/items", headers=bad, environ_base={"REMOTE_ADDR": "192.0.2.1"}).status_code == 401
    assert client.get("/v1/items", headers=good).status_code == 200


@contextmanager
def all_places_taken(app):
    """Compute something in the only place that there is."""
    held, done = threading.Event(), threading.Event()

    def compute():
        with app.extensions["privwiz"].load.turn():
            held.set()
            done.wait(10)

    thread = threading.Thread(target=compute)
    thread.start()
    held.wait(10)
    try:
        yield
    finally:
        done.set()
        thread.join()


@pytest.mark.usefixtures("app")
def test_who_waits_too_long_is_told_to_come_again(settings, another, sign, network):
    """When all places for computing are taken, a request is refused with 503 and Retry-After instead of piling up."""
    busy = another(replace(settings, heavy=1, patience=0.05))
    headers = {"Authorization": f"Bearer {sign('busy')}"}
    with all_places_taken(busy):
        refused = busy.test_client().put("/v1/users/ann/network", json=network, headers=headers)
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
        assert busy.test_client().get("/v1/items", headers=headers).status_code == 200
    assert busy.test_client().put("/v1/users/ann/network", json=network, headers=headers).status_code == 201


def test_answers_count_though_nobody_can_choose_the_next_screen(ann, settings, another):
    """Recorded answers are acknowledged, without screens, when all places for computing are taken."""
    busy = another(replace(settings, heavy=1, patience=0.05))
    here = replace(ann, app=busy)
    said = {"answers": [{"item": "phone", "friends": ["2"], "decision": "allow"}], "next": {}}
    first = here("POST", "/v1/users/ann/answers", said, key="one").json
    with all_places_taken(busy):
        assert here("POST", "/v1/users/ann/answers", said, key="one").json == {**first, "next": None}
    assert here("POST", "/v1/users/ann/answers", said, key="one").json == first


def test_metrics_count_requests(backend):
    """Prometheus finds how many requests each route has answered, by route and not by user."""
    backend("GET", "/v1/users/nobody-knows/policy")
    page = backend("GET", "/metrics").text
    assert 'privwiz_requests_total{method="GET",route="/v1/users/<user>/policy",status="404"}' in page
    assert "nobody-knows" not in page


def test_the_log_has_no_personal_data(ann, caplog):
    """A line per request holds route, status, time, tenant and request id, and neither the user nor what was sent."""
    with caplog.at_level("INFO", logger="privwiz"):
        ann("POST", "/v1/users/ann/friends", {"friend": CANARY, "profile": {"school": CANARY}}, X_Request_Id="r-9")
    line = caplog.records[-1]
    assert (line.request_id, line.route, line.status) == ("r-9", "/v1/users/<user>/friends", 201)
    assert CANARY not in str(vars(line))
    assert "ann" not in line.route
