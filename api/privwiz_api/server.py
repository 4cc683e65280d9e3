"""The server: gunicorn with threads, one application loaded before the workers are forked, everything shared by the database."""

import ctypes
import errno
import gc
import secrets
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import networkx as nx
from flask import Flask
from gunicorn.app.base import BaseApplication
from prometheus_client import multiprocess
from threadpoolctl import threadpool_limits

from privwiz.errors import DataError
from privwiz.graphs import ego_network
from privwiz.wizard import Wizard
from privwiz_api.app import create_app
from privwiz_api.database import database_errors
from privwiz_api.migrate import prepare
from privwiz_api.observe import log_to
from privwiz_api.sample import TENANT, load_sample
from privwiz_api.service import Service
from privwiz_api.settings import Settings, in_url
from privwiz_api.webhooks import Courier

__all__ = ["run"]

SAMPLE_DATABASE = "sqlite:///privwiz-sample.db"

REFUSING = "Every token of a backend is refused: set PRIVWIZ_JWT_SECRET, or PRIVWIZ_JWT_KEYS, to what verifies them."

_DAY = 86_400

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Parameters of mallopt(3)."""


def run(settings: Settings, sample: Path | None = None) -> None:
    """Serve until the process is told to stop.

    Parameters
    ----------
    settings : Settings
    sample : path, optional
        A folder with edges.csv and profiles.csv: serve these people, and say how to try it.

    Raises
    ------
    DataError
        If the port is taken, the database does not answer or is not migrated, the sample cannot be read, or nobody said what
        links begin with.
    """
    if sample is not None:
        own = settings.database_url != Settings().database_url
        settings = replace(settings, development=True, database_url=settings.database_url if own else SAMPLE_DATABASE)
    if not settings.secret_key:
        settings = replace(settings, secret_key=secrets.token_hex(32))
    log_to()
    app = create_app(settings)
    _check_port(settings)
    service: Service = app.extensions["privwiz"]
    with database_errors():
        prepare(service.database)
    words = [
        f"privwiz serves at {service.settings.public_url} (documentation: {service.settings.public_url}/docs); Ctrl-C stops it."
    ]
    if sample is not None:
        words += _how_to_try(service, load_sample(service, sample))
    elif not settings.jwt_secret and not settings.jwt_keys:
        words.append(REFUSING)
    service.database.close()
    _warm()
    _Server(app, settings, lambda: print("\n".join(words), flush=True)).run()  # noqa: T201 - what the command says


class _Server(BaseApplication):  # type: ignore[misc]
    """Gunicorn, set by our settings alone."""

    def __init__(self, app: Flask, settings: Settings, ready: Callable[[], None]) -> None:
        self._app = app
        self._settings = settings
        self._ready = ready
        super().__init__()

    def load_config(self) -> None:
        """Hand our settings over."""
        chosen: dict[str, Any] = {
            "bind": f"{in_url(self._settings.host)}:{self._settings.port}",
            "worker_class": "gthread",
            "workers": self._settings.workers,
            "threads": self._settings.threads,
            "preload_app": True,
            "graceful_timeout": 30,
            "timeout": 60,
            "keepalive": 5,
            "limit_request_line": 8190,
            "loglevel": "warning",
            "control_socket_disable": True,
            "worker_tmp_dir": "/dev/shm" if Path("/dev/shm").is_dir() else None,  # noqa: S108 - gunicorn makes its own files there
            "when_ready": lambda _: self._ready(),
            "post_fork": lambda _, __: self._begin(),
            "on_exit": lambda _: self._app.extensions["privwiz"].database.settle(),
            "child_exit": lambda _, worker: multiprocess.mark_process_dead(worker.pid),  # type: ignore[no-untyped-call]
        }
        for name, value in chosen.items():
            if name in self.cfg.settings:
                self.cfg.set(name, value)

    def _begin(self) -> None:
        """What each worker does first: one thread of linear algebra for each request, and a courier.

        What was loaded before is left out of garbage collections, and these come less often: they took a millisecond a screen.
        """
        threadpool_limits(1)
        _keep_memory()
        gc.freeze()
        gc.set_threshold(20_000, 20, 20)
        service: Service = self._app.extensions["privwiz"]
        Courier(service.database, service.changes, self._settings.webhooks, private=self._settings.private_webhooks).start()

    def load(self) -> Flask:
        """Return the application, the same for all workers."""
        return self._app


def _keep_memory() -> None:
    """Keep the memory that was computed with for the next computation: to give it back and get it again took a tenth of the time.

    The GNU C library is told so; others are left as they are.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, 2**25)
        mallopt(_TRIM_THRESHOLD, 2**27)


def _check_port(settings: Settings) -> None:
    """Try whether one can listen there, before the database and the sample take their time."""
    host, port = settings.host, settings.port
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            other = port - 1 if port > 9000 else 9000
            raise DataError(
                f"port {port} is taken; take another: make PORT={other} run, or privwiz serve --port {other}"
            ) from None
        raise DataError(f"cannot listen at {in_url(host)}:{port}: {error.strerror}; take another address or port") from None


def _warm() -> None:
    """Load what the first request of each worker would otherwise wait for."""
    wizard = Wizard(ego_network(nx.karate_club_graph(), 0))
    wizard.next_screen()
    _ = wizard.policy().decisions


def _how_to_try(service: Service, user: str) -> list[str]:
    address = service.settings.public_url
    token = service.tokens.issue(TENANT, "developer", "sns admin", _DAY, development=True)
    version = service.states.version(TENANT, user)
    assert version is not None, "the sample's user was put there"
    link = service.tokens.issue(TENANT, user, "user", _DAY, generation=version.generation)
    return [
        "",
        f"The wizard of {user}, one of the sample's people:",
        f"  {address}/wizard?token={link}",
        "",
        "A token for trying, good for a day and on this machine only, and a request:",
        f"  TOKEN={token}",
        f'  curl -sS -H "Authorization: Bearer $TOKEN" {address}/v1/users/{user}/policy | cut -c 1-300',
    ]
