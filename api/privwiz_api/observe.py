"""What operators see: request ids, one log line per request without personal data, metrics."""

import json
import logging
import os
import re
import secrets
import sys
import time
from datetime import UTC, datetime

from flask import Flask, Response, g, request
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

__all__ = ["log_to", "observe"]

log = logging.getLogger("privwiz")

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_FIELDS = ("request_id", "method", "route", "status", "ms", "tenant", "error", "at", "event")


class _JsonLines(logging.Formatter):
    """One JSON object per line, of fields that were chosen: nothing that a request holds gets into it by accident."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
        }
        line |= {name: getattr(record, name) for name in _FIELDS if hasattr(record, name)}
        return json.dumps(line)


def log_to(stream: object = None) -> None:
    """Write the log as JSON lines to a stream, standard error unless given."""
    handler = logging.StreamHandler(stream or sys.stderr)  # type: ignore[arg-type]
    handler.setFormatter(_JsonLines())
    log.handlers = [handler]
    log.setLevel(logging.INFO)
    log.propagate = False


def observe(app: Flask) -> None:
    """Give each request an id, count and time it, and log it."""
    registry = CollectorRegistry()
    labels = ("route", "method", "status")
    requests = Counter("privwiz_requests", "Requests answered.", labels, registry=registry)
    seconds = Histogram("privwiz_request_seconds", "Time to answer.", labels[:2], registry=registry, buckets=_BUCKETS)

    @app.before_request
    def begin() -> None:
        given = request.headers.get("X-Request-Id", "")
        g.request_id = given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
        g.started = time.perf_counter()

    @app.after_request
    def end(response: Response) -> Response:
        response.headers["X-Request-Id"] = g.get("request_id", "")
        taken = time.perf_counter() - g.get("started", time.perf_counter())
        route = request.url_rule.rule if request.url_rule else "unknown"
        requests.labels(route, _method(), response.status_code).inc()
        seconds.labels(route, _method()).observe(taken)
        if log.isEnabledFor(logging.INFO):
            caller = g.get("caller")
            seen = {"route": route, "method": _method(), "status": response.status_code, "ms": round(taken * 1000, 2)}
            seen |= {"request_id": g.get("request_id", ""), "tenant": None if caller is None else caller.tenant}
            log.info("request", extra=seen)
        return response

    @app.route("/metrics")
    def metrics() -> Response:
        """Metrics for Prometheus, of all worker processes."""
        wanted = registry
        if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
            wanted = CollectorRegistry()
            MultiProcessCollector(wanted)  # type: ignore[no-untyped-call]
        return Response(generate_latest(wanted), content_type="text/plain; version=0.0.4; charset=utf-8")


def _method() -> str:
    known = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
    return request.method if request.method in known else "other"
