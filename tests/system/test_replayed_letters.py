"""What an actor could not digest is given to it again once the cause is mended."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest
from livekit.protocol.analytics import AnalyticsEvent, AnalyticsNodeRooms

import greenroom
from greenroom import Telemetry, VirtualClock, WebhookSettings
from greenroom.actors.children import ChildClasses
from greenroom.actors.notifier import Notifier
from greenroom.actors.recorder import Recorder
from greenroom.actors.stats_worker import StatsWorker
from greenroom.adapters.dead_letters import LetterState
from greenroom.core.series import flatten
from greenroom.errors import NotReplayableError
from greenroom.messages.outputs import Notify, RecordEvent, RecordNodeRooms, RecordStats
from greenroom.messages.stats import Flush, TrackStat
from greenroom.replay.receiver import Received, Receiver
from greenroom.testing.fakes import RecordingAnalytics
from greenroom.testing.fragile import Fault, fragile
from greenroom.testing.samples import (
    ALICE,
    BOB,
    ROOM_ID,
    ROOM_NAME,
    key,
    participant,
    report,
    room,
    stat,
)
from greenroom.testing.small_system import UNLUCKY, packets_of

SECOND: Final = 1_000_000_000
START_NS: Final = 1_700_000_000 * SECOND
RECORDS: Final = (RecordStats, RecordEvent, RecordNodeRooms)
UNKNOWN: Final = 'greenroom_dropped_total{intentional="false",reason="unknown_participant"}'


def is_unlucky(sample: object) -> bool:
    return isinstance(sample, TrackStat) and packets_of(sample) == UNLUCKY


class Running:
    """A greenroom in virtual time whose workers are fragile, and what came out of it."""

    def __init__(self, data_dir: Path | None = None) -> None:
        self.fault, self.flush_fault = Fault(is_unlucky), Fault()
        self.flush_fault.mended = True
        self.analytics = RecordingAnalytics()
        self.clock = VirtualClock(START_NS)
        worker = fragile(StatsWorker, TrackStat, fault=self.fault)
        worker = fragile(worker, Flush, fault=self.flush_fault)
        self.telemetry = greenroom.start(
            analytics=self.analytics,
            clock=self.clock,
            children=ChildClasses(worker=worker),
            flush_interval_seconds=None,
            data_dir=data_dir,
        )

    def join(self, sid: str) -> int:
        guard = self.telemetry.guard()
        self.telemetry.participant_joined(room(), participant(sid), None, None, False, guard)
        return guard

    def leave(self, sid: str, guard: int) -> None:
        self.telemetry.participant_left(room(), participant(sid), False, guard)

    def report(self, *packets: int, sid: str = ALICE) -> None:
        report(self.telemetry, sid, *packets)

    def mend(self) -> None:
        """What was reported before met the fault."""
        self.telemetry.sync()
        self.fault.mended = True

    def replay(self, letter_id: int = 1) -> bool:
        self.telemetry.sync()
        replayed = self.telemetry.replay_dead_letter(letter_id)
        self.telemetry.sync()
        return replayed

    def flushed(self) -> list[tuple[str, int]]:
        """Whose packets each worker has handed over since the last look."""
        self.telemetry.flush_stats()
        self.telemetry.sync()
        stats, self.analytics.batches = self.analytics.stats, []
        return sorted((each.participant_id, each.streams[0].primary_packets) for each in stats)

    def pass_time(self, seconds: int) -> None:
        self.telemetry.sync()
        self.telemetry.advance_to(self.clock.now_ns() + seconds * SECOND)

    def retire_the_closed(self) -> None:
        self.pass_time(181)
        self.flushed()

    def counts(self) -> dict[str, float]:
        return flatten(self.telemetry.metrics.snapshot(), {})

    def states(self) -> list[LetterState]:
        return [kept.state for kept in self.telemetry.dead_letters.list()]


@contextmanager
def running(data_dir: Path | None = None) -> Iterator[Running]:
    made = Running(data_dir)
    with made.telemetry:
        yield made


# ── samples ─────────────────────────────────────────────────────────────────────────────────


def test_a_replayed_sample_is_flushed_once_and_counted_as_when_it_first_came() -> None:
    with running() as it:
        it.join(ALICE)
        it.report(5, UNLUCKY)
        it.telemetry.sync()
        livekits = {k: v for k, v in it.counts().items() if k.startswith("livekit_")}
        it.mend()

        assert it.replay()
        assert not it.replay(), "only once"

        assert it.flushed() == [(ALICE, 5 + UNLUCKY)]
        assert it.flushed() == []
        assert {k: v for k, v in it.counts().items() if k.startswith("livekit_")} == livekits
        assert any(k.startswith("livekit_packet_total") for k in livekits)


def test_a_sample_that_fails_again_becomes_another_letter_which_can_be_replayed() -> None:
    with running() as it:
        it.join(ALICE)
        it.report(UNLUCKY)

        assert it.replay()
        assert it.states() == [LetterState.REPLAYED, LetterState.NEW]
        it.mend()
        it.pass_time(5)  # the worker waits, because it has failed twice
        assert it.replay(2)

        assert it.flushed() == [(ALICE, UNLUCKY)]


def test_a_sample_goes_to_the_closed_worker_that_it_was_for_beside_its_successor() -> None:
    with running() as it:
        guard = it.join(ALICE)
        it.report(UNLUCKY)
        it.leave(ALICE, guard)
        it.join(ALICE)
        it.report(7)
        it.mend()

        assert it.replay()

        assert it.flushed() == [(ALICE, 7), (ALICE, UNLUCKY)], "a worker each"


def test_a_sample_goes_to_the_successor_when_its_own_worker_is_gone() -> None:
    with running() as it:
        guard = it.join(ALICE)
        it.report(UNLUCKY)
        it.leave(ALICE, guard)
        it.join(ALICE)
        it.retire_the_closed()
        it.report(7)
        it.mend()

        assert it.replay()

        assert it.flushed() == [(ALICE, 7 + UNLUCKY)]


def test_a_sample_of_a_participant_who_is_gone_is_dropped_counted_and_can_still_be_read() -> None:
    with running() as it:
        it.leave(ALICE, it.join(ALICE))
        it.report(UNLUCKY)
        it.retire_the_closed()
        it.mend()

        assert it.replay()

        assert it.counts()[UNKNOWN] == 1
        assert it.flushed() == []
        assert it.states() == [LetterState.REPLAYED]


def test_a_letter_outlives_its_process_and_finds_the_participant_in_the_next(
    tmp_path: Path,
) -> None:
    with running(tmp_path) as it:
        it.join(ALICE)
        it.report(UNLUCKY)

    with running(tmp_path) as it:
        it.mend()
        for sid in (BOB, ALICE):  # whose numbers are others than they were
            it.join(sid)
            it.report(1, sid=sid)

        assert it.replay()
        assert not it.replay(), "only once"

        assert it.flushed() == [(ALICE, 1 + UNLUCKY), (BOB, 1)]
        assert it.states() == [LetterState.REPLAYED]

    with running(tmp_path) as it:
        assert not it.replay(), "only once"


# ── analytics and webhooks ──────────────────────────────────────────────────────────────────


def report_a_stat(telemetry: Telemetry) -> None:
    telemetry.participant_joined(room(), participant(), None, None, False, telemetry.guard())
    telemetry.track_stats(ROOM_ID, ROOM_NAME, key(), stat(5))
    telemetry.flush_stats()


@pytest.mark.parametrize(
    ("call", "message", "name"),
    [
        (report_a_stat, "RecordStats", "send_stats"),
        (
            lambda telemetry: telemetry.send_event(AnalyticsEvent(room_id=ROOM_ID)),
            "RecordEvent",
            "send_event",
        ),
        (
            lambda telemetry: telemetry.local_room_state(AnalyticsNodeRooms()),
            "RecordNodeRooms",
            "send_node_room_states",
        ),
    ],
    ids=["stats", "event", "node rooms"],
)
def test_what_the_recorder_could_not_digest_reaches_the_analytics_once(
    call: Callable[[Telemetry], None], message: str, name: str
) -> None:
    fault, analytics = Fault(), RecordingAnalytics()
    with greenroom.start(
        analytics=analytics,
        clock=VirtualClock(START_NS),
        children=ChildClasses(recorder=fragile(Recorder, *RECORDS, fault=fault)),
        flush_interval_seconds=None,
    ) as telemetry:
        call(telemetry)
        telemetry.sync()
        assert [kept.letter.message for kept in telemetry.dead_letters.list()] == [message]
        assert not analytics.sends
        fault.mended = True

        assert telemetry.replay_dead_letter(1)
        telemetry.sync()

        assert [sent for sent, _ in analytics.sends] == [name]


def test_a_webhook_that_the_notifier_could_not_digest_is_delivered_with_its_own_time_and_id() -> (
    None
):
    fault, clock, received = Fault(), VirtualClock(START_NS), list[Received]()
    receiver = Receiver({"key": "s" * 32}, clock, on_received=received.append)
    webhook = WebhookSettings(
        urls=(receiver.url,), api_key="key", keys={"key": "s" * 32}, allow_private=True
    )
    children = ChildClasses(notifier=fragile(Notifier, Notify, fault=fault))
    with greenroom.start(clock=clock, webhook=webhook, children=children) as telemetry:
        telemetry.room_started(room())
        telemetry.sync()
        (kept,) = telemetry.dead_letters.list()
        fault.mended = True
        telemetry.advance_to(START_NS + 60 * SECOND)

        assert telemetry.replay_dead_letter(kept.id)
        telemetry.advance_to(START_NS + 61 * SECOND)
    receiver.close()

    (request,) = received
    assert (kept.letter.message, request.problem) == ("Notify", "")
    assert request.event.created_at == START_NS // SECOND
    assert request.event.id.encode() in kept.letter.body


# ── what is refused ─────────────────────────────────────────────────────────────────────────


def test_a_flush_is_refused_with_what_to_do_instead_and_its_letter_stays_as_it_is() -> None:
    with running() as it:
        it.join(ALICE)
        it.report(5)
        it.flush_fault.mended = False
        assert it.flushed() == []
        it.flush_fault.mended = True

        with pytest.raises(NotReplayableError, match=r"call flush_stats\(\)"):
            it.replay()

        assert it.states() == [LetterState.NEW]
        assert it.flushed() == [(ALICE, 5)], "as the refusal says"
