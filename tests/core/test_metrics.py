"""What each call of the metrics changes, by LiveKit's names."""

from __future__ import annotations

import json
import re
import sys
import threading
from contextlib import AbstractContextManager
from itertools import pairwise
from pathlib import Path
from typing import Final

from livekit.protocol.analytics import AnalyticsStat, AnalyticsStream, StreamType
from livekit.protocol.models import TrackSource, TrackType

from greenroom.core.families import Distribution, Family
from greenroom.core.metrics import Metrics
from greenroom.core.series import flatten, go_float
from greenroom.messages.ids import StatsKey
from greenroom.messages.sample import Sample, sample_of

DATA: Final = Path(__file__).parent.parent / "data"


def up(country: str = "US") -> StatsKey:
    return StatsKey.for_track(
        country, StreamType.UPSTREAM, "PA_a", "TR_v", TrackSource.CAMERA, TrackType.VIDEO
    )


def down() -> StatsKey:
    return StatsKey.for_track(
        "US", StreamType.DOWNSTREAM, "PA_a", "TR_v", TrackSource.CAMERA, TrackType.VIDEO
    )


def report(**counters: int) -> Sample:
    stream = AnalyticsStream()
    for name, value in counters.items():
        setattr(stream, name, value)
    return sample_of(AnalyticsStat(streams=[stream]))


def touch_everything(metrics: Metrics) -> None:
    everything = report(
        primary_packets=1,
        primary_bytes=1,
        retransmit_packets=1,
        retransmit_bytes=1,
        packets_lost=1,
        packets_out_of_order=1,
        nacks=1,
        plis=1,
        firs=1,
        rtt=1,
        jitter=1,
    )
    metrics.track_stats(up(), everything)
    metrics.track_stats(down(), everything)
    metrics.participant_opened(joined=True)
    metrics.track_publish_requested(TrackType.AUDIO)
    metrics.track_published(TrackType.AUDIO)
    metrics.track_subscribe_requested()
    metrics.track_subscribed(TrackType.AUDIO)
    metrics.track_subscribe_failed("not found", is_user_error=True)
    metrics.webhook_dispatched("success", "")
    metrics.webhook_queued(1)
    metrics.dropped("full")
    metrics.failed("notifier")
    metrics.sink_error("send_stats")
    metrics.store_error("disk_full")
    metrics.store_failed(failed=True)


def test_names_types_labels_and_edges_are_those_of_livekits_server() -> None:
    recorded = json.loads((DATA / "livekit_families.json").read_text())
    metrics = Metrics()
    touch_everything(metrics)

    assert {
        family.name: described(family)
        for family in metrics.snapshot()
        if family.name.startswith("livekit_")
    } == recorded


def described(family: Family) -> dict[str, object]:
    labels = [name for name, _ in family.samples[0].labels]
    form: dict[str, object] = {"type": family.type, "labels": labels}
    if family.edges:
        form["edges"] = [go_float(edge) for edge in family.edges]
    return form


def test_only_what_has_no_labels_is_there_before_it_is_touched() -> None:
    touched = [family.name for family in Metrics().snapshot() if family.samples]

    assert touched == ["livekit_participant_total", "livekit_webhook_queue_length"]


def test_a_participant_joins_once_and_is_there_until_closed() -> None:
    metrics = Metrics()
    metrics.participant_opened(joined=True)
    metrics.participant_opened(joined=False)
    metrics.participant_closed()

    assert metrics.series({}) == {
        "livekit_participant_total": 1,
        'livekit_participant_join_total{state="rtc_connected"}': 1,
    }
    assert metrics.node_stats()["num_clients"] == 1
    assert metrics.node_stats()["participant_rtc_connected"] == 1


def test_tracks_that_come_and_go_are_counted_by_kind() -> None:
    metrics = Metrics()
    metrics.track_publish_requested(TrackType.VIDEO)
    metrics.track_published(TrackType.VIDEO)
    metrics.track_unpublished(TrackType.AUDIO)
    metrics.track_subscribe_requested()
    metrics.track_subscribed(TrackType.VIDEO)
    metrics.track_unsubscribed(TrackType.VIDEO)
    metrics.track_unsubscribed(TrackType.DATA)

    assert metrics.series({}) == {
        'livekit_track_publish_counter{kind="VIDEO",state="attempt"}': 1,
        'livekit_track_publish_counter{kind="VIDEO",state="success"}': 1,
        'livekit_track_published_total{kind="AUDIO"}': -1,
        'livekit_track_published_total{kind="VIDEO"}': 1,
        'livekit_track_subscribe_counter{error="",state="attempt"}': 1,
        'livekit_track_subscribe_counter{error="",state="success"}': 1,
        'livekit_track_subscribed_total{kind="DATA"}': -1,
    }
    stats = metrics.node_stats()
    assert (stats["num_tracks_in"], stats["num_tracks_out"]) == (0, -1)
    assert (stats["num_track_publish_attempts"], stats["num_track_publish_success"]) == (1, 1)
    assert (stats["num_track_subscribe_attempts"], stats["num_track_subscribe_success"]) == (1, 1)


