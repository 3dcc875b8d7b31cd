from __future__ import annotations

import http.client
import json
from collections.abc import Iterator, Sequence

import pytest
from prometheus_client.parser import text_string_to_metric_families

from greenroom.core.families import Family, Sample
from greenroom.node.http import Health, serve_http

SERIES = 3_000


class Metrics:
    """As many series as do not fit into one packet."""

    def snapshot(self) -> Sequence[Family]:
        """As `adapters.exposition.Snapshots`."""
        samples = tuple(Sample((("kind", f"kind-{n:05}"),), n) for n in range(SERIES))
        return [Family("greenroom_test", "gauge", "Help", (), samples)]


class Site:
    """A node's HTTP, and a way to ask it."""

    def __init__(self) -> None:
        self.health = Health()
        self._server = serve_http("127.0.0.1", 0, "one", self.health, Metrics())

    def get(self, path: str) -> tuple[int, str, str]:
        """Status, content type and body; `read` raises if the body is shorter than was said."""
        connection = http.client.HTTPConnection("127.0.0.1", self._server.port, timeout=20)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            body = response.read().decode()
            length = response.getheader("Content-Length")
            assert length is not None
            assert int(length) == len(body.encode())
            return response.status, response.getheader("Content-Type", ""), body
        finally:
            connection.close()

    def close(self) -> None:
        """End."""
        self._server.close()


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    yield site
    site.close()


def test_a_node_is_healthy_from_when_it_is_ready_until_it_drains(site: Site) -> None:
    assert site.get("/healthz")[0] == site.get("/healthz/ready")[0] == 503
    site.health.ready = True
    assert site.get("/healthz")[0] == site.get("/healthz/ready")[0] == 200
    site.health.draining = True
    assert site.get("/healthz")[0] == 503


def test_a_node_that_is_not_ready_lives(site: Site) -> None:
    for _ in range(2):
        assert site.get("/healthz/live") == (200, "application/json", '{"live": true}\n')


def test_health_says_what_is_known_as_a_whole_json_body(site: Site) -> None:
    site.health.details = {"shards": [1, 2], "failures": ["x" * 100_000]}

    status, kind, body = site.get("/healthz")

    assert (status, kind) == (503, "application/json")
    assert json.loads(body) == {
        "live": True,
        "ready": False,
        "draining": False,
        "shards": [1, 2],
        "failures": ["x" * 100_000],
    }


def test_prometheus_reads_all_metrics_with_the_nodes_id(site: Site) -> None:
    status, kind, body = site.get("/metrics")
    (family,) = text_string_to_metric_families(body)

    assert status == 200
    assert kind.startswith("text/plain")
    assert [sample.value for sample in family.samples] == [*range(SERIES)]
    assert {sample.labels["node_id"] for sample in family.samples} == {"one"}


def test_another_path_says_which_there_are(site: Site) -> None:
    status, _, body = site.get("/nowhere")

    assert status == 404
    assert "/healthz" in body
