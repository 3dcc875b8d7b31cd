"""A whole greenroom whose actors are ended from outside: each has an heir, and nothing is lost."""

from __future__ import annotations

import json
from itertools import chain
from typing import Final, TypeVar

import pytest
from livekit.protocol.models import Room

import greenroom
from greenroom.actors._base import ActorExitRequest, GreenroomActor
from greenroom.actors.guardian import Guardian
from greenroom.actors.notifier import Notifier
from greenroom.actors.recorder import Recorder
from greenroom.actors.stats_worker import StatsWorker
from greenroom.actors.supervisor import Supervisor
from greenroom.actors.timer import Timer
from greenroom.core.series import flatten
from greenroom.errors import SystemBrokenError
from greenroom.testing.fakes import RecordingAnalytics
from greenroom.testing.loopback import HttpReceiver, respond
from greenroom.testing.samples import (
    ALICE,
    BOB,
    join,
    participant,
    report,
    room,
)

SECOND: Final = 1_000_000_000
SECRET: Final = "secret-0123456789abcdef0123456789abcdef"

A = TypeVar("A", bound=GreenroomActor)


class Running:
    """A greenroom in virtual time, what came out of it, and a hand that ends its actors."""

    def __init__(self, *urls: str) -> None:
        self.analytics = RecordingAnalytics()
        self.clock = greenroom.VirtualClock(1_700_000_000 * SECOND)
        self.telemetry = greenroom.start(
            webhook=greenroom.WebhookSettings(
                urls=urls, api_key="key", keys={"key": SECRET}, allow_private=True
            ),
            analytics=self.analytics,
            clock=self.clock,
        )
        self.telemetry.sync()

    def all_of(self, kind: type[A]) -> list[A]:
        return [actor for actor in self.telemetry._base.actors() if isinstance(actor, kind)]

    def end(self, kind: type[GreenroomActor], index: int = 0) -> None:
        actor = self.all_of(kind)[index]
        self.telemetry._system.tell(actor.myAddress, ActorExitRequest())

    def joined(self, *people: str) -> None:
        join(self.telemetry, *people)

    def reported(self, sid: str, *packets: int) -> None:
        report(self.telemetry, sid, *packets)

    def batches(self) -> list[list[tuple[str, int]]]:
        """Each batch as participant and packets."""
        return [
            [(each.participant_id, each.streams[0].primary_packets) for each in batch]
            for batch in self.analytics.batches
        ]

    def flushed(self) -> list[list[tuple[str, int]]]:
        self.telemetry.flush_stats()
        self.telemetry.sync()
        return self.batches()

    def pass_time(self, seconds: float) -> None:
        self.telemetry.advance_to(self.clock.now_ns() + round(seconds * SECOND))

    def counted(self) -> dict[str, float]:
        """What is not 0 of restarts and of losses."""
        series = flatten(self.telemetry.metrics.snapshot(), {})
        names = ("greenroom_child_restarts_total", "greenroom_dropped_total")
        return {name: value for name, value in series.items() if name.startswith(names) and value}

    def restarts(self, kind: type[GreenroomActor]) -> float:
        name = f'greenroom_child_restarts_total{{actor="{kind.__name__}"}}'
        return self.counted().get(name, 0.0)


def test_a_worker_that_is_ended_has_an_heir_which_flushes_all_samples_together() -> None:
    running = Running()
    with running.telemetry as telemetry:
        running.joined(ALICE, BOB)
        running.reported(ALICE, 5)
        running.reported(BOB, 7)
        telemetry.sync()
        before = running.all_of(StatsWorker)

        running.end(StatsWorker)
        running.reported(ALICE, 6)

        assert running.flushed() == [[(BOB, 7)], [(ALICE, 11)]]
        after = running.all_of(StatsWorker)
        assert len(after) == 2
        assert before[0] not in after
        assert before[1] in after
        assert running.restarts(StatsWorker) == 1
        assert telemetry.statistics().runtime.dead_letters == 0
        assert not telemetry.dead_letters.list()


def test_what_is_on_its_way_to_an_actor_that_is_ended_reaches_its_heir_in_order() -> None:
    running = Running()
    with running.telemetry:
        running.joined(ALICE)
        running.telemetry.sync()
        for packets in (1, 2, 3):
            running.reported(ALICE, packets)
            running.end(StatsWorker)
            running.end(Recorder)

        running.telemetry.flush_stats()
        running.pass_time(10.0)

        assert running.batches() == [[(ALICE, 6)]]
        assert not any("dropped" in name for name in running.counted())


def test_a_worker_that_was_closed_before_its_end_is_retired_in_its_time() -> None:
    running = Running()
    with running.telemetry as telemetry:
        guard = telemetry.guard()
        telemetry.participant_joined(room(), participant(ALICE), None, None, False, guard)
        telemetry.participant_left(room(), participant(ALICE), False, guard)
        running.reported(ALICE, 5)
        telemetry.sync()

        running.end(StatsWorker)
        running.pass_time(300.0)

        assert running.batches() == [[(ALICE, 5)]]
        assert not running.all_of(StatsWorker)


