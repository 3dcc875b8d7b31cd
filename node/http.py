"""`/healthz` and `/metrics` of a node, over HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Final
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from ..adapters.exposition import HttpServer, Snapshots, metrics_app

JSON: Final = ("Content-Type", "application/json")


class Health:
    """How the node is: written by its main thread, read by those of HTTP."""

    def __init__(self) -> None:
        self.ready = False
        self.draining = False
        self.details: dict[str, object] = {}


def serve_http(
    host: str, port: int, node_id: str, health: Health, metrics: Snapshots
) -> HttpServer:
    """Serve until closed.

    `/healthz` is 200 while the node is ready, else 503; `/healthz/live` is 200 while it runs.
    `/metrics` is all shards together.

    Raises:
        ConfigError: That address cannot be listened on.
    """
    return HttpServer(_app(health, metrics_app(metrics, node_id)), port, host)


def _app(health: Health, metrics: WSGIApplication) -> WSGIApplication:
    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "/")
        if path == "/metrics":
            return metrics(environ, start_response)
        if path == "/healthz/live":
            start_response("200 OK", [JSON])  # a new list each time: wsgiref adds to it
            return [b'{"live": true}\n']
        if path in ("/healthz", "/healthz/ready"):
            ok = health.ready and not health.draining
            start_response("200 OK" if ok else "503 Service Unavailable", [JSON])
            said = {"live": True, "ready": ok, "draining": health.draining, **health.details}
            return [json.dumps(said).encode() + b"\n"]
        start_response("404 Not Found", [("Content-Type", "text/plain")])
        return [b"there are /healthz, /healthz/live and /metrics\n"]

    return app
