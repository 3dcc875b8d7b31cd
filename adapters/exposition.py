"""The metrics for Prometheus: a collector for any registry, and a small HTTP server.

LiveKit's names are kept, whatever the client library would make of them. A collector takes a
snapshot when it is asked, so being watched costs the counting thread nothing.
"""

from __future__ import annotations

import logging
import socket
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from socketserver import TCPServer, ThreadingMixIn
from typing import ClassVar, Final, Protocol
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from ..core.families import Distribution, Family
from ..core.metrics import Metrics
from ..core.series import cumulative
from ..errors import ConfigError

LOGGER: Final = logging.getLogger("greenroom")
NODE_TYPE: Final = "SERVER"  # livekit-server cmd/server/main.go passes it to prometheus.Init
POLL_SECONDS: Final = 0.1  # how long a closing server may have to wait for its thread
CLIENT_TIMEOUT_SECONDS: Final = 10.0  # Prometheus' default scrape_timeout


class Snapshots(Protocol):
    """Whoever has metrics to show: a `Metrics`, or the shards of a node together."""

    def snapshot(self) -> Sequence[Family]:
        """Every family, as it stands; from any thread."""


class LiveKitCollector(Collector):
    """Shows metrics to a prometheus_client registry.

    Args:
        metrics: What to show.
        node_id: Label `node_id` of every series.
        node_type: Label `node_type` of every series.
    """

    def __init__(self, metrics: Snapshots, node_id: str, node_type: str = NODE_TYPE) -> None:
        self._metrics = metrics
        self._const_labels = {"node_id": node_id, "node_type": node_type}

    def collect(self) -> Iterable[Metric]:
        """Every family that has a series, as it stands; from any thread."""
        for family in self._metrics.snapshot():
            if family.samples:
                metric = _described(family)
                metric.samples.extend(_samples(family, self._const_labels))
                yield metric

    def describe(self) -> Iterable[Metric]:
        """Every family without its series, for the registry to know the names by."""
        return [_described(family) for family in self._metrics.snapshot()]


def metrics_app(metrics: Snapshots, node_id: str) -> WSGIApplication:
    """Answers with the metrics in the text format; has a registry of its own.

    Args:
        metrics: What to show.
        node_id: Label `node_id` of every series.
    """
    registry = CollectorRegistry()
    registry.register(LiveKitCollector(metrics, node_id))
    return _text_app(registry)


class HttpServer:
    """Serves a WSGI application, each request on a daemon thread.

    Args:
        app: Answers.
        port: TCP port to listen on; 0 takes a free one.
        addr: IPv4 or IPv6 address to listen on; who reaches it is answered.
        setting: Named when it cannot be listened on.

    Raises:
        ConfigError: That address and port cannot be listened on.
    """

    def __init__(
        self, app: WSGIApplication, port: int, addr: str = "127.0.0.1", setting: str = "http"
    ) -> None:
        server = _IPv6Server if ":" in addr else _Server
        try:
            self._server = make_server(addr, port, app, server, _Handler)
        except (OSError, OverflowError) as error:
            where = f"port {port} of {addr}"
            raise ConfigError(f"{setting}: cannot listen on {where}: {error}") from error
        self._thread = threading.Thread(
            target=self._server.serve_forever,
            args=(POLL_SECONDS,),
            name="greenroom-http-server",
            daemon=True,
        )
        self._thread.start()

    @property
    def port(self) -> int:
        """The port that is listened on, or was until `close`."""
        return self._server.server_port

    def close(self) -> None:
        """Listen no more; answers under way go on. Once closed, it stays so."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class MetricsServer(HttpServer):
    """Serves one `Metrics` over HTTP in the text format, as /metrics and any other path.

    Args:
        metrics: What to show.
        node_id: Label `node_id` of every series.
        port: TCP port to listen on; 0 takes a free one.
        addr: IPv4 or IPv6 address to listen on; who reaches it may read the metrics.

    Raises:
        ConfigError: That address and port cannot be listened on.
    """

    def __init__(self, metrics: Metrics, node_id: str, port: int, addr: str = "127.0.0.1") -> None:
        super().__init__(metrics_app(metrics, node_id), port, addr, "metrics_port")


class _WholeName(str):
    """A counter's name that is complete as it is.

    To tell the type of a counter, `generate_latest` adds `_total` to its name, always: to
    `livekit_packet_bytes` too, which dashboards know without it.
    """

    __slots__ = ()

    def __add__(self, suffix: str, /) -> str:
        return self if suffix == "_total" else super().__add__(suffix)


def _described(family: Family) -> Metric:
    name = family.name
    if family.type == "counter":
        name = name.removesuffix("_total") if name.endswith("_total") else _WholeName(name)
    return Metric(name, family.help, family.type)


def _samples(family: Family, const_labels: Mapping[str, str]) -> Iterator[Sample]:
    for own_labels, value in family.samples:
        labels = {**dict(own_labels), **const_labels}
        if not isinstance(value, Distribution):
            yield Sample(family.name, labels, value)
            continue
        for le, count in cumulative(family.edges, value):
            yield Sample(f"{family.name}_bucket", {**labels, "le": le}, count)
        yield Sample(f"{family.name}_sum", labels, value.sum)
        yield Sample(f"{family.name}_count", labels, sum(value.buckets))


def _text_app(registry: CollectorRegistry) -> WSGIApplication:
    app: WSGIApplication = make_wsgi_app(registry)

    def text_app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        # OpenMetrics knows no counter without `_total`; LiveKit's server does not speak it either
        environ["HTTP_ACCEPT"] = "text/plain; version=0.0.4"
        return app(environ, start_response)

    return text_app


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def server_bind(self) -> None:
        TCPServer.server_bind(self)  # not HTTPServer's: it asks a name server for our own name
        self.server_name, self.server_port = self.socket.getsockname()[:2]
        self.setup_environ()

    def handle_error(
        self, request: socket.socket | tuple[bytes, socket.socket], client_address: object
    ) -> None:
        LOGGER.debug("http: no answer for %s", client_address, exc_info=sys.exception())


class _IPv6Server(_Server):
    address_family: int = socket.AF_INET6


class _Handler(WSGIRequestHandler):
    timeout: ClassVar[float | None] = CLIENT_TIMEOUT_SECONDS

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Log nothing: a scrape is no news."""
