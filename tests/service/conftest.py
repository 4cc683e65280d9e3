"""What the tests of the service share: both databases, services on them, tokens, and a small user."""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
from dataclasses import dataclass, field
from pathlib import Path

import networkx as nx
import psycopg
import pytest
from joserfc import jwt
from joserfc.jwk import OctKey

from privwiz_api import Settings, create_app
from privwiz_api.migrate import migrate

IN_CI = os.environ.get("CI") == "true"
SECRET = "the secret that the issuer of tokens shares"
KEY = "the secret by which this service signs links"


class Postgres:
    """A PostgreSQL of our own on a Unix socket, started as a user that is not root; `restart` it after a kill."""

    def __init__(self, folder, *, fsync=False):
        self.folder, self.fsync, self.identity = folder, fsync, {}
        if os.getuid() == 0:
            who = pwd.getpwnam("postgres")
            os.chown(folder, who.pw_uid, who.pw_gid)
            self.identity = {"user": who.pw_uid, "group": who.pw_gid, "extra_groups": []}
        self.environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "HOME": folder}
        self.url = f"postgresql://test@/postgres?host={folder}"
        arguments = ["-D", f"{folder}/data", "-U", "test", "-A", "trust", "-E", "UTF8", "--no-sync"]
        subprocess.run(
            [binary("initdb"), *arguments],
            check=True,
            cwd=folder,
            env=self.environment,
            stdout=subprocess.DEVNULL,
            **self.identity,
        )
        self.restart()

    def restart(self):
        """Start the server and wait until it answers; recovery after a kill may take a while."""
        deadline = time.monotonic() + 60
        arguments = ["-D", f"{self.folder}/data", "-k", self.folder, "-c", "listen_addresses="]
        arguments += ["-c", f"fsync={'on' if self.fsync else 'off'}"]
        while time.monotonic() < deadline:
            with Path(self.folder, "log").open("ab") as log:
                self.process = subprocess.Popen(
                    [binary("postgres"), *arguments],
                    cwd=self.folder,
                    env=self.environment,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    **self.identity,
                )
            while self.process.poll() is None and time.monotonic() < deadline:
                try:
                    psycopg.connect(self.url).close()
                except psycopg.OperationalError:
                    time.sleep(0.05)
                else:
                    return
            time.sleep(0.3)
        pytest.fail(f"PostgreSQL did not start: {Path(self.folder, 'log').read_text()[-500:]}")

    def stop(self):
        """Stop the server."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(30)


def binary(name):
    """Return the path of a program of PostgreSQL; Debian keeps them off the PATH. None where it is not installed."""
    found = shutil.which(name) or next(map(str, sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True)), None)
    return found and os.path.realpath(found)


@pytest.fixture(scope="session")
def postgres():
    """Return a PostgreSQL server; tests that want it are skipped where it is not installed, and fail in CI."""
    if binary("postgres") is None:
        reason = "PostgreSQL is not installed; on Debian: apt-get install postgresql"
        if IN_CI:
            pytest.fail(reason)
        pytest.skip(reason)
    folder = tempfile.mkdtemp(prefix="pg-", dir="/tmp")
    server = Postgres(folder)
    yield server
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def own_postgres(postgres):
    """Return a PostgreSQL server that a test may kill."""
    folder = tempfile.mkdtemp(prefix="pg-", dir="/tmp")
    server = Postgres(folder)
    yield server
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def database_url(request, tmp_path_factory):
    """Return the URL of an empty database, of both kinds in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path_factory.mktemp('sqlite') / 'privwiz.db'}"
    return request.getfixturevalue("postgres").url


@pytest.fixture(scope="session")
def settings(database_url):
    """Return the settings of a service whose tokens are signed with a shared secret."""
    return Settings(database_url=database_url, secret_key=KEY, jwt_secret=SECRET, patience=30)


@pytest.fixture(scope="session")
def app(settings):
    """Return a service with its tables."""
    app = create_app(settings)
    migrate(app.extensions["privwiz"].database)
    yield app
    app.extensions["privwiz"].database.close()


@pytest.fixture
def another():
    """Return a function that builds one more service, of other settings; its connections are closed after the test."""
    apps = []

    def build(settings):
        apps.append(create_app(settings))
        return apps[-1]

    yield build
    for app in apps:
        app.extensions["privwiz"].database.close()


def token(of_tenant, subject="backend", scope="sns", *, secret=SECRET, seconds=600, **claims):
    """Sign a token as the SNS's issuer does."""
    now = int(time.time())
    body = {"exp": now + seconds, "iss": "sns", "aud": "privwiz", "sub": subject, "tenant": of_tenant, "scope": scope, "iat": now}
    return jwt.encode({"alg": "HS256"}, body | claims, OctKey.import_key(secret))


