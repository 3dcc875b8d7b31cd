"""The metrics as Prometheus reads them."""

from __future__ import annotations

import gzip
import socket
from collections.abc import Iterator
from contextlib import closing
from typing import Final
from urllib.error import URLError
from urllib.request import Request, urlopen

import pytest
from livekit.protocol.analytics import AnalyticsStat, AnalyticsStream, StreamType
from livekit.protocol.models import TrackSource, TrackType
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from greenroom.adapters.exposition import LiveKitCollector, MetricsServer
from greenroom.core.metrics import Metrics
from greenroom.core.series import flatten
from greenroom.errors import ConfigError
from greenroom.messages.ids import StatsKey
from greenroom.messages.sample import sample_of

OPEN_METRICS: Final = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"


@pytest.fixture
def metrics() -> Metrics:
    """With something in every kind of family."""
    metrics = Metrics()
    key = StatsKey.for_track(
        "DE", StreamType.DOWNSTREAM, "PA_a", "TR_v", TrackSource.CAMERA, TrackType.VIDEO
    )
    stream = AnalyticsStream(
        primary_packets=1000, primary_bytes=5_000_000_000, packets_lost=3, jitter=1_000_000
    )
    metrics.track_stats(key, sample_of(AnalyticsStat(streams=[stream])))
    metrics.participant_opened(joined=True)
    metrics.track_published(TrackType.AUDIO)
    metrics.track_subscribe_failed('no "such"\ntrack \\', is_user_error=True)
    metrics.dropped("full", 2)
    return metrics


@pytest.fixture
def server(metrics: Metrics) -> Iterator[MetricsServer]:
    with closing(MetricsServer(metrics, "node-1", 0)) as server:
        yield server


def exposed(metrics: Metrics) -> str:
    registry = CollectorRegistry()
    registry.register(LiveKitCollector(metrics, "node-1"))
    return generate_latest(registry).decode()


def fetch(server: MetricsServer, path: str = "/metrics", **headers: str) -> bytes:
    request = Request(f"http://127.0.0.1:{server.port}{path}", headers=headers)
    with urlopen(request, timeout=10) as response:
        body: bytes = response.read()
        return body


