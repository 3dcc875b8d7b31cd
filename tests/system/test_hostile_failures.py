"""A whole greenroom whose actors fail in ways that resist being told."""

from __future__ import annotations

import logging
import time
from typing import ClassVar

import pytest

import greenroom
from greenroom.actors._base import ActorAddress, GreenroomActor, told
from greenroom.actors.children import ChildClasses
from greenroom.actors.stats_worker import ConfigureWorker, StatsWorker
from greenroom.messages.stats import TrackStat
from greenroom.testing.fakes import RecordingAnalytics
from greenroom.testing.hostile_errors import HOSTILE_ERRORS
from greenroom.testing.samples import ALICE, BOB, ROOM_ID, ROOM_NAME, key, participant, room, stat
from greenroom.testing.small_system import UNLUCKY, packets_of


class HostileWorker(StatsWorker):
    """Cannot digest a sample of 13 packets."""

    error: ClassVar[type[BaseException]] = ValueError

    @told(TrackStat)
    def on_track_stat(self, sample: TrackStat, sender: ActorAddress) -> None:
        if packets_of(sample) == UNLUCKY:
            raise self.error
        super().on_track_stat(sample, sender)


def worker_that_raises(kind: type[BaseException]) -> type[GreenroomActor]:
    return type("HostileWorker", (HostileWorker,), {"error": kind, "__module__": __name__})


def flushed_with(
    worker: type[GreenroomActor], handler_limit_seconds: float = 30.0
) -> tuple[dict[str, int], list[str]]:
    """What Alice and Bob flushed, of whom Alice had a sample of 13; and the dead letters."""
    analytics = RecordingAnalytics()
    with greenroom.start(
        analytics=analytics,
        children=ChildClasses(worker=worker),
        flush_interval_seconds=None,
        handler_limit_seconds=handler_limit_seconds,
    ) as telemetry:
        for sid in (ALICE, BOB):
            telemetry.participant_joined(room(), participant(sid), None, None, False, None)
        for sid, packets in ((ALICE, 5), (BOB, 7), (ALICE, UNLUCKY), (ALICE, 6)):
            telemetry.track_stats(ROOM_ID, ROOM_NAME, key(sid), stat(packets))
        assert telemetry.sync()
        letters = [kept.letter.message for kept in telemetry.dead_letters.list()]
    found: dict[str, int] = {}
    for each in analytics.stats:
        packets = each.streams[0].primary_packets
        found[each.participant_id] = found.get(each.participant_id, 0) + packets
    return found, letters


@pytest.mark.parametrize("kind", [*HOSTILE_ERRORS, KeyboardInterrupt])
def test_whatever_a_worker_raises_it_loses_the_poison_only(kind: type[BaseException]) -> None:
    assert flushed_with(worker_that_raises(kind)) == ({ALICE: 11, BOB: 7}, ["TrackStat"])


class Endless(Exception):  # noqa: N818
    """Who asks for its text waits for ever."""

    def __repr__(self) -> str:
        while True:
            time.monotonic()

    __str__ = __repr__


def test_an_exception_whose_text_never_comes_is_interrupted() -> None:
    found = flushed_with(worker_that_raises(Endless), handler_limit_seconds=0.2)

    assert found == ({ALICE: 11, BOB: 7}, ["TrackStat"])


def test_workers_that_fail_to_begin_are_each_restarted() -> None:
    class SlowStarter(StatsWorker):
        begun: ClassVar[int] = 0

        def on_configure(self, configure: ConfigureWorker) -> None:
            SlowStarter.begun += 1
            if SlowStarter.begun <= 2:
                raise ValueError("not yet")
            super().on_configure(configure)

    found, letters = flushed_with(SlowStarter)

    assert found == {ALICE: 11 + UNLUCKY, BOB: 7}
    assert letters == ["ConfigureWorker"] * 2


def test_a_worker_that_never_begins_is_given_up_and_its_supervisor_goes_on() -> None:
    class NeverBegun(StatsWorker):
        def on_configure(self, configure: ConfigureWorker) -> None:
            if configure.spec.key.participant_id == ALICE:
                raise ValueError("never")
            super().on_configure(configure)

    analytics = RecordingAnalytics()
    clock = greenroom.VirtualClock(10**18)
    with greenroom.start(
        analytics=analytics, clock=clock, children=ChildClasses(worker=NeverBegun)
    ) as telemetry:
        for sid in (ALICE, BOB):
            telemetry.participant_joined(room(), participant(sid), None, None, False, None)
            telemetry.track_stats(ROOM_ID, ROOM_NAME, key(sid), stat(7))
        telemetry.advance_to(clock.now_ns() + 60 * 10**9)

        current = [each.key.participant_id for each in telemetry.workers().current]
        assert current == [BOB]
        assert {each.participant_id for each in analytics.stats} == {BOB}


class FullDisk(logging.Handler):
    """A log handler that fails, as one of a host may."""

    def handle(self, record: logging.LogRecord) -> bool:
        raise OSError("no space left on device")


def test_a_log_handler_of_the_host_that_raises_costs_its_lines_only() -> None:
    handler = FullDisk()
    logging.getLogger("greenroom").addHandler(handler)
    try:
        found = flushed_with(worker_that_raises(ValueError))
    finally:
        logging.getLogger("greenroom").removeHandler(handler)

    assert found == ({ALICE: 11, BOB: 7}, ["TrackStat"])
