"""The OpenAPI document: current in the repository, and true of the running service."""

import json
import os
import re
import subprocess
import sys
import urllib.request
import uuid
from pathlib import Path

import pytest

from privwiz_api.client import Client

ROOT = Path(__file__).parents[2]
COMMITTED = ROOT / "docs" / "openapi.json"
HOOKS = Path(__file__).parent / "schemathesis_hooks.py"


def test_the_committed_document_is_current(app):
    """docs/openapi.json is what the service says of itself, and nobody forgot to write it again."""
    document = app.test_client().get("/openapi.json").json
    assert json.loads(COMMITTED.read_text(encoding="utf-8")) == document, "run `make docs`"
    assert document["openapi"].startswith("3.1")


def test_every_operation_is_described(app):
    """Each operation has a summary, and each success its schema."""
    for path, operations in app.test_client().get("/openapi.json").json["paths"].items():
        for method, operation in operations.items():
            assert operation["summary"], (method, path)
            success = [status for status in operation["responses"] if status.startswith("2")]
            assert success, (method, path)
            for status in set(success) - {"204"}:
                assert operation["responses"][status]["content"], (method, path, status)


@pytest.mark.slow
def test_schemathesis_finds_no_failure(server, sign, network, tmp_path):
    """Requests made up from the document, valid and invalid ones, are all answered as it says, and none with an error of ours."""
    tenant = f"tenant-{uuid.uuid4().hex[:8]}"
    token = sign(tenant, scope="sns admin", seconds=3600)
    client = Client(server.url, token)
    for user in ("ann", "bob"):
        client.user(user).put_network(network)
    client.close()
    environment = os.environ | {"SCHEMATHESIS_HOOKS": str(HOOKS), "COLUMNS": "120"}
    command = [Path(sys.executable).parent / "schemathesis", "--config-file", HOOKS.with_name("schemathesis.toml")]
    command += ["run", f"{server.url}/openapi.json", "--checks", "all", "--seed", "1"]
    command += ["--header", f"Authorization: Bearer {token}", "--max-examples", os.environ.get("PRIVWIZ_EXAMPLES", "5")]
    command += ["--phases", "examples,coverage,fuzzing", "--no-color", "--generation-database", "none"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    with urllib.request.urlopen(f"{server.url}/metrics") as answer:  # noqa: S310 - our own server
        metrics = answer.read().decode()
    succeeded = set(re.findall(r'privwiz_requests_total{method="(\w+)",route="(/v1/[^"]*)",status="2', metrics))
    with urllib.request.urlopen(f"{server.url}/openapi.json") as answer:  # noqa: S310 - the same
        paths = json.loads(answer.read())["paths"]
    operations = {
        (method.upper(), re.sub(r"{(\w+)}", r"<\1>", path)) for path in paths for method in paths[path] if "/v1/" in path
    }
    assert operations - succeeded == set(), "these never got beyond an error"
