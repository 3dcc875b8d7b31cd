from __future__ import annotations

import gc
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable
from typing import Final

import pytest
from livekit.protocol.models import Room

import greenroom
from greenroom import SystemClosedError, Telemetry, VirtualClock, WebhookSettings
from greenroom.config import Settings
from greenroom.errors import ConfigError, LifecycleError
from greenroom.runtime.schedule import SeededSchedule
from greenroom.testing.fakes import RecordingAnalytics
from greenroom.testing.samples import ALICE, key, participant, room, stat

START_NS: Final = 1_700_000_000_000_000_000


def virtual(analytics: RecordingAnalytics | None = None) -> Telemetry:
    return greenroom.start(clock=VirtualClock(START_NS), analytics=analytics)


def greenrooms_threads() -> set[str]:
    return {t.name for t in threading.enumerate() if t.name.startswith("greenroom")}


# ── start and close ─────────────────────────────────────────────────────────────────────────


def test_a_schedule_is_refused_without_a_virtual_clock_before_anything_is_started() -> None:
    before = greenrooms_threads()

    with pytest.raises(LifecycleError, match="virtual clock"):
        Telemetry(Settings(), metrics_port=0, schedule=SeededSchedule(1))

    assert greenrooms_threads() == before


def test_it_is_closed_at_the_end_of_its_block() -> None:
    with greenroom.start() as telemetry:
        telemetry.room_started(room())

    with pytest.raises(SystemClosedError):
        telemetry.room_started(room())
    assert "closed" in repr(telemetry)


def test_it_is_closed_when_its_block_fails() -> None:
    with pytest.raises(ZeroDivisionError), virtual() as telemetry:
        raise ZeroDivisionError

    with pytest.raises(SystemClosedError):
        telemetry.flush_stats()


def test_to_close_twice_is_to_close_once() -> None:
    telemetry = greenroom.start()

    assert telemetry.close()
    assert telemetry.close()


def test_no_thread_is_left_after_the_close() -> None:
    before = greenrooms_threads()
    telemetry = greenroom.start(analytics=RecordingAnalytics(), metrics_port=0)
    telemetry.room_started(room())
    assert greenrooms_threads() > before

    telemetry.close()

    assert greenrooms_threads() == before


def test_nothing_starts_when_a_setting_is_wrong() -> None:
    before = greenrooms_threads()
    with greenroom.start(metrics_port=0) as other, pytest.raises(ConfigError, match="port"):
        greenroom.start(metrics_port=other.metrics_port)

    assert greenrooms_threads() == before


@pytest.mark.parametrize(
    ("start", "named"),
    [
        (lambda: greenroom.start(flush_interval_seconds=0), "flush_interval_seconds"),
        (lambda: greenroom.start(close_wait_seconds=-1), "close_wait_seconds"),
        (lambda: WebhookSettings(urls=("https://a.example",)), "webhook.api_key"),
        (
            lambda: WebhookSettings(urls=("https://a.example",), api_key="k", keys={"other": "s"}),
            "webhook.api_key",
        ),
        (lambda: WebhookSettings(urls="https://a.example"), "webhook.urls"),  # type: ignore[arg-type]  # the point
        (lambda: WebhookSettings(policy="eager"), "webhook.policy"),
    ],
    ids=["interval", "wait", "no secret", "no secret for the key", "one url as text", "policy"],
)
def test_a_setting_that_is_wrong_is_named(start: Callable[[], object], named: str) -> None:
    with pytest.raises(ConfigError, match=f"^{named}"):
        start()


def test_what_is_held_at_the_close_is_handed_over() -> None:
    analytics = RecordingAnalytics()
    telemetry = greenroom.start(analytics=analytics)
    telemetry.participant_active(room(), participant(), None, False, telemetry.guard())
    telemetry.track_stats("RM_1", "lobby", key(), stat(packets=5))

    assert telemetry.close()

    (flushed,) = analytics.stats
    assert flushed.streams[0].primary_packets == 5


@pytest.mark.parametrize(
    "use",
    [
        lambda telemetry: telemetry.room_started(room()),
        lambda telemetry: telemetry.track_stats("RM_1", "lobby", key(), stat()),
        lambda telemetry: telemetry.flush_stats(),
        lambda telemetry: telemetry.sync(),
        lambda telemetry: telemetry.workers(),
        lambda telemetry: telemetry.statistics(),
        lambda telemetry: telemetry.advance_to(START_NS + 1),
    ],
    ids=["event", "statistic", "flush", "sync", "workers", "statistics", "advance"],
)
def test_after_the_close_every_use_raises(use: Callable[[Telemetry], object]) -> None:
    telemetry = virtual()
    telemetry.close()

    with pytest.raises(SystemClosedError, match="closed"):
        use(telemetry)


def test_a_wrong_argument_is_still_the_callers_first_mistake_after_the_close() -> None:
    telemetry = virtual()
    telemetry.close()

    with pytest.raises(TypeError, match=r"^room: "):
        telemetry.room_started("lobby")  # type: ignore[arg-type]  # the point of the test


