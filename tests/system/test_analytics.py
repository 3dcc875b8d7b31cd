from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import pytest
from livekit.protocol.analytics import AnalyticsEvent, AnalyticsNodeRooms, AnalyticsStat
from livekit.protocol.models import Room

import greenroom
from greenroom import Telemetry, VirtualClock
from greenroom.core.series import flatten
from greenroom.testing.fakes import RecordingAnalytics
from greenroom.testing.patience import PATIENCE_SECONDS, wait_until
from greenroom.testing.samples import ALICE, BOB, key, participant, room, stat

SECOND: Final = 1_000_000_000
START_NS: Final = 1_700_000_000 * SECOND


class Moody(RecordingAnalytics):
    """Raises what it is told to, and keeps the rest."""

    def __init__(self) -> None:
        super().__init__()
        self.mood: Exception | None = None

    def send_event(self, event: AnalyticsEvent) -> None:
        if self.mood is not None:
            raise self.mood
        super().send_event(event)


def counted(telemetry: Telemetry) -> dict[str, float]:
    series = flatten(telemetry.metrics.snapshot(), {})
    return {name: value for name, value in series.items() if value}


def test_what_an_analytics_service_raises_is_counted_and_stops_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    moody = Moody()
    with greenroom.start(clock=VirtualClock(START_NS), analytics=moody) as telemetry:
        moody.mood = OSError("no route")
        telemetry.room_ended(room())
        telemetry.room_ended(room())
        telemetry.sync()
        moody.mood = None
        telemetry.room_ended(room())
        telemetry.sync()

        assert counted(telemetry)['greenroom_analytics_errors_total{method="send_event"}'] == 2
        assert len(moody.events) == 1
    assert "no route" in caplog.text


def test_an_analytics_service_that_keeps_failing_is_logged_once_a_minute(
    caplog: pytest.LogCaptureFixture,
) -> None:
    moody = Moody()
    moody.mood = OSError("no route")
    with greenroom.start(clock=VirtualClock(START_NS), analytics=moody) as telemetry:
        for second in range(120):
            telemetry.advance_to(START_NS + second * SECOND)
            telemetry.room_ended(room())
            telemetry.sync()

        assert [record.getMessage()[:32] for record in caplog.records] == [
            "AnalyticsService.send_event rais",
            "AnalyticsService.send_event rais",
        ]
        assert "and 59 more" in caplog.records[1].getMessage()


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def test_a_slow_analytics_service_never_blocks_a_caller(gate: threading.Event) -> None:
    class Slow(RecordingAnalytics):
        def send_event(self, event: AnalyticsEvent) -> None:
            assert gate.wait(PATIENCE_SECONDS)
            super().send_event(event)

    slow = Slow()
    with greenroom.start(analytics=slow) as telemetry:
        for _ in range(1_000):
            telemetry.room_ended(room())
        telemetry.participant_joined(room(), participant(), None, None, False, telemetry.guard())

        wait_until(lambda: len(telemetry.workers().current) == 1)  # the actors are through
        assert slow.events == []
        gate.set()
        assert telemetry.sync(PATIENCE_SECONDS)
        assert len(slow.events) == 1_000


def test_the_service_is_never_called_by_two_threads_at_once() -> None:
    class Watchful(RecordingAnalytics):
        def __init__(self) -> None:
            super().__init__()
            self.threads: set[int] = set()

        def send_event(self, event: AnalyticsEvent) -> None:
            self.threads.add(threading.get_ident())

        def send_stats(self, stats: Sequence[AnalyticsStat]) -> None:
            self.threads.add(threading.get_ident())

    watchful = Watchful()
    with greenroom.start(analytics=watchful) as telemetry:
        in_threads(4, lambda number: telemetry.room_ended(room()))
        telemetry.send_stats([stat()])
        assert telemetry.sync(PATIENCE_SECONDS)

    assert len(watchful.threads) == 1
    assert threading.get_ident() not in watchful.threads


