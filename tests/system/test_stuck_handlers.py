"""A whole greenroom in real time, with an actor that does not come back."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections import Counter
from typing import ClassVar, Final

import pytest
from livekit.protocol.models import Room

import greenroom
from greenroom.actors._base import ActorAddress, told
from greenroom.actors.children import ChildClasses
from greenroom.actors.stats_worker import StatsWorker
from greenroom.core.series import flatten
from greenroom.errors import SystemBrokenError
from greenroom.messages.codec import decode
from greenroom.messages.stats import TrackStat
from greenroom.runtime import watchdog
from greenroom.system import ASK_SECONDS
from greenroom.testing.fakes import RecordingAnalytics
from greenroom.testing.patience import PATIENCE_SECONDS, wait_until
from greenroom.testing.samples import (
    ALICE,
    BOB,
    participant,
    report,
    room,
)
from greenroom.testing.small_system import UNLUCKY, packets_of


class EndlessWorker(StatsWorker):
    """Loops for ever on a sample of 13 packets."""

    @told(TrackStat)
    def on_track_stat(self, sample: TrackStat, sender: ActorAddress) -> None:
        while packets_of(sample) == UNLUCKY:
            pass
        super().on_track_stat(sample, sender)


class BlockedWorker(StatsWorker):
    """Waits for an event, in C, on a sample of 13 packets."""

    opened: ClassVar[threading.Event]

    @told(TrackStat)
    def on_track_stat(self, sample: TrackStat, sender: ActorAddress) -> None:
        if packets_of(sample) == UNLUCKY:
            self.opened.wait()
        super().on_track_stat(sample, sender)


def started(
    worker: type[StatsWorker], limit_s: float | None
) -> tuple[greenroom.Telemetry, RecordingAnalytics]:
    analytics = RecordingAnalytics()
    telemetry = greenroom.start(
        analytics=analytics,
        children=ChildClasses(worker=worker),
        flush_interval_seconds=None,
        handler_limit_seconds=limit_s,
    )
    for sid in (ALICE, BOB):
        telemetry.participant_joined(
            room(), participant(sid), None, None, False, telemetry.guard()
        )
    return telemetry, analytics


def blocked() -> tuple[type[BlockedWorker], threading.Event]:
    opened = threading.Event()
    names = {"opened": opened, "__module__": __name__}
    return type("BlockedWorker", (BlockedWorker,), names), opened


def test_an_endless_handler_costs_its_input_only_which_says_where_it_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(watchdog, "GRACE_NS", 10**18)  # a busy machine may let it end late
    telemetry, analytics = started(EndlessWorker, 0.1)
    with telemetry:
        report(telemetry, ALICE, 5, UNLUCKY, 6)
        report(telemetry, BOB, 7)
        telemetry.flush_stats()
        assert telemetry.sync(PATIENCE_SECONDS)

        flushed: Counter[str] = Counter()
        for each in analytics.stats:
            flushed[each.participant_id] += each.streams[0].primary_packets
        assert flushed == {ALICE: 11, BOB: 7}
        (kept,) = telemetry.dead_letters.list()
        assert kept.letter.actor == "EndlessWorker"
        assert kept.letter.error.startswith("HandlerTimeoutError('EndlessWorker has held")
        assert "in on_track_stat\n" in kept.letter.traceback
        assert isinstance(decode(kept.letter.body), TrackStat)
        series = flatten(telemetry.metrics.snapshot(), {})
        assert series['greenroom_child_restarts_total{actor="EndlessWorker"}'] == 1


def test_a_handler_that_cannot_be_ended_breaks_the_telemetry_and_tells_the_host(
    caplog: pytest.LogCaptureFixture,
) -> None:
    worker, opened = blocked()
    telemetry, _ = started(worker, 0.1)
    report(telemetry, ALICE, UNLUCKY, 6)

    with pytest.raises(SystemBrokenError, match="BlockedWorker has held the dispatch thread"):
        telemetry.sync(PATIENCE_SECONDS)
    for call in (telemetry.sync, telemetry.workers, telemetry.statistics):
        with pytest.raises(SystemBrokenError):
            call()
    telemetry.room_started(Room(name="late"))

    assert not telemetry.close(None), "no limit, and yet nobody waits for the stuck thread"
    assert telemetry.metrics.lost() >= 1
    assert "greenroom stands still: the dispatch thread is stuck" in caplog.text
    assert "self.opened.wait()" in caplog.text
    opened.set()


def test_a_close_does_not_wait_longer_than_it_was_told_for_a_handler_that_holds_everything(
    caplog: pytest.LogCaptureFixture,
) -> None:
    worker, opened = blocked()
    telemetry, _ = started(worker, None)
    report(telemetry, ALICE, UNLUCKY)
    telemetry.room_started(Room(name="late"))
    wait_until(lambda: "BlockedWorker has held the dispatch thread" in caplog.text)
    complete: list[bool] = []

    closer = threading.Thread(target=lambda: complete.append(telemetry.close(0.2)))
    closer.start()
    closer.join(ASK_SECONDS / 2)  # what it grants a thread that is only slow is longer

    assert complete == [False]
    assert telemetry.metrics.lost() >= 1
    opened.set()


STUCK: Final = """
import threading, greenroom
from greenroom.actors.recorder import Recorder
from greenroom.actors.children import ChildClasses
from livekit.protocol.models import Room
waiting = threading.Event()
class Stuck(Recorder):
    def receiveMessage(self, message, sender):
        waiting.set()
        threading.Event().wait()
telemetry = greenroom.start(children=ChildClasses(recorder=Stuck))
telemetry.room_started(Room(name="one"))
waiting.wait()
"""


def test_a_process_with_a_stuck_handler_can_exit() -> None:
    ended = subprocess.run([sys.executable, "-c", STUCK], timeout=60, check=False)

    assert ended.returncode == 0
