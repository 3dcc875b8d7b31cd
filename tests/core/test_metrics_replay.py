"""A recorded call of LiveKit's server, counted here, gives the numbers of its last scrape."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from google.protobuf.json_format import ParseDict
from livekit.protocol.analytics import AnalyticsStat
from livekit.protocol.models import TrackInfo

from greenroom.core.metrics import Metrics
from greenroom.core.series import flatten
from greenroom.messages.ids import StatsKey
from greenroom.messages.sample import sample_of

CALL: Final = Path(__file__).parent.parent / "data" / "call"
# these need more than the calls: who is a participant, and what became of the webhooks
ELSEWHERE: Final = ("livekit_participant_", "livekit_webhook_")
CONST_LABELS: Final = {"node_id": "ND_pD89ygsLLnp6", "node_type": "SERVER"}


@pytest.fixture(scope="module")
def replayed() -> Metrics:
    metrics = Metrics()
    with gzip.open(CALL / "calls.jsonl.gz", "rt") as lines:
        for line in lines:
            recorded = json.loads(line)
            count(metrics, recorded["call"], recorded["args"])
    return metrics


def count(metrics: Metrics, call: str, args: dict[str, Any]) -> None:
    match call:
        case "track_stats":
            stat = ParseDict(args["stat"], AnalyticsStat())
            metrics.track_stats(StatsKey.from_names(args["key"]), sample_of(stat))
        case "track_publish_requested":
            metrics.track_publish_requested(type_of(args))
        case "track_published":
            metrics.track_published(type_of(args))
        case "track_unpublished":
            metrics.track_unpublished(type_of(args))
        case "track_subscribe_requested":
            metrics.track_subscribe_requested()
        case "track_subscribed":
            metrics.track_subscribed(type_of(args))
        case "track_unsubscribed":
            metrics.track_unsubscribed(type_of(args))
        case "track_subscribe_failed":
            metrics.track_subscribe_failed(args["error"], args["is_user_error"])


def type_of(args: dict[str, Any]) -> int:
    return ParseDict(args["track"], TrackInfo()).type


def scraped() -> Iterator[tuple[str, float]]:
    with gzip.open(CALL / "metrics.txt.gz", "rt") as lines:
        for line in lines:
            if not line.startswith("#"):
                name, _, value = line.rpartition(" ")
                yield name, float(value)


def test_every_series_has_the_name_and_number_that_livekits_server_showed(
    replayed: Metrics,
) -> None:
    families = [family for family in replayed.snapshot() if family.name.startswith("livekit_")]
    names = tuple(family.name for family in families if not family.name.startswith(ELSEWHERE))
    shown = {
        name: value
        for name, value in scraped()
        if name.startswith(names) and 'state="cancel"' not in name  # from another package
    }

    counted = flatten(families, CONST_LABELS)
    assert {n: v for n, v in counted.items() if not n.startswith(ELSEWHERE)} == shown
    assert len(shown) > 300


def test_the_node_stats_agree_with_what_livekits_server_showed(replayed: Metrics) -> None:
    shown = dict(scraped())

    def total(name: str, *labels: str) -> float:
        return sum(
            value
            for series, value in shown.items()
            if series.startswith(f"{name}{{") and all(label in series for label in labels)
        )

    out = 'direction="outgoing"'
    again = 'transmission="retransmit"'
    assert replayed.node_stats() == {
        "num_clients": 0,
        "num_tracks_in": 0,
        "num_tracks_out": 0,
        "num_track_publish_attempts": total("livekit_track_publish_counter", "attempt"),
        "num_track_publish_success": total("livekit_track_publish_counter", "success"),
        "num_track_subscribe_attempts": total("livekit_track_subscribe_counter", "attempt"),
        "num_track_subscribe_success": total("livekit_track_subscribe_counter", "success"),
        "num_track_subscribe_cancels": 1,  # of the three failures one is the user's error
        "bytes_in": total("livekit_packet_bytes", 'direction="incoming"'),
        "bytes_out": total("livekit_packet_bytes", out),
        "packets_in": total("livekit_packet_total", 'direction="incoming"'),
        "packets_out": total("livekit_packet_total", out),
        "retransmit_bytes_out": total("livekit_packet_bytes", out, again),
        "retransmit_packets_out": total("livekit_packet_total", out, again),
        "nack_total": total("livekit_nack_total"),
        "participant_rtc_connected": 0,  # participants are not replayed here
    }
