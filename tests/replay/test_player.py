from __future__ import annotations

from collections.abc import Iterator

import pytest
from livekit.protocol.analytics import AnalyticsEventType, AnalyticsStat
from livekit.protocol.models import ParticipantInfo, Room

import greenroom
from greenroom.errors import RecordingError
from greenroom.replay.player import Player, RealTime
from greenroom.replay.recording import RecordedCall
from greenroom.testing.fakes import RecordingAnalytics

START_NS = 1_000_000_000_000
ROOM = Room(sid="RM_1", name="a", creation_time=1_001)
PARTICIPANT = ParticipantInfo(sid="PA_1", identity="alice")
KEY = greenroom.StatsKey.for_data("", 0, "PA_1", "TR_1")


class FakeRealTime:
    """Real time that passes only in `sleep`."""

    def __init__(self) -> None:
        self.now_ns = 77
        self.naps: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.now_ns += round(seconds * 1e9)

    def as_real_time(self) -> RealTime:
        return RealTime(lambda: self.now_ns, self.sleep)


def call_at(at_seconds: float, name: str, **args: object) -> RecordedCall:
    return RecordedCall(f"f:{at_seconds}", round(at_seconds * 1e9), name, args)


def active_at(at_seconds: float) -> RecordedCall:
    return call_at(
        at_seconds,
        "participant_active",
        room=ROOM,
        participant=PARTICIPANT,
        client_meta=None,
        is_migration=False,
        guard=1,
    )


def stats_at(at_seconds: float, score: float) -> RecordedCall:
    stat = AnalyticsStat(score=score)
    return call_at(at_seconds, "track_stats", room_id="RM_1", room_name="a", key=KEY, stat=stat)


@pytest.fixture
def analytics() -> RecordingAnalytics:
    return RecordingAnalytics()


@pytest.fixture
def telemetry(analytics: RecordingAnalytics) -> Iterator[greenroom.Telemetry]:
    clock = greenroom.VirtualClock(START_NS)
    with greenroom.start(clock=clock, analytics=analytics) as telemetry:
        yield telemetry


def seconds(telemetry: greenroom.Telemetry) -> float:
    return (telemetry.clock.now_ns() - START_NS) / 1e9


def test_each_call_is_made_at_its_own_time(
    telemetry: greenroom.Telemetry, analytics: RecordingAnalytics
) -> None:
    Player(telemetry).play([active_at(2.25), call_at(5.5, "room_ended", room=ROOM)])
    telemetry.sync()

    stamps = [event.timestamp.ToNanoseconds() - START_NS for event in analytics.events]
    assert stamps == [2_250_000_000, 5_500_000_000]


def test_flushes_happen_between_the_calls_at_their_time(
    telemetry: greenroom.Telemetry, analytics: RecordingAnalytics
) -> None:
    player = Player(telemetry)

    player.play([active_at(1), stats_at(29, 1.0), stats_at(31, 2.0), stats_at(100, 3.0)])
    player.finish()
    telemetry.sync()

    flushed = [(s.time_stamp.ToSeconds() - 1_000, s.score) for s in analytics.stats]
    assert flushed == [(30, 1.0), (60, 2.0), (120, 3.0)]
    assert seconds(telemetry) == 120


def test_a_closed_worker_is_retired_in_the_calls_own_time(telemetry: greenroom.Telemetry) -> None:
    left = call_at(
        5,
        "participant_left",
        room=ROOM,
        participant=PARTICIPANT,
        should_send_event=True,
        guard=1,
    )

    Player(telemetry).play([active_at(1), left, call_at(209, "room_ended", room=ROOM)])
    assert telemetry.statistics().workers_retained == 1
    telemetry.advance_to(START_NS + 211 * 10**9)

    assert telemetry.statistics().workers_retained == 0


def test_without_a_flush_interval_the_replay_ends_with_the_last_call(
    analytics: RecordingAnalytics,
) -> None:
    clock = greenroom.VirtualClock(START_NS)
    with greenroom.start(
        clock=clock, analytics=analytics, flush_interval_seconds=None
    ) as telemetry:
        player = Player(telemetry)
        player.play([active_at(1)])
        player.finish()

        assert seconds(telemetry) == 1
        assert len(analytics.events) == 1


@pytest.mark.parametrize(("speed", "real_seconds"), [(1.0, 120), (10.0, 12), (0.5, 240)])
def test_a_numeric_speed_paces_the_call(
    telemetry: greenroom.Telemetry, speed: float, real_seconds: float
) -> None:
    real = FakeRealTime()
    player = Player(telemetry, speed=speed, real_time=real.as_real_time())

    player.play([active_at(1), stats_at(100, 3.0)])
    player.finish()

    assert sum(real.naps) == pytest.approx(real_seconds)
    assert max(real.naps) <= 0.05
    assert seconds(telemetry) == 120


def test_at_a_numeric_speed_a_flush_does_not_wait_for_the_next_call(
    telemetry: greenroom.Telemetry, analytics: RecordingAnalytics
) -> None:
    real = FakeRealTime()
    flushed_after: list[float] = []

    def sleep(nap_seconds: float) -> None:
        real.sleep(nap_seconds)
        if analytics.stats and not flushed_after:
            flushed_after.append(sum(real.naps))

    player = Player(telemetry, speed=1.0, real_time=RealTime(lambda: real.now_ns, sleep))
    player.play([active_at(1), stats_at(2, 1.0), call_at(90, "room_ended", room=ROOM)])

    assert flushed_after[0] == pytest.approx(30, abs=0.11)


def test_when_stopped_no_further_call_is_made(
    telemetry: greenroom.Telemetry, analytics: RecordingAnalytics
) -> None:
    made: list[str] = []
    player = Player(
        telemetry, on_call=lambda call: made.append(call.name), stopped=lambda: bool(made)
    )

    player.play([active_at(1), call_at(50, "room_ended", room=ROOM)])
    telemetry.sync()

    assert made == ["participant_active"]
    assert [event.type for event in analytics.events] == [AnalyticsEventType.PARTICIPANT_ACTIVE]


def test_a_call_that_the_service_refuses_is_named_by_its_line(
    telemetry: greenroom.Telemetry,
) -> None:
    bad = call_at(3, "room_ended", room=PARTICIPANT)

    with pytest.raises(RecordingError, match=r"^f:3: room: expected Room, got ParticipantInfo"):
        Player(telemetry).play([active_at(1), bad])


@pytest.mark.parametrize("speed", [0.0, -1.0, float("nan"), float("inf"), 1e9])
def test_a_speed_that_cannot_be_kept_is_refused(
    telemetry: greenroom.Telemetry, speed: float
) -> None:
    with pytest.raises(greenroom.ConfigError, match="speed: expected max, or a number"):
        Player(telemetry, speed=speed)