@pytest.fixture(scope="session")
def sign():
    """Return the function that signs tokens as the SNS's issuer does."""
    return token


@dataclass
class Backend:
    """A tenant's backend, which calls the service directly; every test has a tenant of its own."""

    app: object
    tenant: str = field(default_factory=lambda: f"tenant-{uuid.uuid4().hex[:8]}")
    subject: str = "backend"
    scope: str = "sns"

    def __call__(self, method, path, body=None, *, key=None, match=None, **headers):
        """Send a request, a POST with a key of its own unless one is given; ``match=True`` reads the policy's tag first."""
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        headers.setdefault("Authorization", f"Bearer {token(self.tenant, self.subject, self.scope)}")
        if method == "POST":
            headers["Idempotency-Key"] = key or uuid.uuid4().hex
        if match is True:
            user = path.split("/")[3]
            read = "network" if path.endswith("/network") else "policy"
            match = self("GET", f"/v1/users/{user}/{read}").headers.get("ETag", '"none"')
        if match:
            headers["If-Match"] = match
        return self.app.test_client().open(path, method=method, json=body, headers=headers)

    def as_user(self, user):
        """Return the user's own browser."""
        return Backend(self.app, self.tenant, user, "user")

    def as_admin(self):
        """Return the tenant's administrator."""
        return Backend(self.app, self.tenant, "root", "admin")


@pytest.fixture(scope="session")
def backend_of():
    """Return what makes a backend of an application."""
    return Backend


@pytest.fixture
def backend(app):
    """Return a backend of a tenant of its own."""
    return Backend(app)


def karate(ego=0):
    """Return the network of a member of Zachary's karate club as a document."""
    graph = nx.karate_club_graph()
    friends = sorted(graph[ego])
    ties = [[str(a), str(b)] for a, b in graph.subgraph(friends).edges]
    return {
        "friends": {str(friend): {"profile": {"club": graph.nodes[friend]["club"]}} for friend in friends},
        "ties": ties,
        "profile": {"club": graph.nodes[ego]["club"]},
    }


@pytest.fixture(scope="session")
def network():
    """Return a small network as a document."""
    return karate()


@pytest.fixture
def ann(backend, network):
    """Return the backend of a tenant with one user, ann, who has the small network."""
    assert backend("PUT", "/v1/users/ann/network", network).status_code == 201
    return backend


class Running:
    """A server of its own: `privwiz serve` as operators start it, on a free port of this machine."""

    def __init__(self, folder, database_url, *, file_kilobytes=None, **environment):
        self.folder, self.log, self.file_kilobytes = folder, folder / "log", file_kilobytes
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = os.environ | {
            "DATABASE_URL": database_url,
            "PRIVWIZ_SECRET_KEY": KEY,
            "PRIVWIZ_JWT_SECRET": SECRET,
            "PRIVWIZ_PORT": str(self.port),
            **environment,
        }
        self.start()

    def start(self):
        """Start the server and wait until it answers."""
        limit = f"ulimit -f {self.file_kilobytes};" if self.file_kilobytes else ""
        command = ["bash", "-c", f"{limit} exec {Path(sys.executable).parent / 'privwiz'} serve"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, cwd=self.folder, env=self.environment, stdout=log, stderr=log)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            try:
                with urllib.request.urlopen(f"{self.url}/readyz", timeout=5) as answer:  # noqa: S310 - our own server
                    assert answer.status == 200
            except OSError:
                time.sleep(0.05)
            else:
                return
        pytest.fail(f"the server did not start: {self.log.read_text()[-1000:]}")

    def workers(self):
        """Return the process ids of the workers."""
        return [int(pid) for pid in Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()]

    def kill(self):
        """Kill the server and its workers without warning."""
        workers = self.workers()
        self.process.kill()
        self.process.wait()
        for worker in workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)

    def stop(self):
        """Stop the server as a service manager does; return its exit code."""
        self.process.terminate()
        return self.process.wait(40)


@pytest.fixture(scope="module")
def server(app, database_url, tmp_path_factory):
    """Return a running server on the database of the tests."""
    server = Running(tmp_path_factory.mktemp("server"), database_url)
    yield server
    server.stop()


@pytest.fixture
def run_server(tmp_path):
    """Return a function that starts a server with settings of its own, which is stopped after the test."""
    running = []

    def start(database_url, **settings):
        running.append(Running(tmp_path, database_url, **settings))
        return running[-1]

    yield start
    for server in running:
        server.stop()