def test_what_is_passed_on_arrives_as_it_was_given() -> None:
    analytics = RecordingAnalytics()
    with greenroom.start(clock=VirtualClock(START_NS), analytics=analytics) as telemetry:
        telemetry.send_event(AnalyticsEvent(id="AE_1", room_id="RM_1"))
        telemetry.send_stats([AnalyticsStat(id="AS_1"), AnalyticsStat(id="AS_2")])
        telemetry.local_room_state(AnalyticsNodeRooms(node_id="ND_1"))
        telemetry.send_node_room_states(None)
        telemetry.sync()

    assert analytics.sends == [
        ("send_event", AnalyticsEvent(id="AE_1", room_id="RM_1")),
        ("send_stats", (AnalyticsStat(id="AS_1"), AnalyticsStat(id="AS_2"))),
        ("send_node_room_states", AnalyticsNodeRooms(node_id="ND_1")),
        ("send_node_room_states", None),
    ]


# ── many callers ────────────────────────────────────────────────────────────────────────────


def in_threads(count: int, work: Callable[[int], None]) -> None:
    """Run `work(number)` in as many threads at once, and raise what one of them raised."""
    failures: list[BaseException] = []
    ready = threading.Barrier(count)

    def run(number: int) -> None:
        ready.wait(PATIENCE_SECONDS)
        try:
            work(number)
        except BaseException as error:
            failures.append(error)
            raise

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_SECONDS)
    assert failures == []


def test_the_calls_of_a_thread_stay_in_their_order() -> None:
    analytics = RecordingAnalytics()
    with greenroom.start(analytics=analytics) as telemetry:

        def call(number: int) -> None:
            for turn in range(200):
                telemetry.room_ended(Room(sid=f"RM_{number}", metadata=str(turn)))

        in_threads(4, call)
        assert telemetry.sync(PATIENCE_SECONDS)

    for number in range(4):
        mine = [e.room.metadata for e in analytics.events if e.room_id == f"RM_{number}"]
        assert mine == [str(turn) for turn in range(200)]


def test_every_packet_that_eight_threads_report_is_flushed_exactly_once() -> None:
    analytics = RecordingAnalytics()
    sids = [f"PA_{number}" for number in range(50)]
    with greenroom.start(analytics=analytics, flush_interval_seconds=0.01) as telemetry:
        for sid in sids:
            telemetry.participant_active(room(), participant(sid), None, False, telemetry.guard())

        def report(number: int) -> None:
            for turn in range(2_000):
                sid = sids[(number + turn) % len(sids)]
                telemetry.track_stats("RM_1", "lobby", key(sid), stat(packets=turn))

        in_threads(8, report)
        telemetry.flush_stats()
        assert telemetry.sync(PATIENCE_SECONDS)
        in_metrics = telemetry.metrics.node_stats()["packets_in"]

    flushed = dict.fromkeys(sids, 0)
    for each in analytics.stats:
        flushed[each.participant_id] += each.streams[0].primary_packets
    expected = dict.fromkeys(sids, 0)
    for number in range(8):
        for turn in range(2_000):
            expected[sids[(number + turn) % len(sids)]] += turn
    assert flushed == expected
    assert in_metrics == 8 * sum(range(2_000))


def test_a_full_door_drops_statistics_and_counts_them() -> None:
    analytics = RecordingAnalytics()
    clock = VirtualClock(START_NS)
    with greenroom.start(clock=clock, analytics=analytics, capacity=10) as telemetry:
        telemetry.participant_joined(room(), participant(), None, None, False, telemetry.guard())
        for _ in range(20):
            telemetry.track_stats("RM_1", "lobby", key(ALICE), stat(packets=1))
        telemetry.room_ended(room())  # what happens rarely is still let in
        telemetry.flush_stats()
        telemetry.sync()

        series = 'greenroom_dropped_total{intentional="false",reason="door_full"}'
        assert counted(telemetry)[series] == 20 - 9
        assert sum(each.streams[0].primary_packets for each in analytics.stats) == 9
        assert len(analytics.events) == 1


def test_statistics_of_nobody_are_dropped_on_purpose_and_counted() -> None:
    with greenroom.start(clock=VirtualClock(START_NS)) as telemetry:
        telemetry.track_stats("RM_1", "lobby", key(BOB), stat())
        telemetry.sync()

        series = 'greenroom_dropped_total{intentional="true",reason="unknown_participant"}'
        assert counted(telemetry)[series] == 1
