from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from livekit.protocol.analytics import (
    AnalyticsEvent,
    AnalyticsEventType,
    AnalyticsNodeRooms,
    AnalyticsStat,
)

from greenroom.adapters.analytics import AnalyticsThread, JsonlAnalytics, NullAnalyticsService
from greenroom.adapters.reporter import LoggingReporter
from greenroom.core.metrics import Metrics
from greenroom.core.ports import AnalyticsService
from greenroom.core.series import flatten
from greenroom.runtime.clock import VirtualClock
from greenroom.testing.fakes import RecordingAnalytics
from greenroom.testing.patience import PATIENCE_SECONDS


class SlowAnalytics(RecordingAnalytics):
    """Takes nothing until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.began = threading.Event()
        self.let_go = threading.Event()

    def send_event(self, event: AnalyticsEvent) -> None:
        self.began.set()
        assert self.let_go.wait(PATIENCE_SECONDS)
        super().send_event(event)


class BrokenAnalytics(RecordingAnalytics):
    """Cannot send events."""

    def send_event(self, event: AnalyticsEvent) -> None:
        raise OSError("no route")


class Bench:
    """A thread in front of a service, and what it told the rest of the system."""

    def __init__(self, service: AnalyticsService, capacity: int = 1_000) -> None:
        self.metrics = Metrics(threading.Lock())
        self.held = 0
        self.thread = AnalyticsThread(
            service,
            self.metrics,
            LoggingReporter(VirtualClock()),
            hold=self._hold,
            release=self._release,
            capacity=capacity,
        )

    def _hold(self) -> None:
        self.held += 1

    def _release(self) -> None:
        self.held -= 1

    def counted(self, name: str) -> dict[str, float]:
        series = flatten(self.metrics.snapshot(), {})
        return {text: value for text, value in series.items() if text.startswith(name) and value}


@pytest.fixture
def slow() -> Iterator[SlowAnalytics]:
    service = SlowAnalytics()
    yield service
    service.let_go.set()


def dropped(reason: str) -> str:
    return f'greenroom_dropped_total{{intentional="false",reason="{reason}"}}'


def test_what_is_queued_reaches_the_service_in_order_on_another_thread() -> None:
    service = RecordingAnalytics()
    bench = Bench(service)

    for number in range(100):
        bench.thread.send_event(AnalyticsEvent(room_id=str(number)))
    bench.thread.send_stats([AnalyticsStat()])
    bench.thread.send_node_room_states(None)

    assert bench.thread.wait_idle(PATIENCE_SECONDS)
    assert [event.room_id for event in service.events] == [str(number) for number in range(100)]
    assert [name for name, _ in service.sends[100:]] == ["send_stats", "send_node_room_states"]
    assert bench.thread.close(PATIENCE_SECONDS)


def test_a_slow_service_does_not_keep_the_caller(slow: SlowAnalytics) -> None:
    bench = Bench(slow)

    for _ in range(500):
        bench.thread.send_event(AnalyticsEvent())

    assert slow.events == []
    assert not bench.thread.wait_idle(0.0)
    slow.let_go.set()
    assert bench.thread.close(PATIENCE_SECONDS)
    assert len(slow.events) == 500


def test_when_the_queue_is_full_the_newest_are_dropped_and_counted(slow: SlowAnalytics) -> None:
    bench = Bench(slow, capacity=3)
    bench.thread.send_event(AnalyticsEvent(room_id="in hand"))
    assert slow.began.wait(PATIENCE_SECONDS)

    for number in range(5):
        bench.thread.send_event(AnalyticsEvent(room_id=str(number)))

    assert bench.counted("greenroom_dropped_total") == {dropped("analytics_full"): 2}
    assert bench.held == 4
    slow.let_go.set()
    assert bench.thread.close(PATIENCE_SECONDS)
    assert [event.room_id for event in slow.events] == ["in hand", "0", "1", "2"]
    assert bench.held == 0


def test_what_the_service_raises_is_counted_and_stops_nothing() -> None:
    service = BrokenAnalytics()
    bench = Bench(service)

    bench.thread.send_event(AnalyticsEvent())
    bench.thread.send_event(AnalyticsEvent())
    bench.thread.send_stats([AnalyticsStat(mime="a")])

    assert bench.thread.close(PATIENCE_SECONDS)
    assert bench.counted("greenroom_analytics_errors_total") == {
        'greenroom_analytics_errors_total{method="send_event"}': 2
    }
    assert service.batches == [(AnalyticsStat(mime="a"),)]
    assert bench.held == 0


def test_a_service_that_does_not_end_in_time_is_left_behind(slow: SlowAnalytics) -> None:
    bench = Bench(slow)
    bench.thread.send_event(AnalyticsEvent())

    assert not bench.thread.close(0.0)
    slow.let_go.set()
    assert bench.thread.close(PATIENCE_SECONDS)


def test_what_comes_after_the_end_is_dropped_and_counted() -> None:
    bench = Bench(RecordingAnalytics())
    bench.thread.close(PATIENCE_SECONDS)

    bench.thread.send_event(AnalyticsEvent())

    assert bench.counted("greenroom_dropped_total") == {dropped("closed"): 1}
    assert bench.thread.wait_idle(PATIENCE_SECONDS)
    assert bench.held == 0


def test_to_close_twice_is_to_close_once() -> None:
    bench = Bench(RecordingAnalytics())

    assert bench.thread.close(PATIENCE_SECONDS)
    assert bench.thread.close(PATIENCE_SECONDS)


def test_the_hosts_own_reporter_is_passed_on() -> None:
    class Reporting(RecordingAnalytics):
        def room_project_reporter(self) -> object:
            return "the host's"

    assert Bench(Reporting()).thread.room_project_reporter() == "the host's"


def test_the_null_service_takes_everything() -> None:
    service: AnalyticsService = NullAnalyticsService()

    service.send_stats([AnalyticsStat()])
    service.send_event(AnalyticsEvent())
    service.send_node_room_states(None)

    assert service.room_project_reporter() is None


# ── the file ────────────────────────────────────────────────────────────────────────────────


def test_a_file_has_one_line_for_each_send_with_the_seconds_since_the_start(
    tmp_path: Path,
) -> None:
    path = tmp_path / "analytics.jsonl"
    clock = VirtualClock(1_700_000_000_000_000_000)
    sink = JsonlAnalytics(path, clock, clock.now_ns())

    sink.send_event(AnalyticsEvent(type=AnalyticsEventType.ROOM_ENDED, room_id="RM_é"))
    clock.set_ns(clock.now_ns() + 1_500_000_000)
    sink.send_stats([AnalyticsStat(mime="a"), AnalyticsStat(mime="b")])
    sink.send_node_room_states(AnalyticsNodeRooms(node_id="ND_1"))
    sink.send_node_room_states(None)
    sink.close()

    assert [json.loads(line) for line in path.read_text("utf-8").splitlines()] == [
        {"at": 0, "send": "event", "event": {"type": "ROOM_ENDED", "room_id": "RM_é"}},
        {"at": 1.5, "send": "stats", "stats": [{"mime": "a"}, {"mime": "b"}]},
        {"at": 1.5, "send": "node_room_states", "node_rooms": {"node_id": "ND_1"}},
        {"at": 1.5, "send": "node_room_states", "node_rooms": None},
    ]


def test_a_file_that_cannot_be_opened_is_an_error_at_once(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="no/such"):
        JsonlAnalytics(tmp_path / "no/such" / "file", VirtualClock(), 0)