def parsed(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    # without types, by which this parser too would rename counters
    text = "".join(line for line in text.splitlines(keepends=True) if not line.startswith("#"))
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_a_counter_without_total_in_its_name_is_exposed_as_it_is(metrics: Metrics) -> None:
    lines = exposed(metrics).splitlines()

    assert "# TYPE livekit_packet_bytes counter" in lines
    assert "# TYPE livekit_track_publish_counter counter" in lines
    assert "# TYPE livekit_track_subscribe_counter counter" in lines
    assert (
        'livekit_packet_bytes{country="DE",direction="outgoing",node_id="node-1",'
        'node_type="SERVER",transmission="initial"} 5e+09'
    ) in lines


def test_a_gauge_with_total_in_its_name_is_a_gauge(metrics: Metrics) -> None:
    lines = exposed(metrics).splitlines()

    assert "# TYPE livekit_participant_total gauge" in lines
    assert 'livekit_participant_total{node_id="node-1",node_type="SERVER"} 1.0' in lines
    assert "# TYPE livekit_track_published_total gauge" in lines
    assert "# TYPE livekit_packet_total counter" in lines


def test_types_and_names_are_those_of_the_snapshot_and_nothing_is_added(metrics: Metrics) -> None:
    text = exposed(metrics)

    types = [line.split()[2:] for line in text.splitlines() if line.startswith("# TYPE")]
    touched = [family for family in metrics.snapshot() if family.samples]
    assert types == [[family.name, family.type] for family in touched]
    assert "_created" not in text
    assert "_total_total" not in text


def test_edges_are_spelt_as_go_spells_them(metrics: Metrics) -> None:
    text = exposed(metrics)

    assert 'le="0"' in text
    assert 'le="1e+06"' in text
    assert 'le="1.0"' not in text


def test_a_parser_reads_back_the_numbers_of_the_snapshot(metrics: Metrics) -> None:
    const_labels = {"node_id": "node-1", "node_type": "SERVER"}
    flat = flatten(metrics.snapshot(), const_labels)

    read = parsed(exposed(metrics))

    assert read == parsed("".join(f"{name} {value!r}\n" for name, value in flat.items()))
    error = ("error", 'no "such"\ntrack \\')
    assert [value for (_, labels), value in read.items() if error in labels] == [1]


def test_a_registry_refuses_a_second_collector_with_the_same_names(metrics: Metrics) -> None:
    registry = CollectorRegistry()
    registry.register(LiveKitCollector(metrics, "node-1"))

    with pytest.raises(ValueError, match="livekit_packet_bytes"):
        registry.register(LiveKitCollector(Metrics(), "node-2"))


def test_a_scrape_may_ask_for_single_names(server: MetricsServer) -> None:
    lines = fetch(server, "/metrics?name[]=livekit_packet_bytes").decode().splitlines()

    assert [line.split()[:3] for line in lines if line.startswith("#")] == [
        ["#", "HELP", "livekit_packet_bytes"],
        ["#", "TYPE", "livekit_packet_bytes"],
    ]


def test_the_server_shows_what_is_counted_when_it_is_asked(
    metrics: Metrics, server: MetricsServer
) -> None:
    assert fetch(server).decode() == exposed(metrics)

    metrics.track_unpublished(TrackType.AUDIO)

    assert fetch(server).decode() == exposed(metrics)


def test_a_scraper_that_prefers_openmetrics_gets_the_text_format_whole(
    metrics: Metrics, server: MetricsServer
) -> None:
    answer = fetch(server, Accept=OPEN_METRICS, **{"Accept-Encoding": "gzip"})

    assert gzip.decompress(answer).decode() == exposed(metrics)


def test_two_servers_in_one_process_do_not_meet() -> None:
    first, second = Metrics(), Metrics()
    first.dropped("full")
    with (
        closing(MetricsServer(first, "node-1", 0)) as one,
        closing(MetricsServer(second, "node-2", 0)) as two,
    ):
        assert one.port != two.port
        assert b"greenroom_dropped_total" in fetch(one)
        assert b"greenroom_dropped_total" not in fetch(two)
        assert b'node_id="node-2"' in fetch(two)


def test_a_port_in_use_is_an_error_that_names_the_setting(server: MetricsServer) -> None:
    with pytest.raises(ConfigError, match=f"metrics_port: .*{server.port}"):
        MetricsServer(Metrics(), "node-2", server.port)


@pytest.mark.parametrize("port", [-1, 65536])
def test_a_port_that_cannot_be_is_an_error_that_names_the_setting(port: int) -> None:
    with pytest.raises(ConfigError, match="metrics_port"):
        MetricsServer(Metrics(), "node-1", port)


def test_an_address_that_is_not_ours_is_an_error_that_names_the_setting() -> None:
    with pytest.raises(ConfigError, match="metrics_port"):
        MetricsServer(Metrics(), "node-1", 0, addr="192.0.2.1")


@pytest.mark.skipif(not socket.has_ipv6, reason="needs IPv6")
def test_an_ipv6_address_can_be_listened_on(metrics: Metrics) -> None:
    with (
        closing(MetricsServer(metrics, "node-1", 0, addr="::1")) as server,
        urlopen(f"http://[::1]:{server.port}/metrics", timeout=10) as response,
    ):
        assert response.read().decode() == exposed(metrics)


def test_a_closed_server_is_gone_and_may_be_closed_again(metrics: Metrics) -> None:
    server = MetricsServer(metrics, "node-1", 0)
    server.close()
    server.close()

    with pytest.raises(URLError):
        fetch(server)
    MetricsServer(metrics, "node-1", server.port).close()