def test_a_users_error_is_a_cancel_in_the_node_stats_only() -> None:
    metrics = Metrics()
    metrics.track_subscribe_failed("not found", is_user_error=True)
    metrics.track_subscribe_failed("timeout", is_user_error=False)

    assert metrics.series({}) == {
        'livekit_track_subscribe_counter{error="not found",state="failure"}': 1,
        'livekit_track_subscribe_counter{error="timeout",state="failure"}': 1,
    }
    assert metrics.node_stats()["num_track_subscribe_cancels"] == 1


def test_the_webhook_metrics_are_those_of_livekits_notifier() -> None:
    metrics = Metrics()
    for length in (1, 2, 100):
        metrics.webhook_queued(length)
    metrics.webhook_dispatched("drop", "queue is full")

    series = metrics.series({"node_id": "n", "node_type": "SERVER"})

    name = (
        'livekit_webhook_dispatch_total{node_id="n",node_type="SERVER",'
        'reason="queue is full",status="drop"}'
    )
    assert series[name] == 1
    buckets = 'livekit_webhook_queue_length_bucket{node_id="n",node_type="SERVER",le='
    assert [series[f'{buckets}"{le}"}}'] for le in ("1", "2", "80", "+Inf")] == [1, 2, 2, 3]
    assert series['livekit_webhook_queue_length_sum{node_id="n",node_type="SERVER"}'] == 103


def test_greenrooms_own_counters_have_their_own_prefix_and_are_not_livekits_series() -> None:
    metrics = Metrics()
    metrics.dropped("full", 3)
    metrics.dropped("unknown_participant", intentional=True)
    metrics.failed("notifier")
    metrics.sink_error("send_stats")
    metrics.store_error("disk_full")
    metrics.store_failed(failed=True)

    own = [family for family in metrics.snapshot() if family.name.startswith("greenroom_")]
    assert flatten(own, {}) == {
        'greenroom_analytics_errors_total{method="send_stats"}': 1,
        'greenroom_dropped_total{intentional="false",reason="full"}': 3,
        'greenroom_dropped_total{intentional="true",reason="unknown_participant"}': 1,
        'greenroom_input_failures_total{actor="notifier"}': 1,
        'greenroom_store_errors_total{kind="disk_full"}': 1,
        "greenroom_store_failed": 1,
    }
    metrics.store_failed(failed=False)
    assert flatten(metrics.snapshot(), {})["greenroom_store_failed"] == 0
    assert metrics.series({}) == {}


class WatchedMutex(AbstractContextManager[None]):
    """Reports what was counted under it."""

    def __init__(self) -> None:
        self.metrics = Metrics(self)
        self.counted: list[str] = []

    def __enter__(self) -> None:
        self._before = flatten(self.metrics.snapshot(), {})

    def __exit__(self, *_: object) -> None:
        after = flatten(self.metrics.snapshot(), {})
        self.counted += sorted(after.keys() - self._before.keys())


def test_what_other_threads_report_is_counted_under_the_owners_mutex() -> None:
    mutex = WatchedMutex()

    mutex.metrics.dropped("full")
    mutex.metrics.failed("notifier")
    mutex.metrics.sink_error("send_event")
    mutex.metrics.store_error("io")
    mutex.metrics.store_failed(failed=True)

    assert mutex.counted == [
        'greenroom_dropped_total{intentional="false",reason="full"}',
        'greenroom_input_failures_total{actor="notifier"}',
        'greenroom_analytics_errors_total{method="send_event"}',
        'greenroom_store_errors_total{kind="io"}',
        "greenroom_store_failed",
    ]


def test_a_snapshot_taken_while_counting_is_whole() -> None:
    metrics = Metrics()
    rounds = 2000

    def count() -> None:
        for number in range(rounds):
            metrics.track_stats(up(f"{number}"), report(primary_packets=1, rtt=60))
            metrics.track_stats(up(), report(primary_packets=1, rtt=60))
            metrics.track_published(number)

    writer = threading.Thread(target=count)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        writer.start()
        rtts = [rtt_of_us(metrics)]
        while writer.is_alive():
            rtts.append(rtt_of_us(metrics))
        writer.join()
        rtts.append(rtt_of_us(metrics))
    finally:
        sys.setswitchinterval(interval)

    assert rtts[-1] == (rounds, rounds * 60)
    assert all(earlier <= later for earlier, later in pairwise(rtts))
    assert all(total <= 60 * count for count, total in rtts)


def rtt_of_us(metrics: Metrics) -> tuple[int, float]:
    for family in metrics.snapshot():
        for labels, value in family.samples:
            if family.name == "livekit_rtt_ms" and dict(labels)["country"] == "US":
                assert isinstance(value, Distribution)
                return sum(value.buckets), value.sum
    return 0, 0.0


def test_a_snapshot_does_not_change_any_more() -> None:
    metrics = Metrics()
    touch_everything(metrics)
    before = metrics.snapshot()
    flat = flatten(before, {})

    touch_everything(metrics)

    assert flatten(before, {}) == flat
    assert metrics.snapshot() != before


def test_the_document_lists_every_metric() -> None:
    text = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text("utf-8")

    documented = set(re.findall(r"^\| (`[a-z_`, ]+`) \|", text, re.MULTILINE))

    names = {name.strip("`") for cell in documented for name in cell.split(", ")}
    assert names == {family.name for family in Metrics().snapshot()}
