"""A whole greenroom whose actors fail: only the poison is lost, and people can replay it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ClassVar, Final

import pytest
from livekit.protocol.analytics import AnalyticsEvent, AnalyticsEventType

import greenroom
from greenroom.actors._base import ActorAddress, GreenroomActor, told
from greenroom.actors.children import ChildClasses
from greenroom.actors.recorder import Recorder
from greenroom.actors.stats_worker import StatsWorker
from greenroom.actors.supervisor import Supervisor
from greenroom.core.series import flatten
from greenroom.errors import SystemBrokenError
from greenroom.messages.calls import RoomStarted
from greenroom.messages.codec import decode
from greenroom.messages.outputs import RecordEvent
from greenroom.messages.stats import Flush, TrackStat
from greenroom.testing.fakes import RecordingAnalytics
from greenroom.testing.samples import (
    ALICE,
    BOB,
    ROOM_ID,
    join,
    report,
    room,
)
from greenroom.testing.small_system import UNLUCKY, packets_of

SECOND: Final = 1_000_000_000


def recurse(depth: int = 0) -> int:
    return recurse(depth + 1) + 1


def exit_process() -> None:
    raise SystemExit(1)


def run_out_of_memory() -> None:
    bytearray(2**62)


def cancel() -> None:
    raise asyncio.CancelledError("not of this loop")


def stop_generating() -> None:
    raise GeneratorExit("no generator")


def divide() -> None:
    raise ArithmeticError("thirteen")


class FragileWorker(StatsWorker):
    """Cannot digest a sample of 13 packets, in a way that a subclass says."""

    fail: ClassVar[Callable[[], object]]

    @told(TrackStat)
    def on_track_stat(self, sample: TrackStat, sender: ActorAddress) -> None:
        if packets_of(sample) == UNLUCKY:
            type(self).fail()
        super().on_track_stat(sample, sender)


def worker_that(fail: Callable[[], object]) -> type[GreenroomActor]:
    return type(
        "FragileWorker", (FragileWorker,), {"fail": staticmethod(fail), "__module__": __name__}
    )


class Running:
    """A greenroom in virtual time, and what came out of it."""

    def __init__(self, children: ChildClasses) -> None:
        self.analytics = RecordingAnalytics()
        self.clock = greenroom.VirtualClock(1_700_000_000 * SECOND)
        self.telemetry = greenroom.start(
            analytics=self.analytics,
            clock=self.clock,
            children=children,
            flush_interval_seconds=None,
        )

    def joined(self, *people: str) -> None:
        join(self.telemetry, *people)

    def reported(self, sid: str, *packets: int) -> None:
        report(self.telemetry, sid, *packets)

    def flushed(self) -> dict[str, int]:
        """Packets that were flushed, by participant."""
        self.telemetry.flush_stats()
        self.telemetry.sync()
        found: dict[str, int] = {}
        for each in self.analytics.stats:
            packets = each.streams[0].primary_packets
            found[each.participant_id] = found.get(each.participant_id, 0) + packets
        return found

    def pass_time(self, seconds: float) -> None:
        self.telemetry.advance_to(self.clock.now_ns() + round(seconds * SECOND))

    def pass_time_in_steps(self, steps: int) -> None:
        for _ in range(steps):
            self.pass_time(0.5)

    def counted(self, name: str) -> float:
        return flatten(self.telemetry.metrics.snapshot(), {}).get(name, 0.0)

    def restarts(self, actor: str) -> float:
        return self.counted(f'greenroom_child_restarts_total{{actor="{actor}"}}')


@pytest.mark.parametrize(
    "fail", [divide, exit_process, run_out_of_memory, recurse, cancel, stop_generating]
)
def test_a_worker_that_fails_keeps_all_but_the_poison_and_siblings_notice_nothing(
    fail: Callable[[], object],
) -> None:
    running = Running(ChildClasses(worker=worker_that(fail)))
    with running.telemetry as telemetry:
        running.joined(ALICE, BOB)
        running.reported(ALICE, 5, UNLUCKY, 6)
        running.reported(BOB, 7)

        assert running.flushed() == {ALICE: 11, BOB: 7}
        (kept,) = telemetry.dead_letters.list()
        letter = kept.letter
        assert (letter.actor, letter.key) == ("FragileWorker", f"{ROOM_ID}/{ALICE}")
        assert letter.message == "TrackStat"
        assert fail.__name__ in letter.traceback
        assert isinstance(decode(letter.body), TrackStat)
        assert running.restarts("FragileWorker") == 1


def interrupt() -> None:
    raise KeyboardInterrupt


def test_an_interrupt_of_who_pumps_costs_the_worker_in_which_it_struck_and_is_counted() -> None:
    running = Running(ChildClasses(worker=worker_that(interrupt)))
    with running.telemetry:
        running.joined(ALICE, BOB)
        running.reported(BOB, 7)
        running.telemetry.sync()
        running.reported(ALICE, UNLUCKY)

        with pytest.raises(KeyboardInterrupt):
            running.telemetry.sync()

        assert running.flushed() == {BOB: 7}
        assert [w.key.participant_id for w in running.telemetry.workers().current] == [BOB]
        assert running.counted(
            'greenroom_dropped_total{intentional="false",reason="worker_given_up"}'
        )


def test_a_worker_that_fails_often_waits_longer_and_loses_nothing_meanwhile() -> None:
    running = Running(ChildClasses(worker=worker_that(divide)))
    with running.telemetry:
        running.joined(ALICE)
        running.reported(ALICE, 1, UNLUCKY, 2, UNLUCKY, 3)
        running.telemetry.sync()
        assert running.restarts("FragileWorker") == 1

        running.pass_time(1.0)

        assert running.restarts("FragileWorker") == 2
        assert running.flushed() == {ALICE: 6}


def test_a_worker_that_never_gets_better_is_given_up_alone_and_hands_over_what_it_held() -> None:
    running = Running(ChildClasses(worker=worker_that(divide)))
    with running.telemetry:
        running.joined(ALICE, BOB)
        running.reported(ALICE, 5, *[UNLUCKY] * 31, 6)
        running.reported(BOB, 7)
        for _ in range(30):
            running.pass_time(1.0)

        assert [w.key.participant_id for w in running.telemetry.workers().current] == [BOB]
        assert running.flushed() == {ALICE: 11, BOB: 7}
        assert running.counted(
            'greenroom_dropped_total{intentional="false",reason="worker_given_up"}'
        )


def test_a_supervisor_goes_on_after_a_call_that_it_cannot_digest_which_can_be_replayed() -> None:
    running = Running(ChildClasses())
    with running.telemetry as telemetry:
        running.joined(ALICE)
        running.reported(ALICE, 5)
        telemetry.sync()
        (supervisor,) = [a for a in telemetry._base.actors() if isinstance(a, Supervisor)]
        broken = supervisor.recorder
        supervisor.recorder = None  # type: ignore[assignment]  # to fail

        telemetry.room_started(room())
        telemetry.sync()
        supervisor.recorder = broken
        running.reported(ALICE, 6)

        assert running.flushed() == {ALICE: 11}
        (kept,) = telemetry.dead_letters.list()
        assert decode(kept.letter.body) == RoomStarted(room())
        assert running.restarts("Supervisor") == 1
        assert not running.analytics.events
        assert telemetry.replay_dead_letter(kept.id)
        telemetry.sync()
        assert [event.type for event in running.analytics.events] == [
            AnalyticsEventType.ROOM_CREATED
        ]
        assert not telemetry.replay_dead_letter(kept.id), "only once"


class BrokenRecorder(Recorder):
    """Can digest no event at all."""

    @told(RecordEvent)
    def on_record_event(self, record: RecordEvent, sender: ActorAddress) -> None:
        raise OSError("no disk")


def test_an_event_that_the_recorder_cannot_digest_costs_that_event_only() -> None:
    running = Running(ChildClasses(recorder=BrokenRecorder))
    with running.telemetry as telemetry:
        running.joined(ALICE)
        running.reported(ALICE, 5)
        telemetry.send_event(AnalyticsEvent(room_id="RM_1"))

        assert running.flushed() == {ALICE: 5}
        assert [kept.letter.message for kept in telemetry.dead_letters.list()] == ["RecordEvent"]


def test_a_failure_that_never_ends_is_handed_upwards_until_the_host_is_told() -> None:
    running = Running(ChildClasses(recorder=BrokenRecorder))
    for _ in range(1_000):
        running.telemetry.send_event(AnalyticsEvent(room_id="RM_1"))

    with pytest.raises(SystemBrokenError, match="failed more often"):
        running.pass_time_in_steps(2_000)
    assert not running.telemetry.close()


def test_what_stands_still_at_the_close_hands_over_all_the_same() -> None:
    running = Running(ChildClasses(worker=worker_that(divide)))
    running.joined(ALICE)
    running.reported(ALICE, 5, UNLUCKY, 6, UNLUCKY, 7, UNLUCKY, 8)

    running.telemetry.close()

    assert sum(each.streams[0].primary_packets for each in running.analytics.stats) == 26


class ForgetfulWorker(StatsWorker):
    """Fails at its first flush, after it has handed over."""

    failed: ClassVar[list[bool]]

    @told(Flush)
    def on_flush(self, flush: Flush, sender: ActorAddress) -> None:
        super().on_flush(flush, sender)
        if not self.failed:
            self.failed.append(True)
            raise KeyError("after the hand-over")


def test_a_worker_that_fails_after_it_handed_over_hands_nothing_over_twice() -> None:
    kind = type("ForgetfulWorker", (ForgetfulWorker,), {"failed": [], "__module__": __name__})
    running = Running(ChildClasses(worker=kind))
    with running.telemetry:
        running.joined(ALICE)
        running.reported(ALICE, 5)
        running.flushed()
        running.reported(ALICE, 6)

        assert running.flushed() == {ALICE: 11}