def test_ticks_go_on_at_their_times_when_the_timer_is_ended() -> None:
    running = Running()
    with running.telemetry:
        running.joined(ALICE)
        times = []
        running.pass_time(30.0)
        for number in range(1, 5):
            running.reported(ALICE, number)
            running.pass_time(12.0)
            running.end(Timer)
            running.pass_time(18.0)
            times.append(running.analytics.stats[-1].time_stamp.seconds - 1_700_000_000)

        assert running.batches() == [[(ALICE, number)] for number in range(1, 5)]
        assert times[1:] == [time + 30 for time in times[:-1]]


def test_a_worker_that_is_ended_too_often_is_given_up_and_hands_over() -> None:
    running = Running()
    with running.telemetry:
        running.joined(ALICE, BOB)
        running.reported(ALICE, 5)
        running.reported(BOB, 7)
        running.telemetry.sync()
        bob = running.all_of(StatsWorker)[1]

        for _ in range(31):
            victims = [each for each in running.all_of(StatsWorker) if each is not bob]
            running.telemetry._system.tell(victims[0].myAddress, ActorExitRequest())
            running.pass_time(1.1)

        assert running.all_of(StatsWorker) == [bob]
        assert sorted(chain.from_iterable(running.flushed())) == [(ALICE, 5), (BOB, 7)]
        assert running.counted()[
            'greenroom_dropped_total{intentional="false",reason="worker_given_up"}'
        ]


@pytest.mark.parametrize("kind", [Supervisor, Guardian])
def test_the_host_is_told_when_those_above_are_ended(kind: type[GreenroomActor]) -> None:
    running = Running()
    running.joined(ALICE)
    running.telemetry.sync()

    running.end(kind)
    running.telemetry._base.run_until_idle()

    with pytest.raises(SystemBrokenError, match="ended from outside: close this telemetry"):
        running.telemetry.sync()
    running.telemetry.close()


def test_the_workers_that_end_with_their_supervisor_are_counted() -> None:
    running = Running()
    running.joined(ALICE, BOB)
    running.telemetry.sync()

    running.end(Supervisor)
    running.telemetry._base.run_until_idle()

    lost = 'greenroom_dropped_total{intentional="false",reason="supervisor_ended"}'
    assert running.counted()[lost] == 2
    running.telemetry.close()


def test_an_ordinary_end_starts_nobody_anew_and_waits_for_nothing() -> None:
    running = Running()
    running.joined(ALICE)
    running.reported(ALICE, 5)

    assert running.telemetry.close()

    assert running.batches() == [[(ALICE, 5)]]
    assert not running.counted()
    assert running.clock.now_ns() == 1_700_000_000 * SECOND


def test_an_heir_that_waits_hands_over_at_the_close() -> None:
    running = Running()
    running.joined(ALICE)
    running.reported(ALICE, 5)
    running.telemetry.sync()
    for _ in range(4):
        running.end(StatsWorker)
        running.telemetry.sync()
    running.reported(ALICE, 6)

    assert running.telemetry.close()

    assert running.batches() == [[(ALICE, 11)]]


def rooms_of(receiver: HttpReceiver) -> list[tuple[str, str]]:
    events = [json.loads(each.body) for each in receiver.received]
    return [(event["event"], event["room"]["name"]) for event in events]


def test_webhooks_go_on_in_order_when_the_notifier_is_ended_while_one_is_in_flight(
    receiver: HttpReceiver,
) -> None:
    receiver.handler = receiver.hang
    webhook = greenroom.WebhookSettings(
        urls=(receiver.url(),), api_key="key", keys={"key": SECRET}, allow_private=True
    )
    with greenroom.start(webhook=webhook) as telemetry:
        telemetry.room_started(Room(name="a"))
        telemetry.room_ended(Room(name="a"))
        receiver.wait_for_requests(1)
        (notifier,) = (a for a in telemetry._base.actors() if isinstance(a, Notifier))

        telemetry._system.tell(notifier.myAddress, ActorExitRequest())
        telemetry.room_started(Room(name="a"))
        telemetry.sync()
        receiver.release()

        assert telemetry.close()
    names = ["room_started", "room_finished", "room_started"]
    assert rooms_of(receiver) == [(name, "a") for name in names]


def test_a_retry_that_was_awaited_comes_when_it_is_due_though_the_notifier_was_ended(
    receiver: HttpReceiver,
) -> None:
    receiver.handler = respond(503)
    running = Running(receiver.url())
    with running.telemetry as telemetry:
        telemetry.room_started(Room(name="a"))
        telemetry.sync()
        running.pass_time(1.0)
        assert len(receiver.received) == 1

        receiver.handler = respond(200)
        running.end(Notifier)
        running.pass_time(0.0)
        assert len(receiver.received) == 1
        running.pass_time(60.0)

        assert rooms_of(receiver) == [("room_started", "a")] * 2
        assert running.restarts(Notifier) == 1