def test_guards_can_be_made_after_the_close() -> None:
    telemetry = virtual()
    telemetry.close()

    assert telemetry.guard() != telemetry.guard()


def test_only_a_virtual_clock_can_be_moved() -> None:
    with greenroom.start() as telemetry, pytest.raises(LifecycleError, match="virtual"):
        telemetry.advance_to(START_NS)


# ── sync ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("start", [greenroom.start, virtual], ids=["threaded", "pumped"])
def test_after_a_sync_the_analytics_have_what_was_called_before(
    start: Callable[..., Telemetry],
) -> None:
    analytics = RecordingAnalytics()
    with start(analytics=analytics) as telemetry:
        for _ in range(50):
            telemetry.room_ended(room())

        assert telemetry.sync()
        assert len(analytics.events) == 50


@pytest.mark.parametrize("start", [greenroom.start, virtual], ids=["threaded", "pumped"])
def test_a_sync_whose_time_runs_out_says_so(start: Callable[..., Telemetry]) -> None:
    let_go = threading.Event()

    class Stuck(RecordingAnalytics):
        def send_event(self, event: object) -> None:
            assert let_go.wait(30)

    with start(analytics=Stuck()) as telemetry:
        telemetry.room_ended(room())
        in_time = telemetry.sync(0.05)
        let_go.set()

        assert not in_time
        assert telemetry.sync()


def test_without_calls_a_sync_is_over_at_once() -> None:
    with greenroom.start() as threaded, virtual() as pumped:
        for telemetry in (threaded, pumped):
            assert telemetry.sync()
            assert telemetry.sync(1.0)


# ── at the interpreter's exit ───────────────────────────────────────────────────────────────

PROGRAM: Final = """
import greenroom
from livekit.protocol.models import ParticipantInfo, Room
from livekit.protocol.analytics import AnalyticsStat

class Printing:
    def send_stats(self, stats):
        print("stats", len(stats), flush=True)
    def send_event(self, event):
        pass
    def send_node_room_states(self, node_rooms):
        pass
    def room_project_reporter(self):
        return None

telemetry = greenroom.start(analytics=Printing())
telemetry.participant_joined(
    Room(sid="RM_1"), ParticipantInfo(sid="PA_1"), None, None, False, telemetry.guard())
key = greenroom.StatsKey.for_data("", 0, "PA_1", "TR_1")
telemetry.track_stats("RM_1", "", key, AnalyticsStat())
{end}
print("end of program", flush=True)
"""


def output_of(end: str) -> list[str]:
    program = PROGRAM.format(end=end)
    done = subprocess.run(  # our own interpreter and our own text
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=50, check=True
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_a_program_that_ends_without_closing_still_hands_over() -> None:
    assert output_of("") == ["end of program", "stats 1"]


def test_once_closed_nothing_is_done_at_exit() -> None:
    assert output_of("telemetry.close()") == ["stats 1", "end of program"]


def test_a_closed_telemetry_is_not_kept_until_the_exit() -> None:
    telemetry = greenroom.start()
    telemetry.close()
    seen = weakref.ref(telemetry)

    del telemetry
    gc.collect()

    assert seen() is None


# ── a look inside ───────────────────────────────────────────────────────────────────────────


def test_the_statistics_show_the_door_the_runtime_and_the_workers() -> None:
    with virtual() as telemetry:
        guard = telemetry.guard()
        telemetry.participant_joined(room(), participant(), None, None, False, guard)
        telemetry.participant_left(room(), participant(), False, guard)
        telemetry.participant_joined(room(), participant(), None, None, False, telemetry.guard())
        telemetry.sync()

        seen = telemetry.statistics()

    assert (seen.door.entered, seen.door.admitted, seen.door.waiting) == (3, 3, 0)
    assert (seen.workers, seen.workers_retained) == (1, 2)
    assert seen.runtime.actors == 5 + 2
    assert seen.runtime.queued == 0


def test_the_workers_are_told_by_key() -> None:
    with virtual() as telemetry:
        telemetry.participant_active(room(), participant(), None, False, None)
        telemetry.sync()
        (worker,) = telemetry.workers().current

    assert worker.key == ("RM_1", ALICE)
    assert worker.connected


def test_two_telemetries_in_one_process_do_not_meet() -> None:
    ones, others = RecordingAnalytics(), RecordingAnalytics()
    with virtual(ones) as one, virtual(others) as other:
        one.participant_active(Room(sid="RM_one"), participant(), None, False, one.guard())
        other.room_ended(Room(sid="RM_other"))
        one.sync()
        other.sync()

        assert [event.room_id for event in ones.events] == ["RM_one"]
        assert [event.room_id for event in others.events] == ["RM_other"]
        assert len(one.workers().current) == 1
        assert other.workers().current == ()
        assert one.metrics.node_stats()["num_clients"] == 1
        assert other.metrics.node_stats()["num_clients"] == 0


def test_closing_one_telemetry_leaves_another_alone() -> None:
    analytics = RecordingAnalytics()
    with greenroom.start(analytics=analytics) as survivor:
        greenroom.start().close()

        survivor.room_ended(room())

        assert survivor.sync()
        assert len(analytics.events) == 1
